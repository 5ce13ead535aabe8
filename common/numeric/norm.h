/* The L2 norm of an update: the same bits on every instruction set, and whether it is taken in one piece or block by block
 * as chunks arrive, in any order.
 *
 * A square of a float is exact in double. Within a block they are added in 16 lanes that a fixed tree joins; blocks are
 * added in their order, and the root is IEEE's. Every partial sum of numbers that are not negative is at least as large as
 * each of them after rounding too, so |delta[i]| <= fed_norm(delta) holds exactly. */
#ifndef FED_COMMON_NUMERIC_NORM_H
#define FED_COMMON_NUMERIC_NORM_H

#include <stddef.h>

#define FED_NORM_BLOCK ((size_t)64 * 1024) /* floats */

/* The sum of squares of one block: n <= FED_NORM_BLOCK, and less only in the last. */
double fed_norm_squares(const float *delta, size_t n);
/* The norm of an update from the sums of its blocks, in their order. */
double fed_norm_of_squares(const double *squares, size_t n_blocks);
/* The norm of a whole update. */
double fed_norm(const float *delta, size_t n);

/* What each element of an update of this norm is multiplied by so that its own norm is at most clip: 1 where it is already.
 * Rounded towards zero, so that norm * scale <= clip. clip > 0; 0 stands for no clipping. */
float fed_norm_clip_scale(double norm, double clip);

#endif
