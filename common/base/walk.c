#include "common/base/walk.h"

#include <stdlib.h>
#include <string.h>

#define EMPTY UINT32_MAX /* never an index: indices are below n <= UINT32_MAX */
#define FIRST_SLOTS 64   /* a power of two; the table stays at most half full */

struct fed_walk_slot {
    uint32_t index, value;
};

void fed_walk_init(struct fed_walk *walk, struct fed_rng *rng, uint32_t n) { *walk = (struct fed_walk){.rng = rng, .n = n}; }

void fed_walk_fini(struct fed_walk *walk) {
    free(walk->slots);
    walk->slots = NULL;
}

/* The slot that holds index, or the empty one where it would go. */
static struct fed_walk_slot *slot_of(struct fed_walk_slot *slots, size_t n_slots, uint32_t index) {
    size_t at = (size_t)((index * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (n_slots - 1);
    while (slots[at].index != EMPTY && slots[at].index != index) {
        at = (at + 1) & (n_slots - 1);
    }
    return &slots[at];
}

/* Room for one more displaced entry. */
static int reserve(struct fed_walk *walk) {
    if (2 * (walk->used + 1) <= walk->n_slots) {
        return 0;
    }
    size_t n_slots = walk->n_slots == 0 ? FIRST_SLOTS : 2 * walk->n_slots;
    if (n_slots > SIZE_MAX / sizeof *walk->slots) {
        return FED_ENOMEM;
    }
    struct fed_walk_slot *slots = malloc(n_slots * sizeof *slots);
    if (slots == NULL) {
        return FED_ENOMEM;
    }
    memset(slots, 0xff, n_slots * sizeof *slots);
    for (size_t i = 0; i < walk->n_slots; i++) {
        if (walk->slots[i].index != EMPTY) {
            *slot_of(slots, n_slots, walk->slots[i].index) = walk->slots[i];
        }
    }
    free(walk->slots);
    walk->slots = slots;
    walk->n_slots = n_slots;
    return 0;
}

int fed_walk_next(uint32_t *out, struct fed_walk *walk) {
    uint32_t i = walk->step;
    if (i == walk->n) {
        return FED_ENOTFOUND;
    }
    int rc = reserve(walk);
    if (rc != 0) {
        return rc;
    }
    uint32_t j = i + fed_rng_below(walk->rng, walk->n - i);
    const struct fed_walk_slot *here = slot_of(walk->slots, walk->n_slots, i);
    uint32_t kept = here->index == EMPTY ? i : here->value;
    if (j == i) {
        *out = kept;
    } else { /* a[i] is never looked at again, so only a[j] is written */
        struct fed_walk_slot *there = slot_of(walk->slots, walk->n_slots, j);
        *out = there->index == EMPTY ? j : there->value;
        walk->used += there->index == EMPTY;
        *there = (struct fed_walk_slot){.index = j, .value = kept};
    }
    walk->step++;
    return 0;
}
