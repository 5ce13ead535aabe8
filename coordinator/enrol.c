/* The enrolment lane: who holds a token comes in with a key that nobody knows yet. So this lane lets in any key, but few at
 * a time, hears few messages a second, checks signatures before anything else, and is closed and opened again once it has
 * let in as many as it has room for: a connection is needed for one question, and who was not answered asks again.
 *
 * A peer learns whether it is enrolled and nothing else. Why not is said in the log, at a bounded rate; certificates that
 * are genuine have a larger share of their own, so that those who come with false ones cannot hide why a true one fails. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/roster_signed.h"
#include "common/seal/digest.h"
#include "coordinator/coordinator_internal.h"

#define CONNECTIONS_MOST 32
#define CONNECTIONS_MS 60000 /* so long who was let in may stay */
#define CLOSED_MS 1000       /* libzmq lets go of an address soon after, not at once */
#define GRACE_S 300          /* clocks of who issued, who joins and who accepts need not agree */
#define BUSY_MS 500
#define MESSAGES_A_TURN 8

#define LINE 60 /* what a line of the log costs */

static const struct fed_rate handshakes = {4, 16}, messages = {5, 20};
static const struct fed_rate lines = {1, 20 * (uint64_t)LINE}; /* one a minute, twenty at once */

struct verdict {
    enum fed_refusal code; /* NONE: it is to be added, unless it is there */
    bool genuine;          /* its certificate is */
    bool there;
    char why[512];
};

/* -- the lane ---------------------------------------------------------------------------------------------------------- */

static int open_lane(struct fed_coordinator *c, const char *endpoint, struct fed_error *err) {
    struct fed_enrol *enrol = &c->enrol;
    int rc = fed_lane_bind_enrol(&enrol->lane, c->link, endpoint, &c->identity, FED_ENROL_MAX, err);
    if (rc == FED_OK) {
        snprintf(enrol->endpoint, sizeof enrol->endpoint, "%s",
                 fed_lane_endpoint(enrol->lane)); /* the port that was drawn */
        enrol->let_in = 0;
    }
    return rc;
}

int fed_enrol_open(struct fed_coordinator *c, struct fed_error *err) {
    if (c->task->server.enrol == NULL) {
        return FED_OK;
    }
    int rc = open_lane(c, c->task->server.enrol, err);
    if (rc == FED_OK) {
        FED_INFO("enrol", "listening", FED_STR("endpoint", c->enrol.endpoint));
    }
    return rc;
}

void fed_enrol_tick(struct fed_coordinator *c, uint64_t now_ms) {
    struct fed_enrol *enrol = &c->enrol;
    bool full = enrol->let_in >= CONNECTIONS_MOST || (enrol->let_in > 0 && now_ms >= enrol->since_ms + CONNECTIONS_MS);
    if (enrol->lane != NULL && (full || c->doors_shut)) { /* or descriptors are short */
        fed_lane_close(enrol->lane);
        enrol->lane = NULL;
        enrol->open_ms = now_ms + CLOSED_MS;
    } else if (enrol->lane == NULL && enrol->endpoint[0] != '\0' && now_ms >= enrol->open_ms && !c->doors_shut) {
        struct fed_error err;
        if (open_lane(c, enrol->endpoint, &err) != FED_OK) {
            enrol->open_ms = now_ms + CLOSED_MS;
            FED_WARN("enrol", "not open yet", FED_STR("why", err.text));
        }
    }
}

bool fed_enrol_listens(const struct fed_coordinator *c, uint64_t now_ms) {
    return c->enrol.lane != NULL && fed_limit_wait_ms(&c->enrol.messages, &messages, 1, now_ms) == 0;
}

bool fed_gate_enrol(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    struct fed_coordinator *c = context;
    struct fed_enrol *enrol = &c->enrol;
    uint64_t now = fed_clock_ms();
    if (enrol->let_in >= CONNECTIONS_MOST || !fed_limit_take(&enrol->handshakes, &handshakes, 1, now)) {
        fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_RATE, "too many connections to the enrolment lane");
        return false;
    }
    enrol->since_ms = enrol->let_in++ == 0 ? now : enrol->since_ms;
    fed_hex(user, key, FED_KEY_BYTES);
    return true;
}

/* -- answers ----------------------------------------------------------------------------------------------------------- */

/* Whether it arrives does not matter: who was not answered asks again. */
static void answer(struct fed_coordinator *c, const struct fed_route *route, struct fed_message *message) {
    static uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    message->seq = ++c->seq;
    if (c->enrol.lane != NULL && fed_message_encode(bytes, &n, message) == FED_OK) {
        int rc = fed_lane_send(c->enrol.lane, route, bytes, n, NULL, 0, 0);
        (void)rc;
    }
}

static void answer_enrolled(struct fed_coordinator *c, const struct fed_route *route,
                            const uint8_t digest[FED_DIGEST_BYTES]) {
    struct fed_message message = {.kind = FED_MSG_ENROLLED};
    memcpy(message.as.enrolled.certificate_digest, digest, sizeof message.as.enrolled.certificate_digest);
    answer(c, route, &message);
}

static void answer_refused(struct fed_coordinator *c, const struct fed_route *route, enum fed_refusal code) {
    struct fed_message message = {.kind = FED_MSG_REFUSED, .as.refused.code = code};
    message.as.refused.retry_after_ms = code == FED_REFUSAL_BUSY ? BUSY_MS : 0;
    answer(c, route, &message);
}

static void refuse(struct fed_coordinator *c, const struct fed_route *route, const struct verdict *verdict,
                   const char *name) {
    if (verdict->genuine && fed_limit_take(&c->enrol.said, &lines, LINE, fed_clock_ms())) {
        FED_WARN("enrol", "token refused", FED_STR("node", name), FED_STR("why", verdict->why));
        fed_refusals_count_said(c->refusals, FED_STRANGER, verdict->code);
    } else {
        fed_tally_refusal(c, FED_STRANGER, verdict->code, verdict->why);
    }
    answer_refused(c, route, verdict->code);
}

/* -- the verdict ------------------------------------------------------------------------------------------------------- */

static void say_no(struct verdict *verdict, const char *format, ...) FED_PRINTF(2, 3);

static void say_no(struct verdict *verdict, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(verdict->why, sizeof verdict->why, format, args);
    va_end(args);
    verdict->code = FED_REFUSAL_TOKEN;
}

/* Of what was sent alone: signatures, and whose keys they are. */
static void judge_proofs(struct verdict *verdict, const struct fed_coordinator *c, const struct fed_msg_enrol *enrol,
                         const struct fed_enrolment *enrolment, const char *user) {
    struct fed_certificate read;
    uint8_t mac[FED_ENROLMENT_MAC_BYTES];
    char fingerprint[17], key[2 * FED_KEY_BYTES + 1];
    if (fed_certificate_read(&read, enrol->certificate) != 0) {
        say_no(verdict, "its certificate is of another layout");
        return;
    }
    if (memcmp(read.issuer, c->task->server.enrolment_key, sizeof read.issuer) != 0) {
        fed_sign_fingerprint(fingerprint, read.issuer);
        say_no(verdict, "its certificate is by another enrolment key, with fingerprint %s", fingerprint);
        return;
    }
    if (fed_certificate_check(enrol->certificate, read.issuer) != 0) {
        say_no(verdict, "its certificate is forged or damaged");
        return;
    }
    verdict->genuine = true;
    fed_public_fingerprint(fingerprint, &enrol->keys);
    fed_hex(key, enrol->keys.curve, FED_KEY_BYTES);
    if (strcmp(key, user) != 0) {
        say_no(verdict, "the key with fingerprint %s is not that of its connection", fingerprint);
    } else if (fed_proof_check(enrolment->proof, enrol->certificate, &enrol->keys) != 0) {
        say_no(verdict, "who came with the key with fingerprint %s does not hold the token, or meant another coordinator",
               fingerprint);
    } else if (fed_enrolment_mac_coordinator(mac, enrol->certificate, &enrol->keys, &c->identity) != 0 ||
               !fed_enrolment_mac_equal(mac, enrol->seal_mac)) {
        say_no(verdict, "who came with the key with fingerprint %s does not hold its seal secret", fingerprint);
    }
}

static void judge_name(struct verdict *verdict, const struct fed_coordinator *c, const struct fed_roster_entry *wanted,
                       size_t node) {
    const struct fed_roster_entry *old = fed_roster_entry(c->nodes.roster, node);
    char theirs[17], date[FED_ROSTER_DATE_MAX];
    bool same_token = old->has_enrolment && memcmp(old->enrolment.certificate, wanted->enrolment.certificate,
                                                   sizeof wanted->enrolment.certificate) == 0;
    fed_public_fingerprint(theirs, &old->keys);
    if (memcmp(&old->keys, &wanted->keys, sizeof old->keys) != 0 || !same_token) {
        say_no(verdict,
               same_token ? "it is spent: it enrolled the key with fingerprint %s"
                          : "the name is taken by the key with fingerprint %s",
               theirs);
    } else if (old->revoked != 0) {
        fed_roster_date_format(date, old->revoked);
        say_no(verdict, "its entry was revoked on %s", date);
    } else {
        verdict->there = true;
    }
}

static void judge_dates(struct verdict *verdict, const struct fed_roster_entry *wanted, int64_t expires, int64_t now_s) {
    char date[FED_ROSTER_DATE_MAX];
    if (now_s > expires + GRACE_S) {
        fed_roster_date_format(date, expires);
        say_no(verdict, "it expired on %s", date);
    } else if (wanted->not_after != 0 && now_s > wanted->not_after) {
        fed_roster_date_format(date, wanted->not_after);
        say_no(verdict, "its entry would have ended on %s", date);
    }
}

/* What only the file can tell (other names' ids and keys, spent tokens) is judged when the entry is added. */
static void judge(struct verdict *verdict, struct fed_roster_entry *wanted, const struct fed_coordinator *c,
                  const struct fed_msg_enrol *enrol, const char *user) {
    struct fed_enrolment enrolment;
    struct fed_certificate read;
    struct fed_error err;
    size_t node;
    memcpy(enrolment.certificate, enrol->certificate, sizeof enrolment.certificate);
    memcpy(enrolment.proof, &c->identity.public_keys, sizeof c->identity.public_keys);
    memcpy(enrolment.proof + sizeof c->identity.public_keys, enrol->signature, sizeof enrol->signature);
    judge_proofs(verdict, c, enrol, &enrolment, user);
    if (verdict->code == FED_REFUSAL_NONE && fed_roster_entry_from(wanted, &enrolment, &enrol->keys, &err) != FED_OK) {
        say_no(verdict, "%.200s", err.text);
    }
    if (verdict->code != FED_REFUSAL_NONE) {
        return;
    }
    if (fed_roster_find_name(&node, c->nodes.roster, wanted->name) == FED_OK &&
        fed_roster_entry(c->nodes.roster, node)->n_clients > 0) { /* else it was removed */
        judge_name(verdict, c, wanted, node);
    }
    if (verdict->code == FED_REFUSAL_NONE && !verdict->there && fed_certificate_read(&read, enrol->certificate) == 0) {
        judge_dates(verdict, wanted, read.expires, fed_wall_seconds());
    }
}

/* -- hearing ----------------------------------------------------------------------------------------------------------- */

static void add(struct fed_coordinator *c, const struct fed_route *route, const struct fed_roster_entry *wanted) {
    struct fed_enrol *enrol = &c->enrol;
    if (fed_roster_live_add(c->roster_live, wanted) != FED_OK) {
        answer_refused(c, route, FED_REFUSAL_BUSY); /* something else is being read or written */
        return;
    }
    enrol->route = *route;
    snprintf(enrol->name, sizeof enrol->name, "%s", wanted->name);
    fed_digest(enrol->digest, wanted->enrolment.certificate, sizeof wanted->enrolment.certificate);
}

static void hear(struct fed_coordinator *c, const struct fed_incoming *in) {
    static struct fed_message message;
    static struct fed_roster_entry wanted;
    struct verdict verdict = {.code = FED_REFUSAL_NONE};
    if (fed_message_decode(&message, in->head.bytes, in->head.n) != FED_OK || message.kind != FED_MSG_ENROL) {
        fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_MALFORMED, "not a message of the enrolment lane");
        return;
    }
    memset(&wanted, 0, sizeof wanted);
    judge(&verdict, &wanted, c, &message.as.enrol, in->user);
    if (verdict.code != FED_REFUSAL_NONE) {
        struct fed_certificate read = {.name = "?"};
        int rc = verdict.genuine ? fed_certificate_read(&read, message.as.enrol.certificate) : FED_OK;
        (void)rc; /* read before */
        refuse(c, &in->from, &verdict, fed_name_valid(read.name) ? read.name : "?");
    } else if (verdict.there) {
        uint8_t digest[FED_DIGEST_BYTES];
        fed_digest(digest, wanted.enrolment.certificate, sizeof wanted.enrolment.certificate);
        answer_enrolled(c, &in->from, digest);
    } else {
        add(c, &in->from, &wanted);
    }
}

void fed_enrol_receive(struct fed_coordinator *c) {
    uint64_t now = fed_clock_ms();
    for (int i = 0; i < MESSAGES_A_TURN && fed_enrol_listens(c, now); i++) {
        struct fed_incoming in = {0};
        int rc = fed_lane_recv(&in, c->enrol.lane);
        if (rc == FED_EAGAIN || !fed_limit_take(&c->enrol.messages, &messages, 1, now)) {
            return;
        }
        if (rc != FED_OK) {
            fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_MALFORMED, "frames that are not a message");
        } else {
            hear(c, &in);
        }
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

void fed_enrol_added(struct fed_coordinator *c, int rc, const char *why) {
    const struct fed_enrol *enrol = &c->enrol;
    if (rc == FED_OK) {
        FED_INFO("enrol", "enrolled", FED_STR("node", enrol->name));
        answer_enrolled(c, &enrol->route, enrol->digest);
    } else if (rc == FED_ECONFIG) {
        struct verdict verdict = {.code = FED_REFUSAL_TOKEN, .genuine = true};
        snprintf(verdict.why, sizeof verdict.why, "%s", why);
        refuse(c, &enrol->route, &verdict, enrol->name);
    } else {
        if (fed_limit_take(&c->enrol.alarms, &lines, LINE, fed_clock_ms())) {
            FED_ERROR("enrol", "the roster cannot be written, nobody can be enrolled", FED_STR("node", enrol->name),
                      FED_STR("why", why));
        }
        answer_refused(c, &enrol->route, FED_REFUSAL_BUSY);
    }
}
