/* Descriptors that only the simulation knows: of pools, of the evaluator, and of a node's owner who wants it to stop. */
#ifndef FED_TESTS_SIMULATION_BASE_H
#define FED_TESTS_SIMULATION_BASE_H

#include "tests/simulation/sim.h"

#define SIM_FD_POOL 1000
#define SIM_FD_STOP 3000 /* + node */
#define SIM_FD_EVALUATOR 4000

bool sim_fd_readable(int fd);
bool sim_evaluator_done(void);

#endif
