/* SQLite's only door: a database file, its prepared statements, and queries whose failures stick until they are finished.
 *
 *     struct fed_query q = fed_sql_query(sql, SELECT_ROUND);
 *     fed_query_put_u64(&q, round);
 *     while (fed_query_row(&q)) { ... fed_query_u64(&q, 0) ... }
 *     return fed_query_finish(&q, FED_OK, "read the round", err);
 *
 * u64 values are stored as the int64 of the same bits, NaN as NULL. Sentences name the file and what SQLite said;
 * FED_EDATA: damaged or not a database; FED_EFAILED: a constraint of the schema; FED_EIO: anything else. */
#ifndef FED_COORDINATOR_STORE_SQL_H
#define FED_COORDINATOR_STORE_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_sql;

/* Opens for writing; the file is created (0600, empty) if missing. statements: borrowed, prepared on first use and named
 * by their index. */
int fed_sql_open(struct fed_sql **out, const char *path, const char *const *statements, size_t n_statements,
                 struct fed_error *err) FED_MUST_CHECK;
/* Opens without changing anything in the directory. FED_ENOTFOUND. */
int fed_sql_open_readonly(struct fed_sql **out, const char *path, const char *const *statements, size_t n_statements,
                          struct fed_error *err) FED_MUST_CHECK;
/* Reads while another process may begin to write at any instant: takes part in SQLite's locks, which may make files beside
 * the database. FED_ENOTFOUND. */
int fed_sql_open_beside(struct fed_sql **out, const char *path, const char *const *statements, size_t n_statements,
                        struct fed_error *err) FED_MUST_CHECK;
void fed_sql_close(struct fed_sql *sql);

/* From now on a transaction is on disk when it ends: write-ahead log and synchronous = FULL, or a rollback journal where
 * the file system is shared between machines. */
int fed_sql_make_durable(struct fed_sql *sql, struct fed_error *err) FED_MUST_CHECK;
/* Reads the structure of every page. FED_EDATA. */
int fed_sql_check(struct fed_sql *sql, struct fed_error *err) FED_MUST_CHECK;
/* And holds every index against its table, which takes longer. FED_EDATA. */
int fed_sql_check_thoroughly(struct fed_sql *sql, struct fed_error *err) FED_MUST_CHECK;

/* Writes a copy of the database, as of now, to the path: it is there whole or not at all. FED_EIO. */
int fed_sql_backup(struct fed_sql *sql, const char *path, struct fed_error *err) FED_MUST_CHECK;

/* Statements that give no rows and take no values. what completes "cannot ...", here and below. */
int fed_sql_run(struct fed_sql *sql, const char *text, const char *what, struct fed_error *err) FED_MUST_CHECK;
int fed_sql_begin(struct fed_sql *sql, const char *what, struct fed_error *err) FED_MUST_CHECK;
/* Commits if code is FED_OK, else undoes; leaves no transaction open in any case. Returns code or why it did not commit. */
int fed_sql_end(struct fed_sql *sql, int code, const char *what, struct fed_error *err) FED_MUST_CHECK;
/* A row that breaks a promise of the schema: FED_EDATA. */
int fed_sql_damaged(const struct fed_sql *sql, const char *what, struct fed_error *err);

/* One use of a statement: put its values in order, take its rows, finish. */
struct fed_query {
    struct fed_sql *sql;
    void *statement;
    int rc, n_put;
};

struct fed_query fed_sql_query(struct fed_sql *sql, size_t statement);
void fed_query_put_i64(struct fed_query *q, int64_t value);
void fed_query_put_u64(struct fed_query *q, uint64_t value);
void fed_query_put_f64(struct fed_query *q, double value);
/* Borrowed until the query is finished. */
void fed_query_put_text(struct fed_query *q, const char *text);
void fed_query_put_bytes(struct fed_query *q, const void *bytes, size_t n);

/* The next row, if there is one; its columns are borrowed until the next call. */
bool fed_query_row(struct fed_query *q);
bool fed_query_is_null(const struct fed_query *q, int column);
int64_t fed_query_i64(const struct fed_query *q, int column);
uint64_t fed_query_u64(const struct fed_query *q, int column);
double fed_query_f64(const struct fed_query *q, int column);
const char *fed_query_text(const struct fed_query *q, int column); /* NULL for NULL */
const void *fed_query_bytes(size_t *n, const struct fed_query *q, int column);

/* Returns code if that is a failure, else whether the query went well. */
int fed_query_finish(struct fed_query *q, int code, const char *what, struct fed_error *err) FED_MUST_CHECK;
/* For statements that give no rows. */
int fed_query_execute(struct fed_query *q, const char *what, struct fed_error *err) FED_MUST_CHECK;

/* "3.40.1": the library at run time. */
const char *fed_sql_library_version(void);

#endif
