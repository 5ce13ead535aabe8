/* Token buckets against what anybody can count: what was taken over any stretch of time. */
#include "coordinator/nodes/limit.h"

#include <check.h>
#include <stdlib.h>

static const struct fed_rate ten = {10, 40};

START_TEST(a_bucket_of_zeros_is_full) {
    struct fed_limit limit = {0};
    for (int i = 0; i < 40; i++) {
        ck_assert(fed_limit_take(&limit, &ten, 1, 1000000));
    }
    ck_assert(!fed_limit_take(&limit, &ten, 1, 1000000));
}
END_TEST

START_TEST(nothing_is_taken_when_it_does_not_fit) {
    struct fed_limit limit = {0};
    ck_assert(fed_limit_take(&limit, &ten, 30, 0));
    ck_assert(!fed_limit_take(&limit, &ten, 11, 0));
    ck_assert(fed_limit_take(&limit, &ten, 10, 0));
}
END_TEST

/* Whatever the pattern of asking: no more than burst + rate * time, and an asker who never stops gets all of that. */
START_TEST(over_any_time_it_gives_its_rate_and_its_burst) {
    const uint64_t steps[] = {1, 7, 33, 100, 999};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        struct fed_limit limit = {0};
        uint64_t taken = 0, now = 5;
        for (; now <= 60005; now += steps[s]) {
            while (fed_limit_take(&limit, &ten, 1, now)) {
                taken++;
            }
            ck_assert_uint_le(taken, 40 + 10 * (now - 5) / 1000);
        }
        ck_assert_uint_ge(taken, 40 + 10 * (now - steps[s] - 5) / 1000);
    }
}
END_TEST

START_TEST(it_fills_up_to_its_burst_and_no_further) {
    struct fed_limit limit = {0};
    ck_assert(fed_limit_take(&limit, &ten, 40, 0));
    ck_assert(fed_limit_take(&limit, &ten, 40, 1000000));
    ck_assert(!fed_limit_take(&limit, &ten, 1, 1000000));
}
END_TEST

START_TEST(more_than_the_burst_is_taken_from_a_full_bucket_and_paid_for_later) {
    struct fed_limit limit = {0};
    ck_assert(fed_limit_take(&limit, &ten, 100, 0));
    ck_assert(!fed_limit_take(&limit, &ten, 100, 9999));
    ck_assert(fed_limit_take(&limit, &ten, 100, 10000));
}
END_TEST

START_TEST(waiting_as_long_as_it_says_is_long_enough_and_no_longer_than_needed) {
    struct fed_limit limit = {0};
    const struct fed_rate three = {3, 5};
    ck_assert_uint_eq(fed_limit_wait_ms(&limit, &three, 5, 77), 0);
    ck_assert(fed_limit_take(&limit, &three, 5, 77));
    for (uint64_t n = 1; n <= 9; n++) {
        uint64_t wait = fed_limit_wait_ms(&limit, &three, n, 77);
        struct fed_limit early = limit, late = limit;
        ck_assert(!fed_limit_take(&early, &three, n, 77 + wait - 1));
        ck_assert(fed_limit_take(&late, &three, n, 77 + wait));
    }
}
END_TEST

START_TEST(a_clock_that_steps_back_fills_nothing) {
    struct fed_limit limit = {0};
    ck_assert(fed_limit_take(&limit, &ten, 40, 5000));
    ck_assert(!fed_limit_take(&limit, &ten, 1, 0));
    ck_assert(!fed_limit_take(&limit, &ten, 1, 5000));
    ck_assert(fed_limit_take(&limit, &ten, 1, 5100));
}
END_TEST

START_TEST(what_is_given_never_makes_more_than_a_full_bucket) {
    struct fed_limit limit = {0};
    ck_assert(fed_limit_take(&limit, &ten, 40, 0));
    fed_limit_give(&limit, 3);
    ck_assert(fed_limit_take(&limit, &ten, 3, 0));
    ck_assert(!fed_limit_take(&limit, &ten, 1, 0));
    fed_limit_give(&limit, 1000);
    ck_assert(fed_limit_take(&limit, &ten, 40, 0));
    ck_assert(!fed_limit_take(&limit, &ten, 1, 0));
}
END_TEST

START_TEST(the_largest_numbers_do_not_overflow) {
    const struct fed_rate most = {FED_LIMIT_MOST, FED_LIMIT_MOST};
    struct fed_limit limit = {0};
    ck_assert(fed_limit_take(&limit, &most, FED_LIMIT_MOST, 0));
    ck_assert(!fed_limit_take(&limit, &most, 1, 0));
    ck_assert(fed_limit_take(&limit, &most, FED_LIMIT_MOST, UINT64_MAX));
    ck_assert(!fed_limit_take(&limit, &most, 1, UINT64_MAX));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("limit");
    TCase *cases = tcase_create("buckets");
    tcase_add_test(cases, a_bucket_of_zeros_is_full);
    tcase_add_test(cases, nothing_is_taken_when_it_does_not_fit);
    tcase_add_test(cases, over_any_time_it_gives_its_rate_and_its_burst);
    tcase_add_test(cases, it_fills_up_to_its_burst_and_no_further);
    tcase_add_test(cases, more_than_the_burst_is_taken_from_a_full_bucket_and_paid_for_later);
    tcase_add_test(cases, waiting_as_long_as_it_says_is_long_enough_and_no_longer_than_needed);
    tcase_add_test(cases, a_clock_that_steps_back_fills_nothing);
    tcase_add_test(cases, what_is_given_never_makes_more_than_a_full_bucket);
    tcase_add_test(cases, the_largest_numbers_do_not_overflow);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
