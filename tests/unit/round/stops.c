/* Stop and finish. */
#include <check.h>
#include <string.h>

#include "coordinator/round/round.h"
#include "tests/unit/round/fixture.h"

START_TEST(stop_stops_in_every_phase_and_for_good) {
    for (int steps = 0; steps <= 4; steps++) {
        struct rig *rig = rig_new(4);
        start(rig);
        if (steps > 0) {
            say(rig, FED_EVENT_TICK);
        }
        if (steps > 1) {
            say(rig, FED_EVENT_OPENED);
        }
        if (steps > 2) {
            say(rig, FED_EVENT_SEALED);
        }
        if (steps > 3) {
            admit(rig, 0, 2);
        }
        ck_assert_str_eq(say(rig, FED_EVENT_STOP), "STOPPED 0/0");
        ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_STOPPED);
        ck_assert_str_eq(say(rig, FED_EVENT_OPENED), "");
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
        rig_free(rig);
    }
}
END_TEST

START_TEST(finish_stops_after_the_round_at_hand_and_its_evaluation) {
    struct rig *rig = rig_new(4);
    start(rig);
    collect(rig);
    ck_assert_str_eq(say(rig, FED_EVENT_FINISH), "");
    admit(rig, 0, 2);
    say(rig, FED_EVENT_AGGREGATED);
    ck_assert_str_eq(say(rig, FED_EVENT_COMMITTED), "END_COMMITTED 1/1, EVALUATE 1/0");
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    ck_assert_str_eq(evaluated(rig, 1, 0.5), "STOPPED 1/0");
    rig_free(rig);
}
END_TEST

START_TEST(finish_with_nothing_at_hand_stops_at_once) {
    struct rig *rig = rig_new(4);
    memset(rig->eligible, 0, sizeof rig->eligible);
    start(rig);
    say(rig, FED_EVENT_TICK);
    ck_assert_str_eq(say(rig, FED_EVENT_FINISH), "STOPPED 0/0");
    rig_free(rig);
}
END_TEST

START_TEST(finish_does_not_try_an_abandoned_round_again) {
    struct rig *rig = rig_new(4);
    start(rig);
    collect(rig);
    say(rig, FED_EVENT_FINISH);
    ck_assert_str_eq(tell(rig, FED_EVENT_DECLINED, member(rig, 0)), "END_ABANDONED 1/1, STOPPED 0/0");
    rig_free(rig);
}
END_TEST

TCase *stops_cases(void) {
    TCase *cases = tcase_create("stops");
    tcase_add_test(cases, stop_stops_in_every_phase_and_for_good);
    tcase_add_test(cases, finish_stops_after_the_round_at_hand_and_its_evaluation);
    tcase_add_test(cases, finish_with_nothing_at_hand_stops_at_once);
    tcase_add_test(cases, finish_does_not_try_an_abandoned_round_again);
    return cases;
}
