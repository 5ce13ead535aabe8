/* Sixteen registers of eight floats: a forward tile is 6 rows x 16 outputs, 12 chains in registers. */
#if defined(__x86_64__)
#include <immintrin.h>

#define LANES 8
typedef __m256 vec;
#define vec_zero() _mm256_setzero_ps()
#define vec_load(p) _mm256_load_ps(p)
#define vec_store(p, v) _mm256_store_ps(p, v)
#define vec_broadcast(p) _mm256_broadcast_ss(p)
#define vec_fma(a, b, c) _mm256_fmadd_ps(a, b, c)

#define ROWS 6
#define EACH_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define UPDATE_ROWS 5
#define EACH_UPDATE_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5)
#define UPDATE_DEPTH 2
#define CHAINS 12

#include "common/numeric/kernels_tile.h"

const struct fed_kernels fed_kernels_avx2 = {"avx2",      forward,  input_gradient, update,    live_columns,
                                             sigmoid_all, tanh_all, exp_row,        lstm_cell, lstm_cell_gradient};
#endif
