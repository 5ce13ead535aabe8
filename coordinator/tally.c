/* What was refused, counted by node and reason until the next commit stores it, and said in the log at a bounded rate. */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/coordinator_internal.h"

#define LOG_REFUSALS_PER_SECOND 5

/* Counts always; logs at most a few a second, and then says how many were left out. */
void fed_tally_refusal(struct fed_coordinator *c, size_t node, enum fed_refusal refusal, const char *why) {
    size_t row = node == FED_STRANGER ? 0 : node + 1;
    if (c->refusals != NULL) {
        c->refusals[row * FED_REFUSAL_COUNT + (size_t)refusal]++;
    }
    uint64_t now = fed_clock_ms();
    if (now >= c->quiet_until_ms) {
        if (c->quiet_count > LOG_REFUSALS_PER_SECOND) {
            FED_WARN("admit", "refusals not logged", FED_U64("count", c->quiet_count - LOG_REFUSALS_PER_SECOND));
        }
        c->quiet_until_ms = now + 1000;
        c->quiet_count = 0;
    }
    if (c->quiet_count++ < LOG_REFUSALS_PER_SECOND) {
        FED_WARN("admit", "refused", FED_STR("node", fed_nodes_name(&c->nodes, node)),
                 FED_STR("reason", fed_refusal_name(refusal)), FED_STR("why", why));
    }
}

/* The counters grow with the roster; row 0 stays the strangers'. */
int fed_tally_grow(struct fed_coordinator *c, size_t n_nodes) {
    size_t old = (c->nodes.n_nodes + 1) * FED_REFUSAL_COUNT, n = (n_nodes + 1) * FED_REFUSAL_COUNT;
    uint64_t *refusals = realloc(c->refusals, n * sizeof *refusals);
    if (refusals == NULL) {
        return FED_ENOMEM;
    }
    memset(refusals + old, 0, (n - old) * sizeof *refusals);
    c->refusals = refusals;
    return FED_OK;
}
