/* Messages travel whole, and what they are made of is given back once. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link/cases.h"
#include "tests/unit/link_world.h"

static void talk(struct world *world, const char *endpoint) {
    struct fed_lane *here = bind_control(world, endpoint);
    struct fed_lane *there = connect_control(world, fed_lane_endpoint(here));
    expect_event(world, there, FED_LINK_UP);
    say(there, NULL, "hello");
    struct fed_incoming incoming;
    OK(next_message(&incoming, world, here));
    ck_assert_str_eq(incoming.user, "ward-7");
    ck_assert_uint_gt(incoming.from.n, 0);
    ck_assert_uint_eq(incoming.head.n, 5);
    ck_assert_mem_eq(incoming.head.bytes, "hello", 5);
    ck_assert_uint_eq(incoming.body.n, 0);
    struct fed_route route = incoming.from;
    drop(&incoming);
    say(here, &route, "welcome");
    OK(next_message(&incoming, world, there));
    ck_assert_str_eq(incoming.user, "");
    ck_assert_uint_eq(incoming.from.n, 0);
    ck_assert_uint_eq(incoming.head.n, 7);
    drop(&incoming);
    ck_assert_int_eq(fed_lane_recv(&incoming, here), FED_EAGAIN);
    hang_up(world, there);
    fed_lane_close(here);
}

START_TEST(control_messages_travel_both_ways_over_tcp) {
    struct world world;
    world_open(&world);
    talk(&world, LOOPBACK);
    world_close(&world);
}
END_TEST

START_TEST(control_messages_travel_both_ways_over_ipc) {
    struct world world;
    world_open(&world);
    talk(&world, world.ipc);
    world_close(&world);
}
END_TEST

START_TEST(a_bulk_connection_shows_its_route_by_an_empty_message) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, LOOPBACK);
    struct fed_lane *there = connect_bulk(&world, fed_lane_endpoint(here), CAPABILITY);
    struct fed_incoming incoming;
    OK(next_message(&incoming, &world, here));
    ck_assert_str_eq(incoming.user, "ward-7/1");
    ck_assert_uint_eq(incoming.head.n, 0);
    ck_assert_uint_eq(incoming.body.n, 0);
    say(here, &incoming.from, "take");
    drop(&incoming);
    expect_text(&world, there, "take", NULL);
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

static void count_done(void *bytes, void *context) {
    (void)bytes;
    atomic_fetch_add((atomic_int *)context, 1);
}

START_TEST(a_body_arrives_behind_its_head_and_is_given_back_once) {
    struct world world;
    world_open(&world);
    static uint8_t bytes[40000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31 + 7);
    }
    atomic_int done = 0;
    struct fed_shared *shared = NULL;
    OK(fed_shared_new(&shared, bytes, sizeof bytes, count_done, &done));
    struct fed_lane *here = bind_bulk(&world, world.ipc);
    struct fed_lane *there = connect_bulk(&world, world.ipc, CAPABILITY);
    expect_event(&world, there, FED_LINK_UP);
    struct fed_incoming incoming;
    OK(next_message(&incoming, &world, here));
    drop(&incoming);
    for (size_t i = 0; i < 10; i++) {
        OK(fed_lane_send(there, NULL, "chunk", 5, shared, i * 1000, 30000));
        OK(next_message(&incoming, &world, here));
        ck_assert_uint_eq(incoming.head.n, 5);
        ck_assert_uint_eq(incoming.body.n, 30000);
        ck_assert_mem_eq(incoming.body.bytes, bytes + i * 1000, 30000);
        ck_assert_str_eq(incoming.user, "ward-7/1");
        drop(&incoming);
    }
    ck_assert_int_eq(atomic_load(&done), 0);
    fed_shared_release(shared);
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
    ck_assert_int_eq(atomic_load(&done), 1);
}
END_TEST

START_TEST(a_message_that_is_refused_gives_its_body_back) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, world.ipc);
    atomic_int done = 0;
    uint8_t byte = 1;
    struct fed_shared *shared = NULL;
    OK(fed_shared_new(&shared, &byte, 1, count_done, &done));
    struct fed_route nobody = {.n = 5, .bytes = {0, 1, 2, 3, 4}};
    ck_assert_int_eq(fed_lane_send(here, &nobody, "chunk", 5, shared, 0, 1), FED_EGONE);
    fed_shared_release(shared);
    ck_assert_int_eq(atomic_load(&done), 1);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(frames_move_whole_and_are_released_once) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, world.ipc);
    struct fed_lane *there = connect_control(&world, world.ipc);
    expect_event(&world, there, FED_LINK_UP);
    static char text[2][3001];
    memset(text[0], 'a', 20);
    memset(text[1], 'b', 3000);
    for (int i = 0; i < 2; i++) { /* one that lives inside its struct, one that does not */
        say(there, NULL, text[i]);
        struct fed_incoming incoming;
        OK(next_message(&incoming, &world, here));
        struct fed_frame kept;
        fed_frame_move(&kept, &incoming.head);
        ck_assert_ptr_null(incoming.head.bytes);
        memset(incoming.head.opaque, 0xff, sizeof incoming.head.opaque);
        drop(&incoming);
        ck_assert_uint_eq(kept.n, strlen(text[i]));
        ck_assert_mem_eq(kept.bytes, text[i], kept.n);
        fed_frame_release(&kept);
        fed_frame_release(&kept);
        ck_assert_uint_eq(kept.n, 0);
    }
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(routes_are_equal_when_length_and_bytes_are) {
    struct fed_route a = {.n = 3, .bytes = {1, 2, 3, 9}}, b = {.n = 3, .bytes = {1, 2, 3, 8}},
                     c = {.n = 4, .bytes = {1, 2, 3, 9}}, d = {.n = 3, .bytes = {1, 2, 4}};
    ck_assert(fed_route_equal(&a, &b));
    ck_assert(!fed_route_equal(&a, &c));
    ck_assert(!fed_route_equal(&a, &d));
}
END_TEST

#define CHUNKS 200
#define CHUNK 32768

struct node_thread {
    struct fed_lane *lane;
    struct fed_link *link;
    size_t chunks, wrong;
};

static void *node_main(void *argument) {
    struct node_thread *node = argument;
    uint64_t end = fed_clock_ms() + BOUND_MS;
    while (node->chunks < CHUNKS && fed_clock_ms() < end) {
        struct fed_poll_item item = {.lane = node->lane};
        struct fed_incoming incoming;
        if (fed_link_poll(node->link, &item, 1, 1000) != 0) {
            break;
        }
        while (fed_lane_recv(&incoming, node->lane) == 0) {
            size_t i = node->chunks++;
            bool right = incoming.body.n == CHUNK && incoming.body.bytes[0] == (uint8_t)i &&
                         incoming.body.bytes[CHUNK - 1] == (uint8_t)i;
            node->wrong += !right;
            drop(&incoming);
        }
    }
    return NULL;
}

static void free_bytes(void *bytes, void *context) {
    count_done(bytes, context);
    free(bytes);
}

START_TEST(one_buffer_is_broadcast_to_nodes_on_other_threads_and_freed_after_the_last) {
    struct world world;
    world_open(&world);
    enum { NODES = 3 };
    struct fed_lane *here = bind_bulk(&world, world.ipc);
    struct node_thread nodes[NODES] = {{0}};
    struct fed_route routes[NODES];
    pthread_t threads[NODES];
    for (int i = 0; i < NODES; i++) {
        struct fed_incoming incoming;
        nodes[i].lane = connect_bulk(&world, world.ipc, CAPABILITY);
        nodes[i].link = world.client;
        OK(next_message(&incoming, &world, here));
        routes[i] = incoming.from;
        drop(&incoming);
    }
    uint8_t *bytes = malloc((size_t)CHUNKS * CHUNK);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < CHUNKS; i++) {
        memset(bytes + i * CHUNK, (int)(i & 255), CHUNK);
    }
    atomic_int done = 0;
    struct fed_shared *shared = NULL;
    OK(fed_shared_new(&shared, bytes, (size_t)CHUNKS * CHUNK, free_bytes, &done));
    for (int i = 0; i < NODES; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, node_main, &nodes[i]), 0);
    }
    size_t next[NODES] = {0}, left = (size_t)NODES * CHUNKS;
    uint64_t end = fed_clock_ms() + BOUND_MS;
    while (left > 0 && fed_clock_ms() < end) {
        bool sent = false;
        for (int i = 0; i < NODES; i++) {
            int status =
                next[i] == CHUNKS ? FED_EAGAIN : fed_lane_send(here, &routes[i], "chunk", 5, shared, next[i] * CHUNK, CHUNK);
            ck_assert(status == 0 || status == FED_EAGAIN);
            if (status == 0) {
                next[i]++;
                left--;
                sent = true;
            }
        }
        if (!sent) {
            OK(fed_link_poll(world.server, NULL, 0, 1));
        }
    }
    fed_shared_release(shared);
    for (int i = 0; i < NODES; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(nodes[i].chunks, CHUNKS);
        ck_assert_uint_eq(nodes[i].wrong, 0);
        hang_up(&world, nodes[i].lane);
    }
    fed_lane_close(here);
    world_close(&world);
    ck_assert_int_eq(atomic_load(&done), 1);
}
END_TEST

TCase *messages_cases(void) {
    TCase *cases = tcase_create("messages");
    tcase_add_test(cases, control_messages_travel_both_ways_over_tcp);
    tcase_add_test(cases, control_messages_travel_both_ways_over_ipc);
    tcase_add_test(cases, a_bulk_connection_shows_its_route_by_an_empty_message);
    tcase_add_test(cases, a_body_arrives_behind_its_head_and_is_given_back_once);
    tcase_add_test(cases, a_message_that_is_refused_gives_its_body_back);
    tcase_add_test(cases, frames_move_whole_and_are_released_once);
    tcase_add_test(cases, routes_are_equal_when_length_and_bytes_are);
    tcase_add_test(cases, one_buffer_is_broadcast_to_nodes_on_other_threads_and_freed_after_the_last);
    return cases;
}
