/* The three descriptors that every program takes for granted. Where whoever started us closed one, the next file we open
 * would get its number, and what is printed or logged would end up in a model or a roster. */
#ifndef FED_COMMON_BASE_STANDARD_H
#define FED_COMMON_BASE_STANDARD_H

#include "common/base/status.h"

/* Takes the numbers 0, 1 and 2 where they are free: reading and writing there goes on failing with EBADF. For main, first
 * of all. */
void fed_standard_guard(void);

/* What was printed has left this process. FED_EIO: stdout is closed, or what it leads to is full. */
int fed_standard_flush(struct fed_error *err) FED_MUST_CHECK;

#endif
