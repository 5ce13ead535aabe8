/* What the link promises when everybody behaves, and its two pure parts: who is let in, and what an event means. */
#include "tests/unit/link_world.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <zmq.h>

#include "common/base/rng.h"

/* -- messages --------------------------------------------------------------------------------------------------------- */

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

/* -- a broadcast, with the node on a thread of its own ------------------------------------------------------------------ */

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

/* -- waiting ---------------------------------------------------------------------------------------------------------- */

START_TEST(poll_tells_which_descriptor_is_readable_among_many) {
    struct world world;
    world_open(&world);
    enum { PIPES = 40 };
    int ends[PIPES][2];
    struct fed_poll_item items[PIPES];
    for (int i = 0; i < PIPES; i++) {
        ck_assert_int_eq(pipe(ends[i]), 0);
        items[i] = (struct fed_poll_item){.fd = ends[i][0], .readable = true};
    }
    OK(fed_link_poll(world.server, items, PIPES, 0));
    for (int i = 0; i < PIPES; i++) {
        ck_assert(!items[i].readable);
    }
    ck_assert_int_eq(write(ends[37][1], "x", 1), 1);
    OK(fed_link_poll(world.server, items, PIPES, BOUND_MS));
    for (int i = 0; i < PIPES; i++) {
        ck_assert_int_eq(items[i].readable, i == 37);
        close(ends[i][0]);
        close(ends[i][1]);
    }
    world_close(&world);
}
END_TEST

static void ignore(int number) { (void)number; }

START_TEST(a_signal_ends_the_waiting_with_nothing_readable) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, world.ipc);
    struct sigaction action = {.sa_handler = ignore};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {.it_interval = {.tv_usec = 20000}, .it_value = {.tv_usec = 20000}};
    setitimer(ITIMER_REAL, &often, NULL);
    struct fed_poll_item item = {.lane = here, .readable = true, .event = true};
    OK(fed_link_poll(world.server, &item, 1, -1));
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0}}, NULL);
    ck_assert(!item.readable);
    ck_assert(!item.event);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

/* -- the self test ---------------------------------------------------------------------------------------------------- */

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

/* -- what an event means ------------------------------------------------------------------------------------------------ */

struct told {
    uint16_t event;
    uint32_t value;
    enum fed_link_event meaning;
};

static void tell(const struct told *told, size_t n) {
    struct fed_monitor monitor = {.said = FED_LINK_QUIET};
    for (size_t i = 0; i < n; i++) {
        enum fed_link_event meaning = fed_monitor_step(&monitor, told[i].event, told[i].value);
        ck_assert_msg(meaning == told[i].meaning, "event %zu: %d instead of %d", i, meaning, told[i].meaning);
    }
}
#define TELL(...) tell((const struct told[]){__VA_ARGS__}, sizeof((const struct told[]){__VA_ARGS__}) / sizeof(struct told))

#define SUCCEEDED ZMQ_EVENT_HANDSHAKE_SUCCEEDED
#define BROKEN ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
#define AUTH ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
#define PROTOCOL ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
#define DISCONNECTED ZMQ_EVENT_DISCONNECTED
#define CLOSED ZMQ_EVENT_CLOSED
#define RETRIED ZMQ_EVENT_CONNECT_RETRIED

START_TEST(down_is_said_once_until_up) {
    TELL({RETRIED, 0, FED_LINK_DOWN}, {CLOSED, 0, FED_LINK_QUIET}, {RETRIED, 0, FED_LINK_QUIET}, {SUCCEEDED, 0, FED_LINK_UP},
         {DISCONNECTED, 0, FED_LINK_DOWN}, {RETRIED, 0, FED_LINK_QUIET}, {CLOSED, 0, FED_LINK_QUIET},
         {SUCCEEDED, 0, FED_LINK_UP}, {SUCCEEDED, 0, FED_LINK_UP});
}
END_TEST

START_TEST(two_broken_handshakes_in_a_row_are_a_wrong_peer) {
    TELL({BROKEN, EPIPE, FED_LINK_DOWN}, {DISCONNECTED, 0, FED_LINK_QUIET}, {RETRIED, 0, FED_LINK_QUIET},
         {BROKEN, ECONNRESET, FED_LINK_WRONG_PEER}, {DISCONNECTED, 0, FED_LINK_QUIET}, {RETRIED, 0, FED_LINK_QUIET},
         {BROKEN, EPIPE, FED_LINK_QUIET}, {SUCCEEDED, 0, FED_LINK_UP}, {DISCONNECTED, 0, FED_LINK_DOWN},
         {BROKEN, EPIPE, FED_LINK_QUIET}, {BROKEN, EPIPE, FED_LINK_WRONG_PEER});
}
END_TEST

START_TEST(one_broken_handshake_between_others_is_only_down) {
    TELL({BROKEN, EPIPE, FED_LINK_DOWN}, {SUCCEEDED, 0, FED_LINK_UP}, {DISCONNECTED, 0, FED_LINK_DOWN},
         {BROKEN, EPIPE, FED_LINK_QUIET}, {CLOSED, 0, FED_LINK_QUIET}, {BROKEN, EPIPE, FED_LINK_QUIET});
}
END_TEST

START_TEST(a_peer_that_never_answers_is_not_a_wrong_peer) {
    TELL({BROKEN, EAGAIN, FED_LINK_DOWN}, {BROKEN, EAGAIN, FED_LINK_QUIET}, {BROKEN, EAGAIN, FED_LINK_QUIET},
         {SUCCEEDED, 0, FED_LINK_UP});
}
END_TEST

START_TEST(a_refused_socket_says_nothing_more) {
    TELL({AUTH, 400, FED_LINK_REFUSED}, {DISCONNECTED, 0, FED_LINK_QUIET}, {SUCCEEDED, 0, FED_LINK_QUIET});
}
END_TEST

START_TEST(a_peer_of_another_protocol_is_wrong_at_once) {
    TELL({PROTOCOL, 0, FED_LINK_WRONG_PEER}, {DISCONNECTED, 0, FED_LINK_QUIET}, {CLOSED, 0, FED_LINK_DOWN});
}
END_TEST

/* -- who is let in ------------------------------------------------------------------------------------------------------ */

struct request {
    struct fed_zap_frame frames[FED_ZAP_FRAMES_MAX + 2];
    size_t n;
};
#define F(text)                                                                                                             \
    { (const uint8_t *)(text), sizeof(text) - 1 }
static const struct request CURVE_REQUEST = {
    {F("1.0"), F("1"), F("control"), F("127.0.0.1"), F(""), F("CURVE"), F("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk")}, 7};
static const struct request PLAIN_REQUEST = {
    {F("1.0"), F("1"), F("bulk"), F("127.0.0.1"), F(""), F("PLAIN"), F(HANDLE), F(CAPABILITY)}, 8};

static bool only_k(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    (void)context;
    for (int i = 0; i < FED_KEY_BYTES; i++) {
        if (key[i] != 'k') {
            return false;
        }
    }
    strcpy(user, "k");
    return true;
}
static const struct fed_gate GATE = {.curve = only_k, .plain = world_plain};

static int decide(const struct request *request, const struct fed_gate *gate, char user[FED_USER_MAX]) {
    return fed_zap_decide(user, request->frames, request->n, gate);
}

START_TEST(a_known_key_and_a_known_capability_enter_under_their_names) {
    char user[FED_USER_MAX] = "untouched";
    ck_assert_int_eq(decide(&CURVE_REQUEST, &GATE, user), 200);
    ck_assert_str_eq(user, "k");
    ck_assert_int_eq(decide(&PLAIN_REQUEST, &GATE, user), 200);
    ck_assert_str_eq(user, "ward-7/1");
}
END_TEST

static bool anybody(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    (void)context;
    snprintf(user, FED_USER_MAX, "anybody-%c", key[0]);
    return true;
}

/* A key that the gate's enrol lets in gets into its lane and into no other. */
START_TEST(the_enrolment_lane_asks_a_judge_of_its_own) {
    const struct fed_gate both = {.curve = GATE.curve, .plain = GATE.plain, .context = GATE.context, .enrol = anybody};
    struct request enrol = CURVE_REQUEST;
    char user[FED_USER_MAX] = "untouched";
    enrol.frames[2] = (struct fed_zap_frame)F("enrol");
    ck_assert_int_eq(decide(&enrol, &GATE, user), 400);
    ck_assert_int_eq(decide(&enrol, &both, user), 200);
    ck_assert_str_eq(user, "anybody-k");
    const struct fed_gate enrol_alone = {.enrol = anybody};
    ck_assert_int_eq(decide(&CURVE_REQUEST, &enrol_alone, user), 400);
    ck_assert_int_eq(decide(&PLAIN_REQUEST, &enrol_alone, user), 400);
}
END_TEST

START_TEST(an_empty_gate_refuses_everybody) {
    const struct fed_gate closed = {.context = NULL};
    char user[FED_USER_MAX] = "untouched";
    ck_assert_int_eq(decide(&CURVE_REQUEST, &closed, user), 400);
    ck_assert_int_eq(decide(&PLAIN_REQUEST, &closed, user), 400);
    ck_assert_str_eq(user, "untouched");
}
END_TEST

START_TEST(what_is_not_exactly_a_request_of_its_lane_is_refused) {
    static const struct {
        const struct request *of;
        size_t frame;
        struct fed_zap_frame with;
        int status;
    } cases[] = {
        {&CURVE_REQUEST, 0, F("1.1"), 500},
        {&CURVE_REQUEST, 0, F(""), 500},
        {&CURVE_REQUEST, 2, F("bulk"), 400},
        {&CURVE_REQUEST, 2, F(""), 400},
        {&CURVE_REQUEST, 2, F("controls"), 400},
        {&CURVE_REQUEST, 5, F("PLAIN"), 400},
        {&CURVE_REQUEST, 5, F("NULL"), 400},
        {&CURVE_REQUEST, 5, F("GSSAPI"), 400},
        {&CURVE_REQUEST, 6, F("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"), 400},
        {&CURVE_REQUEST, 6, F("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"), 400},
        {&CURVE_REQUEST, 6, F("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkj"), 400},
        {&CURVE_REQUEST, 6, F(""), 400},
        {&PLAIN_REQUEST, 2, F("control"), 400},
        {&PLAIN_REQUEST, 5, F("CURVE"), 400},
        {&PLAIN_REQUEST, 6, F(""), 400},
        {&PLAIN_REQUEST, 6, F(HANDLE "\0"), 400},
        {&PLAIN_REQUEST, 7, F(CAPABILITY "\0"), 400},
        {&PLAIN_REQUEST, 7, F(""), 400},
        {&PLAIN_REQUEST, 7, F("0123456789abcdef0123456789abcdeF"), 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request request = *cases[i].of;
        request.frames[cases[i].frame] = cases[i].with;
        char user[FED_USER_MAX] = "untouched";
        ck_assert_msg(decide(&request, &GATE, user) == cases[i].status, "case %zu", i);
        ck_assert_str_eq(user, "untouched");
    }
}
END_TEST

START_TEST(a_request_with_a_frame_too_few_or_too_many_is_refused) {
    for (size_t n = 0; n <= FED_ZAP_FRAMES_MAX + 2; n++) {
        struct request request = CURVE_REQUEST;
        request.n = n;
        char user[FED_USER_MAX];
        int expected = n == 7 ? 200 : n == 6 || n == 8 ? 400 : 500;
        ck_assert_int_eq(decide(&request, &GATE, user), expected);
        request = PLAIN_REQUEST;
        request.n = n;
        expected = n == 8 ? 200 : n == 6 || n == 7 ? 400 : 500;
        ck_assert_int_eq(decide(&request, &GATE, user), expected);
    }
}
END_TEST

/* Changes one thing and keeps every frame in an allocation of its exact size, where a sanitizer sees a byte too far. */
static void mutate(struct request *out, const struct request *from, struct fed_rng *rng) {
    *out = (struct request){.n = from->n};
    size_t victim = fed_rng_below(rng, (uint32_t)from->n);
    uint32_t kind = fed_rng_below(rng, 4);
    if (kind == 0) {
        out->n = fed_rng_below(rng, FED_ZAP_FRAMES_MAX + 2);
    }
    for (size_t i = 0; i < out->n; i++) {
        size_t n = from->frames[i].n, size = n;
        if (i == victim && kind == 1) {
            size = fed_rng_below(rng, 600);
        }
        uint8_t *bytes = calloc(size == 0 ? 1 : size, 1);
        ck_assert_ptr_nonnull(bytes);
        if (n > 0) {
            memcpy(bytes, from->frames[i].bytes, n < size ? n : size);
        }
        if (i == victim && kind >= 2 && size > 0) {
            bytes[fed_rng_below(rng, (uint32_t)size)] ^= (uint8_t)(1u << fed_rng_below(rng, 8));
        }
        out->frames[i] = (struct fed_zap_frame){bytes, size};
    }
}

static bool same_frame(const struct fed_zap_frame *a, const struct fed_zap_frame *b) {
    return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
}

START_TEST(no_mutated_request_enters) {
    struct fed_rng rng;
    fed_rng_init(&rng, 7, "zap", 0, 0);
    size_t entered = 0;
    for (int i = 0; i < 20000; i++) {
        const struct request *from = i & 1 ? &CURVE_REQUEST : &PLAIN_REQUEST;
        struct request request;
        mutate(&request, from, &rng);
        char user[FED_USER_MAX];
        int status = decide(&request, &GATE, user);
        bool same = request.n == from->n && request.frames[1].n <= 255;
        for (size_t f = 0; same && f < from->n; f++) { /* request id, address and identity are not ours to judge */
            same = f == 1 || f == 3 || f == 4 || same_frame(&request.frames[f], &from->frames[f]);
        }
        ck_assert_int_eq(status == 200, same);
        ck_assert(status == 200 || status == 400 || status == 500);
        entered += status == 200;
        for (size_t f = 0; f < request.n; f++) {
            free((void *)(uintptr_t)request.frames[f].bytes);
        }
    }
    ck_assert_uint_gt(entered, 0);
    ck_assert_uint_lt(entered, 20000);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t n) {
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
}
#define ADD(suite, name, ...)                                                                                               \
    add((suite), (name), (const TTest *const[]){__VA_ARGS__}, sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(TTest *))

int main(void) {
    Suite *suite = suite_create("link");
    ADD(suite, "messages", control_messages_travel_both_ways_over_tcp, control_messages_travel_both_ways_over_ipc,
        a_bulk_connection_shows_its_route_by_an_empty_message, a_body_arrives_behind_its_head_and_is_given_back_once,
        a_message_that_is_refused_gives_its_body_back, frames_move_whole_and_are_released_once,
        routes_are_equal_when_length_and_bytes_are,
        one_buffer_is_broadcast_to_nodes_on_other_threads_and_freed_after_the_last);
    ADD(suite, "waiting", poll_tells_which_descriptor_is_readable_among_many,
        a_signal_ends_the_waiting_with_nothing_readable);
    ADD(suite, "self test", self_test_passes_where_strangers_are_refused, self_test_fails_where_a_stranger_gets_in,
        self_test_fails_where_the_lane_has_another_key, the_library_tells_its_version,
        a_shut_door_keeps_those_inside_and_lets_the_rest_in_when_it_opens,
        a_connection_that_is_cut_ends_alone_and_comes_back);
    ADD(suite, "events", down_is_said_once_until_up, two_broken_handshakes_in_a_row_are_a_wrong_peer,
        one_broken_handshake_between_others_is_only_down, a_peer_that_never_answers_is_not_a_wrong_peer,
        a_refused_socket_says_nothing_more, a_peer_of_another_protocol_is_wrong_at_once);
    ADD(suite, "who is let in", a_known_key_and_a_known_capability_enter_under_their_names,
        the_enrolment_lane_asks_a_judge_of_its_own, an_empty_gate_refuses_everybody,
        what_is_not_exactly_a_request_of_its_lane_is_refused, a_request_with_a_frame_too_few_or_too_many_is_refused,
        no_mutated_request_enters);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
