/* The page of a run, over HTTP: GET and HEAD of the live page's files, the API under /api/v1, /healthz and /readyz, on a
 * thread of its own. It tells, it takes nothing in: no request changes anything.
 *
 * It listens where no other machine reaches it; http_guard.h says who is let in. */
#ifndef FED_COORDINATOR_HTTP_HTTP_H
#define FED_COORDINATOR_HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/http/page.h"

struct fed_http;

struct fed_http_config {
    const char *bind;      /* as fed_endpoint_http_parse takes it */
    const char *what;      /* where it was given, for sentences: "server.http" */
    struct fed_page *page; /* what is told; borrowed */
    char *const *hosts;    /* (n_hosts) names of a proxy, borrowed */
    size_t n_hosts;
    const char *token; /* if n_hosts > 0: the file of what its requests must bear */
    bool may_move;     /* where the port is in use any other one will do */
};

/* FED_ECONFIG (bind is not such a text), FED_EADDRESS (in use, not ours), FED_EKEY (the token), FED_ENOMEM. */
int fed_http_new(struct fed_http **out, const struct fed_http_config *config, struct fed_error *err) FED_MUST_CHECK;
/* Those who read the stream are told first what they do not know yet; it waits for them half a second at most. */
void fed_http_free(struct fed_http *http);

/* Wakes who reads the stream if there is something new, at most twice a second. From one other thread, whenever something
 * may have changed. Returns when to call again at the latest, in milliseconds since boot; UINT64_MAX = only on change. */
uint64_t fed_http_poke(struct fed_http *http, uint64_t now_ms);

uint16_t fed_http_port(const struct fed_http *http); /* 0: a socket in the file system */
/* "http://127.0.0.1:5680/", or "unix:PATH". */
const char *fed_http_url(const struct fed_http *http);

/* "0.9.75": libmicrohttpd at run time. */
const char *fed_http_library_version(void);

#endif
