/* The canon in plain C: what the vector sets are measured against, and what other processors run. Where fmaf is not an
 * instruction libm computes it, slowly and to the same bit. */
#include "common/numeric/kernels_internal.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t n_rows(const struct fed_rows *rows) { return rows->counts[0] * rows->counts[1] * rows->counts[2]; }

/* The i-th input that takes part: its k, and where it stands in a row. */
static size_t input_at(const struct fed_inputs *in, size_t n_in, size_t i, size_t *offset) {
    size_t k = in->columns != NULL ? in->columns[i] : i, run = n_in / in->runs;
    *offset = k / run * in->run_step + k % run;
    return k;
}

static size_t n_taking_part(const struct fed_inputs *in, size_t n_in) { return in->columns != NULL ? in->n_columns : n_in; }

static void forward(float *z, const struct fed_rows *z_rows, const struct fed_inputs *in, const float *panels, size_t n_in,
                    size_t n_out, bool more) {
    for (size_t j0 = 0; j0 < n_out; j0 += FED_PANEL) {
        const float *panel = panels + j0 * n_in;
        size_t width = smaller(FED_PANEL, n_out - j0);
        for (size_t row = 0; row < n_rows(z_rows); row++) {
            const float *x = in->x + row_offset(&in->rows, row);
            float *to = z + row_offset(z_rows, row) + j0, chain[FED_PANEL] = {0};
            if (more) {
                memcpy(chain, to, width * sizeof *chain);
            }
            for (size_t i = 0; i < n_taking_part(in, n_in); i++) {
                size_t offset, k = input_at(in, n_in, i, &offset);
                for (size_t j = 0; j < width; j++) {
                    chain[j] = fmaf(x[offset], panel[k * FED_PANEL + j], chain[j]);
                }
            }
            memcpy(to, chain, width * sizeof *chain);
        }
    }
}

static void input_gradient(float *dx, size_t dx_stride, const float *dz, size_t dz_stride, size_t rows, const float *panels,
                           size_t n_in, size_t n_out, bool more) {
    for (size_t b = 0; b < rows; b++) {
        for (size_t k = 0; k < n_in; k++) {
            float chain = more ? dx[b * dx_stride + k] : 0;
            for (size_t j = 0; j < n_out; j++) {
                const float *panel = panels + j / FED_PANEL * FED_PANEL * n_in;
                chain = fmaf(dz[b * dz_stride + j], panel[k * FED_PANEL + j % FED_PANEL], chain);
            }
            dx[b * dx_stride + k] = chain;
        }
    }
}

static void update(float *panels, const struct fed_inputs *in, const float *g, const struct fed_rows *g_rows, size_t n_in,
                   size_t n_out) {
    for (size_t j0 = 0; j0 < n_out; j0 += FED_PANEL) {
        float *panel = panels + j0 * n_in;
        size_t width = smaller(FED_PANEL, n_out - j0);
        for (size_t row = 0; row < n_rows(g_rows); row++) {
            const float *x = in->x + row_offset(&in->rows, row), *gradient = g + row_offset(g_rows, row) + j0;
            for (size_t i = 0; i < n_taking_part(in, n_in); i++) {
                size_t offset, k = input_at(in, n_in, i, &offset);
                for (size_t j = 0; j < width; j++) {
                    panel[k * FED_PANEL + j] = fmaf(x[offset], gradient[j], panel[k * FED_PANEL + j]);
                }
            }
        }
    }
}

const struct fed_kernels fed_kernels_portable = {"portable",  forward,  input_gradient, update,    live_columns,
                                                 sigmoid_all, tanh_all, exp_row,        lstm_cell, lstm_cell_gradient};
