/* One attempt, from its cohort to its mean or to its end without one. */
#include "coordinator/round/round_internal.h"

void fed_round_begin_attempt(struct fed_round *round) {
    fed_cohort_begin(&round->cohort);
    round->attempt++;
    round->recorded = false;
    round->settled_ms = 0;
    fed_round_begin_storing(round, FED_ROUND_PICK);
}

void fed_round_end_attempt(struct fed_round *round, uint64_t pause_ms) {
    round->phase = FED_ROUND_IDLE;
    round->look = false;
    round->starved = false;
    round->look_at_ms = round->now_ms;
    round->retry_at_ms = fed_round_later(round->now_ms, pause_ms);
    round->waits_for[0] = '\0';
}

void fed_round_abandon(struct fed_round *round, struct fed_round_outbox *out, const char *why) {
    fed_round_emit(out, FED_ACTION_END_ABANDONED, round->committed + 1, round->attempt, why);
    round->n_failed++;
    fed_round_end_attempt(round, fed_round_back_off(&round->retry_pause_ms, RETRY_MOST_MS));
    fed_round_wait_for(round, "pauses before the next attempt: %s", why);
}

void fed_round_on_sealed(struct fed_round *round, struct fed_round_outbox *out) {
    if (round->phase != FED_ROUND_BROADCAST) {
        return;
    }
    round->phase = FED_ROUND_COLLECT;
    round->deadline_at_ms = fed_round_later(round->now_ms, round->config.deadline_ms);
    if (!round->falls) { /* else the attempt is about to be abandoned, and nobody needs to know of it */
        fed_round_emit_of_attempt(out, round, FED_ACTION_INVITE);
    }
}

/* What the event makes of a member that is neither counted nor named by another attempt's event; its own state if nothing.
 */
static enum fed_member_state state_after(enum fed_member_state state, enum fed_event_kind kind) {
    if (kind == FED_EVENT_ADMITTED) { /* it is in the sum, whatever was thought of the client before */
        return FED_MEMBER_COUNTED;
    }
    if (state == FED_MEMBER_OUT) {
        return state;
    }
    switch (kind) {
    case FED_EVENT_DECLINED:
    case FED_EVENT_REFUSED: return FED_MEMBER_OUT;
    case FED_EVENT_GONE: return state == FED_MEMBER_PRESENT ? FED_MEMBER_ABSENT : state;
    case FED_EVENT_JOINED: return FED_MEMBER_PRESENT;
    default: return state;
    }
}

void fed_round_on_client(struct fed_round *round, const struct fed_round_event *event) {
    bool open = round->phase >= FED_ROUND_PICK && round->phase <= FED_ROUND_COLLECT;
    bool adding = event->kind == FED_EVENT_ADMITTED && round->phase == FED_ROUND_AGGREGATE;
    /* Attempts alone do not tell: after a rollback the next round begins at 1 while an update of the last one, which was
     * abandoned, may still be being added. */
    bool of_this = event->round == round->committed + 1 && event->attempt == round->attempt;
    uint32_t index = fed_cohort_find(&round->cohort, event->client);
    if ((!open && !adding) || !of_this || index == FED_COHORT_NOBODY) {
        return;
    }
    enum fed_member_state from = round->cohort.members[index].state;
    if (from == FED_MEMBER_COUNTED) {
        return;
    }
    enum fed_member_state to = state_after(from, event->kind);
    if (to != from) {
        fed_cohort_move(&round->cohort, index, to, round->now_ms);
    }
}

void fed_round_advance_collect(struct fed_round *round, struct fed_round_outbox *out) {
    const struct fed_cohort *cohort = &round->cohort;
    fed_cohort_expire(&round->cohort, round->now_ms, round->config.rejoin_ms);
    size_t outstanding = fed_cohort_outstanding(cohort);
    bool enough = cohort->n_counted >= round->quorum;
    bool late = round->now_ms >= round->deadline_at_ms;
    if (cohort->n_counted >= round->goal || (enough && (late || outstanding == 0))) {
        round->phase = FED_ROUND_AGGREGATE;
        fed_round_emit_of_attempt(out, round, FED_ACTION_AGGREGATE);
    } else if (late) {
        fed_round_abandon(round, out, "the deadline passed below the quorum");
    } else if (cohort->n_counted + outstanding < round->quorum) {
        fed_round_abandon(round, out, "too few clients are left for the quorum");
    }
}

void fed_round_on_aggregate_answer(struct fed_round *round, enum fed_event_kind kind, struct fed_round_outbox *out) {
    if (round->phase != FED_ROUND_AGGREGATE) {
        return;
    }
    if (kind == FED_EVENT_NO_MEAN && !round->falls) {
        fed_round_abandon(round, out, "the mean is not finite, or there was no memory for it");
    } else { /* where the last model falls, this one is not stored, whatever it is */
        fed_round_begin_storing(round, FED_ROUND_COMMIT);
    }
}

void fed_round_on_spoilt(struct fed_round *round, struct fed_round_outbox *out) {
    if (round->phase == FED_ROUND_COLLECT || (round->phase == FED_ROUND_AGGREGATE && !round->falls)) {
        fed_round_abandon(round, out, "an update was damaged on the coordinator's disk");
    } else {
        fed_round_on_aggregate_answer(round, FED_EVENT_NO_MEAN, out);
    }
}
