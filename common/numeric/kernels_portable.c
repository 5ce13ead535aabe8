/* The canon in plain C: what the vector sets are measured against, and what other processors run. Where fmaf is not an
 * instruction libm computes it, slowly and to the same bit. */
#include "common/numeric/kernels_internal.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void forward(float *z, size_t z_stride, const float *x, size_t x_stride, size_t rows, const float *panels,
                    size_t n_in, size_t n_out, const uint32_t *columns, size_t n_columns) {
    for (size_t j0 = 0; j0 < n_out; j0 += FED_PANEL) {
        const float *panel = panels + j0 * n_in;
        size_t width = smaller(FED_PANEL, n_out - j0);
        for (size_t b = 0; b < rows; b++) {
            float chain[FED_PANEL] = {0};
            for (size_t i = 0; i < n_columns; i++) {
                size_t k = columns != NULL ? columns[i] : i;
                for (size_t j = 0; j < width; j++) {
                    chain[j] = fmaf(x[b * x_stride + k], panel[k * FED_PANEL + j], chain[j]);
                }
            }
            memcpy(z + b * z_stride + j0, chain, width * sizeof *chain);
        }
    }
}

static void input_gradient(float *dx, size_t dx_stride, const float *dz, size_t dz_stride, size_t rows, const float *panels,
                           size_t n_in, size_t n_out) {
    for (size_t b = 0; b < rows; b++) {
        for (size_t k = 0; k < n_in; k++) {
            float chain = 0;
            for (size_t j = 0; j < n_out; j++) {
                const float *panel = panels + j / FED_PANEL * FED_PANEL * n_in;
                chain = fmaf(dz[b * dz_stride + j], panel[k * FED_PANEL + j % FED_PANEL], chain);
            }
            dx[b * dx_stride + k] = chain;
        }
    }
}

static void update(float *panels, const float *x, size_t x_stride, const float *g, size_t g_stride, size_t rows, size_t n_in,
                   size_t n_out, const uint32_t *columns, size_t n_columns) {
    for (size_t j0 = 0; j0 < n_out; j0 += FED_PANEL) {
        float *panel = panels + j0 * n_in;
        size_t width = smaller(FED_PANEL, n_out - j0);
        for (size_t i = 0; i < n_columns; i++) {
            size_t k = columns != NULL ? columns[i] : i;
            for (size_t b = 0; b < rows; b++) {
                for (size_t j = 0; j < width; j++) {
                    panel[k * FED_PANEL + j] = fmaf(x[b * x_stride + k], g[b * g_stride + j0 + j], panel[k * FED_PANEL + j]);
                }
            }
        }
    }
}

const struct fed_kernels fed_kernels_portable = {"portable",   forward,     input_gradient, update,
                                                 live_columns, sigmoid_all, tanh_all,       exp_row};
