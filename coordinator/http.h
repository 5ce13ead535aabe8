/* The page of a run, over HTTP: GET and HEAD of the live page's files, the API under /api/v1, /healthz and /readyz, on a
 * thread of its own. It tells, it takes nothing in: no request changes anything.
 *
 * A web page that is open on the operator's machine must not read it through a name that it made point here, so the Host
 * of a request must be localhost or an address of ours; everything else is 403. */
#ifndef FED_COORDINATOR_HTTP_H
#define FED_COORDINATOR_HTTP_H

#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/page.h"

struct fed_http;

struct fed_http_config {
    const char
        *bind; /* "ADDRESS:PORT", an IPv6 address in brackets, an empty address for 127.0.0.1, port 0 for any free one */
    struct fed_page *page; /* what is told; borrowed */
};

/* FED_ECONFIG (bind is not such a text), FED_EADDRESS (in use, not ours), FED_ENOMEM. */
int fed_http_new(struct fed_http **out, const struct fed_http_config *config, struct fed_error *err) FED_MUST_CHECK;
void fed_http_free(struct fed_http *http);

/* Wakes who reads the stream if there is something new, at most twice a second. From one other thread, whenever something
 * may have changed. Returns when to call again at the latest, in milliseconds since boot; UINT64_MAX = only on change. */
uint64_t fed_http_poke(struct fed_http *http, uint64_t now_ms);

uint16_t fed_http_port(const struct fed_http *http);
/* "http://127.0.0.1:5680/" */
const char *fed_http_url(const struct fed_http *http);

/* "0.9.75": libmicrohttpd at run time. */
const char *fed_http_library_version(void);

#endif
