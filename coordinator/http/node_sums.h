/* What the store knows of each node, summed up as rounds are committed: how many rounds it served, the examples behind its
 * updates, what was refused of it. One entry a name, found by its hash. Pure. */
#ifndef FED_COORDINATOR_HTTP_NODE_SUMS_H
#define FED_COORDINATOR_HTTP_NODE_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "proto/wire.h"

struct fed_node_sum {
    char name[64]; /* "" = strangers */
    uint64_t rounds, last_round;
    uint64_t clients;                    /* whose updates were admitted, in all rounds together */
    uint64_t examples;                   /* behind its updates of last_round */
    uint64_t refused[FED_REFUSAL_COUNT]; /* [FED_REFUSAL_NONE]: reasons that this version does not know */
};

struct fed_node_sums {
    struct fed_node_sum *rows; /* (n of room), owned, in the order of their first mention */
    size_t n, room;
    uint32_t *slots; /* (n_slots, a power of two), owned: index + 1, 0 = free */
    size_t n_slots;
    uint64_t refused[FED_REFUSAL_COUNT]; /* of all together */
};

void fed_node_sums_fini(struct fed_node_sums *sums);

/* NULL: there is none. Borrowed until the next call of the two below. */
const struct fed_node_sum *fed_node_sums_find(const struct fed_node_sums *sums, const char *name);
/* FED_ENOMEM: nothing changed. */
int fed_node_sums_share(struct fed_node_sums *sums, const char *name, uint64_t round, uint64_t clients,
                        uint64_t weight) FED_MUST_CHECK;
int fed_node_sums_refusal(struct fed_node_sums *sums, const char *name, const char *reason, uint64_t count) FED_MUST_CHECK;

#endif
