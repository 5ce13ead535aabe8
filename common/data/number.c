#include "common/data/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/c_locale.h"
#include "common/base/decimal.h"

int fed_number_parse(float *out, const char *text, size_t n) {
    if (strlen(text) != n || !fed_decimal_is_one(text + (*text == '-' || *text == '+'))) {
        return FED_EDATA;
    }
    float value = strtof_l(text, NULL, fed_c_locale());
    if (isinf(value)) {
        return FED_EFAILED;
    }
    *out = value;
    return FED_OK;
}
