/* What holds at every instant, whatever is killed:
 *   1. the newest row of `rounds` names a model whose file is whole on disk;
 *   2. every attempt whose ROUND was sent has its row in `attempts`;
 *   3. a row is all there or not at all: each call below is one transaction.
 * The order that keeps them: lock, then database; model file, then row, then removal of older files. A model file newer
 * than the newest row is what a crash between file and row has left: it is swept at the next opening, and trained again
 * it comes out with the same bits.
 */
#include "coordinator/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/config/terms.h"
#include "coordinator/model_files.h"
#include "coordinator/schema.h"
#include "coordinator/sql.h"

#define DIGEST_BYTES 32
#define FILE_MODE 0600

/* The evaluation of the last round but one may still be out when a round commits, and it may turn out the best. */
#define KEEP_LEAST 2

enum statement {
    APPLICATION_ID,
    USER_VERSION,
    TABLES,
    INSERT_META,
    SELECT_META,
    CHANGE_TASK,
    INSERT_TASK_CHANGE,
    INSERT_ATTEMPT,
    SELECT_ATTEMPT,
    INSERT_ROUND,
    INSERT_UPDATE,
    INSERT_ROLLBACK,
    COPY_RULES,
    COPY_EVALUATION,
    INSERT_QUARANTINE,
    ADD_REFUSAL,
    UNFINISH,
    FINISH,
    INSERT_EVALUATION,
    MARK_TARGET,
    SELECT_NEWEST,
    SELECT_BEST,
    SELECT_LAST_EVALUATED,
    SELECT_ROUNDS,
    SELECT_REFUSALS,
    SELECT_NORMS,
    SELECT_GOOD,
    SELECT_FIRST_LOSS,
    SELECT_RECENT_LOSS,
    SELECT_ROLLBACKS,
    SELECT_QUARANTINES,
    N_STATEMENTS,
};

/* Rounds whose model was taken back have no say any more: not as the best, not as a reference for those that follow. */
#define STANDS(ROUND)                                                                                                       \
    "NOT EXISTS (SELECT 1 FROM rollbacks AS back WHERE back.to_round < " ROUND " AND " ROUND " < back.round)"
#define GOOD "loss < 9e999 AND " STANDS("evaluations.round") /* NULL, which is NaN, is not less than anything */

static const char *const SQL[N_STATEMENTS] = {
    [APPLICATION_ID] = "PRAGMA application_id",
    [USER_VERSION] = "PRAGMA user_version",
    [TABLES] = "SELECT count(*) FROM sqlite_schema",
    [INSERT_META] = "INSERT INTO meta (id, run_id, task_terms, task_rest, created_ms) VALUES (1, ?, ?, ?, ?)",
    [SELECT_META] = "SELECT run_id, task_terms, task_rest, result_round, target_round FROM meta",
    [CHANGE_TASK] = "UPDATE meta SET task_rest = ?",
    [INSERT_TASK_CHANGE] = "INSERT INTO task_changes (wall_ms, task_rest) VALUES (?, ?)",
    [INSERT_ATTEMPT] = "INSERT INTO attempts (round, attempt, cohort, opened_ms) VALUES (?, ?, ?, ?)",
    [SELECT_ATTEMPT] = "SELECT attempt, cohort FROM attempts WHERE round = ? ORDER BY attempt DESC LIMIT 1",
    [INSERT_ROUND] = "INSERT INTO rounds (round, attempt, model, clients, weight, bytes_down, bytes_up, seconds,"
                     " train_seconds, committed_ms, norm_ceiling, clip, weight_cap)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0))",
    [INSERT_UPDATE] = "INSERT INTO updates (round, client, node, part, weight, loss, norm) VALUES (?, ?, ?, ?, ?, ?, ?)",
    [INSERT_ROLLBACK] =
        "INSERT INTO rollbacks (round, to_round, reason, loss, reference, wall_ms) VALUES (?, ?, ?, ?, ?, ?)",
    [COPY_RULES] = "UPDATE rounds SET (norm_ceiling, clip, weight_cap) ="
                   " (SELECT norm_ceiling, clip, weight_cap FROM rounds WHERE round = ?2) WHERE round = ?1",
    [COPY_EVALUATION] = "INSERT INTO evaluations (round, loss, accuracy)"
                        " SELECT ?1, loss, accuracy FROM evaluations WHERE round = ?2",
    [INSERT_QUARANTINE] = "INSERT OR REPLACE INTO quarantines (node, since_ms, until_ms, reason, refusals)"
                          " VALUES (?, ?, ?, ?, ?)",
    [ADD_REFUSAL] = "INSERT INTO refusals (round, node, reason, count) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET count = count + excluded.count",
    [UNFINISH] = "UPDATE meta SET result_round = NULL WHERE result_round IS NOT NULL",
    [FINISH] = "UPDATE meta SET result_round = ?",
    [INSERT_EVALUATION] = "INSERT OR REPLACE INTO evaluations (round, loss, accuracy) VALUES (?, ?, ?)",
    [MARK_TARGET] = "UPDATE meta SET target_round = CASE WHEN ?2 THEN min(ifnull(target_round, ?1), ?1)"
                    " ELSE nullif(target_round, ?1) END",
    [SELECT_NEWEST] = "SELECT round, model, evaluations.loss, accuracy, evaluations.round IS NOT NULL, norm_ceiling, clip,"
                      " weight_cap, to_round IS NOT NULL FROM rounds LEFT JOIN evaluations USING (round)"
                      " LEFT JOIN rollbacks USING (round) ORDER BY round DESC LIMIT 1",
    [SELECT_BEST] =
        "SELECT round, accuracy FROM evaluations WHERE round >= 1 AND coalesce(accuracy, loss) IS NOT NULL"
        " AND " STANDS("evaluations.round") " ORDER BY accuracy DESC, iif(accuracy IS NULL, loss, 0), round LIMIT 1",
    [SELECT_LAST_EVALUATED] = "SELECT round, loss, accuracy FROM evaluations ORDER BY round DESC LIMIT 1",
    [SELECT_ROUNDS] = "SELECT round, attempt, clients, weight, loss, accuracy, seconds, train_seconds, bytes_down, bytes_up,"
                      " model, committed_ms, norm_ceiling, clip, weight_cap FROM rounds LEFT JOIN evaluations USING (round)"
                      " WHERE round >= ? ORDER BY round",
    [SELECT_REFUSALS] = "SELECT node, reason, sum(count) FROM refusals GROUP BY node, reason ORDER BY node, reason",
    [SELECT_NORMS] =
        "SELECT round, norm, weight FROM updates WHERE round >= ? AND " STANDS("updates.round") " ORDER BY round, client",
    [SELECT_GOOD] = "SELECT ifnull(max(round), 0) FROM evaluations WHERE round < ? AND " GOOD,
    [SELECT_FIRST_LOSS] = "SELECT loss FROM evaluations WHERE round BETWEEN 1 AND ? - 1 AND " GOOD " ORDER BY round LIMIT 1",
    [SELECT_RECENT_LOSS] = "SELECT max(loss) FROM (SELECT loss FROM evaluations WHERE round BETWEEN 1 AND ? - 1 AND " GOOD
                           " ORDER BY round DESC LIMIT ?)",
    [SELECT_ROLLBACKS] = "SELECT round, to_round, reason, loss, reference, wall_ms FROM rollbacks WHERE round >= ?"
                         " ORDER BY round",
    [SELECT_QUARANTINES] = "SELECT node, since_ms, until_ms, reason, refusals FROM quarantines WHERE until_ms > ?"
                           " ORDER BY node, since_ms",
};

struct fed_store {
    char *dir, *path; /* of the run, and of run.db in it */
    int lock;         /* -1: read-only */
    struct fed_sql *sql;
    uint8_t run_id[16];
    char *task_terms, *task_rest;
    bool is_new;
    int version; /* of the file's format, as found */
};

static int no_memory(const struct fed_store *store, struct fed_error *err) {
    return fed_error_set(err, FED_ENOMEM, "%s: out of memory", store->dir);
}

/* False if the column does not hold exactly n bytes. */
static bool column_copy(void *out, size_t n, const struct fed_query *q, int column) {
    size_t found;
    const void *bytes = fed_query_bytes(&found, q, column);
    if (bytes == NULL || found != n) {
        return false;
    }
    memcpy(out, bytes, n);
    return true;
}

static int number(int64_t *out, struct fed_store *store, enum statement which, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, which);
    int64_t value = fed_query_row(&q) ? fed_query_i64(&q, 0) : 0;
    int code = fed_query_finish(&q, FED_OK, "read it", err);
    if (code == FED_OK) {
        *out = value;
    }
    return code;
}

/* -- Opening -- */

/* Whether the database is ours to read; *is_new: nothing was written into it yet. */
static int identify(bool *is_new, struct fed_store *store, struct fed_error *err) {
    int64_t application = 0, version = 0, tables = 0;
    int code = number(&application, store, APPLICATION_ID, err);
    if (code == FED_OK) {
        code = number(&version, store, USER_VERSION, err);
    }
    if (code == FED_OK) {
        code = number(&tables, store, TABLES, err);
    }
    if (code != FED_OK) {
        return code;
    }
    if (application == 0 && version == 0 && tables == 0) {
        *is_new = true;
        return FED_OK;
    }
    if (application != FED_SCHEMA_APPLICATION_ID || version < 1) {
        return fed_error_set(err, FED_EMISMATCH, "%s was not made by fedavg: choose another run directory", store->path);
    }
    if (version > FED_SCHEMA_VERSION) {
        return fed_error_set(err, FED_EMISMATCH,
                             "%s was made by a newer fedavg (its format is %" PRId64 ", this one knows %d): use that one",
                             store->path, version, FED_SCHEMA_VERSION);
    }
    store->version = (int)version;
    *is_new = false;
    return FED_OK;
}

/* The whole schema and the first row appear together: a crash before leaves an empty database, which counts as new. */
static int create_run(struct fed_store *store, const char *task_terms, const char *task_rest, struct fed_error *err) {
    static const char what[] = "create the run";
    size_t n_models;
    int code = fed_model_files_count(&n_models, store->dir, err);
    if (code != FED_OK) {
        return code;
    }
    if (n_models > 0) {
        return fed_error_set(err, FED_EDATA,
                             "%s holds %zu model files but no run.db that knows them: restore run.db or choose another "
                             "run directory",
                             store->dir, n_models);
    }
    code = fed_sql_begin(store->sql, what, err);
    if (code != FED_OK) {
        return code;
    }
    code = fed_schema_create(store->sql, what, err);
    if (code == FED_OK) {
        uint8_t run_id[sizeof store->run_id];
        fed_random_bytes(run_id, sizeof run_id);
        struct fed_query q = fed_sql_query(store->sql, INSERT_META);
        fed_query_put_bytes(&q, run_id, sizeof run_id);
        fed_query_put_text(&q, task_terms);
        fed_query_put_text(&q, task_rest);
        fed_query_put_i64(&q, fed_clock_wall_ms());
        code = fed_query_execute(&q, what, err);
    }
    return fed_sql_end(store->sql, code, what, err);
}

static int read_meta(struct fed_store *store, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_META);
    bool found = fed_query_row(&q);
    if (found) {
        const char *terms = fed_query_text(&q, 1), *rest = fed_query_text(&q, 2);
        found = column_copy(store->run_id, sizeof store->run_id, &q, 0) && terms != NULL && rest != NULL;
        store->task_terms = found ? strdup(terms) : NULL;
        store->task_rest = found ? strdup(rest) : NULL;
    }
    int code = fed_query_finish(&q, FED_OK, "read the run", err);
    if (code == FED_OK && !found) {
        code = fed_sql_damaged(store->sql, "its first row is not whole", err);
    } else if (code == FED_OK && (store->task_terms == NULL || store->task_rest == NULL)) {
        code = no_memory(store, err);
    }
    return code;
}

static int check_task(const struct fed_store *store, const char *task_terms, struct fed_error *err) {
    assert(store->task_terms != NULL);
    if (strcmp(store->task_terms, task_terms) == 0) {
        return FED_OK;
    }
    fed_task_terms_difference(err, store->task_terms, task_terms);
    return fed_error_prefix(err, FED_EMISMATCH, "%s holds a run of another task; restore it or choose another run directory",
                            store->dir);
}

/* What may change on resume is recorded when it does. */
static int record_task(struct fed_store *store, const char *task_rest, struct fed_error *err) {
    static const char what[] = "record the changed task";
    if (strcmp(store->task_rest, task_rest) == 0) {
        return FED_OK;
    }
    char *copy = strdup(task_rest);
    if (copy == NULL) {
        return no_memory(store, err);
    }
    int code = fed_sql_begin(store->sql, what, err);
    if (code == FED_OK) {
        struct fed_query change = fed_sql_query(store->sql, CHANGE_TASK);
        fed_query_put_text(&change, task_rest);
        code = fed_query_execute(&change, what, err);
        if (code == FED_OK) {
            struct fed_query q = fed_sql_query(store->sql, INSERT_TASK_CHANGE);
            fed_query_put_i64(&q, fed_clock_wall_ms());
            fed_query_put_text(&q, task_rest);
            code = fed_query_execute(&q, what, err);
        }
        code = fed_sql_end(store->sql, code, what, err);
    }
    if (code == FED_OK) {
        free(store->task_rest);
        store->task_rest = copy;
        copy = NULL;
    }
    free(copy);
    return code;
}

static bool keep_committed(const void *newest, uint64_t round) { return round <= *(const uint64_t *)newest; }
static bool keep_none(const void *context, uint64_t round) {
    (void)context;
    (void)round;
    return false;
}

/* Removes what a crash between model file and row, or in the middle of a file, has left. */
static int sweep_leftovers(struct fed_store *store, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_NEWEST);
    bool any = fed_query_row(&q);
    uint64_t newest = any ? fed_query_u64(&q, 0) : 0;
    int code = fed_query_finish(&q, FED_OK, "read the last round", err);
    if (code != FED_OK) {
        return code;
    }
    return fed_model_files_sweep(store->dir, any ? keep_committed : keep_none, &newest, err);
}

static int new_store(struct fed_store **out, const char *dir, struct fed_error *err) {
    struct fed_store *store = calloc(1, sizeof *store);
    if (store != NULL) {
        store->lock = -1;
        store->dir = strdup(dir);
    }
    if (store == NULL || store->dir == NULL || fed_path_join(&store->path, dir, "run.db") != FED_OK) {
        fed_store_close(store);
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", dir);
    }
    *out = store;
    return FED_OK;
}

static int lock_directory(struct fed_store *store, struct fed_error *err) {
    char *path;
    int code = fed_file_make_dirs(store->dir, err);
    if (code != FED_OK) {
        return code;
    }
    if (fed_path_join(&path, store->dir, "run.lock") != FED_OK) {
        return no_memory(store, err);
    }
    code = fed_file_lock(&store->lock, path, err);
    free(path);
    return code;
}

/* Nothing is changed before it is known to be this task's run. */
static int open_existing(struct fed_store *store, const char *task_terms, const char *task_rest, struct fed_error *err) {
    int code = fed_sql_check(store->sql, err);
    if (code == FED_OK) {
        code = read_meta(store, err);
    }
    if (code == FED_OK) {
        code = check_task(store, task_terms, err);
    }
    if (code == FED_OK) {
        code = fed_sql_make_durable(store->sql, err);
    }
    if (code == FED_OK && store->version < FED_SCHEMA_VERSION) {
        code = fed_schema_migrate(store->sql, store->path, store->version, err);
    }
    if (code == FED_OK) {
        code = record_task(store, task_rest, err);
    }
    return code == FED_OK ? sweep_leftovers(store, err) : code;
}

static int open_locked(struct fed_store *store, const char *task_terms, const char *task_rest, struct fed_error *err) {
    int code = fed_sql_open(&store->sql, store->path, SQL, N_STATEMENTS, err);
    if (code == FED_OK) {
        code = identify(&store->is_new, store, err);
    }
    if (code == FED_OK && !store->is_new) {
        return open_existing(store, task_terms, task_rest, err);
    }
    if (code == FED_OK) {
        code = fed_sql_make_durable(store->sql, err);
    }
    if (code == FED_OK) {
        code = create_run(store, task_terms, task_rest, err);
    }
    return code == FED_OK ? read_meta(store, err) : code;
}

int fed_store_open(struct fed_store **out, const char *dir, const char *task_terms, const char *task_rest,
                   struct fed_error *err) {
    struct fed_store *store = NULL;
    int code = new_store(&store, dir, err);
    if (code == FED_OK) {
        code = lock_directory(store, err);
    }
    if (code == FED_OK) {
        code = open_locked(store, task_terms, task_rest, err);
    }
    if (code == FED_OK) {
        *out = store;
        store = NULL;
    }
    fed_store_close(store);
    return code;
}

int fed_store_open_readonly(struct fed_store **out, const char *dir, struct fed_error *err) {
    struct fed_store *store = NULL;
    bool is_new = false;
    int code = new_store(&store, dir, err);
    if (code == FED_OK) {
        code = fed_sql_open_readonly(&store->sql, store->path, SQL, N_STATEMENTS, err);
    }
    if (code == FED_ENOTFOUND) {
        code = fed_error_prefix(err, code, "there is no run in %s", dir);
    }
    if (code == FED_OK) {
        code = identify(&is_new, store, err);
    }
    if (code == FED_OK && is_new) {
        code = fed_error_set(err, FED_ENOTFOUND, "there is no run in %s yet: %s is empty", store->dir, store->path);
    }
    if (code == FED_OK && store->version < FED_SCHEMA_VERSION) {
        code = fed_schema_show_as_newest(store->sql, store->version, err);
    }
    if (code == FED_OK) {
        code = read_meta(store, err);
    }
    if (code == FED_OK) {
        *out = store;
        store = NULL;
    }
    fed_store_close(store);
    return code;
}

void fed_store_close(struct fed_store *store) {
    if (store == NULL) {
        return;
    }
    fed_sql_close(store->sql);
    if (store->lock >= 0) {
        close(store->lock); /* last: the run is free only when nothing of it is open */
    }
    free(store->dir);
    free(store->path);
    free(store->task_terms);
    free(store->task_rest);
    free(store);
}

const uint8_t *fed_store_run_id(const struct fed_store *store) { return store->run_id; }
const char *fed_store_task_terms(const struct fed_store *store) { return store->task_terms; }
const char *fed_store_task_rest(const struct fed_store *store) { return store->task_rest; }
bool fed_store_is_new(const struct fed_store *store) { return store->is_new; }

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
        if (!column_copy(out->model_digest, DIGEST_BYTES, &q, 1)) {
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
            code = no_memory(store, err);
        } else if (n % sizeof *out->cohort != 0) {
            code = fed_sql_damaged(store->sql, "a cohort is not whole", err);
        } else if (n > 0) {
            memcpy(out->cohort, cohort, n);
        }
    }
    return fed_query_finish(&q, code, "read the last attempt", err);
}

static int read_end(struct fed_store_state *out, struct fed_store *store, struct fed_error *err) {
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
        return no_memory(store, err);
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
        code = read_end(&state, store, err);
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
        return no_memory(store, err);
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
    static const enum statement copies[] = {COPY_RULES, COPY_EVALUATION};
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
        code = read_end(&ends, store, &err);
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
        if (column_copy(round.model_digest, DIGEST_BYTES, &q, 10)) {
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

static int read_loss(double *out, struct fed_store *store, enum statement which, uint64_t before, uint64_t window,
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

/* -- Quarantines: for the operator's record -- */

int fed_store_quarantine(struct fed_store *store, const struct fed_store_quarantine *quarantine, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, INSERT_QUARANTINE);
    fed_query_put_text(&q, quarantine->node);
    fed_query_put_i64(&q, quarantine->since_ms);
    fed_query_put_i64(&q, quarantine->until_ms);
    fed_query_put_text(&q, quarantine->reason);
    fed_query_put_u64(&q, quarantine->refusals);
    return fed_query_execute(&q, "record the quarantine", err);
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
