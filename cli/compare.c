/* fedavg compare: two runs held against each other. The exit code tells whether they have the same models. */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/compare/comparison.h"
#include "common/base/standard.h"
#include "common/seal/digest.h"

static const char usage[] =
    "fedavg compare RUN RUN [--json]\n"
    "  what differs in the tasks of two run directories, where their models part and why, and what they cost;\n"
    "  exit code 0: the same models, 5: they part as they must, 1: they part and should not\n";

/* -- JSON -- */

static json_t *whole(uint64_t value) { return json_integer((json_int_t)value); }

static json_t *run_json(const struct fed_run_view *run, const struct fed_figures *figures) {
    char id[2 * 16 + 1], model[FED_DIGEST_HEX];
    fed_hex(id, fed_store_run_id(run->store), 16);
    fed_hex(model, figures->last->round.model_digest, FED_DIGEST_BYTES);
    return json_pack(
        "{s:o, s:s, s:s, s:b, s:I, s:s, s:o, s:o, s:{s:o, s:o}, s:I, s:f, s:o}", "run", fed_cli_json_path(run->path),
        "run_id", id, "name", run->name, "finished", (int)run->finished, "round", (json_int_t)figures->last->round.round,
        "model", model, "accuracy", fed_cli_json_number(figures->accuracy), "loss", fed_cli_json_number(figures->loss),
        "best", "round", figures->best_round > 0 ? whole(figures->best_round) : json_null(), "value",
        fed_cli_json_number(figures->best), "bytes_total", (json_int_t)figures->last->bytes_total, "seconds_total",
        figures->last->seconds_total, "target_round", run->target_round > 0 ? whole(run->target_round) : json_null());
}

static json_t *builds_json(const struct fed_builds *builds) {
    json_t *list = json_array();
    for (size_t i = 0; i < builds->n_rows; i++) {
        const struct fed_store_build *row = &builds->rows[i];
        json_array_append_new(list, json_pack("{s:I, s:f, s:s, s:s, s:s}", "round", (json_int_t)row->round, "since",
                                              (double)row->since_ms / 1000, "fedavg", row->fedavg, "kernels", row->kernels,
                                              "cpu", row->cpu));
    }
    return list;
}

static json_t *value_json(const char *value) {
    json_t *parsed = value != NULL ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    return parsed != NULL ? parsed : json_null();
}

static json_t *task_json(const struct fed_differences *task) {
    json_t *list = json_array();
    for (size_t i = 0; i < task->n; i++) {
        const struct fed_difference *item = &task->items[i];
        json_array_append_new(list, json_pack("{s:s, s:b, s:[o, o]}", "key", item->key, "defines", (int)item->defines,
                                              "values", value_json(item->values[0]), value_json(item->values[1])));
    }
    return list;
}

static json_t *clients_json(const struct fed_parting_clients *clients) {
    json_t *ids = json_array();
    for (size_t i = 0; i < FED_PARTING_CLIENTS && i < clients->n; i++) {
        json_array_append_new(ids, whole(clients->ids[i]));
    }
    return json_pack("{s:I, s:o}", "count", (json_int_t)clients->n, "clients", ids);
}

static json_t *models_json(const struct fed_parting *models) {
    bool parted = models->why != FED_PARTING_NOT;
    return json_pack("{s:b, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "same", (int)!parted, "compared",
                     (json_int_t)models->compared, "parted", parted ? whole(models->round) : json_null(), "why",
                     parted ? json_string(fed_parting_name(models->why)) : json_null(), "only_first",
                     clients_json(&models->only[0]), "only_second", clients_json(&models->only[1]), "other_weight",
                     clients_json(&models->reweighed), "evaluated_otherwise",
                     models->judged_otherwise ? whole(models->judged_round) : json_null());
}

static json_t *reached_json(const struct fed_reached *by) {
    return by->reached ? json_pack("{s:I, s:I, s:f}", "round", (json_int_t)by->round, "bytes_total", (json_int_t)by->bytes,
                                   "seconds_total", by->seconds)
                       : json_null();
}

static json_t *milestones_json(const struct fed_milestones *milestones) {
    json_t *list = json_array();
    for (size_t i = 0; i < milestones->n; i++) {
        const struct fed_milestone *item = &milestones->items[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:[o, o]}", "accuracy",
                                              milestones->of_loss ? json_null() : fed_cli_json_number(item->level), "loss",
                                              milestones->of_loss ? fed_cli_json_number(item->level) : json_null(),
                                              "reached", reached_json(&item->by[0]), reached_json(&item->by[1])));
    }
    return list;
}

static int print_json(const struct fed_comparison *c, struct fed_error *err) {
    return fed_cli_print_json(json_pack("{s:s, s:[o, o], s:o, s:[o, o], s:o, s:o}", "event", "compare", "runs",
                                        run_json(&c->runs[0], &c->figures[0]), run_json(&c->runs[1], &c->figures[1]), "task",
                                        task_json(&c->task), "builds", builds_json(&c->builds[0]),
                                        builds_json(&c->builds[1]), "models", models_json(&c->models), "milestones",
                                        milestones_json(&c->milestones)),
                              err);
}

/* -- The command -- */

/* What the exit code says of the models. */
static int verdict(const struct fed_comparison *c, struct fed_error *err) {
    unsigned long long round = c->models.round;
    switch (c->models.why) {
    case FED_PARTING_NOT: return FED_OK;
    case FED_PARTING_NOT_REPRODUCIBLE:
        return fed_error_set(err, FED_EFAILED,
                             "NOT REPRODUCIBLE: the models of round %llu differ, and task and admitted sets do not", round);
    default:
        return fed_error_set(err, FED_EMISMATCH, "the models part in round %llu (%s)", round,
                             fed_parting_name(c->models.why));
    }
}

static int run(char **paths, bool json, struct fed_error *err) {
    struct fed_run_view runs[2] = {{0}};
    struct fed_comparison comparison = {0};
    int code = fed_run_view_read(&runs[0], paths[0], err);
    if (code == FED_OK) {
        code = fed_run_view_read(&runs[1], paths[1], err);
    }
    if (code == FED_OK) {
        code = fed_comparison_make(&comparison, runs, err);
    }
    if (code == FED_OK && json) {
        code = print_json(&comparison, err);
    } else if (code == FED_OK) {
        fed_comparison_print(stdout, &comparison);
        code = fed_standard_flush(err);
    }
    if (code == FED_OK) {
        code = verdict(&comparison, err);
    }
    fed_comparison_fini(&comparison);
    fed_run_view_fini(&runs[0]);
    fed_run_view_fini(&runs[1]);
    return code;
}

int fed_cli_compare(int argc, char **argv) {
    static const struct option names[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct fed_error err = {.text = ""};
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (c) {
        case 'j': json = true; break;
        case 'h': return fed_cli_help(usage);
        default: return fed_cli_misused(usage);
        }
    }
    if (fed_cli_wrong_words(argc, argv, 2, 2, argc == optind ? "RUN" : "the second RUN")) {
        return fed_cli_misused(usage);
    }
    int code = run(argv + optind, json, &err);
    return code == FED_OK ? 0 : fed_cli_fail(argv[0], code, &err);
}
