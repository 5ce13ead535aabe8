/* Peers of other versions of the protocol, played on the bytes that ours say: a later minor with fields and messages that we
 * do not know, the first minor without those that came since, another major. */
#include "tests/simulation/versions.h"

#include <string.h>

/* Nobody should say what the other cannot know; whoever does has its connection closed by an honest node, and comes back. */
#define STRANGE_EVERY 10

static enum sim_version spoken;
static bool by_coordinator; /* else by node 0 */
static unsigned n_said;

void sim_version_speak(enum sim_version version, bool coordinator) {
    spoken = version;
    by_coordinator = coordinator;
    n_said = 0;
}

/* Fields that minor 0 does not have, by kind of message. */
static bool is_new(enum fed_message_kind kind, uint64_t field) {
    switch (kind) {
    case FED_MSG_HELLO: return field == 1 || field > 8; /* its minor, 0, is not written */
    case FED_MSG_WELCOME: return field == 1 || field > 6;
    case FED_MSG_ROUND: return field > 17;
    default: return false;
    }
}

static uint64_t take_varint(const uint8_t **at) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        value |= (uint64_t)(**at & 0x7f) << shift;
        if ((*(*at)++ & 0x80) == 0) {
            return value;
        }
    }
}

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    return at;
}

static void skip_value(const uint8_t **at, unsigned type) {
    uint64_t n = type == 0 ? take_varint(at) : 0;
    *at += type == 1 ? 8 : type == 5 ? 4 : type == 2 ? (n = take_varint(at)) : 0;
}

/* Copies a body without what is new; returns its length. */
static size_t copy_old(uint8_t *out, const uint8_t *body, size_t n, enum fed_message_kind kind) {
    uint8_t *to = out;
    for (const uint8_t *at = body; at < body + n;) {
        const uint8_t *field = at;
        uint64_t tag = take_varint(&at);
        skip_value(&at, (unsigned)(tag & 7));
        if (!is_new(kind, tag >> 3)) {
            memcpy(to, field, (size_t)(at - field));
            to += at - field;
        }
    }
    return (size_t)(to - out);
}

/* Envelope: major, seq, and the body, whose number is the kind plus 2. */
static size_t in_first_minor(uint8_t *out, const uint8_t *bytes, size_t n) {
    static uint8_t body[FED_CONTROL_MAX];
    uint8_t *to = out;
    for (const uint8_t *at = bytes; at < bytes + n;) {
        const uint8_t *field = at;
        uint64_t tag = take_varint(&at);
        if ((tag & 7) != 2) {
            skip_value(&at, (unsigned)(tag & 7));
            memcpy(to, field, (size_t)(at - field));
            to += at - field;
            continue;
        }
        uint64_t n_body = take_varint(&at);
        size_t n_old = copy_old(body, at, n_body, (enum fed_message_kind)((tag >> 3) - 2));
        to = put_varint(put_varint(to, tag), n_old);
        memcpy(to, body, n_old);
        to += n_old;
        at += n_body;
    }
    return (size_t)(to - out);
}

static size_t in_later_minor(uint8_t *out, const uint8_t *bytes, size_t n) {
    static const uint8_t later[] = {0xd8, 0x3e, 0x05, 0xda, 0x3e, 0x02, 'h', 'i'};
    memcpy(out, bytes, n);
    memcpy(out + n, later, sizeof later);
    return n + sizeof later;
}

size_t sim_version_said(uint8_t *out, const struct sim_node *node, bool to_node, const uint8_t *bytes, size_t n) {
    bool concerned = by_coordinator ? to_node : !to_node && node == &sim.nodes[0];
    switch (concerned ? spoken : SIM_VERSION_OURS) {
    case SIM_VERSION_LATER: return in_later_minor(out, bytes, n);
    case SIM_VERSION_FIRST:
        /* What one side of an old pair says, and what it would read of the other, lack the same fields. */
        return in_first_minor(out, bytes, n);
    case SIM_VERSION_OTHER_MAJOR:
        memcpy(out, bytes, n);
        out[1] = 2;
        return n;
    case SIM_VERSION_OURS: break;
    }
    memcpy(out, bytes, n);
    return n;
}

bool sim_version_adds_messages(const struct sim_node *node, bool to_node) {
    bool concerned = by_coordinator ? to_node : !to_node && node == &sim.nodes[0];
    return spoken == SIM_VERSION_LATER && concerned && ++n_said % STRANGE_EVERY == 0;
}
