/* fedavg replay: whether a run is what it says. Its rounds are walked in order; a rollback is the model of an earlier round
 * again, so models that one will return to are kept on the way. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/replay/replayer.h"
#include "cli/trained.h"
#include "cli/working.h"
#include "common/base/clock.h"
#include "common/base/standard.h"
#include "common/seal/digest.h"
#include "common/seal/keys.h"

static const char usage[] =
    "fedavg replay RUN [--from A] [--to B] [--task TASK.yaml] [--set key=value]... [--json] [--quiet]\n"
    "  computes the committed rounds of a run again, from their admitted sets and the training data, and compares\n"
    "\n"
    "  --from     the first round to compute (default: 0); needs the model of the round before\n"
    "  --to       the last one (default: the newest)\n"
    "  --task     where the data lie, in place of what the run knows\n"
    "  --set      another file in place of the run's, such as data.train=FILE, or any key of the task\n"
    "  --json     one JSON object\n"
    "  --quiet    no progress\n";

struct options {
    struct fed_trained_choice choice;
    uint64_t from, to;
    bool json, quiet;
};

struct kept {
    uint64_t round;
    float *params;
};

struct replay {
    const struct options *options;
    struct fed_trained run;
    struct fed_replayer *replayer;
    struct fed_store_round *rows; /* (n_rows) ascending; the first is the one before `from`, unless that is 0 */
    size_t n_rows;
    struct fed_store_rollback *rollbacks; /* (n_rollbacks) ascending */
    size_t n_rollbacks;
    struct kept *kept; /* (n_kept) */
    size_t n_kept;
    uint64_t first, last; /* computed and compared */
    bool any;
    int rc; /* of a callback of the store */
};

/* -- what is recorded -------------------------------------------------------------------------------------------------- */

static void take_row(void *context, const struct fed_store_round *row) {
    struct replay *r = context;
    struct fed_store_round *rows =
        row->round <= r->options->to ? reallocarray(r->rows, r->n_rows + 1, sizeof *rows) : r->rows;
    if (rows == NULL) {
        r->rc = FED_ENOMEM;
    } else if (row->round <= r->options->to) {
        r->rows = rows;
        r->rows[r->n_rows++] = *row;
    }
}

static void take_rollback(void *context, const struct fed_store_rollback *rollback) {
    struct replay *r = context;
    struct fed_store_rollback *rollbacks = reallocarray(r->rollbacks, r->n_rollbacks + 1, sizeof *rollbacks);
    if (rollbacks == NULL) {
        r->rc = FED_ENOMEM;
        return;
    }
    r->rollbacks = rollbacks;
    r->rollbacks[r->n_rollbacks] = *rollback;
    r->rollbacks[r->n_rollbacks++].reason = NULL; /* lives no longer than the row */
}

static int read_rounds(struct replay *r, struct fed_error *err) {
    uint64_t from = r->options->from > 0 ? r->options->from - 1 : 0;
    int code = fed_store_rounds(r->run.store, from, take_row, r, err);
    if (code == FED_OK) {
        code = fed_store_rollbacks(r->run.store, from, take_rollback, r, err);
    }
    if (code == FED_OK && r->rc != FED_OK) {
        code = fed_error_set(err, r->rc, "not enough memory for the rounds of the run");
    }
    if (code != FED_OK) {
        return code;
    }
    if (r->n_rows == 0 || r->rows[r->n_rows - 1].round < r->options->from) {
        return fed_error_set(err, FED_ECONFIG, "%s: round %" PRIu64 " is not committed (yet)", r->run.path,
                             r->options->from);
    }
    for (size_t i = 0; i < r->n_rows; i++) {
        if (r->rows[i].round != from + i) {
            return fed_error_set(err, FED_EDIFFERS, "round %" PRIu64 " is missing in its database", from + i);
        }
    }
    return FED_OK;
}

/* NULL: an ordinary round. */
static const struct fed_store_rollback *rollback_of(const struct replay *r, uint64_t round) {
    for (size_t i = 0; i < r->n_rollbacks; i++) {
        if (r->rollbacks[i].round == round) {
            return &r->rollbacks[i];
        }
    }
    return NULL;
}

/* -- models that are returned to --------------------------------------------------------------------------------------- */

static bool is_returned_to(const struct replay *r, uint64_t round) {
    for (size_t i = 0; i < r->n_rollbacks; i++) {
        if (r->rollbacks[i].to_round == round && r->rollbacks[i].round > round &&
            r->rollbacks[i].round <= r->rows[r->n_rows - 1].round) {
            return true;
        }
    }
    return false;
}

static int keep_model(struct replay *r, uint64_t round, struct fed_error *err) {
    size_t n = r->run.model.n_params;
    float *params = reallocarray(NULL, n, sizeof *params);
    struct kept *grown = params != NULL ? reallocarray(r->kept, r->n_kept + 1, sizeof *grown) : NULL;
    if (grown == NULL) {
        free(params);
        return fed_error_set(err, FED_ENOMEM, "not enough memory to keep a model of %zu parameters", n);
    }
    memcpy(params, fed_replayer_model(r->replayer), n * sizeof *params);
    r->kept = grown;
    r->kept[r->n_kept].round = round;
    r->kept[r->n_kept++].params = params;
    return FED_OK;
}

/* From the file that the run has kept, as the beginning of what is computed. */
static int set_from_file(struct replay *r, uint64_t round, struct fed_error *err) {
    struct fed_image *image = NULL;
    struct fed_store_round row;
    int code = fed_trained_read_round(&image, &row, &r->run, round, err);
    if (code == FED_OK) {
        fed_replayer_set(r->replayer, image->params);
        fed_image_release(image);
    }
    return code;
}

static int return_to(struct replay *r, uint64_t round, struct fed_error *err) {
    for (size_t i = 0; i < r->n_kept; i++) {
        if (r->kept[i].round == round) {
            fed_replayer_set(r->replayer, r->kept[i].params);
            return FED_OK;
        }
    }
    return set_from_file(r, round, err);
}

/* -- the rounds -------------------------------------------------------------------------------------------------------- */

static int replay_row(struct replay *r, size_t i, struct fed_error *err) {
    const struct fed_store_round *row = &r->rows[i];
    const struct fed_store_rollback *rollback = rollback_of(r, row->round);
    int code;
    if (row->round > 0 && rollback == NULL) {
        return fed_replayer_round(r->replayer, row, &r->rows[i - 1], err);
    }
    code = row->round == 0 ? fed_replayer_initial(r->replayer, err) : return_to(r, rollback->to_round, err);
    return code == FED_OK ? fed_replayer_compare(r->replayer, row, err) : code;
}

static int replay_all(struct replay *r, struct fed_error *err) {
    int code = FED_OK;
    size_t i = 0;
    if (r->options->from > 0) {
        code = set_from_file(r, r->rows[0].round, err);
        if (code == FED_OK && is_returned_to(r, r->rows[0].round)) {
            code = keep_model(r, r->rows[0].round, err);
        }
        i = 1;
    }
    r->first = r->rows[i].round;
    for (; code == FED_OK && i < r->n_rows; i++) {
        r->last = r->rows[i].round;
        code = replay_row(r, i, err);
        r->any = r->any || code == FED_OK;
        if (code == FED_OK && is_returned_to(r, r->last)) {
            code = keep_model(r, r->last, err);
        }
    }
    return code;
}

/* -- what is said ------------------------------------------------------------------------------------------------------ */

static int print_json(const struct replay *r, int code, double seconds, struct fed_error *err) {
    char run[2 * 16 + 1], model[FED_DIGEST_HEX];
    struct fed_error none;
    fed_hex(run, fed_store_run_id(r->run.store), 16);
    fed_hex(model, r->rows[r->n_rows - 1].model_digest, FED_DIGEST_BYTES);
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:s, s:b}", "event", "replay", "name", r->run.terms.name, "run_id",
                  run, "from", (json_int_t)r->first, "to", (json_int_t)r->rows[r->n_rows - 1].round, "updates",
                  (json_int_t)fed_replayer_updates(r->replayer), "seconds", seconds, "model", model, "same", code == FED_OK);
    if (root != NULL && code != FED_OK) {
        json_object_set_new(root, "differs", json_integer((json_int_t)r->last));
        json_object_set_new(root, "reason", json_string(err->text));
    }
    int printed = fed_cli_print_json(root, code == FED_OK ? err : &none);
    return code == FED_OK ? printed : code;
}

static int print_text(const struct replay *r, double seconds, struct fed_error *err) {
    char model[FED_DIGEST_HEX];
    fed_hex(model, r->rows[r->n_rows - 1].model_digest, FED_DIGEST_BYTES);
    printf("rounds %" PRIu64 " to %" PRIu64 " come out as they are recorded: %" PRIu64 " updates, %.1f s\nmodel %s\n",
           r->first, r->last, fed_replayer_updates(r->replayer), seconds, model);
    return fed_standard_flush(err);
}

/* -- the command ------------------------------------------------------------------------------------------------------- */

static uint64_t count_updates(const struct replay *r) {
    uint64_t all = 0;
    for (size_t i = r->options->from > 0; i < r->n_rows; i++) {
        all += r->rows[i].clients;
    }
    return all;
}

static int run_replay(struct replay *r, struct fed_error *err) {
    struct fed_working working;
    uint64_t started = fed_clock_ms();
    int code = fed_seal_setup(err);
    if (code == FED_OK) {
        code = fed_trained_open_run(&r->run, &r->options->choice, err);
    }
    if (code == FED_OK) {
        code = read_rounds(r, err);
    }
    if (code != FED_OK) {
        return code;
    }
    fed_working_start(&working, "replaying: update", r->options->quiet);
    code = fed_replayer_new(&r->replayer, &r->run, fed_cli_cores(), &working, count_updates(r), err);
    if (code == FED_OK) {
        code = replay_all(r, err);
    }
    fed_working_end(&working);
    double seconds = (double)(fed_clock_ms() - started) / 1000.0;
    if (r->options->json && (code == FED_OK || code == FED_EDIFFERS)) {
        return print_json(r, code, seconds, err);
    }
    return code == FED_OK ? print_text(r, seconds, err) : code;
}

static int run(const void *context, struct fed_error *err) {
    const struct options *options = context;
    struct replay r = {.options = options};
    int code = run_replay(&r, err);
    for (size_t i = 0; i < r.n_kept; i++) {
        free(r.kept[i].params);
    }
    fed_replayer_free(r.replayer);
    fed_trained_fini(&r.run);
    free(r.kept);
    free(r.rows);
    free(r.rollbacks);
    return code;
}

/* -1: go on; otherwise the exit code. */
static int parse(void *context, int argc, char **argv) {
    struct options *options = context;
    static const struct option names[] = {{"from", required_argument, NULL, 'f'}, {"to", required_argument, NULL, 'o'},
                                          {"task", required_argument, NULL, 't'}, {"set", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},       {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},       {0}};
    struct fed_trained_choice *choice = &options->choice;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case 'f': good = fed_trained_parse_round(&options->from, argv[0], "--from", optarg); break;
        case 'o': good = fed_trained_parse_round(&options->to, argv[0], "--to", optarg); break;
        case 't': choice->task = optarg; break;
        case 's': choice->sets[choice->n_sets++] = optarg; break;
        case 'j': options->json = true; break;
        case 'q': options->quiet = true; break;
        case 'h': return fed_cli_help(usage);
        default: good = false; break;
        }
        if (!good) {
            return fed_cli_misused(usage);
        }
    }
    bool wrong = fed_cli_wrong_words(argc, argv, 1, 1, "RUN");
    if (!wrong && options->from > options->to) {
        fprintf(stderr, "%s: --from is after --to\n", argv[0]);
        wrong = true;
    }
    if (wrong) {
        return fed_cli_misused(usage);
    }
    choice->path = argv[optind];
    return -1;
}

int fed_cli_replay(int argc, char **argv) {
    static const struct fed_trained_command command = {parse, run};
    struct options options = {.to = INT64_MAX};
    return fed_trained_command(&command, &options, &options.choice, argc, argv);
}
