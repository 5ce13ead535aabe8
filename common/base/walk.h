/* A lazy walk of a random permutation of 0..n-1: each step costs O(1) time and memory, so that drawing a cohort of m
 * out of a population of a million costs m steps plus those that were skipped, never the population.
 *
 * It is Fisher-Yates upwards on a virtual identity array of which only displaced entries are kept (open addressing):
 * step i swaps a[i] with a[i + below(n - i)] and yields a[i]. */
#ifndef FED_COMMON_BASE_WALK_H
#define FED_COMMON_BASE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/rng.h"
#include "common/base/status.h"

struct fed_walk {
    struct fed_rng *rng; /* borrowed for the life of the walk */
    uint32_t n, step;
    struct fed_walk_slot *slots; /* owned */
    size_t n_slots, used;
};

void fed_walk_init(struct fed_walk *walk, struct fed_rng *rng, uint32_t n);
void fed_walk_fini(struct fed_walk *walk);
/* 0 and the next element; FED_ENOTFOUND after the n-th; FED_ENOMEM. */
int fed_walk_next(uint32_t *out, struct fed_walk *walk) FED_MUST_CHECK;

#endif
