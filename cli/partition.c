/* fedavg partition: what each client of a task gets to see, before anything is trained on it. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/partition/split_svg.h"
#include "cli/partition/split_text.h"
#include "cli/partition/split_view.h"
#include "cli/wait.h"
#include "common/model/model.h"
#include "common/seal/digest.h"
#include "common/seal/keys.h"

static const char usage[] = "fedavg partition TASK.yaml [--set KEY=VALUE]... [--svg FILE] [--json]\n"
                            "  shows how many examples of each label every client gets; --svg draws it\n";

#define JSON_CLIENTS 1000

struct options {
    const char *task, *svg;
    bool json;
    const char **sets; /* owned */
    size_t n_sets;
};

/* -- JSON -------------------------------------------------------------------------------------------------------------- */

static json_t *spread_json(const struct fed_spread *spread) {
    return json_pack("{s:I, s:I, s:I}", "min", (json_int_t)spread->least, "median", (json_int_t)spread->median, "max",
                     (json_int_t)spread->most);
}

/* JSON is UTF-8; a name that is not stands there as a table shows it. */
static json_t *group_json(const struct fed_split_view *view, uint32_t group) {
    char shown[FED_GROUP_SHOWN];
    json_t *name = json_string(fed_dataset_group_name(view->data, group));
    return name != NULL ? name : json_string(fed_dataset_show_group(shown, view->data, group));
}

/* {"client": 7, "examples": 600, "labels": [0, 12, ...]}; without labels only size, and a group's name where it is one. */
static json_t *client_json(const struct fed_split_view *view, uint32_t client, const uint32_t *counts) {
    json_t *row = json_pack("{s:I, s:I}", "client", (json_int_t)client, "examples",
                            (json_int_t)fed_partition_size(view->partition, client));
    if (view->task->partition.kind == FED_PARTITION_NATURAL) {
        json_object_set_new(row, "group", group_json(view, client));
    }
    if (counts != NULL) {
        json_t *labels = json_array();
        for (uint32_t l = 0; l < view->n_labels; l++) {
            json_array_append_new(labels, json_integer(counts[l]));
        }
        json_object_set_new(row, "labels", labels);
    }
    return row;
}

static json_t *clients_json(const struct fed_split_view *view) {
    json_t *rows = json_array();
    uint32_t all = view->n_labels > 0 ? view->n_seen : view->n_clients, n = all < JSON_CLIENTS ? all : JSON_CLIENTS;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t place = fed_split_view_place(i, n, all);
        const uint32_t *counts = view->n_labels > 0 ? view->counts + (size_t)place * view->n_labels : NULL;
        json_array_append_new(rows, client_json(view, counts != NULL ? view->seen[place] : place, counts));
    }
    return rows;
}

static int print_json(const struct fed_split_view *view, struct fed_error *err) {
    char hex[FED_DIGEST_HEX];
    fed_hex(hex, view->partition->digest, FED_DIGEST_BYTES);
    json_t *root = json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:o, s:o}", "event", "partition", "name",
                             view->task->name, "kind", fed_partition_kind_name(view->task->partition.kind), "seed",
                             (json_int_t)view->task->seed, "digest", hex, "examples", (json_int_t)view->data->n_examples,
                             "clients", (json_int_t)view->n_clients, "labels", (json_int_t)view->n_labels,
                             "examples_a_client", spread_json(&view->sizes), "shown", clients_json(view));
    if (root != NULL && view->n_labels > 0) {
        json_object_set_new(root, "labels_a_client", spread_json(&view->labels));
        json_object_set_new(root, "skew", json_real(view->skew));
        json_object_set_new(root, "looked_into", json_integer(view->n_seen));
    }
    return fed_cli_print_json(root, err);
}

/* -- the command ------------------------------------------------------------------------------------------------------- */

static bool wants_colours(void) {
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0 && (no_colour == NULL || no_colour[0] == '\0');
}

static int show(const struct fed_split_view *view, const struct options *options, struct fed_error *err) {
    int rc = FED_OK;
    if (options->json) {
        rc = print_json(view, err);
    } else {
        fed_split_text_print(stdout, view, wants_colours());
    }
    return rc == FED_OK && options->svg != NULL ? fed_split_svg_write(view, options->svg, err) : rc;
}

/* As the coordinator does, so that it refuses the same. */
static int load(struct fed_dataset *data, const struct fed_task *task, struct fed_error *err) {
    struct fed_model model;
    if (task->partition.kind == FED_PARTITION_NONE) {
        return fed_error_set(err, FED_ECONFIG, "%s: data.partition: missing, so there is nothing to show", task->path);
    }
    int rc = fed_model_init(&model, &task->model, err);
    if (rc == FED_OK) {
        rc = fed_dataset_load(data, &task->data, FED_DATA_TRAIN, err);
    }
    return rc == FED_OK ? fed_dataset_fit(data, &model, err) : rc;
}

static int run(const struct options *options, struct fed_error *err) {
    struct fed_task task = {0};
    struct fed_dataset data = {0};
    struct fed_partition partition = {0};
    struct fed_split_view view = {0};
    int rc = fed_seal_setup(err);
    if (rc == FED_OK) {
        rc = fed_task_load(&task, options->task, options->sets, options->n_sets, err);
    }
    if (rc != FED_OK) {
        return rc;
    }
    struct fed_busy *wait = fed_wait_begin(false, "reading and splitting %s", fed_data_source_train_path(&task.data));
    rc = load(&data, &task, err);
    if (rc == FED_OK) {
        rc = fed_partition_make(&partition, &data, &task.partition, task.seed, err);
    }
    if (rc == FED_OK && (rc = fed_split_view_init(&view, &task, &data, &partition)) != FED_OK) {
        fed_error_set(err, rc, "out of memory");
    }
    fed_wait_end(wait);
    if (rc == FED_OK) {
        rc = show(&view, options, err);
    }
    fed_split_view_fini(&view);
    fed_partition_fini(&partition);
    fed_dataset_fini(&data);
    fed_task_fini(&task);
    return rc;
}

int fed_cli_partition(int argc, char **argv) {
    static const struct option names[] = {{"set", required_argument, NULL, 's'},
                                          {"svg", required_argument, NULL, 'v'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct fed_error err = {.text = ""};
    struct options options = {.sets = calloc((size_t)argc, sizeof *options.sets)};
    int exit_code;
    if (options.sets == NULL) {
        return fed_cli_fail(argv[0], FED_ENOMEM, &err);
    }
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 's': options.sets[options.n_sets++] = optarg; break;
        case 'v': options.svg = optarg; break;
        case 'j': options.json = true; break;
        default: exit_code = c == 'h' ? fed_cli_help(usage) : fed_cli_misused(usage); goto out;
        }
    }
    if (fed_cli_wrong_words(argc, argv, 1, 1, "TASK.yaml")) {
        exit_code = fed_cli_misused(usage);
        goto out;
    }
    options.task = argv[optind];
    int rc = run(&options, &err);
    exit_code = rc == FED_OK ? 0 : fed_cli_fail(argv[0], rc, &err);
out:
    free(options.sets);
    return exit_code;
}
