/* Who may enter: a ZAP 1.0 handler (RFC 27). libzmq asks once for every handshake, over inproc, with what the peer sent as
 * credentials; the answer is 200 with the name of the peer, or a refusal. A lane takes one mechanism and no other.
 * What the peer sent is hostile: fed_zap_decide is pure and takes any frames whatsoever. */
#include "common/link/link_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#define REQUESTS_A_CALL 64 /* a storm of handshakes does not hold up the loop: the rest waits for the next call */
#define CREDENTIAL_MAX 255 /* what one length byte of a PLAIN handshake can say */
#define REQUEST_ID_MAX 255

enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS };

static bool frame_is(const struct fed_zap_frame *frame, const char *text) {
    return frame->n == strlen(text) && memcmp(frame->bytes, text, frame->n) == 0;
}

/* A string without a zero inside, so that what the gate compares is all that was sent. */
static bool frame_to_string(char out[CREDENTIAL_MAX + 1], const struct fed_zap_frame *frame) {
    if (frame->n > CREDENTIAL_MAX || (frame->n > 0 && memchr(frame->bytes, 0, frame->n) != NULL)) {
        return false;
    }
    if (frame->n > 0) {
        memcpy(out, frame->bytes, frame->n);
    }
    out[frame->n] = 0;
    return true;
}

typedef bool judge_key(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]);

static bool let_in_curve(char user[FED_USER_MAX], const struct fed_zap_frame *credentials, size_t n, void *context,
                         judge_key *judge) {
    return n == 1 && credentials[0].n == FED_KEY_BYTES && judge != NULL && judge(context, credentials[0].bytes, user);
}

static bool let_in_plain(char user[FED_USER_MAX], const struct fed_zap_frame *credentials, size_t n,
                         const struct fed_gate *gate) {
    char handle[CREDENTIAL_MAX + 1], capability[CREDENTIAL_MAX + 1];
    bool yes = n == 2 && gate->plain != NULL && frame_to_string(handle, &credentials[0]) &&
               frame_to_string(capability, &credentials[1]) && gate->plain(gate->context, handle, capability, user);
    explicit_bzero(capability, sizeof capability);
    return yes;
}

int fed_zap_decide(char user[FED_USER_MAX], const struct fed_zap_frame *frames, size_t n_frames,
                   const struct fed_gate *gate) {
    if (n_frames < CREDENTIALS || n_frames > FED_ZAP_FRAMES_MAX || !frame_is(&frames[VERSION], "1.0") ||
        frames[REQUEST_ID].n > REQUEST_ID_MAX) {
        return 500;
    }
    char name[FED_USER_MAX] = "";
    const struct fed_zap_frame *credentials = frames + CREDENTIALS;
    size_t n = n_frames - CREDENTIALS;
    bool yes = false;
    if (frame_is(&frames[DOMAIN], FED_DOMAIN_CONTROL) && frame_is(&frames[MECHANISM], "CURVE")) {
        yes = let_in_curve(name, credentials, n, gate->context, gate->curve);
    } else if (frame_is(&frames[DOMAIN], FED_DOMAIN_ENROL) && frame_is(&frames[MECHANISM], "CURVE")) {
        yes = let_in_curve(name, credentials, n, gate->context, gate->enrol);
    } else if (frame_is(&frames[DOMAIN], FED_DOMAIN_BULK) && frame_is(&frames[MECHANISM], "PLAIN")) {
        yes = let_in_plain(name, credentials, n, gate);
    }
    if (!yes) {
        return 400;
    }
    assert(name[0] != 0 && memchr(name, 0, sizeof name) != NULL); /* the gate names whom it lets in */
    memcpy(user, name, sizeof name);
    return 200;
}

int fed_zap_open(void **out, void *context, struct fed_error *err) {
    void *socket = zmq_socket(context, ZMQ_REP);
    int zero = 0;
    if (socket == NULL || zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_bind(socket, "inproc://zeromq.zap.01") != 0) {
        int failed = zmq_errno();
        if (socket != NULL) {
            zmq_close(socket);
        }
        return fed_error_set(err, FED_EFAILED, "cannot open the ZAP handler: %s", zmq_strerror(failed));
    }
    *out = socket;
    return 0;
}

/* Receives one whole request into messages (FED_ZAP_FRAMES_MAX of them, initialised here, closed by the caller). out: how
 * many frames it had, those beyond the last one counted and thrown away. False: nothing waits. */
static bool receive_request(size_t *out, zmq_msg_t *messages, void *socket) {
    size_t n = 0;
    zmq_msg_t surplus;
    zmq_msg_init(&surplus);
    bool any = false;
    for (;;) {
        zmq_msg_t *next = n < FED_ZAP_FRAMES_MAX ? &messages[n] : &surplus;
        if (zmq_msg_recv(next, socket, ZMQ_DONTWAIT) < 0) {
            if (errno == EINTR) {
                continue;
            }
            break;
        }
        any = true;
        n++;
        if (!zmq_msg_more(next)) {
            break;
        }
    }
    zmq_msg_close(&surplus);
    *out = n;
    return any;
}

static void send_part(void *socket, const void *bytes, size_t n, int flags) {
    /* A peer that left while it was being judged takes no answer, and that is all that can go wrong. */
    while (zmq_send(socket, bytes, n, flags | ZMQ_DONTWAIT) < 0 && errno == EINTR) {
    }
}

static void send_reply(void *socket, const struct fed_zap_frame *request_id, int status, const char *user) {
    char code[12];
    snprintf(code, sizeof code, "%d", status);
    const char *text = status == 200 ? "welcome" : "not let in";
    send_part(socket, "1.0", 3, ZMQ_SNDMORE);
    send_part(socket, request_id->bytes, request_id->n, ZMQ_SNDMORE);
    send_part(socket, code, strlen(code), ZMQ_SNDMORE);
    send_part(socket, text, strlen(text), ZMQ_SNDMORE);
    send_part(socket, user, strlen(user), ZMQ_SNDMORE);
    send_part(socket, "", 0, 0);
}

static bool serve_one(struct fed_link *link) {
    zmq_msg_t messages[FED_ZAP_FRAMES_MAX];
    struct fed_zap_frame frames[FED_ZAP_FRAMES_MAX] = {{0}};
    for (size_t i = 0; i < FED_ZAP_FRAMES_MAX; i++) {
        zmq_msg_init(&messages[i]);
    }
    size_t n = 0;
    bool any = receive_request(&n, messages, link->zap);
    if (any) {
        for (size_t i = 0; i < n && i < FED_ZAP_FRAMES_MAX; i++) {
            frames[i] = (struct fed_zap_frame){zmq_msg_data(&messages[i]), zmq_msg_size(&messages[i])};
        }
        char user[FED_USER_MAX] = "";
        int status = fed_zap_decide(user, frames, n, &link->gate);
        send_reply(link->zap, &frames[REQUEST_ID], status, user);
    }
    for (size_t i = 0; i < FED_ZAP_FRAMES_MAX; i++) {
        zmq_msg_close(&messages[i]);
    }
    return any;
}

void fed_link_serve_zap(struct fed_link *link) {
    for (int i = 0; link->zap != NULL && i < REQUESTS_A_CALL && serve_one(link); i++) {
    }
}
