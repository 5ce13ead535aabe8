/* One line on where the run stands, for the service manager (`systemctl status`). */
#include <inttypes.h>
#include <stdio.h>

#include "coordinator/coordinator_internal.h"

/* What the phase is about. */
static void describe(char *out, size_t room, const struct fed_coordinator *c) {
    size_t picked, left = fed_round_outstanding(c->round);
    fed_round_cohort(c->round, &picked);
    switch (fed_round_phase(c->round)) {
    case FED_ROUND_IDLE: snprintf(out, room, "%s", c->waits_for[0] != '\0' ? c->waits_for : "between two attempts"); break;
    case FED_ROUND_PICK: snprintf(out, room, "picking %zu clients", picked); break;
    case FED_ROUND_BROADCAST: snprintf(out, room, "sealing the model for %zu clients", picked); break;
    case FED_ROUND_COLLECT: snprintf(out, room, "collecting: %zu of %zu answered", picked - left, picked); break;
    case FED_ROUND_AGGREGATE: snprintf(out, room, "taking the mean of %zu updates", fed_round_admitted(c->round)); break;
    case FED_ROUND_COMMIT: snprintf(out, room, "%s", "storing the new model"); break;
    case FED_ROUND_ROLLBACK: snprintf(out, room, "%s", "taking the last model back"); break;
    case FED_ROUND_FINISHED:
    case FED_ROUND_STOPPED: snprintf(out, room, "%s", fed_round_phase_name(fed_round_phase(c->round))); break;
    }
}

void fed_standing_tell(struct fed_coordinator *c) {
    char doing[sizeof c->waits_for];
    const char *alarm = c->alarm[0] != '\0' ? c->alarm : c->doors_alarm;
    describe(doing, sizeof doing, c);
    fed_notify_status(c->options.notify, "%s%sround %" PRIu64 " of %" PRIu64 ", %s", alarm, alarm[0] != '\0' ? "; " : "",
                      fed_round_number(c->round), c->task->algorithm.rounds, doing);
}
