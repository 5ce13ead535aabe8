/* coordinator/store, made up: what is committed here is there after any crash, what is not is lost. A write fails now and
 * then and leaves everything as it was. */
#include "coordinator/store/store_builds.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/sim.h"

struct fed_store {
    bool is_new;
};

struct sim_disk sim_disk;

static const uint8_t run_id[16] = "a simulated run";
static char *kept_terms, *kept_rest;
static bool open_now;

static void free_round(struct sim_round *round) {
    free(round->params);
    free(round->header);
    free(round->updates);
    *round = (struct sim_round){.accuracy = NAN, .loss = NAN};
}

void sim_disk_wipe(void) {
    for (size_t r = 0; r <= SIM_ROUNDS; r++) {
        free_round(&sim_disk.rounds[r]);
    }
    free(kept_terms);
    free(kept_rest);
    kept_terms = kept_rest = NULL;
    struct sim_disk empty = {.has_model = false};
    for (size_t r = 0; r <= SIM_ROUNDS; r++) {
        empty.rounds[r].accuracy = empty.rounds[r].loss = NAN;
    }
    sim_disk = empty;
    open_now = false;
}

static void *copied(const void *bytes, size_t n) {
    void *copy = sim_new(n + 1);
    if (n > 0) {
        memcpy(copy, bytes, n);
    }
    return copy;
}

/* FED_EIO, or a death, before anything is written. */
static int begin_write(const char *what, struct fed_error *err) {
    if (sim_dies_here(sim.coordinator)) {
        return fed_error_set(err, FED_EIO, "dead");
    }
    if (sim.trouble && sim_chance(sim.bad_writes)) {
        sim_note("the disk refuses %s", what);
        return fed_error_set(err, FED_EIO, "the disk refuses %s", what);
    }
    return FED_OK;
}

/* -- opening -------------------------------------------------------------------------------------------------------- */

int fed_store_open(struct fed_store **out, const char *dir, const char *task_terms, const char *task_rest,
                   struct fed_error *err) {
    (void)dir;
    sim_require(!open_now, "two coordinators have the run open");
    if (kept_terms != NULL && strcmp(kept_terms, task_terms) != 0) {
        sim_require(false, "the terms are others after a restart: %s", task_terms);
    }
    struct fed_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return fed_error_set(err, FED_ENOMEM, "no memory");
    }
    store->is_new = kept_terms == NULL;
    if (store->is_new) {
        kept_terms = copied(task_terms, strlen(task_terms) + 1);
    }
    free(kept_rest);
    kept_rest = copied(task_rest, strlen(task_rest) + 1);
    open_now = true;
    *out = store;
    return FED_OK;
}

int fed_store_open_readonly(struct fed_store **out, const char *dir, struct fed_error *err) {
    (void)dir;
    struct fed_store *store = kept_terms != NULL ? calloc(1, sizeof *store) : NULL;
    if (store == NULL) {
        return fed_error_set(err, FED_ENOTFOUND, "there is no run yet");
    }
    *out = store;
    return FED_OK;
}

void fed_store_close(struct fed_store *store) {
    open_now = false;
    free(store);
}

const uint8_t *fed_store_run_id(const struct fed_store *store) {
    (void)store;
    return run_id;
}
const char *fed_store_task_terms(const struct fed_store *store) {
    (void)store;
    return kept_terms;
}
const char *fed_store_task_rest(const struct fed_store *store) {
    (void)store;
    return kept_rest;
}
bool fed_store_is_new(const struct fed_store *store) { return store->is_new; }

int fed_store_state(struct fed_store_state *out, struct fed_store *store, struct fed_error *err) {
    (void)store;
    (void)err;
    const struct sim_round *round = &sim_disk.rounds[sim_disk.committed];
    *out = (struct fed_store_state){.has_model = sim_disk.has_model,
                                    .round = sim_disk.committed,
                                    .evaluated = round->evaluated,
                                    .loss = round->loss,
                                    .accuracy = round->accuracy,
                                    .rolled_back = round->rolled_back,
                                    .attempt = sim_disk.attempt,
                                    .cohort = copied(sim_disk.cohort, sizeof sim_disk.cohort),
                                    .n_cohort = sim_disk.n_cohort,
                                    .finished = sim_disk.finished,
                                    .result_round = sim_disk.result_round,
                                    .target_round = sim_disk.target_round};
    memcpy(out->model_digest, round->digest, sizeof out->model_digest);
    return FED_OK;
}

/* -- writing -------------------------------------------------------------------------------------------------------- */

int fed_store_open_attempt(struct fed_store *store, uint64_t round, uint32_t attempt, const uint64_t *cohort, size_t n,
                           struct fed_error *err) {
    (void)store;
    int rc = begin_write("an attempt", err);
    if (rc != FED_OK) {
        return rc;
    }
    sim_ledger_opened(round, attempt, cohort, n);
    sim_disk.attempt = attempt;
    memcpy(sim_disk.cohort, cohort, n * sizeof *cohort);
    sim_disk.n_cohort = n;
    sim_disk.n_attempts++;
    sim_note("stored: attempt %" PRIu32 " of round %" PRIu64 ", %zu clients", attempt, round, n);
    return FED_OK;
}

static void take_back(struct sim_round *round, const struct fed_store_rollback *rollback) {
    const struct sim_round *good = &sim_disk.rounds[rollback->to_round];
    round->rolled_back = true;
    round->to_round = rollback->to_round;
    round->fallen_loss = rollback->loss;
    round->evaluated = good->evaluated;
    round->loss = good->loss;
    round->accuracy = good->accuracy;
}

bool sim_disk_stands(uint64_t number) {
    for (uint64_t r = number + 1; r <= sim_disk.committed; r++) {
        if (sim_disk.rounds[r].rolled_back && sim_disk.rounds[r].to_round < number) {
            return false;
        }
    }
    return true;
}

static bool is_good(uint64_t number) {
    const struct sim_round *round = &sim_disk.rounds[number];
    return number > 0 && round->evaluated && isfinite(round->loss) && sim_disk_stands(number);
}

int fed_store_commit(struct fed_store *store, const struct fed_store_commit *commit, uint64_t keep_last,
                     struct fed_error *err) {
    (void)store;
    (void)keep_last;
    int rc = begin_write("a round", err);
    if (rc != FED_OK) {
        return rc;
    }
    sim_ledger_committed(commit);
    struct sim_round *round = &sim_disk.rounds[commit->round];
    free_round(round);
    round->attempt = commit->attempt;
    memcpy(round->digest, commit->model_digest, sizeof round->digest);
    round->n_header = commit->n_header;
    round->header = copied(commit->header, commit->n_header);
    round->n_params = commit->n_params_bytes / sizeof(float);
    round->params = copied(commit->params, commit->n_params_bytes);
    round->n_updates = commit->n_updates;
    round->updates = copied(commit->updates, commit->n_updates * sizeof *commit->updates);
    if (commit->rollback != NULL) {
        take_back(round, commit->rollback);
    }
    sim_disk.has_model = true;
    sim_disk.committed = commit->round;
    sim_disk.attempt = commit->round == 0 ? sim_disk.attempt : 0;
    sim_disk.n_cohort = 0;
    sim_disk.finished = false;
    for (size_t i = 0; i < commit->n_refusals; i++) {
        for (int code = 1; code < FED_REFUSAL_COUNT; code++) {
            if (strcmp(fed_refusal_name((enum fed_refusal)code), commit->refusals[i].reason) == 0) {
                sim_disk.n_refusals[code] += commit->refusals[i].count;
            }
        }
    }
    sim_note("stored: round %" PRIu64 " by attempt %" PRIu32 ", %zu clients", commit->round, commit->attempt,
             commit->n_updates);
    return FED_OK;
}

int fed_store_evaluation(struct fed_store *store, uint64_t round, double loss, double accuracy, bool target_reached,
                         struct fed_error *err) {
    (void)store;
    int rc = begin_write("an evaluation", err);
    if (rc != FED_OK) {
        return rc;
    }
    sim_require(round <= sim_disk.committed, "an evaluation of round %" PRIu64 ", which is not committed", round);
    sim_disk.rounds[round].evaluated = true;
    sim_disk.rounds[round].loss = loss;
    sim_disk.rounds[round].accuracy = accuracy;
    if (target_reached && sim_disk.target_round == 0) {
        sim_disk.target_round = round;
    }
    return FED_OK;
}

int fed_store_record_build(struct fed_store *store, const struct fed_store_build *build, struct fed_error *err) {
    (void)store;
    (void)build;
    (void)err;
    return FED_OK;
}

int fed_store_finish(struct fed_store *store, uint64_t result_round, struct fed_error *err) {
    (void)store;
    int rc = begin_write("the end", err);
    if (rc != FED_OK) {
        return rc;
    }
    sim_ledger_finished(result_round);
    sim_disk.finished = true;
    sim_disk.result_round = result_round;
    sim_note("stored: the result is round %" PRIu64, result_round);
    return FED_OK;
}

/* -- reading -------------------------------------------------------------------------------------------------------- */

/* The file is written when somebody wants to read it. */
int fed_store_model_path(char **out, const struct fed_store *store, uint64_t number) {
    (void)store;
    const struct sim_round *round = &sim_disk.rounds[number];
    char path[128];
    snprintf(path, sizeof path, "%s/model", sim.dir);
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(round->header, 1, round->n_header, file) != round->n_header ||
        fwrite(round->params, sizeof(float), round->n_params, file) != round->n_params || fclose(file) != 0) {
        abort();
    }
    *out = copied(path, strlen(path) + 1);
    return FED_OK;
}

int fed_store_best(uint64_t *round, double *accuracy, struct fed_store *store, struct fed_error *err) {
    (void)round;
    (void)accuracy;
    (void)store;
    return fed_error_set(err, FED_ENOTFOUND, "nobody asks here");
}

int fed_store_last_evaluated(uint64_t *round, double *loss, double *accuracy, struct fed_store *store,
                             struct fed_error *err) {
    (void)round;
    (void)loss;
    (void)accuracy;
    (void)store;
    return fed_error_set(err, FED_ENOTFOUND, "nobody asks here");
}

int fed_store_rounds(struct fed_store *store, uint64_t from, void (*row)(void *context, const struct fed_store_round *round),
                     void *context, struct fed_error *err) {
    (void)store;
    (void)err;
    for (uint64_t r = from; r <= sim_disk.committed; r++) {
        struct fed_store_round round = {.round = r, .attempt = sim_disk.rounds[r].attempt};
        memcpy(round.model_digest, sim_disk.rounds[r].digest, sizeof round.model_digest);
        row(context, &round);
    }
    return FED_OK;
}

int fed_store_refusals(struct fed_store *store, void (*row)(void *context, const struct fed_store_refusal *refusal),
                       void *context, struct fed_error *err) {
    (void)store;
    (void)row;
    (void)context;
    (void)err;
    return FED_OK;
}

int fed_store_norms(struct fed_store *store, uint64_t from, void (*row)(void *context, const struct fed_store_norm *norm),
                    void *context, struct fed_error *err) {
    (void)store;
    (void)err;
    for (uint64_t r = from > 1 ? from : 1; r <= sim_disk.committed; r++) {
        const struct sim_round *round = &sim_disk.rounds[r];
        for (size_t i = 0; i < round->n_updates && sim_disk_stands(r); i++) {
            struct fed_store_norm norm = {r, round->updates[i].norm, round->updates[i].weight};
            row(context, &norm);
        }
    }
    return FED_OK;
}

int fed_store_last_good(uint64_t *round, struct fed_store *store, uint64_t before, struct fed_error *err) {
    (void)store;
    (void)err;
    uint64_t r = before > sim_disk.committed ? sim_disk.committed : before - 1;
    while (r > 0 && !is_good(r)) {
        r--;
    }
    *round = r;
    return FED_OK;
}

int fed_store_reference(double *loss, struct fed_store *store, uint64_t before, uint64_t window, struct fed_error *err) {
    (void)store;
    (void)window;
    (void)err;
    *loss = NAN;
    for (uint64_t r = 1; r < before && r <= sim_disk.committed; r++) {
        *loss = is_good(r) ? fmax(*loss, sim_disk.rounds[r].loss) : *loss;
    }
    return FED_OK;
}

int fed_store_rollbacks(struct fed_store *store, uint64_t from,
                        void (*row)(void *context, const struct fed_store_rollback *rollback), void *context,
                        struct fed_error *err) {
    (void)store;
    (void)err;
    for (uint64_t r = from; r <= sim_disk.committed; r++) {
        const struct sim_round *round = &sim_disk.rounds[r];
        if (round->rolled_back) {
            row(context, &(struct fed_store_rollback){
                             .round = r, .to_round = round->to_round, .reason = "exploded", .loss = round->fallen_loss});
        }
    }
    return FED_OK;
}

int fed_store_setbacks(struct fed_store_setbacks *out, struct fed_store *store, struct fed_error *err) {
    (void)store;
    (void)err;
    *out = (struct fed_store_setbacks){.n = 1, .in_a_row = 1};
    return FED_OK;
}

static bool is_liar(const char *name) {
    for (size_t i = 0; i < sim.n_nodes; i++) {
        if (strcmp(sim.nodes[i].entry.name, name) == 0) {
            return sim.nodes[i].liar;
        }
    }
    return false;
}

int fed_store_quarantine(struct fed_store *store, const struct fed_store_quarantine *quarantine, struct fed_error *err) {
    (void)store;
    int rc = begin_write("a quarantine", err);
    if (rc != FED_OK) {
        return rc;
    }
    sim_require(sim_disk.n_quarantines < SIM_QUARANTINES, "more and more quarantines");
    sim_require(is_liar(quarantine->node), "%s is in quarantine for %s, and is honest", quarantine->node,
                quarantine->reason);
    sim_disk.quarantines[sim_disk.n_quarantines++] = *quarantine;
    return FED_OK;
}

int fed_store_quarantines(struct fed_store *store, int64_t after_ms,
                          void (*row)(void *context, const struct fed_store_quarantine *quarantine), void *context,
                          struct fed_error *err) {
    (void)store;
    (void)err;
    for (size_t i = 0; i < sim_disk.n_quarantines; i++) {
        if (sim_disk.quarantines[i].until_ms > after_ms) {
            row(context, &sim_disk.quarantines[i]);
        }
    }
    return FED_OK;
}
