/* Transcendentals as polynomials of fused multiply-adds: libm's differ between machines, these do not.
 *
 * Float versions serve training and evaluation and are inlined into every kernel set, so that vector and scalar code
 * perform the same operations on each element. Double versions serve partitions and initial values. */
#ifndef FED_COMMON_NUMERIC_POLY_H
#define FED_COMMON_NUMERIC_POLY_H

/* Max error against the true value: 2 ulp over the finite range; +inf above 88.72, 0 below -103.97; NaN stays NaN. */
float fed_expf(float x);
/* x > 0, 2 ulp. 0 gives -inf, negative gives NaN. */
float fed_logf(float x);
float fed_tanhf(float x);
float fed_sigmoidf(float x);

/* 1e-15 relative. */
double fed_exp(double x);
double fed_log(double x);

#endif
