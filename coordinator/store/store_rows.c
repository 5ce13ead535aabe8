/* What the store knows, row by row: where the run stands, rounds, evaluations, refusals, rollbacks, quarantines. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/store/model_files.h"
#include "coordinator/store/store_internal.h"

/* -- Where the run stands -- */

static int read_newest(struct fed_store_state *out, struct fed_store *store, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_NEWEST);
    int code = FED_OK;
    if (fed_query_row(&q)) {
        out->has_model = true;
        out->round = fed_query_u64(&q, 0);
        out->loss = fed_query_f64(&q, 2);
        out->accuracy = fed_query_f64(&q, 3);
        out->evaluated = fed_query_u64(&q, 4) != 0;
        out->norm_ceiling = fed_query_f64(&q, 5);
        out->clip = fed_query_f64(&q, 6);
        out->weight_cap = fed_query_u64(&q, 7);
        out->rolled_back = fed_query_u64(&q, 8) != 0;
        if (!fed_store_column(out->model_digest, FED_STORE_DIGEST_BYTES, &q, 1)) {
            code = fed_sql_damaged(store->sql, "a model digest is not whole", err);
        }
    }
    return fed_query_finish(&q, code, "read the last round", err);
}

static int read_attempt(struct fed_store_state *out, struct fed_store *store, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_ATTEMPT);
    int code = FED_OK;
    fed_query_put_u64(&q, out->round + 1);
    if (fed_query_row(&q)) {
        size_t n;
        const void *cohort = fed_query_bytes(&n, &q, 1);
        out->attempt = (uint32_t)fed_query_u64(&q, 0);
        out->n_cohort = n / sizeof *out->cohort;
        out->cohort = malloc(n + 1);
        if (out->cohort == NULL) {
            code = fed_store_no_memory(store, err);
        } else if (n % sizeof *out->cohort != 0) {
            code = fed_sql_damaged(store->sql, "a cohort is not whole", err);
        } else if (n > 0) {
            memcpy(out->cohort, cohort, n);
        }
    }
    return fed_query_finish(&q, code, "read the last attempt", err);
}

int fed_store_read_end(struct fed_store_state *out, struct fed_store *store, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_META);
    if (fed_query_row(&q)) {
        out->finished = !fed_query_is_null(&q, 3);
        out->result_round = fed_query_u64(&q, 3);
        out->target_round = fed_query_u64(&q, 4);
    }
    return fed_query_finish(&q, FED_OK, "read the run", err);
}

static int check_model_exists(const struct fed_store *store, uint64_t round, struct fed_error *err) {
    char *path;
    if (fed_store_model_path(&path, store, round) != FED_OK) {
        return fed_store_no_memory(store, err);
    }
    int code = FED_OK;
    if (access(path, F_OK) != 0) {
        code = fed_error_set(err, FED_EDATA, "%s, the model of the last round (%" PRIu64 "), cannot be read: %s", path,
                             round, strerror(errno));
    }
    free(path);
    return code;
}

int fed_store_state(struct fed_store_state *out, struct fed_store *store, struct fed_error *err) {
    struct fed_store_state state = {
        .loss = (double)NAN, .accuracy = (double)NAN, .norm_ceiling = (double)NAN, .clip = (double)NAN};
    int code = read_newest(&state, store, err);
    if (code == FED_OK && state.has_model) {
        code = check_model_exists(store, state.round, err);
    }
    if (code == FED_OK && state.has_model) {
        code = read_attempt(&state, store, err);
    }
    if (code == FED_OK) {
        code = fed_store_read_end(&state, store, err);
    }
    if (code == FED_OK) {
        *out = state;
        state.cohort = NULL;
    }
    free(state.cohort);
    return code;
}

int fed_store_model_path(char **out, const struct fed_store *store, uint64_t round) {
    return fed_model_files_path(out, store->dir, round);
}

/* -- Reading rows -- */

int fed_store_best(uint64_t *round, double *accuracy, struct fed_store *store, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_BEST);
    bool any = fed_query_row(&q);
    uint64_t best = any ? fed_query_u64(&q, 0) : 0;
    double value = any ? fed_query_f64(&q, 1) : 0;
    int code = fed_query_finish(&q, FED_OK, "read the best round", err);
    if (code == FED_OK && !any) {
        code = fed_error_set(err, FED_ENOTFOUND, "%s: no round was evaluated yet", store->path);
    }
    if (code == FED_OK) {
        *round = best;
        *accuracy = value;
    }
    return code;
}

int fed_store_last_evaluated(uint64_t *round, double *loss, double *accuracy, struct fed_store *store,
                             struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_LAST_EVALUATED);
    bool any = fed_query_row(&q);
    uint64_t last = any ? fed_query_u64(&q, 0) : 0;
    double values[2] = {any ? fed_query_f64(&q, 1) : 0, any ? fed_query_f64(&q, 2) : 0};
    int code = fed_query_finish(&q, FED_OK, "read the last evaluation", err);
    if (code == FED_OK && !any) {
        code = fed_error_set(err, FED_ENOTFOUND, "%s: no round was evaluated yet", store->path);
    }
    if (code == FED_OK) {
        *round = last;
        *loss = values[0];
        *accuracy = values[1];
    }
    return code;
}

int fed_store_rounds(struct fed_store *store, uint64_t from, void (*row)(void *context, const struct fed_store_round *round),
                     void *context, struct fed_error *err) {
    assert(from <= INT64_MAX);
    struct fed_query q = fed_sql_query(store->sql, SELECT_ROUNDS);
    int code = FED_OK;
    fed_query_put_u64(&q, from);
    while (code == FED_OK && fed_query_row(&q)) {
        struct fed_store_round round = {
            .round = fed_query_u64(&q, 0),
            .attempt = (uint32_t)fed_query_u64(&q, 1),
            .clients = fed_query_u64(&q, 2),
            .weight = fed_query_u64(&q, 3),
            .loss = fed_query_f64(&q, 4),
            .accuracy = fed_query_f64(&q, 5),
            .seconds = fed_query_f64(&q, 6),
            .train_seconds = fed_query_f64(&q, 7),
            .bytes_down = fed_query_u64(&q, 8),
            .bytes_up = fed_query_u64(&q, 9),
            .wall_ms = fed_query_i64(&q, 11),
            .norm_ceiling = fed_query_f64(&q, 12),
            .clip = fed_query_f64(&q, 13),
            .weight_cap = fed_query_u64(&q, 14),
        };
        if (fed_store_column(round.model_digest, FED_STORE_DIGEST_BYTES, &q, 10)) {
            row(context, &round);
        } else {
            code = fed_sql_damaged(store->sql, "a model digest is not whole", err);
        }
    }
    return fed_query_finish(&q, code, "read the rounds", err);
}

int fed_store_refusals(struct fed_store *store, void (*row)(void *context, const struct fed_store_refusal *refusal),
                       void *context, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_REFUSALS);
    while (fed_query_row(&q)) {
        const char *node = fed_query_text(&q, 0);
        const char *reason = fed_query_text(&q, 1);
        struct fed_store_refusal refusal = {.reason = reason != NULL ? reason : "", .count = fed_query_u64(&q, 2)};
        snprintf(refusal.node, sizeof refusal.node, "%s", node != NULL ? node : "");
        row(context, &refusal);
    }
    return fed_query_finish(&q, FED_OK, "read the refusals", err);
}

int fed_store_norms(struct fed_store *store, uint64_t from, void (*row)(void *context, const struct fed_store_norm *norm),
                    void *context, struct fed_error *err) {
    assert(from <= INT64_MAX);
    struct fed_query q = fed_sql_query(store->sql, SELECT_NORMS);
    fed_query_put_u64(&q, from);
    while (fed_query_row(&q)) {
        row(context, &(struct fed_store_norm){fed_query_u64(&q, 0), fed_query_f64(&q, 1), fed_query_u64(&q, 2)});
    }
    return fed_query_finish(&q, FED_OK, "read the norms", err);
}

int fed_store_last_good(uint64_t *round, struct fed_store *store, uint64_t before, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_GOOD);
    fed_query_put_u64(&q, before);
    uint64_t good = fed_query_row(&q) ? fed_query_u64(&q, 0) : 0;
    int code = fed_query_finish(&q, FED_OK, "read the last good round", err);
    if (code == FED_OK) {
        *round = good;
    }
    return code;
}

static int read_loss(double *out, struct fed_store *store, enum fed_store_statement which, uint64_t before, uint64_t window,
                     struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, which);
    fed_query_put_u64(&q, before);
    if (which == SELECT_RECENT_LOSS) {
        fed_query_put_u64(&q, window);
    }
    double loss = fed_query_row(&q) ? fed_query_f64(&q, 0) : (double)NAN;
    int code = fed_query_finish(&q, FED_OK, "read the losses", err);
    if (code == FED_OK) {
        *out = loss;
    }
    return code;
}

int fed_store_reference(double *loss, struct fed_store *store, uint64_t before, uint64_t window, struct fed_error *err) {
    double first = 0, recent = 0;
    int code = read_loss(&first, store, SELECT_FIRST_LOSS, before, window, err);
    if (code == FED_OK) {
        code = read_loss(&recent, store, SELECT_RECENT_LOSS, before, window, err);
    }
    if (code == FED_OK) {
        *loss = fmax(first, recent); /* a NaN gives way to a number */
    }
    return code;
}

int fed_store_rollbacks(struct fed_store *store, uint64_t from,
                        void (*row)(void *context, const struct fed_store_rollback *rollback), void *context,
                        struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_ROLLBACKS);
    fed_query_put_u64(&q, from);
    while (fed_query_row(&q)) {
        const char *reason = fed_query_text(&q, 2);
        struct fed_store_rollback rollback = {.round = fed_query_u64(&q, 0),
                                              .to_round = fed_query_u64(&q, 1),
                                              .reason = reason != NULL ? reason : "",
                                              .loss = fed_query_f64(&q, 3),
                                              .reference = fed_query_f64(&q, 4),
                                              .wall_ms = fed_query_i64(&q, 5)};
        row(context, &rollback);
    }
    return fed_query_finish(&q, FED_OK, "read the rollbacks", err);
}

/* One that goes back to where the last one went is the next in a row: nothing better came between. */
static void count_setback(void *context, const struct fed_store_rollback *rollback) {
    struct fed_store_setbacks *setbacks = context;
    bool again =
        setbacks->n > 0 && (rollback->to_round == setbacks->last.round || rollback->to_round == setbacks->last.to_round);
    setbacks->n++;
    setbacks->in_a_row = again ? setbacks->in_a_row + 1 : 1;
    setbacks->last = *rollback;
    snprintf(setbacks->reason, sizeof setbacks->reason, "%s", rollback->reason);
}

int fed_store_setbacks(struct fed_store_setbacks *out, struct fed_store *store, struct fed_error *err) {
    struct fed_store_setbacks setbacks = {0};
    uint64_t good = 0;
    int code = fed_store_rollbacks(store, 0, count_setback, &setbacks, err);
    if (code == FED_OK) {
        code = fed_store_last_good(&good, store, INT64_MAX, err);
    }
    if (code == FED_OK) {
        setbacks.in_a_row = good > setbacks.last.round ? 0 : setbacks.in_a_row;
        *out = setbacks;
        out->last.reason = out->reason;
    }
    return code;
}

int fed_store_quarantines(struct fed_store *store, int64_t after_ms,
                          void (*row)(void *context, const struct fed_store_quarantine *quarantine), void *context,
                          struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_QUARANTINES);
    fed_query_put_i64(&q, after_ms);
    while (fed_query_row(&q)) {
        const char *node = fed_query_text(&q, 0);
        const char *reason = fed_query_text(&q, 3);
        struct fed_store_quarantine quarantine = {.since_ms = fed_query_i64(&q, 1),
                                                  .until_ms = fed_query_i64(&q, 2),
                                                  .reason = reason != NULL ? reason : "",
                                                  .refusals = fed_query_u64(&q, 4)};
        snprintf(quarantine.node, sizeof quarantine.node, "%s", node != NULL ? node : "");
        row(context, &quarantine);
    }
    return fed_query_finish(&q, FED_OK, "read the quarantines", err);
}
