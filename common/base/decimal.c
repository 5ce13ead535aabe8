#include "common/base/decimal.h"

#include <stddef.h>
#include <string.h>

bool fed_decimal_is_one(const char *text) {
    static const char digits[] = "0123456789";
    size_t whole = strspn(text, digits);
    const char *c = text + whole;
    size_t part = 0;
    if (*c == '.') {
        part = strspn(c + 1, digits);
        c += 1 + part;
    }
    if (whole + part == 0) {
        return false;
    }
    if (*c == 'e' || *c == 'E') {
        c += 1 + (c[1] == '+' || c[1] == '-');
        size_t exponent = strspn(c, digits);
        if (exponent == 0) {
            return false;
        }
        c += exponent;
    }
    return *c == '\0';
}
