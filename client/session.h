/* One node's conversation with its coordinator: connect, say HELLO, answer ROUND, deliver, and reconnect for ever.
 *
 *     DOWN --link up--> GREETING --WELCOME--> READY --ROUND--> at work in READY
 *       ^                   |                    |
 *       +---link down-------+--------------------+      refused by ZAP: a new socket, with back-off
 *
 * Messages are idempotent and said again until they are answered. */
#ifndef FED_CLIENT_SESSION_H
#define FED_CLIENT_SESSION_H

#include <stdbool.h>

#include "client/host.h"
#include "common/base/notify.h"
#include "common/config/client_config.h"
#include "common/link/link.h"
#include "common/seal/keys.h"

struct fed_session;

struct fed_session_options {
    bool check;                /* only find out whether the coordinator welcomes us */
    int stop_fd;               /* readable: leave at once; -1 = none */
    struct fed_notify *notify; /* borrowed; who is told that the node lives. NULL: nobody */
};

/* link, host, identity and config are borrowed. FED_EADDRESS, FED_EIO. */
int fed_session_new(struct fed_session **out, struct fed_link *link, struct fed_host *host,
                    const struct fed_identity *identity, const struct fed_client_config *config,
                    const struct fed_session_options *options, struct fed_error *err) FED_MUST_CHECK;
void fed_session_free(struct fed_session *session);

/* Until stop_fd is readable: FED_EINTERRUPTED. FED_EDATA: the data do not fit the task. With check: 0 when welcomed and the
 * data fit, FED_EPEER with a sentence when refused. */
int fed_session_run(struct fed_session *session, struct fed_error *err) FED_MUST_CHECK;

#endif
