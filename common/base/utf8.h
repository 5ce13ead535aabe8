/* Text that others wrote, character by character. */
#ifndef FED_COMMON_BASE_UTF8_H
#define FED_COMMON_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#define FED_UTF8_WRONG UINT32_MAX

/* The code point at *text, which moves behind it. FED_UTF8_WRONG, also for overlong forms and surrogates: *text moves by one
 * byte. The text ends with a zero and is not at its end. */
uint32_t fed_utf8_next(const char **text);

/* C0, DEL and C1: what a terminal would obey. */
static inline bool fed_utf8_is_control(uint32_t code_point) {
    return code_point < ' ' || (code_point >= 0x7f && code_point < 0xa0);
}

/* Whether no control character is in it. Bytes that are not UTF-8 are none: paths may have them. */
bool fed_utf8_one_line(const char *text);

#endif
