/* How many a round wants, and whom it picks. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/round/round.h"
#include "tests/unit/round/fixture.h"

START_TEST(m_is_the_rounded_part_of_the_population_and_at_least_one) {
    static const struct {
        double fraction;
        uint64_t population, m;
    } rows[] = {{0.1, 100, 10},  {0, 100, 1},          {0, 0, 1}, {1, 1, 1}, {0.5, 5, 3}, {0.1, 14, 1}, {0.1, 15, 2},
                {0.29, 100, 29}, {1, 1000000, 1000000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_msg(fed_round_cohort_size(rows[i].fraction, rows[i].population) == rows[i].m, "row %zu", i);
    }
}
END_TEST

START_TEST(the_quorum_is_rounded_up_from_the_decimal_that_was_written) {
    static const struct {
        double min_reports;
        uint64_t m, quorum;
    } rows[] = {{0.8, 10, 8}, {0.7, 10, 7},  {0.55, 20, 11}, {0.29, 100, 29}, {0.07, 100, 7}, {0.81, 10, 9},
                {1.0, 7, 7},  {0.001, 5, 1}, {0.6, 5, 3},    {0.61, 5, 4},    {0.1, 30, 3},   {1.0 / 3, 3, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig *rig = rig_new(rows[i].m);
        rig->config.fraction = 1;
        rig->config.min_reports = rows[i].min_reports;
        memset(rig->eligible, 0, sizeof rig->eligible);
        start(rig);
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
        char text[64];
        snprintf(text, sizeof text, "waits for %" PRIu64 " more client%s to join", rows[i].quorum,
                 rows[i].quorum == 1 ? "" : "s");
        ck_assert_str_eq(fed_round_waits_for(rig->round), text);
        rig_free(rig);
    }
}
END_TEST

START_TEST(the_cohort_is_a_walk_of_the_permutation_that_skips_who_is_not_eligible) {
    struct rig *rig = rig_new(100);
    rig->config.seed = 77;
    rig->config.fraction = 0.3;
    for (size_t i = 0; i < 100; i += 3) {
        rig->eligible[i] = false;
    }
    start(rig);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 1/1");
    uint32_t order[100];
    permutation(order, 100, 77, 1, 1);
    size_t k = 0;
    for (size_t i = 0; i < 100 && k < 30; i++) {
        if (order[i] % 3 != 0) {
            ck_assert_uint_eq(member(rig, k), FIRST_ID + order[i]);
            ck_assert(fed_round_in_cohort(rig->round, FIRST_ID + order[i]));
            k++;
        } else {
            ck_assert(!fed_round_in_cohort(rig->round, FIRST_ID + order[i]));
        }
    }
    ck_assert_uint_eq(cohort_size(rig), 30);
    rig_free(rig);
}
END_TEST

START_TEST(a_cohort_never_outgrows_the_sum) {
    struct rig *rig = rig_new(20);
    rig->config.over_select = 1.3;
    rig->config.most = 11;
    start(rig);
    collect(rig);
    ck_assert_uint_eq(cohort_size(rig), 11);
    ck_assert_uint_eq(fed_round_goal(rig->round), 10);
    admit(rig, 0, 10);
    say(rig, FED_EVENT_AGGREGATED);
    say(rig, FED_EVENT_COMMITTED);
    evaluated(rig, 1, 0.5);
    rig->population = 100; /* a roster that was reloaded */
    collect(rig);
    ck_assert_uint_eq(cohort_size(rig), 11);
    ck_assert_uint_eq(fed_round_goal(rig->round), 11);
    rig_free(rig);
}
END_TEST

START_TEST(over_selection_picks_more_but_the_goal_stays_m) {
    struct rig *rig = rig_new(100);
    rig->config.fraction = 0.1;
    rig->config.over_select = 1.3;
    start(rig);
    say(rig, FED_EVENT_TICK);
    ck_assert_uint_eq(cohort_size(rig), 13);
    ck_assert_uint_eq(fed_round_goal(rig->round), 10);
    say(rig, FED_EVENT_OPENED);
    say(rig, FED_EVENT_SEALED);
    admit(rig, 0, 9);
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 4);
    ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 12)), "AGGREGATE 1/1");
    rig_free(rig);
}
END_TEST

START_TEST(fewer_eligible_than_m_but_a_quorum_is_a_smaller_goal) {
    struct rig *rig = rig_new(10);
    rig->config.fraction = 1;
    rig->config.min_reports = 0.8;
    rig->eligible[3] = false;
    start(rig);
    collect(rig);
    ck_assert_uint_eq(cohort_size(rig), 9);
    ck_assert_uint_eq(fed_round_goal(rig->round), 9);
    admit(rig, 0, 8);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_COLLECT);
    ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 8)), "AGGREGATE 1/1");
    rig_free(rig);
}
END_TEST

START_TEST(too_few_eligible_waits_and_uses_up_no_attempt) {
    struct rig *rig = rig_new(10);
    memset(rig->eligible, 0, sizeof rig->eligible);
    rig->eligible[0] = rig->eligible[1] = rig->eligible[2] = true;
    start(rig);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    ck_assert_str_eq(fed_round_waits_for(rig->round), "waits for 2 more clients to join");
    ck_assert_uint_eq(fed_round_wakeup(rig->round), UINT64_MAX); /* only a change helps */
    rig->now_ms += 1000;
    rig->eligible[3] = true;
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    ck_assert_str_eq(fed_round_waits_for(rig->round), "waits for 1 more client to join");
    rig->eligible[9] = true;
    ck_assert_str_eq(say(rig, FED_EVENT_JOINED), "OPEN 1/1");
    ck_assert_ptr_null(fed_round_waits_for(rig->round));
    rig_free(rig);
}
END_TEST

TCase *picks_cases(void) {
    TCase *cases = tcase_create("picks");
    tcase_add_test(cases, m_is_the_rounded_part_of_the_population_and_at_least_one);
    tcase_add_test(cases, the_quorum_is_rounded_up_from_the_decimal_that_was_written);
    tcase_add_test(cases, the_cohort_is_a_walk_of_the_permutation_that_skips_who_is_not_eligible);
    tcase_add_test(cases, a_cohort_never_outgrows_the_sum);
    tcase_add_test(cases, over_selection_picks_more_but_the_goal_stays_m);
    tcase_add_test(cases, fewer_eligible_than_m_but_a_quorum_is_a_smaller_goal);
    tcase_add_test(cases, too_few_eligible_waits_and_uses_up_no_attempt);
    return cases;
}
