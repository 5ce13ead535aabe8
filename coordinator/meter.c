/* What one peer may cost (limits of the task). A node has its buckets; what is nobody's (frames that are no message, keys
 * and passes that were taken back) shares one set. What is over is dropped unread and counted.
 *
 * libzmq has read and decrypted what arrives here, so dropping alone would not make a flood cheap: after a few drops the
 * lane is left unread for a moment. The flooder's queue fills, libzmq stops reading from its connection, and TCP slows it
 * down. ROUTER takes turns between connections, so for every message of the flooder one of every other node's is read: they
 * wait for milliseconds and lose nothing. A node that is over its limits by as much again is not clumsy: the connection it
 * floods is cut, and it stays out for a while. */
#include "common/base/clock.h"
#include "coordinator/coordinator_internal.h"

#define BURST_S 4
#define PAUSE_MS 10
#define OUT_MS 10000                                                         /* who was cut off stays out for so long */
#define DROPS_MOST 8                                                         /* within a pause's time */
static const size_t dropped_bytes_most[FED_LANES] = {64 * 1024, 512 * 1024}; /* decrypting costs more than copying */

static struct fed_meter *meter_of(struct fed_coordinator *c, size_t node) {
    return node == FED_STRANGER ? &c->nobody : &c->nodes.nodes[node].meter;
}

static struct fed_rate rate_of(uint64_t per_second) { return (struct fed_rate){per_second, BURST_S * per_second}; }

/* While a node waits it repeats what it said of the clients that it was given. */
static struct fed_rate message_rate(const struct fed_coordinator *c, size_t node, enum fed_lane_kind lane) {
    const struct fed_peer_limits *limits = &c->task->limits;
    uint64_t asked = 0;
    if (node != FED_STRANGER && lane == FED_LANE_CONTROL) {
        const struct fed_node *n = &c->nodes.nodes[node];
        asked = n->asked > n->asked_before ? n->asked : n->asked_before;
    }
    return rate_of((lane == FED_LANE_BULK ? limits->bulk_messages_per_s : limits->messages_per_s) + asked);
}

/* Over by as much as is allowed, burst and all. */
static bool out_of_patience(struct fed_coordinator *c, size_t node, enum fed_lane_kind lane, size_t bytes, uint64_t now_ms) {
    struct fed_meter *meter = meter_of(c, node);
    struct fed_rate messages = message_rate(c, node, lane), volume = rate_of(c->task->limits.bytes_per_s);
    return !fed_limit_take(&meter->patience[lane], &messages, 1, now_ms) ||
           !fed_limit_take(&meter->bytes_patience, &volume, bytes, now_ms);
}

static void dropped(struct fed_coordinator *c, size_t node, enum fed_lane_kind lane, size_t bytes, uint64_t now_ms) {
    struct fed_flood *flood = &c->floods[lane];
    if (now_ms >= flood->since_ms + PAUSE_MS) {
        *flood = (struct fed_flood){.since_ms = now_ms};
    }
    flood->drops++;
    flood->bytes += bytes;
    if (flood->drops >= DROPS_MOST || flood->bytes >= dropped_bytes_most[lane]) {
        flood->paused_until_ms = now_ms + PAUSE_MS;
    }
    fed_tally_refusal(c, node, FED_REFUSAL_RATE,
                      lane == FED_LANE_BULK ? "too much on the bulk lane" : "too much on the control lane");
    if (node != FED_STRANGER && out_of_patience(c, node, lane, bytes, now_ms)) {
        c->cut = true;
        meter_of(c, node)->out_until_ms = now_ms + OUT_MS;
    }
}

void fed_meter_cut(struct fed_coordinator *c, const struct fed_incoming *in) {
    if (c->cut) {
        fed_lane_cut(in);
        c->cut = false;
    }
}

bool fed_meter_is_out(const struct fed_coordinator *c, size_t node) {
    return fed_clock_ms() < c->nodes.nodes[node].meter.out_until_ms;
}

bool fed_meter_take(struct fed_coordinator *c, size_t node, enum fed_lane_kind lane, size_t bytes) {
    struct fed_meter *meter = meter_of(c, node);
    struct fed_rate messages = message_rate(c, node, lane), volume = rate_of(c->task->limits.bytes_per_s);
    uint64_t now = fed_clock_ms();
    bool within =
        fed_limit_take(&meter->messages[lane], &messages, 1, now) && fed_limit_take(&meter->bytes, &volume, bytes, now);
    if (!within) {
        dropped(c, node, lane, bytes, now);
    }
    return within;
}

/* ROUND is answered by STATUS, and so is every client, and a part by OFFER: however fast the rounds are, a node may do its
 * work. The number of clients is near enough: parts of one client are numbered, and of parts of many there are few. */
void fed_meter_asked(struct fed_coordinator *c, size_t node, uint32_t part, size_t n_clients) {
    struct fed_node *n = &c->nodes.nodes[node];
    uint32_t asked = part + (uint32_t)n_clients;
    uint32_t more = asked > n->asked ? asked - n->asked : 0;
    n->asked += more;
    fed_limit_give(&n->meter.messages[FED_LANE_CONTROL], 2 + 2 * (uint64_t)more);
}

bool fed_meter_connection(struct fed_coordinator *c, size_t node, enum fed_lane_kind lane) {
    uint64_t most = c->task->limits.connections_per_10s;
    struct fed_rate tenths = {most, 10 * most};
    return fed_limit_take(&meter_of(c, node)->connections[lane], &tenths, 10, fed_clock_ms());
}

bool fed_meter_handshake(struct fed_coordinator *c, enum fed_lane_kind lane) {
    struct fed_rate rate = rate_of(c->task->limits.handshakes_per_s);
    return fed_limit_take(&c->nobody.connections[lane], &rate, 1, fed_clock_ms());
}

bool fed_meter_answer(struct fed_coordinator *c, size_t node) {
    static const struct fed_rate once_a_second = {1, 1};
    return fed_limit_take(&meter_of(c, node)->answers, &once_a_second, 1, fed_clock_ms());
}

bool fed_meter_line(struct fed_coordinator *c, size_t node) {
    static const struct fed_rate rate = {1, 20};
    return fed_limit_take(&meter_of(c, node)->lines, &rate, 1, fed_clock_ms());
}

uint64_t fed_meter_paused_until(const struct fed_coordinator *c, enum fed_lane_kind lane) {
    return c->floods[lane].paused_until_ms;
}
