/* The round from outside: where it stands, what it waits for, and when it wants to be woken. Changes nothing. */
#include "coordinator/round/round_internal.h"

const char *fed_round_phase_name(enum fed_round_phase phase) {
    switch (phase) {
    case FED_ROUND_IDLE: return "idle";
    case FED_ROUND_PICK: return "pick";
    case FED_ROUND_BROADCAST: return "broadcast";
    case FED_ROUND_COLLECT: return "collect";
    case FED_ROUND_AGGREGATE: return "aggregate";
    case FED_ROUND_COMMIT: return "commit";
    case FED_ROUND_ROLLBACK: return "rollback";
    case FED_ROUND_FINISHED: return "finished";
    case FED_ROUND_STOPPED: return "stopped";
    }
    return "unknown";
}

enum fed_round_phase fed_round_phase(const struct fed_round *round) { return round->phase; }
uint64_t fed_round_number(const struct fed_round *round) { return round->committed + 1; }
uint32_t fed_round_attempt(const struct fed_round *round) { return round->attempt; }

const uint64_t *fed_round_cohort(const struct fed_round *round, size_t *n) {
    *n = round->cohort.n;
    return round->cohort.clients;
}

bool fed_round_in_cohort(const struct fed_round *round, uint64_t client) {
    return fed_cohort_find(&round->cohort, client) != FED_COHORT_NOBODY;
}

bool fed_round_counted(const struct fed_round *round, uint64_t client) {
    uint32_t index = fed_cohort_find(&round->cohort, client);
    return index != FED_COHORT_NOBODY && round->cohort.members[index].state == FED_MEMBER_COUNTED;
}

size_t fed_round_goal(const struct fed_round *round) { return round->goal; }
size_t fed_round_quorum(const struct fed_round *round) { return round->quorum; }
size_t fed_round_admitted(const struct fed_round *round) { return round->cohort.n_counted; }
size_t fed_round_outstanding(const struct fed_round *round) { return fed_cohort_outstanding(&round->cohort); }
uint32_t fed_round_failed(const struct fed_round *round) { return round->n_failed; }

const char *fed_round_waits_for(const struct fed_round *round) {
    if (round->phase == FED_ROUND_IDLE && round->waits_for[0] != '\0') {
        return round->waits_for;
    }
    if (round->phase == FED_ROUND_COMMIT && round->evaluation != EVALUATION_SETTLED) {
        return "waits for the evaluation of the last round before it commits";
    }
    if (fed_round_stores(round->phase) && !round->asked) {
        return "pauses after a failed write before it stores again";
    }
    return NULL;
}

/* --- When it wants to be woken ------------------------------------------------------------------------------------ */

static uint64_t wakeup_idle(const struct fed_round *round) {
    bool ends = fed_round_ends(round);
    if (ends && round->evaluation == EVALUATION_ASKED) {
        return NEVER;
    }
    if (ends || round->falls || round->evaluation == EVALUATION_WANTED) { /* just made: the first event sets it going */
        return round->now_ms;
    }
    if (!round->starved || round->look) {
        return round->retry_at_ms > round->look_at_ms ? round->retry_at_ms : round->look_at_ms;
    }
    return round->settled_ms > round->now_ms ? round->settled_ms : NEVER;
}

static uint64_t wakeup_collect(const struct fed_round *round) {
    if (round->cohort.n_absent == 0) {
        return round->deadline_at_ms;
    }
    uint64_t lost_ms = fed_round_later(fed_cohort_absent_since(&round->cohort), round->config.rejoin_ms);
    return lost_ms < round->deadline_at_ms ? lost_ms : round->deadline_at_ms;
}

uint64_t fed_round_wakeup(const struct fed_round *round) {
    switch (round->phase) {
    case FED_ROUND_IDLE: return wakeup_idle(round);
    case FED_ROUND_PICK:
    case FED_ROUND_ROLLBACK: return round->asked ? NEVER : round->store_at_ms;
    case FED_ROUND_COLLECT: return wakeup_collect(round);
    case FED_ROUND_COMMIT: return round->asked || round->evaluation != EVALUATION_SETTLED ? NEVER : round->store_at_ms;
    default: return NEVER;
    }
}
