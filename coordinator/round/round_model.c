/* What becomes of models: one is stored, as often as that takes; it is evaluated; and it stands, reaches the target, or
 * falls and is taken back. */
#include <math.h>

#include "coordinator/round/round_internal.h"

/* Round 0 is nobody's work: it is not evaluated. */
bool fed_round_evaluates(const struct fed_round *round, uint64_t number) {
    const struct fed_round_config *config = &round->config;
    return config->evaluates && number > 0 &&
           (number % config->evaluate_every == 0 || number == config->rounds || config->target_accuracy > 0);
}

static bool target_reached(const struct fed_round *round) {
    return round->config.target_accuracy > 0 && round->accuracy >= round->config.target_accuracy; /* NaN: no */
}

bool fed_round_complete(const struct fed_round *round) {
    return round->committed >= round->config.rounds || target_reached(round);
}

bool fed_round_ends(const struct fed_round *round) { return round->finishing || fed_round_complete(round); }

/* --- Storing ------------------------------------------------------------------------------------------------------ */

void fed_round_begin_storing(struct fed_round *round, enum fed_round_phase phase) {
    round->phase = phase;
    round->asked = false;
    round->store_at_ms = round->now_ms;
}

void fed_round_ask_store(struct fed_round *round, struct fed_round_outbox *out, enum fed_action_kind kind) {
    if (!round->asked && round->now_ms >= round->store_at_ms) {
        round->asked = true;
        fed_round_emit_of_attempt(out, round, kind);
    }
}

/* A model more is stored: whatever failed on the way to it is over. */
static void count_committed(struct fed_round *round) {
    round->committed++;
    round->n_failed = 0;
    round->retry_pause_ms = RETRY_FIRST_MS;
    round->store_pause_ms = STORE_FIRST_MS;
}

static void on_committed(struct fed_round *round, struct fed_round_outbox *out) {
    fed_round_emit_of_attempt(out, round, FED_ACTION_END_COMMITTED);
    count_committed(round);
    round->attempt = 0;
    round->accuracy = NAN;
    round->evaluation = fed_round_evaluates(round, round->committed) ? EVALUATION_WANTED : EVALUATION_SETTLED;
    fed_round_end_attempt(round, 0);
}

/* The last good model is round committed + 1 now: it was judged when it was new. */
static void on_rolled_back(struct fed_round *round) {
    count_committed(round);
    round->falls = false;
    fed_round_end_attempt(round, fed_round_back_off(&round->setback_pause_ms, RETRY_MOST_MS));
    fed_round_wait_for(round, "pauses after a rollback");
}

static bool is_answer(enum fed_event_kind kind, enum fed_round_phase phase) {
    switch (kind) {
    case FED_EVENT_OPENED: return phase == FED_ROUND_PICK;
    case FED_EVENT_COMMITTED: return phase == FED_ROUND_COMMIT || phase == FED_ROUND_ROLLBACK;
    default: return fed_round_stores(phase); /* STORE_FAILED */
    }
}

void fed_round_on_store_answer(struct fed_round *round, const struct fed_round_event *event, struct fed_round_outbox *out) {
    if (!round->asked || !is_answer(event->kind, round->phase)) {
        return;
    }
    round->asked = false;
    if (event->kind == FED_EVENT_STORE_FAILED) {
        round->store_at_ms = fed_round_later(round->now_ms, fed_round_back_off(&round->store_pause_ms, STORE_MOST_MS));
    } else if (round->phase == FED_ROUND_ROLLBACK) {
        on_rolled_back(round);
    } else if (round->phase == FED_ROUND_COMMIT) {
        on_committed(round, out);
    } else if (!round->falls) { /* else the attempt is about to be abandoned */
        round->store_pause_ms = STORE_FIRST_MS;
        round->phase = FED_ROUND_BROADCAST;
        fed_round_emit_of_attempt(out, round, FED_ACTION_BROADCAST);
    }
}

/* --- Judging ------------------------------------------------------------------------------------------------------ */

void fed_round_on_evaluated(struct fed_round *round, const struct fed_round_event *event, struct fed_round_outbox *out) {
    if (round->evaluation != EVALUATION_ASKED || event->round != round->committed) {
        return;
    }
    round->evaluation = EVALUATION_SETTLED;
    round->falls = event->falls;
    if (round->falls) {
        return;
    }
    round->accuracy = event->accuracy;
    round->setback_pause_ms = SETBACK_FIRST_MS;
    if (target_reached(round) && round->phase != FED_ROUND_IDLE) {
        fed_round_abandon(round, out, "the target was reached");
    }
}

void fed_round_judged(struct fed_round *round, bool falls) {
    round->evaluation = EVALUATION_SETTLED;
    round->falls = falls;
    round->accuracy = falls ? (double)NAN : round->accuracy;
}

void fed_round_take_back(struct fed_round *round, struct fed_round_outbox *out) {
    if (round->phase != FED_ROUND_IDLE) {
        fed_round_emit(out, FED_ACTION_END_ABANDONED, round->committed + 1, round->attempt, "the last model is taken back");
    }
    round->recorded = false;
    round->attempt = 0;
    fed_round_begin_storing(round, FED_ROUND_ROLLBACK);
}
