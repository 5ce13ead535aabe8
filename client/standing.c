/* One line on what the node is at, for the service manager (`systemctl status`). */
#include <inttypes.h>

#include "client/session_internal.h"

#define STANDING_MS 1000 /* counting what is done goes through all parts */

static void tell_work(struct fed_session *s) {
    uint32_t done, total;
    fed_parts_progress(s->parts, &done, &total);
    fed_notify_status(s->options.notify,
                      "round %" PRIu64 ", attempt %" PRIu32 ", %s: %" PRIu32 " of %" PRIu32 " clients trained",
                      s->terms.round, s->terms.attempt,
                      s->download != NULL ? "downloading the model"
                      : done < total      ? "training"
                                          : "delivering",
                      done, total);
}

void fed_session_tell_standing(struct fed_session *s, uint64_t now_ms) {
    const char *coordinator = s->config->coordinator;
    if (now_ms < s->standing_ms) {
        return;
    }
    s->standing_ms = now_ms + STANDING_MS;
    if (s->state == FED_SESSION_READY && s->working) {
        tell_work(s);
    } else if (s->state == FED_SESSION_READY && s->task_problem.text[0] != '\0') {
        fed_notify_status(s->options.notify, "declines this task: %s", s->task_problem.text);
    } else if (s->state == FED_SESSION_READY) {
        fed_notify_status(s->options.notify, "welcomed by %s, waiting for work", coordinator);
    } else if (s->said_trouble.text[0] != '\0') {
        fed_notify_status(s->options.notify, "%s: %s", coordinator, s->said_trouble.text);
    } else {
        fed_notify_status(s->options.notify, "connecting to %s", coordinator);
    }
}
