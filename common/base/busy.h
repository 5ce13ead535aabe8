/* Who waits is told what for: while something long goes on in one thread, another says so, after two seconds for the first
 * time. What is over sooner costs a thread and says nothing. */
#ifndef FED_COMMON_BASE_BUSY_H
#define FED_COMMON_BASE_BUSY_H

#include <stdint.h>

#include "common/base/status.h"

#define FED_BUSY_FIRST_MS 2000

struct fed_busy;

/* say is called on the other thread, after first_ms, then every every_ms: what goes on, and for how many seconds already.
 * NULL: nothing will be said (no thread, no memory), and that is all. */
struct fed_busy *fed_busy_begin(void (*say)(void *context, const char *what, unsigned seconds), void *context,
                                uint32_t first_ms, uint32_t every_ms, const char *format, ...) FED_PRINTF(5, 6);
/* Returns how often it was said; say is not called any more. NULL is allowed. */
unsigned fed_busy_end(struct fed_busy *busy);

/* For daemons: a line in the log, `data at work on="reading ..." seconds=...`. */
struct fed_busy *fed_busy_log(const char *room, const char *format, ...) FED_PRINTF(2, 3);

#endif
