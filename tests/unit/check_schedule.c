/* Who trains what: rows for each rule, then random attempts against a plain model of who holds which client. */
#include "coordinator/round/schedule.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 12, RANGES = 3, CLIENTS = 64, PARTS = 256 };

struct range {
    uint64_t first, count;
};

struct world {
    struct range ranges[NODES][RANGES];
    uint64_t work[CLIENTS];
};

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

static bool world_hosts(const struct world *world, size_t node, uint64_t client) {
    for (size_t i = 0; i < RANGES; i++) {
        if (client >= world->ranges[node][i].first && client - world->ranges[node][i].first < world->ranges[node][i].count) {
            return true;
        }
    }
    return false;
}

static struct world everybody_hosts_all(void) {
    struct world world = {0};
    for (size_t i = 0; i < NODES; i++) {
        world.ranges[i][0] = (struct range){.first = 0, .count = CLIENTS};
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        world.work[i] = 1;
    }
    return world;
}

static struct fed_schedule *make(struct world *world, size_t n_nodes, size_t part_max) {
    struct fed_schedule_world door = {.context = world, .range = world_range, .work = world_work};
    struct fed_schedule *schedule = NULL;
    ck_assert_int_eq(fed_schedule_new(&schedule, &door, n_nodes, part_max), 0);
    return schedule;
}

static void begin(struct fed_schedule *schedule, size_t n) {
    uint64_t cohort[CLIENTS];
    for (size_t i = 0; i < n; i++) {
        cohort[i] = i;
    }
    ck_assert_int_eq(fed_schedule_begin(schedule, cohort, n), 0);
}

static void describe(char *text, size_t n_text, const struct fed_assignment *said) {
    int n = snprintf(text, n_text, "%zu/%" PRIu32 "%s:", said->node, said->part, said->closed ? "." : "+");
    for (size_t i = 0; i < said->n_clients; i++) {
        n += snprintf(text + n, n_text - (size_t)n, "%s%" PRIu64, i == 0 ? "" : ",", said->clients[i]);
    }
}

/* Everything there is to say now, as "node/part:clients" with a dot where the part is closed and a plus where it is open. */
static const char *all_said(struct fed_schedule *schedule) {
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

static const char *part_text(const struct fed_schedule *schedule, size_t node, uint32_t part) {
    static char text[1024];
    struct fed_assignment said;
    if (fed_schedule_part(&said, schedule, node, part) != 0) {
        return "none";
    }
    describe(text, sizeof text, &said);
    return text;
}

START_TEST(a_node_is_given_two_clients_a_worker_and_more_as_it_trains) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 8);
    fed_schedule_node_ready(schedule, 0, 2, false);
    begin(schedule, 6);
    ck_assert_str_eq(all_said(schedule), "0/0.:0 0/1.:1 0/2.:2 0/3.:3");
    ck_assert_str_eq(all_said(schedule), "");
    fed_schedule_progress(schedule, 0, 1);
    ck_assert_str_eq(all_said(schedule), "0/4.:4");
    fed_schedule_progress(schedule, 0, 1); /* said again: nothing new */
    ck_assert_str_eq(all_said(schedule), "");
    fed_schedule_progress(schedule, 0, 4000000000u); /* what it was never given cannot be done */
    ck_assert_str_eq(all_said(schedule), "0/5.:5");
    ck_assert_uint_eq(fed_schedule_parts(schedule, 0), 6);
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(the_longest_shards_go_first_and_to_the_least_loaded_node) {
    struct world world = everybody_hosts_all();
    world.work[0] = 5, world.work[1] = 9, world.work[2] = 9, world.work[3] = 1, world.work[4] = 7;
    struct fed_schedule *schedule = make(&world, 3, 8);
    fed_schedule_node_ready(schedule, 0, 1, false);
    fed_schedule_node_ready(schedule, 2, 2, false);
    begin(schedule, 5);
    /* 1 and 2 tie and keep the order of the cohort; node 2 has two workers: with 9 and 7 it is at 8 a worker, node 0 at 9 */
    ck_assert_str_eq(all_said(schedule), "0/0.:1 2/0.:2 2/1.:4 2/2.:0 0/1.:3");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_partial_sum_grows_in_one_open_part_until_the_last_pick_is_out) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, true);
    fed_schedule_node_ready(schedule, 1, 1, true);
    begin(schedule, 6);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,2 1/0+:1,3");
    fed_schedule_progress(schedule, 0, 1);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,2,4");
    fed_schedule_progress(schedule, 1, 1);
    /* the last one: both parts are complete, that of the node which was given nothing as well */
    ck_assert_str_eq(all_said(schedule), "1/0.:1,3,5 0/0.:0,2,4");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_full_part_is_closed_and_the_next_one_opened) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 2);
    fed_schedule_node_ready(schedule, 0, 2, true);
    begin(schedule, 5);
    ck_assert_str_eq(all_said(schedule), "0/0.:0,1 0/1.:2,3");
    fed_schedule_progress(schedule, 0, 2);
    ck_assert_str_eq(all_said(schedule), "0/2.:4");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_part_closes_when_nothing_is_left_that_its_node_hosts) {
    struct world world = everybody_hosts_all();
    world.ranges[0][0] = (struct range){.first = 0, .count = 1};
    world.ranges[1][0] = (struct range){.first = 1, .count = CLIENTS - 1};
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, true);
    fed_schedule_node_ready(schedule, 1, 1, true);
    begin(schedule, 5);
    ck_assert_str_eq(all_said(schedule), "0/0.:0 1/0+:1,2");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(every_range_of_a_node_counts_and_nothing_outside) {
    struct world world = {.ranges = {{{.first = 1, .count = 1}, {.first = 3, .count = 2}}}};
    struct fed_schedule *schedule = make(&world, 1, 8);
    fed_schedule_node_ready(schedule, 0, 8, true);
    begin(schedule, 7);
    ck_assert_str_eq(all_said(schedule), "0/0.:1,3,4");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(what_a_lost_node_had_not_delivered_goes_to_a_survivor) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, false);
    fed_schedule_node_ready(schedule, 1, 1, true);
    begin(schedule, 4);
    ck_assert_str_eq(all_said(schedule), "0/0.:0 1/0.:1,3 0/1.:2");
    fed_schedule_delivered(schedule, 0, 0);
    fed_schedule_node_lost(schedule, 0);
    ck_assert_str_eq(part_text(schedule, 0, 0), "0/0.:0"); /* delivered stays delivered */
    ck_assert_str_eq(part_text(schedule, 0, 1), "none");
    ck_assert_str_eq(all_said(schedule), ""); /* the survivor has no room yet */
    fed_schedule_progress(schedule, 1, 1);
    ck_assert_str_eq(all_said(schedule), "1/1.:2"); /* its first part was final: a new one */
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_node_that_comes_back_is_told_anew_under_new_numbers) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 8);
    fed_schedule_node_ready(schedule, 0, 1, true);
    begin(schedule, 3);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,1");
    fed_schedule_node_lost(schedule, 0);
    ck_assert_str_eq(all_said(schedule), "");
    fed_schedule_delivered(schedule, 0, 0); /* too late */
    fed_schedule_node_ready(schedule, 0, 1, true);
    ck_assert_str_eq(all_said(schedule), "0/1+:0,1");
    ck_assert_uint_eq(fed_schedule_parts(schedule, 0), 2);
    ck_assert_str_eq(part_text(schedule, 0, 0), "none");
    fed_schedule_node_ready(schedule, 0, 2, true); /* back before its loss was noticed */
    ck_assert_str_eq(all_said(schedule), "0/2.:0,1,2");
    fed_schedule_free(schedule);
}
END_TEST

/* A process that was started again counts from zero: measured against what it delivered before, it would never have room
 * for more, and its open part would never close. */
START_TEST(what_a_node_has_done_counts_from_when_it_came_back) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 3);
    fed_schedule_node_ready(schedule, 0, 1, true);
    begin(schedule, 9);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,1");
    fed_schedule_progress(schedule, 0, 1);
    ck_assert_str_eq(all_said(schedule), "0/0.:0,1,2");
    fed_schedule_progress(schedule, 0, 3);
    fed_schedule_delivered(schedule, 0, 0);
    ck_assert_str_eq(all_said(schedule), "0/1+:3,4");
    fed_schedule_node_ready(schedule, 0, 1, true);
    ck_assert_str_eq(all_said(schedule), "0/2+:3,4");
    fed_schedule_progress(schedule, 0, 1);
    ck_assert_str_eq(all_said(schedule), "0/2.:3,4,5");
    fed_schedule_progress(schedule, 0, UINT32_MAX);
    ck_assert_str_eq(all_said(schedule), "0/3+:6,7");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_client_given_back_goes_to_another_node_and_never_back) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 2, true);
    begin(schedule, 3);
    ck_assert_str_eq(all_said(schedule), "0/0.:0,1,2");
    ck_assert(!fed_schedule_give_back(schedule, 0, 1)); /* nobody else is there */
    ck_assert_str_eq(all_said(schedule), "0/0.:0,2");
    fed_schedule_node_ready(schedule, 1, 1, false);
    ck_assert_str_eq(all_said(schedule), ""); /* lost to the attempt is lost */
    ck_assert(fed_schedule_give_back(schedule, 0, 2));
    ck_assert_str_eq(all_said(schedule), "0/0.:0 1/0.:2");
    ck_assert(fed_schedule_give_back(schedule, 0, 2)); /* not its own any more */
    ck_assert(fed_schedule_give_back(schedule, 0, 77));
    ck_assert(!fed_schedule_give_back(schedule, 1, 2)); /* both have refused it */
    ck_assert_str_eq(all_said(schedule), "");
    ck_assert_str_eq(part_text(schedule, 1, 0), "none");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_refusal_holds_across_a_reconnection_but_not_across_attempts) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, false);
    begin(schedule, 1);
    ck_assert_str_eq(all_said(schedule), "0/0.:0");
    fed_schedule_node_ready(schedule, 1, 1, false);
    ck_assert(fed_schedule_give_back(schedule, 0, 0));
    fed_schedule_node_lost(schedule, 1);
    fed_schedule_node_ready(schedule, 0, 1, false);
    ck_assert_str_eq(all_said(schedule), "");
    begin(schedule, 1);
    ck_assert_str_eq(all_said(schedule), "0/0.:0");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_client_given_back_from_an_open_part_makes_the_rest_final) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, true);
    begin(schedule, 4);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,1");
    fed_schedule_node_ready(schedule, 1, 1, false);
    ck_assert(fed_schedule_give_back(schedule, 0, 0));
    ck_assert_str_eq(all_said(schedule), "0/0.:1 1/0.:0 0/1.:2 1/1.:3");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(without_an_attempt_nothing_is_handed_out) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 8);
    ck_assert_int_eq(fed_schedule_grow(schedule, 2), 0);
    ck_assert_int_eq(fed_schedule_grow(schedule, 1), 0); /* a roster that lost entries takes no room away */
    fed_schedule_node_ready(schedule, 1, 1, false);
    ck_assert_str_eq(all_said(schedule), "");
    begin(schedule, 4);
    fed_schedule_end(schedule);
    ck_assert_str_eq(all_said(schedule), "");
    ck_assert_uint_eq(fed_schedule_parts(schedule, 1), 0);
    fed_schedule_progress(schedule, 1, 1);
    fed_schedule_delivered(schedule, 1, 0);
    ck_assert(fed_schedule_give_back(schedule, 1, 0));
    begin(schedule, 2); /* ready is still ready */
    ck_assert_str_eq(all_said(schedule), "1/0.:0 1/1.:1");
    fed_schedule_free(schedule);
}
END_TEST

/* --- Random attempts against a plain model ------------------------------------------------------------------------ */

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

int main(void) {
    Suite *suite = suite_create("schedule");
    TCase *rules = tcase_create("rules");
    tcase_add_test(rules, a_node_is_given_two_clients_a_worker_and_more_as_it_trains);
    tcase_add_test(rules, the_longest_shards_go_first_and_to_the_least_loaded_node);
    tcase_add_test(rules, a_partial_sum_grows_in_one_open_part_until_the_last_pick_is_out);
    tcase_add_test(rules, a_full_part_is_closed_and_the_next_one_opened);
    tcase_add_test(rules, a_part_closes_when_nothing_is_left_that_its_node_hosts);
    tcase_add_test(rules, every_range_of_a_node_counts_and_nothing_outside);
    tcase_add_test(rules, what_a_lost_node_had_not_delivered_goes_to_a_survivor);
    tcase_add_test(rules, a_node_that_comes_back_is_told_anew_under_new_numbers);
    tcase_add_test(rules, what_a_node_has_done_counts_from_when_it_came_back);
    tcase_add_test(rules, a_client_given_back_goes_to_another_node_and_never_back);
    tcase_add_test(rules, a_refusal_holds_across_a_reconnection_but_not_across_attempts);
    tcase_add_test(rules, a_client_given_back_from_an_open_part_makes_the_rest_final);
    tcase_add_test(rules, without_an_attempt_nothing_is_handed_out);
    suite_add_tcase(suite, rules);
    TCase *many = tcase_create("many");
    tcase_set_timeout(many, 100);
    tcase_add_test(many, random_attempts_keep_every_promise);
    tcase_add_test(many, a_large_deployment_is_handed_out_without_trying_every_pair);
    tcase_add_loop_test(many, nodes_end_within_one_shard_of_each_other, 0, sizeof shapes / sizeof *shapes);
    suite_add_tcase(suite, many);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
