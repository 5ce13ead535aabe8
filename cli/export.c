/* fedavg export: a committed model for programs that know nothing of fedavg. */
#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/export/export.h"
#include "cli/trained.h"
#include "common/base/file.h"
#include "common/base/standard.h"
#include "common/config/model_words.h"
#include "common/seal/digest.h"
#include "common/seal/keys.h"

static const char usage[] =
    "fedavg export RUN|MODEL.safetensors (-o|--output) FILE.safetensors|FILE.npz|FILE.onnx [--round N | --best]\n"
    "                     [--probabilities] [--task TASK.yaml] [--set key=value]... [--json]\n"
    "  writes a committed model (default: the run's result, or its newest) in the format that the file's name ends in\n"
    "\n"
    "  --probabilities  the ONNX model ends with softmax or sigmoid (default: logits)\n"
    "  --task           of a file that is not in a run directory: what model it is\n"
    "  --set            a key of that task\n"
    "  --json           one JSON object about what was written\n";

struct options {
    struct fed_trained_choice choice;
    const char *output;
    bool probabilities, json;
};

#define FILE_MODE 0644
#define PAIRS 8

static int write_safetensors(const char *path, const struct fed_image *image, struct fed_error *err) {
    return fed_file_replace(path, &(struct iovec){.iov_base = image->bytes, .iov_len = image->n_bytes}, 1, FILE_MODE, err);
}

/* -- what is said of the model ----------------------------------------------------------------------------------------- */

struct about {
    char sentence[256], run_id[2 * 16 + 1], round[24], digest[FED_DIGEST_HEX], vocabulary[FED_VOCABULARY_TEXT];
    const char *pairs[PAIRS][2];
    struct fed_export_info info;
};

static void add(struct about *about, const char *key, const char *value) {
    about->pairs[about->info.n_pairs][0] = key;
    about->pairs[about->info.n_pairs++][1] = value;
}

static void describe(struct about *about, const struct fed_trained *t, bool probabilities) {
    const struct fed_model_spec *spec = &t->model.spec;
    *about = (struct about){.info = {.name = t->terms.name, .probabilities = probabilities}};
    fed_hex(about->digest, t->image->digest, sizeof t->image->digest);
    if (t->store != NULL) {
        fed_hex(about->run_id, fed_store_run_id(t->store), 16);
        snprintf(about->round, sizeof about->round, "%" PRIu64, t->image->round);
        snprintf(about->sentence, sizeof about->sentence, "fedavg task %s, run %s, round %s, model %s", t->terms.name,
                 about->run_id, about->round, about->digest);
        add(about, "fedavg.run_id", about->run_id);
        add(about, "fedavg.round", about->round);
    } else {
        snprintf(about->sentence, sizeof about->sentence, "fedavg task %s, model %s", t->terms.name, about->digest);
    }
    add(about, "fedavg.model", about->digest);
    if (spec->classes[0] != '\0') {
        add(about, "fedavg.classes", spec->classes);
    }
    if (spec->n_symbols > 0) {
        add(about, "fedavg.vocabulary", fed_model_words_vocabulary(about->vocabulary, spec));
    }
    about->info.pairs = (const char *const(*)[2])about->pairs;
    about->info.sentence = about->sentence;
}

/* -- the command ------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    return n > m && strcasecmp(path + n - m, end) == 0;
}

/* NULL: none of ours. */
static const char *format_of(const char *path) {
    return ends_in(path, ".safetensors") ? "safetensors"
           : ends_in(path, ".npz")       ? "npz"
           : ends_in(path, ".onnx")      ? "onnx"
                                         : NULL;
}

static int write_file(const struct options *options, const struct fed_trained *t, const struct about *about,
                      struct fed_error *err) {
    const char *format = format_of(options->output);
    if (strcmp(format, "safetensors") == 0) {
        return write_safetensors(options->output, t->image, err);
    }
    return strcmp(format, "npz") == 0 ? fed_export_npz(options->output, &t->model, t->image->params, &about->info, err)
                                      : fed_export_onnx(options->output, &t->model, t->image->params, &about->info, err);
}

static int say(const struct options *options, const struct fed_trained *t, const struct about *about,
               struct fed_error *err) {
    struct stat st;
    if (stat(options->output, &st) != 0) {
        return fed_error_set(err, FED_EIO, "%s: written, and gone again", options->output);
    }
    if (!options->json) {
        printf("%s: %s\n", options->output, about->sentence);
        return fed_standard_flush(err);
    }
    json_t *root = json_pack("{s:s, s:s, s:o, s:s, s:s, s:I, s:I}", "event", "export", "name", t->terms.name, "file",
                             fed_cli_json_path(options->output), "format", format_of(options->output), "model",
                             about->digest, "parameters", (json_int_t)t->model.n_params, "bytes", (json_int_t)st.st_size);
    if (root != NULL && t->store != NULL) {
        json_object_set_new(root, "run_id", json_string(about->run_id));
        json_object_set_new(root, "round", json_integer((json_int_t)t->image->round));
    }
    return fed_cli_print_json(root, err);
}

static int run(const void *context, struct fed_error *err) {
    const struct options *options = context;
    struct fed_trained trained = {0};
    struct about about;
    assert(options->output != NULL);
    if (format_of(options->output) == NULL) {
        return fed_error_set(err, FED_ECONFIG, "%s: its name ends in none of .safetensors, .npz and .onnx", options->output);
    }
    if (options->probabilities && strcmp(format_of(options->output), "onnx") != 0) {
        return fed_error_set(err, FED_ECONFIG, "--probabilities goes with .onnx: %s holds parameters alone",
                             options->output);
    }
    int code = fed_seal_setup(err);
    if (code == FED_OK) {
        code = fed_trained_open(&trained, &options->choice, err);
    }
    if (code == FED_OK) {
        describe(&about, &trained, options->probabilities);
        code = write_file(options, &trained, &about, err);
    }
    if (code == FED_OK) {
        code = say(options, &trained, &about, err);
    }
    fed_trained_fini(&trained);
    return code;
}

/* -1: go on; otherwise the exit code. */
static int parse(void *context, int argc, char **argv) {
    struct options *options = context;
    static const struct option names[] = {{"output", required_argument, NULL, 'o'},
                                          {"round", required_argument, NULL, 'r'},
                                          {"best", no_argument, NULL, 'b'},
                                          {"probabilities", no_argument, NULL, 'p'},
                                          {"task", required_argument, NULL, 't'},
                                          {"set", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct fed_trained_choice *choice = &options->choice;
    for (int c; (c = getopt_long(argc, argv, "o:", names, NULL)) != -1;) {
        switch (c) {
        case 'o': options->output = optarg; break;
        case 'r':
            if (!fed_trained_choose_round(choice, argv[0], optarg)) {
                return fed_cli_misused(usage);
            }
            break;
        case 'b': choice->best = true; break;
        case 'p': options->probabilities = true; break;
        case 't': choice->task = optarg; break;
        case 's': choice->sets[choice->n_sets++] = optarg; break;
        case 'j': options->json = true; break;
        case 'h': return fed_cli_help(usage);
        default: return fed_cli_misused(usage);
        }
    }
    bool wrong = fed_cli_wrong_words(argc, argv, 1, 1, "RUN") || fed_trained_wrong_choice(choice, argv[0]);
    if (!wrong && options->output == NULL) {
        fprintf(stderr, "%s: -o FILE is missing\n", argv[0]);
        wrong = true;
    }
    if (wrong) {
        return fed_cli_misused(usage);
    }
    choice->path = argv[optind];
    return -1;
}

int fed_cli_export(int argc, char **argv) {
    static const struct fed_trained_command command = {parse, run};
    struct options options = {.json = false};
    return fed_trained_command(&command, &options, &options.choice, argc, argv);
}
