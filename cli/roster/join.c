#include "cli/roster/join.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/link/link.h"
#include "common/seal/digest.h"
#include "proto/wire.h"

#define SAY_AGAIN_MS 2000
#define OPEN_AGAIN_MS 1000 /* and by chance up to as much again: many who were turned away do not come at once */
#define SENTENCE_PEER "%s: who answers there does not hold the key that --coordinator-key names"

struct join {
    struct fed_link *link;
    struct fed_lane *lane; /* NULL: to be opened at open_ms */
    bool up;
    uint64_t open_ms, say_ms, end_ms;
    struct fed_message enrol;
    const struct fed_identity *node;
    const struct fed_join_options *options;
};

static int make_enrol(struct fed_message *out, const struct fed_token *token, const struct fed_identity *node,
                      const struct fed_public_keys *coordinator, struct fed_error *err) {
    struct fed_msg_enrol *enrol = &out->as.enrol;
    struct fed_enrolment enrolment;
    *out = (struct fed_message){.kind = FED_MSG_ENROL, .seq = 1};
    fed_token_prove(&enrolment, token, &node->public_keys, coordinator);
    memcpy(enrol->certificate, enrolment.certificate, sizeof enrol->certificate);
    memcpy(enrol->signature, enrolment.proof + sizeof *coordinator, sizeof enrol->signature);
    enrol->keys = node->public_keys;
    if (fed_enrolment_mac_node(enrol->seal_mac, enrol->certificate, node, coordinator) != 0) {
        return fed_error_set(err, FED_ECONFIG, "--coordinator-key: not a key that anybody could hold");
    }
    return 0;
}

/* -- the connection ---------------------------------------------------------------------------------------------------- */

static void close_for_a_while(struct join *join, uint64_t now_ms) {
    uint16_t chance;
    fed_random_bytes(&chance, sizeof chance);
    fed_lane_close(join->lane);
    join->lane = NULL;
    join->up = false;
    join->open_ms = now_ms + OPEN_AGAIN_MS + chance % OPEN_AGAIN_MS;
}

static int hear_link(struct join *join, uint64_t now_ms, struct fed_error *err) {
    switch (fed_lane_event(join->lane)) {
    case FED_LINK_UP:
        join->up = true;
        join->say_ms = now_ms;
        return FED_EAGAIN;
    case FED_LINK_DOWN: join->up = false; return FED_EAGAIN;
    case FED_LINK_REFUSED: close_for_a_while(join, now_ms); return FED_EAGAIN; /* too many at once */
    case FED_LINK_WRONG_PEER: return fed_error_set(err, FED_EPEER, SENTENCE_PEER, join->options->coordinator);
    default: return FED_EAGAIN;
    }
}

/* -- the conversation -------------------------------------------------------------------------------------------------- */

static int say(struct join *join, uint64_t now_ms) {
    static uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    int rc = fed_message_encode(bytes, &n, &join->enrol);
    if (rc == 0) {
        rc = fed_lane_send(join->lane, NULL, bytes, n, NULL, 0, 0);
    }
    join->say_ms = now_ms + SAY_AGAIN_MS;
    return rc == FED_EAGAIN ? 0 : rc;
}

static int judge(struct join *join, const struct fed_message *message, uint64_t now_ms, struct fed_error *err) {
    uint8_t digest[FED_DIGEST_BYTES];
    fed_digest(digest, join->enrol.as.enrol.certificate, sizeof join->enrol.as.enrol.certificate);
    if (message->kind == FED_MSG_ENROLLED && memcmp(message->as.enrolled.certificate_digest, digest, sizeof digest) == 0) {
        return 0;
    }
    if (message->kind == FED_MSG_REFUSED && message->as.refused.code == FED_REFUSAL_BUSY) {
        join->say_ms = now_ms + message->as.refused.retry_after_ms;
    } else if (message->kind == FED_MSG_REFUSED) {
        return fed_error_set(err, FED_EPEER,
                             "%s: the token is refused (%s); why stands in the log of the coordinator, for its operator",
                             join->options->coordinator, fed_refusal_name(message->as.refused.code));
    }
    return FED_EAGAIN;
}

static int hear(struct join *join, uint64_t now_ms, struct fed_error *err) {
    static struct fed_message message;
    int rc = FED_EAGAIN;
    for (struct fed_incoming in = {0}; rc == FED_EAGAIN && fed_lane_recv(&in, join->lane) == 0;) {
        if (fed_message_decode(&message, in.head.bytes, in.head.n) == 0) {
            rc = judge(join, &message, now_ms, err);
        }
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
    return rc;
}

static int64_t wait_ms(const struct join *join, uint64_t now_ms) {
    uint64_t at = join->lane == NULL ? join->open_ms : join->up ? join->say_ms : join->end_ms;
    at = at < join->end_ms ? at : join->end_ms;
    return at > now_ms ? (int64_t)(at - now_ms) : 0;
}

/* FED_EAGAIN: it goes on. */
static int step(struct join *join, struct fed_error *err) {
    uint64_t now = fed_clock_ms();
    int rc = FED_EAGAIN;
    if (join->lane == NULL && now >= join->open_ms) {
        rc = fed_lane_connect_control(&join->lane, join->link, join->options->coordinator, join->node,
                                      join->options->coordinator_key.curve, FED_ENROL_MAX, err);
        rc = rc == 0 ? FED_EAGAIN : rc;
    }
    if (rc == FED_EAGAIN && join->up && now >= join->say_ms && say(join, now) != 0) {
        rc = fed_error_set(err, FED_EFAILED, "%s: cannot send", join->options->coordinator);
    }
    if (rc != FED_EAGAIN) {
        return rc;
    }
    struct fed_poll_item item = {.lane = join->lane};
    if (fed_link_poll(join->link, &item, join->lane != NULL, wait_ms(join, now)) != 0) {
        return fed_error_set(err, FED_EFAILED, "waiting for an answer failed");
    }
    if (join->lane != NULL) {
        rc = hear(join, fed_clock_ms(), err);
    }
    return rc == FED_EAGAIN && join->lane != NULL ? hear_link(join, fed_clock_ms(), err) : rc;
}

int fed_join(const struct fed_token *token, const struct fed_identity *node, const struct fed_join_options *options,
             struct fed_error *err) {
    struct join join = {.node = node, .options = options, .end_ms = fed_clock_ms() + (uint64_t)options->timeout_ms};
    int rc = make_enrol(&join.enrol, token, node, &options->coordinator_key, err);
    if (rc == 0) {
        rc = fed_link_new(&join.link, 1, 4, NULL, err);
    }
    if (rc == 0) {
        rc = FED_EAGAIN;
    }
    while (rc == FED_EAGAIN && fed_clock_ms() < join.end_ms) {
        rc = step(&join, err);
    }
    if (rc == FED_EAGAIN) {
        rc = fed_error_set(err, FED_EPEER,
                           "%s: no answer in time; the same token may be presented again, whether or not it was accepted",
                           options->coordinator);
    }
    fed_lane_close(join.lane);
    fed_link_free(join.link);
    return rc;
}
