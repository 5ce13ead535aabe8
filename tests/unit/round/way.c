/* The way through a round, and who counts. */
#include <check.h>

#include "coordinator/round/round.h"
#include "tests/unit/round/fixture.h"

START_TEST(a_round_goes_from_idle_to_commit_and_on) {
    struct rig *rig = rig_new(4);
    start(rig);
    ck_assert_uint_le(fed_round_wakeup(rig->round), rig->now_ms);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 1/1");
    ck_assert_str_eq(say(rig, FED_EVENT_OPENED), "BROADCAST 1/1");
    ck_assert_str_eq(say(rig, FED_EVENT_SEALED), "INVITE 1/1");
    ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + 600000);
    ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 0)), "");
    ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 1)), "AGGREGATE 1/1");
    ck_assert_str_eq(say(rig, FED_EVENT_AGGREGATED), "COMMIT 1/1");
    uint64_t first = member(rig, 0);
    ck_assert_str_eq(say(rig, FED_EVENT_COMMITTED), "END_COMMITTED 1/1, EVALUATE 1/0");
    ck_assert_uint_eq(member(rig, 0), first); /* END speaks of this cohort: the next one comes with the next TICK */
    ck_assert_uint_le(fed_round_wakeup(rig->round), rig->now_ms);
    ck_assert_uint_eq(fed_round_number(rig->round), 2);
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 2/1");
    rig_free(rig);
}
END_TEST

START_TEST(nobody_counts_twice_and_strangers_do_not_count) {
    struct rig *rig = rig_new(8);
    start(rig);
    collect(rig);
    ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 2)), "");
    for (int i = 0; i < 5; i++) {
        ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 2)), "");
        ck_assert_str_eq(tell(rig, FED_EVENT_REFUSED, member(rig, 2)), "");
        ck_assert_str_eq(tell(rig, FED_EVENT_GONE, member(rig, 2)), "");
    }
    for (uint64_t id = 0; id < 2000; id++) {
        if (!fed_round_in_cohort(rig->round, id)) {
            tell(rig, FED_EVENT_ADMITTED, id);
        }
    }
    ck_assert_uint_eq(fed_round_admitted(rig->round), 1);
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 3);
    ck_assert(fed_round_counted(rig->round, member(rig, 2)));
    ck_assert(!fed_round_counted(rig->round, member(rig, 1)));
    rig_free(rig);
}
END_TEST

START_TEST(events_of_another_round_or_attempt_change_nothing) {
    struct rig *rig = rig_new(8);
    start(rig);
    collect(rig);
    static const enum fed_event_kind kinds[] = {FED_EVENT_JOINED, FED_EVENT_GONE, FED_EVENT_DECLINED, FED_EVENT_ADMITTED,
                                                FED_EVENT_REFUSED};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        static const struct {
            uint64_t round;
            uint32_t attempt;
        } others[] = {{1, 0}, {1, 2}, {0, 1}, {2, 1}};
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            struct fed_round_event event = {
                .kind = kinds[i], .client = member(rig, 0), .round = others[k].round, .attempt = others[k].attempt};
            ck_assert_str_eq(handle(rig, event), "");
        }
    }
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 4);
    ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + 600000); /* nobody is absent */
    rig_free(rig);
}
END_TEST

START_TEST(answers_nobody_asked_for_change_nothing) {
    static const enum fed_event_kind kinds[] = {FED_EVENT_OPENED,   FED_EVENT_SEALED,    FED_EVENT_AGGREGATED,
                                                FED_EVENT_NO_MEAN,  FED_EVENT_COMMITTED, FED_EVENT_STORE_FAILED,
                                                FED_EVENT_EVALUATED};
    struct rig *rig = rig_new(8);
    start(rig);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        ck_assert_str_eq(say(rig, kinds[i]), "");
    }
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_IDLE);
    collect(rig);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        ck_assert_str_eq(say(rig, kinds[i]), "");
    }
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_COLLECT);
    rig_free(rig);
}
END_TEST

START_TEST(the_rest_of_a_partial_sum_counts_after_the_goal_was_reached) {
    struct rig *rig = rig_new(10);
    rig->config.over_select = 1.4;
    start(rig);
    collect(rig);
    admit(rig, 0, 5);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_AGGREGATE);
    ck_assert_str_eq(tell(rig, FED_EVENT_ADMITTED, member(rig, 5)), "");
    ck_assert_uint_eq(fed_round_admitted(rig->round), 6);
    ck_assert(fed_round_counted(rig->round, member(rig, 5)));
    say(rig, FED_EVENT_AGGREGATED);
    tell(rig, FED_EVENT_ADMITTED, member(rig, 6)); /* the mean is taken: this is not in it */
    ck_assert_uint_eq(fed_round_admitted(rig->round), 6);
    rig_free(rig);
}
END_TEST

START_TEST(every_phase_has_a_name) {
    for (int phase = FED_ROUND_IDLE; phase <= FED_ROUND_STOPPED; phase++) {
        ck_assert_str_ne(fed_round_phase_name((enum fed_round_phase)phase), "unknown");
    }
}
END_TEST

TCase *way_cases(void) {
    TCase *cases = tcase_create("way");
    tcase_add_test(cases, a_round_goes_from_idle_to_commit_and_on);
    tcase_add_test(cases, nobody_counts_twice_and_strangers_do_not_count);
    tcase_add_test(cases, events_of_another_round_or_attempt_change_nothing);
    tcase_add_test(cases, answers_nobody_asked_for_change_nothing);
    tcase_add_test(cases, the_rest_of_a_partial_sum_counts_after_the_goal_was_reached);
    tcase_add_test(cases, every_phase_has_a_name);
    return cases;
}
