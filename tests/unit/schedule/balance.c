/* Large deployments, and how evenly nodes end. */
#include <check.h>
#include <inttypes.h>

#include "coordinator/round/schedule.h"
#include "tests/unit/schedule/fixture.h"

/* Ten thousand nodes of one client each, of which a thousand are picked: a step that looked at every pair would show. */
static bool one_each(void *context, size_t node, size_t i, uint64_t *first, uint64_t *count) {
    ++*(uint64_t *)context;
    *first = node;
    *count = 1;
    return i == 0;
}

static uint64_t equal_work(void *context, uint64_t client) {
    (void)context;
    (void)client;
    return 1;
}

START_TEST(a_large_deployment_is_handed_out_without_trying_every_pair) {
    enum { MANY = 10000, PICKED = 1000 };
    uint64_t asked = 0;
    struct fed_schedule_world world = {.context = &asked, .range = one_each, .work = equal_work};
    struct fed_schedule *schedule = NULL;
    ck_assert_int_eq(fed_schedule_new(&schedule, &world, MANY, 1024), 0);
    uint64_t cohort[PICKED];
    for (uint64_t i = 0; i < PICKED; i++) {
        cohort[i] = (i * 7919) % MANY;
    }
    for (size_t node = 0; node < MANY; node++) {
        fed_schedule_node_ready(schedule, node, 1, false);
    }
    ck_assert_int_eq(fed_schedule_begin(schedule, cohort, PICKED), 0);
    size_t n = 0;
    struct fed_assignment said;
    while (fed_schedule_next(&said, schedule) == 0) {
        ck_assert_uint_eq(said.n_clients, 1);
        ck_assert_uint_eq(said.clients[0], said.node);
        n++;
    }
    ck_assert_uint_eq(n, PICKED);
    ck_assert_uint_le(asked, 4 * (MANY + PICKED)); /* a look asks twice: the range, and that there is no other */
    fed_schedule_free(schedule);
}
END_TEST

/* Two nodes of one worker train a cohort, in a time of which one unit is one unit of work. */
struct trainer {
    uint64_t queue[4096], now; /* now: when it is done with what it trains, if anything */
    size_t n, trained, told;   /* told: done, as the coordinator knows it */
    size_t left_when_told;
};

struct race {
    uint64_t work[4096];
    struct trainer trainers[2];
    size_t rounds_said, statuses;
};

static bool race_range(void *context, size_t node, size_t i, uint64_t *first, uint64_t *count) {
    (void)context;
    (void)node;
    *first = 0;
    *count = 4096;
    return i == 0;
}

static uint64_t race_work(void *context, uint64_t client) { return ((const struct race *)context)->work[client]; }

/* What is new in a part is behind what was known of it; parts of 1024 come one after the other. */
static void race_hears(struct race *race, struct fed_schedule *schedule) {
    struct fed_assignment said;
    while (fed_schedule_next(&said, schedule) == 0) {
        struct trainer *trainer = &race->trainers[said.node];
        size_t before = trainer->n % 1024;
        before = said.part * 1024 + before < trainer->n ? 1024 : before;
        for (size_t i = before; i < said.n_clients; i++) {
            trainer->queue[trainer->n++] = said.clients[i];
        }
        trainer->left_when_told = trainer->n - trainer->trained;
        race->rounds_said++;
    }
}

/* The next client is done: that of the node which is done first. A node speaks as the session does, when less than two
 * clients are left or half of what was left when it last spoke. False when nothing is left. */
static bool step(struct race *race, struct fed_schedule *schedule) {
    size_t node = SIZE_MAX;
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        const struct trainer *trainer = &race->trainers[i];
        if (trainer->trained < trainer->n && trainer->now + race->work[trainer->queue[trainer->trained]] < first) {
            node = i;
            first = trainer->now + race->work[trainer->queue[trainer->trained]];
        }
    }
    if (node == SIZE_MAX) {
        return false;
    }
    struct trainer *trainer = &race->trainers[node];
    trainer->now = first;
    trainer->trained++;
    size_t left = trainer->n - trainer->trained;
    if (left < 2 || left <= trainer->left_when_told / 2) {
        trainer->left_when_told = left;
        race->statuses++;
        fed_schedule_progress(schedule, node, (uint32_t)trainer->trained);
        race_hears(race, schedule);
    }
    return true;
}

static const char *const shapes[] = {"equal", "steep", "spread", "one large", "rising"};

static uint64_t work_of(size_t shape, uint64_t i, uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    switch (shape) {
    case 0: return 60;
    case 1: return 1 + 60000 / (1 + i);       /* a power law */
    case 2: return 1 + (*state >> 16) % 1000; /* anything */
    case 3: return i == 0 ? 20000 : 1 + (*state >> 16) % 40;
    default: return 1 + i;
    }
}

/* Both end within one shard of each other, one of the two that the later node ends with. And of a thousand clients not each
 * costs a message each way. */
START_TEST(nodes_end_within_one_shard_of_each_other) {
    enum { COHORT = 1000 };
    uint64_t cohort[COHORT];
    struct race race = {.work = {0}};
    struct fed_schedule_world world = {.context = &race, .range = race_range, .work = race_work};
    struct fed_schedule *schedule = NULL;
    uint32_t state = 1;
    for (uint64_t i = 0; i < COHORT; i++) {
        cohort[i] = i;
        race.work[i] = work_of((size_t)_i, i, &state);
    }
    ck_assert_int_eq(fed_schedule_new(&schedule, &world, 2, 1024), 0);
    fed_schedule_node_ready(schedule, 0, 1, true);
    fed_schedule_node_ready(schedule, 1, 1, true);
    ck_assert_int_eq(fed_schedule_begin(schedule, cohort, COHORT), 0);
    race_hears(&race, schedule);
    while (step(&race, schedule)) {
    }
    const struct trainer *a = &race.trainers[0], *b = &race.trainers[1];
    ck_assert_uint_eq(a->n + b->n, COHORT);
    const struct trainer *late = a->now > b->now ? a : b, *early = late == a ? b : a;
    uint64_t beside = late->n < 2 ? 0 : race.work[late->queue[late->n - 2]], last = race.work[late->queue[late->n - 1]];
    ck_assert_msg(late->now - early->now <= (last > beside ? last : beside),
                  "%s: %" PRIu64 " and %" PRIu64 ", the last shards are %" PRIu64 " and %" PRIu64, shapes[_i], a->now,
                  b->now, beside, last);
    ck_assert_uint_le(race.rounds_said + race.statuses, COHORT / 2);
    fed_schedule_free(schedule);
}
END_TEST

TCase *balance_cases(void) {
    TCase *cases = tcase_create("balance");
    tcase_set_timeout(cases, 100);
    tcase_add_test(cases, a_large_deployment_is_handed_out_without_trying_every_pair);
    tcase_add_loop_test(cases, nodes_end_within_one_shard_of_each_other, 0, sizeof shapes / sizeof *shapes);
    return cases;
}
