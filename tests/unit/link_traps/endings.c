/* A coordinator that comes back, and closing in the middle of everything. */
#include <check.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link_traps/fixture.h"
#include "tests/unit/link_world.h"

static void restart(struct world *world, const char *endpoint) {
    struct fed_lane *here = bind_control(world, endpoint);
    char bound[FED_ENDPOINT_MAX];
    strcpy(bound, fed_lane_endpoint(here));
    struct fed_lane *there = connect_control(world, bound);
    expect_event(world, there, FED_LINK_UP);
    for (int i = 0; i < 2; i++) {
        fed_lane_close(here);
        expect_event(world, there, FED_LINK_DOWN);
        uint64_t end = fed_clock_ms() + BOUND_MS;
        while (fed_lane_send(there, NULL, "into the void", 13, NULL, 0, 0) != FED_EAGAIN) {
            ck_assert_uint_lt(fed_clock_ms(), end); /* what the dying connection still took is lost with it */
        }
        here = bind_again(world, bound, true);
        expect_event(world, there, FED_LINK_UP);
        say(there, NULL, "hello again");
        expect_text(world, here, "hello again", NULL);
    }
    hang_up(world, there);
    fed_lane_close(here);
}

START_TEST(a_restart_of_the_coordinator_is_noticed_over_tcp) {
    struct world world;
    world_open(&world);
    restart(&world, LOOPBACK);
    world_close(&world);
}
END_TEST

START_TEST(a_restart_of_the_coordinator_is_noticed_over_ipc) {
    struct world world;
    world_open(&world);
    restart(&world, world.ipc);
    world_close(&world);
}
END_TEST

START_TEST(a_bulk_connection_shows_its_new_route_after_a_restart) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, world.ipc);
    struct fed_lane *there = connect_bulk(&world, world.ipc, CAPABILITY);
    for (int i = 0; i < 3; i++) {
        struct fed_incoming probe;
        OK(next_message(&probe, &world, here));
        ck_assert_uint_eq(probe.head.n, 0);
        say(here, &probe.from, "take");
        drop(&probe);
        expect_text(&world, there, "take", NULL);
        fed_lane_close(here);
        here = bind_again(&world, world.ipc, false);
    }
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

/* Everything is closed while messages wait on both sides, events have not been read, one handshake is half done, one was
 * refused and one peer does not exist. */
static void close_in_the_middle(void) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK), *bulk = bind_bulk(&world, LOOPBACK);
    struct fed_lane *there = connect_control(&world, fed_lane_endpoint(here));
    struct fed_lane *nowhere = connect_control(&world, world.ipc);
    struct fed_lane *refused = connect_bulk(&world, fed_lane_endpoint(bulk), "x");
    expect_event(&world, there, FED_LINK_UP);
    expect_event(&world, nowhere, FED_LINK_DOWN);
    int half = bare_connect(fed_lane_endpoint(here));
    greet(half, "CURVE");
    for (int i = 0; i < 32; i++) {
        say(there, NULL, "unread");
    }
    struct fed_lane *unasked = connect_control(&world, fed_lane_endpoint(here));
    fed_lane_close(unasked);
    fed_lane_close(there);
    fed_lane_close(here);
    fed_lane_close(nowhere);
    fed_lane_close(bulk);
    fed_lane_close(refused);
    fed_lane_close(NULL);
    close(half);
    world_close(&world);
    fed_link_free(NULL);
}

START_TEST(closing_in_the_middle_of_everything_never_hangs) {
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            alarm(20);
            close_in_the_middle();
            _exit(0);
        }
        int status = -1;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    }
}
END_TEST

START_TEST(a_stopped_monitor_leaves_the_io_thread_alone) {
    struct world world;
    world_open(&world);
    char endpoint[64];
    close(bare_listen(endpoint)); /* nobody listens: every attempt fails at once, and was an event */
    int at_once = 1, none = 0;
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    struct fed_lane *lane = connect_control(&world, world.ipc);
    zmq_setsockopt(lane->socket, ZMQ_RECONNECT_IVL, &at_once, sizeof at_once);
    zmq_setsockopt(lane->socket, ZMQ_RECONNECT_IVL_MAX, &none, sizeof none);
    for (int k = 0; k < 20; k++) {
        ck_assert_int_eq(zmq_connect(lane->socket, endpoint), 0);
    }
    expect_event(&world, lane, FED_LINK_DOWN);
    fed_monitor_stop(lane->pair, lane->socket);
    lane->pair = NULL;
    expect_service(&world, here); /* on the same I/O thread as the attempts that go on */
    hang_up(&world, lane);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

/* A PAIR holds 2000 events by default (1000 on each end), and each connection below makes three. */
START_TEST(events_that_nobody_reads_do_not_stop_the_io_thread) {
    struct world world;
    world_open(&world);
    char endpoint[64];
    int listener = bare_listen(endpoint), at_once = 1, none = 0;
    struct fed_lane *deaf = connect_control(&world, world.ipc);
    zmq_setsockopt(deaf->socket, ZMQ_RECONNECT_IVL, &at_once, sizeof at_once);
    zmq_setsockopt(deaf->socket, ZMQ_RECONNECT_IVL_MAX, &none, sizeof none);
    ck_assert_int_eq(zmq_connect(deaf->socket, endpoint), 0);
    for (int i = 0; i < 900; i++) {
        struct pollfd item = {.fd = listener, .events = POLLIN};
        ck_assert_msg(poll(&item, 1, BOUND_MS) == 1, "stopped after %d connections", i);
        int fd = accept(listener, NULL, NULL);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    close(listener);
    hang_up(&world, deaf);
    world_close(&world);
}
END_TEST

TCase *endings_cases(void) {
    TCase *cases = tcase_create("endings");
    tcase_add_test(cases, a_restart_of_the_coordinator_is_noticed_over_tcp);
    tcase_add_test(cases, a_restart_of_the_coordinator_is_noticed_over_ipc);
    tcase_add_test(cases, a_bulk_connection_shows_its_new_route_after_a_restart);
    tcase_add_test(cases, closing_in_the_middle_of_everything_never_hangs);
    tcase_add_test(cases, a_stopped_monitor_leaves_the_io_thread_alone);
    tcase_add_test(cases, events_that_nobody_reads_do_not_stop_the_io_thread);
    return cases;
}
