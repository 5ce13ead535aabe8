/* Gamma variates, from which Dirichlet proportions are made: normalised, independent Gamma(a_i) are Dir(a_1, a_2, ...).
 *
 * They are drawn as logarithms, because for a small shape the variate itself is far below the smallest double. */
#ifndef FED_COMMON_DATA_GAMMA_H
#define FED_COMMON_DATA_GAMMA_H

#include "common/base/rng.h"

/* The logarithm of a Gamma(shape) variate, shape > 0 (Marsaglia and Tsang 2000; for a shape below 1 that of Gamma(shape + 1)
 * plus ln(U) / shape, whose U is drawn first). */
double fed_gamma_draw_log(double shape, struct fed_rng *rng);

#endif
