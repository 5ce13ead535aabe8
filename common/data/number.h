/* Numbers as people and programs write them, as the nearest float32 of all (ties to even), whatever the locale. Inside
 * common/data only. */
#ifndef FED_COMMON_DATA_NUMBER_H
#define FED_COMMON_DATA_NUMBER_H

#include <stddef.h>

#include "common/base/status.h"

/* text: n characters, then a zero. [+-] digits [. digits] [e [+-] digits], with a digit before or after the point: FED_EDATA
 * if the whole text is not that ("nan", "0x1p3", " 1", ""), FED_EFAILED if it is beyond float32. */
int fed_number_parse(float *out, const char *text, size_t n) FED_MUST_CHECK;

#endif
