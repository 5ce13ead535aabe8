/* What the kernel sets share: their tables, and the plain loops that each compiles with its own flags. */
#ifndef FED_COMMON_NUMERIC_KERNELS_INTERNAL_H
#define FED_COMMON_NUMERIC_KERNELS_INTERNAL_H

#include "common/numeric/kernels.h"
#include "common/numeric/poly_inline.h"

extern const struct fed_kernels fed_kernels_portable;
#if defined(__x86_64__)
extern const struct fed_kernels fed_kernels_avx2;
extern const struct fed_kernels fed_kernels_avx512;
#elif defined(__aarch64__)
extern const struct fed_kernels fed_kernels_neon;
#endif

/* Lanes of a horizontal sum on every machine, whatever its vectors. */
#define FED_SUM_LANES 16

/* Floats from the start of all rows to this one, counted in ascending order. */
static inline size_t row_offset(const struct fed_rows *rows, size_t row) {
    size_t l = row % rows->counts[2], j = row / rows->counts[2] % rows->counts[1],
           i = row / rows->counts[2] / rows->counts[1];
    return i * rows->steps[0] + j * rows->steps[1] + l * rows->steps[2];
}

static inline size_t live_columns(uint32_t *columns, const float *x, size_t x_stride, size_t rows) {
    size_t n = 0;
    for (size_t k0 = 0; k0 < x_stride; k0 += FED_PANEL) {
        uint32_t seen[FED_PANEL] = {0};
        for (size_t b = 0; b < rows; b++) {
            for (size_t k = 0; k < FED_PANEL; k++) {
                seen[k] |= fed_poly_bits(x[b * x_stride + k0 + k]);
            }
        }
        for (size_t k = 0; k < FED_PANEL; k++) {
            columns[n] = (uint32_t)(k0 + k);
            n += seen[k] << 1 != 0;
        }
    }
    return n;
}

static inline void sigmoid_all(float *a, size_t n) {
    for (size_t i = 0; i < n; i++) {
        a[i] = fed_poly_sigmoidf(a[i]);
    }
}

static inline void tanh_all(float *a, size_t n) {
    for (size_t i = 0; i < n; i++) {
        a[i] = fed_poly_tanhf(a[i]);
    }
}

static inline float exp_row(float *row, size_t n, float max) {
    float lanes[FED_SUM_LANES] = {0};
    for (size_t j = 0; j < n; j++) {
        row[j] = fed_poly_expf(row[j] - max);
    }
    for (size_t j = 0; j < n; j++) {
        lanes[j % FED_SUM_LANES] += row[j];
    }
    for (size_t width = FED_SUM_LANES / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) {
            lanes[i] += lanes[i + width];
        }
    }
    return lanes[0];
}

/* Arrays do not overlap, and a loop with one kind of work in it runs in vectors. */
static inline void lstm_cell(float *restrict gates, float *restrict cell, float *restrict tanh_cell, float *restrict hidden,
                             const float *restrict cell_before, size_t units) {
    const float *in = gates, *forget = gates + units, *new = gates + 2 * units, *out = gates + 3 * units;
    sigmoid_all(gates, 2 * units);
    tanh_all(gates + 2 * units, units);
    sigmoid_all(gates + 3 * units, units);
    for (size_t u = 0; u < units; u++) {
        cell[u] = fmaf(forget[u], cell_before != NULL ? cell_before[u] : 0.0f, in[u] * new[u]);
    }
    memcpy(tanh_cell, cell, units * sizeof *cell);
    tanh_all(tanh_cell, units);
    for (size_t u = 0; u < units; u++) {
        hidden[u] = out[u] * tanh_cell[u];
    }
}

static inline void lstm_cell_gradient(float *restrict gates, float *restrict d_cell, const float *restrict d_hidden,
                                      const float *restrict tanh_cell, const float *restrict cell_before, size_t units) {
    float *restrict in = gates, *restrict forget = gates + units, *restrict new = gates + 2 * units,
                    *restrict out = gates + 3 * units;
    for (size_t u = 0; u < units; u++) {
        float i = in[u], f = forget[u], g = new[u], o = out[u], t = tanh_cell[u];
        float before = cell_before != NULL ? cell_before[u] : 0.0f;
        float d_out = d_hidden[u] * t, d_c = fmaf(d_hidden[u] * o, (1.0f - t) * (1.0f + t), d_cell[u]);
        in[u] = d_c * g * (i * (1.0f - i));
        forget[u] = d_c * before * (f * (1.0f - f));
        new[u] = d_c *i *((1.0f - g) * (1.0f + g));
        out[u] = d_out * (o * (1.0f - o));
        d_cell[u] = d_c * f;
    }
}

#endif
