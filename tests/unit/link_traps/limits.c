/* How long silent peers are waited for, and the limits of the process. They need the pace of the machine and all its
 * descriptors. */
#include <check.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link_traps/fixture.h"
#include "tests/unit/link_world.h"

START_TEST(a_silent_peer_is_dropped_at_the_end_of_the_handshake_interval) {
    struct world world;
    world_open(&world);
    struct fed_lane *usual = bind_control(&world, LOOPBACK);
    expect_option(usual, ZMQ_HANDSHAKE_IVL, 10000);
    world.server->handshake_ms = 100;
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    int silent = bare_connect(fed_lane_endpoint(here)), half = bare_connect(fed_lane_endpoint(here));
    greet(half, "CURVE");
    ck_assert(is_dropped(&world, silent));
    ck_assert(is_dropped(&world, half));
    expect_service(&world, here);
    close(silent);
    close(half);
    fed_lane_close(usual);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(every_lane_has_its_timers_limits_and_keep_alive) {
    struct world world;
    world_open(&world);
    struct fed_lane *control = bind_control(&world, LOOPBACK), *bulk = bind_bulk(&world, LOOPBACK);
    struct fed_lane *lanes[] = {control, bulk, connect_control(&world, fed_lane_endpoint(control)),
                                connect_bulk(&world, fed_lane_endpoint(bulk), CAPABILITY),
                                connect_control(&world, world.ipc)};
    static const int options[][2] = {{ZMQ_LINGER, 0}, {ZMQ_IPV6, 1}, {ZMQ_TCP_KEEPALIVE, 1}, {ZMQ_TCP_MAXRT, 30000}};
    for (size_t i = 0; i < 5; i++) {
        for (size_t o = 0; o < sizeof options / sizeof options[0]; o++) {
            expect_option(lanes[i], options[o][0], options[o][1]);
        }
        bool is_bulk = i == 1 || i == 3; /* on a slow line a chunk may take longer than a heartbeat is waited for */
        expect_option(lanes[i], ZMQ_TCP_KEEPALIVE_IDLE, is_bulk ? 15 : 60);
        bool beats = !is_bulk && i >= 2; /* the node's, and they tell the coordinator how long to wait */
        expect_option(lanes[i], ZMQ_HEARTBEAT_IVL, beats ? 45000 : 0);
        expect_option(lanes[i], ZMQ_HEARTBEAT_TIMEOUT, beats ? 30000 : -1);
        expect_option(lanes[i], ZMQ_HEARTBEAT_TTL, beats ? 120000 : 0);
        expect_option(lanes[i], ZMQ_SNDHWM, is_bulk ? 16 : 64);
        expect_option(lanes[i], ZMQ_RCVHWM, is_bulk ? 16 : 64);
        expect_option(lanes[i], ZMQ_HANDSHAKE_IVL, i < 2 ? 10000 : 8000); /* who connects is the first to lose patience */
        int64_t largest = 0;
        size_t n = sizeof largest;
        ck_assert_int_eq(zmq_getsockopt(lanes[i]->socket, ZMQ_MAXMSGSIZE, &largest, &n), 0);
        ck_assert_int_eq(largest, (int64_t)FRAME_MAX + 256);
        if (i < 2) {
            struct rlimit files; /* two queues and the looks between have to fit above nine tenths of it */
            ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
            expect_option(lanes[i], ZMQ_BACKLOG, files.rlim_cur < 51200 ? (int)(files.rlim_cur / 50) : 1024);
            continue;
        }
        expect_option(lanes[i], ZMQ_IMMEDIATE, 1);
        expect_option(lanes[i], ZMQ_CONNECT_TIMEOUT, 10000);
        int base = 0, most = 0;
        n = sizeof base;
        zmq_getsockopt(lanes[i]->socket, ZMQ_RECONNECT_IVL, &base, &n);
        zmq_getsockopt(lanes[i]->socket, ZMQ_RECONNECT_IVL_MAX, &most, &n);
        ck_assert(i == 4 ? base == 20 && most == 200 : base >= 250 && base <= 750 && most >= 2000 && most <= 4000);
    }
    for (size_t i = 2; i < 5; i++) {
        hang_up(&world, lanes[i]);
    }
    fed_lane_close(control);
    fed_lane_close(bulk);
    world_close(&world);
}
END_TEST

START_TEST(more_peers_than_open_files_is_refused_at_the_start) {
    OK(fed_seal_setup(err));
    struct rlimit limit = {.rlim_cur = 200, .rlim_max = 300};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct fed_link *link = NULL;
    struct fed_error sentence = {""};
    ck_assert_int_eq(fed_link_new(&link, 1, 200, NULL, &sentence), FED_EFAILED);
    ck_assert_ptr_null(link);
    ck_assert_ptr_nonnull(strstr(sentence.text, "200 peers need 328 open files and the system allows 300"));
    OK(fed_link_new(&link, 1, 160, NULL, err));
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 300);
    fed_link_free(link);
}
END_TEST

START_TEST(a_context_holds_more_sockets_than_the_default) {
    struct fed_link *link = NULL;
    OK(fed_seal_setup(err));
    OK(fed_link_new(&link, 1, 1000, NULL, err));
    ck_assert_int_eq(zmq_ctx_get(link->context, ZMQ_MAX_SOCKETS), 3064);
    fed_link_free(link);
}
END_TEST

TCase *limits_cases(void) {
    TCase *cases = tcase_create("limits");
    tcase_set_tags(cases, "native");
    tcase_add_test(cases, a_silent_peer_is_dropped_at_the_end_of_the_handshake_interval);
    tcase_add_test(cases, every_lane_has_its_timers_limits_and_keep_alive);
    tcase_add_test(cases, more_peers_than_open_files_is_refused_at_the_start);
    tcase_add_test(cases, a_context_holds_more_sockets_than_the_default);
    return cases;
}
