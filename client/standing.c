/* One line on what the node is at, for people (`systemctl status`). Counting what is done goes through all parts: not for
 * every turn of a loop. */
#include <inttypes.h>
#include <stdio.h>

#include "client/session_internal.h"

static void name_work(const struct fed_session *s, char *out, size_t size) {
    uint32_t done, total;
    fed_parts_progress(s->parts, &done, &total);
    snprintf(out, size, "round %" PRIu64 ", attempt %" PRIu32 ", %s: %" PRIu32 " of %" PRIu32 " clients trained",
             s->terms.round, s->terms.attempt,
             s->download != NULL ? "downloading the model"
             : done < total      ? "training"
                                 : "delivering",
             done, total);
}

void fed_session_standing(const struct fed_session *s, char *out, size_t size) {
    const char *coordinator = s->config->coordinator;
    if (s->state == FED_SESSION_READY && s->working) {
        name_work(s, out, size);
    } else if (s->state == FED_SESSION_READY && s->task_problem.text[0] != '\0') {
        snprintf(out, size, "declines this task: %s", s->task_problem.text);
    } else if (s->state == FED_SESSION_READY) {
        snprintf(out, size, "welcomed by %s, waiting for work", coordinator);
    } else if (s->said_trouble.text[0] != '\0') {
        snprintf(out, size, "%s: %s", coordinator, s->said_trouble.text);
    } else {
        snprintf(out, size, "connecting to %s", coordinator);
    }
}
