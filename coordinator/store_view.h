/* What those ask who look at a run and do not run it: comparing, plotting, computing again, copying. */
#ifndef FED_COORDINATOR_STORE_VIEW_H
#define FED_COORDINATOR_STORE_VIEW_H

#include "coordinator/store.h"

struct fed_store_end {
    bool finished;
    uint64_t result_round; /* if finished: the round whose model is the result */
    uint64_t target_round; /* first round that reached the target; 0 = none */
};
int fed_store_end(struct fed_store_end *out, struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;

/* The admitted set of a committed round, which with task and seed decides its model. Calls row for each update, ascending by
 * client; none for round 0, for a rollback, or for a round that is not there. */
int fed_store_admitted(struct fed_store *store, uint64_t round,
                       void (*row)(void *context, const struct fed_store_update *update), void *context,
                       struct fed_error *err) FED_MUST_CHECK;

#endif
