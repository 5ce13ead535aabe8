/* The GEMM tiles of training, in one canonical arithmetic: dense layers, convolutions and LSTMs are the same three products
 * over rows that stand at regular distances in memory.
 *
 * Canon: every output element is one chain of fused multiply-adds in ascending k. A forward or input-gradient chain
 * starts at +0, or goes on from what is there (`more`); the chain of an updated weight starts at the weight and takes the
 * rows in ascending order. Tiles vectorise across outputs only, never along a chain, so plain C with fmaf, NEON, AVX2 and
 * AVX-512 give the same bits. (Sets of the family blas do not follow the canon.)
 *
 * Layouts. Weights (n_in -> n_out) live in panels while training: panel p holds outputs [32 p, 32 p + 32) as rows k =
 * 0..n_in-1 of 32 floats, 64-byte aligned; columns beyond n_out are zero and stay zero. (n_panels = ceil(n_out / 32).)
 * Outputs and gradients of outputs are rows of a multiple of 32 floats, 64-byte aligned, with zeros beyond the width;
 * kernels read no further and leave these zeros zero. Inputs need no alignment. */
#ifndef FED_COMMON_NUMERIC_KERNELS_H
#define FED_COMMON_NUMERIC_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_PANEL 32

/* What a task asks for. exact: the canon above. blas: OpenBLAS (blas.h), close to it, but no two machines need agree. */
enum fed_math { FED_MATH_EXACT, FED_MATH_BLAS };
const char *fed_math_name(enum fed_math math); /* exact, blas: words of the task file */

/* Where rows stand: row (i, j, l) at start + i * steps[0] + j * steps[1] + l * steps[2] floats, i < counts[0] and so on; in
 * ascending order of (i, j, l); every count at least 1. Dense: {1, 1, rows}. Convolution: images, lines, pixels of a line.
 */
struct fed_rows {
    size_t counts[3], steps[3];
};

/* n rows, `step` floats from one to the next. */
static inline struct fed_rows fed_rows_plain(size_t n, size_t step) { return (struct fed_rows){{1, 1, n}, {0, 0, step}}; }

/* Inputs of a product: rows of n_in floats each. Within a row they stand in `runs` runs of n_in / runs neighbours, run_step
 * floats from the start of one run to that of the next: a dense layer has one run, a convolution one for each line of its
 * filter, because in an image with channels last a line of a window is contiguous. No im2col is needed. */
struct fed_inputs {
    const float *x;
    struct fed_rows rows;
    size_t runs, run_step;
    /* The ascending list of k that take part (NULL: all); only with one run and counts[0] = counts[1] = 1. A column that is
     * zero in the whole batch adds products with zero, which change nothing for finite weights but the sign of a zero; as
     * every set skips the same columns, that is part of the canon too. */
    const uint32_t *columns;
    size_t n_columns;
};

struct fed_kernels {
    const char *name; /* "portable", "neon", "avx2", "avx512", "blas" */

    /* z[row][j] = chain over k of x[row][k] * w[k][j], all panels, from z[row][j] on if `more`, else from +0. z_rows has as
     * many rows as the inputs. */
    void (*forward)(float *z, const struct fed_rows *z_rows, const struct fed_inputs *in, const float *panels, size_t n_in,
                    size_t n_out, bool more);

    /* dx[b][k] = chain over j of dz[b][j] * w[k][j], j < n_out, from dx[b][k] on if `more`; b < rows, k < n_in. For few
     * rows: with many, turn the weights over once (panels.h) and go forward. */
    void (*input_gradient)(float *dx, size_t dx_stride, const float *dz, size_t dz_stride, size_t rows, const float *panels,
                           size_t n_in, size_t n_out, bool more);

    /* w[k][j] = chain over rows, from w[k][j] on, of x[row][k] * g[row][j], for the columns that take part. g carries the
     * learning rate and its sign. g_rows has as many rows as the inputs. */
    void (*update)(float *panels, const struct fed_inputs *in, const float *g, const struct fed_rows *g_rows, size_t n_in,
                   size_t n_out);

    /* Lists, ascending, the columns of x that are not zero (of either sign) in all rows; returns how many. columns has
     * room for x_stride entries. blas lists them all. */
    size_t (*live_columns)(uint32_t *columns, const float *x, size_t x_stride, size_t rows);

    /* Elementwise over n floats (own polynomials, see poly.h). */
    void (*sigmoid)(float *a, size_t n);
    void (*tanh)(float *a, size_t n);
    /* row[j] = exp(row[j] - max) for j < n; returns the row's sum over a fixed tree of 16 lanes. */
    float (*exp_row)(float *row, size_t n, float max);

    /* One row of an LSTM cell. gates: (4 * units) i, f, g, o before their activations, replaced by what comes out of them.
     * cell: (units) c of this step = f * c_before + i * g (NULL c_before: zero; fma(f, c_before, i * g)); tanh_cell: its
     * tanh; hidden = o * tanh(c). No two arrays overlap. */
    void (*lstm_cell)(float *gates, float *cell, float *tanh_cell, float *hidden, const float *cell_before, size_t units);
    /* Its gradient. gates: as left by lstm_cell; d_hidden, d_cell: of this step's h and of its c from the step after;
     * replaces gates by their gradients (before the activations) and d_cell by that of c_before. Every product and sum is
     * rounded in the order of the source. */
    void (*lstm_cell_gradient)(float *gates, float *d_cell, const float *d_hidden, const float *tanh_cell,
                               const float *cell_before, size_t units);
};

/* The best exact set this processor runs, or the one named in the environment variable FEDAVG_KERNELS
 * ("portable", "neon", "avx2", "avx512"): FED_ECONFIG with a sentence if that name is unknown or the processor lacks it. */
int fed_kernels_choose(const struct fed_kernels **out, struct fed_error *err) FED_MUST_CHECK;
/* An exact set by name; NULL if unknown or not runnable here. For tests and benchmarks. */
const struct fed_kernels *fed_kernels_by_name(const char *name);

#endif
