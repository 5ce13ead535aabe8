/* Transcendentals as polynomials of fused multiply-adds: libm's differ between machines, these do not.
 *
 * Float versions serve training and evaluation; poly_inline.h holds their bodies, which every kernel set compiles with
 * its own flags, so that vector and scalar code perform the same operations on each element. Double versions serve
 * partitions and initial values. */
#ifndef FED_COMMON_NUMERIC_POLY_H
#define FED_COMMON_NUMERIC_POLY_H

/* Max error against the true value: 2 ulp over the finite range; +inf above 88.73, 0 below -104; NaN stays NaN. */
float fed_expf(float x);
/* x > 0, 2 ulp. 0 gives -inf, negative gives NaN. */
float fed_logf(float x);
/* 3 ulp, odd, and exactly +-1 from |x| = 10 on. */
float fed_tanhf(float x);
/* 3 ulp, small results for negative x included. */
float fed_sigmoidf(float x);

/* 1e-15 relative, for results that are normal numbers; edges as above (+inf above 709.79, 0 below -746). */
double fed_exp(double x);
double fed_log(double x);

#endif
