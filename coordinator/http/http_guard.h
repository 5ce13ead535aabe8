/* Whether a request is let in. Pure.
 *
 * Asked by localhost or a loopback address: whoever is on this machine may read. A web page that is open in a browser here
 * must not read it through a name that it made point here, so other names are refused, but for those of a proxy: by them,
 * and by whatever says that it was forwarded, the request must bear the token, and come over HTTPS as the proxy says
 * (X-Forwarded-Proto). A token that travelled in clear is refused, wherever it comes from: it is known to others now. */
#ifndef FED_COORDINATOR_HTTP_HTTP_GUARD_H
#define FED_COORDINATOR_HTTP_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config/endpoint.h"
#include "common/seal/bearer.h"

struct fed_guard {
    struct fed_endpoint_http bound;
    char *const *hosts; /* (n_hosts), borrowed */
    size_t n_hosts;
    struct fed_bearer bearer; /* if n_hosts > 0 */
};

/* Headers; NULL: not given. */
struct fed_guard_ask {
    const char *host, *authorization, *proto;
    bool forwarded; /* some header says that somebody passed it on */
    bool twice;     /* one of these came more than once */
};

/* 0: it is let in; else the status of the answer, and *why, a sentence. */
unsigned fed_guard_judge(const char **why, const struct fed_guard *guard, const struct fed_guard_ask *ask);

#endif
