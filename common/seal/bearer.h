/* The secret that a request from afar must bear: one line of a file, mode 0600, of printable characters without spaces, as
 * `openssl rand -hex 32` makes it. Only its digest is kept. */
#ifndef FED_COMMON_SEAL_BEARER_H
#define FED_COMMON_SEAL_BEARER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_BEARER_LEAST 16 /* characters */
#define FED_BEARER_MOST 256

struct fed_bearer {
    uint8_t digest[32];
};

/* FED_EKEY with a sentence: missing, not a regular file, a symbolic link, not ours, readable by others, not such a line. */
int fed_bearer_load(struct fed_bearer *out, const char *path, struct fed_error *err) FED_MUST_CHECK;
/* In a time that says nothing of the secret, but for the length of what was given. */
bool fed_bearer_matches(const struct fed_bearer *bearer, const char *given, size_t n);

#endif
