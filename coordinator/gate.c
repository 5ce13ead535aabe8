/* Who is let in, on either lane: asked by the ZAP handler at every handshake. */
#include <stdio.h>

#include "common/base/clock.h"
#include "coordinator/coordinator_internal.h"

static int64_t wall_seconds(void) { return fed_clock_wall_ms() / 1000; }

bool fed_gate_curve(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    struct fed_coordinator *c = context;
    size_t node;
    if (c->nodes.roster == NULL || fed_roster_find_curve(&node, c->nodes.roster, key, wall_seconds()) != FED_OK) {
        if (c->announced) {
            fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_NOT_ENROLLED, "its key is not on the roster");
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
        fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_NOT_ENROLLED, "no such pass to the bulk lane");
        return false;
    }
    snprintf(user, FED_USER_MAX, "%s", handle);
    return true;
}
