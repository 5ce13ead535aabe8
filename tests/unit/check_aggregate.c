/* The weighted mean of an attempt: the same bits whatever the order, the pieces and the threads. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "coordinator/round/aggregate.h"

enum { N = 10007, CLIENTS = 12 };

static struct fed_fixed fixed;
static struct fed_aggregate aggregate;
static float w[N], deltas[CLIENTS][N];
static uint32_t weights[CLIENTS];
static uint64_t total_weight;

static void fill(void) {
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "aggregate", 0, 0);
    total_weight = 0;
    for (size_t i = 0; i < N; i++) {
        w[i] = fed_rng_f32(&rng) - 0.5f;
    }
    for (int k = 0; k < CLIENTS; k++) {
        weights[k] = 1 + fed_rng_below(&rng, 600);
        total_weight += weights[k];
        for (size_t i = 0; i < N; i++) {
            deltas[k][i] = (fed_rng_f32(&rng) - 0.5f) * 0.01f;
        }
    }
    ck_assert_int_eq(fed_fixed_init(&fixed, 64, 600, CLIENTS, NULL), 0);
    ck_assert_int_eq(fed_aggregate_init(&aggregate, &fixed, N), 0);
}

static void drop(void) { fed_aggregate_fini(&aggregate); }

static void add_whole(int k) {
    fed_aggregate_add(&aggregate, deltas[k], 0, N, weights[k], 1);
    fed_aggregate_count(&aggregate, weights[k], 1);
}

static void reference(float *out) {
    fed_aggregate_clear(&aggregate);
    for (int k = 0; k < CLIENTS; k++) {
        add_whole(k);
    }
    ck_assert_uint_eq(fed_aggregate_mean(&aggregate, out, w), N);
    fed_aggregate_clear(&aggregate);
}

START_TEST(mean_is_the_papers_weighted_average) {
    static float out[N];
    reference(out);
    for (size_t i = 0; i < N; i++) { /* sum of n_k / n * w_k, as algorithm 1 writes it */
        long double mean = 0;
        for (int k = 0; k < CLIENTS; k++) {
            mean += (long double)weights[k] / total_weight * ((long double)w[i] + deltas[k][i]);
        }
        ck_assert(fabsl(out[i] - mean) <= ldexpl(fabsl(mean), -24) + 1e-9L);
    }
}
END_TEST

START_TEST(mean_ignores_arrival_order_and_pieces) {
    static float expected[N], out[N];
    uint32_t order[CLIENTS];
    struct fed_rng rng;
    reference(expected);
    fed_rng_init(&rng, 2, "aggregate", 0, 0);
    for (uint32_t k = 0; k < CLIENTS; k++) {
        order[k] = k;
    }
    for (int round = 0; round < 5; round++) {
        fed_aggregate_clear(&aggregate);
        fed_rng_shuffle(&rng, order, CLIENTS);
        for (int k = 0; k < CLIENTS; k++) {
            for (size_t first = 0, n; first < N; first += n) {
                n = 1 + fed_rng_below(&rng, 3000);
                n = n < N - first ? n : N - first;
                fed_aggregate_add(&aggregate, deltas[order[k]] + first, first, n, weights[order[k]], 1);
            }
            fed_aggregate_count(&aggregate, weights[order[k]], 1);
        }
        ck_assert_uint_eq(aggregate.total_weight, total_weight);
        ck_assert_uint_eq(aggregate.n_updates, CLIENTS);
        ck_assert_uint_eq(fed_aggregate_mean(&aggregate, out, w), N);
        ck_assert_mem_eq(out, expected, sizeof out);
    }
}
END_TEST

START_TEST(partial_sums_of_nodes_give_the_same_mean) {
    static float expected[N], out[N];
    struct fed_aggregate node;
    reference(expected);
    fed_aggregate_clear(&aggregate);
    ck_assert_int_eq(fed_aggregate_init(&node, &fixed, N), 0);
    for (int k = 0; k < CLIENTS; k++) {
        if (k < 4) {
            add_whole(k);
        } else {
            fed_aggregate_add(&node, deltas[k], 0, N, weights[k], 1);
            fed_aggregate_count(&node, weights[k], 1);
        }
    }
    ck_assert_uint_eq(fed_fixed_check_sum(&fixed, node.sum, N, node.total_weight, INFINITY), N);
    fed_aggregate_add_sum(&aggregate, node.sum, 0, 5000);
    fed_aggregate_add_sum(&aggregate, node.sum + 5000, 5000, N - 5000);
    fed_aggregate_count(&aggregate, node.total_weight, node.n_updates);
    fed_aggregate_fini(&node);
    ck_assert_uint_eq(aggregate.n_updates, CLIENTS);
    ck_assert_uint_eq(fed_aggregate_mean(&aggregate, out, w), N);
    ck_assert_mem_eq(out, expected, sizeof out);
}
END_TEST

static void *add_half(void *arg) {
    size_t first = arg == NULL ? 0 : N / 2, n = arg == NULL ? N / 2 : N - N / 2;
    for (int k = 0; k < CLIENTS; k++) {
        fed_aggregate_add(&aggregate, deltas[k] + first, first, n, weights[k], 1);
    }
    return NULL;
}

START_TEST(ranges_may_be_added_by_threads_at_once) {
    static float expected[N], out[N];
    pthread_t thread;
    reference(expected);
    ck_assert_int_eq(pthread_create(&thread, NULL, add_half, &aggregate), 0);
    add_half(NULL);
    pthread_join(thread, NULL);
    fed_aggregate_count(&aggregate, total_weight, CLIENTS);
    ck_assert_uint_eq(fed_aggregate_mean(&aggregate, out, w), N);
    ck_assert_mem_eq(out, expected, sizeof out);
}
END_TEST

START_TEST(cleared_aggregate_remembers_nothing) {
    static float first[N], second[N];
    reference(first);
    reference(second);
    ck_assert_mem_eq(first, second, sizeof first);
    ck_assert_uint_eq(aggregate.total_weight, 0);
    ck_assert_uint_eq(aggregate.n_updates, 0);
}
END_TEST

START_TEST(nobody_moving_leaves_the_model_as_it_was) {
    static float zero[N], out[N];
    w[7] = -0.0f;
    fed_aggregate_add(&aggregate, zero, 0, N, 5, 1);
    fed_aggregate_count(&aggregate, 5, 1);
    ck_assert_uint_eq(fed_aggregate_mean(&aggregate, out, w), N);
    ck_assert_mem_eq(out, w, sizeof out);
}
END_TEST

START_TEST(mean_that_is_not_finite_is_named) {
    static float out[N];
    w[N - 2] = INFINITY;
    add_whole(0);
    ck_assert_uint_eq(fed_aggregate_mean(&aggregate, out, w), N - 2);
}
END_TEST

START_TEST(aggregate_beyond_memory_is_an_error) {
    struct fed_aggregate huge = {.n_params = 77};
    ck_assert_int_eq(fed_aggregate_init(&huge, &fixed, SIZE_MAX / 4), FED_ENOMEM); /* SIZE_MAX / 4 * 8 wraps */
    ck_assert_uint_eq(huge.n_params, 77);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("aggregate");
    TCase *t = tcase_create("aggregate");
    tcase_add_checked_fixture(t, fill, drop);
    tcase_add_test(t, mean_is_the_papers_weighted_average);
    tcase_add_test(t, mean_ignores_arrival_order_and_pieces);
    tcase_add_test(t, partial_sums_of_nodes_give_the_same_mean);
    tcase_add_test(t, ranges_may_be_added_by_threads_at_once);
    tcase_add_test(t, cleared_aggregate_remembers_nothing);
    tcase_add_test(t, nobody_moving_leaves_the_model_as_it_was);
    tcase_add_test(t, mean_that_is_not_finite_is_named);
    tcase_add_test(t, aggregate_beyond_memory_is_an_error);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
