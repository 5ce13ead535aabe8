/* Who reads a run changes nothing in it. */
#include <check.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/store/store.h"
#include "tests/unit/store/fixture.h"

START_TEST(reading_a_run_at_rest_changes_nothing) {
    char before[4096], after[4096];
    struct fed_store *store = run_up_to(1);
    fed_store_close(store);
    put_file("model-7.safetensors", "for the owner to sweep, not for the reader");
    list_run(before, sizeof before);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    ck_assert_uint_eq(state_of(store).round, 1);
    list_run(after, sizeof after);
    ck_assert_str_eq(before, after);
    fed_store_close(store);
    list_run(after, sizeof after);
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(live_run_is_read_while_it_goes_on) {
    struct fed_store *reader, *store = open_run();
    commit(store, 0, 3);
    for (uint64_t round = 1; round <= 3; round++) {
        commit(store, round, 3);
        ck_assert_int_eq(fed_store_open_readonly(&reader, dir, NULL), FED_OK);
        ck_assert_uint_eq(state_of(reader).round, round);
        ck_assert_str_eq(fed_store_task_terms(reader), TERMS);
        fed_store_close(reader);
    }
    commit(store, 4, 3);
    fed_store_close(store);
    check_sound(store = open_run());
    fed_store_close(store);
}
END_TEST

START_TEST(reader_cannot_write) {
    struct fed_store *store = run_up_to(0);
    fed_store_close(store);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    ck_assert_int_eq(fed_store_finish(store, 0, NULL), FED_EIO);
    fed_store_close(store);
}
END_TEST

START_TEST(missing_run_is_not_found) {
    struct fed_error err = {""};
    struct fed_store *store = NULL;
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, &err), FED_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "no run in"));
    ck_assert_int_ne(access(dir, F_OK), 0);
    ck_assert_ptr_null(store);
}
END_TEST

TCase *reading_cases(void) {
    TCase *cases = store_case("reading");
    tcase_add_test(cases, reading_a_run_at_rest_changes_nothing);
    tcase_add_test(cases, live_run_is_read_while_it_goes_on);
    tcase_add_test(cases, reader_cannot_write);
    tcase_add_test(cases, missing_run_is_not_found);
    return cases;
}
