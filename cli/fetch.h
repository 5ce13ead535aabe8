/* What a live coordinator answers over HTTP. curl's only door. */
#ifndef FED_CLI_FETCH_H
#define FED_CLI_FETCH_H

#include <stddef.h>

#include "common/base/status.h"

#define FED_FETCH_MAX ((size_t)1 << 20)

/* GET path ("/api/v1/status") at base ("http://127.0.0.1:5680"): at most FED_FETCH_MAX bytes, within five seconds; no
 * redirects, no proxy: the coordinator that was named, or nobody. The caller owns *out. FED_EADDRESS: no answer, or not one
 * of a coordinator's; FED_EFAILED: the run has not started yet, or the answer is too long; FED_ENOMEM. */
int fed_fetch(char **out, size_t *n_bytes, const char *base, const char *path, struct fed_error *err) FED_MUST_CHECK;

/* "7.88.1": libcurl at run time. */
const char *fed_fetch_library_version(void);

#endif
