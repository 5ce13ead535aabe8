/* The ZeroMQ context, its ZAP handler, and waiting. Option defaults and limits that hold for the whole process are here;
 * what holds for one socket is in lane.c. */
#include "common/link/link.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/link/link_internal.h"

#define HANDSHAKE_MS 8000 /* four round trips of 600 ms, and two losses among them */
#define SELF_TEST_MS 5000
#define DESCRIPTORS_A_PEER 4 /* two connections on the coordinator; socket, monitor and their mailboxes on a node */
#define DESCRIPTORS_KEPT 128 /* checkpoints, store, log, http */
#define SOCKETS_A_PEER 3     /* a socket, its monitor, and the PAIR that reads it */
#define SOCKETS_KEPT 64
#define FEW 64

const char *fed_link_version(void) {
    static _Thread_local char text[40];
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    return text;
}

static int check_library(struct fed_error *err) {
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    if (ZMQ_MAKE_VERSION(major, minor, patch) < ZMQ_MAKE_VERSION(4, 3, 4)) {
        return fed_error_set(err, FED_EFAILED, "libzmq %s is too old; 4.3.4 or newer is needed", fed_link_version());
    }
    if (!zmq_has("curve")) {
        return fed_error_set(err, FED_EFAILED, "this libzmq (%s) was built without CURVE", fed_link_version());
    }
    return 0;
}

/* At the limit of open files libzmq's I/O thread spins and nothing can be saved: take what the system gives at the start,
 * and refuse to start when it is not enough. */
static int reserve_descriptors(int max_peers, struct fed_error *err) {
    rlim_t want = (rlim_t)max_peers * DESCRIPTORS_A_PEER + DESCRIPTORS_KEPT;
    rlim_t need = (rlim_t)max_peers + DESCRIPTORS_KEPT; /* bulk lanes come and go; who serves them looks at the limit */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want) {
        return 0;
    }
    if (limit.rlim_max < need) {
        return fed_error_set(
            err, FED_EFAILED,
            "%d peers need %llu open files and the system allows %llu; raise the limit (ulimit -n, LimitNOFILE)", max_peers,
            (unsigned long long)need, (unsigned long long)limit.rlim_max);
    }
    limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return fed_error_set(err, FED_EFAILED, "cannot raise the limit of open files to %llu",
                             (unsigned long long)limit.rlim_cur);
    }
    return 0;
}

static int set_context(void *context, int io_threads, int max_peers) {
    int most = zmq_ctx_get(context, ZMQ_SOCKET_LIMIT);
    int64_t want = (int64_t)max_peers * SOCKETS_A_PEER + SOCKETS_KEPT;
    int sockets = want < most ? (int)want : most;
    return zmq_ctx_set(context, ZMQ_IO_THREADS, io_threads) == 0 && zmq_ctx_set(context, ZMQ_MAX_SOCKETS, sockets) == 0 ? 0
                                                                                                                        : -1;
}

/* libzmq starts libpgm with its first context and ends it with its last, and libpgm does neither with a lock: contexts of
 * several threads would run into each other there, though none of ours ever speaks PGM. */
static pthread_mutex_t contexts = PTHREAD_MUTEX_INITIALIZER;

static void *context_new(void) {
    pthread_mutex_lock(&contexts);
    void *context = zmq_ctx_new();
    pthread_mutex_unlock(&contexts);
    return context;
}

static void context_term(void *context) {
    pthread_mutex_lock(&contexts);
    while (zmq_ctx_term(context) != 0 && errno == EINTR) {
    }
    pthread_mutex_unlock(&contexts);
}

int fed_link_new(struct fed_link **out, int io_threads, int max_peers, const struct fed_gate *gate, struct fed_error *err) {
    assert(io_threads >= 1 && max_peers >= 0);
    int status = check_library(err);
    if (status == 0 && max_peers > 0) {
        status = reserve_descriptors(max_peers, err);
    }
    if (status != 0) {
        return status;
    }
    struct fed_link *link = calloc(1, sizeof *link);
    void *context = context_new();
    if (link == NULL || context == NULL || set_context(context, io_threads, max_peers) != 0) {
        status = fed_error_set(err, FED_EFAILED, "cannot start ZeroMQ: %s", zmq_strerror(zmq_errno()));
        goto out;
    }
    link->handshake_ms = HANDSHAKE_MS;
    if (gate != NULL) {
        link->gate = *gate;
        status = fed_zap_open(&link->zap, context, err);
        if (status != 0) {
            goto out;
        }
    }
    link->context = context;
    *out = link;
    return 0;
out:
    if (context != NULL) {
        context_term(context);
    }
    free(link);
    return status;
}

void fed_link_free(struct fed_link *link) {
    if (link == NULL) {
        return;
    }
    assert(atomic_load(&link->lanes) == 0); /* or zmq_ctx_term would wait for ever */
    if (link->zap != NULL) {
        zmq_close(link->zap);
    }
    context_term(link->context);
    free(link);
}

/* -- waiting ---------------------------------------------------------------------------------------------------------- */

static size_t fill(zmq_pollitem_t *set, const struct fed_link *link, const struct fed_poll_item *items, size_t n_items) {
    size_t n = 0;
    for (size_t i = 0; i < n_items; i++) {
        const struct fed_lane *lane = items[i].lane;
        set[n++] = lane != NULL ? (zmq_pollitem_t){.socket = lane->socket, .events = ZMQ_POLLIN}
                                : (zmq_pollitem_t){.fd = items[i].fd, .events = ZMQ_POLLIN | ZMQ_POLLERR};
        if (lane != NULL && lane->pair != NULL) {
            set[n++] = (zmq_pollitem_t){.socket = lane->pair, .events = ZMQ_POLLIN};
        }
    }
    if (link->zap != NULL) {
        set[n++] = (zmq_pollitem_t){.socket = link->zap, .events = ZMQ_POLLIN};
    }
    return n;
}

/* Reads set in the order in which fill wrote it. */
static void read_back(struct fed_poll_item *items, size_t n_items, const zmq_pollitem_t *set) {
    for (size_t i = 0; i < n_items; i++) {
        const struct fed_lane *lane = items[i].lane;
        items[i].readable = set++->revents != 0;
        items[i].event = lane != NULL && lane->pair != NULL && set++->revents != 0;
    }
}

int fed_link_poll(struct fed_link *link, struct fed_poll_item *items, size_t n_items, int64_t timeout_ms) {
    zmq_pollitem_t few[FEW], *set = few;
    if (n_items > (FEW - 1) / 2) {
        set = n_items < SIZE_MAX / (2 * sizeof *set) - 1 ? malloc((2 * n_items + 1) * sizeof *set) : NULL;
        if (set == NULL) {
            return FED_ENOMEM;
        }
    }
    int status = 0;
    size_t n = fill(set, link, items, n_items);
    if (zmq_poll(set, (int)n, (long)timeout_ms) < 0) {
        status = errno == EINTR ? 0 : FED_EFAILED;
        for (size_t i = 0; i < n; i++) {
            set[i].revents = 0;
        }
    }
    read_back(items, n_items, set);
    if (set != few) {
        free(set);
    }
    fed_link_serve_zap(link);
    return status;
}

int fed_lane_fds(const struct fed_lane *lane, int fds[FED_LANE_FDS]) {
    size_t n = sizeof *fds;
    assert(lane->pair != NULL);
    return zmq_getsockopt(lane->socket, ZMQ_FD, &fds[0], &n) == 0 && zmq_getsockopt(lane->pair, ZMQ_FD, &fds[1], &n) == 0
               ? 0
               : FED_EFAILED;
}

/* -- the self test ---------------------------------------------------------------------------------------------------- */

static int judge_stranger(enum fed_link_event event, struct fed_error *err) {
    switch (event) {
    case FED_LINK_REFUSED: return 0;
    case FED_LINK_UP:
        return fed_error_set(
            err, FED_EFAILED,
            "self test: a stranger's key was let in on the control lane; this libzmq (%s) is not safe to use",
            fed_link_version());
    case FED_LINK_WRONG_PEER:
        return fed_error_set(err, FED_EFAILED, "self test: the control lane does not answer to its own key");
    default: return FED_EAGAIN;
    }
}

int fed_link_self_test(struct fed_link *link, const struct fed_lane *control, const struct fed_identity *identity,
                       struct fed_error *err) {
    struct fed_identity stranger;
    struct fed_lane *lane = NULL;
    int status = fed_identity_generate(&stranger, err);
    if (status != 0) {
        return status;
    }
    status = fed_lane_connect_control(&lane, link, control->endpoint, &stranger, identity->public_keys.curve,
                                      control->max_frame, err);
    uint64_t end_ms = fed_clock_ms() + SELF_TEST_MS, now_ms;
    if (status == 0) {
        status = FED_EAGAIN;
    }
    while (status == FED_EAGAIN && (now_ms = fed_clock_ms()) < end_ms) {
        struct fed_poll_item item = {.lane = lane};
        status = fed_link_poll(link, &item, 1, (int64_t)(end_ms - now_ms));
        if (status == 0) {
            status = judge_stranger(fed_lane_event(lane), err);
        }
    }
    if (status == FED_EAGAIN) {
        status = fed_error_set(err, FED_EFAILED, "self test: the control lane at %s did not answer within %d ms",
                               control->endpoint, SELF_TEST_MS);
    }
    fed_lane_close(lane);
    fed_identity_fini(&stranger);
    return status;
}
