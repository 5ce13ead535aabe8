/* What only the one who runs the world may do. */
#ifndef FED_TESTS_SIMULATION_WORLD_H
#define FED_TESTS_SIMULATION_WORLD_H

#include "tests/simulation/sim.h"

void sim_world_begin(uint64_t seed, bool told);
/* Until over() says so. */
void sim_world_run(bool (*over)(void));
bool sim_world_is_empty(void); /* no process runs any more */
/* Events that are left are dropped; those that would make `forget` happen own their context. */
void sim_world_end(sim_happen *forget, void (*drop)(void *context));
uint64_t sim_world_digest(void);
void sim_world_free(void);

/* link.c */
void sim_link_end(void);
/* base.c */
void sim_pools_end(void);

#endif
