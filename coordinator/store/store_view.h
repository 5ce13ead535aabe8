/* What those ask who look at a run and do not run it: comparing, plotting, computing again, copying. */
#ifndef FED_COORDINATOR_STORE_STORE_VIEW_H
#define FED_COORDINATOR_STORE_STORE_VIEW_H

#include "coordinator/store/store.h"

/* As fed_store_open_readonly, for who has to read one instant while a coordinator is at work, or may begin to be: that one
 * takes a database that nobody has open as one that nobody will write. */
int fed_store_open_beside(struct fed_store **out, const char *dir, struct fed_error *err) FED_MUST_CHECK;

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

/* The newest committed round; *any: there is one. Unlike fed_store_state it does not ask for its model file. */
int fed_store_newest(bool *any, uint64_t *round, struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;

/* Writes a copy of run.db, as of one instant, to a path that does not exist: there whole, and to last, or not at all. A
 * coordinator that writes meanwhile neither waits nor is in the copy. FED_EIO, FED_EDATA. */
int fed_store_copy(struct fed_store *store, const char *path, struct fed_error *err) FED_MUST_CHECK;

#endif
