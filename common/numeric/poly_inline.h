/* Bodies of the float transcendentals, free of branches and of table look-ups so that loops over them vectorise.
 *
 * Every step is an IEEE operation written out (add, multiply, divide, fmaf, integer arithmetic on the bits), so a lane of
 * a vector and a scalar see the same roundings. Where the argument is reduced to a short interval the Taylor series
 * itself is used: with the terms below its error stays under 0.1 ulp, and its coefficients need no explanation. */
#ifndef FED_COMMON_NUMERIC_POLY_INLINE_H
#define FED_COMMON_NUMERIC_POLY_INLINE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits. */
#define FED_POLY_ROUND 0x1.8p23f
#define FED_POLY_LOG2E 0x1.715476p+0f
#define FED_POLY_LN2_HIGH 0x1.62e43p-1f
#define FED_POLY_LN2_LOW -0x1.05c61p-29f

static inline uint32_t fed_poly_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float fed_poly_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^n for -126 <= n <= 127; any other n gives some float, never undefined behaviour. */
static inline float fed_poly_power_of_two(int32_t n) { return fed_poly_float(((uint32_t)n + 127u) << 23); }

/* x = n ln 2 + r with |r| <= ln 2 / 2. */
static inline float fed_poly_reduce(float x, int32_t *n) {
    float shifted = fmaf(x, FED_POLY_LOG2E, FED_POLY_ROUND);
    float whole = shifted - FED_POLY_ROUND;
    *n = (int32_t)(fed_poly_bits(shifted) - fed_poly_bits(FED_POLY_ROUND));
    return fmaf(whole, -FED_POLY_LN2_LOW, fmaf(whole, -FED_POLY_LN2_HIGH, x));
}

/* (e^r - 1) / r for |r| <= ln 2 / 2. */
static inline float fed_poly_expm1_ratio(float r) {
    float p = 1.0f / 5040;
    p = fmaf(p, r, 1.0f / 720);
    p = fmaf(p, r, 1.0f / 120);
    p = fmaf(p, r, 1.0f / 24);
    p = fmaf(p, r, 1.0f / 6);
    p = fmaf(p, r, 0.5f);
    return fmaf(p, r, 1.0f);
}

/* The clamps lie where the result is +inf and 0 already. 2^n is applied in two halves: it may lie outside the floats
 * while the product does not. */
static inline float fed_poly_expf(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    int32_t n;
    float r = fed_poly_reduce(x, &n);
    float p = fmaf(fed_poly_expm1_ratio(r), r, 1.0f);
    int32_t half = n >> 1;
    return p * fed_poly_power_of_two(half) * fed_poly_power_of_two(n - half);
}

/* tanh |x| = -e / (2 + e) with e = e^(-2 |x|) - 1 = 2^n (e^r - 1) + (2^n - 1), exact to the last place near 0 as well. From
 * |x| = 10 on e rounds to -1 and the quotient is 1. (What a condition chooses is computed before it: of two computations gcc
 * does not do both unless told so, and then finds no vectors.) */
static inline float fed_poly_tanhf(float x) {
    float magnitude = fed_poly_float(fed_poly_bits(x) & 0x7fffffffu);
    float y = -2.0f * magnitude;
    y = y < -20.0f ? -20.0f : y;
    int32_t n;
    float r = fed_poly_reduce(y, &n);
    float scale = fed_poly_power_of_two(n);
    float e = fmaf(fed_poly_expm1_ratio(r) * r, scale, scale - 1.0f);
    float t = -e / (2.0f + e);
    return fed_poly_float(fed_poly_bits(t) | (fed_poly_bits(x) & 0x80000000u));
}

/* Of e^x / (1 + e^x) and 1 / (1 + e^-x) the one whose exponential cannot overflow. */
static inline float fed_poly_sigmoidf(float x) {
    float e = fed_poly_expf(x > 0.0f ? -x : x);
    return (x > 0.0f ? 1.0f : e) / (1.0f + e);
}

#endif
