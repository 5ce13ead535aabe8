/* Nodes that host ranges of clients, and what the schedule wants said to them, as words. */
#ifndef FED_TESTS_UNIT_SCHEDULE_FIXTURE_H
#define FED_TESTS_UNIT_SCHEDULE_FIXTURE_H

#include <check.h>

#include "coordinator/round/schedule.h"

enum { NODES = 12, RANGES = 3, CLIENTS = 64, PARTS = 256 };

struct range {
    uint64_t first, count;
};

struct world {
    struct range ranges[NODES][RANGES];
    uint64_t work[CLIENTS];
};

struct world everybody_hosts_all(void);
struct fed_schedule *make(struct world *world, size_t n_nodes, size_t part_max);
void begin(struct fed_schedule *schedule, size_t n);
void describe(char *text, size_t n_text, const struct fed_assignment *said);

/* Everything there is to say now, as "node/part:clients" with a dot where the part is closed and a plus where it is open. */
const char *all_said(struct fed_schedule *schedule);

/* The cases of the room, a file each. */
TCase *rules_cases(void);
TCase *changes_cases(void);
TCase *promises_cases(void);
TCase *balance_cases(void);

#endif
