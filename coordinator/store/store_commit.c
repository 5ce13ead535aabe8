/* What the store writes while a run goes on: attempts, rounds, evaluations, quarantines, the end. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "coordinator/store/model_files.h"
#include "coordinator/store/store_internal.h"

#define FILE_MODE 0600

/* The evaluation of the last round but one may still be out when a round commits, and it may turn out the best. */
#define KEEP_LEAST 2

/* -- The two transactions of a round, and what follows them -- */

int fed_store_open_attempt(struct fed_store *store, uint64_t round, uint32_t attempt, const uint64_t *cohort, size_t n,
                           struct fed_error *err) {
    assert(round <= INT64_MAX && n <= INT32_MAX / sizeof *cohort);
    struct fed_query q = fed_sql_query(store->sql, INSERT_ATTEMPT); /* one statement is a transaction */
    fed_query_put_u64(&q, round);
    fed_query_put_u64(&q, attempt);
    fed_query_put_bytes(&q, cohort, n * sizeof *cohort);
    fed_query_put_i64(&q, fed_clock_wall_ms());
    return fed_query_execute(&q, "record the attempt", err);
}

static int write_model(const struct fed_store *store, const struct fed_store_commit *commit, struct fed_error *err) {
    char *path;
    if (fed_store_model_path(&path, store, commit->round) != FED_OK) {
        return fed_store_no_memory(store, err);
    }
    const struct iovec parts[] = {
        {.iov_base = (void *)(uintptr_t)commit->header, .iov_len = commit->n_header},
        {.iov_base = (void *)(uintptr_t)commit->params, .iov_len = commit->n_params_bytes},
    };
    int code = fed_file_replace(path, parts, 2, FILE_MODE, err);
    free(path);
    return code;
}

static const char COMMIT_ROUND[] = "commit the round";

/* 0 and NaN both say that there is none, which is stored as NULL. */
static double some(double value) { return value > 0 ? value : (double)NAN; }

static int insert_round(struct fed_store *store, const struct fed_store_commit *commit, struct fed_error *err) {
    uint64_t weight = 0;
    for (size_t i = 0; i < commit->n_updates; i++) {
        weight += commit->updates[i].weight;
    }
    struct fed_query q = fed_sql_query(store->sql, INSERT_ROUND);
    fed_query_put_u64(&q, commit->round);
    fed_query_put_u64(&q, commit->attempt);
    fed_query_put_bytes(&q, commit->model_digest, sizeof commit->model_digest);
    fed_query_put_u64(&q, commit->n_updates);
    fed_query_put_u64(&q, weight);
    fed_query_put_u64(&q, commit->bytes_down);
    fed_query_put_u64(&q, commit->bytes_up);
    fed_query_put_f64(&q, commit->seconds);
    fed_query_put_f64(&q, commit->train_seconds);
    fed_query_put_i64(&q, fed_clock_wall_ms());
    fed_query_put_f64(&q, some(commit->norm_ceiling));
    fed_query_put_f64(&q, some(commit->clip));
    fed_query_put_u64(&q, commit->weight_cap);
    return fed_query_execute(&q, COMMIT_ROUND, err);
}

static int insert_update(struct fed_store *store, uint64_t round, const struct fed_store_update *update,
                         struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, INSERT_UPDATE);
    fed_query_put_u64(&q, round);
    fed_query_put_u64(&q, update->client);
    fed_query_put_text(&q, update->node);
    fed_query_put_u64(&q, update->part);
    fed_query_put_u64(&q, update->weight);
    fed_query_put_f64(&q, update->loss);
    fed_query_put_f64(&q, update->norm);
    return fed_query_execute(&q, COMMIT_ROUND, err);
}

/* The older round is the newest again: with its evaluation, and with what was judged from the rounds before it. */
static int insert_rollback(struct fed_store *store, const struct fed_store_rollback *rollback, struct fed_error *err) {
    static const enum fed_store_statement copies[] = {COPY_RULES, COPY_EVALUATION};
    struct fed_query q = fed_sql_query(store->sql, INSERT_ROLLBACK);
    fed_query_put_u64(&q, rollback->round);
    fed_query_put_u64(&q, rollback->to_round);
    fed_query_put_text(&q, rollback->reason);
    fed_query_put_f64(&q, rollback->loss);
    fed_query_put_f64(&q, rollback->reference);
    fed_query_put_i64(&q, fed_clock_wall_ms());
    int code = fed_query_execute(&q, COMMIT_ROUND, err);
    for (size_t i = 0; code == FED_OK && i < sizeof copies / sizeof *copies; i++) {
        struct fed_query copy = fed_sql_query(store->sql, copies[i]);
        fed_query_put_u64(&copy, rollback->round);
        fed_query_put_u64(&copy, rollback->to_round);
        code = fed_query_execute(&copy, COMMIT_ROUND, err);
    }
    return code;
}

static int add_refusal(struct fed_store *store, uint64_t round, const struct fed_store_refusal *refusal,
                       struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, ADD_REFUSAL);
    fed_query_put_u64(&q, round);
    fed_query_put_text(&q, refusal->node);
    fed_query_put_text(&q, refusal->reason);
    fed_query_put_u64(&q, refusal->count);
    return fed_query_execute(&q, COMMIT_ROUND, err);
}

static int write_rows(struct fed_store *store, const struct fed_store_commit *commit, struct fed_error *err) {
    int code = fed_sql_begin(store->sql, COMMIT_ROUND, err);
    if (code != FED_OK) {
        return code;
    }
    code = insert_round(store, commit, err);
    for (size_t i = 0; code == FED_OK && i < commit->n_updates; i++) {
        code = insert_update(store, commit->round, &commit->updates[i], err);
    }
    for (size_t i = 0; code == FED_OK && i < commit->n_refusals; i++) {
        code = add_refusal(store, commit->round, &commit->refusals[i], err);
    }
    if (code == FED_OK && commit->rollback != NULL) {
        code = insert_rollback(store, commit->rollback, err);
    }
    if (code == FED_OK) { /* a finished run that was given more rounds goes on */
        struct fed_query q = fed_sql_query(store->sql, UNFINISH);
        code = fed_query_execute(&q, COMMIT_ROUND, err);
    }
    return fed_sql_end(store->sql, code, COMMIT_ROUND, err);
}

struct retention {
    uint64_t newest, keep_last, best, target; /* 0 = none */
    bool keep_good;
    uint64_t good; /* may be the initial model */
};

static bool retains(const void *context, uint64_t round) {
    const struct retention *r = context;
    if (round >= r->newest || (r->keep_good && round == r->good)) {
        return true;
    }
    return round >= 1 && (r->newest - round < r->keep_last || round == r->best || round == r->target);
}

/* What is not worth keeping goes, once a newer model is safe. If that fails the round is committed all the same, and the
 * next commit tries again. */
static void prune(struct fed_store *store, const struct fed_store_commit *commit, uint64_t keep_last) {
    struct retention retention = {.newest = commit->round,
                                  .keep_last = keep_last > KEEP_LEAST ? keep_last : KEEP_LEAST,
                                  .keep_good = commit->keep_good};
    struct fed_store_state ends = {0};
    struct fed_error err;
    double accuracy;
    int code = fed_store_best(&retention.best, &accuracy, store, &err);
    if (code == FED_OK || code == FED_ENOTFOUND) {
        code = fed_store_read_end(&ends, store, &err);
    }
    if (code == FED_OK) {
        code = fed_store_last_good(&retention.good, store, commit->round + 1, &err);
    }
    if (code == FED_OK) {
        retention.target = ends.target_round;
        code = fed_model_files_sweep(store->dir, retains, &retention, &err);
    }
    if (code != FED_OK) {
        FED_WARN("store", "old models not removed", FED_STR("why", err.text));
    }
}

int fed_store_commit(struct fed_store *store, const struct fed_store_commit *commit, uint64_t keep_last,
                     struct fed_error *err) {
    assert(commit->round <= INT64_MAX);
    assert(commit->rollback == NULL || (commit->rollback->round == commit->round && commit->n_updates == 0));
    int code = write_model(store, commit, err);
    if (code == FED_OK) {
        code = write_rows(store, commit, err);
    }
    if (code == FED_OK) {
        prune(store, commit, keep_last);
    }
    return code;
}

int fed_store_evaluation(struct fed_store *store, uint64_t round, double loss, double accuracy, bool target_reached,
                         struct fed_error *err) {
    static const char what[] = "record the evaluation";
    int code = fed_sql_begin(store->sql, what, err);
    if (code != FED_OK) {
        return code;
    }
    struct fed_query q = fed_sql_query(store->sql, INSERT_EVALUATION);
    fed_query_put_u64(&q, round);
    fed_query_put_f64(&q, loss);
    fed_query_put_f64(&q, accuracy);
    code = fed_query_execute(&q, what, err);
    if (code == FED_OK) {
        struct fed_query mark = fed_sql_query(store->sql, MARK_TARGET);
        fed_query_put_u64(&mark, round);
        fed_query_put_u64(&mark, target_reached);
        code = fed_query_execute(&mark, what, err);
    }
    return fed_sql_end(store->sql, code, what, err);
}

int fed_store_finish(struct fed_store *store, uint64_t result_round, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, FINISH);
    fed_query_put_u64(&q, result_round);
    return fed_query_execute(&q, "record the end of the run", err);
}

int fed_store_quarantine(struct fed_store *store, const struct fed_store_quarantine *quarantine, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, INSERT_QUARANTINE);
    fed_query_put_text(&q, quarantine->node);
    fed_query_put_i64(&q, quarantine->since_ms);
    fed_query_put_i64(&q, quarantine->until_ms);
    fed_query_put_text(&q, quarantine->reason);
    fed_query_put_u64(&q, quarantine->refusals);
    return fed_query_execute(&q, "record the quarantine", err);
}
