/* Thirty-two registers of four floats: a forward tile is 14 rows x 8 outputs, 28 chains in registers. Every 64-bit ARM
 * processor runs this. */
#if defined(__aarch64__)
#include <arm_neon.h>

#define LANES 4
typedef float32x4_t vec;
#define vec_zero() vdupq_n_f32(0)
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, v) vst1q_f32(p, v)
#define vec_broadcast(p) vld1q_dup_f32(p)
#define vec_fma(a, b, c) vfmaq_f32(c, a, b)

#define vec_fours(p, step) vld1q_f32(p)
#define vec_zip_low(a, b) vzip1q_f32(a, b)
#define vec_zip_high(a, b) vzip2q_f32(a, b)
#define vec_zip2_low(a, b) vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)))
#define vec_zip2_high(a, b) vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)))

#define ROWS 14
#define EACH_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define UPDATE_ROWS 10
#define EACH_UPDATE_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)
#define UPDATE_DEPTH 4

#include "common/numeric/kernels_tile.h"

const struct fed_kernels fed_kernels_neon = {"neon",      forward,  input_gradient, update,    live_columns,
                                             sigmoid_all, tanh_all, exp_row,        lstm_cell, lstm_cell_gradient};
#endif
