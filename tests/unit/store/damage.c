/* A run directory that is damaged, foreign or not there. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator/store/schema.h"
#include "coordinator/store/store.h"
#include "tests/unit/store/fixture.h"

static void patch_database(off_t at, uint32_t big_endian) {
    uint8_t bytes[4] = {(uint8_t)(big_endian >> 24), (uint8_t)(big_endian >> 16), (uint8_t)(big_endian >> 8),
                        (uint8_t)big_endian};
    int fd = open(path_in("run.db"), O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, 4, at), 4);
    close(fd);
}

START_TEST(missing_model_is_named) {
    struct fed_error err = {""};
    struct fed_store_state state = {.round = 99};
    struct fed_store *store = run_up_to(0);
    ck_assert_int_eq(unlink(path_in("model-0.safetensors")), 0);
    ck_assert_int_eq(fed_store_state(&state, store, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "model-0.safetensors"));
    ck_assert_uint_eq(state.round, 99);
    fed_store_close(store);
}
END_TEST

START_TEST(models_without_their_database_are_not_taken_over) {
    struct fed_error err = {""};
    struct fed_store *store = run_up_to(0);
    fed_store_close(store);
    ck_assert_int_eq(unlink(path_in("run.db")), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(open_fails(&err), FED_EDATA);
        ck_assert_ptr_nonnull(strstr(err.text, "no run.db"));
    }
    ck_assert(has_model(0));
}
END_TEST

START_TEST(empty_database_is_a_new_run) {
    fed_store_close(open_run());
    ck_assert_int_eq(truncate(path_in("run.db"), 0), 0);
    struct fed_store *store = open_run();
    ck_assert(fed_store_is_new(store));
    fed_store_close(store);
}
END_TEST

START_TEST(newer_version_is_refused_and_left_alone) {
    struct fed_error err = {""};
    struct fed_store *store = NULL;
    fed_store_close(open_run());
    patch_database(USER_VERSION_AT, FED_SCHEMA_VERSION + 1);
    ck_assert_int_eq(open_fails(&err), FED_EMISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "newer fedavg"));
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, &err), FED_EMISMATCH);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION + 1);
}
END_TEST

START_TEST(foreign_database_is_refused) {
    static const uint32_t ids[] = {0, 0x66656432, 0x0f055112};
    struct fed_error err = {""};
    fed_store_close(open_run());
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        patch_database(APPLICATION_ID_AT, ids[i]);
        ck_assert_int_eq(open_fails(&err), FED_EMISMATCH);
        ck_assert_ptr_nonnull(strstr(err.text, "not made by fedavg"));
    }
}
END_TEST

START_TEST(garbage_is_damage_that_names_the_file) {
    struct fed_error err = {""};
    fed_store_close(open_run());
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put_file("run.db", text);
    ck_assert_int_eq(open_fails(&err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "run.db is damaged"));
}
END_TEST

START_TEST(truncated_database_is_damage) {
    struct stat st;
    struct fed_error err = {""};
    struct fed_store *store = run_up_to(5);
    fed_store_close(store);
    ck_assert_int_eq(stat(path_in("run.db"), &st), 0);
    ck_assert_int_ge(st.st_size, 3 * 4096);
    ck_assert_int_eq(truncate(path_in("run.db"), st.st_size - 2 * 4096), 0);
    ck_assert_int_eq(open_fails(&err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
    ck_assert(has_model(5));
}
END_TEST

START_TEST(overwritten_page_is_damage) {
    char noise[4096];
    struct fed_error err = {""};
    struct fed_store *store = run_up_to(0);
    fed_store_close(store);
    memset(noise, 0x5a, sizeof noise);
    int fd = open(path_in("run.db"), O_WRONLY);
    ck_assert_int_eq(pwrite(fd, noise, sizeof noise, 4096), sizeof noise);
    close(fd);
    ck_assert_int_eq(open_fails(&err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
}
END_TEST

TCase *damage_cases(void) {
    TCase *cases = store_case("damage");
    tcase_add_test(cases, missing_model_is_named);
    tcase_add_test(cases, models_without_their_database_are_not_taken_over);
    tcase_add_test(cases, empty_database_is_a_new_run);
    tcase_add_test(cases, newer_version_is_refused_and_left_alone);
    tcase_add_test(cases, foreign_database_is_refused);
    tcase_add_test(cases, garbage_is_damage_that_names_the_file);
    tcase_add_test(cases, truncated_database_is_damage);
    tcase_add_test(cases, overwritten_page_is_damage);
    return cases;
}
