/* A trained model that a command is pointed at: one that a run has committed, or a file of parameters together with a task
 * that says what they are. */
#ifndef FED_CLI_TRAINED_H
#define FED_CLI_TRAINED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/run_files.h"
#include "common/config/terms.h"
#include "common/data/dataset.h"
#include "common/model/image.h"
#include "common/model/model.h"
#include "common/numeric/kernels.h"
#include "coordinator/store/store.h"

/* What the command line says. All text is borrowed. */
struct fed_trained_choice {
    const char *path;  /* a run directory, a model file in one, or any other file of parameters */
    const char *task;  /* where the data lie, and of a file without a run what it is; NULL: the run knows */
    const char **sets; /* "key=value", of the task, or of where a run's data lie */
    size_t n_sets;
    bool best, has_round; /* of a run; neither: its result, or its newest round as long as there is none */
    uint64_t round;
};

struct fed_trained {
    struct fed_store *store;     /* open for reading; NULL: parameters without a run */
    struct fed_task_terms terms; /* of the run; without one only name, model, seed and math are filled */
    struct fed_run_files files;  /* where data lie */
    struct fed_model model;
    struct fed_image *image;       /* its parameters, round and digest */
    struct fed_store_round record; /* what the run says of that round; NaN where it was not evaluated */
    const char *path;              /* of the choice */
};

/* The number of a round on a command line; false after a sentence. */
bool fed_trained_parse_round(uint64_t *out, const char *command, const char *option, const char *text);
/* The same for --round. */
bool fed_trained_choose_round(struct fed_trained_choice *choice, const char *command, const char *text);
/* True, after a sentence, where --round and --best are both given. */
bool fed_trained_wrong_choice(const struct fed_trained_choice *choice, const char *command);

/* What a command about a trained model does: parse its options (-1: go on; otherwise the exit code), run, and say what went
 * wrong. choice lies in options; its sets have room for one a word of the command line. */
struct fed_trained_command {
    int (*parse)(void *options, int argc, char **argv);
    int (*run)(const void *options, struct fed_error *err);
};
int fed_trained_command(const struct fed_trained_command *command, void *options, struct fed_trained_choice *choice,
                        int argc, char **argv);

/* Reads the run and the model, not the data. FED_ECONFIG: neither a run nor a file, no task for it, a round that is not
 * there or whose model was not kept; FED_EDATA, FED_EMISMATCH, FED_EIO, FED_ENOMEM. */
int fed_trained_open(struct fed_trained *out, const struct fed_trained_choice *choice, struct fed_error *err) FED_MUST_CHECK;
/* A run alone, without any model: image is NULL, record zeros. choice.path is a run directory. */
int fed_trained_open_run(struct fed_trained *out, const struct fed_trained_choice *choice,
                         struct fed_error *err) FED_MUST_CHECK;
void fed_trained_fini(struct fed_trained *trained);

/* The verified model of a round of the run. FED_ECONFIG: no such round, or its model was not kept (the sentence says which
 * were). */
int fed_trained_read_round(struct fed_image **out, struct fed_store_round *record, const struct fed_trained *trained,
                           uint64_t round, struct fed_error *err) FED_MUST_CHECK;

/* The data, fitting the model; sentences say how to name other files. quiet: nothing is said when it takes long. */
int fed_trained_load_data(struct fed_dataset *out, const struct fed_trained *trained, enum fed_data_part part, bool quiet,
                          struct fed_error *err) FED_MUST_CHECK;
/* The kernels that the run computes with. */
int fed_trained_kernels(const struct fed_kernels **out, const struct fed_trained *trained,
                        struct fed_error *err) FED_MUST_CHECK;

#endif
