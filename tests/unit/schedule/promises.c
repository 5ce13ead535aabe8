/* Random attempts against a plain model of who holds which client. */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/round/schedule.h"
#include "tests/unit/schedule/fixture.h"

static bool world_hosts(const struct world *world, size_t node, uint64_t client) {
    for (size_t i = 0; i < RANGES; i++) {
        if (client >= world->ranges[node][i].first && client - world->ranges[node][i].first < world->ranges[node][i].count) {
            return true;
        }
    }
    return false;
}

struct holding { /* what the model believes about one part, from what was said */
    uint64_t clients[CLIENTS];
    size_t n;
    bool given, closed, gone, delivered;
};

struct model {
    struct world world;
    struct fed_schedule *schedule;
    uint32_t state;
    size_t n; /* of the cohort: clients 0 .. n-1 */
    size_t part_max;
    bool ready[NODES], sums[NODES];
    uint32_t workers[NODES], done[NODES];
    struct holding parts[NODES][PARTS];
    bool refused[NODES][CLIENTS], delivered[CLIENTS], lost[CLIENTS];
};

static uint32_t dice(struct model *model, uint32_t sides) {
    model->state = model->state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)model->state * sides) >> 32);
}

/* The live part of some node that holds the client, or NULL. */
static struct holding *holder(struct model *model, uint64_t client, size_t *node) {
    for (*node = 0; *node < NODES; ++*node) {
        for (size_t k = 0; k < fed_schedule_parts(model->schedule, *node); k++) {
            struct holding *part = &model->parts[*node][k];
            for (size_t i = 0; part->given && !part->gone && i < part->n; i++) {
                if (part->clients[i] == client) {
                    return part;
                }
            }
        }
    }
    return NULL;
}

static void hear_one(struct model *model, const struct fed_assignment *said) {
    ck_assert(model->ready[said->node]);
    ck_assert_uint_lt(said->part, PARTS);
    struct holding *part = &model->parts[said->node][said->part];
    ck_assert(!part->gone && !part->delivered);
    bool shorter = said->n_clients < part->n;
    ck_assert(said->n_clients > 0 && said->n_clients <= model->part_max);
    ck_assert_msg(!shorter, "only what was given back leaves a part");
    ck_assert_msg(said->sums || (said->n_clients == 1 && said->closed), "one client a part without the right to sums");
    ck_assert(said->sums == model->sums[said->node]);
    ck_assert_msg(!part->closed || said->n_clients == part->n, "a closed part does not grow");
    for (size_t i = 0; i < said->n_clients; i++) {
        ck_assert_msg(i >= part->n || said->clients[i] == part->clients[i], "a list only grows");
        ck_assert(world_hosts(&model->world, said->node, said->clients[i]));
        ck_assert(!model->refused[said->node][said->clients[i]] && !model->lost[said->clients[i]]);
        part->clients[i] = said->clients[i];
    }
    part->n = said->n_clients;
    part->given = true;
    part->closed = said->closed;
}

static size_t held_by(const struct model *model, size_t node, bool undelivered) {
    size_t n = 0;
    for (size_t k = 0; k < fed_schedule_parts(model->schedule, node); k++) {
        const struct holding *part = &model->parts[node][k];
        n += part->given && !part->gone && !(undelivered && part->delivered) ? part->n : 0;
    }
    return n;
}

/* After everything was said: who waits, waits for a reason, and no part is open without one. */
static void hear_all(struct model *model) {
    struct fed_assignment said;
    while (fed_schedule_next(&said, model->schedule) == 0) {
        hear_one(model, &said);
    }
    unsigned holders[CLIENTS] = {0};
    bool waits[CLIENTS] = {false};
    for (size_t node = 0; node < NODES; node++) {
        for (size_t k = 0; k < fed_schedule_parts(model->schedule, node); k++) {
            const struct holding *part = &model->parts[node][k];
            for (size_t i = 0; part->given && !part->gone && i < part->n; i++) {
                holders[part->clients[i]]++;
            }
        }
    }
    for (uint64_t client = 0; client < model->n; client++) {
        ck_assert_msg(holders[client] <= 1, "client %" PRIu64 " is held twice", client);
        waits[client] = holders[client] == 0 && !model->lost[client];
    }
    for (size_t node = 0; node < NODES; node++) {
        bool could_get = false;
        for (uint64_t client = 0; client < model->n; client++) {
            could_get |= waits[client] && world_hosts(&model->world, node, client) && !model->refused[node][client];
        }
        size_t held = held_by(model, node, false);
        size_t done = model->done[node] < held ? model->done[node] : held;
        bool room = model->ready[node] && held - done < 2 * (size_t)model->workers[node];
        ck_assert_msg(!(could_get && room), "a client waits though node %zu could take it", node);
        for (size_t k = 0; k < fed_schedule_parts(model->schedule, node); k++) {
            const struct holding *part = &model->parts[node][k];
            bool open = part->given && !part->gone && !part->delivered && part->n > 0 && !part->closed;
            ck_assert_msg(!(open && room && !could_get), "node %zu waits on an open part", node);
        }
    }
}

static void lose(struct model *model, size_t node) {
    fed_schedule_node_lost(model->schedule, node);
    model->ready[node] = false;
    for (size_t k = 0; k < fed_schedule_parts(model->schedule, node); k++) {
        struct holding *part = &model->parts[node][k];
        part->gone |= part->given && !part->delivered;
    }
    model->done[node] = (uint32_t)held_by(model, node, false);
}

static void make_ready(struct model *model, size_t node) {
    if (model->ready[node]) {
        lose(model, node);
    }
    model->ready[node] = true;
    model->workers[node] = 1 + dice(model, 3);
    model->sums[node] = dice(model, 2) == 0;
    fed_schedule_node_ready(model->schedule, node, model->workers[node], model->sums[node]);
}

static void deliver(struct model *model, size_t node) {
    for (size_t k = 0; k < fed_schedule_parts(model->schedule, node); k++) {
        struct holding *part = &model->parts[node][k];
        if (part->given && !part->gone && !part->delivered && part->closed && part->n > 0) {
            fed_schedule_delivered(model->schedule, node, (uint32_t)k);
            fed_schedule_delivered(model->schedule, node, (uint32_t)k); /* twice is once */
            part->delivered = true;
            size_t all = 0;
            for (size_t i = 0; i < fed_schedule_parts(model->schedule, node); i++) {
                all += model->parts[node][i].delivered ? model->parts[node][i].n : 0;
            }
            model->done[node] = model->done[node] > all ? model->done[node] : (uint32_t)all;
            for (size_t i = 0; i < part->n; i++) {
                ck_assert(!model->delivered[part->clients[i]]);
                model->delivered[part->clients[i]] = true;
            }
            return;
        }
    }
}

static void give_back(struct model *model, uint64_t client) {
    size_t node;
    struct holding *part = holder(model, client, &node);
    if (part == NULL || part->delivered) {
        return;
    }
    size_t at = 0;
    while (part->clients[at] != client) {
        at++;
    }
    memmove(&part->clients[at], &part->clients[at + 1], (part->n - at - 1) * sizeof part->clients[0]);
    part->n--;
    part->closed = false; /* is said again as closed, unless nothing is left of it */
    model->refused[node][client] = true;
    bool other = false;
    for (size_t i = 0; i < NODES; i++) {
        other |= model->ready[i] && !model->refused[i][client] && world_hosts(&model->world, i, client);
    }
    ck_assert(fed_schedule_give_back(model->schedule, node, client) == other);
    model->lost[client] = !other;
    size_t held = held_by(model, node, false);
    model->done[node] = model->done[node] < held ? model->done[node] : (uint32_t)held;
}

static void train(struct model *model, size_t node) {
    if (model->ready[node] && model->done[node] < held_by(model, node, false)) {
        fed_schedule_progress(model->schedule, node, ++model->done[node]);
    }
}

static void one_attempt(uint32_t seed) {
    struct model *model = calloc(1, sizeof *model);
    ck_assert_ptr_nonnull(model);
    model->state = seed * 2654435761u + 1;
    for (size_t node = 0; node < NODES; node++) {
        for (size_t i = 0; i < RANGES; i++) {
            uint64_t first = dice(model, CLIENTS);
            model->world.ranges[node][i] =
                (struct range){.first = first, .count = 1 + dice(model, CLIENTS - (uint32_t)first)};
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        model->world.work[i] = dice(model, 5);
    }
    model->part_max = 1 + dice(model, 10);
    model->schedule = make(&model->world, NODES, model->part_max);
    model->n = 1 + dice(model, CLIENTS);
    begin(model->schedule, model->n);
    for (int step = 0; step < 100; step++) {
        uint32_t node = dice(model, NODES), what = dice(model, 16);
        if (what == 0 && model->ready[node] && dice(model, 3) == 0) {
            lose(model, node);
        } else if (what < 3) {
            if (!model->ready[node] || dice(model, 20) == 0) {
                make_ready(model, node);
            }
        } else if (what == 3) {
            give_back(model, dice(model, (uint32_t)model->n));
        } else if (what < 7) {
            deliver(model, node);
        } else {
            train(model, node);
        }
        hear_all(model);
    }
    fed_schedule_free(model->schedule);
    free(model);
}

START_TEST(random_attempts_keep_every_promise) {
    for (uint32_t seed = 1; seed <= 100; seed++) {
        one_attempt(seed);
    }
}
END_TEST

TCase *promises_cases(void) {
    TCase *cases = tcase_create("promises");
    tcase_set_timeout(cases, 100);
    tcase_add_test(cases, random_attempts_keep_every_promise);
    return cases;
}
