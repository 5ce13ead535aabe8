/* Norms against Python's arithmetic: the bits by its doubles with lanes, tree and blocks written out, the truth by
 * math.fsum. x(i) = ldexp(h % 16777213 - 8388606, -24 - (h >> 8) % 30),  h = (i * 2654435761 + 12345) mod 2^32 */
#include "common/numeric/norm.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/rng.h"

enum { MOST = 200010 };

static const struct {
    size_t n;
    double norm, truth;
} known[] = {
    {1, 0x1.ff3f140000000p-20, 0x1.ff3f140000000p-20},   {15, 0x1.43b489596c59cp-4, 0x1.43b489596c59cp-4},
    {16, 0x1.43b4895985675p-4, 0x1.43b4895985675p-4},    {17, 0x1.43b48ffd4afadp-4, 0x1.43b48ffd4afadp-4},
    {1000, 0x1.680735e837746p+0, 0x1.680735e837746p+0},  {65536, 0x1.f31ff3f1eea84p+3, 0x1.f31ff3f1eea92p+3},
    {65537, 0x1.f31ff3f1eeb20p+3, 0x1.f31ff3f1eeb2dp+3}, {MOST, 0x1.b2cfc7f17bc45p+4, 0x1.b2cfc7f17bc50p+4},
};

static float *values(size_t n) {
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)i * 2654435761u + 12345;
        x[i] = ldexpf((float)((int32_t)(h % 16777213) - 8388606), -24 - (int)((h >> 8) % 30));
    }
    return x;
}

START_TEST(norm_has_the_bits_that_its_definition_gives) {
    float *x = values(MOST);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double norm = fed_norm(x, known[i].n);
        ck_assert_msg(norm == known[i].norm, "%zu values: %a, not %a", known[i].n, norm, known[i].norm);
        ck_assert_double_le(fabs(norm - known[i].truth), 1e-14 * known[i].truth);
    }
    free(x);
}
END_TEST

START_TEST(blocks_in_any_order_give_the_norm_of_the_whole) {
    enum { BLOCKS = 4 };
    static const size_t orders[][BLOCKS] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}};
    float *x = values(MOST);
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        double squares[BLOCKS];
        for (size_t k = 0; k < BLOCKS; k++) {
            size_t first = orders[o][k] * FED_NORM_BLOCK;
            /* A chunk need not lie as the whole update does. */
            size_t n = MOST - first < FED_NORM_BLOCK ? MOST - first : FED_NORM_BLOCK;
            float *copy = malloc((n + 1) * sizeof *copy);
            for (size_t i = 0; i < n; i++) {
                copy[i + 1] = x[first + i];
            }
            squares[orders[o][k]] = fed_norm_squares(copy + 1, n);
            free(copy);
        }
        ck_assert(fed_norm_of_squares(squares, BLOCKS) == fed_norm(x, MOST));
    }
    free(x);
}
END_TEST

START_TEST(every_float_has_its_own_norm) {
    const float any[] = {0, -0.0f, 1, -3, FLT_MIN, FLT_TRUE_MIN, -FLT_TRUE_MIN, 0x1p20f, FLT_MAX};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        ck_assert(fed_norm(&any[i], 1) == (double)fabsf(any[i]));
    }
    ck_assert(fed_norm(any, 0) == 0);
    ck_assert(fed_norm((const float[]){3, -4}, 2) == 5);
    const float nan[] = {1, NAN}, infinite[] = {1, -INFINITY};
    ck_assert(isnan(fed_norm(nan, 2)));
    ck_assert(isinf(fed_norm(infinite, 2)));
}
END_TEST

START_TEST(no_element_is_larger_than_the_norm) {
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "norm", 0, 0);
    for (int k = 0; k < 2000; k++) {
        float x[70];
        size_t n = 1 + fed_rng_below(&rng, 70);
        for (size_t i = 0; i < n; i++) {
            x[i] = ldexpf(fed_rng_f32(&rng) - 0.5f, (int)fed_rng_below(&rng, 60) - 50);
        }
        double norm = fed_norm(x, n);
        for (size_t i = 0; i < n; i++) {
            ck_assert((double)fabsf(x[i]) <= norm);
        }
    }
}
END_TEST

START_TEST(what_is_clipped_comes_to_the_clip_and_not_above) {
    struct fed_rng rng;
    fed_rng_init(&rng, 2, "norm", 0, 0);
    ck_assert(fed_norm_clip_scale(7, 0) == 1);
    ck_assert(fed_norm_clip_scale(7, 7) == 1);
    ck_assert(fed_norm_clip_scale(0, 7) == 1);
    ck_assert(fed_norm_clip_scale(8, 2) == 0.25f);
    for (int k = 0; k < 100000; k++) {
        double norm = ldexp(fed_rng_f64(&rng), (int)fed_rng_below(&rng, 40) - 10);
        double clip = ldexp(fed_rng_f64(&rng), (int)fed_rng_below(&rng, 40) - 10);
        float scale = fed_norm_clip_scale(norm, clip);
        if (norm <= clip) {
            ck_assert(scale == 1);
        } else {
            ck_assert((long double)scale * norm <= clip && scale < 1);
            ck_assert((long double)nextafterf(scale, 2) * norm > clip);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("norm");
    TCase *tcase = tcase_create("norm");
    tcase_add_test(tcase, norm_has_the_bits_that_its_definition_gives);
    tcase_add_test(tcase, blocks_in_any_order_give_the_norm_of_the_whole);
    tcase_add_test(tcase, every_float_has_its_own_norm);
    tcase_add_test(tcase, no_element_is_larger_than_the_norm);
    tcase_add_test(tcase, what_is_clipped_comes_to_the_clip_and_not_above);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
