/* A program that hosts us may write its numbers as "0,5". What we read and write has a point: the calling thread's locale
 * becomes "C" for what it formats and parses. */
#ifndef FED_COMMON_BASE_C_LOCALE_H
#define FED_COMMON_BASE_C_LOCALE_H

#include <locale.h>

/* Nothing to be freed: glibc makes no new object for "C". */
locale_t fed_c_locale(void);
/* Of the calling thread, from now on; whatever its creator and the process have. Returns what it was. */
locale_t fed_c_locale_set(void);

#endif
