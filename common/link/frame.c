/* Messages: one head, copied because it is small, and at most one body, never copied.
 * A message leaves whole or not at all, and one that arrives is one or two frames of a peer whose name is known. */
#include "common/link/link_internal.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

_Static_assert(sizeof(zmq_msg_t) <= sizeof(((struct fed_frame *)0)->opaque), "a ZeroMQ message fits into a frame");
_Static_assert(_Alignof(zmq_msg_t) <= _Alignof(struct fed_frame), "a frame is aligned for a ZeroMQ message");

/* -- frames --------------------------------------------------------------------------------------------------------- */

static zmq_msg_t *message_of(struct fed_frame *frame) { return (zmq_msg_t *)(void *)frame->opaque; }

static void frame_adopt(struct fed_frame *frame, zmq_msg_t *message) {
    zmq_msg_init(message_of(frame));
    zmq_msg_move(message_of(frame), message);
    frame->bytes = zmq_msg_data(message_of(frame)); /* never NULL: it marks the frame as full */
    frame->n = zmq_msg_size(message_of(frame));
}

void fed_frame_release(struct fed_frame *frame) {
    if (frame->bytes != NULL) {
        zmq_msg_close(message_of(frame));
        frame->bytes = NULL;
        frame->n = 0;
    }
}

void fed_frame_move(struct fed_frame *to, struct fed_frame *from) {
    *to = (struct fed_frame){.bytes = NULL};
    if (from->bytes != NULL) {
        frame_adopt(to, message_of(from));
        fed_frame_release(from);
    }
}

bool fed_route_equal(const struct fed_route *a, const struct fed_route *b) {
    return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

/* -- receiving ------------------------------------------------------------------------------------------------------ */

static int receive_frame(zmq_msg_t *frame, void *socket) {
    int n;
    do {
        n = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? (errno == EAGAIN ? FED_EAGAIN : FED_EFAILED) : 0;
}

/* The frame that a ROUTER puts in front. A peer may choose its own id, of up to 255 bytes; ours never do. */
static int receive_route(struct fed_route *out, void *socket) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    *out = (struct fed_route){.n = 0};
    int status = receive_frame(&frame, socket);
    if (status == 0 && zmq_msg_size(&frame) <= sizeof out->bytes) {
        out->n = (uint8_t)zmq_msg_size(&frame);
        memcpy(out->bytes, zmq_msg_data(&frame), out->n);
    }
    zmq_msg_close(&frame);
    return status;
}

/* All frames of one message: the first two are kept, the others thrown away. out: how many there were. */
static int receive_payload(size_t *out, zmq_msg_t kept[2], size_t max_frame, void *socket) {
    bool fits = true, more = true;
    size_t n = 0;
    zmq_msg_t surplus;
    zmq_msg_init(&surplus);
    while (more) {
        zmq_msg_t *next = n < 2 ? &kept[n] : &surplus;
        int status = receive_frame(next, socket);
        if (status != 0) { /* libzmq delivers whole messages: only the first frame can be missing */
            zmq_msg_close(&surplus);
            return status;
        }
        fits = fits && zmq_msg_size(next) <= max_frame;
        more = zmq_msg_more(next) != 0;
        n++;
    }
    zmq_msg_close(&surplus);
    *out = n;
    return fits && n <= 2 ? 0 : FED_EWIRE;
}

/* The name under which ZAP let the peer in. Only the last frame is sure to carry it: libzmq 4.3.4 delivers the routing id
 * without. */
static int read_user(char out[FED_USER_MAX], zmq_msg_t *last) {
    const char *user = zmq_msg_gets(last, "User-Id");
    if (user == NULL || user[0] == 0 || strlen(user) >= FED_USER_MAX) {
        return FED_EWIRE;
    }
    memcpy(out, user, strlen(user) + 1);
    return 0;
}

static bool is_address_of(int fd, const char *address) {
    struct sockaddr_storage peer;
    socklen_t n = sizeof peer;
    char text[INET6_ADDRSTRLEN];
    return address != NULL && getpeername(fd, (struct sockaddr *)&peer, &n) == 0 &&
           getnameinfo((struct sockaddr *)&peer, n, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
           strcmp(text, address) == 0;
}

void fed_lane_cut(const struct fed_incoming *in) {
    const struct fed_frame *last = in->body.bytes != NULL ? &in->body : &in->head;
    const zmq_msg_t *message = (const zmq_msg_t *)(const void *)last->opaque;
    int fd = zmq_msg_get(message, ZMQ_SRCFD);
    if (fd >= 0 && is_address_of(fd, zmq_msg_gets(message, "Peer-Address"))) {
        shutdown(fd, SHUT_RDWR);
    }
}

int fed_lane_recv(struct fed_incoming *out, struct fed_lane *lane) {
    struct fed_route from = {.n = 0};
    char user[FED_USER_MAX] = "";
    if (lane->bound) {
        int status = receive_route(&from, lane->socket);
        if (status != 0) {
            return status;
        }
    }
    zmq_msg_t kept[2];
    zmq_msg_init(&kept[0]);
    zmq_msg_init(&kept[1]);
    size_t n = 0;
    int status = receive_payload(&n, kept, lane->max_frame, lane->socket);
    if (status == 0 && lane->bound) {
        status = from.n == 0 ? FED_EWIRE : read_user(user, &kept[n - 1]);
    }
    if (status == 0) {
        out->from = from;
        memcpy(out->user, user, sizeof user);
        out->head = out->body = (struct fed_frame){.bytes = NULL};
        frame_adopt(&out->head, &kept[0]);
        if (n == 2) {
            frame_adopt(&out->body, &kept[1]);
        }
    }
    zmq_msg_close(&kept[0]);
    zmq_msg_close(&kept[1]);
    return status;
}

/* -- bytes that many sends share ------------------------------------------------------------------------------------ */

struct fed_shared {
    atomic_size_t references;
    uint8_t *bytes;
    size_t n;
    void (*done)(void *bytes, void *context);
    void *context;
};

int fed_shared_new(struct fed_shared **out, void *bytes, size_t n, void (*done)(void *bytes, void *context), void *context) {
    struct fed_shared *shared = malloc(sizeof *shared);
    if (shared == NULL) {
        return FED_ENOMEM;
    }
    *shared = (struct fed_shared){.bytes = bytes, .n = n, .done = done, .context = context};
    atomic_init(&shared->references, 1);
    *out = shared;
    return 0;
}

void fed_shared_release(struct fed_shared *shared) {
    if (shared != NULL && atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1) {
        if (shared->done != NULL) {
            shared->done(shared->bytes, shared->context);
        }
        free(shared);
    }
}

/* Called by libzmq, on its I/O thread, for every message that has left. */
static void message_gone(void *bytes, void *shared) {
    (void)bytes;
    fed_shared_release(shared);
}

static int message_share(zmq_msg_t *message, struct fed_shared *shared, size_t offset, size_t n) {
    assert(offset <= shared->n && n <= shared->n - offset);
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    zmq_msg_t body;
    if (zmq_msg_init_data(&body, shared->bytes + offset, n, message_gone, shared) != 0) {
        fed_shared_release(shared);
        return FED_ENOMEM;
    }
    zmq_msg_move(message, &body);
    return 0;
}

/* -- sending -------------------------------------------------------------------------------------------------------- */

/* message stays the caller's to close, sent or not. */
static int send_part(void *socket, zmq_msg_t *message, bool more) {
    int sent;
    do {
        sent = zmq_msg_send(message, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        return 0;
    }
    return errno == EAGAIN ? FED_EAGAIN : errno == EHOSTUNREACH ? FED_EGONE : FED_EFAILED;
}

/* The part that decides whether there is room. A socket learns of room only when it reads its commands, which a send does
 * not always do: before saying that the peer is slow, make it look. Never for a later part: it would begin a message. */
static int send_first_part(void *socket, zmq_msg_t *message, bool more) {
    int status = send_part(socket, message, more);
    if (status == FED_EAGAIN) {
        int events;
        size_t n = sizeof events;
        zmq_getsockopt(socket, ZMQ_EVENTS, &events, &n);
        status = send_part(socket, message, more);
    }
    return status;
}

/* After the first part nothing is refused for want of room, since libzmq counts whole messages; and if the connection dies
 * in between, libzmq takes the started message back: a ROUTER drops the rest in silence, a DEALER says EAGAIN, and either
 * socket is ready for the next message. */
static int send_all(struct fed_lane *lane, zmq_msg_t parts[3], size_t n) {
    int status = send_first_part(lane->socket, &parts[0], n > 1);
    for (size_t i = 1; status == 0 && i < n; i++) {
        status = send_part(lane->socket, &parts[i], i + 1 < n);
    }
    return status;
}

static int message_copy(zmq_msg_t *message, const void *bytes, size_t n) {
    zmq_msg_t copy;
    if (zmq_msg_init_size(&copy, n) != 0) {
        return FED_ENOMEM;
    }
    if (n > 0) {
        memcpy(zmq_msg_data(&copy), bytes, n);
    }
    zmq_msg_move(message, &copy);
    return 0;
}

/* Everything that can fail for want of memory comes before the first part leaves. */
int fed_lane_send(struct fed_lane *lane, const struct fed_route *to, const void *head, size_t n_head,
                  struct fed_shared *shared, size_t offset, size_t n_body) {
    assert((to != NULL) == lane->bound);
    zmq_msg_t parts[3];
    for (size_t i = 0; i < 3; i++) {
        zmq_msg_init(&parts[i]);
    }
    size_t n = 0;
    int status = 0;
    if (to != NULL) {
        status = message_copy(&parts[n++], to->bytes, to->n);
    }
    if (status == 0) {
        status = message_copy(&parts[n++], head, n_head);
    }
    if (status == 0 && shared != NULL && n_body > 0) {
        status = message_share(&parts[n++], shared, offset, n_body);
    }
    if (status == 0) {
        status = send_all(lane, parts, n);
    }
    for (size_t i = 0; i < 3; i++) {
        zmq_msg_close(&parts[i]);
    }
    return status;
}
