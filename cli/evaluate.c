/* fedavg evaluate: how good a model is, on the test data of its run or on any other. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/score.h"
#include "cli/trained.h"
#include "cli/working.h"
#include "common/base/standard.h"
#include "common/seal/digest.h"
#include "common/seal/keys.h"

static const char usage[] =
    "fedavg evaluate RUN|MODEL.safetensors [--round N | --best] [--data test|train] [--task TASK.yaml]\n"
    "                       [--set key=value]... [--json] [--quiet]\n"
    "  the loss and accuracy of a committed model (default: the run's result, or its newest), or of a file of parameters\n"
    "\n"
    "  --data     the data to evaluate on (default: test)\n"
    "  --task     where the data lie; for a file that is not in a run directory, also what model it is\n"
    "  --set      another file in place of the run's, such as data.test=FILE, or any key of the task\n"
    "  --json     one JSON object, with classes and what was taken for what\n"
    "  --quiet    no progress\n";

struct options {
    struct fed_trained_choice choice;
    enum fed_data_part part;
    bool json, quiet;
};

#define SHOWN_CLASSES 32 /* as text */
#define SHOWN_NAME 16

/* -- classes ----------------------------------------------------------------------------------------------------------- */

/* A character of a vocabulary, in UTF-8. */
static json_t *symbol_json(uint8_t symbol) {
    char text[3] = {(char)symbol, '\0', '\0'};
    if (symbol >= 0x80) {
        text[0] = (char)(0xc0 | symbol >> 6);
        text[1] = (char)(0x80 | (symbol & 0x3f));
    }
    return json_string(text);
}

/* The name that the task has for class c; *n = 0: it has none. */
static const char *find_name(size_t *n, const char *names, uint32_t c) {
    for (uint32_t i = 0; i < c && *names != '\0'; i++) {
        names += strcspn(names, "\n");
        names += *names != '\0';
    }
    *n = strcspn(names, "\n");
    return names;
}

static const char *show_class(char out[SHOWN_NAME], const struct fed_model *model, uint32_t c) {
    size_t n;
    const char *name = find_name(&n, model->spec.classes, c);
    uint8_t symbol = model->spec.n_symbols > 0 ? model->spec.symbols[c] : 0;
    if (symbol > ' ' && symbol < 0x7f) {
        snprintf(out, SHOWN_NAME, "%c", symbol);
    } else if (symbol != 0) {
        snprintf(out, SHOWN_NAME, "0x%02x", symbol);
    } else if (n > 0) {
        snprintf(out, SHOWN_NAME, "%.*s", (int)(n < SHOWN_NAME - 1 ? n : SHOWN_NAME - 1), name);
    } else {
        snprintf(out, SHOWN_NAME, "%" PRIu32, c);
    }
    return out;
}

static const uint64_t *row_of(const struct fed_score *score, uint32_t c) {
    return score->confusion + (size_t)c * (score->n_classes + 1);
}

static uint64_t row_sum(const struct fed_score *score, uint32_t c) {
    uint64_t sum = 0;
    for (uint32_t k = 0; k <= score->n_classes; k++) {
        sum += row_of(score, c)[k];
    }
    return sum;
}

/* -- text -------------------------------------------------------------------------------------------------------------- */

/* What a class is most often taken for besides itself. */
static void print_confused(const struct fed_score *score, const struct fed_model *model, uint32_t c) {
    char name[SHOWN_NAME];
    const uint64_t *row = row_of(score, c);
    uint32_t worst = c;
    for (uint32_t k = 0; k < score->n_classes; k++) {
        if (k != c && row[k] > (worst == c ? 0 : row[worst])) {
            worst = k;
        }
    }
    if (worst != c) {
        printf("   %s (%" PRIu64 ")", show_class(name, model, worst), row[worst]);
    }
}

static void print_classes(const struct fed_score *score, const struct fed_model *model) {
    char name[SHOWN_NAME];
    if (score->n_classes == 0 || score->n_classes > SHOWN_CLASSES) {
        return;
    }
    printf("\n%-*s  examples   correct   mostly mistaken for\n", SHOWN_NAME, "class");
    for (uint32_t c = 0; c < score->n_classes; c++) {
        uint64_t all = row_sum(score, c);
        printf("%-*s  %8" PRIu64, SHOWN_NAME, show_class(name, model, c), all);
        if (all > 0) {
            printf("  %6.2f %%", 100.0 * (double)row_of(score, c)[c] / (double)all);
            print_confused(score, model, c);
        }
        printf("\n");
    }
}

static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static bool as_recorded(const struct fed_score *score, const struct fed_store_round *record) {
    return same_number(score->evaluation.loss, record->loss) && same_number(score->evaluation.accuracy, record->accuracy);
}

/* Whether what we evaluate on is what the run itself does, and it has. */
static bool is_own(const struct options *options, const struct fed_trained *t) {
    return t->store != NULL && options->part == FED_DATA_TEST && options->choice.task == NULL &&
           options->choice.n_sets == 0 && !(isnan(t->record.loss) && isnan(t->record.accuracy));
}

static int print_text(const struct fed_score *score, const struct fed_trained *t, const struct options *options,
                      struct fed_error *err) {
    const struct fed_evaluation *found = &score->evaluation;
    char hex[FED_DIGEST_HEX];
    fed_hex(hex, t->image->digest, sizeof t->image->digest);
    printf("%s", t->terms.name);
    if (t->store != NULL) {
        printf(", round %" PRIu64, t->image->round);
    }
    printf("\nmodel      %s\nexamples   %zu\nloss       %.6g\n", hex, score->n_examples, found->loss);
    if (!isnan(found->accuracy)) {
        printf("accuracy   %.2f %%\n", 100.0 * found->accuracy);
    }
    if (is_own(options, t) && as_recorded(score, &t->record)) {
        printf("recorded   the same, to the last bit\n");
    } else if (is_own(options, t)) {
        printf("recorded   loss %.17g, accuracy %.17g: not the same; was the test data changed?\n", t->record.loss,
               t->record.accuracy);
    }
    print_classes(score, &t->model);
    return fed_standard_flush(err);
}

/* -- JSON -------------------------------------------------------------------------------------------------------------- */

static json_t *class_json(const struct fed_score *score, const struct fed_model *model, uint32_t c) {
    size_t n;
    const char *name = find_name(&n, model->spec.classes, c);
    uint64_t all = row_sum(score, c), right = row_of(score, c)[c];
    json_t *row =
        json_pack("{s:I, s:I, s:I, s:o}", "class", (json_int_t)c, "examples", (json_int_t)all, "correct", (json_int_t)right,
                  "accuracy", fed_cli_json_number(all > 0 ? (double)right / (double)all : (double)NAN));
    if (model->spec.n_symbols > 0) {
        json_object_set_new(row, "name", symbol_json(model->spec.symbols[c]));
    } else if (n > 0) {
        json_object_set_new(row, "name", json_stringn(name, n));
    }
    return row;
}

static int add_classes(json_t *root, const struct fed_score *score, const struct fed_model *model) {
    json_t *classes = json_array(), *confusion = json_array();
    bool ok = true;
    for (uint32_t c = 0; c < score->n_classes && ok; c++) {
        json_t *counts = json_array();
        for (uint32_t k = 0; k <= score->n_classes && ok; k++) {
            ok = json_array_append_new(counts, json_integer((json_int_t)row_of(score, c)[k])) == 0;
        }
        ok = json_array_append_new(classes, class_json(score, model, c)) == 0 && ok;
        ok = json_array_append_new(confusion, counts) == 0 && ok;
    }
    ok = json_object_set_new(root, "classes", classes) == 0 && ok;
    return json_object_set_new(root, "confusion", confusion) == 0 && ok ? FED_OK : FED_ENOMEM;
}

static int print_json(const struct fed_score *score, const struct fed_trained *t, const struct options *options,
                      struct fed_error *err) {
    const struct fed_evaluation *found = &score->evaluation;
    char hex[FED_DIGEST_HEX], run[2 * 16 + 1];
    fed_hex(hex, t->image->digest, sizeof t->image->digest);
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "event", "evaluation", "name", t->terms.name, "model", hex, "data",
                  options->part == FED_DATA_TEST ? "test" : "train", "examples", (json_int_t)score->n_examples, "loss",
                  fed_cli_json_number(found->loss), "accuracy", fed_cli_json_number(found->accuracy));
    if (root != NULL && t->store != NULL) {
        fed_hex(run, fed_store_run_id(t->store), 16);
        json_object_set_new(root, "run_id", json_string(run));
        json_object_set_new(root, "round", json_integer((json_int_t)t->image->round));
    }
    if (root != NULL && is_own(options, t)) {
        json_object_set_new(root, "recorded",
                            json_pack("{s:o, s:o, s:b}", "loss", fed_cli_json_number(t->record.loss), "accuracy",
                                      fed_cli_json_number(t->record.accuracy), "same", (int)as_recorded(score, &t->record)));
    }
    if (root == NULL || (score->n_classes > 0 && add_classes(root, score, &t->model) != FED_OK)) {
        json_decref(root);
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    return fed_cli_print_json(root, err);
}

/* -- the command ------------------------------------------------------------------------------------------------------- */

static int run(const void *context, struct fed_error *err) {
    const struct options *options = context;
    struct fed_trained trained = {0};
    struct fed_dataset data = {0};
    struct fed_score score = {0};
    struct fed_working working;
    const struct fed_kernels *kernels = NULL;
    int code = fed_seal_setup(err);
    if (code == FED_OK) {
        code = fed_trained_open(&trained, &options->choice, err);
    }
    if (code == FED_OK) {
        code = fed_trained_kernels(&kernels, &trained, err);
    }
    if (code == FED_OK) {
        code = fed_trained_load_data(&data, &trained, options->part, options->quiet, err);
    }
    if (code == FED_OK) {
        fed_working_start(&working, "evaluating: hundred", options->quiet);
        code = fed_score_make(&score, &trained.model, trained.image->params, &data, kernels, fed_cli_cores(), &working, err);
        fed_working_end(&working);
    }
    if (code == FED_OK) {
        code = fed_dataset_check_unchanged(&data, err);
    }
    if (code == FED_OK) {
        code = options->json ? print_json(&score, &trained, options, err) : print_text(&score, &trained, options, err);
    }
    fed_score_fini(&score);
    fed_dataset_fini(&data);
    fed_trained_fini(&trained);
    return code;
}

static bool parse_part(enum fed_data_part *out, const char *command, const char *text) {
    *out = strcmp(text, "train") == 0 ? FED_DATA_TRAIN : FED_DATA_TEST;
    return *out == FED_DATA_TRAIN || strcmp(text, "test") == 0 ||
           fed_cli_wrong_value(command, "--data", text, "test or train");
}

/* -1: go on; otherwise the exit code. */
static int parse(void *context, int argc, char **argv) {
    struct options *options = context;
    static const struct option names[] = {{"round", required_argument, NULL, 'r'},
                                          {"best", no_argument, NULL, 'b'},
                                          {"data", required_argument, NULL, 'd'},
                                          {"task", required_argument, NULL, 't'},
                                          {"set", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct fed_trained_choice *choice = &options->choice;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case 'r': good = fed_trained_choose_round(choice, argv[0], optarg); break;
        case 'b': choice->best = true; break;
        case 'd': good = parse_part(&options->part, argv[0], optarg); break;
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
    if (fed_cli_wrong_words(argc, argv, 1, 1, "RUN") || fed_trained_wrong_choice(choice, argv[0])) {
        return fed_cli_misused(usage);
    }
    choice->path = argv[optind];
    return -1;
}

int fed_cli_evaluate(int argc, char **argv) {
    static const struct fed_trained_command command = {parse, run};
    struct options options = {.part = FED_DATA_TEST};
    return fed_trained_command(&command, &options, &options.choice, argc, argv);
}
