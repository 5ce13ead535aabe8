/* Exact weighted sums: every update is rounded once to a multiple of 2^-f and from then on only integers are added,
 * so the sum does not depend on order, grouping, threads or instruction set.
 *
 * Bounds: |delta| <= max_delta <= 2^v, 1 <= weight <= max_weight <= 2^w, at most 2^m updates in one sum. With
 *     f = min(62 - v - w - m, 51 - v - w)
 * one term stays below 2^51 (so that adding 1.5 * 2^52 rounds it to an integer) and the sum below 2^62. */
#ifndef FED_COMMON_NUMERIC_FIXED_H
#define FED_COMMON_NUMERIC_FIXED_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_FIXED_MIN_EXPONENT 20
#define FED_FIXED_MAX_WEIGHT ((uint64_t)1 << 26)

struct fed_fixed {
    float max_delta;      /* refuse |delta| above */
    uint64_t max_weight;  /* refuse weights above */
    uint64_t max_updates; /* refuse an attempt with more */
    int exponent;         /* f: the quantum is 2^-f */
};

/* FED_ECONFIG with a sentence when max_delta is not in (0, 2^20], max_weight not in [1, 2^26], max_updates not in [1, 2^24],
 * or when f would fall below 20. */
int fed_fixed_init(struct fed_fixed *out, double max_delta, uint64_t max_weight, uint64_t max_updates,
                   struct fed_error *err) FED_MUST_CHECK;

/* Index of the first delta that is not finite or beyond max_delta; n if all are fine. */
size_t fed_fixed_check(const struct fed_fixed *fixed, const float *delta, size_t n);
/* sum[i] += round(delta[i] * scale * weight * 2^f), to nearest even; the product delta * scale is rounded to float32 first.
 * scale: 1 for an update as it is, less for one that is clipped. The caller has checked delta and weight. */
void fed_fixed_add(const struct fed_fixed *fixed, int64_t *sum, const float *delta, size_t n, uint64_t weight, float scale);

/* Index of the first entry with |part[i]| > total_weight * (min(max_delta, most) * 2^f + 1/2); n if all are fine. The half
 * is the rounding of each client's term: without it an honest sum of updates that stand at the cap could be refused. */
size_t fed_fixed_check_sum(const struct fed_fixed *fixed, const int64_t *part, size_t n, uint64_t total_weight, double most);
void fed_fixed_add_sum(int64_t *sum, const int64_t *part, size_t n);

/* The weighted mean: out[i] = sum[i] == 0 ? w[i] : (float)(w[i] + sum[i] / (total_weight * 2^f)), in double, rounded once.
 * Returns the index of the first result that is not finite; n if all are. out may be w itself. */
size_t fed_fixed_commit(const struct fed_fixed *fixed, float *out, const float *w, const int64_t *sum, size_t n,
                        uint64_t total_weight);

#endif
