/* Routes that are unknown, dead or slow, and drawn by the lane. */
#include <check.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/link/link.h"
#include "tests/unit/link_traps/fixture.h"
#include "tests/unit/link_world.h"

START_TEST(an_unknown_route_is_gone) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, world.ipc);
    struct fed_route nobody = {.n = 5, .bytes = {0, 1, 2, 3, 4}};
    ck_assert_int_eq(fed_lane_send(here, &nobody, "x", 1, NULL, 0, 0), FED_EGONE);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(the_route_of_a_node_that_left_is_gone) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, world.ipc);
    struct fed_lane *there = connect_control(&world, world.ipc);
    expect_event(&world, there, FED_LINK_UP);
    say(there, NULL, "x");
    struct fed_route route;
    expect_text(&world, here, "x", &route);
    hang_up(&world, there);
    uint64_t end = fed_clock_ms() + BOUND_MS;
    int status = 0;
    while (status != FED_EGONE && fed_clock_ms() < end) {
        status = fed_lane_send(here, &route, "x", 1, NULL, 0, 0);
        ck_assert(status == 0 || status == FED_EAGAIN || status == FED_EGONE);
        OK(fed_link_poll(world.server, NULL, 0, 1));
    }
    ck_assert_int_eq(status, FED_EGONE);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(a_slow_node_fills_up_without_losing_or_splitting_a_message) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, world.ipc);
    struct fed_lane *there = connect_bulk(&world, world.ipc, CAPABILITY);
    struct fed_incoming incoming;
    OK(next_message(&incoming, &world, here));
    struct fed_route route = incoming.from;
    drop(&incoming);
    static uint8_t body[60000];
    struct fed_shared *shared = NULL;
    OK(fed_shared_new(&shared, body, sizeof body, NULL, NULL));
    uint32_t sent = 0, got = 0;
    int status = 0, full = 0;
    while (full < 3) { /* fill, let the node read, fill again */
        while ((status = fed_lane_send(here, &route, &sent, sizeof sent, shared, 0, sizeof body)) == 0) {
            sent++;
            ck_assert_uint_lt(sent, 1000);
        }
        ck_assert_int_eq(status, FED_EAGAIN);
        full++;
        while (got < sent) {
            OK(next_message(&incoming, &world, there));
            ck_assert_uint_eq(incoming.head.n, sizeof got);
            ck_assert_mem_eq(incoming.head.bytes, &got, sizeof got);
            ck_assert_uint_eq(incoming.body.n, sizeof body);
            got++;
            drop(&incoming);
        }
    }
    ck_assert_uint_ge(sent, 3 * 16);
    fed_shared_release(shared);
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(two_connections_with_one_key_both_work_by_routes_of_their_own) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    struct fed_lane *first = connect_control(&world, fed_lane_endpoint(here));
    struct fed_lane *second = connect_control(&world, fed_lane_endpoint(here));
    expect_event(&world, first, FED_LINK_UP);
    expect_event(&world, second, FED_LINK_UP);
    struct fed_route a, b;
    say(first, NULL, "first");
    expect_text(&world, here, "first", &a);
    say(second, NULL, "second");
    expect_text(&world, here, "second", &b);
    ck_assert(!fed_route_equal(&a, &b));
    say(here, &a, "to the first");
    say(here, &b, "to the second");
    expect_text(&world, second, "to the second", NULL);
    expect_text(&world, first, "to the first", NULL);
    hang_up(&world, first);
    hang_up(&world, second);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

TCase *routes_cases(void) {
    TCase *cases = tcase_create("routes");
    tcase_add_test(cases, an_unknown_route_is_gone);
    tcase_add_test(cases, the_route_of_a_node_that_left_is_gone);
    tcase_add_test(cases, a_slow_node_fills_up_without_losing_or_splitting_a_message);
    tcase_add_test(cases, two_connections_with_one_key_both_work_by_routes_of_their_own);
    return cases;
}
