/* Memory for secrets: guard pages around it, kept out of swap and core dumps, wiped when freed.
 *
 * Where the system refuses to lock pages (RLIMIT_MEMLOCK), the secret is served all the same and one warning is logged:
 * a coordinator that stops because of a limit helps nobody. */
#ifndef FED_COMMON_SEAL_LOCKED_H
#define FED_COMMON_SEAL_LOCKED_H

#include <stddef.h>

#include "common/base/status.h"

/* Filled with arbitrary bytes. Use sizes that are multiples of 8: the end of the memory touches the guard page, so the
 * size decides the alignment. FED_ENOMEM. */
int fed_locked_new(void **out, size_t n) FED_MUST_CHECK;
void fed_locked_free(void *memory); /* wipes; NULL is allowed */

#endif
