/* Numbers as people and programs write them. */
#ifndef FED_COMMON_BASE_DECIMAL_H
#define FED_COMMON_BASE_DECIMAL_H

#include <stdbool.h>

/* Whether the whole text is digits [. digits] [e [+-] digits], with a digit before or after the point. strtod alone would
 * take "nan", "0x1p3", " 1" and "-1". */
bool fed_decimal_is_one(const char *text);

#endif
