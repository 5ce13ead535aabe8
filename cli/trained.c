#include "cli/trained.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/wait.h"
#include "common/base/file.h"
#include "common/config/task.h"
#include "common/model/import.h"
#include "common/numeric/blas.h"
#include "coordinator/store/model_files.h"
#include "coordinator/terms.h"

#define LISTED 20 /* rounds that a sentence names */

/* -- what it is and where its data lie --------------------------------------------------------------------------------- */

static int take_task(struct fed_trained *t, const struct fed_trained_choice *choice, struct fed_error *err) {
    struct fed_task task = {0};
    int code = fed_task_load(&task, choice->task, choice->sets, choice->n_sets, err);
    if (code != FED_OK) {
        return code;
    }
    if (t->store == NULL) {
        fed_terms_from_task(&t->terms, &task, NULL, 0, 1);
    }
    t->files = (struct fed_run_files){.data = task.data, .initial = task.initial};
    task.data = (struct fed_data_source){0};
    task.initial = NULL;
    fed_task_fini(&task);
    return FED_OK;
}

static int take_stored_files(struct fed_trained *t, const struct fed_trained_choice *choice, struct fed_error *err) {
    json_t *rest = json_loads(fed_store_task_rest(t->store), 0, NULL);
    int code = fed_run_files_decode(&t->files, json_object_get(rest, "files"), t->path, choice->sets, choice->n_sets, err);
    json_decref(rest);
    return code;
}

static int open_store(struct fed_trained *t, const char *dir, const struct fed_trained_choice *choice,
                      struct fed_error *err) {
    int code = fed_store_open_readonly(&t->store, dir, err);
    if (code != FED_OK) {
        return code == FED_ENOTFOUND ? FED_ECONFIG : code;
    }
    const char *text = fed_store_task_terms(t->store);
    if (fed_task_terms_decode(&t->terms, text, strlen(text), err) != FED_OK) {
        return fed_error_prefix(err, FED_EMISMATCH, "%s: its task is not one that this version knows", dir);
    }
    code = fed_model_init(&t->model, &t->terms.model, err);
    if (code != FED_OK) {
        return code;
    }
    return choice->task != NULL ? take_task(t, choice, err) : take_stored_files(t, choice, err);
}

/* -- a model of the run ------------------------------------------------------------------------------------------------ */

struct wanted {
    uint64_t round;
    bool found;
    struct fed_store_round row;
};

static void keep_row(void *context, const struct fed_store_round *row) {
    struct wanted *wanted = context;
    if (row->round == wanted->round) {
        wanted->found = true;
        wanted->row = *row;
    }
}

static int read_row(struct fed_store_round *out, const struct fed_trained *t, uint64_t round, struct fed_error *err) {
    struct wanted wanted = {.round = round};
    int code = round <= INT64_MAX ? fed_store_rounds(t->store, round, keep_row, &wanted, err) : FED_OK;
    if (code == FED_OK && !wanted.found) {
        code = fed_error_set(err, FED_ECONFIG, "%s: there is no round %" PRIu64 " (yet)", t->path, round);
    }
    if (code == FED_OK) {
        *out = wanted.row;
    }
    return code;
}

/* A file that was removed: which are there? */
static int refuse_round(const char *dir, uint64_t round, struct fed_error *err) {
    uint64_t *rounds = NULL;
    size_t n = 0, used = 0;
    char text[16 * LISTED] = "";
    int code = fed_model_files_list(&rounds, &n, dir, err);
    if (code != FED_OK) {
        return code;
    }
    for (size_t i = n > LISTED ? n - LISTED : 0; i < n && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRIu64, used > 0 ? ", " : "", rounds[i]);
    }
    free(rounds);
    return fed_error_set(err, FED_ECONFIG,
                         "%s: the model of round %" PRIu64 " was not kept (server.keep_last); there are those of %s%s", dir,
                         round, n > LISTED ? "..., " : "round ", text);
}

int fed_trained_read_round(struct fed_image **out, struct fed_store_round *record, const struct fed_trained *t,
                           uint64_t round, struct fed_error *err) {
    struct fed_store_round row;
    char *path = NULL;
    int code = read_row(&row, t, round, err);
    if (code != FED_OK) {
        return code;
    }
    if (fed_store_model_path(&path, t->store, round) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        char *dir = NULL;
        code = fed_path_dir(&dir, path) == FED_OK ? refuse_round(dir, round, err) : FED_ENOMEM;
        free(dir);
    } else {
        code = fed_image_read(out, path, &t->model, row.model_digest, err);
    }
    free(path);
    if (code == FED_OK) {
        *record = row;
    }
    return code;
}

static int choose_round(uint64_t *out, const struct fed_trained *t, const struct fed_trained_choice *choice,
                        struct fed_error *err) {
    struct fed_store_state state;
    double accuracy;
    if (choice->has_round) {
        *out = choice->round;
        return FED_OK;
    }
    if (choice->best) {
        int code = fed_store_best(out, &accuracy, t->store, err);
        return code == FED_ENOTFOUND ? FED_ECONFIG : code;
    }
    int code = fed_store_state(&state, t->store, err);
    if (code != FED_OK) {
        return code;
    }
    free(state.cohort);
    *out = state.finished ? state.result_round : state.round;
    return state.has_model ? FED_OK : fed_error_set(err, FED_ECONFIG, "%s: this run has no model yet", t->path);
}

static int open_run_model(struct fed_trained *t, const struct fed_trained_choice *choice, struct fed_error *err) {
    uint64_t round;
    int code = open_store(t, choice->path, choice, err);
    if (code == FED_OK) {
        code = choose_round(&round, t, choice, err);
    }
    return code == FED_OK ? fed_trained_read_round(&t->image, &t->record, t, round, err) : code;
}

/* -- a model in a file ------------------------------------------------------------------------------------------------- */

/* One of ours beside its run.db, whose digest that knows. */
static int open_model_of_run(struct fed_trained *t, const char *dir, const struct fed_trained_choice *choice,
                             struct fed_error *err) {
    int code = open_store(t, dir, choice, err);
    if (code == FED_OK) {
        code = fed_image_read(&t->image, choice->path, &t->model, NULL, err);
    }
    if (code == FED_OK) {
        code = read_row(&t->record, t, t->image->round, err);
    }
    if (code == FED_OK && memcmp(t->record.model_digest, t->image->digest, sizeof t->image->digest) != 0) {
        code = fed_error_set(err, FED_EDATA, "%s is not the model of round %" PRIu64 " that its run.db knows", choice->path,
                             t->image->round);
    }
    return code;
}

static int open_foreign(struct fed_trained *t, const struct fed_trained_choice *choice, struct fed_error *err) {
    static const uint8_t no_run[16];
    if (choice->task == NULL) {
        return fed_error_set(err, FED_ECONFIG, "%s: a file of parameters does not say what model it is: --task TASK.yaml",
                             choice->path);
    }
    int code = take_task(t, choice, err);
    if (code == FED_OK) {
        code = fed_model_init(&t->model, &t->terms.model, err);
    }
    if (code == FED_OK && fed_image_new(&t->image, &t->model, no_run, 0) != FED_OK) {
        code = fed_error_set(err, FED_ENOMEM, "not enough memory for a model of %zu parameters", t->model.n_params);
    }
    if (code == FED_OK) {
        code = fed_import_read(t->image->params, choice->path, &t->model, err);
    }
    return code == FED_OK ? fed_image_finish(t->image, &t->model, no_run) : code;
}

static int open_file(struct fed_trained *t, const struct fed_trained_choice *choice, struct fed_error *err) {
    char *dir = NULL, *db = NULL;
    if (choice->best || choice->has_round) {
        return fed_error_set(err, FED_ECONFIG, "%s: --round and --best choose from a run directory, this is a file",
                             choice->path);
    }
    int code = fed_path_dir(&dir, choice->path);
    if (code == FED_OK) {
        code = fed_path_join(&db, dir, "run.db");
    }
    if (code != FED_OK) {
        fed_error_set(err, code, "not enough memory");
    } else if (choice->task == NULL && access(db, F_OK) == 0) {
        code = open_model_of_run(t, dir, choice, err);
    } else {
        code = open_foreign(t, choice, err);
    }
    free(dir);
    free(db);
    return code;
}

bool fed_trained_parse_round(uint64_t *out, const char *command, const char *option, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value > INT64_MAX) {
        return fed_cli_wrong_value(command, option, text, "the number of a round");
    }
    *out = value;
    return true;
}

bool fed_trained_choose_round(struct fed_trained_choice *choice, const char *command, const char *text) {
    choice->has_round = fed_trained_parse_round(&choice->round, command, "--round", text);
    return choice->has_round;
}

bool fed_trained_wrong_choice(const struct fed_trained_choice *choice, const char *command) {
    bool both = choice->best && choice->has_round;
    if (both) {
        fprintf(stderr, "%s: --round and --best choose a model each: expected one of them\n", command);
    }
    return both;
}

int fed_trained_command(const struct fed_trained_command *command, void *options, struct fed_trained_choice *choice,
                        int argc, char **argv) {
    struct fed_error err = {.text = ""};
    choice->sets = calloc((size_t)argc, sizeof *choice->sets);
    if (choice->sets == NULL) {
        return fed_cli_fail(argv[0], FED_ENOMEM, &err);
    }
    int exit_code = command->parse(options, argc, argv);
    if (exit_code < 0) {
        int code = command->run(options, &err);
        exit_code = code == FED_OK ? 0 : fed_cli_fail(argv[0], code, &err);
    }
    free(choice->sets);
    return exit_code;
}

/* -- both -------------------------------------------------------------------------------------------------------------- */

static int look(bool *is_directory, const char *path, struct fed_error *err) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return fed_error_set(err, FED_ECONFIG, "%s: neither a run directory nor a model file: %s", path, strerror(errno));
    }
    *is_directory = S_ISDIR(st.st_mode);
    return FED_OK;
}

static void start(struct fed_trained *t, const struct fed_trained_choice *choice) {
    *t = (struct fed_trained){.path = choice->path, .record = {.loss = (double)NAN, .accuracy = (double)NAN}};
}

int fed_trained_open(struct fed_trained *out, const struct fed_trained_choice *choice, struct fed_error *err) {
    struct fed_trained t;
    bool is_directory = false;
    start(&t, choice);
    int code = look(&is_directory, choice->path, err);
    if (code == FED_OK) {
        code = is_directory ? open_run_model(&t, choice, err) : open_file(&t, choice, err);
    }
    if (code == FED_OK) {
        *out = t;
    } else {
        fed_trained_fini(&t);
    }
    return code;
}

int fed_trained_open_run(struct fed_trained *out, const struct fed_trained_choice *choice, struct fed_error *err) {
    struct fed_trained t;
    start(&t, choice);
    int code = open_store(&t, choice->path, choice, err);
    if (code == FED_OK) {
        *out = t;
    } else {
        fed_trained_fini(&t);
    }
    return code;
}

void fed_trained_fini(struct fed_trained *trained) {
    fed_image_release(trained->image);
    fed_store_close(trained->store);
    fed_run_files_fini(&trained->files);
    *trained = (struct fed_trained){0};
}

/* -- data and kernels -------------------------------------------------------------------------------------------------- */

/* A model takes one column of a table for another unless they stand as in the table it was trained on. */
static int check_columns(const struct fed_dataset *data, const struct fed_trained *t, struct fed_error *err) {
    const struct fed_data_source *source = &t->files.data;
    struct fed_dataset train = {0};
    if (source->format != FED_DATA_CSV || !fed_data_source_has_train(source)) {
        return FED_OK;
    }
    int code = fed_dataset_load(&train, source, FED_DATA_TRAIN, err);
    if (code == FED_OK) {
        code = fed_dataset_check_columns(data, train.columns, fed_data_source_train_path(source), err);
    }
    fed_dataset_fini(&train);
    return code;
}

static int load(struct fed_dataset *data, const struct fed_trained *t, enum fed_data_part part, struct fed_error *err) {
    int code = fed_dataset_load(data, &t->files.data, part, err);
    if (code != FED_OK && t->store != NULL) { /* moved, or another machine */
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof err->text - n, "; other files: --set data.%s=FILE, or --task TASK.yaml",
                 part == FED_DATA_TEST ? "test" : "train");
    }
    if (code == FED_OK && part == FED_DATA_TEST) {
        code = check_columns(data, t, err);
    }
    return code == FED_OK ? fed_dataset_fit(data, &t->model, err) : code;
}

int fed_trained_load_data(struct fed_dataset *out, const struct fed_trained *t, enum fed_data_part part, bool quiet,
                          struct fed_error *err) {
    struct fed_dataset data = {0};
    bool test = part == FED_DATA_TEST;
    const char *name = test ? "test" : "train";
    if (!(test ? fed_data_source_has_test(&t->files.data) : fed_data_source_has_train(&t->files.data))) {
        return fed_error_set(err, FED_ECONFIG, "%s: its task names no data.%s; name it with --set data.%s=FILE or --task",
                             t->path, name, name);
    }
    struct fed_busy *busy = fed_wait_begin(quiet, "reading the %s data", name);
    int code = load(&data, t, part, err);
    fed_wait_end(busy);
    if (code == FED_OK) {
        *out = data;
    } else {
        fed_dataset_fini(&data);
    }
    return code;
}

int fed_trained_kernels(const struct fed_kernels **out, const struct fed_trained *t, struct fed_error *err) {
    return t->terms.math == FED_MATH_BLAS ? fed_blas_kernels(out, err) : fed_kernels_choose(out, err);
}
