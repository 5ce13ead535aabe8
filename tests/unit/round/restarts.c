/* What a restart goes on from. */
#include <check.h>
#include <math.h>

#include "coordinator/round/round.h"
#include "tests/unit/round/fixture.h"

static const uint64_t recorded[] = {FIRST_ID + 7, FIRST_ID + 2, FIRST_ID + 5, FIRST_ID + 1, FIRST_ID + 9};

START_TEST(a_restart_takes_the_recorded_cohort_up_in_a_new_attempt) {
    struct rig *rig = rig_new(10);
    rig->eligible[5] = rig->eligible[1] = false;
    start_after(rig, 3, 0.5, 4, recorded, 5);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    ck_assert_str_eq(fed_round_waits_for(rig->round), "waits for 2 of the 5 clients of the interrupted attempt");
    ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + 30000);
    rig->now_ms += 29999;
    rig->eligible[5] = true;
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    rig->eligible[1] = true;
    ck_assert_str_eq(say(rig, FED_EVENT_JOINED), "OPEN 4/5");
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(member(rig, i), recorded[i]);
    }
    ck_assert_uint_eq(cohort_size(rig), 5);
    rig_free(rig);
}
END_TEST

START_TEST(a_recorded_cohort_that_does_not_come_back_is_drawn_anew) {
    struct rig *rig = rig_new(10);
    rig->eligible[9] = false;
    start_after(rig, 3, 0.5, 4, recorded, 5);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    rig->now_ms = fed_round_wakeup(rig->round);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 4/5");
    uint32_t order[10];
    permutation(order, 10, 1, 4, 5);
    size_t k = 0;
    for (size_t i = 0; k < 5; i++) {
        if (order[i] != 9) {
            ck_assert_uint_eq(member(rig, k++), FIRST_ID + order[i]);
        }
    }
    rig_free(rig);
}
END_TEST

START_TEST(a_recorded_cohort_below_the_new_quorum_is_drawn_anew) {
    struct rig *rig = rig_new(20);
    start_after(rig, 3, 0.5, 4, recorded, 5);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 4/5");
    ck_assert_uint_eq(cohort_size(rig), 10);
    rig_free(rig);
}
END_TEST

/* Killed between a commit and the next attempt: the cohort is the one an undisturbed run draws, so clients that are still
 * on their way back are not skipped at once. */
START_TEST(a_restart_without_a_record_skips_nobody_until_rejoin) {
    uint32_t order[10];
    permutation(order, 10, 1, 4, 1);
    for (int comes_back = 0; comes_back < 2; comes_back++) {
        struct rig *rig = rig_new(10);
        rig->eligible[order[2]] = false;
        rig->eligible[order[7]] = false; /* would not be picked: nobody waits for it */
        start_after(rig, 3, 0.5, 0, NULL, 0);
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
        ck_assert_ptr_nonnull(fed_round_waits_for(rig->round));
        rig->eligible[order[2]] = comes_back;
        rig->now_ms += comes_back ? 1 : 30000;
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 4/1");
        for (size_t i = 0; i < 5; i++) {
            ck_assert_uint_eq(member(rig, i), FIRST_ID + order[i + (i >= 2 && !comes_back)]);
        }
        rig_free(rig);
    }
}
END_TEST

START_TEST(a_restart_evaluates_first_what_was_not_evaluated) {
    struct rig *rig = rig_new(4);
    start_after(rig, 3, NAN, 0, NULL, 0);
    ck_assert_uint_le(fed_round_wakeup(rig->round), rig->now_ms);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "EVALUATE 3/0, OPEN 4/1");
    rig_free(rig);
}
END_TEST

START_TEST(a_restart_of_a_run_that_is_over_finishes_at_once) {
    static const struct {
        uint64_t committed;
        double accuracy, target;
        const char *first, *then;
    } rows[] = {{10, 0.5, 0, "FINISHED 10/0", ""},
                {12, 0.5, 0, "FINISHED 12/0", ""},
                {3, 0.95, 0.9, "FINISHED 3/0", ""},
                {10, NAN, 0, "EVALUATE 10/0", "FINISHED 10/0"},
                {3, NAN, 0.4, "EVALUATE 3/0, OPEN 4/1", "END_ABANDONED 4/1, FINISHED 3/0"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig *rig = rig_new(4);
        rig->config.target_accuracy = rows[i].target;
        start_after(rig, rows[i].committed, rows[i].accuracy, 0, NULL, 0);
        ck_assert_uint_le(fed_round_wakeup(rig->round), rig->now_ms);
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), rows[i].first);
        ck_assert_str_eq(evaluated(rig, rows[i].committed, 0.5), rows[i].then);
        rig_free(rig);
    }
}
END_TEST

/* Killed before the rollback was stored: what was recorded of the round that it becomes is void. */
START_TEST(a_restart_takes_back_first_what_was_judged_to_fall) {
    const uint64_t cohort[] = {FIRST_ID, FIRST_ID + 1};
    struct rig *rig = rig_new(4);
    rig->config.target_accuracy = 0.9;
    start_after(rig, 3, 0.95, 2, cohort, 2);
    fed_round_judged(rig->round, true);
    ck_assert_uint_le(fed_round_wakeup(rig->round), rig->now_ms);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "ROLL_BACK 4/0");
    say(rig, FED_EVENT_COMMITTED);
    rig->now_ms += 250;
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 5/1");
    rig_free(rig);
}
END_TEST

START_TEST(a_restart_after_a_rollback_does_not_evaluate_it) {
    struct rig *rig = rig_new(4);
    start_after(rig, 4, NAN, 0, NULL, 0);
    fed_round_judged(rig->round, false);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 5/1");
    rig_free(rig);
}
END_TEST

TCase *restarts_cases(void) {
    TCase *cases = tcase_create("restarts");
    tcase_add_test(cases, a_restart_takes_the_recorded_cohort_up_in_a_new_attempt);
    tcase_add_test(cases, a_recorded_cohort_that_does_not_come_back_is_drawn_anew);
    tcase_add_test(cases, a_recorded_cohort_below_the_new_quorum_is_drawn_anew);
    tcase_add_test(cases, a_restart_without_a_record_skips_nobody_until_rejoin);
    tcase_add_test(cases, a_restart_evaluates_first_what_was_not_evaluated);
    tcase_add_test(cases, a_restart_of_a_run_that_is_over_finishes_at_once);
    tcase_add_test(cases, a_restart_takes_back_first_what_was_judged_to_fall);
    tcase_add_test(cases, a_restart_after_a_rollback_does_not_evaluate_it);
    return cases;
}
