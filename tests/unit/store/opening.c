/* Who may open a run directory, and what it tells them. */
#include <check.h>
#include <string.h>
#include <sys/stat.h>

#include "coordinator/store/schema.h"
#include "coordinator/store/sql.h"
#include "coordinator/store/store.h"
#include "tests/unit/store/fixture.h"

START_TEST(new_run_is_private_ours_and_has_no_model) {
    struct stat st;
    struct fed_store *store = open_run();
    ck_assert(fed_store_is_new(store));
    struct fed_store_state state = state_of(store);
    ck_assert(!state.has_model && !state.finished);
    ck_assert_ptr_null(state.cohort);
    fed_store_close(store);
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    ck_assert_int_eq(stat(path_in("run.db"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION);
    ck_assert_uint_eq(database_word(APPLICATION_ID_AT), 0x66656431);
}
END_TEST

START_TEST(run_keeps_its_id_and_task) {
    uint8_t id[16];
    struct fed_store *store = open_run();
    memcpy(id, fed_store_run_id(store), sizeof id);
    fed_store_close(store);
    store = open_run();
    ck_assert(!fed_store_is_new(store));
    ck_assert_mem_eq(fed_store_run_id(store), id, sizeof id);
    ck_assert_str_eq(fed_store_task_terms(store), TERMS);
    ck_assert_str_eq(fed_store_task_rest(store), REST);
    fed_store_close(store);
}
END_TEST

START_TEST(run_is_held_by_one_at_a_time) {
    struct fed_error err = {""};
    struct fed_store *store = open_run();
    ck_assert_int_eq(open_fails(&err), FED_ELOCKED);
    fed_store_close(store);
    fed_store_close(open_run());
}
END_TEST

START_TEST(another_task_is_refused_with_the_difference) {
    struct fed_error err = {""};
    struct fed_store *other = NULL;
    struct fed_store *store = run_up_to(0);
    fed_store_close(store);
    ck_assert_int_eq(fed_store_open(&other, dir, "{\"algorithm\":{\"epochs\":5},\"name\":\"t\"}", "{}", &err),
                     FED_EMISMATCH);
    ck_assert_ptr_null(other);
    ck_assert_msg(strstr(err.text, "algorithm.epochs") != NULL, "%s", err.text);
    ck_assert_ptr_nonnull(strstr(err.text, dir));
    store = open_run();
    ck_assert_str_eq(fed_store_task_rest(store), REST); /* and the refused task left no trace */
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(what_may_change_is_recorded_when_it_does) {
    static const char *const count[] = {"SELECT count(*), max(task_rest) FROM task_changes"};
    static const char more[] = "{\"algorithm\":{\"rounds\":20}}";
    struct fed_store *store = open_run();
    fed_store_close(store);
    for (int i = 0; i < 2; i++) { /* the second time it is not a change */
        ck_assert_int_eq(fed_store_open(&store, dir, TERMS, more, NULL), FED_OK);
        ck_assert_str_eq(fed_store_task_rest(store), more);
        fed_store_close(store);
    }
    struct fed_sql *sql;
    ck_assert_int_eq(fed_sql_open_readonly(&sql, path_in("run.db"), count, 1, NULL), FED_OK);
    struct fed_query q = fed_sql_query(sql, 0);
    ck_assert(fed_query_row(&q));
    ck_assert_int_eq(fed_query_i64(&q, 0), 1);
    ck_assert_str_eq(fed_query_text(&q, 1), more);
    ck_assert_int_eq(fed_query_finish(&q, FED_OK, "", NULL), FED_OK);
    fed_sql_close(sql);
}
END_TEST

TCase *opening_cases(void) {
    TCase *cases = store_case("opening");
    tcase_add_test(cases, new_run_is_private_ours_and_has_no_model);
    tcase_add_test(cases, run_keeps_its_id_and_task);
    tcase_add_test(cases, run_is_held_by_one_at_a_time);
    tcase_add_test(cases, another_task_is_refused_with_the_difference);
    tcase_add_test(cases, what_may_change_is_recorded_when_it_does);
    return cases;
}
