#include "coordinator/nodes/limit.h"

#include <assert.h>

#define MILLI 1000u

static uint64_t missing_at(const struct fed_limit *limit, const struct fed_rate *rate, uint64_t now_ms) {
    uint64_t passed = now_ms > limit->at_ms ? now_ms - limit->at_ms : 0;
    /* tokens a second are thousandths a millisecond */
    return passed >= limit->missing / rate->per_second + 1 ? 0 : limit->missing - passed * rate->per_second;
}

/* What may be missing at most for n to be there: more than the burst never is. */
static uint64_t room_for(const struct fed_rate *rate, uint64_t n) {
    assert(rate->per_second >= 1 && rate->per_second <= FED_LIMIT_MOST && rate->burst >= 1 &&
           rate->burst <= FED_LIMIT_MOST && n <= FED_LIMIT_MOST);
    return n < rate->burst ? (rate->burst - n) * MILLI : 0;
}

bool fed_limit_take(struct fed_limit *limit, const struct fed_rate *rate, uint64_t n, uint64_t now_ms) {
    uint64_t missing = missing_at(limit, rate, now_ms);
    if (missing > room_for(rate, n)) {
        return false;
    }
    limit->missing = missing + n * MILLI;
    limit->at_ms = now_ms > limit->at_ms ? now_ms : limit->at_ms;
    return true;
}

void fed_limit_give(struct fed_limit *limit, uint64_t n) {
    assert(n <= FED_LIMIT_MOST);
    limit->missing = limit->missing > n * MILLI ? limit->missing - n * MILLI : 0;
}

uint64_t fed_limit_wait_ms(const struct fed_limit *limit, const struct fed_rate *rate, uint64_t n, uint64_t now_ms) {
    uint64_t missing = missing_at(limit, rate, now_ms), room = room_for(rate, n);
    return missing > room ? (missing - room + rate->per_second - 1) / rate->per_second : 0;
}
