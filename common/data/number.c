/* Nearly all numbers take the short way: the first digits and a power of ten are exact in double, so one operation brackets
 * the value between two neighbours of its result; where all of the bracket has one nearest float32, that is it. The others
 * (a value next to a tie, tiny, huge) go to strtof. */
#include "common/data/number.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MOST 15      /* below 2^53 */
#define POWERS_MOST 22      /* 10^22 = 2^22 5^22, and 5^22 < 2^53 */
#define EXPONENT_MOST 99999 /* beyond it every number is 0 or too large */

struct decimal {
    bool negative, cut; /* cut: digits that are not zero follow those in mantissa */
    uint64_t mantissa;  /* the first DIGITS_MOST digits */
    int n_digits;       /* of the mantissa, without leading zeros */
    int64_t exponent;   /* of ten */
};

/* Takes digits up to the first other character; point: behind it. Returns how many there were. */
static size_t take_digits(struct decimal *d, const char *text, bool point) {
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        if (d->n_digits < DIGITS_MOST) {
            d->mantissa = 10 * d->mantissa + (uint64_t)(text[i] - '0');
            d->n_digits += d->mantissa != 0;
            d->exponent -= point;
        } else {
            d->cut |= text[i] != '0';
            d->exponent += !point;
        }
    }
    return i;
}

static const char *take_exponent(struct decimal *d, const char *text) {
    int64_t exponent = 0;
    bool negative = *text == '-';
    text += *text == '-' || *text == '+';
    if (*text < '0' || *text > '9') {
        return NULL;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        exponent = exponent < EXPONENT_MOST ? 10 * exponent + (*text - '0') : exponent;
    }
    d->exponent += negative ? -exponent : exponent;
    return text;
}

static int scan(struct decimal *out, const char *text, size_t n) {
    struct decimal d = {.negative = *text == '-'};
    const char *c = text + (*text == '-' || *text == '+');
    size_t n_whole = take_digits(&d, c, false), n_part = 0;
    c += n_whole;
    if (*c == '.') {
        n_part = take_digits(&d, c + 1, true);
        c += 1 + n_part;
    }
    if (n_whole + n_part == 0) {
        return FED_EDATA;
    }
    if (*c == 'e' || *c == 'E') {
        c = take_exponent(&d, c + 1);
    }
    if (c != text + n) {
        return FED_EDATA;
    }
    *out = d;
    return FED_OK;
}

static float neighbour(double value, int64_t step) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += step;
    memcpy(&value, &bits, sizeof bits);
    return (float)value;
}

/* mantissa * 10^exponent: rounded once, because both are exact. */
static double scaled(uint64_t mantissa, int64_t exponent) {
    static const double powers[POWERS_MOST + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    return exponent < 0 ? (double)mantissa / powers[-exponent] : (double)mantissa * powers[exponent];
}

/* Whether the short way led somewhere. */
static bool parse_short(float *out, const struct decimal *d) {
    if (d->mantissa == 0) {
        *out = d->negative ? -0.0f : 0.0f;
        return true;
    }
    if (d->exponent < -POWERS_MOST || d->exponent > POWERS_MOST) {
        return false;
    }
    float low = neighbour(scaled(d->mantissa, d->exponent), -1);
    float high = neighbour(scaled(d->mantissa + d->cut, d->exponent), 1);
    *out = d->negative ? -low : low;
    return low == high;
}

int fed_number_parse(float *out, const char *text, size_t n) {
    struct decimal d;
    float value;
    int rc = scan(&d, text, n);
    if (rc != FED_OK) {
        return rc;
    }
    if (!parse_short(&value, &d)) {
        value = strtof_l(text, NULL, newlocale(LC_ALL_MASK, "C", (locale_t)0)); /* glibc makes no new object for "C" */
    }
    if (isinf(value)) {
        return FED_EFAILED;
    }
    *out = value;
    return FED_OK;
}
