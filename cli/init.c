/* fedavg init: a few questions, and what is needed to begin: a task, and for real nodes keys, a roster and client files. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/init/init.h"
#include "common/base/privilege.h"
#include "common/base/standard.h"

static const char usage[] =
    "fedavg init [DIR] [--defaults] [--json] [--kind simulation|nodes] [--data FILE]... [--labels FILE]\n"
    "            [--label COLUMN] [--group COLUMN|none] [--test FILE|none] [--test-labels FILE] [--model PRESET|UNITS,...]\n"
    "            [--clients N] [--rounds N] [--host HOST] [--port N] [--name NAME]\n"
    "  looks at data, asks a few questions with answers to choose from, and writes DIR/task.yaml (default: here), with\n"
    "  comments; for real nodes also their keys, the roster and a client file each. Nothing is overwritten.\n"
    "\n"
    "  --defaults    asks nothing: takes what would be proposed, and what the other options say\n"
    "  --kind        a simulation on this machine, or real nodes\n"
    "  --data        the training data: CSV, IDX, NumPy or a text; for real nodes one file each\n"
    "  --labels      of IDX and NumPy: where the labels stand\n"
    "  --label       of CSV: the column to be learnt, by name or number\n"
    "  --group       of CSV: the column that says whose a row is\n"
    "  --test        data to see by how good a model is; --test-labels as above\n"
    "  --model       mnist_2nn, mnist_cnn, char_lstm, logistic, or units of hidden layers: 64,32\n"
    "  --clients     how many clients; of real nodes how many nodes\n"
    "  --host        the name or address under which nodes reach this machine; --port the first of two ports for them\n"
    "  --json        one JSON object: what was written, and what to do next\n";

/* -- what to do next ---------------------------------------------------------------------------------------------------- */

struct steps {
    char *command[8]; /* owned */
    size_t n;
};

/* As a shell takes it for one word. The caller owns it; NULL without memory. */
static char *shell_word(const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%:,";
    size_t n = strlen(text);
    if (strspn(text, plain) == n) {
        return strdup(text);
    }
    char *out = reallocarray(NULL, n + 1, 4), *end = out; /* at most four for each, and quotes around them */
    if (out == NULL) {
        return NULL;
    }
    *end++ = '\'';
    for (const char *at = text; *at != '\0'; at++) {
        end = *at == '\'' ? stpcpy(end, "'\\''") : (*end = *at, end + 1);
    }
    stpcpy(end, "'");
    return out;
}

static int step(struct steps *steps, struct fed_error *err, const char *format, ...) FED_PRINTF(3, 4);
static int step(struct steps *steps, struct fed_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vasprintf(&steps->command[steps->n], format, args);
    va_end(args);
    steps->n += n >= 0;
    return n >= 0 ? FED_OK : fed_error_set(err, FED_ENOMEM, "out of memory");
}

/* Daemons do not like root; who is root here means a trial. */
static int list_steps_in(struct steps *steps, const char *dir, const struct fed_init *init, struct fed_error *err) {
    const char *root = geteuid() == 0 ? " --allow-root" : "";
    int rc;
    if (!init->real) {
        rc = step(steps, err, "fedavg partition %s/task.yaml", dir);
        return rc == FED_OK ? step(steps, err, "fedavg simulate %s/task.yaml --run-dir %s/run", dir, dir) : rc;
    }
    rc = step(steps, err, "fedavg doctor %s/task.yaml", dir);
    if (rc == FED_OK) {
        rc = step(steps, err, "fedavg-coordinator %s/task.yaml --run-dir %s/run%s", dir, dir, root);
    }
    for (size_t i = 0; i < init->clients && i < 2 && rc == FED_OK; i++) {
        char name[FED_NAME_MAX];
        fed_init_node_name(name, i);
        rc = step(steps, err, "fedavg-client %s/%s/client.yaml%s", dir, name, root);
    }
    return rc == FED_OK ? step(steps, err, "fedavg status %s/run", dir) : rc;
}

static int list_steps(struct steps *steps, const struct fed_init *init, struct fed_error *err) {
    char *dir = shell_word(init->dir);
    int rc = dir != NULL ? list_steps_in(steps, dir, init, err) : fed_error_set(err, FED_ENOMEM, "out of memory");
    free(dir);
    return rc;
}

/* -- the end ------------------------------------------------------------------------------------------------------------ */

static int print_text(const struct fed_init *init, const struct steps *steps, struct fed_error *err) {
    printf("%zu examples of %zu numbers", init->n_examples, init->n_features);
    if (init->n_classes > 0) {
        printf(", %u classes", init->n_classes);
    }
    printf("\nwrote");
    for (size_t i = 0; i < init->n_files; i++) {
        printf(" %s%s", init->files[i], i + 1 < init->n_files ? "," : "\n");
    }
    for (size_t i = 0; i < init->n_notes; i++) {
        printf("note: %s\n", init->notes[i]);
    }
    printf("\nnext:\n");
    for (size_t i = 0; i < steps->n; i++) {
        printf("  %s\n", steps->command[i]);
    }
    if (init->real) {
        printf("the daemons in a terminal each; the run in a browser on this machine: http://127.0.0.1:%u\n",
               init->port + FED_INIT_PAGE_AFTER);
    }
    return fed_standard_flush(err);
}

static json_t *list_json(char *const *texts, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n && list != NULL; i++) {
        if (json_array_append_new(list, json_string(texts[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static int print_json(const struct fed_init *init, const struct steps *steps, struct fed_error *err) {
    return fed_cli_print_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "event", "init", "name", init->name,
                                        "kind", init->real ? "nodes" : "simulation", "examples",
                                        (json_int_t)init->n_examples, "features", (json_int_t)init->n_features, "classes",
                                        (json_int_t)init->n_classes, "files", list_json(init->files, init->n_files), "notes",
                                        list_json(init->notes, init->n_notes), "next", list_json(steps->command, steps->n)),
                              err);
}

static void fini(struct fed_init *init, struct steps *steps, char *given[FED_INIT_QUESTIONS]) {
    char *texts[] = {init->labels, init->test, init->test_labels, init->label, init->group, init->host};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        free(texts[i]);
    }
    for (size_t i = 0; i < init->n_train; i++) {
        free(init->train[i]);
    }
    for (size_t i = 0; i < init->n_files; i++) {
        free(init->files[i]);
    }
    for (size_t i = 0; i < init->n_notes; i++) {
        free(init->notes[i]);
    }
    for (size_t i = 0; i < steps->n; i++) {
        free(steps->command[i]);
    }
    for (size_t i = 0; i < FED_INIT_QUESTIONS; i++) {
        free(given[i]);
    }
    if (init->has_seen) {
        fed_sniffed_fini(&init->seen);
    }
}

static int run(struct fed_init *init, char *given[FED_INIT_QUESTIONS], bool defaults, bool json, struct fed_error *err) {
    struct steps steps = {.n = 0};
    bool ask = !defaults && isatty(STDIN_FILENO) == 1;
    int rc = !defaults && !ask
                 ? fed_error_set(err, FED_ECONFIG, "there is no terminal to ask on: give --defaults and --data FILE")
                 : FED_OK;
    if (ask) {
        fprintf(stderr,
                "Enter takes what stands in brackets; Ctrl-D gives up. Nothing is written before the last answer.\n\n");
    }
    if (rc == FED_OK) {
        rc = fed_init_ask(init, given, ask, err);
    }
    if (rc == FED_OK) {
        rc = fed_init_write(init, err);
    }
    if (rc == FED_OK) {
        rc = list_steps(&steps, init, err);
    }
    if (rc == FED_OK && json) {
        rc = print_json(init, &steps, err);
    } else if (rc == FED_OK) {
        printf("%s", ask ? "\n" : "");
        rc = print_text(init, &steps, err);
    }
    fini(init, &steps, given);
    return rc;
}

/* Given twice, an option holds both, one a line. */
static int give(char **given, const char *text) {
    char *both = NULL;
    if (asprintf(&both, "%s%s%s", *given != NULL ? *given : "", *given != NULL ? "\n" : "", text) < 0) {
        return FED_ENOMEM;
    }
    free(*given);
    *given = both;
    return FED_OK;
}

/* False after a sentence. */
static bool give_option(char *given[FED_INIT_QUESTIONS], const char *name, const char *text, const char *command) {
    size_t i = 0;
    while (strcmp(fed_init_question(i), name) != 0) {
        i++;
    }
    const char *wrong = given[i] != NULL && strcmp(name, "data") != 0 ? "given twice"
                        : give(&given[i], text) != FED_OK             ? "out of memory"
                                                                      : NULL;
    if (wrong != NULL) {
        fprintf(stderr, "%s: --%s: %s\n", command, name, wrong);
    }
    return wrong == NULL;
}

int fed_cli_init(int argc, char **argv) {
    static const struct option options[] = {{"defaults", no_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"kind", required_argument, NULL, 'q'},
                                            {"data", required_argument, NULL, 'q'},
                                            {"labels", required_argument, NULL, 'q'},
                                            {"label", required_argument, NULL, 'q'},
                                            {"group", required_argument, NULL, 'q'},
                                            {"test", required_argument, NULL, 'q'},
                                            {"test-labels", required_argument, NULL, 'q'},
                                            {"model", required_argument, NULL, 'q'},
                                            {"clients", required_argument, NULL, 'q'},
                                            {"rounds", required_argument, NULL, 'q'},
                                            {"host", required_argument, NULL, 'q'},
                                            {"port", required_argument, NULL, 'q'},
                                            {"name", required_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct fed_error err = {.text = ""};
    struct fed_init init = {.dir = "."};
    char *given[FED_INIT_QUESTIONS] = {NULL};
    bool defaults = false, json = false, good = true;
    int which = 0;
    for (int c; good && (c = getopt_long(argc, argv, "", options, &which)) != -1;) {
        switch (c) {
        case 'd': defaults = true; break;
        case 'j': json = true; break;
        case 'q': good = give_option(given, options[which].name, optarg, argv[0]); break;
        case 'h': return fed_cli_help(usage);
        default: good = false; break;
        }
    }
    if (!good || fed_cli_wrong_words(argc, argv, 0, 1, "DIR")) {
        fini(&init, &(struct steps){.n = 0}, given);
        return fed_cli_misused(usage);
    }
    init.dir = optind < argc ? argv[optind] : ".";
    fed_privilege_protect_secrets();
    int code = run(&init, given, defaults, json, &err);
    return code == FED_OK ? 0 : fed_cli_fail(argv[0], code, &err);
}
