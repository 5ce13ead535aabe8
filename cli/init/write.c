/* The task file, with a comment where a newcomer wants one. */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/init/init.h"
#include "common/base/file.h"
#include "common/base/utf8.h"

#define COMMENT_AT 30

static int out_of_memory(struct fed_error *err) { return fed_error_set(err, FED_ENOMEM, "out of memory"); }

/* JSON's strings are YAML's. What is not UTF-8 was refused before. */
void fed_init_put_text(FILE *out, const char *text) {
    json_t *string = json_string(text);
    char *quoted = string != NULL ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    fputs(quoted != NULL ? quoted : "\"\"", out);
    free(quoted);
    json_decref(string);
}

void fed_init_put_line(FILE *out, const char *line, const char *text, const char *comment) {
    long before = ftell(out);
    fputs(line, out);
    if (text != NULL) {
        fed_init_put_text(out, text);
    }
    int width = (int)(ftell(out) - before);
    fprintf(out, "%*s# %s\n", width < COMMENT_AT ? COMMENT_AT - width : 2, "", comment);
}

static const char *const formats[] = {
    [FED_DATA_IDX] = "idx", [FED_DATA_CSV] = "csv", [FED_DATA_NPY] = "npy", [FED_DATA_TEXT] = "text"};

static const char *features_key(const struct fed_init *init) {
    return init->seen.format == FED_DATA_IDX ? "images" : "features";
}

static bool has_labels(const struct fed_init *init) {
    return init->seen.format == FED_DATA_IDX || init->seen.format == FED_DATA_NPY;
}

static void put_file(FILE *out, const struct fed_init *init, const char *key, const char *path, const char *labels) {
    fprintf(out, "  %s: ", key);
    if (has_labels(init)) {
        fprintf(out, "{%s: ", features_key(init));
        fed_init_put_text(out, path);
        fputs(", labels: ", out);
        fed_init_put_text(out, labels);
        fputs("}\n", out);
    } else {
        fed_init_put_text(out, path);
        fputc('\n', out);
    }
}

void fed_init_put_columns(FILE *out, const struct fed_init *init) {
    fprintf(out, "  format: %s\n", formats[init->seen.format]);
    if (init->seen.format != FED_DATA_CSV) {
        return;
    }
    if (!init->seen.header) {
        fed_init_put_line(out, "  header: no", NULL, "the first line is an example");
    }
    fed_init_put_line(out, "  label: ", init->label, "the column to be learnt; all others are features");
    if (init->group != NULL) {
        fed_init_put_line(out, "  group: ", init->group, "the column that says whose a row is; no feature");
    }
}

/* -- the sections ------------------------------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The label's words in the order of their bytes, so that every machine numbers them alike. */
static int put_classes(FILE *out, const struct fed_init *init, struct fed_error *err) {
    const struct fed_sniffed_column *label = fed_init_column(init, init->label);
    const char **words = calloc(label->n_values, sizeof *words);
    if (words == NULL) {
        return out_of_memory(err);
    }
    for (size_t i = 0; i < label->n_values; i++) {
        words[i] = fed_sniffed_value(label, i);
    }
    qsort(words, label->n_values, sizeof *words, by_bytes);
    fputs("  classes: [", out);
    for (size_t i = 0; i < label->n_values; i++) {
        fputs(i > 0 ? ", " : "", out);
        fed_init_put_text(out, words[i]);
    }
    fputs("]  # the label's words, in the order of the outputs\n", out);
    free(words);
    return FED_OK;
}

static int put_model(FILE *out, const struct fed_init *init, struct fed_error *err) {
    char line[64];
    if (init->preset[0] != '\0') {
        fprintf(out, "model: {preset: %s}\n", init->preset);
        return FED_OK;
    }
    snprintf(line, sizeof line, "  input: %zu", init->n_features);
    fputs("model:\n", out);
    fed_init_put_line(out, line, NULL, "numbers of an example");
    int rc = init->named ? put_classes(out, init, err) : FED_OK;
    if (init->n_classes == 0) {
        fed_init_put_line(out, "  loss: mean_squared_error", NULL, "the label is a number to be met");
    }
    fputs("  layers:\n", out);
    for (uint32_t i = 0; i < init->n_hidden; i++) {
        fprintf(out, "    - {units: %u, activation: relu}\n", init->hidden[i]);
    }
    snprintf(line, sizeof line, "    - {units: %u}", init->n_classes > 0 ? init->n_classes : 1);
    fed_init_put_line(out, line, NULL, init->n_classes > 0 ? "one output for each class" : "one output");
    return rc;
}

static void put_data(FILE *out, const struct fed_init *init) {
    if (init->real && init->test == NULL) {
        fputs("# The data stay with the nodes. Here could stand test data, by which the coordinator would know how good a "
              "model is:\n"
              "# data: {format: ..., test: FILE, ...}\n",
              out);
        return;
    }
    if (init->real) {
        fed_init_put_line(out, "data:", NULL, "the coordinator's own, to see how good a model is");
    } else {
        fputs("data:\n", out);
    }
    fed_init_put_columns(out, init);
    if (!init->real) {
        put_file(out, init, "train", init->train[0], init->labels);
    }
    if (init->test != NULL) {
        put_file(out, init, "test", init->test, init->test_labels);
    }
    if (!init->real && init->group != NULL) {
        fed_init_put_line(out, "  partition: {kind: natural}", NULL, "a client for each group");
    } else if (!init->real) {
        fprintf(out,
                "  # Everybody a random part; shards and dirichlet give clients data that are not alike: man 5 fedavg-task\n"
                "  partition: {kind: iid, clients: %u}\n",
                init->clients);
    }
}

static void put_algorithm(FILE *out, const struct fed_init *init) {
    char line[64];
    fprintf(out, "algorithm:\n  rounds: %llu\n", (unsigned long long)init->rounds);
    fed_init_put_line(out, "  fraction: 1", NULL, "the part of the clients that train in a round");
    snprintf(line, sizeof line, "  epochs: %d", init->seen.format == FED_DATA_CSV ? 5 : 1);
    fed_init_put_line(out, line, NULL, "how often each of them goes through its data in a round");
    fprintf(out, "  batch_size: 10\n  learning_rate: %g\n", fed_init_guess_rate(init));
}

static void put_server(FILE *out, const struct fed_init *init) {
    const char *address = strcmp(init->host, "127.0.0.1") == 0 || strcmp(init->host, "localhost") == 0 ? "127.0.0.1" : "*";
    char line[64];
    fputs("server:\n", out);
    snprintf(line, sizeof line, "  control: \"tcp://%s:%u\"", address, init->port);
    fed_init_put_line(out, line, NULL, "nodes connect to these two");
    fprintf(out, "  bulk: \"tcp://%s:%u\"\n", address, init->port + 1);
    snprintf(line, sizeof line, "  http: \"127.0.0.1:%u\"", init->port + FED_INIT_PAGE_AFTER);
    fed_init_put_line(out, line, NULL, "the run in a browser on this machine, http://127.0.0.1:PORT");
    fed_init_put_line(out, "  roster: roster", NULL, "who may take part");
    fputs("  key: coordinator.key\n", out);
}

static int put_task(FILE *out, const struct fed_init *init, struct fed_error *err) {
    fprintf(out,
            "# %s, written by `fedavg init`. What the keys mean, and those that are not here: man 5 fedavg-task.\n"
            "schema: 1\n"
            "name: %s\n",
            init->name, init->name);
    fed_init_put_line(out, "seed: 1", NULL, "the same seed gives the same model, bit for bit");
    fputc('\n', out);
    int rc = put_model(out, init, err);
    fputc('\n', out);
    put_data(out, init);
    fputc('\n', out);
    put_algorithm(out, init);
    if (init->real) {
        fputc('\n', out);
        put_server(out, init);
    }
    return rc;
}

/* -- the files ---------------------------------------------------------------------------------------------------------- */

int fed_init_remember(struct fed_init *init, const char *path, struct fed_error *err) {
    init->files[init->n_files] = strdup(path);
    return init->files[init->n_files] != NULL ? (init->n_files++, FED_OK) : out_of_memory(err);
}

int fed_init_save(struct fed_init *init, const char *name, const char *text, size_t n, struct fed_error *err) {
    char *path = NULL;
    struct iovec part = {(void *)text, n};
    if (fed_path_join(&path, init->dir, name) != FED_OK) {
        return out_of_memory(err);
    }
    int rc = fed_file_replace(path, &part, 1, 0644, err);
    if (rc == FED_OK) {
        rc = fed_init_remember(init, path, err);
    }
    free(path);
    return rc;
}

static int refuse_if_there(const struct fed_init *init, const char *name, struct fed_error *err) {
    char *path = NULL;
    if (fed_path_join(&path, init->dir, name) != FED_OK) {
        return out_of_memory(err);
    }
    int rc = access(path, F_OK) != 0
                 ? FED_OK
                 : fed_error_set(err, FED_ECONFIG,
                                 "%s: exists already, and nothing is overwritten: choose another directory, "
                                 "fedavg init DIR",
                                 path);
    free(path);
    return rc;
}

static int refuse_what_is_there(const struct fed_init *init, struct fed_error *err) {
    static const char *const names[] = {"task.yaml", "roster", "coordinator.key", "coordinator.pub"};
    char node[FED_NAME_MAX];
    int rc = refuse_if_there(init, names[0], err);
    for (size_t i = 1; i < sizeof names / sizeof *names && rc == FED_OK && init->real; i++) {
        rc = refuse_if_there(init, names[i], err);
    }
    for (size_t i = 0; i < init->clients && rc == FED_OK && init->real; i++) {
        fed_init_node_name(node, i);
        rc = refuse_if_there(init, node, err);
    }
    return rc;
}

/* A value of a task is a line of UTF-8. */
static int check_texts(const struct fed_init *init, struct fed_error *err) {
    const char *texts[FED_INIT_NODES + 6] = {init->labels, init->test,  init->test_labels,
                                             init->label,  init->group, init->dir};
    for (size_t i = 0; i < init->n_train; i++) {
        texts[6 + i] = init->train[i];
    }
    for (size_t i = 0; i < 6 + init->n_train; i++) {
        json_t *string = texts[i] != NULL ? json_string(texts[i]) : json_null();
        bool fits = string != NULL && (texts[i] == NULL || fed_utf8_one_line(texts[i]));
        json_decref(string);
        if (!fits) {
            return fed_error_set(err, FED_ECONFIG, "%s: names must be UTF-8 without control characters to stand in a task",
                                 texts[i]);
        }
    }
    return FED_OK;
}

int fed_init_write(struct fed_init *init, struct fed_error *err) {
    char *text = NULL;
    size_t n = 0;
    int rc = check_texts(init, err);
    if (rc == FED_OK) {
        rc = refuse_what_is_there(init, err);
    }
    FILE *out = rc == FED_OK ? open_memstream(&text, &n) : NULL;
    if (rc == FED_OK && out == NULL) {
        rc = out_of_memory(err);
    }
    if (rc == FED_OK) {
        rc = put_task(out, init, err);
    }
    if (out != NULL && fclose(out) != 0 && rc == FED_OK) {
        rc = out_of_memory(err);
    }
    if (rc == FED_OK) {
        rc = fed_file_make_dirs(init->dir, err);
    }
    if (rc == FED_OK && init->real) {
        rc = fed_init_write_nodes(init, err);
    }
    if (rc == FED_OK) { /* last: where it stands, all is there */
        rc = fed_init_save(init, "task.yaml", text, n, err);
    }
    free(text);
    return rc;
}
