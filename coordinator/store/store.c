/* What holds at every instant, whatever is killed:
 *   1. the newest row of `rounds` names a model whose file is whole on disk;
 *   2. every attempt whose ROUND was sent has its row in `attempts`;
 *   3. a row is all there or not at all: each call below is one transaction.
 * The order that keeps them: lock, then database; model file, then row, then removal of older files. A model file newer
 * than the newest row is what a crash between file and row has left: it is swept at the next opening, and trained again
 * it comes out with the same bits.
 */
#include "coordinator/store/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/rng.h"
#include "common/config/terms.h"
#include "coordinator/store/model_files.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/store_internal.h"
#include "coordinator/store/store_view.h"

int fed_store_no_memory(const struct fed_store *store, struct fed_error *err) {
    return fed_error_set(err, FED_ENOMEM, "%s: out of memory", store->dir);
}

bool fed_store_column(void *out, size_t n, const struct fed_query *q, int column) {
    size_t found;
    const void *bytes = fed_query_bytes(&found, q, column);
    if (bytes == NULL || found != n) {
        return false;
    }
    memcpy(out, bytes, n);
    return true;
}

static int number(int64_t *out, struct fed_store *store, enum fed_store_statement which, struct fed_error *err) {
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
        found = fed_store_column(store->run_id, sizeof store->run_id, &q, 0) && terms != NULL && rest != NULL;
        store->task_terms = found ? strdup(terms) : NULL;
        store->task_rest = found ? strdup(rest) : NULL;
    }
    int code = fed_query_finish(&q, FED_OK, "read the run", err);
    if (code == FED_OK && !found) {
        code = fed_sql_damaged(store->sql, "its first row is not whole", err);
    } else if (code == FED_OK && (store->task_terms == NULL || store->task_rest == NULL)) {
        code = fed_store_no_memory(store, err);
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
        return fed_store_no_memory(store, err);
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
        return fed_store_no_memory(store, err);
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
    int code = fed_sql_open(&store->sql, store->path, fed_store_statements, N_STATEMENTS, err);
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

static int open_reader(struct fed_store **out, const char *dir, bool beside, struct fed_error *err) {
    struct fed_store *store = NULL;
    bool is_new = false;
    int code = new_store(&store, dir, err);
    if (code == FED_OK) {
        code = (beside ? fed_sql_open_beside : fed_sql_open_readonly)(&store->sql, store->path, fed_store_statements,
                                                                      N_STATEMENTS, err);
    }
    if (code == FED_ENOTFOUND) {
        code = fed_error_set(
            err, code, "there is no run in %s (no run.db): a run is the directory that --run-dir named, or runs/NAME", dir);
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

int fed_store_open_readonly(struct fed_store **out, const char *dir, struct fed_error *err) {
    return open_reader(out, dir, false, err);
}

int fed_store_open_beside(struct fed_store **out, const char *dir, struct fed_error *err) {
    return open_reader(out, dir, true, err);
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
