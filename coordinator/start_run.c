/* The run that is started or goes on: what defines it, its directory, the model it stands at, and what is remembered of its
 * rounds. A new run gets its initial model here, as round 0. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/base/busy.h"
#include "common/base/log.h"
#include "common/seal/digest.h"
#include "coordinator/http/partition_file.h"
#include "coordinator/initial.h"
#include "coordinator/round/hygiene_rules.h"
#include "coordinator/start_internal.h"
#include "coordinator/store/hygiene_store.h"
#include "coordinator/store/store_builds.h"
#include "coordinator/terms.h"

/* -- what defines it ---------------------------------------------------------------------------------------------------- */

/* False: a new run, or one that opening it for good will speak about. */
static bool terms_of_run(struct fed_task_terms *out, const struct fed_coordinator *c) {
    struct fed_store *store = NULL;
    if (fed_store_open_readonly(&store, c->options.run_dir, NULL) != FED_OK) {
        return false;
    }
    const char *text = fed_store_task_terms(store);
    bool found = fed_task_terms_decode(out, text, strlen(text), NULL) == FED_OK;
    fed_store_close(store);
    return found;
}

/* The exact sum, with room for the most that the terms allow. */
static int make_fixed(struct fed_coordinator *c, const struct fed_task_terms *terms, uint64_t largest,
                      struct fed_error *err) {
    int rc = fed_fixed_init(&c->fixed, terms->max_delta, terms->max_weight, terms->max_updates, err);
    if (rc != FED_OK) {
        return fed_error_prefix(err, rc, "%s", c->task->path);
    }
    double quantum = ldexp(1.0, -c->fixed.exponent);
    /* 0: the weights are the owners', and nobody can say */
    double smallest = c->has_partition ? (double)fed_partition_smallest(&c->partition) : 0;
    if (largest > 0 && quantum > 1e-9 * smallest) {
        FED_WARN("fixed", "coarse quantum", FED_F64("quantum", quantum), FED_F64("smallest_weight", smallest),
                 FED_STR("remedy", "set algorithm.max_weight to the largest shard, or lower algorithm.max_delta"));
    }
    return FED_OK;
}

static int make_terms(struct fed_coordinator *c, struct fed_task_terms *terms, struct fed_error *err) {
    uint64_t largest = c->has_partition ? fed_partition_largest(&c->partition) : 0;
    uint64_t population = fed_roster_population(c->nodes.roster);
    fed_terms_from_task(terms, c->task, c->has_partition ? c->partition.digest : NULL, largest, population);
    if (c->has_partition) {
        terms->partition.clients = c->partition.n_clients; /* which the task may have left to the data */
    }
    int rc = fed_terms_check_weights(c->task, largest, err);
    if (rc != FED_OK) {
        return rc;
    }
    struct fed_task_terms run;
    bool goes_on = terms_of_run(&run, c);
    if (goes_on) { /* a roster may have outgrown the bound, which is part of the exact sum: cohorts are kept within it */
        terms->max_updates = run.max_updates;
    }
    rc = fed_initial_read(&c->initial, terms, goes_on ? &run : NULL, c->task, &c->model, err);
    if (rc != FED_OK) {
        return rc;
    }
    rc = make_fixed(c, terms, largest, err);
    if (rc != FED_OK) {
        return rc;
    }
    if (fed_task_terms_encode(&c->terms_text, terms) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for the task");
    }
    fed_digest(c->task_digest, c->terms_text, strlen(c->terms_text));
    return FED_OK;
}

/* -- its directory and its model ---------------------------------------------------------------------------------------- */

static int commit_initial_model(struct fed_coordinator *c, struct fed_error *err) {
    if (c->task->initial != NULL && c->initial == NULL) {
        return fed_error_set(err, FED_EDATA, "%s: no such file, and the run has no model yet: put it back",
                             c->task->initial);
    }
    int rc = fed_image_new(&c->image, &c->model, c->run_id, 0);
    if (rc == FED_OK && c->initial != NULL) {
        memcpy(c->image->params, c->initial, c->model.n_params * sizeof *c->initial);
    } else if (rc == FED_OK) {
        fed_model_initial(c->image->params, &c->model, c->task->seed);
    }
    if (rc == FED_OK) {
        rc = fed_image_finish(c->image, &c->model, c->run_id);
    }
    if (rc != FED_OK) {
        return fed_error_set(err, rc, "not enough memory for a model of %zu parameters", c->model.n_params);
    }
    struct fed_store_commit commit = {.header = c->image->bytes,
                                      .n_header = c->image->n_header,
                                      .params = c->image->params,
                                      .n_params_bytes = c->model.n_params * sizeof(float),
                                      .keep_good = true};
    memcpy(commit.model_digest, c->image->digest, sizeof commit.model_digest);
    return fed_store_commit(c->store, &commit, c->task->server.keep_last, err);
}

static int load_committed_model(struct fed_coordinator *c, const struct fed_store_state *state, struct fed_error *err) {
    char *path = NULL;
    int rc = fed_store_model_path(&path, c->store, state->round);
    if (rc != FED_OK) {
        return fed_error_set(err, rc, "not enough memory");
    }
    rc = fed_image_read(&c->image, path, &c->model, state->model_digest, err);
    free(path);
    return rc;
}

/* For the page alone, so it may fail. */
static void keep_partition(struct fed_coordinator *c) {
    struct fed_error why = {""};
    if (c->partition_text != NULL && fed_partition_file_write(c->options.run_dir, c->partition_text, &why) != FED_OK) {
        FED_WARN("store", "the page will not show the partition", FED_STR("why", why.text));
    }
    free(c->partition_text);
    c->partition_text = NULL;
}

static int open_store(struct fed_coordinator *c, struct fed_store_state *state, struct fed_error *err) {
    char *rest = NULL;
    if (fed_terms_rest(&rest, c->task) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for the task");
    }
    int rc = fed_store_open(&c->store, c->options.run_dir, c->terms_text, rest, err);
    free(rest);
    if (rc != FED_OK) {
        return rc;
    }
    memcpy(c->run_id, fed_store_run_id(c->store), sizeof c->run_id);
    keep_partition(c);
    rc = fed_store_state(state, c->store, err);
    if (rc != FED_OK) {
        return rc;
    }
    if (!state->has_model) {
        rc = commit_initial_model(c, err);
        state->loss = state->accuracy = NAN;
        return rc;
    }
    return load_committed_model(c, state, err);
}

/* -- what it has behind it ---------------------------------------------------------------------------------------------- */

/* A finished run that is started again only says its result, unless the task now asks for more. */
static bool is_over(const struct fed_coordinator *c, const struct fed_store_state *state) {
    const struct fed_algorithm *algorithm = &c->task->algorithm;
    bool reached = algorithm->target_accuracy > 0 && state->accuracy >= algorithm->target_accuracy;
    return state->finished && (!c->has_test || state->evaluated || state->rolled_back) &&
           (state->round >= algorithm->rounds || reached);
}

static int record_build(const struct fed_coordinator *c, const struct fed_store_state *state, struct fed_error *err) {
    struct fed_store_build build = {.round = state->has_model ? state->round + 1 : 0};
    struct utsname system;
    uname(&system);
    snprintf(build.fedavg, sizeof build.fedavg, "%s", FED_VERSION);
    snprintf(build.kernels, sizeof build.kernels, "%s", c->kernels->name);
    snprintf(build.cpu, sizeof build.cpu, "%.31s", system.machine);
    return fed_store_record_build(c->store, &build, err);
}

/* What updates are held against. */
static int remember_rounds(struct fed_coordinator *c, const struct fed_task_terms *terms, struct fed_error *err) {
    struct fed_hygiene_config rules = fed_hygiene_rules(terms, c->has_partition ? &c->partition : NULL, &c->task->hygiene);
    return fed_hygiene_read(&c->past, &rules, c->store, err);
}

int fed_start_run(struct fed_coordinator *c, struct fed_store_state *state, struct fed_error *err) {
    struct fed_task_terms terms;
    int rc = make_terms(c, &terms, err);
    if (rc == FED_OK) {
        struct fed_busy *busy = fed_busy_log("store", "opening %s and its model", c->options.run_dir);
        rc = open_store(c, state, err);
        fed_busy_end(busy);
        free(c->initial);
        c->initial = NULL;
    }
    c->over = rc == FED_OK && is_over(c, state);
    if (rc == FED_OK && !c->over) {
        rc = record_build(c, state, err);
    }
    if (rc == FED_OK) {
        rc = remember_rounds(c, &terms, err);
    }
    return rc == FED_OK ? fed_presence_restore_quarantines(c, err) : rc;
}
