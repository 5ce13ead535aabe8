/* The tables of run.db, and how they grew: a new database is made by the steps that bring an old one up to date, so both
 * are the same. A version that was ever released keeps its step for good.
 *
 *     1  the run, attempts, rounds, updates, evaluations, refusals, changes of the task
 *     2  norms of updates; ceiling, clip and cap of a round; rollbacks; quarantines
 *     3  builds: with what it was computed */
#ifndef FED_COORDINATOR_STORE_SCHEMA_H
#define FED_COORDINATOR_STORE_SCHEMA_H

#include "common/base/status.h"
#include "coordinator/store/sql.h"

#define FED_SCHEMA_APPLICATION_ID 0x66656431 /* "fed1" */
#define FED_SCHEMA_VERSION 3

/* Makes all tables, within the caller's transaction. */
int fed_schema_create(struct fed_sql *sql, const char *what, struct fed_error *err) FED_MUST_CHECK;

/* Brings the database at path from an older version (1 <= from < FED_SCHEMA_VERSION) to the newest one. First a copy of it
 * is kept as <path>.v<from>; then all changes are one transaction. Killed in between, the database is the old one or the
 * new one. FED_EIO (also: no room for the copy; nothing was changed then). */
int fed_schema_migrate(struct fed_sql *sql, const char *path, int from, struct fed_error *err) FED_MUST_CHECK;

/* Shows a reader of an older version what it would be after migration, without changing it. */
int fed_schema_show_as_newest(struct fed_sql *sql, int from, struct fed_error *err) FED_MUST_CHECK;

#endif
