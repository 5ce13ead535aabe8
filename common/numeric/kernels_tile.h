/* The tiles of a vector kernel set. A set defines its vector before including this file, once:
 *   vec, LANES, vec_zero(), vec_load(p), vec_store(p, v), vec_broadcast(p), vec_fma(a, b, c)
 *   ROWS, EACH_ROW_COUNT(X)   most batch rows of a forward tile, and X(1) ... X(ROWS)
 *   UPDATE_ROWS, EACH_UPDATE_ROW_COUNT(X), UPDATE_DEPTH
 *   CHAINS                    accumulators of an input-gradient tile
 *
 * Blocking. A strip is two vectors of neighbouring outputs (one at the right edge, where a second would be empty).
 * - forward: ROWS x strip accumulators stay in registers while k runs over the whole chain, so a weight is loaded once for
 *   ROWS rows and an input once for two vectors.
 * - update: the g of UPDATE_ROWS rows x strip stay in registers while the weights pass by, UPDATE_DEPTH rows k at a time,
 *   for their chains are as short as the batch and only many of them fill the pipeline. Weights are taken in blocks that
 *   stay in the first cache while all batch rows are added to them.
 * - input gradient: outputs k lie a whole row of weights apart, so lanes run across the batch instead: dz is transposed to
 *   [j][lane] and every w[k][j] is broadcast, for CHAINS chains at once.
 * Rows are dealt evenly: 16 rows with tiles of at most 10 are 8 + 8. No choice made here can change a bit of a result. */
#ifndef FED_COMMON_NUMERIC_KERNELS_TILE_H
#define FED_COMMON_NUMERIC_KERNELS_TILE_H

#include "common/numeric/kernels_internal.h"
#include "common/numeric/transpose.h"

#define TILE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")
#define STRIP (2 * LANES)
#define UPDATE_BLOCK 128   /* weights: 128 rows x 32 floats = 16 KiB */
#define GRADIENT_BLOCK 256 /* outputs j whose dz is transposed at a time */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The rows of the first of the fewest tiles of at most `most` rows that hold `rows`. */
static size_t deal_rows(size_t rows, size_t most) {
    size_t tiles = (rows + most - 1) / most;
    return (rows + tiles - 1) / tiles;
}

/* One k of a tile: a weight is loaded once for all rows, an input once for two vectors. */
TILE void forward_input(const int rows, const int vecs, vec chain[ROWS][2], const float *x, size_t x_stride,
                        const float *w) {
    vec weight[2];
    UNROLL for (int v = 0; v < vecs; v++) { weight[v] = vec_load(w + v * LANES); }
    UNROLL for (int b = 0; b < rows; b++) {
        vec input = vec_broadcast(x + b * x_stride);
        UNROLL for (int v = 0; v < vecs; v++) { chain[b][v] = vec_fma(input, weight[v], chain[b][v]); }
    }
}

TILE void forward_tile(const int rows, const int vecs, float *z, size_t z_stride, const float *x, size_t x_stride,
                       const float *w, const struct fed_inputs *in, size_t run, bool more) {
    vec chain[ROWS][2];
    UNROLL for (int b = 0; b < rows; b++) {
        UNROLL for (int v = 0; v < vecs; v++) { chain[b][v] = more ? vec_load(z + b * z_stride + v * LANES) : vec_zero(); }
    }
    if (in->columns != NULL) {
        for (size_t i = 0; i < in->n_columns; i++) {
            size_t k = in->columns[i];
            forward_input(rows, vecs, chain, x + k, x_stride, w + k * FED_PANEL);
        }
    } else {
        for (size_t r = 0; r < in->runs; r++, x += in->run_step) {
            for (size_t k = 0; k < run; k++, w += FED_PANEL) {
                forward_input(rows, vecs, chain, x + k, x_stride, w);
            }
        }
    }
    UNROLL for (int b = 0; b < rows; b++) {
        UNROLL for (int v = 0; v < vecs; v++) { vec_store(z + b * z_stride + v * LANES, chain[b][v]); }
    }
}

TILE void forward_strip(const int vecs, size_t rows, float *z, size_t z_stride, const float *x, size_t x_stride,
                        const float *w, const struct fed_inputs *in, size_t run, bool more) {
    switch (rows) {
#define CASE(n)                                                                                                             \
    case n: forward_tile(n, vecs, z, z_stride, x, x_stride, w, in, run, more); break;
        EACH_ROW_COUNT(CASE)
#undef CASE
    }
}

/* Rows that stand at one distance. */
static void forward_line(float *z, size_t z_stride, const float *x, size_t x_stride, size_t rows,
                         const struct fed_inputs *in, const float *panels, size_t n_in, size_t n_out, bool more) {
    size_t run = n_in / in->runs;
    for (size_t b = 0, n; b < rows; b += n) {
        n = deal_rows(rows - b, ROWS);
        for (size_t j = 0; j < n_out; j += STRIP) {
            const float *w = panels + j / FED_PANEL * FED_PANEL * n_in + j % FED_PANEL;
            float *to = z + b * z_stride + j;
            if (n_out - j > LANES) {
                forward_strip(2, n, to, z_stride, x + b * x_stride, x_stride, w, in, run, more);
            } else {
                forward_strip(1, n, to, z_stride, x + b * x_stride, x_stride, w, in, run, more);
            }
        }
    }
}

static void forward(float *z, const struct fed_rows *z_rows, const struct fed_inputs *in, const float *panels, size_t n_in,
                    size_t n_out, bool more) {
    for (size_t i = 0; i < z_rows->counts[0]; i++) {
        for (size_t j = 0; j < z_rows->counts[1]; j++) {
            forward_line(z + i * z_rows->steps[0] + j * z_rows->steps[1], z_rows->steps[2],
                         in->x + i * in->rows.steps[0] + j * in->rows.steps[1], in->rows.steps[2], z_rows->counts[2], in,
                         panels, n_in, n_out, more);
        }
    }
}

/* `depth` rows of weights, at columns[0..depth) or, without a list, the first ones. */
TILE void update_weights(const int rows, const int vecs, const int depth, float *w, const float *x, size_t x_stride,
                         vec g[UPDATE_ROWS][2], const uint32_t *columns) {
    size_t k[UPDATE_DEPTH];
    vec chain[UPDATE_DEPTH][2];
    UNROLL for (int d = 0; d < depth; d++) {
        k[d] = columns != NULL ? columns[d] : (size_t)d;
        UNROLL for (int v = 0; v < vecs; v++) { chain[d][v] = vec_load(w + k[d] * FED_PANEL + v * LANES); }
    }
    UNROLL for (int b = 0; b < rows; b++) {
        UNROLL for (int d = 0; d < depth; d++) {
            vec input = vec_broadcast(x + b * x_stride + k[d]);
            UNROLL for (int v = 0; v < vecs; v++) { chain[d][v] = vec_fma(input, g[b][v], chain[d][v]); }
        }
    }
    UNROLL for (int d = 0; d < depth; d++) {
        UNROLL for (int v = 0; v < vecs; v++) { vec_store(w + k[d] * FED_PANEL + v * LANES, chain[d][v]); }
    }
}

TILE void update_tile(const int rows, const int vecs, float *w, const float *x, size_t x_stride, const float *g,
                      size_t g_stride, const uint32_t *columns, size_t n_columns) {
    vec held[UPDATE_ROWS][2];
    UNROLL for (int b = 0; b < rows; b++) {
        UNROLL for (int v = 0; v < vecs; v++) { held[b][v] = vec_load(g + b * g_stride + v * LANES); }
    }
    if (columns != NULL) {
        size_t i = 0;
        for (; i + UPDATE_DEPTH <= n_columns; i += UPDATE_DEPTH) {
            update_weights(rows, vecs, UPDATE_DEPTH, w, x, x_stride, held, columns + i);
        }
        for (; i < n_columns; i++) {
            update_weights(rows, vecs, 1, w, x, x_stride, held, columns + i);
        }
    } else {
        size_t i = 0;
        for (; i + UPDATE_DEPTH <= n_columns; i += UPDATE_DEPTH) {
            update_weights(rows, vecs, UPDATE_DEPTH, w + i * FED_PANEL, x + i, x_stride, held, NULL);
        }
        for (; i < n_columns; i++) {
            update_weights(rows, vecs, 1, w + i * FED_PANEL, x + i, x_stride, held, NULL);
        }
    }
}

TILE void update_strip(const int vecs, size_t rows, float *w, const float *x, size_t x_stride, const float *g,
                       size_t g_stride, const uint32_t *columns, size_t n_columns) {
    switch (rows) {
#define CASE(n)                                                                                                             \
    case n: update_tile(n, vecs, w, x, x_stride, g, g_stride, columns, n_columns); break;
        EACH_UPDATE_ROW_COUNT(CASE)
#undef CASE
    }
}

/* All batch rows into one block of weights. */
static void update_block(float *w, const float *x, size_t x_stride, const float *g, size_t g_stride, size_t rows, bool wide,
                         const uint32_t *columns, size_t n_columns) {
    for (size_t b = 0, n; b < rows; b += n) {
        n = deal_rows(rows - b, UPDATE_ROWS);
        if (wide) {
            update_strip(2, n, w, x + b * x_stride, x_stride, g + b * g_stride, g_stride, columns, n_columns);
        } else {
            update_strip(1, n, w, x + b * x_stride, x_stride, g + b * g_stride, g_stride, columns, n_columns);
        }
    }
}

/* Rows that stand at one distance, inputs that stand in one run. */
static void update_line(float *panels, const float *x, size_t x_stride, const float *g, size_t g_stride, size_t rows,
                        size_t panel_floats, size_t n_out, const uint32_t *columns, size_t n_columns) {
    for (size_t j = 0; j < n_out; j += STRIP) {
        float *w = panels + j / FED_PANEL * panel_floats + j % FED_PANEL;
        for (size_t i = 0; i < n_columns; i += UPDATE_BLOCK) {
            size_t n = smaller(UPDATE_BLOCK, n_columns - i);
            if (columns != NULL) {
                update_block(w, x, x_stride, g + j, g_stride, rows, n_out - j > LANES, columns + i, n);
            } else {
                update_block(w + i * FED_PANEL, x + i, x_stride, g + j, g_stride, rows, n_out - j > LANES, NULL, n);
            }
        }
    }
}

static void update(float *panels, const struct fed_inputs *in, const float *g, const struct fed_rows *g_rows, size_t n_in,
                   size_t n_out) {
    size_t run = n_in / in->runs, n = in->columns != NULL ? in->n_columns : run;
    for (size_t i = 0; i < g_rows->counts[0]; i++) {
        for (size_t j = 0; j < g_rows->counts[1]; j++) {
            const float *x = in->x + i * in->rows.steps[0] + j * in->rows.steps[1];
            for (size_t r = 0; r < in->runs; r++) {
                update_line(panels + r * run * FED_PANEL, x + r * in->run_step, in->rows.steps[2],
                            g + i * g_rows->steps[0] + j * g_rows->steps[1], g_rows->steps[2], g_rows->counts[2],
                            FED_PANEL * n_in, n_out, in->columns, n);
            }
        }
    }
}

/* A block of outputs, as the chains of the inputs see it. */
struct gradient_block {
    const float *dz;     /* [j][lanes] */
    const float *w;      /* row k = 0 of the block's first panel */
    size_t panel_floats; /* from a panel to the next */
    size_t n_out;        /* outputs in the block */
    size_t rows;         /* lanes in use */
    bool first;          /* chains start at +0; else they continue from dx */
    float *dx;           /* of the block's first batch row */
    size_t dx_stride;
};

/* Chains of inputs k .. k + n - 1, for vecs * LANES batch rows. */
TILE void gradient_tile(const int n, const int vecs, const struct gradient_block *block, size_t k) {
    float lanes[CHAINS * LANES] __attribute__((aligned(64)));
    vec chain[CHAINS][2];
    if (!block->first) {
        memset(lanes, 0, sizeof lanes);
        fed_transpose(lanes, vecs * LANES, block->dx + k, block->dx_stride, block->rows, n);
    }
    UNROLL for (int t = 0; t < n; t++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            chain[t][v] = block->first ? vec_zero() : vec_load(lanes + (t * vecs + v) * LANES);
        }
    }
    const float *dz = block->dz;
    const float *panel = block->w + k * FED_PANEL;
    for (size_t j0 = 0; j0 < block->n_out; j0 += FED_PANEL, panel += block->panel_floats) {
        size_t width = smaller(FED_PANEL, block->n_out - j0);
        for (size_t j = 0; j < width; j++, dz += vecs * LANES) {
            vec gradient[2];
            UNROLL for (int v = 0; v < vecs; v++) { gradient[v] = vec_load(dz + v * LANES); }
            UNROLL for (int t = 0; t < n; t++) {
                vec weight = vec_broadcast(panel + t * FED_PANEL + j);
                UNROLL for (int v = 0; v < vecs; v++) { chain[t][v] = vec_fma(gradient[v], weight, chain[t][v]); }
            }
        }
    }
    UNROLL for (int t = 0; t < n; t++) {
        UNROLL for (int v = 0; v < vecs; v++) { vec_store(lanes + (t * vecs + v) * LANES, chain[t][v]); }
    }
    fed_transpose(block->dx + k, block->dx_stride, lanes, vecs * LANES, n, block->rows);
}

TILE void gradient_block(const int vecs, const struct gradient_block *block, size_t n_in) {
    size_t k = 0;
    for (; k + CHAINS / vecs <= n_in; k += CHAINS / vecs) {
        gradient_tile(CHAINS / vecs, vecs, block, k);
    }
    for (; k + 4 <= n_in; k += 4) {
        gradient_tile(4, vecs, block, k);
    }
    for (; k < n_in; k++) {
        gradient_tile(1, vecs, block, k);
    }
}

static void input_gradient(float *dx, size_t dx_stride, const float *dz, size_t dz_stride, size_t rows, const float *panels,
                           size_t n_in, size_t n_out, bool more) {
    float transposed[GRADIENT_BLOCK * STRIP] __attribute__((aligned(64)));
    for (size_t b = 0, n; b < rows; b += n) {
        n = deal_rows(rows - b, STRIP);
        for (size_t j = 0; j < n_out; j += GRADIENT_BLOCK) {
            struct gradient_block block = {
                transposed, panels + j * n_in, FED_PANEL * n_in,   smaller(GRADIENT_BLOCK, n_out - j),
                n,          j == 0 && !more,   dx + b * dx_stride, dx_stride};
            size_t lanes = n > LANES ? STRIP : LANES;
            memset(transposed, 0, block.n_out * lanes * sizeof *transposed);
            fed_transpose(transposed, lanes, dz + b * dz_stride + j, dz_stride, n, block.n_out);
            if (n > LANES) {
                gradient_block(2, &block, n_in);
            } else {
                gradient_block(1, &block, n_in);
            }
        }
    }
}

#endif
