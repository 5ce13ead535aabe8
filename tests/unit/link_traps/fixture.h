/* Peers that do not obey our own code: plain sockets and bare ZeroMQ, in the world of tests/unit/link_world.h. */
#ifndef FED_TESTS_UNIT_LINK_TRAPS_FIXTURE_H
#define FED_TESTS_UNIT_LINK_TRAPS_FIXTURE_H

#include <check.h>

#include "common/link/link.h"
#include "tests/unit/link_world.h"

int bare_connect(const char *endpoint);

/* A listening socket that is not ZeroMQ; endpoint: where. */
int bare_listen(char endpoint[64]);

/* ZMTP 3.0: signature, version, mechanism, as-server, filler. */
void greet(int fd, const char *mechanism);

bool readable_now(int fd);

/* Whether the other end hangs up within the bound, whatever it says before. */
bool is_dropped(struct world *world, int fd);

/* That an honest node is served, whatever happened before. */
void expect_service(struct world *world, struct fed_lane *here);

void expect_option(const struct fed_lane *lane, int option, int expected);

/* The cases of the room, a file each. */
TCase *keys_cases(void);
TCase *frames_cases(void);
TCase *addresses_cases(void);
TCase *routes_cases(void);
TCase *endings_cases(void);
TCase *limits_cases(void);

#endif
