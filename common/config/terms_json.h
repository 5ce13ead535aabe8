/* One value of the terms, between a field of ours and JSON; bounds and spelling are those of the row of the same path in the
 * task's table. Inside common/config only. */
#ifndef FED_COMMON_CONFIG_TERMS_JSON_H
#define FED_COMMON_CONFIG_TERMS_JSON_H

#include <stddef.h>

#include "common/base/status.h"

struct json_t; /* jansson's */

/* NULL: no memory. */
struct json_t *fed_terms_scalar(const char *path, const void *field);
/* Sets what the path names, making objects on the way. Takes over value; NULL is no memory. FED_ENOMEM. */
int fed_terms_put(struct json_t *root, const char *path, struct json_t *value) FED_MUST_CHECK;

/* Borrowed; NULL: not there. */
const struct json_t *fed_terms_get(const struct json_t *root, const char *path);
/* FED_EWIRE with a sentence, FED_ENOMEM. */
int fed_terms_take(void *field, const char *path, const struct json_t *value, struct fed_error *err) FED_MUST_CHECK;

#endif
