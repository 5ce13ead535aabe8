/* Descriptors against their limit: what is counted is there, and between open and shut there is room to breathe. */
#include "coordinator/nodes/descriptors.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

START_TEST(every_open_file_is_counted) {
    struct fed_descriptors before, after;
    int files[50];
    ck_assert_int_eq(fed_descriptors_count(&before), FED_OK);
    for (int i = 0; i < 50; i++) {
        files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(files[i], 0);
    }
    ck_assert_int_eq(fed_descriptors_count(&after), FED_OK);
    ck_assert_uint_eq(after.used, before.used + 50);
    for (int i = 0; i < 50; i++) {
        close(files[i]);
    }
    ck_assert_int_eq(fed_descriptors_count(&after), FED_OK);
    ck_assert_uint_eq(after.used, before.used);
}
END_TEST

START_TEST(they_are_counted_when_none_is_left) {
    struct fed_descriptors now;
    struct rlimit old, none;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = fed_descriptors_count(&now);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(rc, FED_OK);
    ck_assert_uint_eq(now.limit, 0);
}
END_TEST

START_TEST(doors_shut_above_nine_tenths_and_open_at_eight) {
    const struct {
        uint64_t used, limit;
        bool was_short, is_short;
    } cases[] = {
        {0, 1000, false, false},
        {900, 1000, false, false},
        {901, 1000, false, true},
        {901, 1000, true, true},
        {801, 1000, true, true},
        {801, 1000, false, false},
        {800, 1000, true, false},
        {5, 5, false, true},
        {UINT64_MAX, UINT64_MAX, false, false},
        {UINT64_MAX, UINT64_MAX, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fed_descriptors now = {cases[i].used, cases[i].limit};
        ck_assert_msg(fed_descriptors_short(&now, cases[i].was_short) == cases[i].is_short, "case %zu", i);
    }
}
END_TEST

START_TEST(what_is_put_by_is_there_when_there_is_no_other) {
    static int files[4096];
    struct fed_descriptors_reserve reserve = {.n = 0};
    struct rlimit old, low;
    size_t n = 0;
    fed_descriptors_put_by(&reserve);
    ck_assert_uint_eq(reserve.n, FED_DESCRIPTORS_RESERVED);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = (struct rlimit){.rlim_cur = 1024, .rlim_max = old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < 4096 - FED_DESCRIPTORS_RESERVED && (files[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        n++;
    }
    ck_assert_uint_lt(n, 1024 - FED_DESCRIPTORS_RESERVED); /* all are in use now */
    fed_descriptors_release(&reserve);
    for (size_t i = 0; i < FED_DESCRIPTORS_RESERVED; i++) {
        files[n] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(files[n++], 0);
    }
    fed_descriptors_put_by(&reserve); /* none to be had: no harm, and later it is filled */
    ck_assert_uint_eq(reserve.n, 0);
    while (n > 0) {
        close(files[--n]);
    }
    fed_descriptors_put_by(&reserve);
    ck_assert_uint_eq(reserve.n, FED_DESCRIPTORS_RESERVED);
    fed_descriptors_release(&reserve);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("descriptors");
    TCase *cases = tcase_create("descriptors");
    tcase_add_test(cases, every_open_file_is_counted);
    tcase_add_test(cases, they_are_counted_when_none_is_left);
    tcase_add_test(cases, doors_shut_above_nine_tenths_and_open_at_eight);
    tcase_add_test(cases, what_is_put_by_is_there_when_there_is_no_other);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
