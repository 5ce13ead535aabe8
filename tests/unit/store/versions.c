/* Runs of older versions are read as they are, and go on after a copy of them was kept. */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sql.h"
#include "coordinator/store/store.h"
#include "coordinator/store/store_builds.h"
#include "tests/unit/store/fixture.h"

/* run.db as fedavg 0.1 made it: the text of its schema, and what two rounds had left. */
static const char OLD_RUN[] =
    "PRAGMA application_id = 1717920817; PRAGMA user_version = 1;"
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
    "CREATE TABLE task_changes (wall_ms INTEGER NOT NULL, task_rest TEXT NOT NULL) STRICT;"
    "INSERT INTO meta VALUES (1, x'000102030405060708090a0b0c0d0e0f', '{\"algorithm\":{\"epochs\":1},\"name\":\"t\"}',"
    " '{\"algorithm\":{\"rounds\":10}}', 1700000000000, NULL, NULL);"
    "INSERT INTO rounds VALUES (0, 0, zeroblob(32), 0, 0, 0, 0, 0.0, 0.0, 1700000000000),"
    " (1, 1, zeroblob(32), 1, 600, 10, 20, 1.5, 1.25, 1700000001000);"
    "INSERT INTO updates VALUES (1, 7, 'ward-7', 0, 600, 0.5);"
    "INSERT INTO evaluations VALUES (1, 0.5, 0.75);"
    "INSERT INTO attempts VALUES (2, 1, x'0300000000000000', 1700000002000);";

static void make_old_run(void) {
    struct fed_sql *sql;
    ck_assert_int_eq(fed_file_make_dirs(dir, NULL), FED_OK);
    ck_assert_int_eq(fed_sql_open(&sql, path_in("run.db"), NULL, 0, NULL), FED_OK);
    ck_assert_int_eq(fed_sql_make_durable(sql, NULL), FED_OK);
    ck_assert_int_eq(fed_sql_run(sql, OLD_RUN, "make an old run", NULL), FED_OK);
    fed_sql_close(sql);
    put_file("model-1.safetensors", "the model of round 1");
}

static void no_rollback(void *context, const struct fed_store_rollback *rollback) {
    (void)context;
    ck_abort_msg("round %" PRIu64 " was rolled back", rollback->round);
}

static void no_quarantine(void *context, const struct fed_store_quarantine *quarantine) {
    (void)context;
    ck_abort_msg("%s was quarantined", quarantine->node);
}

static void no_build(void *context, const struct fed_store_build *build) {
    (void)context;
    ck_abort_msg("%s is on record", build->fedavg);
}

/* What the two rounds had left, whatever the version of the file. */
static void check_old_run(struct fed_store *store) {
    struct rows rows = {0};
    struct fed_store_state state = state_of(store);
    ck_assert(state.round == 1 && state.attempt == 1 && state.n_cohort == 1 && state.cohort[0] == 3);
    ck_assert(state.evaluated && state.accuracy == 0.75 && !state.rolled_back);
    ck_assert(isnan(state.norm_ceiling) && isnan(state.clip) && state.weight_cap == 0);
    free(state.cohort);
    ck_assert_int_eq(fed_store_rounds(store, 0, take_round, &rows, NULL), FED_OK);
    ck_assert(rows.n == 2 && rows.last.weight == 600 && isnan(rows.last.clip) && rows.last.wall_ms == 1700000001000);
    ck_assert(reference(store, 2, 8) == 0.5);
    ck_assert_int_eq(fed_store_rollbacks(store, 0, no_rollback, NULL, NULL), FED_OK);
    ck_assert_int_eq(fed_store_quarantines(store, 0, no_quarantine, NULL, NULL), FED_OK);
}

static void take_old_norm(void *context, const struct fed_store_norm *norm) {
    ck_assert(norm->round == 1 && isnan(norm->norm) && norm->weight == 600);
    (*(size_t *)context)++;
}

/* Its only update was made before norms were kept. */
static void check_old_norms(struct fed_store *store) {
    size_t n = 0;
    ck_assert_int_eq(fed_store_norms(store, 0, take_old_norm, &n, NULL), FED_OK);
    ck_assert_uint_eq(n, 1);
}

static void describe_schema(char *out, size_t n) {
    static const char *const text[] = {"SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)"};
    struct fed_sql *sql;
    ck_assert_int_eq(fed_sql_open_readonly(&sql, path_in("run.db"), text, 1, NULL), FED_OK);
    struct fed_query q = fed_sql_query(sql, 0);
    ck_assert(fed_query_row(&q));
    snprintf(out, n, "%s", fed_query_text(&q, 0));
    ck_assert_int_eq(fed_query_finish(&q, FED_OK, "", NULL), FED_OK);
    fed_sql_close(sql);
}

START_TEST(old_run_goes_on_and_a_copy_of_it_stays) {
    struct stat st;
    char migrated[8192], fresh[8192];
    make_old_run();
    struct fed_store *store = open_run();
    ck_assert(!fed_store_is_new(store));
    check_old_run(store);
    check_old_norms(store);
    commit(store, 2, 3);
    check_sound(store);
    fed_store_close(store);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION);
    describe_schema(migrated, sizeof migrated);
    ck_assert(exists("run.db.v1") && !exists("run.db.v1.tmp"));
    ck_assert_int_eq(stat(path_in("run.db.v1"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);

    char names[256]; /* the copy is the old run, whole */
    snprintf(names, sizeof names, "%s", path_in("run.db.v1"));
    ck_assert_int_eq(rename(names, path_in("run.db")), 0);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 1);
    store = open_run();
    check_old_run(store);
    fed_store_close(store);

    remove_tree(dir);
    fed_store_close(open_run());
    describe_schema(fresh, sizeof fresh);
    ck_assert_str_eq(migrated, fresh);
}
END_TEST

START_TEST(old_run_is_read_as_it_is) {
    char before[4096], after[4096];
    struct fed_store *store;
    make_old_run();
    list_run(before, sizeof before);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    check_old_run(store);
    check_old_norms(store);
    fed_store_close(store);
    list_run(after, sizeof after);
    ck_assert_str_eq(before, after);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 1);
}
END_TEST

/* What version 2 had more. */
static const char SECOND_RUN[] =
    "ALTER TABLE updates ADD COLUMN norm REAL;"
    "ALTER TABLE rounds ADD COLUMN norm_ceiling REAL;"
    "ALTER TABLE rounds ADD COLUMN clip REAL;"
    "ALTER TABLE rounds ADD COLUMN weight_cap INTEGER;"
    "CREATE TABLE rollbacks (round INTEGER PRIMARY KEY, to_round INTEGER NOT NULL, reason TEXT NOT NULL,"
    " loss REAL, reference REAL, wall_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE quarantines (node TEXT, since_ms INTEGER, until_ms INTEGER NOT NULL, reason TEXT NOT NULL,"
    " refusals INTEGER NOT NULL, PRIMARY KEY (node, since_ms)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 2;";

START_TEST(run_of_the_second_version_is_read_as_it_is_and_goes_on) {
    struct fed_sql *sql;
    struct fed_store *store;
    make_old_run();
    ck_assert_int_eq(fed_sql_open(&sql, path_in("run.db"), NULL, 0, NULL), FED_OK);
    ck_assert_int_eq(fed_sql_run(sql, SECOND_RUN, "make it the second", NULL), FED_OK);
    fed_sql_close(sql);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    check_old_run(store);
    ck_assert_int_eq(fed_store_builds(store, no_build, NULL, NULL), FED_OK);
    fed_store_close(store);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 2);
    store = open_run();
    check_old_run(store);
    ck_assert_int_eq(fed_store_builds(store, no_build, NULL, NULL), FED_OK);
    fed_store_close(store);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION);
    ck_assert(exists("run.db.v2") && !exists("run.db.v1"));
}
END_TEST

START_TEST(old_run_of_another_task_is_left_alone) {
    struct fed_error err = {""};
    struct fed_store *store = NULL;
    make_old_run();
    ck_assert_int_eq(fed_store_open(&store, dir, "{\"name\":\"other\"}", REST, &err), FED_EMISMATCH);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 1);
    ck_assert(!exists("run.db.v1"));
}
END_TEST

START_TEST(old_run_that_cannot_be_copied_stays_old) {
    struct fed_error err = {""};
    make_old_run();
    put_file("run.db.v1.tmp", "cut off");
    limit_files(36000); /* enough to read it (run.db-shm has 32768), not for another one (nine pages) */
    ck_assert_int_eq(open_fails(&err), FED_EIO);
    ck_assert_msg(strstr(err.text, "keep a copy of it") != NULL, "%s", err.text);
    ck_assert(!exists("run.db.v1") && !exists("run.db.v1.tmp"));
    limit_files(RLIM_INFINITY);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 1);
    struct fed_store *store = open_run();
    check_old_run(store);
    fed_store_close(store);
    ck_assert(exists("run.db.v1"));
}
END_TEST

/* Killed by the file limit wherever it first does not suffice: while the copy is written. What follows the copy is one
 * transaction. */
START_TEST(killed_in_the_middle_of_its_migration_the_old_run_opens) {
    unsigned cut_off = 0;
    for (rlim_t limit = 33000; limit <= 38000; limit += 500) {
        make_old_run();
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            struct fed_store *store;
            limit_files(limit);
            signal(SIGXFSZ, SIG_DFL);
            _exit(fed_store_open(&store, dir, TERMS, REST, NULL) == FED_OK ? 0 : 1);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        cut_off += WIFSIGNALED(status);
        struct fed_store *store = open_run();
        check_old_run(store);
        fed_store_close(store);
        ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION);
        ck_assert(exists("run.db.v1") && !exists("run.db.v1.tmp"));
        remove_tree(dir);
    }
    ck_assert_uint_ge(cut_off, 5);
}
END_TEST

TCase *versions_cases(void) {
    TCase *cases = store_case("versions");
    tcase_add_test(cases, old_run_goes_on_and_a_copy_of_it_stays);
    tcase_add_test(cases, old_run_is_read_as_it_is);
    tcase_add_test(cases, run_of_the_second_version_is_read_as_it_is_and_goes_on);
    tcase_add_test(cases, old_run_of_another_task_is_left_alone);
    tcase_add_test(cases, old_run_that_cannot_be_copied_stays_old);
    tcase_add_test(cases, killed_in_the_middle_of_its_migration_the_old_run_opens);
    return cases;
}
