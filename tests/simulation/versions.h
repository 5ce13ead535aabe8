/* Who speaks which version of the protocol. */
#ifndef FED_TESTS_SIMULATION_VERSIONS_H
#define FED_TESTS_SIMULATION_VERSIONS_H

#include "tests/simulation/sim.h"

enum sim_version { SIM_VERSION_OURS, SIM_VERSION_LATER, SIM_VERSION_FIRST, SIM_VERSION_OTHER_MAJOR };

/* From now on the coordinator, or node 0, speaks this. */
void sim_version_speak(enum sim_version version, bool coordinator);
/* A control message as it goes out. out: room for FED_CONTROL_MAX + 16. Returns its length. */
size_t sim_version_said(uint8_t *out, const struct sim_node *node, bool to_node, const uint8_t *bytes, size_t n);
/* Whether messages of a kind that we do not know go with it. */
bool sim_version_adds_messages(const struct sim_node *node, bool to_node);

#endif
