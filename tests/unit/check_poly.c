/* Polynomials against libm in long double, and every kernel set against the scalar versions, bit for bit. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/numeric/kernels.h"
#include "common/numeric/poly.h"

static const char *const set_names[] = {"portable", "neon", "avx2", "avx512"};
#define N_SETS (sizeof set_names / sizeof *set_names)

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Distance to the truth in units of the last place of a float of that size (2^-149 at least). */
static double ulps(float got, long double truth) {
    int exponent;
    frexpl(truth, &exponent);
    int last = exponent - 24 < -149 ? -149 : exponent - 24;
    return (double)(fabsl((long double)got - truth) / ldexpl(1, last));
}

/* The largest error over every `step`-th float of both signs in [-limit, limit]. */
static double worst(float (*f)(float), long double (*truth)(long double), float limit, uint32_t step) {
    double most = 0;
    for (uint32_t bits = 0; float_of(bits) <= limit; bits += step) {
        for (uint32_t sign = 0; sign <= 1; sign++) {
            float x = float_of(bits | sign << 31);
            most = fmax(most, ulps(f(x), truth((long double)x)));
        }
    }
    return most;
}

static long double sigmoid_truth(long double x) { return 1 / (1 + expl(-x)); }

START_TEST(float_functions_are_close_to_the_truth_everywhere) {
    ck_assert_double_le(worst(fed_expf, expl, 88.72f, 2503), 2);
    ck_assert_double_le(worst(fed_tanhf, tanhl, 30.0f, 2503), 3);
    ck_assert_double_le(worst(fed_sigmoidf, sigmoid_truth, 87.0f, 2503), 3);
    double most = 0;
    for (uint32_t bits = 1; bits < 0x7f800000u; bits += 2503) {
        most = fmax(most, ulps(fed_logf(float_of(bits)), logl((long double)float_of(bits))));
    }
    for (uint32_t bits = 0x3f7f0000u; bits < 0x3f810000u; bits += 7) { /* around 1, where the result cancels */
        most = fmax(most, ulps(fed_logf(float_of(bits)), logl((long double)float_of(bits))));
    }
    ck_assert_double_le(most, 2);
}
END_TEST

START_TEST(exp_underflows_through_the_subnormals) {
    for (float x = -87.0f; x > -103.9f; x -= 0.0625f) {
        ck_assert_double_le(ulps(fed_expf(x), expl((long double)x)), 2);
    }
    ck_assert(fed_expf(-87.4f) > 0 && fed_expf(-103.0f) > 0);
}
END_TEST

START_TEST(edges_are_as_promised) {
    ck_assert(fed_expf(0.0f) == 1.0f && fed_expf(-0.0f) == 1.0f);
    ck_assert(isinf(fed_expf(88.73f)) && isinf(fed_expf(1e30f)) && isinf(fed_expf(INFINITY)));
    ck_assert(fed_expf(-104.0f) == 0 && fed_expf(-1e30f) == 0 && fed_expf(-INFINITY) == 0);
    ck_assert(isnan(fed_expf(NAN)) && isnan(fed_logf(NAN)) && isnan(fed_tanhf(NAN)) && isnan(fed_sigmoidf(NAN)));
    ck_assert(fed_logf(0.0f) == -INFINITY && isnan(fed_logf(-1.0f)) && isnan(fed_logf(-INFINITY)));
    ck_assert(fed_logf(1.0f) == 0 && fed_logf(INFINITY) == INFINITY);
    ck_assert(fed_tanhf(10.0f) == 1 && fed_tanhf(-INFINITY) == -1 && bits_of(fed_tanhf(-0.0f)) == 0x80000000u);
    ck_assert(fed_sigmoidf(0.0f) == 0.5f && fed_sigmoidf(INFINITY) == 1 && fed_sigmoidf(-INFINITY) == 0);
    ck_assert(fed_exp(0) == 1 && isinf(fed_exp(710)) && fed_exp(-746) == 0 && isnan(fed_exp(NAN)));
    ck_assert(fed_exp(-INFINITY) == 0 && isinf(fed_exp(INFINITY)));
    ck_assert(fed_log(1) == 0 && fed_log(0) == -INFINITY && isnan(fed_log(-1)) && isnan(fed_log(NAN)));
    ck_assert(fed_log(INFINITY) == INFINITY);
}
END_TEST

START_TEST(tanh_is_odd) {
    for (float x = 0x1p-140f; x < 20; x *= 1.37f) {
        ck_assert(fed_tanhf(-x) == -fed_tanhf(x));
    }
}
END_TEST

START_TEST(double_functions_are_good_to_1e_15) {
    for (double x = -708; x < 709.7; x += 0.00917) {
        long double truth = expl((long double)x);
        ck_assert_double_le((double)fabsl(((long double)fed_exp(x) - truth) / truth), 1e-15);
    }
    for (double x = 0x1p-1060; x < 0x1p1000; x *= 1.00731) {
        long double truth = logl((long double)x);
        ck_assert_double_le((double)fabsl(((long double)fed_log(x) - truth) / truth), 1e-15);
    }
    for (double x = 0.98; x < 1.02; x += 1.7e-6) {
        long double truth = logl((long double)x);
        ck_assert_double_le((double)fabsl((long double)fed_log(x) - truth), 1e-15 * (double)fabsl(truth));
    }
}
END_TEST

/* Values of every size, both signs, with the edges among them. */
static void fill(float *a, size_t n) {
    static const float edges[] = {0.0f, -0.0f, INFINITY, -INFINITY, 88.7f, -88.7f, -103.9f, 10.0f, 9.99999f, 0x1p-149f};
    for (size_t i = 0; i < n; i++) {
        float x = float_of((uint32_t)i * 2654435761u);
        a[i] = isnan(x) || i % 3 == 0 ? (float)(i % 199) * 0.37f - 36.0f : x;
    }
    for (size_t i = 0; i < sizeof edges / sizeof *edges && i < n; i++) {
        a[i * 7 % n] = edges[i];
    }
}

START_TEST(every_kernel_set_gives_the_bits_of_the_scalar_functions) {
    static float a[4099], b[4099];
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        for (size_t n = 1; kernels != NULL && n <= 4099; n = n < 70 ? n + 1 : n * 2 - 1) {
            fill(a, n);
            memcpy(b, a, sizeof b);
            kernels->tanh(a, n);
            for (size_t i = 0; i < n; i++) {
                ck_assert_msg(bits_of(a[i]) == bits_of(fed_tanhf(b[i])), "%s tanh(%a)", kernels->name, (double)b[i]);
            }
            memcpy(a, b, sizeof a);
            kernels->sigmoid(a, n);
            for (size_t i = 0; i < n; i++) {
                ck_assert_msg(bits_of(a[i]) == bits_of(fed_sigmoidf(b[i])), "%s sigmoid(%a)", kernels->name, (double)b[i]);
            }
        }
    }
}
END_TEST

/* Sixteen lanes filled in turn, then folded in halves: written down here a second time. */
static float tree_sum(const float *row, size_t n) {
    float lanes[16] = {0};
    for (size_t i = 0; i < n; i++) {
        lanes[i & 15] = lanes[i & 15] + row[i];
    }
    float eight[8], four[4];
    for (int i = 0; i < 8; i++) {
        eight[i] = lanes[i] + lanes[i + 8];
    }
    for (int i = 0; i < 4; i++) {
        four[i] = eight[i] + eight[i + 4];
    }
    return (four[0] + four[2]) + (four[1] + four[3]);
}

START_TEST(exp_row_sums_over_the_fixed_tree) {
    float row[100], before[100];
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        for (size_t n = 1; kernels != NULL && n <= 100; n++) {
            for (size_t i = 0; i < n; i++) {
                row[i] = before[i] = (float)(i * 37 % 100) * 0.21f - 9.0f;
            }
            float sum = kernels->exp_row(row, n, 11.79f);
            for (size_t i = 0; i < n; i++) {
                ck_assert(bits_of(row[i]) == bits_of(fed_expf(before[i] - 11.79f)));
            }
            ck_assert(bits_of(sum) == bits_of(tree_sum(row, n)));
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("poly");
    TCase *accuracy = tcase_create("accuracy");
    tcase_add_test(accuracy, float_functions_are_close_to_the_truth_everywhere);
    tcase_add_test(accuracy, exp_underflows_through_the_subnormals);
    tcase_add_test(accuracy, edges_are_as_promised);
    tcase_add_test(accuracy, tanh_is_odd);
    tcase_add_test(accuracy, double_functions_are_good_to_1e_15);
    suite_add_tcase(suite, accuracy);
    TCase *sets = tcase_create("kernel sets");
    tcase_add_test(sets, every_kernel_set_gives_the_bits_of_the_scalar_functions);
    tcase_add_test(sets, exp_row_sums_over_the_fixed_tree);
    suite_add_tcase(suite, sets);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
