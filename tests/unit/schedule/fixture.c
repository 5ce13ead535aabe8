#include "tests/unit/schedule/fixture.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/round/schedule.h"

static bool world_range(void *context, size_t node, size_t i, uint64_t *first, uint64_t *count) {
    const struct world *world = context;
    if (i >= RANGES || world->ranges[node][i].count == 0) {
        return false;
    }
    *first = world->ranges[node][i].first;
    *count = world->ranges[node][i].count;
    return true;
}

static uint64_t world_work(void *context, uint64_t client) { return ((const struct world *)context)->work[client]; }

struct world everybody_hosts_all(void) {
    struct world world = {0};
    for (size_t i = 0; i < NODES; i++) {
        world.ranges[i][0] = (struct range){.first = 0, .count = CLIENTS};
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        world.work[i] = 1;
    }
    return world;
}

struct fed_schedule *make(struct world *world, size_t n_nodes, size_t part_max) {
    struct fed_schedule_world door = {.context = world, .range = world_range, .work = world_work};
    struct fed_schedule *schedule = NULL;
    ck_assert_int_eq(fed_schedule_new(&schedule, &door, n_nodes, part_max), 0);
    return schedule;
}

void begin(struct fed_schedule *schedule, size_t n) {
    uint64_t cohort[CLIENTS];
    for (size_t i = 0; i < n; i++) {
        cohort[i] = i;
    }
    ck_assert_int_eq(fed_schedule_begin(schedule, cohort, n), 0);
}

void describe(char *text, size_t n_text, const struct fed_assignment *said) {
    int n = snprintf(text, n_text, "%zu/%" PRIu32 "%s:", said->node, said->part, said->closed ? "." : "+");
    for (size_t i = 0; i < said->n_clients; i++) {
        n += snprintf(text + n, n_text - (size_t)n, "%s%" PRIu64, i == 0 ? "" : ",", said->clients[i]);
    }
}

const char *all_said(struct fed_schedule *schedule) {
    static char text[4096];
    struct fed_assignment said;
    size_t n = 0;
    text[0] = '\0';
    while (fed_schedule_next(&said, schedule) == 0) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s", n == 0 ? "" : " ");
        describe(text + n, sizeof text - n, &said);
        n += strlen(text + n);
    }
    return text;
}
