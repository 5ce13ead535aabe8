/* Lanes over ZeroMQ, all opened by the node: control (CURVE), bulk (PLAIN, for bytes that are sealed already), and enrolment
 * (CURVE, for nodes that are not known yet; they connect to it as to a control lane).
 *
 * Set on every socket: ZMQ_MAXMSGSIZE, LINGER 0, handshake interval 8 s (10 s where it binds), on
 * a connected control lane heartbeats (interval 45 s, timeout 30 s, TTL 120 s), TCP keep-alive, IPv6, small high-water
 * marks, MANDATORY on the ROUTER, ZMQ_IMMEDIATE on the DEALER, ZAP domain and ZMQ_ZAP_ENFORCE_DOMAIN (option 93) where it
 * binds. No routing ids are ever set: the ROUTER draws them, and a route is only what an authenticated message came in by.
 * All calls are non-blocking; one thread uses one lane. */
#ifndef FED_COMMON_LINK_LINK_H
#define FED_COMMON_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/seal/keys.h"

struct fed_link; /* a ZeroMQ context and its ZAP handler */
struct fed_lane; /* one socket */

/* Who is let in. Called on the thread that calls fed_link_serve_zap. Each fills user (at most 95 characters) with the
 * name under which the peer's messages will arrive, and returns whether it may enter. NULL refuses everybody. */
#define FED_USER_MAX 96
struct fed_gate {
    void *context;
    bool (*curve)(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]);
    bool (*plain)(void *context, const char *handle, const char *capability, char user[FED_USER_MAX]);
    bool (*enrol)(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]); /* the enrolment lane */
};

/* io_threads >= 1; max_peers bounds sockets and descriptors, and the limit of open files is raised to what they need; 0: a
 * few, and the limit is left as it is. gate may be NULL on the node's side. FED_EFAILED. */
int fed_link_new(struct fed_link **out, int io_threads, int max_peers, const struct fed_gate *gate,
                 struct fed_error *err) FED_MUST_CHECK;
/* Every lane must be closed before. NULL is allowed. */
void fed_link_free(struct fed_link *link);
/* Answers the handshakes that are waiting. */
void fed_link_serve_zap(struct fed_link *link);
/* "4.3.4": the library at run time. */
const char *fed_link_version(void);

/* -- the coordinator's side ------------------------------------------------------------------------------------------- */

/* endpoint: tcp://... or ipc://... ("tcp://127.0.0.1:*" draws a port). max_frame: the largest frame let in.
 * FED_EADDRESS with a sentence: in use (ipc too: a live ipc socket is never stolen), not a local address, an ipc path
 * longer than 107 bytes, a malformed endpoint. */
int fed_lane_bind_control(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                          const struct fed_identity *identity, size_t max_frame, struct fed_error *err) FED_MUST_CHECK;
/* Like a control lane, but its peers are judged by the gate's enrol: whoever has a key of his own may be let in. */
int fed_lane_bind_enrol(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                        const struct fed_identity *identity, size_t max_frame, struct fed_error *err) FED_MUST_CHECK;
int fed_lane_bind_bulk(struct fed_lane **out, struct fed_link *link, const char *endpoint, size_t max_frame,
                       struct fed_error *err) FED_MUST_CHECK;
/* The endpoint really bound ("tcp://127.0.0.1:41234"). */
const char *fed_lane_endpoint(const struct fed_lane *lane);
/* Lets nobody new in over TCP; connections that stand go on, and who knocks meanwhile is let in later. ipc stays open. To be
 * called again now and then while it is shut: a packet that was on its way may have brought somebody in behind it. */
void fed_lane_shut(struct fed_lane *lane);
void fed_lane_reopen(struct fed_lane *lane);
bool fed_lane_is_shut(const struct fed_lane *lane);

/* Connects with a random key to a bound control lane and serves ZAP until the answer is known. 0 when the stranger was
 * refused; FED_EFAILED with a sentence when it was let in or nothing happened within 5 s. Call before announcing the lane.
 */
int fed_link_self_test(struct fed_link *link, const struct fed_lane *control, const struct fed_identity *identity,
                       struct fed_error *err) FED_MUST_CHECK;

/* -- the node's side -------------------------------------------------------------------------------------------------- */

int fed_lane_connect_control(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                             const struct fed_identity *identity, const uint8_t coordinator_curve[FED_KEY_BYTES],
                             size_t max_frame, struct fed_error *err) FED_MUST_CHECK;
/* Sends an empty message as soon as the connection stands and the lane is polled (ZMQ_PROBE_ROUTER), so that the coordinator
 * learns the route: it arrives as a head of no bytes. */
int fed_lane_connect_bulk(struct fed_lane **out, struct fed_link *link, const char *endpoint, const char *handle,
                          const char *capability, size_t max_frame, struct fed_error *err) FED_MUST_CHECK;

/* What the monitor saw since the last call; FED_LINK_QUIET when nothing is left. */
enum fed_link_event {
    FED_LINK_QUIET,
    FED_LINK_UP,         /* handshake done: say HELLO (again) */
    FED_LINK_DOWN,       /* disconnected or not reachable; the socket tries again by itself */
    FED_LINK_REFUSED,    /* ZAP said no: our key is not on the roster, or the capability is spent. This socket is dead for
                            ever: close it and open a new one with back-off */
    FED_LINK_WRONG_PEER, /* the peer does not hold the pinned coordinator key, or does not speak CURVE. The socket may be
                            dead too: close it and open a new one with back-off */
};
/* UP comes with every handshake; the others once, until something else happens. A bound lane is always QUIET. */
enum fed_link_event fed_lane_event(struct fed_lane *lane);

/* -- both ------------------------------------------------------------------------------------------------------------- */

/* Stops the monitor first; NULL is allowed. ZeroMQ lets go of a bound address soon after, not at once. */
void fed_lane_close(struct fed_lane *lane);

/* A route names one connection of a bound lane. */
struct fed_route {
    uint8_t n;
    uint8_t bytes[31];
};
bool fed_route_equal(const struct fed_route *a, const struct fed_route *b);

/* A received frame: bytes stay valid until released. Zero-initialise; releasing twice is harmless. */
struct fed_frame {
    _Alignas(8) unsigned char opaque[64];
    const uint8_t *bytes;
    size_t n;
};
void fed_frame_release(struct fed_frame *frame);
/* A small frame lives inside its struct: hand it on with this, never by assignment. from is empty afterwards. */
void fed_frame_move(struct fed_frame *to, struct fed_frame *from);

struct fed_incoming {
    struct fed_route from;       /* bound lanes */
    char user[FED_USER_MAX];     /* what the gate called the peer; "" on a connected lane */
    struct fed_frame head, body; /* body.n == 0: one frame only */
};
/* FED_EAGAIN: nothing there. FED_EWIRE: dropped something that was not one or two frames, had a frame over max_frame, or had
 * no User-Id on its last frame (call again). The caller releases both frames. */
int fed_lane_recv(struct fed_incoming *out, struct fed_lane *lane) FED_MUST_CHECK;

/* Ends the connection by which this came, as if its line were cut: libzmq has no call for that, but tells which descriptor a
 * message came by. Where that is not the peer's any more, because the connection is gone and the number was given anew,
 * nothing is done; at worst it is another connection from the same address, and whoever has that connects again. */
void fed_lane_cut(const struct fed_incoming *in);

/* Bytes that many sends share without copying: freed by done(context) on any thread once nobody needs them. */
struct fed_shared;
int fed_shared_new(struct fed_shared **out, void *bytes, size_t n, void (*done)(void *bytes, void *context),
                   void *context) FED_MUST_CHECK;
void fed_shared_release(struct fed_shared *shared); /* the owner's reference; sends in flight keep theirs; NULL is allowed */

/* head is copied. body: n_body bytes at offset of shared (no copy), or shared NULL for none. to: NULL on a connected lane.
 * FED_EAGAIN: the peer is slow, nothing was sent. FED_EGONE: the route is dead. */
int fed_lane_send(struct fed_lane *lane, const struct fed_route *to, const void *head, size_t n_head,
                  struct fed_shared *shared, size_t offset, size_t n_body) FED_MUST_CHECK;

/* Wait until a lane or a descriptor is readable, or timeout_ms passed (-1: for ever). The ZAP socket of the link, if any, is
 * always among what is waited for and is served before the call returns. Returns 0 with nothing readable when time is up, a
 * signal came or only ZAP had work. Room to send again is no event: ask again after the next message or tick. */
struct fed_poll_item {
    struct fed_lane *lane; /* NULL: fd counts */
    int fd;
    bool readable; /* out */
    bool event;    /* out: the lane's monitor has something */
};
int fed_link_poll(struct fed_link *link, struct fed_poll_item *items, size_t n_items, int64_t timeout_ms) FED_MUST_CHECK;

/* For a loop of somebody else's: the descriptors of a connected lane that turn readable when it may have something. They are
 * quiet again before everything is fetched, so whoever waits for them asks fed_link_poll first. */
#define FED_LANE_FDS 2
int fed_lane_fds(const struct fed_lane *lane, int fds[FED_LANE_FDS]) FED_MUST_CHECK; /* FED_EFAILED */

#endif
