#include "coordinator/nodes/quarantine.h"

bool fed_quarantine_earned(enum fed_refusal refusal) {
    switch (refusal) {
    case FED_REFUSAL_MALFORMED:
    case FED_REFUSAL_HOSTED:
    case FED_REFUSAL_NOT_PICKED:
    case FED_REFUSAL_SUITE:
    case FED_REFUSAL_ENCODING:
    case FED_REFUSAL_LENGTH:
    case FED_REFUSAL_WEIGHT_ZERO:
    case FED_REFUSAL_WEIGHT_CAP:
    case FED_REFUSAL_NOT_FINITE:
    case FED_REFUSAL_DELTA_CAP:
    case FED_REFUSAL_SUM_BOUND:
    case FED_REFUSAL_NORM: return true;
    default:
        return false; /* slow, stale, too many, another version, other data: by no means hostile; a seal that does not
                         open: whoever can touch the line can bring it about */
    }
}

bool fed_quarantine_count(struct fed_quarantine *q, const struct fed_quarantine_rules *rules, enum fed_refusal refusal,
                          uint64_t now_ms) {
    if (rules->after == 0 || fed_quarantine_holds(q) || !fed_quarantine_earned(refusal)) {
        return false;
    }
    if (q->counted == 0 || now_ms - q->since_ms > rules->window_ms) {
        q->since_ms = now_ms;
        q->counted = 0;
    }
    q->counted++;
    q->reason = refusal;
    return q->counted >= rules->after;
}

void fed_quarantine_begin(struct fed_quarantine *q, const struct fed_quarantine_rules *rules, uint64_t now_ms) {
    uint64_t most = rules->first_ms > FED_QUARANTINE_MOST_MS ? rules->first_ms : FED_QUARANTINE_MOST_MS;
    bool forgotten = q->last_ms == 0 || now_ms - q->ended_ms > FED_QUARANTINE_MOST_MS;
    uint64_t length = forgotten ? rules->first_ms : 2 * q->last_ms;
    q->last_ms = length < most ? length : most;
    q->until_ms = now_ms + q->last_ms;
}

void fed_quarantine_restore(struct fed_quarantine *q, uint64_t last_ms, uint64_t left_ms, uint64_t now_ms) {
    q->last_ms = last_ms;
    q->until_ms = left_ms > 0 ? now_ms + (left_ms < last_ms ? left_ms : last_ms) : 0;
    q->ended_ms = now_ms;
}

bool fed_quarantine_holds(const struct fed_quarantine *q) { return q->until_ms > 0; }

bool fed_quarantine_ends(struct fed_quarantine *q, uint64_t now_ms) {
    if (!fed_quarantine_holds(q) || now_ms < q->until_ms) {
        return false;
    }
    q->until_ms = 0;
    q->counted = 0;
    q->ended_ms = now_ms;
    return true;
}
