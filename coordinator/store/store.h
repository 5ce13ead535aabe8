/* The run directory: run.db (SQLite) is the only truth, model-<round>.safetensors beside it. All calls block and are made
 * from one thread at a time (the store thread while the coordinator runs).
 *
 * Two transactions a round: the attempt is opened, the round is committed (which names the model digest). The model file
 * is whole on disk (temporary name, fsync, rename, fsync of the directory) before the row that names it. */
#ifndef FED_COORDINATOR_STORE_STORE_H
#define FED_COORDINATOR_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_store;

/* Opens or creates the run directory and takes run.lock before anything else is touched.
 * task_terms: canonical JSON of what defines the result (common/config/terms.h). On an existing run it must equal the
 * stored text: FED_EMISMATCH shows the difference. task_rest: JSON of what may change (coordinator/terms.h); recorded
 * when it does. A run of an older version is brought up to date first; its database is kept beside it (schema.h).
 * FED_ELOCKED, FED_EMISMATCH (also: newer version, not ours), FED_EIO, FED_EDATA (damaged: names the file). */
int fed_store_open(struct fed_store **out, const char *dir, const char *task_terms, const char *task_rest,
                   struct fed_error *err) FED_MUST_CHECK;
/* Reads a run without locking or changing it. FED_ENOTFOUND, FED_EMISMATCH, FED_EIO. */
int fed_store_open_readonly(struct fed_store **out, const char *dir, struct fed_error *err) FED_MUST_CHECK;
void fed_store_close(struct fed_store *store);

const uint8_t *fed_store_run_id(const struct fed_store *store); /* 16 bytes */
const char *fed_store_task_terms(const struct fed_store *store);
const char *fed_store_task_rest(const struct fed_store *store);
bool fed_store_is_new(const struct fed_store *store); /* created by this call of open */

/* Where the run stands. */
struct fed_store_state {
    bool has_model; /* round 0 at least is committed */
    uint64_t round; /* last committed round */
    uint8_t model_digest[32];
    bool evaluated;
    double loss, accuracy;     /* of that round; NaN = not evaluated, not finite, or none (a model without classes) */
    double norm_ceiling, clip; /* that held in that round; NaN = none */
    uint64_t weight_cap;       /* 0 = none */
    bool rolled_back;          /* that round is a rollback: the model of an older one, with its evaluation if it has one */
    uint32_t attempt;          /* last attempt opened for round + 1; 0 = none */
    uint64_t *cohort;          /* of that attempt, owned by the caller (free) */
    size_t n_cohort;
    bool finished;
    uint64_t result_round; /* finished: the round whose model is the result */
    uint64_t target_round; /* first round that reached the target; 0 = none */
};
int fed_store_state(struct fed_store_state *out, struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;

/* Transaction 1. */
int fed_store_open_attempt(struct fed_store *store, uint64_t round, uint32_t attempt, const uint64_t *cohort, size_t n,
                           struct fed_error *err) FED_MUST_CHECK;

/* One admitted update: who, how much, and the stated metrics. */
struct fed_store_update {
    char node[64];
    uint32_t part;
    uint64_t client;
    uint64_t weight;
    double loss;
    double norm; /* L2; NaN = not known */
};
struct fed_store_refusal {
    char node[64];
    const char *reason; /* stable name */
    uint64_t count;
};
/* Round `round` is the model of round to_round again; those in between do not stand any more. */
struct fed_store_rollback {
    uint64_t round, to_round;
    const char *reason;     /* stable name */
    double loss, reference; /* of the newest round that fell, and what it was held against; NaN = not finite, none */
    int64_t wall_ms;        /* reading only */
};
struct fed_store_commit {
    uint64_t round;
    uint32_t attempt;   /* 0 for round 0 and for a rollback */
    const void *header; /* bytes before the data, from fed_safetensors_header */
    size_t n_header;
    const void *params;
    size_t n_params_bytes;
    uint8_t model_digest[32];
    const struct fed_store_update *updates; /* admitted set */
    size_t n_updates;
    const struct fed_store_refusal *refusals;
    size_t n_refusals;
    uint64_t bytes_down, bytes_up;
    double seconds, train_seconds;
    double norm_ceiling, clip; /* 0 or NaN = none */
    uint64_t weight_cap;       /* 0 = none */
    /* NULL: an ordinary round. Else there are no updates; ceiling, clip, cap and evaluation are those of to_round. */
    const struct fed_store_rollback *rollback;
    bool keep_good; /* keep the model that a rollback would return to, too: the newest that was evaluated and stands */
};
/* Writes the model file, then transaction 2; then deletes model files that the policy does not keep: the last keep_last
 * (2 at least: the evaluation of the last but one may still be out), the best, the one that reached the target;
 * round 0 only while it is the newest, or is what a rollback would return to. A finished run that commits another round is
 * not finished any more.
 * A failed write leaves the run as it was: FED_EIO, try again. */
int fed_store_commit(struct fed_store *store, const struct fed_store_commit *commit, uint64_t keep_last,
                     struct fed_error *err) FED_MUST_CHECK;

/* Writes an evaluation, or writes it anew; NaN is kept as no number at all; target_reached marks target_round if no earlier
 * round did, else the mark is taken from this round. */
int fed_store_evaluation(struct fed_store *store, uint64_t round, double loss, double accuracy, bool target_reached,
                         struct fed_error *err) FED_MUST_CHECK;
int fed_store_finish(struct fed_store *store, uint64_t result_round, struct fed_error *err) FED_MUST_CHECK;

/* Path of a round's model file; the caller owns *out. */
int fed_store_model_path(char **out, const struct fed_store *store, uint64_t round) FED_MUST_CHECK;

/* The first of the rounds (>= 1) that stand with the best accuracy; without accuracies (NaN then), the first with the least
 * loss. FED_ENOTFOUND: none was evaluated. */
int fed_store_best(uint64_t *round, double *accuracy, struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;

/* The newest round with an evaluation; NaN as above. FED_ENOTFOUND: none was evaluated. */
int fed_store_last_evaluated(uint64_t *round, double *loss, double *accuracy, struct fed_store *store,
                             struct fed_error *err) FED_MUST_CHECK;

/* Rows for status: calls row for each committed round, ascending, from `from`. */
struct fed_store_round {
    uint64_t round;
    uint32_t attempt;
    uint64_t clients;
    uint64_t weight;
    double loss, accuracy; /* NaN = not evaluated */
    double seconds, train_seconds;
    uint64_t bytes_down, bytes_up;
    uint8_t model_digest[32];
    int64_t wall_ms;
    double norm_ceiling, clip; /* NaN = none */
    uint64_t weight_cap;       /* 0 = none */
};
int fed_store_rounds(struct fed_store *store, uint64_t from, void (*row)(void *context, const struct fed_store_round *round),
                     void *context, struct fed_error *err) FED_MUST_CHECK;
/* Totals by (node, reason), over the whole run. */
int fed_store_refusals(struct fed_store *store, void (*row)(void *context, const struct fed_store_refusal *refusal),
                       void *context, struct fed_error *err) FED_MUST_CHECK;

/* The updates of each committed round that stands (was not rolled back), by round and client, from `from`. */
struct fed_store_norm {
    uint64_t round;
    double norm; /* NaN = not known */
    uint64_t weight;
};
int fed_store_norms(struct fed_store *store, uint64_t from, void (*row)(void *context, const struct fed_store_norm *norm),
                    void *context, struct fed_error *err) FED_MUST_CHECK;

/* The newest round before `before` that was evaluated with a finite loss and stands; 0, the initial model, if there is none.
 */
int fed_store_last_good(uint64_t *round, struct fed_store *store, uint64_t before, struct fed_error *err) FED_MUST_CHECK;
/* The largest loss among the first evaluated round and the last `window` of them, before `before`, of those that stand.
 * NaN: there is none. */
int fed_store_reference(double *loss, struct fed_store *store, uint64_t before, uint64_t window,
                        struct fed_error *err) FED_MUST_CHECK;
/* Ascending, from `from`. */
int fed_store_rollbacks(struct fed_store *store, uint64_t from,
                        void (*row)(void *context, const struct fed_store_rollback *rollback), void *context,
                        struct fed_error *err) FED_MUST_CHECK;

/* All of them, counted. in_a_row: the last ones, as long as no better model came between or since. */
struct fed_store_setbacks {
    uint64_t n;
    uint32_t in_a_row;
    struct fed_store_rollback last; /* if n > 0 */
    char reason[24];                /* where last.reason points */
};
int fed_store_setbacks(struct fed_store_setbacks *out, struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;

/* A node was not given work for a while. Times are wall clock. */
struct fed_store_quarantine {
    char node[64];
    int64_t since_ms, until_ms;
    const char *reason; /* stable name of the last refusal */
    uint64_t refusals;
};
int fed_store_quarantine(struct fed_store *store, const struct fed_store_quarantine *quarantine,
                         struct fed_error *err) FED_MUST_CHECK;
/* Those that end after after_ms (0: all), by node and time. */
int fed_store_quarantines(struct fed_store *store, int64_t after_ms,
                          void (*row)(void *context, const struct fed_store_quarantine *quarantine), void *context,
                          struct fed_error *err) FED_MUST_CHECK;

#endif
