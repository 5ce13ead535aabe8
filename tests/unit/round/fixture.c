#include "tests/unit/round/fixture.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "coordinator/round/round.h"

static uint64_t rig_population(void *context) { return ((struct rig *)context)->population; }

static uint64_t rig_client(void *context, uint64_t i) {
    ck_assert_uint_lt(i, ((struct rig *)context)->population);
    return FIRST_ID + i;
}

static bool rig_eligible(void *context, uint64_t client) { return ((struct rig *)context)->eligible[client - FIRST_ID]; }

struct rig *rig_new(uint64_t population) {
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

void start_after(struct rig *rig, uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort,
                 size_t n_cohort) {
    const struct fed_round_world world = {
        .context = rig, .population = rig_population, .client = rig_client, .eligible = rig_eligible};
    ck_assert_int_eq(
        fed_round_new(&rig->round, &rig->config, &world, committed, accuracy, attempt, cohort, n_cohort, rig->now_ms), 0);
}

void start(struct rig *rig) { start_after(rig, 0, NAN, 0, NULL, 0); }

void rig_free(struct rig *rig) {
    fed_round_free(rig->round);
    free(rig);
}

static const char *const action_names[] = {"OPEN",      "BROADCAST",     "INVITE",        "AGGREGATE", "COMMIT", "EVALUATE",
                                           "ROLL_BACK", "END_COMMITTED", "END_ABANDONED", "FINISHED",  "STOPPED"};

const char *handle(struct rig *rig, struct fed_round_event event) {
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

const char *say(struct rig *rig, enum fed_event_kind kind) {
    return handle(rig, (struct fed_round_event){.kind = kind, .attempt = fed_round_attempt(rig->round)});
}

const char *tell(struct rig *rig, enum fed_event_kind kind, uint64_t client) {
    return handle(rig, (struct fed_round_event){.kind = kind,
                                                .client = client,
                                                .round = fed_round_number(rig->round),
                                                .attempt = fed_round_attempt(rig->round)});
}

const char *evaluated(struct rig *rig, uint64_t number, double accuracy) {
    return handle(rig, (struct fed_round_event){.kind = FED_EVENT_EVALUATED, .round = number, .accuracy = accuracy});
}

uint64_t member(const struct rig *rig, size_t i) {
    size_t n;
    const uint64_t *cohort = fed_round_cohort(rig->round, &n);
    ck_assert_uint_lt(i, n);
    return cohort[i];
}

size_t cohort_size(const struct rig *rig) {
    size_t n;
    fed_round_cohort(rig->round, &n);
    return n;
}

void collect(struct rig *rig) {
    say(rig, FED_EVENT_TICK);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_PICK);
    say(rig, FED_EVENT_OPENED);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_BROADCAST);
    say(rig, FED_EVENT_SEALED);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_COLLECT);
}

void admit(struct rig *rig, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        tell(rig, FED_EVENT_ADMITTED, member(rig, i));
    }
}

const char *commit_one(struct rig *rig) {
    collect(rig);
    admit(rig, 0, fed_round_goal(rig->round));
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_AGGREGATE);
    say(rig, FED_EVENT_AGGREGATED);
    ck_assert_int_eq(fed_round_phase(rig->round), FED_ROUND_COMMIT);
    return say(rig, FED_EVENT_COMMITTED);
}

void permutation(uint32_t *out, uint32_t n, uint64_t seed, uint64_t number, uint64_t attempt) {
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

void fails_for_long(struct rig *rig, const char *again) {
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
