/* The product delta * (weight * 2^f) has at most 24 + 26 significant bits, so it is exact in double and no compiler option
 * can change it. Adding 1.5 * 2^52 then rounds it to an integer, to nearest even, and leaves that integer in the low bits
 * of the sum: one multiplication, one addition and one subtraction an element, on every instruction set at memory speed. */
#include "common/numeric/fixed.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/numeric/every_isa.h"

#define MAX_DELTA 0x1p20
#define MAX_UPDATES ((uint64_t)1 << 24)
#define MAGIC 0x1.8p52
#define BLOCK 1024 /* elements between two looks at whether one was wrong */

/* Smallest e with 2^e >= value. */
static int ceil_log2(double value) {
    int e;
    double mantissa = frexp(value, &e); /* in [0.5, 1) */
    return mantissa == 0.5 ? e - 1 : e;
}

int fed_fixed_init(struct fed_fixed *out, double max_delta, uint64_t max_weight, uint64_t max_updates,
                   struct fed_error *err) {
    if (!(max_delta > 0 && max_delta <= MAX_DELTA) || (float)max_delta == 0) {
        return fed_error_set(err, FED_ECONFIG, "max_delta: %g found, a number above 0 and at most %.0f is allowed",
                             max_delta, MAX_DELTA);
    }
    if (max_weight < 1 || max_weight > FED_FIXED_MAX_WEIGHT) {
        return fed_error_set(err, FED_ECONFIG, "max_weight: %" PRIu64 " found, 1 to %" PRIu64 " is allowed", max_weight,
                             FED_FIXED_MAX_WEIGHT);
    }
    if (max_updates < 1 || max_updates > MAX_UPDATES) {
        return fed_error_set(err, FED_ECONFIG, "updates in one attempt: %" PRIu64 " found, 1 to %" PRIu64 " are allowed",
                             max_updates, MAX_UPDATES);
    }
    int v = ceil_log2((float)max_delta), w = ceil_log2((double)max_weight), m = ceil_log2((double)max_updates);
    int sum_fits = 62 - v - w - m, term_fits = 51 - v - w;
    int f = sum_fits < term_fits ? sum_fits : term_fits;
    if (f < FED_FIXED_MIN_EXPONENT) {
        return fed_error_set(err, FED_ECONFIG,
                             "max_delta %g, max_weight %" PRIu64 " and %" PRIu64
                             " updates leave a quantum of 2^%d, at most 2^-%d is allowed; lower max_delta or max_weight",
                             max_delta, max_weight, max_updates, -f, FED_FIXED_MIN_EXPONENT);
    }
    *out = (struct fed_fixed){
        .max_delta = (float)max_delta, .max_weight = max_weight, .max_updates = max_updates, .exponent = f};
    return 0;
}

/* !(x <= cap) is also true for NaN. */
FED_EVERY_ISA static bool any_beyond(const float *delta, size_t n, float cap) {
    unsigned beyond = 0;
    for (size_t i = 0; i < n; i++) {
        beyond |= !(fabsf(delta[i]) <= cap);
    }
    return beyond != 0;
}

size_t fed_fixed_check(const struct fed_fixed *fixed, const float *delta, size_t n) {
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t end = n - i < BLOCK ? n : i + BLOCK;
        if (any_beyond(delta + i, end - i, fixed->max_delta)) {
            while (fabsf(delta[i]) <= fixed->max_delta) {
                i++;
            }
            return i;
        }
    }
    return n;
}

static inline int64_t bits_of(double value) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

FED_EVERY_ISA static void add_scaled(int64_t *restrict sum, const float *restrict delta, size_t n, float scale,
                                     double quanta) {
    for (size_t i = 0; i < n; i++) {
        float scaled = delta[i] * scale;
        double y = (double)scaled * quanta + MAGIC;
        sum[i] += bits_of(y) - bits_of(MAGIC);
    }
}

void fed_fixed_add(const struct fed_fixed *fixed, int64_t *sum, const float *delta, size_t n, uint64_t weight, float scale) {
    assert(weight >= 1 && weight <= fixed->max_weight && scale >= 0 && scale <= 1);
    add_scaled(sum, delta, n, scale, ldexp((double)weight, fixed->exponent));
}

/* The largest honest |part|: a client adds at most weight * most * 2^f and half a quantum of its rounding, and there are at
 * most total_weight clients. max_delta * 2^f + 1/2 lies in (2^11, 2^52) and is a multiple of 2^-12: exact; with a smaller
 * bound the next multiple is taken. */
static int64_t sum_bound(const struct fed_fixed *fixed, uint64_t total_weight, double most) {
    double one = ldexp(fmin((double)fixed->max_delta, most), fixed->exponent) + 0.5;
    unsigned __int128 bound = (unsigned __int128)(uint64_t)ceil(ldexp(one, 12)) * total_weight >> 12;
    return bound > INT64_MAX ? INT64_MAX : (int64_t)bound;
}

FED_EVERY_ISA static bool any_outside(const int64_t *part, size_t n, int64_t bound) {
    uint64_t outside = 0;
    for (size_t i = 0; i < n; i++) {
        outside |= (uint64_t)(part[i] > bound) | (uint64_t)(part[i] < -bound);
    }
    return outside != 0;
}

size_t fed_fixed_check_sum(const struct fed_fixed *fixed, const int64_t *part, size_t n, uint64_t total_weight,
                           double most) {
    int64_t bound = sum_bound(fixed, total_weight, most);
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t end = n - i < BLOCK ? n : i + BLOCK;
        if (any_outside(part + i, end - i, bound)) {
            while (part[i] <= bound && part[i] >= -bound) {
                i++;
            }
            return i;
        }
    }
    return n;
}

FED_EVERY_ISA static void add_parts(int64_t *restrict sum, const int64_t *restrict part, size_t n) {
    for (size_t i = 0; i < n; i++) {
        sum[i] += part[i];
    }
}

void fed_fixed_add_sum(int64_t *sum, const int64_t *part, size_t n) { add_parts(sum, part, n); }

/* True when a result is not finite. out may be w. */
FED_EVERY_ISA static bool commit(float *out, const float *w, const int64_t *sum, size_t n, double divisor) {
    unsigned broken = 0;
    for (size_t i = 0; i < n; i++) {
        float mean = (float)((double)w[i] + (double)sum[i] / divisor);
        out[i] = sum[i] == 0 ? w[i] : mean;
        broken |= !(fabsf(out[i]) <= FLT_MAX);
    }
    return broken != 0;
}

size_t fed_fixed_commit(const struct fed_fixed *fixed, float *out, const float *w, const int64_t *sum, size_t n,
                        uint64_t total_weight) {
    assert(total_weight >= 1);
    double divisor = ldexp((double)total_weight, fixed->exponent);
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t end = n - i < BLOCK ? n : i + BLOCK;
        if (commit(out + i, w + i, sum + i, end - i, divisor)) {
            while (isfinite(out[i])) {
                i++;
            }
            return i;
        }
    }
    return n;
}
