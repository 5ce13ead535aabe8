/* Sixteen registers of eight floats: a tile is 6 x 16, 12 chains in registers. */
#if defined(__x86_64__)
#include <immintrin.h>

#define LANES 8
typedef __m256 vec;
#define vec_zero() _mm256_setzero_ps()
#define vec_load(p) _mm256_load_ps(p)
#define vec_store(p, v) _mm256_store_ps(p, v)
#define vec_broadcast(p) _mm256_broadcast_ss(p)
#define vec_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vec_fours(p, step) _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps((p) + (step)), 1)
#define vec_zip_low(a, b) _mm256_unpacklo_ps(a, b)
#define vec_zip_high(a, b) _mm256_unpackhi_ps(a, b)
#define vec_zip2_low(a, b) _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)))
#define vec_zip2_high(a, b) _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)))

#define ROWS 6
#define EACH_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define UPDATE_ROWS 5
#define UPDATE_DEPTH 2
#define EACH_UPDATE_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5)

#include "common/numeric/kernels_tile.h"

const struct fed_kernels fed_kernels_avx2 = {"avx2",      forward,  input_gradient, update,    live_columns,
                                             sigmoid_all, tanh_all, exp_row,        lstm_cell, lstm_cell_gradient};
#endif
