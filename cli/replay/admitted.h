/* The admitted set of a round as a run records it, and whether it can be: the clients count what they have, the sums are
 * right, and the clip and the cap that held follow from the round before. For the replayer. */
#ifndef FED_CLI_REPLAY_ADMITTED_H
#define FED_CLI_REPLAY_ADMITTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/data/partition.h"
#include "coordinator/round/hygiene.h"
#include "coordinator/store/store.h"

struct fed_admitted_update {
    uint64_t client, weight; /* recorded */
    double recorded_norm;    /* NaN: not known */
    double norm;             /* found, by whoever trains it */
    bool beyond;             /* found: a value that no coordinator adds */
};

/* A zeroed one is empty. */
struct fed_admitted {
    struct fed_admitted_update *updates; /* (n), clients ascending; owned */
    size_t *order;                       /* (n) of them, largest weight first; owned */
    size_t n, room;
};

/* FED_EIO, FED_EDATA, FED_ENOMEM. */
int fed_admitted_read(struct fed_admitted *admitted, struct fed_store *store, uint64_t round,
                      struct fed_error *err) FED_MUST_CHECK;
void fed_admitted_fini(struct fed_admitted *admitted);

/* A number of the store that is not there is NaN; here it is 0. */
static inline double fed_admitted_or_0(double value) { return value > 0 ? value : 0; }

/* Whether clip and cap of the row follow from the round before it. scratch: overwritten. FED_EDIFFERS, and as above. */
int fed_admitted_check_rules(struct fed_admitted *scratch, struct fed_store *store, const struct fed_hygiene_config *rules,
                             const struct fed_store_round *row, const struct fed_store_round *before,
                             struct fed_error *err) FED_MUST_CHECK;
/* Before anything is trained: clients, weights and sums. FED_EDIFFERS. */
int fed_admitted_check(const struct fed_admitted *admitted, const struct fed_partition *partition,
                       const struct fed_store_round *row, struct fed_error *err) FED_MUST_CHECK;
/* After all were trained: norms and bounds, in the order of clients. FED_EDIFFERS. */
int fed_admitted_check_trained(const struct fed_admitted *admitted, const struct fed_store_round *row,
                               struct fed_error *err) FED_MUST_CHECK;

#endif
