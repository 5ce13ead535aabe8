/* The round, as a machine without a world: events and the time go in, actions come out.
 *
 *              TICK: a cohort was drawn, or the recorded one is complete
 *      +------+                 +------+  OPENED   +-----------+  SEALED
 *      | IDLE |---------------->| PICK |---------->| BROADCAST |---------+
 *      +------+      OPEN       +------+ BROADCAST +-----------+  INVITE |
 *       |  ^  ^                                                          v
 *       |  |  |  quorum out of reach, or deadline below it          +---------+
 *       |  |  +-----------------------------------------------------| COLLECT |
 *       |  |     END_ABANDONED: same round, next attempt, a pause   +---------+
 *       |  |                                    ^                        | goal reached; or, with the quorum,
 *       |  |     the same, when NO_MEAN         |                        | nobody outstanding or deadline
 *       |  |                                    |                        v AGGREGATE
 *       |  |  COMMITTED    +--------+           |   AGGREGATED     +-----------+
 *       |  +---------------| COMMIT |<----------|------------------| AGGREGATE |
 *       |   END_COMMITTED, +--------+  COMMIT,  +------------------+-----------+
 *       |   EVALUATE, next round       once the evaluation of the last round is known
 *       v
 *   ROLLBACK   The evaluation says that the last model falls: from any phase, once nothing is asked of others any more. What
 *              is at hand is abandoned (END_ABANDONED); ROLL_BACK stores the last good model as a round of its own, without
 *              attempt, clients or evaluation; COMMITTED leads back to IDLE and the round after it, after a pause.
 *
 *   FINISHED   The last round is evaluated, or one reached the target (then from any phase: what is at hand is abandoned).
 *
 *   STOPPED    STOP, from any phase; FINISH, from IDLE after the round at hand.
 *
 * What holds in each phase stands in round_internal.h, beside the state.
 *
 * Costs: O(log cohort) an event; a look for a cohort O(cohort) while most clients are eligible, else O(population), and
 * then so seldom that looking takes a small part of the time. Memory grows with the cohort only. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/round/round_internal.h"

/* --- What it says ------------------------------------------------------------------------------------------------- */

void fed_round_emit(struct fed_round_outbox *out, enum fed_action_kind kind, uint64_t number, uint32_t attempt,
                    const char *why) {
    assert(out->n < FED_ROUND_ACTIONS_MAX);
    out->actions[out->n++] = (struct fed_round_action){.kind = kind, .round = number, .attempt = attempt, .why = why};
}

void fed_round_emit_of_attempt(struct fed_round_outbox *out, const struct fed_round *round, enum fed_action_kind kind) {
    fed_round_emit(out, kind, round->committed + 1, round->attempt, NULL);
}

void fed_round_wait_for(struct fed_round *round, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(round->waits_for, sizeof round->waits_for, format, args);
    va_end(args);
}

/* --- Where it goes from here -------------------------------------------------------------------------------------- */

static void stop(struct fed_round *round, struct fed_round_outbox *out) {
    round->phase = FED_ROUND_STOPPED;
    fed_round_emit(out, FED_ACTION_STOPPED, round->committed, 0, NULL);
}

static void conclude(struct fed_round *round, struct fed_round_outbox *out) {
    if (round->evaluation != EVALUATION_SETTLED) {
        fed_round_wait_for(round, "waits for the evaluation of round %" PRIu64, round->committed);
    } else if (fed_round_complete(round)) {
        round->phase = FED_ROUND_FINISHED;
        fed_round_emit(out, FED_ACTION_FINISHED, round->committed, 0, NULL);
    } else {
        stop(round, out);
    }
}

static void advance_idle(struct fed_round *round, struct fed_round_outbox *out) {
    if (fed_round_ends(round)) {
        conclude(round, out);
    } else if (round->look && round->now_ms >= round->retry_at_ms && round->now_ms >= round->look_at_ms) {
        fed_round_look_for_cohort(round);
    }
}

/* Somebody else is at the attempt, and the answer is still to come. */
static bool awaits_answer(const struct fed_round *round) {
    return round->phase == FED_ROUND_BROADCAST || round->phase == FED_ROUND_AGGREGATE ||
           (fed_round_stores(round->phase) && round->asked);
}

/* What follows from where the machine stands and what time it is. */
static void advance(struct fed_round *round, struct fed_round_outbox *out) {
    if (round->evaluation == EVALUATION_WANTED) {
        round->evaluation = EVALUATION_ASKED;
        fed_round_emit(out, FED_ACTION_EVALUATE, round->committed, 0, NULL);
    }
    if (round->falls && round->phase != FED_ROUND_ROLLBACK && !awaits_answer(round)) {
        fed_round_take_back(round, out);
    }
    if (round->phase == FED_ROUND_COLLECT) {
        fed_round_advance_collect(round, out);
    }
    if (round->phase == FED_ROUND_IDLE) {
        advance_idle(round, out);
    }
    if (round->phase == FED_ROUND_PICK) {
        fed_round_ask_store(round, out, FED_ACTION_OPEN);
    } else if (round->phase == FED_ROUND_ROLLBACK) {
        fed_round_ask_store(round, out, FED_ACTION_ROLL_BACK);
    } else if (round->phase == FED_ROUND_COMMIT && round->evaluation == EVALUATION_SETTLED) {
        fed_round_ask_store(round, out, FED_ACTION_COMMIT);
    }
}

size_t fed_round_handle(struct fed_round *round, const struct fed_round_event *event, uint64_t now_ms,
                        struct fed_round_action *actions) {
    assert(now_ms >= round->now_ms);
    struct fed_round_outbox out = {.actions = actions};
    round->now_ms = now_ms;
    if (round->phase == FED_ROUND_FINISHED || round->phase == FED_ROUND_STOPPED) {
        return 0;
    }
    if (round->phase == FED_ROUND_IDLE && (event->kind == FED_EVENT_TICK || event->kind == FED_EVENT_JOINED)) {
        round->look = true;
    }
    switch (event->kind) {
    case FED_EVENT_TICK: break;
    case FED_EVENT_JOINED:
    case FED_EVENT_GONE:
    case FED_EVENT_DECLINED:
    case FED_EVENT_ADMITTED:
    case FED_EVENT_REFUSED: fed_round_on_client(round, event); break;
    case FED_EVENT_OPENED:
    case FED_EVENT_COMMITTED:
    case FED_EVENT_STORE_FAILED: fed_round_on_store_answer(round, event, &out); break;
    case FED_EVENT_SEALED: fed_round_on_sealed(round, &out); break;
    case FED_EVENT_AGGREGATED:
    case FED_EVENT_NO_MEAN: fed_round_on_aggregate_answer(round, event->kind, &out); break;
    case FED_EVENT_EVALUATED: fed_round_on_evaluated(round, event, &out); break;
    case FED_EVENT_STOP: stop(round, &out); return out.n;
    case FED_EVENT_FINISH: round->finishing = true; break;
    case FED_EVENT_SPOILT: fed_round_on_spoilt(round, &out); break;
    }
    advance(round, &out);
    return out.n;
}

/* --- Its life ----------------------------------------------------------------------------------------------------- */

/* The cohort of the attempt that the store has and nobody finished. FED_ENOMEM. */
static int recall_cohort(struct fed_round *round, const uint64_t *cohort, size_t n) {
    uint64_t *ids = calloc(n, sizeof *ids);
    if (ids == NULL) {
        return FED_ENOMEM;
    }
    memcpy(ids, cohort, n * sizeof *ids);
    int rc = fed_cohort_set(&round->cohort, ids, n);
    round->recorded = rc == 0;
    return rc;
}

int fed_round_new(struct fed_round **out, const struct fed_round_config *config, const struct fed_round_world *world,
                  uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort, size_t n_cohort,
                  uint64_t now_ms) {
    assert(config->evaluate_every >= 1);
    bool restarted = committed > 0 || attempt > 0;
    struct fed_round *round = malloc(sizeof *round);
    if (round == NULL) {
        return FED_ENOMEM;
    }
    *round = (struct fed_round){
        .config = *config,
        .world = *world,
        .phase = FED_ROUND_IDLE,
        .now_ms = now_ms,
        .committed = committed,
        .attempt = attempt,
        .accuracy = accuracy,
        .settled_ms = restarted ? fed_round_later(now_ms, config->rejoin_ms) : 0,
        .look_at_ms = now_ms,
        .retry_at_ms = now_ms,
        .retry_pause_ms = RETRY_FIRST_MS,
        .setback_pause_ms = SETBACK_FIRST_MS,
        .store_pause_ms = STORE_FIRST_MS,
    };
    bool evaluate = isnan(accuracy) && fed_round_evaluates(round, committed);
    round->evaluation = evaluate ? EVALUATION_WANTED : EVALUATION_SETTLED;
    if (n_cohort > 0 && recall_cohort(round, cohort, n_cohort) != 0) {
        fed_round_free(round);
        return FED_ENOMEM;
    }
    *out = round;
    return 0;
}

void fed_round_free(struct fed_round *round) {
    if (round != NULL) {
        fed_cohort_free(&round->cohort);
        free(round);
    }
}
