/* The steps of a start, in their order, shared by coordinator.c and the files that take them. Each leaves what it made in
 * the coordinator, from where fed_coordinator_free takes it, however far the start came. */
#ifndef FED_COORDINATOR_START_INTERNAL_H
#define FED_COORDINATOR_START_INTERNAL_H

#include "coordinator/coordinator_internal.h"

/* start_world.c: kernels, model, key, roster and data: what can be checked without touching the run directory. */
int fed_start_world(struct fed_coordinator *c, struct fed_error *err) FED_MUST_CHECK;

/* start_run.c: what defines the run, its directory and its model, and what is remembered of its rounds. state: zero; its
 * cohort is the caller's, on failure too. */
int fed_start_run(struct fed_coordinator *c, struct fed_store_state *state, struct fed_error *err) FED_MUST_CHECK;

/* start_round.c: who computes beside the loop, and the round where the run stands. */
int fed_start_threads(struct fed_coordinator *c, struct fed_error *err) FED_MUST_CHECK;
int fed_start_round(struct fed_coordinator *c, const struct fed_store_state *state, struct fed_error *err) FED_MUST_CHECK;

#endif
