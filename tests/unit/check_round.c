/* The round, transition by transition. What happens when everything happens at once: tests/simulation. */
#include "coordinator/round/round.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"

enum { MOST = 200, FIRST_ID = 1000 };

struct rig {
    bool eligible[MOST];
    uint64_t population;
    struct fed_round_config config;
    struct fed_round *round;
    uint64_t now_ms;
    struct fed_round_action actions[FED_ROUND_ACTIONS_MAX];
    size_t n;
};

static uint64_t rig_population(void *context) { return ((struct rig *)context)->population; }
static uint64_t rig_client(void *context, uint64_t i) {
    ck_assert_uint_lt(i, ((struct rig *)context)->population);
    return FIRST_ID + i;
}
static bool rig_eligible(void *context, uint64_t client) { return ((struct rig *)context)->eligible[client - FIRST_ID]; }

/* K clients, all eligible; C = 0.5, everybody must report; 10 rounds, each evaluated. */
static struct rig *rig_new(uint64_t population) {
    struct rig *rig = calloc(1, sizeof *rig);
    ck_assert_ptr_nonnull(rig);
    rig->population = population;
    memset(rig->eligible, 1, sizeof rig->eligible);
    rig->now_ms = 5000;
    rig->config = (struct fed_round_config){.seed = 1,
                                            .rounds = 10,
                                            .fraction = 0.5,
                                            .over_select = 1.0,
                                            .min_reports = 1.0,
                                            .deadline_ms = 600000,
                                            .rejoin_ms = 30000,
                                            .evaluate_every = 1,
                                            .evaluates = true};
    return rig;
}

static void start_after(struct rig *rig, uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort,
                        size_t n_cohort) {
    const struct fed_round_world world = {
        .context = rig, .population = rig_population, .client = rig_client, .eligible = rig_eligible};
    ck_assert_int_eq(
        fed_round_new(&rig->round, &rig->config, &world, committed, accuracy, attempt, cohort, n_cohort, rig->now_ms), 0);
}

static void start(struct rig *rig) { start_after(rig, 0, NAN, 0, NULL, 0); }

static void rig_free(struct rig *rig) {
    fed_round_free(rig->round);
    free(rig);
}

static const char *const action_names[] = {"OPEN",      "BROADCAST",     "INVITE",        "AGGREGATE", "COMMIT", "EVALUATE",
                                           "ROLL_BACK", "END_COMMITTED", "END_ABANDONED", "FINISHED",  "STOPPED"};

/* Sends the event and gives what is to be done, as words: "OPEN 1/1" is of round 1, attempt 1. */
static const char *send(struct rig *rig, struct fed_round_event event) {
    static char text[256];
    rig->n = fed_round_handle(rig->round, &event, rig->now_ms, rig->actions);
    ck_assert_uint_le(rig->n, FED_ROUND_ACTIONS_MAX);
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < rig->n; i++) {
        const struct fed_round_action *action = &rig->actions[i];
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %" PRIu64 "/%" PRIu32, i == 0 ? "" : ", ",
                               action_names[action->kind], action->round, action->attempt);
        ck_assert((action->why != NULL) == (action->kind == FED_ACTION_END_ABANDONED));
    }
    return text;
}

static const char *say(struct rig *rig, enum fed_event_kind kind) {
    return send(rig, (struct fed_round_event){.kind = kind, .attempt = fed_round_attempt(rig->round)});
}

static const char *tell(struct rig *rig, enum fed_event_kind kind, uint64_t client) {
    return send(rig, (struct fed_round_event){.kind = kind,
                                              .client = client,
                                              .round = fed_round_number(rig->round),
                                              .attempt = fed_round_attempt(rig->round)});
}

static const char *evaluated(struct rig *rig, uint64_t number, double accuracy) {
    return send(rig, (struct fed_round_event){.kind = FED_EVENT_EVALUATED, .round = number, .accuracy = accuracy});
}

static const char *falls(struct rig *rig, uint64_t number) {
    return send(rig, (struct fed_round_event){.kind = FED_EVENT_EVALUATED, .round = number, .accuracy = 1.0, .falls = true});
}

static uint64_t member(const struct rig *rig, size_t i) {
    size_t n;
    const uint64_t *cohort = fed_round_cohort(rig->round, &n);
    ck_assert_uint_lt(i, n);
    return cohort[i];
}

static size_t cohort_size(const struct rig *rig) {
    size_t n;
    fed_round_cohort(rig->round, &n);
    return n;
}

static void collect(struct rig *rig) {
    say(rig, FED_EVENT_TICK);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_PICK);
    say(rig, FED_EVENT_OPENED);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_BROADCAST);
    say(rig, FED_EVENT_SEALED);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_COLLECT);
}

static void admit(struct rig *rig, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        tell(rig, FED_EVENT_ADMITTED, member(rig, i));
    }
}

/* From IDLE through COMMITTED. */
static const char *commit_one(struct rig *rig) {
    collect(rig);
    admit(rig, 0, fed_round_goal(rig->round));
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_AGGREGATE);
    say(rig, FED_EVENT_AGGREGATED);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_COMMIT);
    return say(rig, FED_EVENT_COMMITTED);
}

/* --- Sizes and picks ---------------------------------------------------------------------------------------------- */

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

/* The second implementation: the whole permutation at once. */
static void permutation(uint32_t *out, uint32_t n, uint64_t seed, uint64_t number, uint64_t attempt) {
    struct fed_rng rng;
    fed_rng_init(&rng, seed, FED_RNG_COHORT, number, attempt);
    for (uint32_t i = 0; i < n; i++) {
        out[i] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = i + fed_rng_below(&rng, n - i), kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}

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

/* --- The way through a round -------------------------------------------------------------------------------------- */

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
            ck_assert_str_eq(send(rig, event), "");
        }
    }
    ck_assert_uint_eq(fed_round_outstanding(rig->round), 4);
    ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + 600000); /* nobody is absent */
    rig_free(rig);
}
END_TEST

START_TEST(answers_nobody_asked_for_change_nothing) {
    static const enum fed_event_kind kinds[] = {FED_EVENT_OPENED,     FED_EVENT_SEALED,    FED_EVENT_AGGREGATED,
                                                FED_EVENT_NOT_FINITE, FED_EVENT_COMMITTED, FED_EVENT_STORE_FAILED,
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

/* --- The end of COLLECT ------------------------------------------------------------------------------------------- */

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
    ck_assert_str_eq(say(rig, FED_EVENT_NOT_FINITE), "END_ABANDONED 1/1");
    ck_assert_str_eq(rig->actions[0].why, "the mean is not finite");
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

/* --- The store ---------------------------------------------------------------------------------------------------- */

static void fails_for_long(struct rig *rig, const char *again) {
    static const uint64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        ck_assert_uint_eq(fed_round_wakeup(rig->round), UINT64_MAX);
        ck_assert_str_eq(say(rig, FED_EVENT_STORE_FAILED), "");
        ck_assert_str_eq(say(rig, FED_EVENT_STORE_FAILED), ""); /* once asked, once answered */
        ck_assert_uint_eq(fed_round_wakeup(rig->round), rig->now_ms + pauses[i]);
        ck_assert_ptr_nonnull(fed_round_waits_for(rig->round));
        rig->now_ms += pauses[i] - 1;
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
        rig->now_ms += 1;
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), again);
    }
}

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

/* --- Evaluation and the end --------------------------------------------------------------------------------------- */

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
        for (int i = 0; i < steps; i++) {
            static const enum fed_event_kind way[] = {FED_EVENT_TICK, FED_EVENT_OPENED, FED_EVENT_SEALED};
            if (i < 3) {
                say(rig, way[i]);
            } else if (i == 3) {
                admit(rig, 0, 2);
            } else {
                say(rig, FED_EVENT_AGGREGATED);
            }
        }
        static const enum fed_round_phase phases[] = {FED_ROUND_IDLE,    FED_ROUND_PICK,      FED_ROUND_BROADCAST,
                                                      FED_ROUND_COLLECT, FED_ROUND_AGGREGATE, FED_ROUND_COMMIT};
        ck_assert_int_eq(fed_round_phase(rig->round), phases[steps]);
        ck_assert_str_eq(evaluated(rig, 1, 0.9), steps == 0 ? "FINISHED 1/0" : "END_ABANDONED 2/1, FINISHED 1/0");
        rig_free(rig);
    }
}
END_TEST

/* Round 1 falls while round 2 is wherever it is. Nobody is left behind who will answer later: round 2 is the rollback, and
 * round 3 is as if round 2 had never been tried. */
START_TEST(a_model_that_falls_is_taken_back_in_every_phase) {
    static const struct {
        const char *at_once, *answered; /* what the evaluation leads to, and what the answer that was still out does */
        enum fed_event_kind answer;
    } rows[] = {
        {"ROLL_BACK 2/0", NULL, 0},                                 /* IDLE */
        {"", "END_ABANDONED 2/1, ROLL_BACK 2/0", FED_EVENT_OPENED}, /* PICK */
        {"", "END_ABANDONED 2/1, ROLL_BACK 2/0", FED_EVENT_SEALED}, /* BROADCAST */
        {"END_ABANDONED 2/1, ROLL_BACK 2/0", NULL, 0},              /* COLLECT */
        {"", "END_ABANDONED 2/1, ROLL_BACK 2/0", FED_EVENT_AGGREGATED},
        {"END_ABANDONED 2/1, ROLL_BACK 2/0", NULL, 0},                    /* COMMIT, which waits for the evaluation */
        {"", "END_ABANDONED 2/1, ROLL_BACK 2/0", FED_EVENT_STORE_FAILED}, /* PICK */
        {"", "END_ABANDONED 2/1, ROLL_BACK 2/0", FED_EVENT_NOT_FINITE},   /* AGGREGATE */
    };
    static const int steps[] = {0, 1, 2, 3, 4, 5, 1, 4};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct rig *rig = rig_new(4);
        rig->config.target_accuracy = 0.9;
        start(rig);
        commit_one(rig);
        for (int i = 0; i < steps[row]; i++) {
            static const enum fed_event_kind way[] = {FED_EVENT_TICK, FED_EVENT_OPENED, FED_EVENT_SEALED};
            if (i < 3) {
                say(rig, way[i]);
            } else if (i == 3) {
                admit(rig, 0, 2);
            } else {
                say(rig, FED_EVENT_AGGREGATED);
            }
        }
        ck_assert_str_eq(falls(rig, 1), rows[row].at_once); /* and its accuracy is no target reached */
        if (rows[row].answered != NULL) {
            ck_assert_str_eq(say(rig, FED_EVENT_TICK), "");
            ck_assert_str_eq(say(rig, rows[row].answer), rows[row].answered);
        }
        ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_ROLLBACK);
        ck_assert_uint_eq(fed_round_wakeup(rig->round), UINT64_MAX);
        ck_assert_str_eq(say(rig, FED_EVENT_OPENED), ""); /* answers nobody waits for */
        ck_assert_str_eq(say(rig, FED_EVENT_COMMITTED), "");
        ck_assert_uint_eq(fed_round_number(rig->round), 3);
        ck_assert_uint_eq(fed_round_failed(rig->round), 0);
        rig->now_ms += 250;
        ck_assert_str_eq(say(rig, FED_EVENT_TICK), "OPEN 3/1"); /* the rollback is not evaluated */
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

/* --- Starting again ----------------------------------------------------------------------------------------------- */

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

START_TEST(every_phase_has_a_name) {
    for (int phase = FED_ROUND_IDLE; phase <= FED_ROUND_STOPPED; phase++) {
        ck_assert_str_ne(fed_round_phase_name((enum fed_round_phase)phase), "unknown");
    }
}
END_TEST

static void add_sizes(Suite *suite) {
    TCase *tcase = tcase_create("sizes and picks");
    tcase_add_test(tcase, m_is_the_rounded_part_of_the_population_and_at_least_one);
    tcase_add_test(tcase, the_quorum_is_rounded_up_from_the_decimal_that_was_written);
    tcase_add_test(tcase, the_cohort_is_a_walk_of_the_permutation_that_skips_who_is_not_eligible);
    tcase_add_test(tcase, a_cohort_never_outgrows_the_sum);
    tcase_add_test(tcase, over_selection_picks_more_but_the_goal_stays_m);
    tcase_add_test(tcase, fewer_eligible_than_m_but_a_quorum_is_a_smaller_goal);
    tcase_add_test(tcase, too_few_eligible_waits_and_uses_up_no_attempt);
    suite_add_tcase(suite, tcase);
}

static void add_way(Suite *suite) {
    TCase *tcase = tcase_create("the way through");
    tcase_add_test(tcase, a_round_goes_from_idle_to_commit_and_on);
    tcase_add_test(tcase, nobody_counts_twice_and_strangers_do_not_count);
    tcase_add_test(tcase, events_of_another_round_or_attempt_change_nothing);
    tcase_add_test(tcase, answers_nobody_asked_for_change_nothing);
    tcase_add_test(tcase, the_rest_of_a_partial_sum_counts_after_the_goal_was_reached);
    tcase_add_test(tcase, with_the_quorum_and_nobody_outstanding_the_round_goes_on);
    tcase_add_test(tcase, a_quorum_out_of_reach_abandons_the_attempt_at_once);
    tcase_add_test(tcase, a_client_that_was_given_up_and_reports_all_the_same_counts);
    tcase_add_test(tcase, a_client_that_is_out_before_the_invitation_is_not_waited_for);
    tcase_add_test(tcase, an_absent_client_is_outstanding_for_rejoin_and_again_when_it_comes_back);
    tcase_add_test(tcase, a_dead_client_costs_rejoin_and_not_the_deadline);
    tcase_add_test(tcase, three_dead_clients_cost_the_attempt_after_rejoin);
    tcase_add_test(tcase, the_deadline_takes_what_there_is_if_that_is_the_quorum);
    tcase_add_test(tcase, the_update_that_completes_the_quorum_as_the_deadline_passes_counts);
    tcase_add_test(tcase, pauses_between_attempts_double_to_half_a_minute_and_a_commit_resets_them);
    tcase_add_test(tcase, a_mean_that_is_not_finite_is_another_attempt);
    tcase_add_test(tcase, a_sum_that_is_damaged_is_another_attempt_at_once);
    tcase_add_test(tcase, attempts_that_failed_in_a_row_are_counted);
    tcase_add_test(tcase, a_store_that_fails_is_asked_again_and_nothing_is_lost);
    suite_add_tcase(suite, tcase);
}

static void add_end(Suite *suite) {
    TCase *tcase = tcase_create("the end and the start");
    tcase_add_test(tcase, a_commit_waits_for_the_evaluation_of_the_round_before);
    tcase_add_test(tcase, rounds_are_evaluated_when_the_rules_want_it);
    tcase_add_test(tcase, the_last_round_is_evaluated_before_the_run_is_over);
    tcase_add_test(tcase, the_first_model_at_the_target_is_the_result_in_every_phase);
    tcase_add_test(tcase, a_model_that_falls_is_taken_back_in_every_phase);
    tcase_add_test(tcase, a_rollback_is_stored_however_often_the_store_fails);
    tcase_add_test(tcase, rollbacks_in_a_row_are_further_and_further_apart);
    tcase_add_test(tcase, where_the_last_round_falls_the_rollback_is_the_result);
    tcase_add_test(tcase, who_is_to_stop_after_the_round_stops_after_the_rollback);
    tcase_add_test(tcase, an_accuracy_below_the_target_or_unknown_ends_nothing);
    tcase_add_test(tcase, stop_stops_in_every_phase_and_for_good);
    tcase_add_test(tcase, finish_stops_after_the_round_at_hand_and_its_evaluation);
    tcase_add_test(tcase, finish_with_nothing_at_hand_stops_at_once);
    tcase_add_test(tcase, finish_does_not_try_an_abandoned_round_again);
    tcase_add_test(tcase, a_restart_takes_the_recorded_cohort_up_in_a_new_attempt);
    tcase_add_test(tcase, a_recorded_cohort_that_does_not_come_back_is_drawn_anew);
    tcase_add_test(tcase, a_recorded_cohort_below_the_new_quorum_is_drawn_anew);
    tcase_add_test(tcase, a_restart_without_a_record_skips_nobody_until_rejoin);
    tcase_add_test(tcase, a_restart_evaluates_first_what_was_not_evaluated);
    tcase_add_test(tcase, a_restart_of_a_run_that_is_over_finishes_at_once);
    tcase_add_test(tcase, a_restart_takes_back_first_what_was_judged_to_fall);
    tcase_add_test(tcase, a_restart_after_a_rollback_does_not_evaluate_it);
    tcase_add_test(tcase, every_phase_has_a_name);
    suite_add_tcase(suite, tcase);
}

int main(void) {
    Suite *suite = suite_create("round");
    add_sizes(suite);
    add_way(suite);
    add_end(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
