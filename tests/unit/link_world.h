/* A coordinator and a node in one process and on one thread: two contexts, so that they meet only over sockets.
 * Waiting is always for an event, with a bound that only a broken build reaches. */
#ifndef FED_TESTS_UNIT_LINK_WORLD_H
#define FED_TESTS_UNIT_LINK_WORLD_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/link/link.h"
#include "common/link/link_internal.h"

#define BOUND_MS 30000
#define FRAME_MAX ((size_t)65536)
#define LOOPBACK "tcp://127.0.0.1:*"
#define HANDLE "handle-of-attempt-1"
#define CAPABILITY "0123456789abcdef0123456789abcdef"

struct world {
    struct fed_identity coordinator, node;
    struct fed_link *server, *client;
    bool everybody; /* a gate that lets any key in */
    char directory[32];
    char ipc[64];               /* an endpoint inside the directory */
    struct fed_lane *lanes[64]; /* the node's: libzmq attaches a connection only when its owner turns the socket */
    size_t n_lanes;
};

static inline bool world_curve(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    const struct world *world = context;
    if (!world->everybody && memcmp(key, world->node.public_keys.curve, FED_KEY_BYTES) != 0) {
        return false;
    }
    strcpy(user, "ward-7");
    return true;
}

static inline bool world_plain(void *context, const char *handle, const char *capability, char user[FED_USER_MAX]) {
    (void)context;
    if (strcmp(handle, HANDLE) != 0 || strcmp(capability, CAPABILITY) != 0) {
        return false;
    }
    strcpy(user, "ward-7/1");
    return true;
}

static inline struct fed_gate world_gate(struct world *world) {
    return (struct fed_gate){.context = world, .curve = world_curve, .plain = world_plain};
}

#define OK(call)                                                                                                            \
    do {                                                                                                                    \
        struct fed_error err_ = {""};                                                                                       \
        struct fed_error *err = &err_;                                                                                      \
        int status_ = (call);                                                                                               \
        (void)err;                                                                                                          \
        ck_assert_msg(status_ == 0, "%s: %d %s", #call, status_, err_.text);                                                \
    } while (0)

static inline void world_open(struct world *world) {
    *world = (struct world){.n_lanes = 0};
    strcpy(world->directory, "/tmp/fed-link-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world->directory));
    snprintf(world->ipc, sizeof world->ipc, "ipc://%s/lane", world->directory);
    OK(fed_seal_setup(err));
    OK(fed_identity_generate(&world->coordinator, err));
    OK(fed_identity_generate(&world->node, err));
    struct fed_gate gate = world_gate(world);
    OK(fed_link_new(&world->server, 1, 64, &gate, err));
    OK(fed_link_new(&world->client, 1, 64, NULL, err));
}

static inline void world_close(struct world *world) {
    fed_link_free(world->client);
    fed_link_free(world->server);
    fed_identity_fini(&world->coordinator);
    fed_identity_fini(&world->node);
    unlink(world->ipc + strlen("ipc://"));
    ck_assert_int_eq(rmdir(world->directory), 0);
}

static inline struct fed_lane *bind_control(struct world *world, const char *endpoint) {
    struct fed_lane *lane = NULL;
    OK(fed_lane_bind_control(&lane, world->server, endpoint, &world->coordinator, FRAME_MAX, err));
    return lane;
}

static inline struct fed_lane *bind_bulk(struct world *world, const char *endpoint) {
    struct fed_lane *lane = NULL;
    OK(fed_lane_bind_bulk(&lane, world->server, endpoint, FRAME_MAX, err));
    return lane;
}

/* Binds where a lane was closed just now: ZeroMQ lets go of an address in its own time. */
static inline struct fed_lane *bind_again(struct world *world, const char *endpoint, bool control) {
    struct fed_lane *lane = NULL;
    struct fed_error sentence = {""};
    uint64_t end = fed_clock_ms() + BOUND_MS;
    int status = FED_EADDRESS;
    while (status == FED_EADDRESS && fed_clock_ms() < end) {
        status = control ? fed_lane_bind_control(&lane, world->server, endpoint, &world->coordinator, FRAME_MAX, &sentence)
                         : fed_lane_bind_bulk(&lane, world->server, endpoint, FRAME_MAX, &sentence);
        OK(fed_link_poll(world->server, NULL, 0, status == 0 ? 0 : 1));
    }
    ck_assert_msg(status == 0, "%s", sentence.text);
    return lane;
}

static inline struct fed_lane *keep(struct world *world, struct fed_lane *lane) {
    ck_assert_uint_lt(world->n_lanes, 64);
    return world->lanes[world->n_lanes++] = lane;
}

static inline void hang_up(struct world *world, struct fed_lane *lane) {
    size_t n = 0;
    for (size_t i = 0; i < world->n_lanes; i++) {
        if (world->lanes[i] != lane) {
            world->lanes[n++] = world->lanes[i];
        }
    }
    world->n_lanes = n;
    fed_lane_close(lane);
}

static inline struct fed_lane *connect_as(struct world *world, const char *endpoint, const struct fed_identity *who,
                                          const uint8_t *pinned) {
    struct fed_lane *lane = NULL;
    OK(fed_lane_connect_control(&lane, world->client, endpoint, who, pinned, FRAME_MAX, err));
    return keep(world, lane);
}

static inline struct fed_lane *connect_control(struct world *world, const char *endpoint) {
    return connect_as(world, endpoint, &world->node, world->coordinator.public_keys.curve);
}

static inline struct fed_lane *connect_bulk(struct world *world, const char *endpoint, const char *capability) {
    struct fed_lane *lane = NULL;
    OK(fed_lane_connect_bulk(&lane, world->client, endpoint, HANDLE, capability, FRAME_MAX, err));
    return keep(world, lane);
}

/* Lets both sides work until lane, fd or a connection has something, which is what the caller then looks at. */
static inline void turn(struct world *world, struct fed_lane *lane, int fd) {
    struct fed_poll_item items[66] = {{.lane = lane, .fd = -1}, {.fd = fd}};
    for (size_t i = 0; i < world->n_lanes; i++) {
        items[i + 2] = (struct fed_poll_item){.lane = world->lanes[i]};
    }
    OK(fed_link_poll(world->server, items, world->n_lanes + 2, 1000));
}

/* QUIET when the bound was reached. */
static inline enum fed_link_event next_event(struct world *world, struct fed_lane *lane) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    enum fed_link_event event = fed_lane_event(lane);
    while (event == FED_LINK_QUIET && fed_clock_ms() < end) {
        turn(world, lane, -1);
        event = fed_lane_event(lane);
    }
    return event;
}

static inline void expect_event(struct world *world, struct fed_lane *lane, enum fed_link_event expected) {
    ck_assert_int_eq(next_event(world, lane), expected);
}

/* Anything but FED_EAGAIN, unless the bound was reached. */
static inline int next_message(struct fed_incoming *out, struct world *world, struct fed_lane *lane) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    int status = fed_lane_recv(out, lane);
    while (status == FED_EAGAIN && fed_clock_ms() < end) {
        turn(world, lane, -1);
        status = fed_lane_recv(out, lane);
    }
    return status;
}

static inline void drop(struct fed_incoming *incoming) {
    fed_frame_release(&incoming->head);
    fed_frame_release(&incoming->body);
}

static inline void say(struct fed_lane *lane, const struct fed_route *to, const char *text) {
    OK(fed_lane_send(lane, to, text, strlen(text), NULL, 0, 0));
}

static inline void expect_text(struct world *world, struct fed_lane *lane, const char *text, struct fed_route *from) {
    struct fed_incoming incoming;
    OK(next_message(&incoming, world, lane));
    ck_assert_uint_eq(incoming.head.n, strlen(text));
    ck_assert_mem_eq(incoming.head.bytes, text, strlen(text));
    ck_assert_uint_eq(incoming.body.n, 0);
    if (from != NULL) {
        *from = incoming.from;
    }
    drop(&incoming);
}

#endif
