/* What became of a connection, told by libzmq's socket monitor over a PAIR.
 *
 * libzmq writes events from its I/O thread with a blocking send: a PAIR that fills up, or is closed while the monitor still
 * runs, stops that thread and with it every lane. So the PAIR has no high-water mark, and is closed only after the monitor.
 */
#include "common/link/link_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#define EVENTS                                                                                                              \
    (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |           \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED)
#define BROKEN_IS_WRONG 2 /* once may be a coordinator that stopped in the middle of a handshake */

static enum fed_link_event report(struct fed_monitor *monitor, enum fed_link_event event) {
    if (monitor->said == event) {
        return FED_LINK_QUIET;
    }
    monitor->said = event;
    return event;
}

/* A server that cannot open our HELLO, because it holds another key than the one pinned, hangs up without a word. Silence
 * until the handshake timer is something else: a frozen or overloaded machine, which is merely down. */
static enum fed_link_event handshake_broken(struct fed_monitor *monitor, uint32_t error) {
    bool hung_up = error == EPIPE || error == ECONNRESET;
    if (hung_up && ++monitor->broken >= BROKEN_IS_WRONG) {
        return report(monitor, FED_LINK_WRONG_PEER);
    }
    return monitor->broken >= BROKEN_IS_WRONG ? FED_LINK_QUIET : report(monitor, FED_LINK_DOWN);
}

enum fed_link_event fed_monitor_step(struct fed_monitor *monitor, uint16_t event, uint32_t value) {
    if (monitor->said == FED_LINK_REFUSED) {
        return FED_LINK_QUIET; /* libzmq has given this socket up */
    }
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        monitor->broken = 0;
        monitor->said = FED_LINK_UP;
        return FED_LINK_UP;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: return report(monitor, FED_LINK_REFUSED);
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: monitor->broken = BROKEN_IS_WRONG; return report(monitor, FED_LINK_WRONG_PEER);
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: return handshake_broken(monitor, value);
    case ZMQ_EVENT_CLOSED: /* connect(2) failed: nobody is there to be wrong */
        monitor->broken = 0;
        return report(monitor, FED_LINK_DOWN);
    case ZMQ_EVENT_DISCONNECTED:
    case ZMQ_EVENT_CONNECT_RETRIED: /* also after a broken handshake, which has been reported */
        return monitor->said == FED_LINK_WRONG_PEER ? FED_LINK_QUIET : report(monitor, FED_LINK_DOWN);
    default: return FED_LINK_QUIET;
    }
}

int fed_monitor_start(void **out, struct fed_link *link, void *socket, struct fed_error *err) {
    char name[64];
    snprintf(name, sizeof name, "inproc://fed.monitor.%u", atomic_fetch_add(&link->monitors, 1u));
    int zero = 0;
    void *pair = zmq_socket(link->context, ZMQ_PAIR);
    if (pair == NULL || zmq_setsockopt(pair, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_setsockopt(pair, ZMQ_RCVHWM, &zero, sizeof zero) != 0 || zmq_socket_monitor(socket, name, EVENTS) != 0) {
        goto failed;
    }
    if (zmq_connect(pair, name) != 0) {
        zmq_socket_monitor(socket, NULL, 0);
        goto failed;
    }
    *out = pair;
    return 0;
failed:;
    int reason = zmq_errno();
    if (pair != NULL) {
        zmq_close(pair);
    }
    return fed_error_set(err, FED_EFAILED, "cannot watch a connection: %s", zmq_strerror(reason));
}

void fed_monitor_stop(void *pair, void *socket) {
    if (pair != NULL) {
        zmq_socket_monitor(socket, NULL, 0);
        zmq_close(pair);
    }
}

/* The next event of libzmq: 16 bits of event and 32 of value, then the endpoint, which the lane knows already. */
static bool next_event(uint16_t *event, uint32_t *value, void *pair) {
    uint8_t packed[6];
    char endpoint[FED_ENDPOINT_MAX];
    int n;
    do {
        n = zmq_recv(pair, packed, sizeof packed, ZMQ_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n != (int)sizeof packed) {
        return false;
    }
    while (zmq_recv(pair, endpoint, sizeof endpoint, ZMQ_DONTWAIT) < 0 && errno == EINTR) {
    }
    memcpy(event, packed, sizeof *event);
    memcpy(value, packed + sizeof *event, sizeof *value);
    return true;
}

enum fed_link_event fed_lane_event(struct fed_lane *lane) {
    uint16_t event;
    uint32_t value;
    while (lane->pair != NULL && next_event(&event, &value, lane->pair)) {
        enum fed_link_event news = fed_monitor_step(&lane->monitor, event, value);
        if (news != FED_LINK_QUIET) {
            return news;
        }
    }
    return FED_LINK_QUIET;
}
