/* A connection belongs to one thread at a time, so SQLite does without its own locks. */
#include "coordinator/store/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/utf8.h"

#define BUSY_MS 5000 /* where there is no write-ahead log a reader may hold a commit up, but not for ever */
#define FILE_MODE 0600

struct fed_sql {
    char *path;
    sqlite3 *db;
    const char *const *texts; /* borrowed */
    sqlite3_stmt **prepared;  /* owned; NULL until first use */
    size_t n_statements;
};

/* -- Failures -- */

/* What SQLite says may run over several lines and quote names that a damaged file made up. Sentences are one line. */
struct words {
    char text[512];
};
static struct words one_line(const char *said) {
    struct words words;
    size_t n = 0;
    while (*said != '\0') {
        const char *from = said;
        bool control = fed_utf8_is_control(fed_utf8_next(&said));
        size_t length = control ? 1 : (size_t)(said - from);
        if (n + length >= sizeof words.text) {
            break;
        }
        memcpy(words.text + n, control ? " " : from, length);
        n += length;
    }
    words.text[n] = '\0';
    return words;
}

int fed_sql_damaged(const struct fed_sql *sql, const char *what, struct fed_error *err) {
    return fed_error_set(err, FED_EDATA, "%s is damaged (%s): restore the run directory from a backup", sql->path,
                         one_line(what).text);
}

/* What the system said of a read that failed, of the database or its journal; 0: nothing. SQLite calls a page that the disk
 * does not give (EIO) a damaged file; but the disk may give it the next time. */
static int unread(const struct fed_sql *sql) {
    int cause = 0, of_journal = 0;
    sqlite3_file *journal = NULL;
    sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_LAST_ERRNO, &cause);
    sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
    if (cause == 0 && journal != NULL && journal->pMethods != NULL && journal->pMethods->xFileControl != NULL) {
        journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &of_journal);
    }
    return cause != 0 ? cause : of_journal;
}

static int failed(const struct fed_sql *sql, const char *what, struct fed_error *err) {
    int rc = sqlite3_errcode(sql->db), cause = sqlite3_system_errno(sql->db);
    const struct words said = one_line(sqlite3_errmsg(sql->db));
    switch (rc) {
    case SQLITE_CORRUPT:
        if ((cause = unread(sql)) != 0) {
            return fed_error_set(err, FED_EIO, "%s: cannot %s: %s", sql->path, what, strerror(cause));
        }
        __attribute__((fallthrough));
    case SQLITE_NOTADB: return fed_sql_damaged(sql, said.text, err);
    case SQLITE_CONSTRAINT: return fed_error_set(err, FED_EFAILED, "%s: cannot %s: %s", sql->path, what, said.text);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (cause != 0) {
            return fed_error_set(err, FED_EIO, "%s: cannot %s: %s (%s)", sql->path, what, said.text, strerror(cause));
        }
        __attribute__((fallthrough));
    default: return fed_error_set(err, FED_EIO, "%s: cannot %s: %s", sql->path, what, said.text);
    }
}

static int no_memory(const char *path, struct fed_error *err) {
    return fed_error_set(err, FED_ENOMEM, "%s: out of memory", path);
}

/* -- Opening -- */

static int new_sql(struct fed_sql **out, const char *path, const char *const *statements, size_t n, struct fed_error *err) {
    struct fed_sql *sql = calloc(1, sizeof *sql);
    if (sql != NULL) {
        sql->path = strdup(path);
        sql->prepared = calloc(n, sizeof *sql->prepared);
        sql->texts = statements;
        sql->n_statements = n;
    }
    if (sql == NULL || sql->path == NULL || sql->prepared == NULL) {
        fed_sql_close(sql);
        return no_memory(path, err);
    }
    *out = sql;
    return FED_OK;
}

static int open_file(struct fed_sql *sql, const char *name, int flags, struct fed_error *err) {
    if (sqlite3_open_v2(name, &sql->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        return sql->db != NULL ? failed(sql, "open it", err) : no_memory(sql->path, err);
    }
    sqlite3_busy_timeout(sql->db, BUSY_MS);
    return FED_OK;
}

/* SQLite gives its other files the mode of the database: made here first, so that all of them are private. */
static int create_private(const char *path, struct fed_error *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return fed_error_set(err, FED_EIO, "%s: cannot open it: %s", path, strerror(errno));
    }
    close(fd);
    return FED_OK;
}

int fed_sql_open(struct fed_sql **out, const char *path, const char *const *statements, size_t n_statements,
                 struct fed_error *err) {
    struct fed_sql *sql = NULL;
    int code = create_private(path, err);
    if (code == FED_OK) {
        code = new_sql(&sql, path, statements, n_statements, err);
    }
    if (code == FED_OK) {
        code = open_file(sql, path, SQLITE_OPEN_READWRITE, err);
    }
    if (code == FED_OK) {
        *out = sql;
        sql = NULL;
    }
    fed_sql_close(sql);
    return code;
}

/* A database with a write-ahead log that nobody has open has no log beside it. To read it in the ordinary way SQLite would
 * create one, which changes the directory and fails where that is read-only. */
static bool is_at_rest(const char *path) {
    enum { WRITE_VERSION = 18, WAL = 2 }; /* a byte of the database header */
    uint8_t version = 0;
    char *log = NULL;
    bool has_log = asprintf(&log, "%s-wal", path) < 0 || access(log, F_OK) == 0;
    free(log);
    if (has_log) { /* nor may the file be opened and closed here: that would end the locks of a connection we have to it */
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool at_rest = fd >= 0 && pread(fd, &version, 1, WRITE_VERSION) == 1 && version == WAL;
    if (fd >= 0) {
        close(fd);
    }
    return at_rest;
}

/* The file's name as a URI, in which SQLite takes parameters; the caller owns it. NULL without memory. */
static char *immutable_uri(const char *path) {
    static const char digits[] = "0123456789abcdef", head[] = "file:", tail[] = "?immutable=1";
    char *uri = malloc(sizeof head + 3 * strlen(path) + sizeof tail);
    if (uri == NULL) {
        return NULL;
    }
    char *at = stpcpy(uri, head);
    for (const char *c = path; *c != '\0'; c++) {
        if (*c == '%' || *c == '?' || *c == '#') {
            *at++ = '%';
            *at++ = digits[*c >> 4];
            *at++ = digits[*c & 15];
        } else {
            *at++ = *c;
        }
    }
    memcpy(at, tail, sizeof tail);
    return uri;
}

static int open_for_reading(struct fed_sql *sql, bool beside, struct fed_error *err) {
    if (access(sql->path, R_OK) != 0) {
        int code = errno == ENOENT || errno == ENOTDIR ? FED_ENOTFOUND : FED_EIO;
        return fed_error_set(err, code, "%s: cannot open it: %s", sql->path, strerror(errno));
    }
    if (beside || !is_at_rest(sql->path)) {
        return open_file(sql, sql->path, SQLITE_OPEN_READONLY, err);
    }
    char *uri = immutable_uri(sql->path);
    int code = uri != NULL ? open_file(sql, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err) : no_memory(sql->path, err);
    free(uri);
    return code;
}

static int open_reader(struct fed_sql **out, const char *path, const char *const *statements, size_t n_statements,
                       bool beside, struct fed_error *err) {
    struct fed_sql *sql = NULL;
    int code = new_sql(&sql, path, statements, n_statements, err);
    if (code == FED_OK) {
        code = open_for_reading(sql, beside, err);
    }
    if (code == FED_OK) {
        *out = sql;
        sql = NULL;
    }
    fed_sql_close(sql);
    return code;
}

int fed_sql_open_readonly(struct fed_sql **out, const char *path, const char *const *statements, size_t n_statements,
                          struct fed_error *err) {
    return open_reader(out, path, statements, n_statements, false, err);
}

int fed_sql_open_beside(struct fed_sql **out, const char *path, const char *const *statements, size_t n_statements,
                        struct fed_error *err) {
    return open_reader(out, path, statements, n_statements, true, err);
}

void fed_sql_close(struct fed_sql *sql) {
    if (sql == NULL) {
        return;
    }
    for (size_t i = 0; sql->prepared != NULL && i < sql->n_statements; i++) {
        sqlite3_finalize(sql->prepared[i]);
    }
    sqlite3_close(sql->db);
    free(sql->prepared);
    free(sql->path);
    free(sql);
}

/* With a rollback journal a transaction is durable once the journal's removal is: that is what EXTRA adds to FULL. */
int fed_sql_make_durable(struct fed_sql *sql, struct fed_error *err) {
    const char *text = fed_file_is_shared(sql->path) ? "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA;"
                                                     : "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
    return fed_sql_run(sql, text, "choose its journal", err);
}

static int check_pages(struct fed_sql *sql, const char *pragma, struct fed_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = FED_OK;
    if (sqlite3_prepare_v2(sql->db, pragma, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) {
        code = failed(sql, "check it", err);
    } else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0) {
        code = fed_sql_damaged(sql, (const char *)sqlite3_column_text(statement, 0), err);
    }
    sqlite3_finalize(statement);
    return code;
}

int fed_sql_check(struct fed_sql *sql, struct fed_error *err) { return check_pages(sql, "PRAGMA quick_check(1)", err); }

int fed_sql_check_thoroughly(struct fed_sql *sql, struct fed_error *err) {
    return check_pages(sql, "PRAGMA integrity_check(1)", err);
}

static int copy_into(struct fed_sql *sql, const char *path, struct fed_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = FED_OK;
    if (sqlite3_prepare_v2(sql->db, "VACUUM INTO ?", -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(statement) != SQLITE_DONE) {
        code = failed(sql, "keep a copy of it", err);
    }
    sqlite3_finalize(statement);
    return code;
}

int fed_sql_backup(struct fed_sql *sql, const char *path, struct fed_error *err) {
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.tmp", path) < 0) {
        return no_memory(path, err);
    }
    unlink(temporary); /* what a crash in the middle of a copy has left; SQLite writes into an empty file only */
    int code = create_private(temporary, err);
    if (code == FED_OK) {
        code = copy_into(sql, temporary, err);
    }
    if (code == FED_OK) {
        code = fed_file_settle(temporary, path, err);
    } else {
        unlink(temporary);
    }
    free(temporary);
    return code;
}

/* -- Statements -- */

int fed_sql_run(struct fed_sql *sql, const char *text, const char *what, struct fed_error *err) {
    return sqlite3_exec(sql->db, text, NULL, NULL, NULL) == SQLITE_OK ? FED_OK : failed(sql, what, err);
}

int fed_sql_begin(struct fed_sql *sql, const char *what, struct fed_error *err) {
    return fed_sql_run(sql, "BEGIN IMMEDIATE", what, err);
}

int fed_sql_end(struct fed_sql *sql, int code, const char *what, struct fed_error *err) {
    if (code == FED_OK) {
        code = fed_sql_run(sql, "COMMIT", what, err);
    }
    if (sqlite3_get_autocommit(sql->db) == 0) {
        /* If even this fails, SQLite rolls back when the file is opened again. */
        (void)sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return code;
}

struct fed_query fed_sql_query(struct fed_sql *sql, size_t statement) {
    struct fed_query q = {.sql = sql, .rc = SQLITE_OK};
    if (sql->prepared[statement] == NULL) {
        q.rc = sqlite3_prepare_v3(sql->db, sql->texts[statement], -1, SQLITE_PREPARE_PERSISTENT, &sql->prepared[statement],
                                  NULL);
    }
    q.statement = sql->prepared[statement];
    return q;
}

void fed_query_put_i64(struct fed_query *q, int64_t value) {
    if (q->rc == SQLITE_OK) {
        q->rc = sqlite3_bind_int64(q->statement, ++q->n_put, value);
    }
}

void fed_query_put_u64(struct fed_query *q, uint64_t value) { fed_query_put_i64(q, (int64_t)value); }

void fed_query_put_f64(struct fed_query *q, double value) {
    if (q->rc == SQLITE_OK) {
        q->rc = sqlite3_bind_double(q->statement, ++q->n_put, value);
    }
}

void fed_query_put_text(struct fed_query *q, const char *text) {
    if (q->rc == SQLITE_OK) {
        q->rc = sqlite3_bind_text(q->statement, ++q->n_put, text, -1, SQLITE_STATIC);
    }
}

void fed_query_put_bytes(struct fed_query *q, const void *bytes, size_t n) {
    if (q->rc == SQLITE_OK) { /* a NULL pointer would be stored as NULL, not as no bytes */
        q->rc = sqlite3_bind_blob64(q->statement, ++q->n_put, n == 0 ? "" : bytes, n, SQLITE_STATIC);
    }
}

bool fed_query_row(struct fed_query *q) {
    if (q->rc == SQLITE_OK || q->rc == SQLITE_ROW) {
        q->rc = sqlite3_step(q->statement);
    }
    return q->rc == SQLITE_ROW;
}

bool fed_query_is_null(const struct fed_query *q, int column) {
    return sqlite3_column_type(q->statement, column) == SQLITE_NULL;
}

int64_t fed_query_i64(const struct fed_query *q, int column) { return sqlite3_column_int64(q->statement, column); }

uint64_t fed_query_u64(const struct fed_query *q, int column) { return (uint64_t)fed_query_i64(q, column); }

double fed_query_f64(const struct fed_query *q, int column) {
    return fed_query_is_null(q, column) ? (double)NAN : sqlite3_column_double(q->statement, column);
}

const char *fed_query_text(const struct fed_query *q, int column) {
    return (const char *)sqlite3_column_text(q->statement, column);
}

const void *fed_query_bytes(size_t *n, const struct fed_query *q, int column) {
    const void *bytes = sqlite3_column_blob(q->statement, column);
    *n = (size_t)sqlite3_column_bytes(q->statement, column);
    return bytes;
}

int fed_query_finish(struct fed_query *q, int code, const char *what, struct fed_error *err) {
    if (code == FED_OK && q->rc != SQLITE_OK && q->rc != SQLITE_ROW && q->rc != SQLITE_DONE) {
        code = failed(q->sql, what, err);
    }
    if (q->statement != NULL) {
        sqlite3_reset(q->statement);
        sqlite3_clear_bindings(q->statement);
    }
    return code;
}

int fed_query_execute(struct fed_query *q, const char *what, struct fed_error *err) {
    (void)fed_query_row(q);
    return fed_query_finish(q, FED_OK, what, err);
}

const char *fed_sql_library_version(void) { return sqlite3_libversion(); }
