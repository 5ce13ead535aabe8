/* Partitions whose shards are computed one by one. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "tests/unit/partition/fixture.h"

START_TEST(computed_iid_clients_hold_no_example_twice) {
    static const size_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 1000, 65536, 65537};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        struct fed_dataset d = dataset_of(n, 1);
        struct fed_partition_spec spec = {
            .kind = FED_PARTITION_IID, .clients = UINT32_MAX, .examples_per_client = (uint32_t)n};
        struct fed_partition p = make(&d, &spec, 3);
        for (uint32_t k = 0; k < 4; k++) {
            bool *seen = calloc(n, sizeof *seen);
            size_t n_k;
            const uint32_t *rows = rows_of(&p, k * (UINT32_MAX / 4), &n_k);
            ck_assert_uint_eq(n_k, n);
            for (size_t i = 0; i < n; i++) {
                ck_assert(rows[i] < n && !seen[rows[i]]);
                seen[rows[i]] = true;
            }
            free(seen);
        }
        fed_partition_fini(&p);
    }
}
END_TEST

/* Over many clients every example is as likely in every place: chi-square against 999 degrees of freedom stays within six
 * standard deviations; and two clients share as many examples as chance gives. */
START_TEST(computed_iid_clients_are_spread_evenly_and_independent) {
    enum { N = 1000, EACH = 20, K = 5000 };
    static uint32_t count[N], at_first[N], mine[EACH], before[EACH];
    struct fed_dataset d = dataset_of(N, 10);
    struct fed_partition_spec spec = {.kind = FED_PARTITION_IID, .clients = K, .examples_per_client = EACH};
    struct fed_partition p = make(&d, &spec, 5);
    double all = 0, first = 0, shared = 0;
    for (uint32_t k = 0; k < K; k++) {
        fed_partition_rows(&p, k, mine);
        at_first[mine[0]]++;
        for (int i = 0; i < EACH; i++) {
            count[mine[i]]++;
            for (int j = 0; j < EACH && k > 0; j++) {
                shared += mine[i] == before[j];
            }
        }
        memcpy(before, mine, sizeof mine);
    }
    for (int i = 0; i < N; i++) {
        all += pow(count[i] - K * (double)EACH / N, 2) / (K * (double)EACH / N);
        first += pow(at_first[i] - K / (double)N, 2) / (K / (double)N);
    }
    ck_assert_msg(fabs(all - N) < 6 * sqrt(2.0 * N), "%g", all);
    ck_assert_msg(fabs(first - N) < 6 * sqrt(2.0 * N), "%g", first);
    double expected = (K - 1) * (double)EACH * EACH / N;
    ck_assert_msg(fabs(shared - expected) < 6 * sqrt(expected), "%g of %g", shared, expected);
    fed_partition_fini(&p);
}
END_TEST

/* A client's number of examples of a label, with proportions ~ Dir(alpha p), has mean N p and the variance of the
 * Dirichlet-multinomial distribution, N p (1 - p) (N + alpha) / (1 + alpha). */
START_TEST(computed_dirichlet_has_the_moments_of_the_distribution) {
    enum { N = 10000, EACH = 50, K = 4000 };
    static const double p_of[] = {0.1, 0.2, 0.7};
    struct fed_dataset d = dataset_of(N, 3);
    for (size_t i = 0; i < N; i++) {
        labels[i] = i % 10 == 0 ? 0 : i % 10 < 3 ? 1 : 2;
    }
    for (int a = 1; a <= 6; a++) { /* alpha 1e-3 to 1e3 */
        struct fed_partition_spec spec = {
            .kind = FED_PARTITION_DIRICHLET, .clients = K, .alpha = alphas[a], .examples_per_client = EACH};
        struct fed_partition p = make(&d, &spec, 9);
        double sum[3] = {0}, square[3] = {0};
        for (uint32_t k = 0; k < K; k++) {
            size_t n, count[3] = {0};
            const uint32_t *rows = rows_of(&p, k, &n);
            ck_assert_uint_eq(n, EACH);
            for (size_t i = 0; i < n; i++) {
                count[labels[rows[i]]]++;
            }
            for (int c = 0; c < 3; c++) {
                sum[c] += (double)count[c];
                square[c] += pow((double)count[c] - EACH * p_of[c], 2);
            }
        }
        for (int c = 0; c < 3; c++) {
            double variance = EACH * p_of[c] * (1 - p_of[c]) * (EACH + alphas[a]) / (1 + alphas[a]);
            ck_assert_msg(fabs(sum[c] / K - EACH * p_of[c]) < 5 * sqrt(variance / K), "alpha %g: mean %g", alphas[a],
                          sum[c] / K);
            ck_assert_msg(fabs(square[c] / K / variance - 1) < 0.15, "alpha %g: variance %g, expected %g", alphas[a],
                          square[c] / K, variance);
        }
        fed_partition_fini(&p);
    }
}
END_TEST

struct asker {
    const struct fed_partition *partition;
    uint32_t rows[50];
};

static void *ask(void *context) {
    struct asker *asker = context;
    for (uint32_t k = 0; k < 1000; k++) {
        fed_partition_rows(asker->partition, k, asker->rows);
    }
    return NULL;
}

START_TEST(shards_may_be_asked_for_from_several_threads_and_in_any_order) {
    struct fed_dataset d = dataset_of(600, 10);
    for (int kind = FED_PARTITION_IID; kind <= FED_PARTITION_DIRICHLET; kind += 2) {
        struct fed_partition_spec spec = {
            .kind = (enum fed_partition_kind)kind, .clients = 1000, .alpha = 0.5, .examples_per_client = 50};
        struct fed_partition p = make(&d, &spec, 1);
        struct asker askers[4];
        pthread_t threads[4];
        uint32_t rows[50];
        for (int i = 0; i < 4; i++) {
            askers[i].partition = &p;
            ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
        }
        fed_partition_rows(&p, 999, rows);
        for (int i = 0; i < 4; i++) {
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
            ck_assert_mem_eq(askers[i].rows, rows, sizeof rows);
        }
        fed_partition_fini(&p);
    }
}
END_TEST

START_TEST(every_number_of_a_computed_split_is_in_its_digest) {
    struct fed_dataset d = dataset_of(600, 10);
    static const struct fed_partition_spec specs[] = {
        {FED_PARTITION_DIRICHLET, 1000, 0, 0.5, 60}, {FED_PARTITION_DIRICHLET, 1001, 0, 0.5, 60},
        {FED_PARTITION_DIRICHLET, 1000, 0, 0.6, 60}, {FED_PARTITION_DIRICHLET, 1000, 0, 0.5, 61},
        {FED_PARTITION_IID, 1000, 0, 0, 60},         {FED_PARTITION_IID, 1001, 0, 0, 60},
    };
    enum { SPECS = sizeof specs / sizeof *specs };
    uint8_t digests[SPECS + 2][32];
    for (int i = 0; i < SPECS + 2; i++) {
        if (i == SPECS + 1) {
            d.digest[7]++;
        }
        struct fed_partition p = make(&d, &specs[i < SPECS ? i : 0], i == SPECS ? 2 : 1);
        memcpy(digests[i], p.digest, 32);
        fed_partition_fini(&p);
        for (int j = 0; j < i; j++) {
            ck_assert_mem_ne(digests[i], digests[j], 32);
        }
    }
}
END_TEST

TCase *computed_cases(void) {
    TCase *cases = tcase_create("computed");
    tcase_add_test(cases, computed_iid_clients_hold_no_example_twice);
    tcase_add_test(cases, computed_iid_clients_are_spread_evenly_and_independent);
    tcase_add_test(cases, computed_dirichlet_has_the_moments_of_the_distribution);
    tcase_add_test(cases, shards_may_be_asked_for_from_several_threads_and_in_any_order);
    tcase_add_test(cases, every_number_of_a_computed_split_is_in_its_digest);
    return cases;
}
