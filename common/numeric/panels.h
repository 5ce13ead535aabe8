/* Weights on their way into kernel layout and back: pure permutations. See kernels.h for panels. */
#ifndef FED_COMMON_NUMERIC_PANELS_H
#define FED_COMMON_NUMERIC_PANELS_H

#include <stddef.h>

#include "common/numeric/kernels.h"

/* n rounded up to whole panels. */
static inline size_t fed_panels_padded(size_t n) { return (n + FED_PANEL - 1) / FED_PANEL * FED_PANEL; }
/* Floats of the panels of n_in x n_out weights. */
static inline size_t fed_panels_size(size_t n_in, size_t n_out) { return n_in * fed_panels_padded(n_out); }

/* From weights (n_out, n_in) row-major, PyTorch's order, and back. */
void fed_panels_load(float *panels, const float *weights, size_t n_in, size_t n_out);
void fed_panels_store(float *weights, const float *panels, size_t n_in, size_t n_out);

/* turned (n_out -> n_in, as panels) = panels (n_in -> n_out) turned over. */
void fed_panels_transpose(float *turned, const float *panels, size_t n_in, size_t n_out);

#endif
