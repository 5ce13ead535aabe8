/* Who may come in, and whom a node takes for its coordinator: CURVE without ZAP admits every key, and a socket that was
 * refused stops for ever. */
#include <check.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link_traps/fixture.h"
#include "tests/unit/link_world.h"

START_TEST(a_random_key_is_refused) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    struct fed_identity stranger;
    OK(fed_identity_generate(&stranger, err));
    struct fed_lane *there = connect_as(&world, fed_lane_endpoint(here), &stranger, world.coordinator.public_keys.curve);
    expect_event(&world, there, FED_LINK_REFUSED);
    expect_service(&world, here);
    hang_up(&world, there);
    fed_identity_fini(&stranger);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(without_a_gate_even_a_known_key_stays_outside) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = NULL; /* on the node's link, which has no ZAP handler */
    OK(fed_lane_bind_control(&here, world.client, world.ipc, &world.coordinator, FRAME_MAX, err));
    struct fed_lane *there = connect_control(&world, world.ipc);
    enum fed_link_event event;
    while ((event = next_event(&world, there)) == FED_LINK_DOWN) {
    }
    ck_assert_int_eq(event, FED_LINK_WRONG_PEER);
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(bound_lanes_enforce_their_zap_domain) {
    struct world world;
    world_open(&world);
    struct fed_lane *lanes[] = {bind_control(&world, LOOPBACK), bind_bulk(&world, LOOPBACK)};
    const char *domains[] = {"control", "bulk"};
    const int mechanisms[] = {ZMQ_CURVE, ZMQ_PLAIN};
    for (int i = 0; i < 2; i++) {
        char domain[32] = "";
        size_t n = sizeof domain;
        expect_option(lanes[i], 93, 1); /* ZMQ_ZAP_ENFORCE_DOMAIN */
        expect_option(lanes[i], ZMQ_MECHANISM, mechanisms[i]);
        ck_assert_int_eq(zmq_getsockopt(lanes[i]->socket, ZMQ_ZAP_DOMAIN, domain, &n), 0);
        ck_assert_str_eq(domain, domains[i]);
        fed_lane_close(lanes[i]);
    }
    world_close(&world);
}
END_TEST

START_TEST(after_a_refusal_a_new_lane_with_the_right_key_connects) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, LOOPBACK);
    struct fed_identity late;
    OK(fed_identity_generate(&late, err));
    struct fed_lane *refused = connect_as(&world, fed_lane_endpoint(here), &late, world.coordinator.public_keys.curve);
    expect_event(&world, refused, FED_LINK_REFUSED);
    world.everybody = true; /* the roster was read again */
    struct fed_lane *anew = connect_as(&world, fed_lane_endpoint(here), &late, world.coordinator.public_keys.curve);
    expect_event(&world, anew, FED_LINK_UP);
    ck_assert_int_eq(fed_lane_event(refused), FED_LINK_QUIET);
    ck_assert_int_eq(fed_lane_send(refused, NULL, "x", 1, NULL, 0, 0), FED_EAGAIN);
    hang_up(&world, refused);
    hang_up(&world, anew);
    fed_identity_fini(&late);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

static void expect_wrong_peer(struct world *world, struct fed_lane *there) {
    enum fed_link_event event;
    while ((event = next_event(world, there)) == FED_LINK_DOWN) {
    }
    ck_assert_int_eq(event, FED_LINK_WRONG_PEER);
}

START_TEST(a_coordinator_with_another_key_is_a_wrong_peer) {
    struct world world;
    world_open(&world);
    const char *endpoints[] = {LOOPBACK, world.ipc};
    for (int i = 0; i < 2; i++) {
        struct fed_lane *here = bind_control(&world, endpoints[i]);
        struct fed_lane *there = connect_as(&world, fed_lane_endpoint(here), &world.node, world.node.public_keys.curve);
        expect_wrong_peer(&world, there);
        hang_up(&world, there);
        fed_lane_close(here);
    }
    world_close(&world);
}
END_TEST

START_TEST(a_peer_without_curve_is_a_wrong_peer) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, LOOPBACK);
    struct fed_lane *there = connect_control(&world, fed_lane_endpoint(here));
    expect_wrong_peer(&world, there);
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(a_peer_that_is_not_there_is_down_and_then_up) {
    struct world world;
    world_open(&world);
    char endpoint[64];
    close(bare_listen(endpoint)); /* a port that was free a moment ago */
    const char *endpoints[] = {endpoint, world.ipc};
    for (int i = 0; i < 2; i++) {
        struct fed_lane *there = connect_control(&world, endpoints[i]);
        expect_event(&world, there, FED_LINK_DOWN);
        struct fed_lane *here = bind_control(&world, endpoints[i]);
        expect_event(&world, there, FED_LINK_UP);
        hang_up(&world, there);
        fed_lane_close(here);
    }
    world_close(&world);
}
END_TEST

START_TEST(a_peer_that_accepts_and_says_nothing_is_down_not_wrong) {
    struct world world;
    world_open(&world);
    char endpoint[64];
    int listener = bare_listen(endpoint);
    world.client->handshake_ms = 50;
    struct fed_lane *there = connect_control(&world, endpoint);
    expect_event(&world, there, FED_LINK_DOWN);
    int accepted[4];
    for (int i = 0; i < 4; i++) { /* four connections: at least three handshakes have run out of time */
        uint64_t end = fed_clock_ms() + BOUND_MS;
        while (!readable_now(listener) && fed_clock_ms() < end) {
            turn(&world, NULL, listener);
        }
        accepted[i] = accept(listener, NULL, NULL);
        ck_assert_int_ge(accepted[i], 0);
        ck_assert_int_eq(fed_lane_event(there), FED_LINK_QUIET);
    }
    hang_up(&world, there);
    for (int i = 0; i < 4; i++) {
        close(accepted[i]);
    }
    close(listener);
    world_close(&world);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_down) {
    struct world world;
    world_open(&world);
    struct fed_lane *there = connect_control(&world, "tcp://no-such-host.invalid:5600");
    expect_event(&world, there, FED_LINK_DOWN);
    hang_up(&world, there);
    world_close(&world);
}
END_TEST

START_TEST(a_peer_with_another_mechanism_is_dropped) {
    struct world world;
    world_open(&world);
    struct fed_lane *control = bind_control(&world, LOOPBACK), *bulk = bind_bulk(&world, LOOPBACK);
    static const char *const wrong_for_control[] = {"NULL", "PLAIN", "GSSAPI", "curve", ""};
    static const char *const wrong_for_bulk[] = {"NULL", "CURVE", "GSSAPI", "plain", ""};
    for (size_t i = 0; i < 5; i++) {
        int fd = bare_connect(fed_lane_endpoint(control));
        greet(fd, wrong_for_control[i]);
        ck_assert_msg(is_dropped(&world, fd), "%s on control", wrong_for_control[i]);
        close(fd);
        fd = bare_connect(fed_lane_endpoint(bulk));
        greet(fd, wrong_for_bulk[i]);
        ck_assert_msg(is_dropped(&world, fd), "%s on bulk", wrong_for_bulk[i]);
        close(fd);
    }
    expect_service(&world, control);
    fed_lane_close(control);
    fed_lane_close(bulk);
    world_close(&world);
}
END_TEST

START_TEST(a_wrong_capability_is_refused) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, LOOPBACK);
    struct fed_lane *there = connect_bulk(&world, fed_lane_endpoint(here), "0123456789abcdef0123456789abcdeF");
    expect_event(&world, there, FED_LINK_REFUSED);
    struct fed_incoming incoming;
    ck_assert_int_eq(fed_lane_recv(&incoming, here), FED_EAGAIN); /* not even its probe */
    hang_up(&world, there);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

TCase *keys_cases(void) {
    TCase *cases = tcase_create("keys");
    tcase_add_test(cases, a_random_key_is_refused);
    tcase_add_test(cases, without_a_gate_even_a_known_key_stays_outside);
    tcase_add_test(cases, bound_lanes_enforce_their_zap_domain);
    tcase_add_test(cases, after_a_refusal_a_new_lane_with_the_right_key_connects);
    tcase_add_test(cases, a_coordinator_with_another_key_is_a_wrong_peer);
    tcase_add_test(cases, a_peer_without_curve_is_a_wrong_peer);
    tcase_add_test(cases, a_peer_that_is_not_there_is_down_and_then_up);
    tcase_add_test(cases, a_peer_that_accepts_and_says_nothing_is_down_not_wrong);
    tcase_add_test(cases, a_name_that_does_not_resolve_is_down);
    tcase_add_test(cases, a_peer_with_another_mechanism_is_dropped);
    tcase_add_test(cases, a_wrong_capability_is_refused);
    return cases;
}
