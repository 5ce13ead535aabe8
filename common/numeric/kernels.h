/* The GEMM tiles of training, in one canonical arithmetic.
 *
 * Canon: every output element is one chain of fused multiply-adds in ascending k. A forward or input-gradient chain
 * starts at +0; the chain of an updated weight starts at the weight and takes the batch rows in ascending order. Tiles
 * vectorise across outputs only, never along a chain, so plain C with fmaf, AVX2 and AVX-512 give the same bits.
 *
 * Layouts. Weights of a dense layer (n_in -> n_out) live in panels while training: panel p holds outputs
 * [32 p, 32 p + 32) as rows k = 0..n_in-1 of 32 floats, 64-byte aligned; columns beyond n_out are zero and stay zero.
 * (n_panels = ceil(n_out / 32).) Activations and gradients are row-major (rows, stride), 64-byte aligned, with stride a
 * multiple of 32 floats and zeros beyond the width; kernels read no further and leave these zeros zero. */
#ifndef FED_COMMON_NUMERIC_KERNELS_H
#define FED_COMMON_NUMERIC_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_PANEL 32

struct fed_kernels {
    const char *name; /* "portable", "avx2", "avx512" */

    /* z[b][j] = chain over k of x[b][k] * w[k][j], b < rows, all panels.
     * columns: the ascending list of k that take part (NULL: all k = 0..n_columns-1). A column that is zero in the whole
     * batch adds products with zero, which change nothing for finite weights but the sign of a zero; as every set skips
     * the same columns, that is part of the canon too. */
    void (*forward)(float *z, size_t z_stride, const float *x, size_t x_stride, size_t rows, const float *panels,
                    size_t n_in, size_t n_out, const uint32_t *columns, size_t n_columns);

    /* dx[b][k] = chain over j of dz[b][j] * w[k][j], j < n_out; b < rows, k < n_in. */
    void (*input_gradient)(float *dx, size_t dx_stride, const float *dz, size_t dz_stride, size_t rows, const float *panels,
                           size_t n_in, size_t n_out);

    /* w[k][j] = chain over b, from w[k][j], of x[b][k] * g[b][j], for the listed columns k. g carries -learning_rate /
     * batch. */
    void (*update)(float *panels, const float *x, size_t x_stride, const float *g, size_t g_stride, size_t rows, size_t n_in,
                   size_t n_out, const uint32_t *columns, size_t n_columns);

    /* Lists, ascending, the columns of x that are not zero (of either sign) in all rows; returns how many. columns has
     * room for x_stride entries. */
    size_t (*live_columns)(uint32_t *columns, const float *x, size_t x_stride, size_t rows);

    /* Elementwise over n floats (own polynomials, see poly.h). */
    void (*sigmoid)(float *a, size_t n);
    void (*tanh)(float *a, size_t n);
    /* row[j] = exp(row[j] - max) for j < n; returns the row's sum over a fixed tree of 16 lanes. */
    float (*exp_row)(float *row, size_t n, float max);
};

/* The best set this processor runs, or the one named in the environment variable FEDAVG_KERNELS
 * ("portable", "avx2", "avx512"): FED_ECONFIG with a sentence if that name is unknown or the processor lacks it. */
int fed_kernels_choose(const struct fed_kernels **out, struct fed_error *err) FED_MUST_CHECK;
/* By name; NULL if unknown or not runnable here. For tests and benchmarks. */
const struct fed_kernels *fed_kernels_by_name(const char *name);

#endif
