/* The socket of the page: on a loopback address, or in the file system, where only its owner may use it. */
#ifndef FED_COORDINATOR_HTTP_HTTP_LISTEN_H
#define FED_COORDINATOR_HTTP_HTTP_LISTEN_H

#include <stdbool.h>

#include "common/base/status.h"
#include "common/config/endpoint.h"

/* Listens; where any free port is wanted, at->port says which it is. A socket that nobody listens on any more is replaced.
 * text: at as it was written, for sentences. may_move: where the port is in use any other will do, which is logged.
 * FED_EADDRESS: in use, not ours, no socket. */
int fed_http_listen(int *fd, struct fed_endpoint_http *at, const char *text, bool may_move,
                    struct fed_error *err) FED_MUST_CHECK;
/* Removes the socket from the file system, if it is there. */
void fed_http_unlisten(const struct fed_endpoint_http *at);

/* "http://127.0.0.1:5680/", "http://[::1]:5680/" or "unix:PATH". */
#define FED_HTTP_URL_MAX 128
void fed_http_listen_url(char out[FED_HTTP_URL_MAX], const struct fed_endpoint_http *at);

#endif
