/* The callable versions, and the double ones. Nothing here runs in an inner loop of training. */
#include "common/numeric/poly.h"

#include "common/numeric/poly_inline.h"

/* ln 2 in two parts; the high ones end in enough zero bits that an exponent times it is exact. */
#define LN2F_HIGH 0x1.62e3p-1f
#define LN2F_LOW 0x1.2fefa2p-17f
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define SQRT_HALF_BITS 0x3f3504f3u

float fed_expf(float x) { return fed_poly_expf(x); }

float fed_tanhf(float x) { return fed_poly_tanhf(x); }

float fed_sigmoidf(float x) { return fed_poly_sigmoidf(x); }

/* log(2^k (1 + f)) with s = f / (2 + f): log(1 + f) = 2 atanh s, written as f minus a small correction so that nothing
 * cancels near 1. */
float fed_logf(float x) {
    if (!(x > 0.0f) || x == INFINITY) {
        return x == 0.0f ? -INFINITY : x > 0.0f || x != x ? x : NAN;
    }
    int32_t k = 0;
    if (x < 0x1p-126f) {
        x *= 0x1p25f;
        k = -25;
    }
    uint32_t above = fed_poly_bits(x) - SQRT_HALF_BITS;
    k += (int32_t)above >> 23;
    float f = fed_poly_float((above & 0x007fffffu) + SQRT_HALF_BITS) - 1.0f;
    float s = f / (2.0f + f);
    float z = s * s;
    float p = 2.0f / 9;
    p = fmaf(p, z, 2.0f / 7);
    p = fmaf(p, z, 2.0f / 5);
    p = fmaf(p, z, 2.0f / 3);
    float half_square = 0.5f * f * f;
    float tail = fmaf(s, fmaf(p, z, half_square), (float)k * LN2F_LOW);
    return fmaf((float)k, LN2F_HIGH, f - (half_square - tail));
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Horner: table[0] x^(n-1) + ... + table[n-1]. */
static double horner(const double *table, size_t n, double x) {
    double p = table[0];
    for (size_t i = 1; i < n; i++) {
        p = fma(p, x, table[i]);
    }
    return p;
}

double fed_exp(double x) {
    static const double taylor[] = {
        1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
        1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
    if (x != x) {
        return x;
    }
    x = x > 710.0 ? 710.0 : x < -746.0 ? -746.0 : x;
    double shifted = fma(x, 0x1.71547652b82fep+0, 0x1.8p52);
    double whole = shifted - 0x1.8p52;
    int64_t n = (int64_t)(bits_of(shifted) - bits_of(0x1.8p52));
    double r = fma(whole, -LN2_LOW, fma(whole, -LN2_HIGH, x));
    double p = horner(taylor, sizeof taylor / sizeof *taylor, r);
    int64_t half = n / 2;
    return p * double_of((uint64_t)(half + 1023) << 52) * double_of((uint64_t)(n - half + 1023) << 52);
}

double fed_log(double x) {
    static const double series[] = {2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
                                    2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3};
    const uint64_t sqrt_half = 0x3fe6a09e667f3bcdu;
    if (!(x > 0.0) || x == INFINITY) {
        return x == 0.0 ? -INFINITY : x > 0.0 || x != x ? x : NAN;
    }
    int64_t k = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t above = bits_of(x) - sqrt_half;
    k += (int64_t)above >> 52;
    double f = double_of((above & 0x000fffffffffffffu) + sqrt_half) - 1.0;
    double s = f / (2.0 + f);
    double z = s * s;
    double half_square = 0.5 * f * f;
    double tail = fma(s, fma(horner(series, sizeof series / sizeof *series, z), z, half_square), (double)k * LN2_LOW);
    return fma((double)k, LN2_HIGH, f - (half_square - tail));
}
