/* Thirty-two registers of sixteen floats: a forward tile is 10 rows x 32 outputs, 20 chains in registers. */
#if defined(__x86_64__)
#include <immintrin.h>

#define LANES 16
typedef __m512 vec;
#define vec_zero() _mm512_setzero_ps()
#define vec_load(p) _mm512_load_ps(p)
#define vec_store(p, v) _mm512_store_ps(p, v)
#define vec_broadcast(p) _mm512_set1_ps(*(p))
#define vec_fma(a, b, c) _mm512_fmadd_ps(a, b, c)

#define ROWS 10
#define EACH_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)
#define UPDATE_ROWS ROWS
#define EACH_UPDATE_ROW_COUNT(X) EACH_ROW_COUNT(X)
#define UPDATE_DEPTH 4
#define CHAINS 24

#include "common/numeric/kernels_tile.h"

const struct fed_kernels fed_kernels_avx512 = {"avx512",    forward,  input_gradient, update,    live_columns,
                                               sigmoid_all, tanh_all, exp_row,        lstm_cell, lstm_cell_gradient};
#endif
