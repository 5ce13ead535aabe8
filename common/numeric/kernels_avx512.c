/* Thirty-two registers of sixteen floats: a tile is 14 x 32, 28 chains in registers. */
#if defined(__x86_64__)
#include <immintrin.h>

#define LANES 16
typedef __m512 vec;
#define vec_zero() _mm512_setzero_ps()
#define vec_load(p) _mm512_load_ps(p)
#define vec_store(p, v) _mm512_store_ps(p, v)
#define vec_broadcast(p) _mm512_set1_ps(*(p))
#define vec_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vec_zip_low(a, b) _mm512_unpacklo_ps(a, b)
#define vec_zip_high(a, b) _mm512_unpackhi_ps(a, b)
#define vec_zip2_low(a, b) _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
#define vec_zip2_high(a, b) _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))

static inline vec vec_fours(const float *p, int step) {
    vec v = _mm512_castps128_ps512(_mm_loadu_ps(p));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + step), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 2 * step), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(p + 3 * step), 3);
}

#define ROWS 14
#define EACH_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define UPDATE_ROWS 10
#define UPDATE_DEPTH 4
#define EACH_UPDATE_ROW_COUNT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)

#include "common/numeric/kernels_tile.h"

const struct fed_kernels fed_kernels_avx512 = {"avx512",    forward,  input_gradient, update,    live_columns,
                                               sigmoid_all, tanh_all, exp_row,        lstm_cell, lstm_cell_gradient};
#endif
