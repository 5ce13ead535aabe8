/* One descriptor for an event loop that is not ours: readable whenever fed_session_step has something to do, be it a
 * message, a finished training, the wish to stop, or time that has passed. Belongs to the thread that steps. */
#ifndef FED_CLIENT_WATCH_H
#define FED_CLIENT_WATCH_H

#include "client/session.h"

struct fed_watch;

/* session is borrowed. FED_EFAILED, FED_ENOMEM. */
int fed_watch_new(struct fed_watch **out, const struct fed_session *session, struct fed_error *err) FED_MUST_CHECK;
void fed_watch_free(struct fed_watch *watch); /* NULL is allowed */
int fed_watch_fd(const struct fed_watch *watch);
/* After every step: lanes come and go, and what they hold may show on no descriptor. FED_EFAILED. */
int fed_watch_renew(struct fed_watch *watch, struct fed_error *err) FED_MUST_CHECK;

#endif
