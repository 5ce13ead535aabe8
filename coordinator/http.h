/* The page for programs: GET and HEAD of /api/v1/status (the text that was published last) and /healthz, on a thread of
 * its own. It tells, it takes nothing in: no request changes anything.
 *
 * A web page that is open on the operator's machine must not read it through a name that it made point here, so the Host
 * of a request must be localhost or an address of ours; everything else is 403. */
#ifndef FED_COORDINATOR_HTTP_H
#define FED_COORDINATOR_HTTP_H

#include <stdint.h>

#include "common/base/status.h"

struct fed_http;

/* bind: "ADDRESS:PORT", an IPv6 address in brackets, an empty address for 127.0.0.1, port 0 for any free one.
 * FED_ECONFIG (not such a text), FED_EADDRESS (in use, not ours), FED_ENOMEM. */
int fed_http_new(struct fed_http **out, const char *bind, struct fed_error *err) FED_MUST_CHECK;
void fed_http_free(struct fed_http *http);

/* From now on the status is this JSON text, which is copied. From any thread. Without memory the last text stays. */
void fed_http_publish(struct fed_http *http, const char *text);

uint16_t fed_http_port(const struct fed_http *http);

/* "0.9.75": libmicrohttpd at run time. */
const char *fed_http_library_version(void);

#endif
