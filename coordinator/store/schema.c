#include "coordinator/store/schema.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"

static const char VERSION_1[] =
    "PRAGMA application_id = 1717920817;" /* FED_SCHEMA_APPLICATION_ID */
    "PRAGMA user_version = 1;"
    "CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), run_id BLOB NOT NULL CHECK (length(run_id) = 16),"
    " task_terms TEXT NOT NULL, task_rest TEXT NOT NULL, created_ms INTEGER NOT NULL, result_round INTEGER,"
    " target_round INTEGER) STRICT;"
    "CREATE TABLE attempts (round INTEGER, attempt INTEGER, cohort BLOB NOT NULL CHECK (length(cohort) % 8 = 0),"
    " opened_ms INTEGER NOT NULL, PRIMARY KEY (round, attempt)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE rounds (round INTEGER PRIMARY KEY, attempt INTEGER NOT NULL,"
    " model BLOB NOT NULL CHECK (length(model) = 32), clients INTEGER NOT NULL, weight INTEGER NOT NULL,"
    " bytes_down INTEGER NOT NULL, bytes_up INTEGER NOT NULL, seconds REAL, train_seconds REAL,"
    " committed_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE updates (round INTEGER, client INTEGER, node TEXT NOT NULL, part INTEGER NOT NULL,"
    " weight INTEGER NOT NULL, loss REAL, PRIMARY KEY (round, client)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE evaluations (round INTEGER PRIMARY KEY, loss REAL, accuracy REAL) STRICT;"
    "CREATE INDEX evaluations_by_accuracy ON evaluations (accuracy);"
    "CREATE TABLE refusals (round INTEGER, node TEXT, reason TEXT, count INTEGER NOT NULL,"
    " PRIMARY KEY (round, node, reason)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE task_changes (wall_ms INTEGER NOT NULL, task_rest TEXT NOT NULL) STRICT;";
_Static_assert(FED_SCHEMA_APPLICATION_ID == 1717920817, "as in VERSION_1");

#define NEW_TABLES_OF_2(TEMP)                                                                                               \
    "CREATE " TEMP " TABLE rollbacks (round INTEGER PRIMARY KEY, to_round INTEGER NOT NULL, reason TEXT NOT NULL,"          \
    " loss REAL, reference REAL, wall_ms INTEGER NOT NULL) STRICT;"                                                         \
    "CREATE " TEMP " TABLE quarantines (node TEXT, since_ms INTEGER, until_ms INTEGER NOT NULL, reason TEXT NOT NULL,"      \
    " refusals INTEGER NOT NULL, PRIMARY KEY (node, since_ms)) STRICT, WITHOUT ROWID;"

static const char TO_VERSION_2[] =
    "ALTER TABLE updates ADD COLUMN norm REAL;"
    "ALTER TABLE rounds ADD COLUMN norm_ceiling REAL;"
    "ALTER TABLE rounds ADD COLUMN clip REAL;"
    "ALTER TABLE rounds ADD COLUMN weight_cap INTEGER;" NEW_TABLES_OF_2("") "PRAGMA user_version = 2;";

static const char VERSION_1_AS_2[] =
    "PRAGMA temp_store = MEMORY;"
    "CREATE TEMP VIEW updates AS SELECT *, NULL AS norm FROM main.updates;"
    "CREATE TEMP VIEW rounds AS SELECT *, NULL AS norm_ceiling, NULL AS clip, NULL AS weight_cap FROM main.rounds;" //
    NEW_TABLES_OF_2("TEMP");

#define NEW_TABLE_OF_3(TEMP)                                                                                                \
    "CREATE " TEMP " TABLE builds (id INTEGER PRIMARY KEY, round INTEGER NOT NULL, since_ms INTEGER NOT NULL,"              \
    " fedavg TEXT NOT NULL, kernels TEXT NOT NULL, cpu TEXT NOT NULL) STRICT;"

static const char TO_VERSION_3[] = NEW_TABLE_OF_3("") "PRAGMA user_version = 3;";

static const char VERSION_2_AS_3[] = "PRAGMA temp_store = MEMORY;" NEW_TABLE_OF_3("TEMP");

/* What leads from version i to i + 1, and what shows i as if it had been led there. */
static const char *const steps[FED_SCHEMA_VERSION] = {VERSION_1, TO_VERSION_2, TO_VERSION_3};
static const char *const views[FED_SCHEMA_VERSION] = {NULL, VERSION_1_AS_2, VERSION_2_AS_3};

static int run_from(struct fed_sql *sql, const char *const *texts, int from, const char *what, struct fed_error *err) {
    int code = FED_OK;
    for (int i = from; i < FED_SCHEMA_VERSION && code == FED_OK; i++) {
        code = fed_sql_run(sql, texts[i], what, err);
    }
    return code;
}

int fed_schema_create(struct fed_sql *sql, const char *what, struct fed_error *err) {
    return run_from(sql, steps, 0, what, err);
}

int fed_schema_migrate(struct fed_sql *sql, const char *path, int from, struct fed_error *err) {
    static const char what[] = "bring it to the format of this version";
    assert(from >= 1 && from < FED_SCHEMA_VERSION);
    char *copy;
    if (asprintf(&copy, "%s.v%d", path, from) < 0) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", path);
    }
    int code = fed_sql_backup(sql, copy, err);
    if (code == FED_OK) {
        code = fed_sql_begin(sql, what, err);
    }
    if (code == FED_OK) {
        code = run_from(sql, steps, from, what, err);
        code = fed_sql_end(sql, code, what, err);
    }
    if (code == FED_OK) {
        FED_INFO("store", "run.db brought to a newer format", FED_I64("from", from), FED_I64("to", FED_SCHEMA_VERSION),
                 FED_STR("old", copy));
    }
    free(copy);
    return code;
}

int fed_schema_show_as_newest(struct fed_sql *sql, int from, struct fed_error *err) {
    assert(from >= 1 && from < FED_SCHEMA_VERSION);
    return run_from(sql, views, from, "read its older format", err);
}
