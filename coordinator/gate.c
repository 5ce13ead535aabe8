/* Who is let in, on either lane: asked by the ZAP handler at every handshake. Those who are known are looked up first, so
 * that no number of strangers can keep them out; of strangers only so many a second are worth their own line. */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/seal/digest.h"
#include "coordinator/coordinator_internal.h"

/* Between two looks at the descriptors: a flood of connections must not reach the limit unseen. */
#define LOOK_MOST_MS 100
#define LOOK_LEAST_MS 2
#define ARRIVALS_PER_MS 50 /* that libzmq can accept */
#define LOOK_PART 20       /* looking takes at most this part of the time, where counting is slow */

/* For the log: who knocked, and why the door stays shut. */
static void explain(char why[256], const struct fed_coordinator *c, const uint8_t key[FED_KEY_BYTES], size_t node) {
    char digits[17], reason[FED_ROSTER_WHY_MAX];
    fed_hex(digits, key, 8);
    if (node == SIZE_MAX) {
        snprintf(why, 256, "no entry of the roster has its key, which begins with %s", digits);
    } else {
        fed_roster_why(reason, c->nodes.roster, node, fed_wall_seconds());
        snprintf(why, 256, "node %s, by its key that begins with %s: %s", fed_roster_entry(c->nodes.roster, node)->name,
                 digits, reason);
    }
}

static void turn_away(struct fed_coordinator *c, enum fed_lane_kind lane, const char *why) {
    if (fed_meter_handshake(c, lane)) {
        fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_NOT_ENROLLED, why);
    } else {
        fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_RATE, "too many handshakes of strangers");
    }
}

bool fed_gate_curve(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    struct fed_coordinator *c = context;
    size_t node, any = SIZE_MAX;
    if (c->nodes.roster == NULL || fed_roster_find_curve(&node, c->nodes.roster, key, fed_wall_seconds(), &any) != FED_OK) {
        if (c->announced) {
            char why[256];
            explain(why, c, key, any);
            turn_away(c, FED_LANE_CONTROL, why);
        }
        return false;
    }
    if (fed_meter_is_out(c, node)) {
        fed_tally_refusal(c, node, FED_REFUSAL_RATE, "it was cut off for flooding");
        return false;
    }
    fed_nodes_user(user, fed_roster_entry(c->nodes.roster, node), key);
    return true;
}

bool fed_gate_plain(void *context, const char *handle, const char *capability, char user[FED_USER_MAX]) {
    struct fed_coordinator *c = context;
    size_t node;
    if (fed_nodes_find_pass(&node, &c->nodes, handle, capability) != FED_OK) {
        turn_away(c, FED_LANE_BULK, "no such pass to the bulk lane");
        return false;
    }
    if (fed_meter_is_out(c, node)) {
        fed_tally_refusal(c, node, FED_REFUSAL_RATE, "it was cut off for flooding");
        return false;
    }
    if (!fed_meter_connection(c, node, FED_LANE_BULK)) {
        fed_tally_refusal(c, node, FED_REFUSAL_RATE, "it opens the bulk lane again and again");
        fed_nodes_take_pass(&c->nodes, node);
        c->nodes.nodes[node].missed = true; /* ROUND brings another pass, with the next repetition */
        return false;
    }
    fed_nodes_pass_user(user, node, handle);
    return true;
}

/* -- the doors ---------------------------------------------------------------------------------------------------------- */

static void shut_lanes(struct fed_coordinator *c) {
    fed_lane_shut(c->control);
    fed_lane_shut(c->bulk);
    if (c->enrol.lane != NULL) {
        fed_lane_shut(c->enrol.lane);
    }
}

static void shut_doors(struct fed_coordinator *c, const struct fed_descriptors *now) {
    shut_lanes(c);
    fed_descriptors_release(&c->reserve);
    snprintf(c->doors_alarm, sizeof c->doors_alarm,
             "%llu of %llu descriptors are in use: nobody new is let in until some are free", (unsigned long long)now->used,
             (unsigned long long)now->limit);
    fed_publish_alarm(c, "%s", c->doors_alarm);
    FED_ERROR(
        "gate", "descriptors are running out, the doors are shut", FED_U64("used", now->used), FED_U64("limit", now->limit),
        FED_STR("next", "who is connected works on; raise LimitNOFILE, or limit connections by address (SECURITY.md)"));
}

static void open_doors(struct fed_coordinator *c, const struct fed_descriptors *now) {
    fed_lane_reopen(c->control);
    fed_lane_reopen(c->bulk);
    if (c->enrol.lane != NULL) {
        fed_lane_reopen(c->enrol.lane);
    }
    c->doors_alarm[0] = '\0';
    FED_WARN("gate", "the doors are open again", FED_U64("used", now->used), FED_U64("limit", now->limit));
}

/* Until the next look. */
static uint64_t pause_ms(const struct fed_descriptors *now, uint64_t took_us) {
    uint64_t mark = now->limit - now->limit / 10, room = now->used < mark ? mark - now->used : 0;
    uint64_t pause = room / ARRIVALS_PER_MS;
    pause = pause > LOOK_MOST_MS ? LOOK_MOST_MS : pause < LOOK_LEAST_MS ? LOOK_LEAST_MS : pause;
    uint64_t least = took_us * LOOK_PART / 1000;
    return pause < least ? least : pause;
}

uint64_t fed_gate_tick(struct fed_coordinator *c) {
    struct fed_descriptors now;
    uint64_t began_us = fed_clock_us();
    if (fed_descriptors_count(&now) != FED_OK) {
        return LOOK_MOST_MS; /* without /proc there is nothing to go by */
    }
    uint64_t took_us = fed_clock_us() - began_us;
    bool few = fed_descriptors_short(&now, c->doors_shut);
    if (few != c->doors_shut) {
        c->doors_shut = few;
        (few ? shut_doors : open_doors)(c, &now);
    }
    if (c->doors_shut) {
        shut_lanes(c); /* who was half way in when they fell shut is shown out, too */
    } else {
        fed_descriptors_put_by(&c->reserve);
    }
    return pause_ms(&now, took_us);
}
