/* When an attempt goes on with those it has, and when it is given up for another. */
#include <check.h>
#include <string.h>

#include "coordinator/round/round.h"
#include "tests/unit/round/fixture.h"

/* Ten picked, quorum 8. */
static struct rig *ten_of_ten(void) {
    struct rig *rig = rig_new(10);
    rig->config.fraction = 1;
    rig->config.min_reports = 0.8;
    start(rig);
    collect(rig);
    return rig;
}

START_TEST(with_the_quorum_and_nobody_outstanding_the_round_goes_on) {
    struct rig *rig = ten_of_ten();
    admit(rig, 0, 8);
    ck_assert_str_eq(tell(rig, FED_EVENT_DECLINED, member(rig, 8)), "");
    ck_assert_str_eq(tell(rig, FED_EVENT_REFUSED, member(rig, 9)), "AGGREGATE 1/1");
    rig_free(rig);
}
END_TEST

START_TEST(a_quorum_out_of_reach_abandons_the_attempt_at_once) {
    struct rig *rig = ten_of_ten();
    tell(rig, FED_EVENT_DECLINED, member(rig, 0));
    tell(rig, FED_EVENT_REFUSED, member(rig, 1));
    ck_assert_str_eq(tell(rig, FED_EVENT_DECLINED, member(rig, 2)), "END_ABANDONED 1/1");
    ck_assert_str_eq(rig->actions[0].why, "too few clients are left for the quorum");
    ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + 250);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    rig->now_ms += 250;
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 1/2");
    rig_free(rig);
}
END_TEST

START_TEST(a_client_that_was_given_up_and_reports_all_the_same_counts) {
    struct rig *rig = ten_of_ten();
    tell(rig, FED_EVENT_DECLINED, member(rig, 0));
    tell(rig, FED_EVENT_JOINED, member(rig, 0)); /* coming back does not undo a refusal */
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 9);
    tell(rig, FED_EVENT_ADMITTED, member(rig, 0)); /* but the sum is the truth */
    ck_assert_uint_eq(fed_round_admitted(rig->round), 1);
    rig_free(rig);
}
END_TEST

/* A node was quarantined while the attempt was stored: who is out then is not waited for, whatever the deadline. */
START_TEST(a_client_that_is_out_before_the_invitation_is_not_waited_for) {
    struct rig *rig = rig_new(10);
    rig->config.fraction = 1;
    rig->config.min_reports = 0.8;
    start(rig);
    say(rig, FED_EVENT_TICK);
    tell(rig, FED_EVENT_REFUSED, member(rig, 3));
    say(rig, FED_EVENT_OPENED);
    tell(rig, FED_EVENT_REFUSED, member(rig, 5));
    ck_assert_str_eq(say(rig, FED_EVENT_SEALED), "INVITE 1/1");
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 8);
    admit(rig, 6, 10);
    admit(rig, 0, 3);
    ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 4)), "AGGREGATE 1/1");
    rig_free(rig);
}
END_TEST

START_TEST(an_absent_client_is_outstanding_for_rejoin_and_again_when_it_comes_back) {
    struct rig *rig = ten_of_ten();
    uint64_t begun = rig->now_ms;
    tell(rig, FED_EVENT_GONE, member(rig, 4));
    rig->now_ms += 10000;
    tell(rig, FED_EVENT_GONE, member(rig, 5));
    tell(rig, FED_EVENT_GONE, member(rig, 4)); /* said again: it has been away since then all the same */
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 10);
    ck_assert_uint_eq(fed_round_wakeup(rig->round), begun + 30000);
    rig->now_ms = begun + 29999;
    say(rig, FED_EVENT_TICK);
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 10);
    rig->now_ms = begun + 30000;
    say(rig, FED_EVENT_TICK);
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 9);
    ck_assert_uint_eq(fed_round_wakeup(rig->round), begun + 40000);
    tell(rig, FED_EVENT_JOINED, member(rig, 5));
    ck_assert_uint_eq(fed_round_wakeup(rig->round), begun + 600000);
    tell(rig, FED_EVENT_JOINED, member(rig, 4));
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 10);
    rig_free(rig);
}
END_TEST

START_TEST(a_dead_client_costs_rejoin_and_not_the_deadline) {
    struct rig *rig = ten_of_ten();
    tell(rig, FED_EVENT_GONE, member(rig, 9));
    admit(rig, 0, 9);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_COLLECT);
    rig->now_ms = fed_round_wakeup(rig->round);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "AGGREGATE 1/1");
    rig_free(rig);
}
END_TEST

START_TEST(three_dead_clients_cost_the_attempt_after_rejoin) {
    struct rig *rig = ten_of_ten();
    for (size_t i = 0; i < 3; i++) {
        tell(rig, FED_EVENT_GONE, member(rig, i));
    }
    rig->now_ms += 30000;
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "END_ABANDONED 1/1");
    rig_free(rig);
}
END_TEST

START_TEST(the_deadline_takes_what_there_is_if_that_is_the_quorum) {
    for (size_t n = 7; n <= 8; n++) {
        struct rig *rig = ten_of_ten();
        admit(rig, 0, n);
        rig->now_ms += 599999;
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
        rig->now_ms += 1;
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), n == 8 ? "AGGREGATE 1/1" : "END_ABANDONED 1/1");
        rig_free(rig);
    }
}
END_TEST

START_TEST(the_update_that_completes_the_quorum_as_the_deadline_passes_counts) {
    struct rig *rig = ten_of_ten();
    admit(rig, 0, 7);
    rig->now_ms += 7 * 3600 * 1000; /* the machine slept */
    ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 7)), "AGGREGATE 1/1");
    rig_free(rig);
}
END_TEST

START_TEST(pauses_between_attempts_double_to_half_a_minute_and_a_commit_resets_them) {
    static const uint64_t pauses[] = {250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    struct rig *rig = rig_new(2);
    start(rig);
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        collect(rig);
        ck_assert_uint_eq(fed_round_attempt(rig->round), i + 1);
        tell(rig, FED_EVENT_DECLINED, member(rig, 0));
        ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + pauses[i]);
        ck_assert_ptr_nonnull(fed_round_waits_for(rig->round));
        rig->now_ms += pauses[i];
    }
    ck_assert_str_eq(commit_one(rig), "END_COMMITTED 1/10, EVALUATE 1/0");
    collect(rig);
    tell(rig, FED_EVENT_DECLINED, member(rig, 0));
    ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + 250);
    rig_free(rig);
}
END_TEST

START_TEST(a_mean_that_is_not_finite_is_another_attempt) {
    struct rig *rig = ten_of_ten();
    admit(rig, 0, 10);
    ck_assert_str_eq(say(rig, FED_EVENT_NO_MEAN), "END_ABANDONED 1/1");
    ck_assert_str_eq(rig->actions[0].why, "the mean is not finite, or there was no memory for it");
    rig->now_ms += 250;
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 1/2");
    rig_free(rig);
}
END_TEST

START_TEST(a_sum_that_is_damaged_is_another_attempt_at_once) {
    struct rig *rig = ten_of_ten();
    admit(rig, 0, 3);
    ck_assert_str_eq(say(rig, FED_EVENT_SPOILT), "END_ABANDONED 1/1");
    ck_assert_ptr_nonnull(strstr(rig->actions[0].why, "disk"));
    ck_assert_str_eq(say(rig, FED_EVENT_SPOILT), "");
    rig->now_ms += 250;
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 1/2");
    ck_assert_str_eq(say(rig, FED_EVENT_SPOILT), "");
    rig_free(rig);
    rig = ten_of_ten();
    admit(rig, 0, 10); /* AGGREGATE */
    ck_assert_str_eq(say(rig, FED_EVENT_SPOILT), "END_ABANDONED 1/1");
    rig_free(rig);
}
END_TEST

START_TEST(attempts_that_failed_in_a_row_are_counted) {
    struct rig *rig = rig_new(2);
    start(rig);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(fed_round_failed(rig->round), i);
        collect(rig);
        tell(rig, FED_EVENT_DECLINED, member(rig, 0));
        rig->now_ms += 30000;
    }
    ck_assert_uint_eq(fed_round_failed(rig->round), 3);
    commit_one(rig);
    ck_assert_uint_eq(fed_round_failed(rig->round), 0);
    rig_free(rig);
}
END_TEST

START_TEST(a_store_that_fails_is_asked_again_and_nothing_is_lost) {
    struct rig *rig = rig_new(4);
    start(rig);
    say(rig, FED_EVENT_TICK);
    uint64_t first = member(rig, 0);
    fails_for_long(rig, "OPEN 1/1");
    ck_assert_uint_eq(member(rig, 0), first);
    ck_assert_str_eq(say(rig, FED_EVENT_OPENED), "BROADCAST 1/1");
    say(rig, FED_EVENT_SEALED);
    admit(rig, 0, 2);
    say(rig, FED_EVENT_AGGREGATED);
    fails_for_long(rig, "COMMIT 1/1");
    ck_assert_str_eq(say(rig, FED_EVENT_COMMITTED), "END_COMMITTED 1/1, EVALUATE 1/0");
    rig_free(rig);
}
END_TEST

TCase *attempts_cases(void) {
    TCase *cases = tcase_create("attempts");
    tcase_add_test(cases, with_the_quorum_and_nobody_outstanding_the_round_goes_on);
    tcase_add_test(cases, a_quorum_out_of_reach_abandons_the_attempt_at_once);
    tcase_add_test(cases, a_client_that_was_given_up_and_reports_all_the_same_counts);
    tcase_add_test(cases, a_client_that_is_out_before_the_invitation_is_not_waited_for);
    tcase_add_test(cases, an_absent_client_is_outstanding_for_rejoin_and_again_when_it_comes_back);
    tcase_add_test(cases, a_dead_client_costs_rejoin_and_not_the_deadline);
    tcase_add_test(cases, three_dead_clients_cost_the_attempt_after_rejoin);
    tcase_add_test(cases, the_deadline_takes_what_there_is_if_that_is_the_quorum);
    tcase_add_test(cases, the_update_that_completes_the_quorum_as_the_deadline_passes_counts);
    tcase_add_test(cases, pauses_between_attempts_double_to_half_a_minute_and_a_commit_resets_them);
    tcase_add_test(cases, a_mean_that_is_not_finite_is_another_attempt);
    tcase_add_test(cases, a_sum_that_is_damaged_is_another_attempt_at_once);
    tcase_add_test(cases, attempts_that_failed_in_a_row_are_counted);
    tcase_add_test(cases, a_store_that_fails_is_asked_again_and_nothing_is_lost);
    return cases;
}
