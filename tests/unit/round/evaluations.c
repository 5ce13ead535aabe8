/* When a round is evaluated, and what its evaluation leads to: the target, a rollback. */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/round/round.h"
#include "tests/unit/round/fixture.h"

static const char *falls(struct rig *rig, uint64_t number) {
    return handle(rig,
                  (struct fed_round_event){.kind = FED_EVENT_EVALUATED, .round = number, .accuracy = 1.0, .falls = true});
}

/* From IDLE on, in a round of two that report: 1 is PICK, then BROADCAST, COLLECT, AGGREGATE, and 5 is COMMIT. */
static void take_steps(struct rig *rig, int steps) {
    static const enum fed_event_kind way[] = {FED_EVENT_TICK, FED_EVENT_OPENED, FED_EVENT_SEALED};
    for (int i = 0; i < steps; i++) {
        if (i < 3) {
            say(rig, way[i]);
        } else if (i == 3) {
            admit(rig, 0, 2);
        } else {
            say(rig, FED_EVENT_AGGREGATED);
        }
    }
}

START_TEST(a_commit_waits_for_the_evaluation_of_the_round_before) {
    struct rig *rig = rig_new(4);
    start(rig);
    commit_one(rig);
    collect(rig);
    admit(rig, 0, 2);
    ck_assert_str_eq(say(rig, FED_EVENT_AGGREGATED), "");
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_COMMIT);
    ck_assert_uint_eq(fed_round_wakeup(rig->round), UINT64_MAX);
    ck_assert_ptr_nonnull(fed_round_waits_for(rig->round));
    ck_assert_str_eq(evaluated(rig, 2, 0.5), ""); /* of another round */
    ck_assert_str_eq(evaluated(rig, 1, 0.5), "COMMIT 2/1");
    rig_free(rig);
}
END_TEST

START_TEST(rounds_are_evaluated_when_the_rules_want_it) {
    static const struct {
        bool evaluates;
        uint64_t every;
        double target;
        const char *rounds; /* which of five */
    } rows[] = {
        {true, 1, 0, "12345"}, {true, 2, 0, "245"}, {true, 100, 0, "5"}, {true, 100, 0.9, "12345"}, {false, 1, 0.9, ""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig *rig = rig_new(4);
        rig->config.rounds = 5;
        rig->config.evaluates = rows[i].evaluates;
        rig->config.evaluate_every = rows[i].every;
        rig->config.target_accuracy = rows[i].target;
        start(rig);
        for (uint64_t number = 1; number <= 5; number++) {
            bool wanted = strchr(rows[i].rounds, '0' + (int)number) != NULL;
            char expected[64];
            snprintf(expected, sizeof expected, "END_COMMITTED %" PRIu64 "/1", number);
            ck_assert_msg(strncmp(commit_one(rig), expected, strlen(expected)) == 0, "row %zu", i);
            bool asked = rig->n > 1 && rig->actions[1].kind == FED_ACTION_EVALUATE;
            ck_assert_msg(asked == wanted, "row %zu, round %" PRIu64, i, number);
            if (wanted) {
                evaluated(rig, number, 0.1);
            }
        }
        ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_FINISHED);
        rig_free(rig);
    }
}
END_TEST

START_TEST(the_last_round_is_evaluated_before_the_run_is_over) {
    struct rig *rig = rig_new(4);
    rig->config.rounds = 1;
    rig->config.evaluate_every = 7;
    start(rig);
    ck_assert_str_eq(commit_one(rig), "END_COMMITTED 1/1, EVALUATE 1/0");
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    ck_assert_str_eq(fed_round_waits_for(rig->round), "waits for the evaluation of round 1");
    ck_assert_str_eq(evaluated(rig, 1, 0.5), "FINISHED 1/0");
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
    ck_assert_str_eq(say(rig, FED_EVENT_STOP), "");
    ck_assert_uint_eq(fed_round_wakeup(rig->round), UINT64_MAX);
    rig_free(rig);
}
END_TEST

/* The target reached by round 1 ends the run with the model of round 1, wherever round 2 stands. */
START_TEST(the_first_model_at_the_target_is_the_result_in_every_phase) {
    for (int steps = 0; steps <= 5; steps++) {
        struct rig *rig = rig_new(4);
        rig->config.target_accuracy = 0.9;
        start(rig);
        commit_one(rig);
        take_steps(rig, steps);
        static const enum fed_round_phase phases[] = {FED_ROUND_IDLE,    FED_ROUND_PICK,      FED_ROUND_BROADCAST,
                                                      FED_ROUND_COLLECT, FED_ROUND_AGGREGATE, FED_ROUND_COMMIT};
        ck_assert_int_eq(fed_round_phase(rig->round), phases[steps]);
        ck_assert_str_eq(evaluated(rig, 1, 0.9), steps == 0 ? "FINISHED 1/0" : "END_ABANDONED 2/1, FINISHED 1/0");
        rig_free(rig);
    }
}
END_TEST

/* Round 2 is the rollback, which waits for the store alone, and round 3 is as if round 2 had never been tried. */
static void takes_back(struct rig *rig) {
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_ROLLBACK);
    ck_assert_uint_eq(fed_round_wakeup(rig->round), UINT64_MAX);
    ck_assert_str_eq(say(rig, FED_EVENT_OPENED), ""); /* answers nobody waits for */
    ck_assert_str_eq(say(rig, FED_EVENT_COMMITTED), "");
    ck_assert_uint_eq(fed_round_number(rig->round), 3);
    ck_assert_uint_eq(fed_round_failed(rig->round), 0);
    rig->now_ms += 250;
    ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 3/1"); /* the rollback is not evaluated */
}

/* Round 1 falls while round 2 is wherever it is. Nobody is left behind who will answer later. */
START_TEST(a_model_that_falls_is_taken_back_in_every_phase) {
    static const char both[] = "END_ABANDONED 2/1, ROLL_BACK 2/0";
    static const struct {
        int steps;
        const char *at_once, *answered; /* what the evaluation leads to, and what the answer that was still out does */
        enum fed_event_kind answer;
    } rows[] = {
        {0, "ROLL_BACK 2/0", NULL, 0},   /* IDLE */
        {1, "", both, FED_EVENT_OPENED}, /* PICK */
        {2, "", both, FED_EVENT_SEALED}, /* BROADCAST */
        {3, both, NULL, 0},              /* COLLECT */
        {4, "", both, FED_EVENT_AGGREGATED},
        {5, both, NULL, 0}, /* COMMIT, which waits for the evaluation */
        {1, "", both, FED_EVENT_STORE_FAILED},
        {4, "", both, FED_EVENT_NO_MEAN},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct rig *rig = rig_new(4);
        rig->config.target_accuracy = 0.9;
        start(rig);
        commit_one(rig);
        take_steps(rig, rows[row].steps);
        ck_assert_str_eq(falls(rig, 1), rows[row].at_once); /* and its accuracy is no target reached */
        if (rows[row].answered != NULL) {
            ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
            ck_assert_str_eq(say(rig, rows[row].answer), rows[row].answered);
        }
        takes_back(rig);
        rig_free(rig);
    }
}
END_TEST

START_TEST(a_rollback_is_stored_however_often_the_store_fails) {
    struct rig *rig = rig_new(4);
    start(rig);
    commit_one(rig);
    ck_assert_str_eq(falls(rig, 1), "ROLL_BACK 2/0");
    fails_for_long(rig, "ROLL_BACK 2/0");
    say(rig, FED_EVENT_COMMITTED);
    ck_assert_uint_eq(fed_round_number(rig->round), 3);
    rig_free(rig);
}
END_TEST

START_TEST(rollbacks_in_a_row_are_further_and_further_apart) {
    static const uint64_t pauses[] = {250, 500, 1000, 2000, 250};
    struct rig *rig = rig_new(4);
    rig->config.rounds = 1000;
    start(rig);
    uint64_t number = 1;
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        commit_one(rig);
        if (i == 4) { /* a model stands: the next setback is a first one */
            evaluated(rig, number++, 0.5);
            commit_one(rig);
        }
        falls(rig, number);
        say(rig, FED_EVENT_COMMITTED);
        ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + pauses[i]);
        ck_assert_str_eq(fed_round_waits_for(rig->round), "pauses after a rollback");
        rig->now_ms += pauses[i];
        number += 2;
    }
    rig_free(rig);
}
END_TEST

START_TEST(where_the_last_round_falls_the_rollback_is_the_result) {
    struct rig *rig = rig_new(4);
    rig->config.rounds = 1;
    start(rig);
    commit_one(rig);
    ck_assert_str_eq(falls(rig, 1), "ROLL_BACK 2/0");
    ck_assert_str_eq(say(rig, FED_EVENT_COMMITTED), "FINISHED 2/0");
    rig_free(rig);
}
END_TEST

START_TEST(who_is_to_stop_after_the_round_stops_after_the_rollback) {
    struct rig *rig = rig_new(4);
    start(rig);
    commit_one(rig);
    say(rig, FED_EVENT_FINISH);
    ck_assert_str_eq(falls(rig, 1), "ROLL_BACK 2/0");
    ck_assert_str_eq(say(rig, FED_EVENT_COMMITTED), "STOPPED 2/0");
    rig_free(rig);
}
END_TEST

START_TEST(an_accuracy_below_the_target_or_unknown_ends_nothing) {
    static const double accuracies[] = {0.8999999, NAN, 0};
    for (size_t i = 0; i < 3; i++) {
        struct rig *rig = rig_new(4);
        rig->config.target_accuracy = 0.9;
        start(rig);
        commit_one(rig);
        ck_assert_str_eq(evaluated(rig, 1, accuracies[i]), "");
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 2/1");
        rig_free(rig);
    }
}
END_TEST

TCase *evaluations_cases(void) {
    TCase *cases = tcase_create("evaluations");
    tcase_add_test(cases, a_commit_waits_for_the_evaluation_of_the_round_before);
    tcase_add_test(cases, rounds_are_evaluated_when_the_rules_want_it);
    tcase_add_test(cases, the_last_round_is_evaluated_before_the_run_is_over);
    tcase_add_test(cases, the_first_model_at_the_target_is_the_result_in_every_phase);
    tcase_add_test(cases, a_model_that_falls_is_taken_back_in_every_phase);
    tcase_add_test(cases, a_rollback_is_stored_however_often_the_store_fails);
    tcase_add_test(cases, rollbacks_in_a_row_are_further_and_further_apart);
    tcase_add_test(cases, where_the_last_round_falls_the_rollback_is_the_result);
    tcase_add_test(cases, who_is_to_stop_after_the_round_stops_after_the_rollback);
    tcase_add_test(cases, an_accuracy_below_the_target_or_unknown_ends_nothing);
    return cases;
}
