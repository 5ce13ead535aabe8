/* The user id is missing on some frames, and frames that are too large. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link_traps/fixture.h"
#include "tests/unit/link_world.h"

START_TEST(a_message_without_a_user_is_dropped) {
    struct world world;
    world_open(&world);
    struct fed_lane *bare = calloc(1, sizeof *bare); /* a lane whose door somebody forgot */
    ck_assert_ptr_nonnull(bare);
    *bare = (struct fed_lane){.link = world.server, .bound = true, .max_frame = FRAME_MAX};
    bare->socket = zmq_socket(world.server->context, ZMQ_ROUTER);
    atomic_fetch_add(&world.server->lanes, 1u);
    ck_assert_int_eq(zmq_bind(bare->socket, world.ipc), 0);
    int zero = 0;
    void *peer = zmq_socket(world.client->context, ZMQ_DEALER);
    zmq_setsockopt(peer, ZMQ_LINGER, &zero, sizeof zero);
    ck_assert_int_eq(zmq_connect(peer, world.ipc), 0);
    ck_assert_int_eq(zmq_send(peer, "who am i", 8, 0), 8);
    struct fed_incoming incoming;
    ck_assert_int_eq(next_message(&incoming, &world, bare), FED_EWIRE);
    ck_assert_int_eq(fed_lane_recv(&incoming, bare), FED_EAGAIN);
    zmq_close(peer);
    fed_lane_close(bare);
    world_close(&world);
}
END_TEST

START_TEST(the_user_is_known_for_messages_of_one_and_of_two_frames) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    struct fed_lane *there = connect_control(&world, fed_lane_endpoint(here));
    expect_event(&world, there, FED_LINK_UP);
    uint8_t body[2000] = {1};
    struct fed_shared *shared = NULL;
    OK(fed_shared_new(&shared, body, sizeof body, NULL, NULL));
    for (size_t n = 0; n <= sizeof body; n += 1000) {
        struct fed_incoming incoming;
        OK(fed_lane_send(there, NULL, "x", 1, shared, 0, n));
        OK(next_message(&incoming, &world, here));
        ck_assert_uint_eq(incoming.body.n, n);
        ck_assert_str_eq(incoming.user, "ward-7");
        drop(&incoming);
    }
    fed_shared_release(shared);
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

/* An authenticated peer that speaks bare ZeroMQ. */
static void *bare_node(struct world *world, const char *endpoint, const char *routing_id) {
    int zero = 0;
    void *peer = zmq_socket(world->client->context, ZMQ_DEALER);
    ck_assert_ptr_nonnull(peer);
    zmq_setsockopt(peer, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(peer, ZMQ_PLAIN_USERNAME, HANDLE, strlen(HANDLE));
    zmq_setsockopt(peer, ZMQ_PLAIN_PASSWORD, CAPABILITY, strlen(CAPABILITY));
    if (routing_id != NULL) {
        ck_assert_int_eq(zmq_setsockopt(peer, ZMQ_ROUTING_ID, routing_id, strlen(routing_id)), 0);
    }
    ck_assert_int_eq(zmq_connect(peer, endpoint), 0);
    return peer;
}

START_TEST(three_frames_a_long_route_and_a_frame_a_byte_too_large_are_dropped) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, LOOPBACK);
    static char bytes[FRAME_MAX + 1];
    struct fed_incoming incoming;
    void *peer = bare_node(&world, fed_lane_endpoint(here), NULL);
    for (int i = 0; i < 5; i++) {
        zmq_send(peer, "part", 4, i < 4 ? ZMQ_SNDMORE : 0);
    }
    ck_assert_int_eq(next_message(&incoming, &world, here), FED_EWIRE);
    ck_assert_int_eq(zmq_send(peer, bytes, FRAME_MAX + 1, 0), (int)FRAME_MAX + 1);
    ck_assert_int_eq(next_message(&incoming, &world, here), FED_EWIRE);
    ck_assert_int_eq(zmq_send(peer, bytes, FRAME_MAX, 0), (int)FRAME_MAX);
    OK(next_message(&incoming, &world, here));
    ck_assert_uint_eq(incoming.head.n, FRAME_MAX);
    drop(&incoming);
    void *long_id = bare_node(&world, fed_lane_endpoint(here), "a routing id of more than thirty-one bytes");
    ck_assert_int_eq(zmq_send(long_id, "x", 1, 0), 1);
    ck_assert_int_eq(next_message(&incoming, &world, here), FED_EWIRE);
    ck_assert_int_eq(fed_lane_recv(&incoming, here), FED_EAGAIN);
    zmq_close(long_id);
    zmq_close(peer);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

static uint64_t address_space(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%llu", &pages), 1);
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

START_TEST(a_frame_of_4_gib_announced_by_a_stranger_allocates_nothing) {
    struct world world;
    world_open(&world);
    struct fed_lane *control = bind_control(&world, LOOPBACK), *bulk = bind_bulk(&world, LOOPBACK);
    expect_service(&world, control); /* what a first connection takes has been taken */
    uint64_t before = address_space();
    static const uint8_t flags[] = {0x02, 0x06}; /* a long message, a long command */
    for (int i = 0; i < 4; i++) {
        int fd = bare_connect(fed_lane_endpoint(i < 2 ? control : bulk));
        greet(fd, i < 2 ? "CURVE" : "PLAIN");
        const uint8_t header[9] = {flags[i % 2], 0, 0, 0, 1, 0, 0, 0, 0};
        ck_assert_int_eq(send(fd, header, sizeof header, MSG_NOSIGNAL), (int)sizeof header);
        ck_assert(is_dropped(&world, fd));
        close(fd);
    }
    ck_assert_uint_lt(address_space(), before + ((uint64_t)1 << 30));
    expect_service(&world, control);
    fed_lane_close(control);
    fed_lane_close(bulk);
    world_close(&world);
}
END_TEST

START_TEST(a_node_that_sends_a_frame_too_large_is_cut_and_the_lane_goes_on) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    struct fed_lane *there = connect_control(&world, fed_lane_endpoint(here));
    expect_event(&world, there, FED_LINK_UP);
    static char bytes[4 * FRAME_MAX];
    OK(fed_lane_send(there, NULL, bytes, sizeof bytes, NULL, 0, 0));
    expect_event(&world, there, FED_LINK_DOWN);
    expect_event(&world, there, FED_LINK_UP);
    say(there, NULL, "small");
    expect_text(&world, here, "small", NULL);
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(a_small_limit_leaves_room_for_the_handshake) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = NULL, *there = NULL;
    OK(fed_lane_bind_control(&here, world.server, world.ipc, &world.coordinator, 16, err));
    OK(fed_lane_connect_control(&there, world.client, world.ipc, &world.node, world.coordinator.public_keys.curve, 16, err));
    keep(&world, there);
    expect_event(&world, there, FED_LINK_UP);
    say(there, NULL, "seventeen letters");
    struct fed_incoming incoming;
    ck_assert_int_eq(next_message(&incoming, &world, here), FED_EWIRE);
    say(there, NULL, "sixteen letters.");
    expect_text(&world, here, "sixteen letters.", NULL);
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

TCase *frames_cases(void) {
    TCase *cases = tcase_create("frames");
    tcase_add_test(cases, a_message_without_a_user_is_dropped);
    tcase_add_test(cases, the_user_is_known_for_messages_of_one_and_of_two_frames);
    tcase_add_test(cases, three_frames_a_long_route_and_a_frame_a_byte_too_large_are_dropped);
    tcase_add_test(cases, a_frame_of_4_gib_announced_by_a_stranger_allocates_nothing);
    tcase_add_test(cases, a_node_that_sends_a_frame_too_large_is_cut_and_the_lane_goes_on);
    tcase_add_test(cases, a_small_limit_leaves_room_for_the_handshake);
    return cases;
}
