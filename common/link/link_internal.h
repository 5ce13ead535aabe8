/* What the files of this room share; nobody else includes it, except this room's own tests and fuzz harness.
 * zmq.h stays out: sockets and contexts are void pointers, as they are in zmq.h itself. */
#ifndef FED_COMMON_LINK_LINK_INTERNAL_H
#define FED_COMMON_LINK_LINK_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/link/link.h"

#define FED_ENDPOINT_MAX 320
#define FED_DOMAIN_CONTROL "control"
#define FED_DOMAIN_BULK "bulk"
#define FED_DOMAIN_ENROL "enrol"

struct fed_link {
    void *context;
    void *zap; /* REP at inproc://zeromq.zap.01; NULL without a gate: then nobody is let in */
    struct fed_gate gate;
    int handshake_ms;
    atomic_uint lanes;    /* open now */
    atomic_uint monitors; /* names drawn so far */
};

/* What the monitor of a connected lane has told: a pure state machine, so that a test can tell it anything. */
struct fed_monitor {
    enum fed_link_event said; /* the last event reported; QUIET before the first */
    unsigned broken;          /* handshakes that the peer broke off since the last one that went through */
};
/* One event of ZeroMQ in, what the caller has to know out (QUIET: nothing new). */
enum fed_link_event fed_monitor_step(struct fed_monitor *monitor, uint16_t event, uint32_t value);
/* socket: not connected yet. out: the PAIR on which the events arrive. */
int fed_monitor_start(void **out, struct fed_link *link, void *socket, struct fed_error *err) FED_MUST_CHECK;
/* Before socket is closed. */
void fed_monitor_stop(void *pair, void *socket);

/* The descriptor that libzmq listens on (-1: none, or ipc). */
struct fed_door {
    int fd;    /* the listener; -1 = none that can be shut */
    int spare; /* put by, for when there is no other; -1 = none */
    bool shut;
};
#define FED_LISTENERS_MOST 32
struct fed_listeners {
    size_t n;
    int fds[FED_LISTENERS_MOST];
};
/* door: a listener that is not among those seen. seen: those there are now. */
void fed_door_look(struct fed_door *door, struct fed_listeners *seen);
void fed_door_fini(struct fed_door *door);

struct fed_lane {
    struct fed_link *link;
    void *socket;
    bool bound;
    struct fed_door door;
    size_t max_frame;
    void *pair; /* connected lanes: the monitor's events. A bound lane has none: strangers would fill it */
    struct fed_monitor monitor;
    char endpoint[FED_ENDPOINT_MAX];
};

/* FED_EADDRESS with a sentence unless endpoint is tcp://... or ipc://... of a length that the system can take. */
int fed_address_check(const char *endpoint, struct fed_error *err) FED_MUST_CHECK;
/* FED_EADDRESS with a sentence when binding would take an ipc path away from a live listener or delete a file. */
int fed_address_free(const char *endpoint, struct fed_error *err) FED_MUST_CHECK;
bool fed_address_is_ipc(const char *endpoint);

/* RFC 27. frames: those of a request after the delimiter: version, request id, domain, address, identity, mechanism,
 * credentials. Returns the status to answer with: 200 (user is filled), 400 (not let in), 500 (not a request of ZeroMQ). */
struct fed_zap_frame {
    const uint8_t *bytes;
    size_t n;
};
#define FED_ZAP_FRAMES_MAX 8
int fed_zap_decide(char user[FED_USER_MAX], const struct fed_zap_frame *frames, size_t n_frames,
                   const struct fed_gate *gate) FED_MUST_CHECK;
int fed_zap_open(void **out, void *context, struct fed_error *err) FED_MUST_CHECK;

#endif
