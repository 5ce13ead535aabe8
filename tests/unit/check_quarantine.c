/* Who is given no work for a while, when, and for how long. */
#include "coordinator/nodes/quarantine.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000, DAY = 24 * 3600 * SECOND };
static const struct fed_quarantine_rules rules = {.after = 3, .window_ms = 3600 * SECOND, .first_ms = 600 * SECOND};

/* Three refusals and what follows; returns how long it is. */
static uint64_t offend(struct fed_quarantine *q, uint64_t now_ms) {
    for (int i = 1; i <= 3; i++) {
        ck_assert(fed_quarantine_count(q, &rules, FED_REFUSAL_SUITE, now_ms) == (i == 3));
    }
    ck_assert(!fed_quarantine_holds(q));
    fed_quarantine_begin(q, &rules, now_ms);
    ck_assert(fed_quarantine_holds(q));
    return q->until_ms - now_ms;
}

START_TEST(the_third_refusal_within_the_window_is_one_too_many) {
    struct fed_quarantine q = {0};
    ck_assert(!fed_quarantine_count(&q, &rules, FED_REFUSAL_MALFORMED, 5000));
    ck_assert(!fed_quarantine_count(&q, &rules, FED_REFUSAL_NOT_FINITE, 6000));
    ck_assert(fed_quarantine_count(&q, &rules, FED_REFUSAL_WEIGHT_CAP, 5000 + rules.window_ms));
    ck_assert_int_eq(q.reason, FED_REFUSAL_WEIGHT_CAP);
    ck_assert_uint_eq(q.counted, 3);
}
END_TEST

START_TEST(refusals_that_are_far_apart_add_up_to_nothing) {
    struct fed_quarantine q = {0};
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert(!fed_quarantine_count(&q, &rules, FED_REFUSAL_SUITE, 1 + i * (rules.window_ms / 2 + 1)));
    }
}
END_TEST

START_TEST(what_an_honest_node_may_earn_does_not_count) {
    static const enum fed_refusal honest[] = {
        FED_REFUSAL_PROTOCOL,    FED_REFUSAL_NOT_ENROLLED, FED_REFUSAL_PARTITION, FED_REFUSAL_ROUND, FED_REFUSAL_ATTEMPT,
        FED_REFUSAL_PART,        FED_REFUSAL_COUNTED,      FED_REFUSAL_LATE,      FED_REFUSAL_BUSY,  FED_REFUSAL_RATE,
        FED_REFUSAL_QUARANTINED, FED_REFUSAL_TOKEN,        FED_REFUSAL_SEAL};
    struct fed_quarantine q = {0};
    for (size_t i = 0; i < 10 * sizeof honest / sizeof *honest; i++) {
        ck_assert(!fed_quarantine_count(&q, &rules, honest[i / 10], 1));
    }
    ck_assert_uint_eq(q.counted, 0);
    size_t n = 0;
    for (int refusal = 1; refusal < FED_REFUSAL_COUNT; refusal++) {
        n += fed_quarantine_earned((enum fed_refusal)refusal);
    }
    ck_assert_uint_eq(n, 12);
}
END_TEST

START_TEST(it_ends_once_and_with_a_clean_sheet) {
    struct fed_quarantine q = {0};
    ck_assert_uint_eq(offend(&q, 1000), rules.first_ms);
    uint64_t until = q.until_ms;
    ck_assert(!fed_quarantine_count(&q, &rules, FED_REFUSAL_SUITE, 2000)); /* not counted meanwhile */
    ck_assert(!fed_quarantine_ends(&q, until - 1));
    ck_assert(fed_quarantine_ends(&q, until));
    ck_assert(!fed_quarantine_ends(&q, until));
    ck_assert(!fed_quarantine_holds(&q));
    ck_assert(!fed_quarantine_count(&q, &rules, FED_REFUSAL_SUITE, until + 1));
}
END_TEST

START_TEST(each_is_twice_as_long_up_to_a_day) {
    struct fed_quarantine q = {0};
    uint64_t now = 1000, expected = rules.first_ms;
    for (int i = 0; i < 12; i++) {
        ck_assert_uint_eq(offend(&q, now), expected);
        now = q.until_ms;
        ck_assert(fed_quarantine_ends(&q, now));
        expected = 2 * expected < DAY ? 2 * expected : DAY;
    }
    ck_assert_uint_eq(expected, DAY);
}
END_TEST

START_TEST(a_day_of_peace_is_forgiven) {
    struct fed_quarantine q = {0};
    offend(&q, 1000);
    uint64_t ended = q.until_ms;
    ck_assert(fed_quarantine_ends(&q, ended));
    struct fed_quarantine sooner = q;
    ck_assert_uint_eq(offend(&sooner, ended + DAY), 2 * rules.first_ms);
    ck_assert_uint_eq(offend(&q, ended + DAY + 1), rules.first_ms);
}
END_TEST

START_TEST(a_first_one_of_more_than_a_day_stays_as_it_is) {
    const struct fed_quarantine_rules long_rules = {.after = 1, .window_ms = 1, .first_ms = (uint64_t)7 * DAY};
    struct fed_quarantine q = {0};
    for (uint64_t now = 1; now < (uint64_t)30 * DAY; now = q.ended_ms + 1) {
        ck_assert(fed_quarantine_count(&q, &long_rules, FED_REFUSAL_SUITE, now));
        fed_quarantine_begin(&q, &long_rules, now);
        ck_assert_uint_eq(q.until_ms - now, long_rules.first_ms);
        ck_assert(fed_quarantine_ends(&q, q.until_ms));
    }
}
END_TEST

START_TEST(zero_turns_it_off) {
    const struct fed_quarantine_rules off = {.after = 0, .window_ms = 1000, .first_ms = 1000};
    struct fed_quarantine q = {0};
    for (int i = 0; i < 1000; i++) {
        ck_assert(!fed_quarantine_count(&q, &off, FED_REFUSAL_MALFORMED, 1));
    }
}
END_TEST

START_TEST(a_restart_goes_on_with_what_is_left) {
    struct fed_quarantine q = {0};
    fed_quarantine_restore(&q, 1200 * SECOND, 300 * SECOND, 50);
    ck_assert(fed_quarantine_holds(&q) && !fed_quarantine_ends(&q, 50 + 300 * SECOND - 1));
    ck_assert(fed_quarantine_ends(&q, 50 + 300 * SECOND));
    ck_assert_uint_eq(offend(&q, q.ended_ms + 1), 2400 * SECOND);
    /* A clock that was set back makes it no longer than it was to be. */
    memset(&q, 0, sizeof q);
    fed_quarantine_restore(&q, 1200 * SECOND, (uint64_t)9 * DAY, 50);
    ck_assert_uint_eq(q.until_ms, 50 + 1200 * SECOND);
    /* One that is over only makes the next one longer. */
    memset(&q, 0, sizeof q);
    fed_quarantine_restore(&q, 600 * SECOND, 0, 50);
    ck_assert(!fed_quarantine_holds(&q));
    ck_assert_uint_eq(offend(&q, 60), 1200 * SECOND);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("quarantine");
    TCase *tcase = tcase_create("standing");
    tcase_add_test(tcase, the_third_refusal_within_the_window_is_one_too_many);
    tcase_add_test(tcase, refusals_that_are_far_apart_add_up_to_nothing);
    tcase_add_test(tcase, what_an_honest_node_may_earn_does_not_count);
    tcase_add_test(tcase, it_ends_once_and_with_a_clean_sheet);
    tcase_add_test(tcase, each_is_twice_as_long_up_to_a_day);
    tcase_add_test(tcase, a_day_of_peace_is_forgiven);
    tcase_add_test(tcase, a_first_one_of_more_than_a_day_stays_as_it_is);
    tcase_add_test(tcase, zero_turns_it_off);
    tcase_add_test(tcase, a_restart_goes_on_with_what_is_left);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
