/* Open files of this process against its limit. At the limit libzmq's accept loop spins and no file can be opened, so nobody
 * new is let in long before: see fed_gate_tick. */
#ifndef FED_COORDINATOR_NODES_DESCRIPTORS_H
#define FED_COORDINATOR_NODES_DESCRIPTORS_H

#include <stdbool.h>
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

#endif
