/* Every trap of ZeroMQ that was met on the way has a test here: each would fail if the guard against it were taken out.
 * Hostile peers are plain sockets or bare ZeroMQ, so that they do not obey our own code. */
#include "tests/unit/link_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <zmq.h>

/* -- bare peers ------------------------------------------------------------------------------------------------------- */

static struct sockaddr_in tcp_address(const char *endpoint) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10));
    return address;
}

static int bare_connect(const char *endpoint) {
    struct sockaddr_in address = tcp_address(endpoint);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* A listening socket that is not ZeroMQ; endpoint: where. */
static int bare_listen(char endpoint[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    snprintf(endpoint, 64, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

/* ZMTP 3.0: signature, version, mechanism, as-server, filler. */
static void greet(int fd, const char *mechanism) {
    uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0};
    memcpy(greeting + 12, mechanism, strlen(mechanism));
    ck_assert_int_eq(send(fd, greeting, sizeof greeting, MSG_NOSIGNAL), (int)sizeof greeting);
}

static bool readable_now(int fd) {
    struct pollfd item = {.fd = fd, .events = POLLIN};
    return poll(&item, 1, 0) == 1;
}

/* Whether the other end hangs up within the bound, whatever it says before. */
static bool is_dropped(struct world *world, int fd) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    char bytes[512];
    while (fed_clock_ms() < end) {
        turn(world, NULL, fd);
        if (readable_now(fd) && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0) {
            return true;
        }
    }
    return false;
}

/* That an honest node is served, whatever happened before. */
static void expect_service(struct world *world, struct fed_lane *here) {
    struct fed_lane *there = connect_control(world, fed_lane_endpoint(here));
    expect_event(world, there, FED_LINK_UP);
    say(there, NULL, "still here?");
    expect_text(world, here, "still here?", NULL);
    hang_up(world, there);
}

static int refuses(struct world *world, const char *endpoint, struct fed_error *err) {
    struct fed_lane *lane = NULL;
    int status = fed_lane_bind_control(&lane, world->server, endpoint, &world->coordinator, FRAME_MAX, err);
    ck_assert_ptr_null(lane);
    return status;
}

/* -- 1. CURVE without ZAP admits every key ------------------------------------------------------------------------------ */

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

static void expect_option(const struct fed_lane *lane, int option, int expected) {
    int value = -1;
    size_t n = sizeof value;
    ck_assert_int_eq(zmq_getsockopt(lane->socket, option, &value, &n), 0);
    ck_assert_msg(value == expected, "option %d is %d instead of %d", option, value, expected);
}

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

/* -- 2. User-Id ----------------------------------------------------------------------------------------------------------
 */

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

/* -- 3. after ZAP 400 the DEALER stops for ever ------------------------------------------------------------------------- */

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

/* -- 4. another coordinator than the pinned one ------------------------------------------------------------------------- */

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

/* -- 5. strangers at the handshake -------------------------------------------------------------------------------------- */

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

/* -- 6. addresses --------------------------------------------------------------------------------------------------------
 */

START_TEST(a_live_ipc_socket_is_not_stolen) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, world.ipc);
    struct fed_error err = {""};
    ck_assert_int_eq(refuses(&world, world.ipc, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, "another process listens there"));
    expect_service(&world, here);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(an_ipc_socket_that_a_dead_process_left_is_taken_over) {
    struct world world;
    world_open(&world);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, world.ipc + strlen("ipc://"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    close(fd);
    struct fed_lane *here = bind_control(&world, world.ipc);
    expect_service(&world, here);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(a_file_at_an_ipc_path_is_not_deleted) {
    struct world world;
    world_open(&world);
    int fd = open(world.ipc + strlen("ipc://"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct fed_error err = {""};
    ck_assert_int_eq(refuses(&world, world.ipc, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, "not a socket"));
    struct stat there;
    ck_assert_int_eq(lstat(world.ipc + strlen("ipc://"), &there), 0);
    world_close(&world);
}
END_TEST

START_TEST(a_tcp_port_in_use_is_named) {
    struct world world;
    world_open(&world);
    char endpoint[64];
    int listener = bare_listen(endpoint);
    struct fed_error err = {""};
    ck_assert_int_eq(refuses(&world, endpoint, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, endpoint));
    ck_assert_ptr_nonnull(strstr(err.text, "in use"));
    close(listener);
    world_close(&world);
}
END_TEST

START_TEST(an_address_that_cannot_be_bound_is_a_sentence) {
    struct world world;
    world_open(&world);
    char too_long[200] = "ipc:///";
    memset(too_long + 7, 'x', 107); /* with the slash: 108 bytes */
    char far_too_long[500] = "tcp://";
    memset(far_too_long + 6, 'h', 480);
    static const struct {
        const char *endpoint, *says;
    } fixed[] = {
        {"udp://127.0.0.1:5600", "allowed are tcp://HOST:PORT and ipc://PATH"},
        {"inproc://x", "allowed are"},
        {"127.0.0.1:5600", "allowed are"},
        {"", "allowed are"},
        {"tcp://127.0.0.1", "allowed are"},
        {"tcp://127.0.0.1:port", "allowed are"},
        {"tcp://192.0.2.1:5600", "not an address of this machine"},
        {"tcp://no-such-host.invalid:5600", "not an address of this machine"},
        {"ipc://", "needs a path"},
        {"ipc://*", "needs a path"},
        {"ipc:///no-such-directory/lane", "No such file or directory"},
    };
    struct fed_error err = {""};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        ck_assert_int_eq(refuses(&world, fixed[i].endpoint, &err), FED_EADDRESS);
        ck_assert_msg(strstr(err.text, fixed[i].says) != NULL, "%s: %s", fixed[i].endpoint, err.text);
    }
    ck_assert_int_eq(refuses(&world, too_long, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, "has 108 bytes and the system allows at most 107"));
    ck_assert_int_eq(refuses(&world, far_too_long, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than"));
    struct fed_lane *lane = NULL;
    ck_assert_int_eq(fed_lane_connect_bulk(&lane, world.client, too_long, HANDLE, CAPABILITY, FRAME_MAX, &err),
                     FED_EADDRESS);
    ck_assert_int_eq(fed_lane_connect_bulk(&lane, world.client, "tcp://host", HANDLE, CAPABILITY, FRAME_MAX, &err),
                     FED_EADDRESS);
    world_close(&world);
}
END_TEST

START_TEST(an_ipc_path_of_107_bytes_works) {
    struct world world;
    world_open(&world);
    char endpoint[200];
    int n = snprintf(endpoint, sizeof endpoint, "ipc://%s/", world.directory);
    memset(endpoint + n, 'x', (size_t)(6 + 107 - n));
    endpoint[6 + 107] = 0;
    struct fed_lane *here = bind_control(&world, endpoint);
    expect_service(&world, here);
    fed_lane_close(here);
    unlink(endpoint + 6);
    world_close(&world);
}
END_TEST

/* -- 7. frames that are too large --------------------------------------------------------------------------------------- */

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

/* -- 8. routes that are unknown, dead or slow -----------------------------------------------------------------------------
 */

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

/* -- 9. a coordinator that comes back -------------------------------------------------------------------------------------
 */

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

/* -- 10. closing ----------------------------------------------------------------------------------------------------------
 */

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
        ck_assert_msg(poll(&item, 1, 10000) == 1, "stopped after %d connections", i);
        int fd = accept(listener, NULL, NULL);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    close(listener);
    hang_up(&world, deaf);
    world_close(&world);
}
END_TEST

/* -- 11. peers that are silent, or were ------------------------------------------------------------------------------------
 */

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

/* -- 12. routes are drawn by the lane
 * --------------------------------------------------------------------------------------- */

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

/* -- limits of the process
 * ---------------------------------------------------------------------------------------------------- */

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

static void add(Suite *suite, const char *name, const char *tags, const TTest *const *tests, size_t n) {
    TCase *tcase = tcase_create(name);
    tcase_set_tags(tcase, tags);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
}
#define ADD(suite, name, ...) ADD_TAGGED(suite, name, "", __VA_ARGS__)
#define ADD_TAGGED(suite, name, tags, ...)                                                                                  \
    add((suite), (name), (tags), (const TTest *const[]){__VA_ARGS__},                                                       \
        sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(TTest *))

int main(void) {
    Suite *suite = suite_create("link traps");
    ADD(suite, "curve without zap admits every key", a_random_key_is_refused, without_a_gate_even_a_known_key_stays_outside,
        bound_lanes_enforce_their_zap_domain);
    ADD(suite, "user id is missing on some frames", a_message_without_a_user_is_dropped,
        the_user_is_known_for_messages_of_one_and_of_two_frames,
        three_frames_a_long_route_and_a_frame_a_byte_too_large_are_dropped);
    ADD(suite, "a refused socket stops for ever", after_a_refusal_a_new_lane_with_the_right_key_connects);
    ADD(suite, "wrong coordinator", a_coordinator_with_another_key_is_a_wrong_peer, a_peer_without_curve_is_a_wrong_peer,
        a_peer_that_is_not_there_is_down_and_then_up, a_peer_that_accepts_and_says_nothing_is_down_not_wrong,
        a_name_that_does_not_resolve_is_down);
    ADD(suite, "strangers at the handshake", a_peer_with_another_mechanism_is_dropped, a_wrong_capability_is_refused);
    ADD(suite, "addresses", a_live_ipc_socket_is_not_stolen, an_ipc_socket_that_a_dead_process_left_is_taken_over,
        a_file_at_an_ipc_path_is_not_deleted, a_tcp_port_in_use_is_named, an_address_that_cannot_be_bound_is_a_sentence,
        an_ipc_path_of_107_bytes_works);
    ADD(suite, "frames too large", a_frame_of_4_gib_announced_by_a_stranger_allocates_nothing,
        a_node_that_sends_a_frame_too_large_is_cut_and_the_lane_goes_on, a_small_limit_leaves_room_for_the_handshake);
    ADD(suite, "routes unknown, dead or slow", an_unknown_route_is_gone, the_route_of_a_node_that_left_is_gone,
        a_slow_node_fills_up_without_losing_or_splitting_a_message);
    ADD(suite, "a coordinator that comes back", a_restart_of_the_coordinator_is_noticed_over_tcp,
        a_restart_of_the_coordinator_is_noticed_over_ipc, a_bulk_connection_shows_its_new_route_after_a_restart);
    ADD(suite, "closing", closing_in_the_middle_of_everything_never_hangs, a_stopped_monitor_leaves_the_io_thread_alone,
        events_that_nobody_reads_do_not_stop_the_io_thread);
    ADD_TAGGED(suite, "silent peers", "native", a_silent_peer_is_dropped_at_the_end_of_the_handshake_interval,
               every_lane_has_its_timers_limits_and_keep_alive);
    ADD(suite, "routes are drawn by the lane", two_connections_with_one_key_both_work_by_routes_of_their_own);
    ADD_TAGGED(suite, "limits of the process", "native", more_peers_than_open_files_is_refused_at_the_start,
               a_context_holds_more_sockets_than_the_default);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
