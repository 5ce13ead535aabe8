/* Who is let in, on either lane: asked by the ZAP handler at every handshake. Those who are known are looked up first, so
 * that no number of strangers can keep them out; of strangers only so many a second are worth their own line. */
#include <stdio.h>

#include "common/base/clock.h"
#include "coordinator/coordinator_internal.h"

static int64_t wall_seconds(void) { return fed_clock_wall_ms() / 1000; }

static void turn_away(struct fed_coordinator *c, enum fed_lane_kind lane, const char *why) {
    if (fed_meter_handshake(c, lane)) {
        fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_NOT_ENROLLED, why);
    } else {
        fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_RATE, "too many handshakes of strangers");
    }
}

bool fed_gate_curve(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    struct fed_coordinator *c = context;
    size_t node;
    if (c->nodes.roster == NULL || fed_roster_find_curve(&node, c->nodes.roster, key, wall_seconds()) != FED_OK) {
        if (c->announced) {
            turn_away(c, FED_LANE_CONTROL, "its key is not on the roster");
        }
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
    if (!fed_meter_connection(c, node, FED_LANE_BULK)) {
        fed_tally_refusal(c, node, FED_REFUSAL_RATE, "it opens the bulk lane again and again");
        fed_nodes_take_pass(&c->nodes, node);
        c->nodes.nodes[node].missed = true; /* ROUND brings another pass, with the next repetition */
        return false;
    }
    snprintf(user, FED_USER_MAX, "%s", handle);
    return true;
}
