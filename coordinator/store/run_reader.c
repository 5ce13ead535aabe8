#include "coordinator/store/run_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sql.h"

enum view_statement {
    VIEW_VERSION,
    VIEW_LAST,
    VIEW_ROUNDS,
    VIEW_SHARES,
    VIEW_REFUSALS,
    VIEW_ABANDONED,
    VIEW_QUARANTINES,
    VIEW_COUNT_QUARANTINES,
    N_VIEW_STATEMENTS,
};

static const char *const statements[N_VIEW_STATEMENTS] = {
    [VIEW_VERSION] = "PRAGMA user_version",
    [VIEW_LAST] = "SELECT round FROM rounds ORDER BY round DESC LIMIT 1",
    [VIEW_ROUNDS] = "SELECT round, attempt, clients, weight, loss, accuracy, seconds, train_seconds, bytes_down, bytes_up,"
                    " committed_ms, model FROM rounds LEFT JOIN evaluations USING (round) WHERE round BETWEEN ? AND ?"
                    " ORDER BY round LIMIT ?",
    [VIEW_SHARES] = "SELECT round, node, count(*), sum(weight) FROM updates WHERE round BETWEEN ? AND ?"
                    " GROUP BY round, node ORDER BY round",
    [VIEW_REFUSALS] = "SELECT round, node, reason, count FROM refusals WHERE round BETWEEN ? AND ?"
                      " ORDER BY round, node, reason",
    /* The last attempt of a round that is not committed yet may still be going on. */
    [VIEW_ABANDONED] = "SELECT tried.round, tried.attempt, tried.opened_ms FROM attempts AS tried WHERE tried.round >= ?"
                       " AND EXISTS (SELECT 1 FROM attempts AS next WHERE next.round = tried.round"
                       " AND next.attempt > tried.attempt)"
                       " ORDER BY tried.round DESC, tried.attempt DESC LIMIT ?",
    [VIEW_QUARANTINES] =
        "SELECT node, since_ms, until_ms, reason, refusals FROM quarantines ORDER BY since_ms DESC, node LIMIT ?",
    [VIEW_COUNT_QUARANTINES] = "SELECT count(*) FROM quarantines",
};

/* Which file was opened, and whether somebody was writing it. */
struct origin {
    bool has_log;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct fed_run_reader {
    char *dir, *path;        /* of the run, and of run.db in it */
    struct fed_store *store; /* for what store.h reads */
    struct fed_sql *sql;     /* for the statements above */
    struct origin origin;
};

static struct origin look(const char *path) {
    struct origin origin = {0};
    struct stat file;
    char *log = NULL;
    origin.has_log = asprintf(&log, "%s-wal", path) >= 0 && access(log, F_OK) == 0;
    free(log);
    if (stat(path, &file) == 0) {
        origin.device = file.st_dev;
        origin.inode = file.st_ino;
        origin.size = file.st_size;
        origin.changed = file.st_mtim;
    }
    return origin;
}

static int show_as_newest(struct fed_sql *sql, struct fed_error *err) {
    struct fed_query q = fed_sql_query(sql, VIEW_VERSION);
    int64_t version = fed_query_row(&q) ? fed_query_i64(&q, 0) : 0;
    int code = fed_query_finish(&q, FED_OK, "read its format", err);
    return code == FED_OK && version < FED_SCHEMA_VERSION ? fed_schema_show_as_newest(sql, (int)version, err) : code;
}

int fed_run_reader_open(struct fed_run_reader **out, const char *dir, struct fed_error *err) {
    struct fed_run_reader *view = calloc(1, sizeof *view);
    if (view == NULL) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", dir);
    }
    view->dir = strdup(dir);
    int code = view->dir == NULL || fed_path_join(&view->path, dir, "run.db") != FED_OK
                   ? fed_error_set(err, FED_ENOMEM, "%s: out of memory", dir)
                   : fed_store_open_readonly(&view->store, dir, err); /* which judges whether it is a run of ours */
    if (code == FED_OK) {
        view->origin = look(view->path);
        code = fed_sql_open_readonly(&view->sql, view->path, statements, N_VIEW_STATEMENTS, err);
    }
    if (code == FED_OK) {
        code = show_as_newest(view->sql, err);
    }
    if (code == FED_OK) {
        *out = view;
        view = NULL;
    }
    fed_run_reader_close(view);
    return code;
}

void fed_run_reader_close(struct fed_run_reader *view) {
    if (view != NULL) {
        fed_sql_close(view->sql);
        fed_store_close(view->store);
        free(view->dir);
        free(view->path);
        free(view);
    }
}

bool fed_run_reader_is_stale(const struct fed_run_reader *view) {
    struct origin now = look(view->path), then = view->origin;
    bool other = now.device != then.device || now.inode != then.inode;
    bool touched = now.has_log || now.size != then.size || now.changed.tv_sec != then.changed.tv_sec ||
                   now.changed.tv_nsec != then.changed.tv_nsec;
    return other || (!then.has_log && touched);
}

struct fed_store *fed_run_reader_store(const struct fed_run_reader *view) {
    return view->store;
}
const char *fed_run_reader_dir(const struct fed_run_reader *view) { return view->dir; }

int fed_run_reader_last(uint64_t *round, struct fed_run_reader *view, struct fed_error *err) {
    struct fed_query q = fed_sql_query(view->sql, VIEW_LAST);
    bool any = fed_query_row(&q);
    uint64_t last = any ? fed_query_u64(&q, 0) : 0;
    int code = fed_query_finish(&q, FED_OK, "read the last round", err);
    if (code == FED_OK && !any) {
        code = fed_error_set(err, FED_ENOTFOUND, "%s: no round is committed yet", view->path);
    }
    if (code == FED_OK) {
        *round = last;
    }
    return code;
}

/* SQLite counts in int64. */
static uint64_t as_limit(uint64_t value) { return value < INT64_MAX ? value : INT64_MAX; }

static struct fed_query query_range(struct fed_run_reader *view, enum view_statement which, uint64_t from, uint64_t to) {
    struct fed_query q = fed_sql_query(view->sql, which);
    fed_query_put_u64(&q, as_limit(from));
    fed_query_put_u64(&q, as_limit(to));
    return q;
}

int fed_run_reader_rounds(struct fed_run_reader *view, uint64_t from, uint64_t to, size_t most,
                          void (*row)(void *context, const struct fed_store_round *round), void *context,
                          struct fed_error *err) {
    struct fed_query q = query_range(view, VIEW_ROUNDS, from, to);
    int code = FED_OK;
    fed_query_put_u64(&q, as_limit(most));
    while (fed_query_row(&q)) {
        struct fed_store_round round = {.round = fed_query_u64(&q, 0),
                                        .attempt = (uint32_t)fed_query_u64(&q, 1),
                                        .clients = fed_query_u64(&q, 2),
                                        .weight = fed_query_u64(&q, 3),
                                        .loss = fed_query_f64(&q, 4),
                                        .accuracy = fed_query_f64(&q, 5),
                                        .seconds = fed_query_f64(&q, 6),
                                        .train_seconds = fed_query_f64(&q, 7),
                                        .bytes_down = fed_query_u64(&q, 8),
                                        .bytes_up = fed_query_u64(&q, 9),
                                        .wall_ms = fed_query_i64(&q, 10),
                                        .norm_ceiling = (double)NAN,
                                        .clip = (double)NAN};
        size_t n;
        const void *digest = fed_query_bytes(&n, &q, 11);
        if (digest == NULL || n != sizeof round.model_digest) {
            code = fed_sql_damaged(view->sql, "a model digest is not whole", err);
            break;
        }
        memcpy(round.model_digest, digest, n);
        row(context, &round);
    }
    return fed_query_finish(&q, code, "read the rounds", err);
}

static const char *text_or_empty(const struct fed_query *q, int column) {
    const char *text = fed_query_text(q, column);
    return text != NULL ? text : "";
}

int fed_run_reader_shares(struct fed_run_reader *view, uint64_t from, uint64_t to,
                          void (*row)(void *context, const struct fed_view_share *share), void *context,
                          struct fed_error *err) {
    struct fed_query q = query_range(view, VIEW_SHARES, from, to);
    while (fed_query_row(&q)) {
        row(context, &(struct fed_view_share){.round = fed_query_u64(&q, 0),
                                              .node = text_or_empty(&q, 1),
                                              .clients = fed_query_u64(&q, 2),
                                              .weight = fed_query_u64(&q, 3)});
    }
    return fed_query_finish(&q, FED_OK, "read the updates", err);
}

int fed_run_reader_refusals(struct fed_run_reader *view, uint64_t from, uint64_t to,
                            void (*row)(void *context, const struct fed_view_refusal *refusal), void *context,
                            struct fed_error *err) {
    struct fed_query q = query_range(view, VIEW_REFUSALS, from, to);
    while (fed_query_row(&q)) {
        row(context, &(struct fed_view_refusal){.round = fed_query_u64(&q, 0),
                                                .node = text_or_empty(&q, 1),
                                                .reason = text_or_empty(&q, 2),
                                                .count = fed_query_u64(&q, 3)});
    }
    return fed_query_finish(&q, FED_OK, "read the refusals", err);
}

int fed_run_reader_abandoned(struct fed_run_reader *view, uint64_t from, size_t most,
                             void (*row)(void *context, const struct fed_view_attempt *attempt), void *context,
                             struct fed_error *err) {
    struct fed_query q = query_range(view, VIEW_ABANDONED, from, most);
    while (fed_query_row(&q)) {
        row(context, &(struct fed_view_attempt){.round = fed_query_u64(&q, 0),
                                                .attempt = (uint32_t)fed_query_u64(&q, 1),
                                                .wall_ms = fed_query_i64(&q, 2)});
    }
    return fed_query_finish(&q, FED_OK, "read the attempts", err);
}

int fed_run_reader_quarantines(struct fed_run_reader *view, size_t most,
                               void (*row)(void *context, const struct fed_store_quarantine *quarantine), void *context,
                               struct fed_error *err) {
    struct fed_query q = fed_sql_query(view->sql, VIEW_QUARANTINES);
    fed_query_put_u64(&q, as_limit(most));
    while (fed_query_row(&q)) {
        struct fed_store_quarantine quarantine = {.since_ms = fed_query_i64(&q, 1),
                                                  .until_ms = fed_query_i64(&q, 2),
                                                  .reason = text_or_empty(&q, 3),
                                                  .refusals = fed_query_u64(&q, 4)};
        snprintf(quarantine.node, sizeof quarantine.node, "%s", text_or_empty(&q, 0));
        row(context, &quarantine);
    }
    return fed_query_finish(&q, FED_OK, "read the quarantines", err);
}

int fed_run_reader_count_quarantines(uint64_t *out, struct fed_run_reader *view, struct fed_error *err) {
    struct fed_query q = fed_sql_query(view->sql, VIEW_COUNT_QUARANTINES);
    uint64_t n = fed_query_row(&q) ? fed_query_u64(&q, 0) : 0;
    int code = fed_query_finish(&q, FED_OK, "count the quarantines", err);
    if (code == FED_OK) {
        *out = n;
    }
    return code;
}
