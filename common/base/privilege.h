/* What a daemon gives up before it touches the network. */
#ifndef FED_COMMON_BASE_PRIVILEGE_H
#define FED_COMMON_BASE_PRIVILEGE_H

#include <stdbool.h>

#include "common/base/status.h"

/* As root: becomes user (with its groups) if given, else refuses unless allowed, as it does where user is root. Not as root:
 * fine, but a user that we are not is refused. FED_ECONFIG with a sentence. */
int fed_privilege_check(bool allow_root, const char *user, struct fed_error *err) FED_MUST_CHECK;

/* No core files and no tracing by others: memory holds keys. */
void fed_privilege_protect_secrets(void);

#endif
