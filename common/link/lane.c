/* One socket with everything set that keeps a stranger out and a dead peer from being waited for.
 * A bound lane is a ROUTER that draws its routing ids itself; a connected one is a DEALER that never queues for a peer that
 * is not there. Options are set before bind or connect: libzmq copies them at that moment. */
#include "common/link/link_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zmq.h>

#include "common/base/rng.h"

/* A DRAFT name, absent from the stable zmq.h but honoured by the stable library: without it a CURVE socket whose ZAP handler
 * is missing lets every key in. */
#define ZAP_ENFORCE_DOMAIN 93

#define CONTROL_HWM 64
#define BULK_HWM 16
#define BACKLOG_MOST 1024
#define BACKLOG_LEAST 16
#define BACKLOG_PART 50  /* of the limit of descriptors */
#define ENROL_BACKLOG 16 /* few are expected there, and nobody waits long for them */
#define FRAME_SLACK 256  /* what CURVE adds to a frame; fed_lane_recv measures the frame itself */
#define FRAME_LEAST 1024 /* commands of the handshake are frames too */

struct option {
    int name, value;
};

static int set_options(void *socket, const struct option *options, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof options[i].value) != 0) {
            return -1;
        }
    }
    return 0;
}
#define SET(socket, ...)                                                                                                    \
    set_options((socket), (const struct option[]){__VA_ARGS__},                                                             \
                sizeof((const struct option[]){__VA_ARGS__}) / sizeof(struct option))

/* A lane that is not heard of is given up: control by heartbeats of the node, which say how long to wait for the next, so
 * that one of ten thousand costs little; bulk by the kernel, which sees bytes. ZeroMQ counts whole messages, and on a slow
 * line a chunk may take longer than any heartbeat can be waited for. */
static int set_pulse(void *socket, bool bulk, bool beats) {
    int status = SET(socket, {ZMQ_TCP_KEEPALIVE, 1}, {ZMQ_TCP_KEEPALIVE_IDLE, bulk ? 15 : 60}, {ZMQ_TCP_KEEPALIVE_INTVL, 5},
                     {ZMQ_TCP_KEEPALIVE_CNT, 3}, {ZMQ_TCP_MAXRT, 30000});
    if (status != 0 || !beats) {
        return status;
    }
    return SET(socket, {ZMQ_HEARTBEAT_IVL, 45000}, {ZMQ_HEARTBEAT_TIMEOUT, 30000}, {ZMQ_HEARTBEAT_TTL, 120000});
}

static int set_limits(struct fed_lane *lane, int hwm) {
    int64_t largest = (int64_t)(lane->max_frame < FRAME_LEAST ? FRAME_LEAST : lane->max_frame) + FRAME_SLACK;
    if (zmq_setsockopt(lane->socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) != 0) {
        return -1;
    }
    /* The side that connects loses patience first: who is hung up on again and again takes its peer for a wrong one. */
    int handshake_ms = lane->bound ? lane->link->handshake_ms + lane->link->handshake_ms / 4 : lane->link->handshake_ms;
    int status = SET(lane->socket, {ZMQ_SNDHWM, hwm}, {ZMQ_RCVHWM, hwm}, {ZMQ_LINGER, 0}, {ZMQ_IPV6, 1},
                     {ZMQ_HANDSHAKE_IVL, handshake_ms});
    return status != 0 ? status : set_pulse(lane->socket, hwm == BULK_HWM, hwm != BULK_HWM && !lane->bound);
}

static int lane_new(struct fed_lane **out, struct fed_link *link, bool bound, int hwm, size_t max_frame,
                    struct fed_error *err) {
    assert(max_frame <= (size_t)INT64_MAX / 2);
    struct fed_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        return fed_error_set(err, FED_EFAILED, "cannot open a socket: out of memory");
    }
    lane->link = link;
    lane->bound = bound;
    lane->door = (struct fed_door){.fd = -1, .spare = -1};
    lane->max_frame = max_frame;
    lane->socket = zmq_socket(link->context, bound ? ZMQ_ROUTER : ZMQ_DEALER);
    if (lane->socket == NULL || set_limits(lane, hwm) != 0) {
        int reason = zmq_errno();
        if (lane->socket != NULL) {
            zmq_close(lane->socket);
        }
        free(lane);
        return fed_error_set(err, FED_EFAILED, "cannot open a ZeroMQ socket: %s%s", zmq_strerror(reason),
                             reason == EMFILE ? " (raise the limit of open files: ulimit -n, LimitNOFILE)" : "");
    }
    atomic_fetch_add(&link->lanes, 1u);
    *out = lane;
    return 0;
}

void fed_lane_close(struct fed_lane *lane) {
    if (lane != NULL) {
        fed_monitor_stop(lane->pair, lane->socket);
        zmq_close(lane->socket);
        fed_door_fini(&lane->door);
        atomic_fetch_sub(&lane->link->lanes, 1u);
        free(lane);
    }
}

const char *fed_lane_endpoint(const struct fed_lane *lane) { return lane->endpoint; }

/* -- the coordinator's side ------------------------------------------------------------------------------------------- */

/* Who waits to be accepted will be, even when the door has been shut meanwhile: all doors together must not hold more than
 * there is room for between the mark at which they are shut and the limit. */
static int backlog(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur / BACKLOG_PART > BACKLOG_MOST) {
        return BACKLOG_MOST;
    }
    int part = (int)(files.rlim_cur / BACKLOG_PART);
    return part < BACKLOG_LEAST ? BACKLOG_LEAST : part;
}

static int set_door(void *socket, const char *domain, int backlog, struct fed_error *err) {
    int enforced = 0;
    size_t n = sizeof enforced;
    if (SET(socket, {ZMQ_ROUTER_MANDATORY, 1}, {ZMQ_BACKLOG, backlog}) != 0 ||
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) != 0) {
        return fed_error_set(err, FED_EFAILED, "cannot set up a socket: %s", zmq_strerror(zmq_errno()));
    }
    if (SET(socket, {ZAP_ENFORCE_DOMAIN, 1}) != 0 || zmq_getsockopt(socket, ZAP_ENFORCE_DOMAIN, &enforced, &n) != 0 ||
        enforced != 1) {
        return fed_error_set(err, FED_EFAILED,
                             "this libzmq (%s) cannot be made to refuse unknown keys (option %d); 4.3.4 or newer is needed",
                             fed_link_version(), ZAP_ENFORCE_DOMAIN);
    }
    return 0;
}

static int bind_failed(const char *endpoint, int reason, struct fed_error *err) {
    switch (reason) {
    case EADDRINUSE:
        return fed_error_set(err, FED_EADDRESS,
                             "%s: the address is in use by another process; stop it or choose another port", endpoint);
    case EADDRNOTAVAIL:
    case ENODEV:
        return fed_error_set(err, FED_EADDRESS,
                             "%s: not an address of this machine; use *, or the number or interface name of one", endpoint);
    case EACCES:
    case EPERM:
        return fed_error_set(err, FED_EADDRESS,
                             "%s: this user may not listen there; use a port above 1023 or another directory", endpoint);
    case EINVAL:
        return fed_error_set(err, FED_EADDRESS, "%s: not an endpoint; allowed are tcp://HOST:PORT and ipc://PATH", endpoint);
    default: return fed_error_set(err, FED_EADDRESS, "%s: cannot listen there: %s", endpoint, zmq_strerror(reason));
    }
}

static int lane_bind(struct fed_lane *lane, const char *endpoint, struct fed_error *err) {
    int status = fed_address_free(endpoint, err);
    if (status != 0) {
        return status;
    }
    struct fed_listeners seen = {.n = 0};
    fed_door_look(&lane->door, &seen);
    size_t n = sizeof lane->endpoint;
    if (zmq_bind(lane->socket, endpoint) != 0 || zmq_getsockopt(lane->socket, ZMQ_LAST_ENDPOINT, lane->endpoint, &n) != 0) {
        return bind_failed(endpoint, zmq_errno(), err);
    }
    fed_door_look(&lane->door, &seen);
    return 0;
}

static int bind_curve(struct fed_lane **out, struct fed_link *link, const char *endpoint, const char *domain, int backlog,
                      const struct fed_identity *identity, size_t max_frame, struct fed_error *err) {
    struct fed_lane *lane = NULL;
    int status = fed_address_check(endpoint, err);
    if (status == 0) {
        status = lane_new(&lane, link, true, CONTROL_HWM, max_frame, err);
    }
    if (status == 0) {
        status = set_door(lane->socket, domain, backlog, err);
    }
    if (status == 0 && (SET(lane->socket, {ZMQ_CURVE_SERVER, 1}) != 0 ||
                        zmq_setsockopt(lane->socket, ZMQ_CURVE_SECRETKEY, identity->secret->curve, FED_KEY_BYTES) != 0)) {
        status = fed_error_set(err, FED_EFAILED, "cannot give the CURVE key to a socket: %s", zmq_strerror(zmq_errno()));
    }
    if (status == 0) {
        status = lane_bind(lane, endpoint, err);
    }
    if (status != 0) {
        fed_lane_close(lane);
        return status;
    }
    *out = lane;
    return 0;
}

int fed_lane_bind_control(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                          const struct fed_identity *identity, size_t max_frame, struct fed_error *err) {
    return bind_curve(out, link, endpoint, FED_DOMAIN_CONTROL, backlog(), identity, max_frame, err);
}

int fed_lane_bind_enrol(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                        const struct fed_identity *identity, size_t max_frame, struct fed_error *err) {
    return bind_curve(out, link, endpoint, FED_DOMAIN_ENROL, ENROL_BACKLOG, identity, max_frame, err);
}

int fed_lane_bind_bulk(struct fed_lane **out, struct fed_link *link, const char *endpoint, size_t max_frame,
                       struct fed_error *err) {
    struct fed_lane *lane = NULL;
    int status = fed_address_check(endpoint, err);
    if (status == 0) {
        status = lane_new(&lane, link, true, BULK_HWM, max_frame, err);
    }
    if (status == 0) {
        status = set_door(lane->socket, FED_DOMAIN_BULK, backlog(), err);
    }
    if (status == 0 && SET(lane->socket, {ZMQ_PLAIN_SERVER, 1}) != 0) {
        status = fed_error_set(err, FED_EFAILED, "cannot ask for PLAIN on a socket: %s", zmq_strerror(zmq_errno()));
    }
    if (status == 0) {
        status = lane_bind(lane, endpoint, err);
    }
    if (status != 0) {
        fed_lane_close(lane);
        return status;
    }
    *out = lane;
    return 0;
}

/* -- the node's side -------------------------------------------------------------------------------------------------- */

static int between(uint32_t low, uint32_t high) {
    uint32_t word;
    fed_random_bytes(&word, sizeof word);
    return (int)(low + word % (high - low + 1)); /* the bias of a few parts in 2^32 does no harm to a pause */
}

/* libzmq doubles the base up to the maximum and jitters only the base: both are drawn, so that a thousand nodes that lost
 * one coordinator do not come back in step. However long it was away, all are back within five seconds; a knock on a closed
 * port every three seconds spares it enough. On one machine nobody has to be spared. */
static int set_patience(void *socket, const char *endpoint) {
    bool ipc = fed_address_is_ipc(endpoint);
    return SET(socket, {ZMQ_IMMEDIATE, 1}, {ZMQ_CONNECT_TIMEOUT, 10000}, {ZMQ_RECONNECT_IVL, ipc ? 20 : between(250, 750)},
               {ZMQ_RECONNECT_IVL_MAX, ipc ? 200 : between(2000, 4000)});
}

static int lane_connect(struct fed_lane *lane, const char *endpoint, struct fed_error *err) {
    if (set_patience(lane->socket, endpoint) != 0) {
        return fed_error_set(err, FED_EFAILED, "cannot set up a socket: %s", zmq_strerror(zmq_errno()));
    }
    int status = fed_monitor_start(&lane->pair, lane->link, lane->socket, err);
    if (status != 0) {
        return status;
    }
    if (zmq_connect(lane->socket, endpoint) != 0) {
        int reason = zmq_errno();
        return fed_error_set(err, FED_EADDRESS, "%s: cannot connect there: %s; allowed are tcp://HOST:PORT and ipc://PATH",
                             endpoint, zmq_strerror(reason));
    }
    memcpy(lane->endpoint, endpoint, strlen(endpoint) + 1); /* fed_address_check has measured it */
    return 0;
}

int fed_lane_connect_control(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                             const struct fed_identity *identity, const uint8_t coordinator_curve[FED_KEY_BYTES],
                             size_t max_frame, struct fed_error *err) {
    struct fed_lane *lane = NULL;
    int status = fed_address_check(endpoint, err);
    if (status == 0) {
        status = lane_new(&lane, link, false, CONTROL_HWM, max_frame, err);
    }
    if (status == 0 && (zmq_setsockopt(lane->socket, ZMQ_CURVE_SERVERKEY, coordinator_curve, FED_KEY_BYTES) != 0 ||
                        zmq_setsockopt(lane->socket, ZMQ_CURVE_PUBLICKEY, identity->public_keys.curve, FED_KEY_BYTES) != 0 ||
                        zmq_setsockopt(lane->socket, ZMQ_CURVE_SECRETKEY, identity->secret->curve, FED_KEY_BYTES) != 0)) {
        status = fed_error_set(err, FED_EFAILED, "cannot give the CURVE keys to a socket: %s", zmq_strerror(zmq_errno()));
    }
    if (status == 0) {
        status = lane_connect(lane, endpoint, err);
    }
    if (status != 0) {
        fed_lane_close(lane);
        return status;
    }
    *out = lane;
    return 0;
}

int fed_lane_connect_bulk(struct fed_lane **out, struct fed_link *link, const char *endpoint, const char *handle,
                          const char *capability, size_t max_frame, struct fed_error *err) {
    struct fed_lane *lane = NULL;
    int status = fed_address_check(endpoint, err);
    if (status == 0) {
        status = lane_new(&lane, link, false, BULK_HWM, max_frame, err);
    }
    if (status == 0 && (SET(lane->socket, {ZMQ_PROBE_ROUTER, 1}) != 0 ||
                        zmq_setsockopt(lane->socket, ZMQ_PLAIN_USERNAME, handle, strlen(handle)) != 0 ||
                        zmq_setsockopt(lane->socket, ZMQ_PLAIN_PASSWORD, capability, strlen(capability)) != 0)) {
        status = fed_error_set(err, FED_EFAILED, "cannot give handle and capability to a socket: %s (1 to 255 bytes each)",
                               zmq_strerror(zmq_errno()));
    }
    if (status == 0) {
        status = lane_connect(lane, endpoint, err);
    }
    if (status != 0) {
        fed_lane_close(lane);
        return status;
    }
    *out = lane;
    return 0;
}
