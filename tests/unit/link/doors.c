/* The self test of a lane, connections that are cut, and doors that are shut. */
#include <arpa/inet.h>
#include <check.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <zmq.h>

#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link/cases.h"
#include "tests/unit/link_world.h"

START_TEST(self_test_passes_where_strangers_are_refused) {
    struct world world;
    world_open(&world);
    const char *endpoints[] = {world.ipc, LOOPBACK, "tcp://*:*"};
    for (size_t i = 0; i < 3; i++) {
        struct fed_lane *here = bind_control(&world, endpoints[i]);
        OK(fed_link_self_test(world.server, here, &world.coordinator, err));
        fed_lane_close(here);
    }
    world_close(&world);
}
END_TEST

START_TEST(self_test_fails_where_a_stranger_gets_in) {
    struct world world;
    world_open(&world);
    world.everybody = true;
    struct fed_lane *here = bind_control(&world, world.ipc);
    struct fed_error err = {""};
    ck_assert_int_eq(fed_link_self_test(world.server, here, &world.coordinator, &err), FED_EFAILED);
    ck_assert_ptr_nonnull(strstr(err.text, "stranger's key was let in"));
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(self_test_fails_where_the_lane_has_another_key) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, world.ipc);
    struct fed_error err = {""};
    ck_assert_int_eq(fed_link_self_test(world.server, here, &world.node, &err), FED_EFAILED);
    ck_assert_ptr_nonnull(strstr(err.text, "its own key"));
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(a_connection_that_is_cut_ends_alone_and_comes_back) {
    struct world world;
    struct fed_incoming incoming;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    struct fed_lane *loud = connect_control(&world, fed_lane_endpoint(here));
    struct fed_lane *quiet = connect_control(&world, fed_lane_endpoint(here));
    expect_event(&world, loud, FED_LINK_UP);
    expect_event(&world, quiet, FED_LINK_UP);
    say(loud, NULL, "too much");
    OK(next_message(&incoming, &world, here));
    fed_lane_cut(&incoming);
    drop(&incoming);
    expect_event(&world, loud, FED_LINK_DOWN);
    expect_event(&world, loud, FED_LINK_UP);
    ck_assert_int_eq(fed_lane_event(quiet), FED_LINK_QUIET);
    hang_up(&world, quiet);
    hang_up(&world, loud);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

/* A door is shut while packets are on their way: whoever sent them may be behind it a moment later. */
static void filter_packets(int fd, uint32_t bytes_of_each) {
    struct sock_filter filter = BPF_STMT(BPF_RET | BPF_K, bytes_of_each);
    struct sock_fprog program = {.len = 1, .filter = &filter};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

static int slip_in(const struct fed_lane *lane) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_port = htons((uint16_t)atoi(strrchr(fed_lane_endpoint(lane), ':') + 1));
    ck_assert_int_ge(fd, 0);
    filter_packets(lane->door.fd, UINT32_MAX);
    int connected = connect(fd, (struct sockaddr *)&to, sizeof to);
    filter_packets(lane->door.fd, 0);
    ck_assert_int_eq(connected, 0);
    return fd;
}

START_TEST(nobody_waits_behind_a_door_that_is_shut_again) {
    struct world world;
    struct rlimit files, none;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    fed_lane_shut(here);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    int stranger = dup(here->door.fd); /* the last number that is in use */
    ck_assert_int_ge(stranger, 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)stranger + 1, .rlim_max = files.rlim_max};
    close(stranger);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    stranger = slip_in(here); /* with the last descriptor, so that libzmq cannot take it from the queue */
    struct pollfd queue = {.fd = here->door.fd, .events = POLLIN};
    ck_assert_int_eq(poll(&queue, 1, 0), 1);
    for (uint64_t end_ms = fed_clock_ms() + BOUND_MS; poll(&queue, 1, 0) != 0;) {
        ck_assert_uint_lt(fed_clock_ms(), end_ms);
        fed_lane_shut(here); /* libzmq grasps at the same descriptor */
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    close(stranger);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(a_shut_door_keeps_those_inside_and_lets_the_rest_in_when_it_opens) {
    struct world world;
    struct fed_incoming incoming;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK), *other = bind_bulk(&world, LOOPBACK);
    struct fed_lane *inside = connect_control(&world, fed_lane_endpoint(here));
    expect_event(&world, inside, FED_LINK_UP);
    fed_lane_shut(here);
    ck_assert(fed_lane_is_shut(here) && !fed_lane_is_shut(other));
    struct fed_lane *outside = connect_control(&world, fed_lane_endpoint(here));
    struct fed_lane *next_door = connect_bulk(&world, fed_lane_endpoint(other), CAPABILITY);
    OK(next_message(&incoming, &world, other)); /* by now the knock at the shut door has been lost, too */
    drop(&incoming);
    say(inside, NULL, "still here");
    OK(next_message(&incoming, &world, here));
    ck_assert_uint_eq(incoming.head.n, 10);
    drop(&incoming);
    ck_assert_int_eq(fed_lane_event(outside), FED_LINK_QUIET);
    fed_lane_reopen(here);
    ck_assert(!fed_lane_is_shut(here));
    expect_event(&world, outside, FED_LINK_UP);
    hang_up(&world, next_door);
    hang_up(&world, outside);
    hang_up(&world, inside);
    fed_lane_close(other);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(the_library_tells_its_version) {
    int major, minor, patch;
    char text[40];
    zmq_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    ck_assert_str_eq(fed_link_version(), text);
}
END_TEST

TCase *doors_cases(void) {
    TCase *cases = tcase_create("doors");
    tcase_add_test(cases, self_test_passes_where_strangers_are_refused);
    tcase_add_test(cases, self_test_fails_where_a_stranger_gets_in);
    tcase_add_test(cases, self_test_fails_where_the_lane_has_another_key);
    tcase_add_test(cases, the_library_tells_its_version);
    tcase_add_test(cases, a_shut_door_keeps_those_inside_and_lets_the_rest_in_when_it_opens);
    tcase_add_test(cases, a_connection_that_is_cut_ends_alone_and_comes_back);
    return cases;
}

/* Under valgrind the limit of descriptors is valgrind's, not the kernel's. */
TCase *full_doors_cases(void) {
    TCase *cases = tcase_create("doors when descriptors are out");
    tcase_set_tags(cases, "native");
    tcase_add_test(cases, nobody_waits_behind_a_door_that_is_shut_again);
    return cases;
}
