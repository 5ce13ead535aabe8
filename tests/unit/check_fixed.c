/* Exact weighted sums, against integer arithmetic that never rounds by accident. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/numeric/fixed.h"

static struct fed_error err;

static struct fed_fixed fixed_of(double max_delta, uint64_t max_weight, uint64_t max_updates) {
    struct fed_fixed fixed;
    ck_assert_msg(fed_fixed_init(&fixed, max_delta, max_weight, max_updates, &err) == 0, "%s", err.text);
    return fixed;
}

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* round(delta * weight * 2^f), to nearest even, in integers alone. */
static int64_t exact_term(float delta, uint64_t weight, int f) {
    uint32_t bits = to_bits(delta), exponent = bits >> 23 & 0xff, mantissa = bits & 0x7fffff;
    int shift = (int)(exponent == 0 ? 1 : exponent) - 150 + f;
    unsigned __int128 product = (unsigned __int128)(mantissa | (exponent == 0 ? 0 : 0x800000)) * weight;
    if (shift >= 0) {
        product <<= shift;
    } else if (shift < -120) {
        product = 0;
    } else {
        unsigned __int128 rest = product & (((unsigned __int128)1 << -shift) - 1),
                          half = (unsigned __int128)1 << (-shift - 1);
        product >>= -shift;
        product += rest > half || (rest == half && (product & 1));
    }
    return (bits >> 31) ? -(int64_t)product : (int64_t)product;
}

/* Uniform over the float formats' exponents up to the cap: large, small and denormal values alike. */
static float any_float(struct fed_rng *rng, float cap) {
    float x;
    do {
        x = from_bits(fed_rng_u32(rng));
    } while (!(fabsf(x) <= cap));
    return x;
}

static const struct {
    double max_delta;
    uint64_t max_weight, max_updates;
    int f; /* worked out by hand from min(62 - v - w - m, 51 - v - w) */
} table[] = {
    {64, 1 << 20, 1000, 25},          /* v 6, w 20, m 10: the defaults */
    {64, 600, 10, 35},                /* w 10, m 4 */
    {64, 600, 100000, 29},            /* m 17 */
    {64, 1, 1, 45},                   /* w 0, m 0 */
    {64.5, 1, 1, 44},                 /* v 7 */
    {1, 1 << 20, 2048, 31},           /* m 11: both bounds meet */
    {1, 1 << 20, 2049, 30},           /* m 12 */
    {0.1, 1 << 20, 2, 34},            /* v -3 */
    {0x1p20, 2048, 1, 20},            /* the least that is allowed */
    {1, 1 << 26, 1 << 11, 25},        /* w 26 */
    {0.0078125, 1 << 26, 1 << 16, 27} /* v -7, m 16 */
};

START_TEST(exponent_follows_its_formula) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fed_fixed fixed = fixed_of(table[i].max_delta, table[i].max_weight, table[i].max_updates);
        ck_assert_int_eq(fixed.exponent, table[i].f);
        ck_assert(fixed.max_delta == (float)table[i].max_delta);
        ck_assert_uint_eq(fixed.max_weight, table[i].max_weight);
        ck_assert_uint_eq(fixed.max_updates, table[i].max_updates);
    }
}
END_TEST

START_TEST(parameters_out_of_range_are_refused_with_a_sentence) {
    static const struct {
        double max_delta;
        uint64_t max_weight, max_updates;
        const char *sentence;
    } wrong[] = {
        {0, 1, 1, "max_delta: 0 found, a number above 0 and at most 1048576 is allowed"},
        {-1, 1, 1, "max_delta: -1 found"},
        {NAN, 1, 1, "max_delta: nan found"},
        {INFINITY, 1, 1, "max_delta: inf found"},
        {1048577, 1, 1, "max_delta: 1.04858e+06 found"},
        {1e-60, 1, 1, "max_delta: 1e-60 found"},
        {1, 0, 1, "max_weight: 0 found, 1 to 67108864 is allowed"},
        {1, (1 << 26) + 1, 1, "max_weight: 67108865 found"},
        {1, 1, 0, "updates in one attempt: 0 found, 1 to 16777216 are allowed"},
        {1, 1, (1 << 24) + 1, "updates in one attempt: 16777217 found"},
        {64, 1 << 26, 1, "max_delta 64, max_weight 67108864 and 1 updates leave a quantum of 2^-19"},
        {0x1p20, 2049, 1, "max_delta 1.04858e+06, max_weight 2049 and 1 updates leave a quantum of 2^-19"},
    };
    struct fed_fixed fixed = {.exponent = 77};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int rc = fed_fixed_init(&fixed, wrong[i].max_delta, wrong[i].max_weight, wrong[i].max_updates, &err);
        ck_assert_int_eq(rc, FED_ECONFIG);
        ck_assert_msg(strstr(err.text, wrong[i].sentence) == err.text, "%s", err.text);
        ck_assert_int_eq(fixed.exponent, 77);
    }
}
END_TEST

START_TEST(every_term_is_the_exactly_rounded_one) {
    enum { N = 4099 }; /* not a multiple of any vector */
    static float delta[N];
    static int64_t sum[N];
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "fixed", 0, 0);
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        struct fed_fixed fixed = fixed_of(table[t].max_delta, table[t].max_weight, table[t].max_updates);
        uint64_t weights[] = {1, table[t].max_weight, 1 + fed_rng_below(&rng, (uint32_t)table[t].max_weight)};
        for (int k = 0; k < 3; k++) {
            for (size_t i = 0; i < N; i++) {
                delta[i] = i % 2 == 0 ? any_float(&rng, fixed.max_delta) : (2 * fed_rng_f32(&rng) - 1) * fixed.max_delta;
                sum[i] = (int64_t)i;
            }
            delta[0] = fixed.max_delta;
            delta[1] = -fixed.max_delta;
            delta[2] = -0.0f;
            delta[3] = FLT_TRUE_MIN;
            fed_fixed_add(&fixed, sum, delta, N, weights[k], 1);
            for (size_t i = 0; i < N; i++) {
                ck_assert_int_eq(sum[i] - (int64_t)i, exact_term(delta[i], weights[k], fixed.exponent));
            }
        }
    }
}
END_TEST

START_TEST(a_scaled_term_is_that_of_the_scaled_float) {
    enum { N = 4099 };
    static float delta[N];
    static int64_t sum[N];
    struct fed_rng rng;
    struct fed_fixed fixed = fixed_of(64, 600, 10);
    fed_rng_init(&rng, 2, "fixed", 0, 0);
    for (int k = 0; k < 20; k++) {
        float scale = k == 0 ? 1 : k == 1 ? 0 : fed_rng_f32(&rng);
        for (size_t i = 0; i < N; i++) {
            delta[i] = any_float(&rng, fixed.max_delta);
            sum[i] = 0;
        }
        fed_fixed_add(&fixed, sum, delta, N, 77, scale);
        for (size_t i = 0; i < N; i++) {
            volatile float scaled = delta[i] * scale; /* rounded to float, whatever the compiler thinks */
            ck_assert_int_eq(sum[i], exact_term(scaled, 77, fixed.exponent));
        }
    }
}
END_TEST

START_TEST(halves_go_to_the_even_neighbour) {
    struct fed_fixed fixed = fixed_of(64, 600, 10);
    float quantum = ldexpf(1, -fixed.exponent);
    float delta[] = {0.5f * quantum, 1.5f * quantum, 2.5f * quantum, -0.5f * quantum, -1.5f * quantum, -2.5f * quantum};
    static const int64_t expected[] = {0, 2, 2, 0, -2, -2};
    int64_t sum[6] = {0};
    fed_fixed_add(&fixed, sum, delta, 6, 1, 1);
    ck_assert_mem_eq(sum, expected, sizeof sum);
}
END_TEST

START_TEST(most_updates_at_the_caps_stay_inside_int64) {
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        struct fed_fixed fixed = fixed_of(table[t].max_delta, table[t].max_weight, table[t].max_updates);
        int64_t term = 0;
        fed_fixed_add(&fixed, &term, &fixed.max_delta, 1, fixed.max_weight, 1);
        __int128 most = (__int128)term * (__int128)fixed.max_updates;
        ck_assert(most > 0 && most <= (__int128)1 << 62);
    }
}
END_TEST

START_TEST(sum_ignores_order_and_grouping) {
    enum { CLIENTS = 40, N = 517 };
    static float deltas[CLIENTS][N];
    static int64_t sum[N], other[N], part[N];
    struct fed_fixed fixed = fixed_of(64, 1000, CLIENTS);
    uint32_t order[CLIENTS], weights[CLIENTS];
    struct fed_rng rng;
    fed_rng_init(&rng, 2, "fixed", 0, 0);
    for (uint32_t k = 0; k < CLIENTS; k++) {
        order[k] = k;
        weights[k] = 1 + fed_rng_below(&rng, 1000);
        for (size_t i = 0; i < N; i++) {
            deltas[k][i] = any_float(&rng, 64);
        }
        fed_fixed_add(&fixed, sum, deltas[k], N, weights[k], 1);
    }
    for (int round = 0; round < 20; round++) {
        memset(other, 0, sizeof other);
        fed_rng_shuffle(&rng, order, CLIENTS);
        for (uint32_t k = 0; k < CLIENTS;) {
            uint32_t group = 1 + fed_rng_below(&rng, CLIENTS - k);
            memset(part, 0, sizeof part);
            for (uint32_t end = k + group; k < end; k++) {
                fed_fixed_add(&fixed, part, deltas[order[k]], N, weights[order[k]], 1);
            }
            fed_fixed_add_sum(other, part, N);
        }
        ck_assert_mem_eq(sum, other, sizeof sum);
    }
}
END_TEST

START_TEST(check_names_the_first_delta_that_is_beyond_the_cap_or_no_number) {
    enum { N = 3001 };
    static float delta[N];
    struct fed_fixed fixed = fixed_of(64, 1, 1);
    const float wrong[] = {NAN, -NAN, INFINITY, -INFINITY, nextafterf(64, 65), -nextafterf(64, 65), from_bits(0x7f800001)};
    const float fine[] = {64, -64, 0, -0.0f, FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MIN / 2};
    static const size_t places[] = {0, 1, 15, 16, 1023, 1024, 1025, 2047, 3000};
    for (size_t i = 0; i < N; i++) {
        delta[i] = fine[i % 7];
    }
    ck_assert_uint_eq(fed_fixed_check(&fixed, delta, N), N);
    ck_assert_uint_eq(fed_fixed_check(&fixed, delta, 0), 0);
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        for (size_t k = 0; k < 7; k++) {
            float kept = delta[places[p]], last = delta[N - 1];
            delta[N - 1] = NAN; /* a later one must not win */
            delta[places[p]] = wrong[k];
            ck_assert_uint_eq(fed_fixed_check(&fixed, delta, N), places[p]);
            delta[N - 1] = last;
            delta[places[p]] = kept;
        }
    }
}
END_TEST

START_TEST(honest_sums_pass_their_bound_and_a_quantum_more_does_not) {
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        struct fed_fixed fixed = fixed_of(table[t].max_delta, table[t].max_weight, table[t].max_updates);
        enum { CLIENTS = 7 };
        int64_t part[3] = {0};
        const float delta[3] = {fixed.max_delta, -fixed.max_delta, 0};
        for (int k = 0; k < CLIENTS; k++) {
            fed_fixed_add(&fixed, part, delta, 3, 1, 1); /* the lightest clients round the most */
        }
        ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, 3, CLIENTS, INFINITY), 3);
        /* floor(7 * (max_delta * 2^f + 1/2)), exact in the 64 bits of long double */
        int64_t bound = (int64_t)floorl(CLIENTS * (ldexpl(fixed.max_delta, fixed.exponent) + 0.5L));
        part[0] = bound;
        part[1] = -bound;
        ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, 3, CLIENTS, INFINITY), 3);
        part[1] = -bound - 1;
        ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, 3, CLIENTS, INFINITY), 1);
        part[0] = bound + 1;
        ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, 3, CLIENTS, INFINITY), 0);
    }
}
END_TEST

START_TEST(a_smaller_bound_on_each_client_bounds_the_sum) {
    struct fed_fixed fixed = fixed_of(64, 600, 10);
    const double bounds[] = {0.1, 1.0 / 3, 7, 64, 65, INFINITY};
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        float most = (float)fmin(bounds[b], 64); /* what a client may have at most, as a float */
        most = (double)most > bounds[b] ? nextafterf(most, 0) : most;
        const float delta[2] = {most, -most};
        int64_t part[2] = {0};
        for (int k = 0; k < 9; k++) {
            fed_fixed_add(&fixed, part, delta, 2, 1, 1);
        }
        ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, 2, 9, bounds[b]), 2);
        int64_t beyond = (int64_t)ceill(9 * (ldexpl(fminl(bounds[b], 64), fixed.exponent) + 0.5L)) + 1;
        part[1] = -beyond;
        ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, 2, 9, bounds[b]), 1);
    }
}
END_TEST

START_TEST(extreme_parts_and_weights_do_not_wrap) {
    enum { N = 2050 };
    static int64_t part[N];
    struct fed_fixed fixed = fixed_of(64, 1 << 20, 1000);
    part[N - 1] = INT64_MIN;
    ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, N, 1000 << 20, INFINITY), N - 1);
    ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, N, UINT64_MAX, INFINITY), N - 1);
    part[N - 1] = INT64_MAX;
    ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, N, 1000 << 20, INFINITY), N - 1);
    ck_assert_uint_eq(fed_fixed_check_sum(&fixed, part, 0, 1, INFINITY), 0);
}
END_TEST

START_TEST(commit_is_its_formula_and_may_write_in_place) {
    enum { N = 2311 };
    static float w[N], out[N];
    static int64_t sum[N];
    struct fed_fixed fixed = fixed_of(64, 1000, 100);
    struct fed_rng rng;
    fed_rng_init(&rng, 3, "fixed", 0, 0);
    const uint64_t total = 48611;
    for (size_t i = 0; i < N; i++) {
        w[i] = any_float(&rng, 1e30f);
        uint64_t bits = (uint64_t)fed_rng_u32(&rng) << 32 | fed_rng_u32(&rng);
        sum[i] = i % 3 == 0 ? 0 : (int64_t)bits >> (2 + fed_rng_below(&rng, 61)); /* |sum| <= 2^61, of every size */
    }
    w[0] = w[3] = -0.0f;
    w[6] = 0;
    ck_assert_uint_eq(fed_fixed_commit(&fixed, out, w, sum, N, total), N);
    for (size_t i = 0; i < N; i++) {
        volatile double mean = (double)sum[i] / ((double)total * ldexp(1, fixed.exponent));
        volatile double moved = (double)w[i] + mean;
        ck_assert_uint_eq(to_bits(out[i]), sum[i] == 0 ? to_bits(w[i]) : to_bits((float)moved));
    }
    ck_assert_uint_eq(to_bits(out[0]), 0x80000000);
    ck_assert_uint_eq(fed_fixed_commit(&fixed, w, w, sum, N, total), N);
    ck_assert_mem_eq(w, out, sizeof w);
}
END_TEST

START_TEST(mean_of_one_to_three_is_the_hand_computed_one) {
    struct fed_fixed fixed = fixed_of(64, 8, 2);
    const float w[2] = {10, -1}, a[2] = {1, 4}, b[2] = {2, -8};
    int64_t sum[2] = {0};
    float out[2];
    fed_fixed_add(&fixed, sum, a, 2, 1, 1);
    fed_fixed_add(&fixed, sum, b, 2, 3, 1);
    ck_assert_uint_eq(fed_fixed_commit(&fixed, out, w, sum, 2, 4), 2);
    ck_assert(out[0] == 11.75f && out[1] == -6.0f);
}
END_TEST

START_TEST(commit_names_the_first_result_that_is_not_finite) {
    enum { N = 1100 };
    static float w[N], out[N];
    static int64_t sum[N];
    struct fed_fixed fixed = fixed_of(0x1p20, 1, 1);
    int64_t most = 0;
    fed_fixed_add(&fixed, &most, &fixed.max_delta, 1, 1, 1);
    w[1030] = FLT_MAX;
    sum[1030] = most; /* a millionth of an ulp: still finite */
    ck_assert_uint_eq(fed_fixed_commit(&fixed, out, w, sum, N, 1), N);
    w[1050] = NAN;
    ck_assert_uint_eq(fed_fixed_commit(&fixed, out, w, sum, N, 1), 1050);
    w[1049] = INFINITY;
    sum[1049] = 1;
    ck_assert_uint_eq(fed_fixed_commit(&fixed, out, w, sum, N, 1), 1049);
    w[5] = -INFINITY;
    ck_assert_uint_eq(fed_fixed_commit(&fixed, out, w, sum, N, 1), 5);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fixed");
    TCase *t = tcase_create("fixed");
    tcase_add_test(t, exponent_follows_its_formula);
    tcase_add_test(t, parameters_out_of_range_are_refused_with_a_sentence);
    tcase_add_test(t, every_term_is_the_exactly_rounded_one);
    tcase_add_test(t, a_scaled_term_is_that_of_the_scaled_float);
    tcase_add_test(t, a_smaller_bound_on_each_client_bounds_the_sum);
    tcase_add_test(t, halves_go_to_the_even_neighbour);
    tcase_add_test(t, most_updates_at_the_caps_stay_inside_int64);
    tcase_add_test(t, sum_ignores_order_and_grouping);
    tcase_add_test(t, check_names_the_first_delta_that_is_beyond_the_cap_or_no_number);
    tcase_add_test(t, extreme_parts_and_weights_do_not_wrap);
    tcase_add_test(t, commit_is_its_formula_and_may_write_in_place);
    tcase_add_test(t, mean_of_one_to_three_is_the_hand_computed_one);
    tcase_add_test(t, commit_names_the_first_result_that_is_not_finite);
    suite_add_tcase(suite, t);
    TCase *wide = tcase_create("wide"); /* held against 64 bits of long double, of which valgrind keeps 53 */
    tcase_set_tags(wide, "processor");
    tcase_add_test(wide, honest_sums_pass_their_bound_and_a_quantum_more_does_not);
    suite_add_tcase(suite, wide);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
