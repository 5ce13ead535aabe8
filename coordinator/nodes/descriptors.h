/* Open files of this process against its limit. At the limit accept loops spin and no file can be opened, so nobody new is
 * let in long before: see fed_gate_tick. A storm of connections may reach the limit between two looks all the same; some
 * descriptors are put by for that, with which the store, the roster and the page work on behind shut doors. */
#ifndef FED_COORDINATOR_NODES_DESCRIPTORS_H
#define FED_COORDINATOR_NODES_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_descriptors {
    uint64_t used, limit; /* limit: UINT64_MAX = none */
};

/* Costs microseconds where the kernel (6.2 on) keeps the count, and a look at each open file elsewhere. FED_EIO: /proc is
 * not there. */
int fed_descriptors_count(struct fed_descriptors *out) FED_MUST_CHECK;
/* Whether the doors are to be shut: from 90 % on, and until it is 80 % again. */
bool fed_descriptors_short(const struct fed_descriptors *now, bool was_short);

#define FED_DESCRIPTORS_RESERVED 32
/* All zero = none. Its descriptors count as used. */
struct fed_descriptors_reserve {
    int fds[FED_DESCRIPTORS_RESERVED];
    size_t n;
};
/* As many as are to be had; the rest with a later call. */
void fed_descriptors_put_by(struct fed_descriptors_reserve *reserve);
void fed_descriptors_release(struct fed_descriptors_reserve *reserve);

#endif
