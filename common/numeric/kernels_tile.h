/* The tiles of a vector kernel set. A set defines its vector before including this file, once:
 *   vec, LANES                  a vector of LANES floats: 4, 8, 16 or 32
 *   vec_zero(), vec_load(p), vec_store(p, v), vec_broadcast(p), vec_fma(a, b, c)    p aligned, but for the broadcast
 *   vec_fours(p, step)          LANES / 4 groups of four neighbours: group i from p + i * step on, unaligned
 *   vec_zip_low(a, b), vec_zip_high(a, b), vec_zip2_low(a, b), vec_zip2_high(a, b)
 *                               within each group of four: a0 b0 a1 b1, a2 b2 a3 b3, a0 a1 b0 b1, a2 a3 b2 b3
 *   ROWS, EACH_ROW_COUNT(X)     most rows of a forward tile, and X(1) ... X(ROWS)
 *   UPDATE_ROWS, EACH_UPDATE_ROW_COUNT(X), UPDATE_DEPTH
 *                               the same of an update tile, and how many rows of weights it works on at a time
 *
 * Blocking. A strip is two vectors of neighbouring outputs (one at the right edge, where a second would be empty).
 * - forward: ROWS x strip chains stay in registers while k runs over all inputs, so a weight is loaded once for ROWS rows
 *   and an input once for two vectors. Where the weights fit the second cache, each tile of rows passes them all; larger
 *   ones come from memory strip by strip, once for a block of rows whose inputs fit instead.
 * - update: the g of UPDATE_ROWS rows x strip stay in registers while weights pass by, UPDATE_DEPTH rows k at a time, to be
 *   loaded, to take UPDATE_ROWS links of their chains and to be stored. Weights are taken in pieces that stay in the first
 *   cache while all rows of a block are added to them. (Chains of weights in registers, with the rows passing by, are as
 *   fast for images and slower for all else: loads come in bursts, and inputs k of a distant row are few at a time.)
 * - input gradient: weights are turned over, a piece of a panel at a time, into a buffer in the first cache; from there on
 *   it is a forward product.
 * Rows are dealt evenly: 16 rows are tiles of 8 + 8, not of 14 + 2. That a chain goes to memory between two pieces and on
 * from there, like every other choice made here, changes no bit of a result.
 *
 * What the canon costs, measured on AVX-512 against a loop of multiply-adds alone: nothing to speak of for wide layers (85
 * to 95 % of it, chains enough to hide their latency); a layer of ten outputs, one vector wide, stays at 40 to 50 %. */
#ifndef FED_COMMON_NUMERIC_KERNELS_TILE_H
#define FED_COMMON_NUMERIC_KERNELS_TILE_H

#include "common/numeric/kernels_internal.h"

/* Under a sanitizer, which checks each access, one body serves all shapes: a body for each takes minutes to compile. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TILE static __attribute__((noinline, noclone))
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TILE static __attribute__((noinline))
#endif
#endif

#ifdef TILE
#define UNROLL
#else
#define TILE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define STRIP (2 * LANES)
#define WEIGHTS_HELD ((size_t)5 << 16) /* floats that stay in the second cache: 1.25 MiB */
#define INPUTS_HELD ((size_t)1 << 18)  /* the same of inputs, where weights do not */
#define WEIGHT_ROWS 128                /* of an update's piece, x 32 floats: 16 KiB */
#define UPDATE_BLOCK 120               /* rows of an update at a time */
#define TURNED_ROWS 128                /* of a piece of weights turned over, x 32 floats */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The first of the fewest parts of at most `most` that n falls into, when it is dealt evenly; 0 of 0. */
static size_t even_part(size_t n, size_t most) {
    size_t parts = (n + most - 1) / most;
    return parts == 0 ? 0 : (n + parts - 1) / parts;
}

/* What the tiles of a forward product have in common. */
struct product {
    const struct fed_inputs *in;
    size_t run;            /* inputs of a run */
    size_t x_step, z_step; /* from row to row */
    size_t panel;          /* floats of a panel */
    bool more;
};

TILE void forward_step(const int rows, const int vecs, vec chain[ROWS][2], const float *x, size_t x_step, const float *w) {
    vec weight[2];
    UNROLL for (int v = 0; v < vecs; v++) { weight[v] = vec_load(w + v * LANES); }
    UNROLL for (int b = 0; b < rows; b++) {
        vec input = vec_broadcast(x + b * x_step);
        UNROLL for (int v = 0; v < vecs; v++) { chain[b][v] = vec_fma(input, weight[v], chain[b][v]); }
    }
}

TILE void forward_tile(const int rows, const int vecs, const struct product *p, float *z, const float *x, const float *w) {
    const struct fed_inputs *in = p->in;
    size_t x_step = p->x_step, z_step = p->z_step;
    vec chain[ROWS][2];
    UNROLL for (int b = 0; b < rows; b++) {
        UNROLL for (int v = 0; v < vecs; v++) { chain[b][v] = p->more ? vec_load(z + b * z_step + v * LANES) : vec_zero(); }
    }
    if (in->columns != NULL) {
        for (size_t i = 0; i < in->n_columns; i++) {
            size_t k = in->columns[i];
            forward_step(rows, vecs, chain, x + k, x_step, w + k * FED_PANEL);
        }
    } else {
        for (size_t r = 0; r < in->runs; r++, x += in->run_step) {
            for (size_t k = 0; k < p->run; k++, w += FED_PANEL) {
                forward_step(rows, vecs, chain, x + k, x_step, w);
            }
        }
    }
    UNROLL for (int b = 0; b < rows; b++) {
        UNROLL for (int v = 0; v < vecs; v++) { vec_store(z + b * z_step + v * LANES, chain[b][v]); }
    }
}

TILE void forward_rows(const int vecs, size_t rows, const struct product *p, float *z, const float *x, const float *w) {
    switch (rows) {
#define CASE(n)                                                                                                             \
    case n: forward_tile(n, vecs, p, z, x, w); break;
        EACH_ROW_COUNT(CASE)
#undef CASE
    }
}

/* Rows that stand at one distance. */
static void forward_line(const struct product *p, float *z, const float *x, size_t rows, const float *panels, size_t n_out) {
    size_t n_in = p->run * p->in->runs, tile = even_part(rows, ROWS);
    size_t block = n_in * n_out <= WEIGHTS_HELD ? tile : tile * (INPUTS_HELD / (n_in * tile) + 1);
    for (size_t b0 = 0; b0 < rows; b0 += block) {
        for (size_t j = 0; j < n_out; j += STRIP) {
            const float *w = panels + j / FED_PANEL * p->panel + j % FED_PANEL;
            for (size_t b = b0; b < smaller(b0 + block, rows); b += tile) {
                if (n_out - j > LANES) {
                    forward_rows(2, smaller(tile, rows - b), p, z + b * p->z_step + j, x + b * p->x_step, w);
                } else {
                    forward_rows(1, smaller(tile, rows - b), p, z + b * p->z_step + j, x + b * p->x_step, w);
                }
            }
        }
    }
}

/* Lines that follow each other as their rows do are one line. */
static void join_lines(struct fed_rows *a, struct fed_rows *b) {
    for (int d = 1; d >= 0; d--) {
        if (a->counts[d] == 1 || (a->steps[d] == a->counts[2] * a->steps[2] && b->steps[d] == b->counts[2] * b->steps[2])) {
            a->counts[2] *= a->counts[d];
            b->counts[2] *= b->counts[d];
            a->counts[d] = b->counts[d] = 1;
        } else {
            return;
        }
    }
}

static void forward(float *z, const struct fed_rows *z_rows, const struct fed_inputs *in, const float *panels, size_t n_in,
                    size_t n_out, bool more) {
    struct fed_rows to = *z_rows, from = in->rows;
    join_lines(&to, &from);
    struct product p = {in, n_in / in->runs, from.steps[2], to.steps[2], FED_PANEL * n_in, more};
    for (size_t i = 0; i < to.counts[0]; i++) {
        for (size_t j = 0; j < to.counts[1]; j++) {
            forward_line(&p, z + i * to.steps[0] + j * to.steps[1], in->x + i * from.steps[0] + j * from.steps[1],
                         to.counts[2], panels, n_out);
        }
    }
}

/* `depth` rows of weights, at columns[0..depth) or, without a list, the first ones. */
TILE void update_step(const int rows, const int vecs, const int depth, float *w, const float *const x[],
                      vec g[UPDATE_ROWS][2], size_t first, const uint32_t *columns) {
    size_t k[UPDATE_DEPTH];
    vec chain[UPDATE_DEPTH][2];
    UNROLL for (int d = 0; d < depth; d++) {
        k[d] = columns != NULL ? columns[first + d] : first + d;
        UNROLL for (int v = 0; v < vecs; v++) { chain[d][v] = vec_load(w + k[d] * FED_PANEL + v * LANES); }
    }
    UNROLL for (int b = 0; b < rows; b++) {
        UNROLL for (int d = 0; d < depth; d++) {
            vec input = vec_broadcast(x[b] + k[d]);
            UNROLL for (int v = 0; v < vecs; v++) { chain[d][v] = vec_fma(input, g[b][v], chain[d][v]); }
        }
    }
    UNROLL for (int d = 0; d < depth; d++) {
        UNROLL for (int v = 0; v < vecs; v++) { vec_store(w + k[d] * FED_PANEL + v * LANES, chain[d][v]); }
    }
}

TILE void update_tile(const int rows, const int vecs, float *w, const float *x, const size_t *x_at, const float *g,
                      const size_t *g_at, const uint32_t *columns, size_t n) {
    vec held[UPDATE_ROWS][2];
    const float *from[UPDATE_ROWS];
    UNROLL for (int b = 0; b < rows; b++) {
        from[b] = x + x_at[b];
        UNROLL for (int v = 0; v < vecs; v++) { held[b][v] = vec_load(g + g_at[b] + v * LANES); }
    }
    size_t i = 0;
    if (columns != NULL) {
        for (; i + UPDATE_DEPTH <= n; i += UPDATE_DEPTH) {
            update_step(rows, vecs, UPDATE_DEPTH, w, from, held, i, columns);
        }
        for (; i < n; i++) {
            update_step(rows, vecs, 1, w, from, held, i, columns);
        }
    } else {
        for (; i + UPDATE_DEPTH <= n; i += UPDATE_DEPTH) {
            update_step(rows, vecs, UPDATE_DEPTH, w, from, held, i, NULL);
        }
        for (; i < n; i++) {
            update_step(rows, vecs, 1, w, from, held, i, NULL);
        }
    }
}

TILE void update_rows(const int vecs, size_t rows, float *w, const float *x, const size_t *x_at, const float *g,
                      const size_t *g_at, const uint32_t *columns, size_t n) {
    switch (rows) {
#define CASE(r)                                                                                                             \
    case r: update_tile(r, vecs, w, x, x_at, g, g_at, columns, n); break;
        EACH_UPDATE_ROW_COUNT(CASE)
#undef CASE
    }
}

/* Rows of one block: how many, how many at a time, and where they stand. */
struct update_block {
    size_t rows, group, x_at[UPDATE_BLOCK], g_at[UPDATE_BLOCK];
};

/* All rows into n inputs of one run (w, x: of its first), or n columns of a list; `wide`: two vectors. */
static void update_weights(const struct update_block *block, bool wide, float *w, const float *x, const float *g,
                           const uint32_t *columns, size_t n) {
    for (size_t b = 0; b < block->rows; b += block->group) {
        size_t rows = smaller(block->group, block->rows - b);
        if (wide) {
            update_rows(2, rows, w, x, block->x_at + b, g, block->g_at + b, columns, n);
        } else {
            update_rows(1, rows, w, x, block->x_at + b, g, block->g_at + b, columns, n);
        }
    }
}

/* Where rows first .. first + n - 1 stand. */
static void list_rows(size_t *at, const struct fed_rows *rows, size_t first, size_t n) {
    size_t l = first % rows->counts[2], j = first / rows->counts[2] % rows->counts[1],
           i = first / rows->counts[2] / rows->counts[1];
    for (size_t b = 0; b < n; b++) {
        at[b] = i * rows->steps[0] + j * rows->steps[1] + l * rows->steps[2];
        if (++l == rows->counts[2]) {
            l = 0;
            if (++j == rows->counts[1]) {
                j = 0;
                i++;
            }
        }
    }
}

static void update_from_block(const struct update_block *block, float *panels, const struct fed_inputs *in, const float *g,
                              size_t n_in, size_t n_out) {
    size_t run = n_in / in->runs, n = in->columns != NULL ? in->n_columns : run;
    for (size_t j = 0; j < n_out; j += STRIP) {
        bool wide = n_out - j > LANES;
        for (size_t r = 0; r < in->runs; r++) {
            float *w = panels + j / FED_PANEL * FED_PANEL * n_in + j % FED_PANEL + r * run * FED_PANEL;
            const float *x = in->x + r * in->run_step;
            for (size_t k = 0; k < n; k += WEIGHT_ROWS) {
                size_t some = smaller(WEIGHT_ROWS, n - k);
                if (in->columns != NULL) {
                    update_weights(block, wide, w, x, g + j, in->columns + k, some);
                } else {
                    update_weights(block, wide, w + k * FED_PANEL, x + k, g + j, NULL, some);
                }
            }
        }
    }
}

static void update(float *panels, const struct fed_inputs *in, const float *g, const struct fed_rows *g_rows, size_t n_in,
                   size_t n_out) {
    size_t all = g_rows->counts[0] * g_rows->counts[1] * g_rows->counts[2];
    struct update_block block = {.group = even_part(all, UPDATE_ROWS)};
    size_t most = n_in * n_out <= WEIGHTS_HELD ? 4 * block.group : UPDATE_BLOCK / block.group * block.group;
    for (size_t b = 0; b < all; b += block.rows) {
        block.rows = smaller(most, all - b);
        list_rows(block.x_at, &in->rows, b, block.rows);
        list_rows(block.g_at, g_rows, b, block.rows);
        update_from_block(&block, panels, in, g, n_in, n_out);
    }
}

/* A square of LANES weights a side, in rows of a panel, turned over. */
static void turn_square(float *out, const float *in) {
    for (size_t q = 0; q < LANES; q += 4) {
        vec a = vec_fours(in + q, 4 * FED_PANEL), b = vec_fours(in + FED_PANEL + q, 4 * FED_PANEL);
        vec c = vec_fours(in + 2 * FED_PANEL + q, 4 * FED_PANEL), d = vec_fours(in + 3 * FED_PANEL + q, 4 * FED_PANEL);
        vec ab_low = vec_zip_low(a, b), ab_high = vec_zip_high(a, b), cd_low = vec_zip_low(c, d),
            cd_high = vec_zip_high(c, d);
        vec_store(out + q * FED_PANEL, vec_zip2_low(ab_low, cd_low));
        vec_store(out + (q + 1) * FED_PANEL, vec_zip2_high(ab_low, cd_low));
        vec_store(out + (q + 2) * FED_PANEL, vec_zip2_low(ab_high, cd_high));
        vec_store(out + (q + 3) * FED_PANEL, vec_zip2_high(ab_high, cd_high));
    }
}

/* turned[j][k] = w[k][j], j < n_out rounded up to LANES; k < n_in <= FED_PANEL, zeros beyond up to a panel. */
static void turn(float *turned, const float *panels, size_t panel, size_t n_in, size_t n_out) {
    float edge[LANES * FED_PANEL] __attribute__((aligned(64)));
    for (size_t j = 0; j < n_out; j += LANES) {
        const float *w = panels + j / FED_PANEL * panel + j % FED_PANEL;
        for (size_t k = 0; k < n_in; k += LANES, w += LANES * FED_PANEL) {
            float *out = turned + j * FED_PANEL + k;
            if (k + LANES <= n_in) {
                turn_square(out, w);
            } else {
                memset(edge, 0, sizeof edge);
                for (size_t i = k; i < n_in; i++) {
                    memcpy(edge + (i - k) * FED_PANEL, w + (i - k) * FED_PANEL, LANES * sizeof *w);
                }
                turn_square(out, edge);
            }
        }
    }
}

static void input_gradient(float *dx, size_t dx_stride, const float *dz, size_t dz_stride, size_t rows, const float *panels,
                           size_t n_in, size_t n_out, bool more) {
    float turned[TURNED_ROWS * FED_PANEL] __attribute__((aligned(64)));
    for (size_t k = 0; k < n_in; k += FED_PANEL) {
        size_t width = smaller(FED_PANEL, n_in - k);
        for (size_t j = 0; j < n_out; j += TURNED_ROWS) {
            size_t n = smaller(TURNED_ROWS, n_out - j);
            struct fed_inputs in = {.runs = 1};
            struct product p = {&in, n, dz_stride, dx_stride, 0, more || j > 0};
            turn(turned, panels + j * n_in + k * FED_PANEL, FED_PANEL * n_in, width, n);
            forward_line(&p, dx + k, dz + j, rows, turned, width);
        }
    }
}

#endif
