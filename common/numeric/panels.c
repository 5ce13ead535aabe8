/* Weights are permuted in blocks of BAND inputs x one panel: both sides of a block stay in the first cache. */
#include "common/numeric/panels.h"

#include <string.h>

#include "common/numeric/transpose.h"

#define BAND 16

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void fed_panels_load(float *panels, const float *weights, size_t n_in, size_t n_out) {
    memset(panels, 0, fed_panels_size(n_in, n_out) * sizeof *panels);
    for (size_t j = 0; j < n_out; j += FED_PANEL) {
        for (size_t k = 0; k < n_in; k += BAND) {
            fed_transpose(panels + j * n_in + k * FED_PANEL, FED_PANEL, weights + j * n_in + k, n_in,
                          smaller(FED_PANEL, n_out - j), smaller(BAND, n_in - k));
        }
    }
}

void fed_panels_store(float *weights, const float *panels, size_t n_in, size_t n_out) {
    for (size_t j = 0; j < n_out; j += FED_PANEL) {
        for (size_t k = 0; k < n_in; k += BAND) {
            fed_transpose(weights + j * n_in + k, n_in, panels + j * n_in + k * FED_PANEL, FED_PANEL,
                          smaller(BAND, n_in - k), smaller(FED_PANEL, n_out - j));
        }
    }
}

void fed_panels_transpose(float *turned, const float *panels, size_t n_in, size_t n_out) {
    memset(turned, 0, fed_panels_size(n_out, n_in) * sizeof *turned);
    for (size_t j = 0; j < n_out; j += FED_PANEL) {
        for (size_t k = 0; k < n_in; k += FED_PANEL) {
            fed_transpose(turned + k * n_out + j * FED_PANEL, FED_PANEL, panels + j * n_in + k * FED_PANEL, FED_PANEL,
                          smaller(FED_PANEL, n_in - k), smaller(FED_PANEL, n_out - j));
        }
    }
}
