/* With what a run was computed: who compares two runs that should be the same asks for it first. */
#ifndef FED_COORDINATOR_STORE_STORE_BUILDS_H
#define FED_COORDINATOR_STORE_STORE_BUILDS_H

#include "coordinator/store/store.h"

struct fed_store_build {
    uint64_t round;                        /* the first that it may have computed */
    int64_t since_ms;                      /* wall clock; reading only */
    char fedavg[32], kernels[32], cpu[32]; /* version, instruction set, kind of processor */
};

/* To be called at each start that goes on. Writes nothing where the newest row says the same. FED_EIO. */
int fed_store_record_build(struct fed_store *store, const struct fed_store_build *build,
                           struct fed_error *err) FED_MUST_CHECK;

/* Oldest first; none of rounds that were computed before format 3. */
int fed_store_builds(struct fed_store *store, void (*row)(void *context, const struct fed_store_build *build), void *context,
                     struct fed_error *err) FED_MUST_CHECK;

#endif
