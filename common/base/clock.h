/* Time. CLOCK_BOOTTIME drives everything (it goes on while a machine sleeps and never jumps back);
 * wall time only labels rows and dates roster entries. */
#ifndef FED_COMMON_BASE_CLOCK_H
#define FED_COMMON_BASE_CLOCK_H

#include <stdint.h>

uint64_t fed_clock_ms(void);     /* since boot */
uint64_t fed_clock_us(void);     /* since boot */
int64_t fed_clock_wall_ms(void); /* since 1970-01-01 UTC */

#endif
