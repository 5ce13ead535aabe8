/* How much somebody may have: a token bucket. Pure: time is an argument.
 *
 * A bucket holds `burst` and fills by `per_second`. What is kept is how much is missing, so a bucket of zeros is full, and
 * one bucket may be asked under rates that change. A clock that steps back fills nothing; nothing overflows. */
#ifndef FED_COORDINATOR_NODES_LIMIT_H
#define FED_COORDINATOR_NODES_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define FED_LIMIT_MOST (UINT64_C(1) << 40) /* of either number, and of what is taken at once */

struct fed_rate {
    uint64_t per_second, burst; /* 1 .. FED_LIMIT_MOST each */
};

struct fed_limit {
    uint64_t missing; /* thousandths */
    uint64_t at_ms;
};

/* Takes n, or nothing: false. More than the burst is taken from a full bucket, so that no size is refused for ever. */
bool fed_limit_take(struct fed_limit *limit, const struct fed_rate *rate, uint64_t n, uint64_t now_ms);
/* Gives n back, or ahead: never more than the bucket holds. */
void fed_limit_give(struct fed_limit *limit, uint64_t n);
/* Milliseconds until n could be taken; 0: now. */
uint64_t fed_limit_wait_ms(const struct fed_limit *limit, const struct fed_rate *rate, uint64_t n, uint64_t now_ms);

#endif
