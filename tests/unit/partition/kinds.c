/* What the kinds of partition promise. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/seal/digest.h"
#include "tests/unit/partition/fixture.h"

/* Every row belongs to exactly one client, and every client has a row. */
static void expect_whole(const struct fed_partition *p, size_t n) {
    bool *seen = calloc(n, sizeof *seen);
    size_t total = 0, most = 0;
    ck_assert_ptr_nonnull(seen);
    for (uint32_t k = 0; k < p->n_clients; k++) {
        size_t n_k;
        const uint32_t *rows = rows_of(p, k, &n_k);
        most = n_k > most ? n_k : most;
        total += n_k;
        for (size_t i = 0; i < n_k; i++) {
            ck_assert(rows[i] < n && !seen[rows[i]]);
            seen[rows[i]] = true;
        }
    }
    ck_assert_uint_eq(total, n);
    ck_assert_uint_eq(fed_partition_largest(p), most);
    free(seen);
}

/* kind n classes clients shards alpha each seed digest largest rows...: the first client's first five, of a computed split
 * the last client's last five. */
START_TEST(partitions_are_the_known_ones) {
    FILE *file = fopen(FED_VECTORS "/partition.txt", "r");
    char line[512], kind[16], digest[65], hex[FED_DIGEST_HEX];
    unsigned long n, seed, largest;
    unsigned n_classes;
    int end, n_vectors = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        struct fed_partition_spec spec;
        ck_assert_int_eq(sscanf(line, "%15s %lu %u %u %u %lf %u %lu %64s %lu%n", kind, &n, &n_classes, &spec.clients,
                                &spec.shards_per_client, &spec.alpha, &spec.examples_per_client, &seed, digest, &largest,
                                &end),
                         10);
        ck_assert_int_eq(fed_partition_kind_parse(&spec.kind, kind), 0);
        struct fed_dataset d = dataset_of(n, n_classes);
        if (spec.kind == FED_PARTITION_NATURAL) {
            group(&d, spec.clients);
            spec.clients = 0;
        }
        struct fed_partition p = make(&d, &spec, seed);
        bool computed = spec.examples_per_client > 0;
        ck_assert_int_eq(fed_partition_computed(&p), computed);
        if (!computed) {
            expect_whole(&p, n);
        }
        size_t n_k, at = 0;
        const uint32_t *rows = rows_of(&p, computed ? p.n_clients - 1 : 0, &n_k);
        at = computed && n_k > 5 ? n_k - 5 : 0;
        for (const char *text = line + end; at < n_k && *text != '\n'; at++) {
            char *after;
            ck_assert_uint_eq(rows[at], strtoul(text, &after, 10));
            text = after;
        }
        fed_hex(hex, p.digest, sizeof p.digest);
        ck_assert_uint_eq(fed_partition_largest(&p), largest);
        ck_assert_msg(strcmp(hex, digest) == 0, "%s", line);
        fed_partition_fini(&p);
        n_vectors++;
    }
    fclose(file);
    ck_assert_int_eq(n_vectors, 34);
}
END_TEST

START_TEST(none_is_the_file_as_it_is) {
    struct fed_dataset d = dataset_of(100, 10);
    struct fed_partition p = make(&d, &(struct fed_partition_spec){.kind = FED_PARTITION_NONE}, 5);
    size_t n;
    const uint32_t *rows = rows_of(&p, 0, &n);
    ck_assert_uint_eq(p.n_clients, 1);
    ck_assert_uint_eq(n, 100);
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(rows[i], i);
    }
    fed_partition_fini(&p);
}
END_TEST

START_TEST(iid_parts_differ_by_at_most_one) {
    struct fed_dataset d = dataset_of(1003, 10);
    struct fed_partition p = make(&d, &(struct fed_partition_spec){.kind = FED_PARTITION_IID, .clients = 10}, 1);
    expect_whole(&p, 1003);
    for (uint32_t k = 0; k < 10; k++) {
        size_t n;
        rows_of(&p, k, &n);
        ck_assert_uint_eq(n, k < 3 ? 101 : 100);
    }
    fed_partition_fini(&p);
}
END_TEST

/* The paper: "most clients will only have examples of two digits". */
START_TEST(two_shards_of_the_papers_split_hold_few_labels) {
    enum { N = 60000, K = 100 };
    struct fed_dataset d = dataset_of(N, 10);
    struct fed_partition_spec spec = {.kind = FED_PARTITION_SHARDS, .clients = K, .shards_per_client = 2};
    struct fed_partition p = make(&d, &spec, 1);
    expect_whole(&p, N);
    for (uint32_t k = 0; k < K; k++) {
        size_t n, n_labels = 0;
        bool seen[10] = {false};
        const uint32_t *rows = rows_of(&p, k, &n);
        ck_assert_uint_eq(n, N / K);
        for (size_t i = 0; i < n; i++) {
            n_labels += !seen[labels[rows[i]]];
            seen[labels[rows[i]]] = true;
        }
        ck_assert_uint_le(n_labels, 4); /* a shard of 300 crosses at most one border */
    }
    fed_partition_fini(&p);
}
END_TEST

START_TEST(dirichlet_ends_and_leaves_nobody_empty_from_one_extreme_to_the_other) {
    static const struct {
        size_t n;
        uint32_t n_classes;
    } sizes[] = {{1, 1}, {10, 10}, {257, 256}, {3000, 10}};
    for (size_t a = 0; a < N_ALPHAS; a++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const size_t n = sizes[s].n, clients[] = {1, (n + 9) / 10, n / 2 + 1, n};
            struct fed_dataset d = dataset_of(n, sizes[s].n_classes);
            for (int k = 0; k < 4; k++) {
                struct fed_partition_spec spec = {
                    .kind = FED_PARTITION_DIRICHLET, .clients = (uint32_t)clients[k], .alpha = alphas[a]};
                struct fed_partition p = make(&d, &spec, a + 1);
                expect_whole(&p, n);
                fed_partition_fini(&p);
            }
        }
    }
}
END_TEST

START_TEST(dirichlet_of_many_clients_and_tiny_alpha_is_quick) {
    struct fed_dataset d = dataset_of(60000, 10); /* a client for each example, and nearly all begin empty */
    struct fed_partition_spec spec = {.kind = FED_PARTITION_DIRICHLET, .clients = 60000, .alpha = 1e-6};
    struct fed_partition p = make(&d, &spec, 1);
    expect_whole(&p, 60000);
    ck_assert_uint_eq(fed_partition_largest(&p), 1);
    fed_partition_fini(&p);
}
END_TEST

/* Shares of one label over clients: Dir(alpha) has mean 1/K and variance (K - 1) / (K^2 (K alpha + 1)). */
START_TEST(dirichlet_shares_have_the_moments_of_the_distribution) {
    enum { N = 50000, LABELS = 250, K = 10 };
    for (int a = 2; a <= 5; a++) { /* alpha 0.1, 0.5, 1, 10 */
        struct fed_dataset d = {.n_examples = N, .n_classes = LABELS};
        for (size_t i = 0; i < N; i++) {
            labels[i] = (uint32_t)(i % LABELS);
        }
        struct fed_partition_spec spec = {.kind = FED_PARTITION_DIRICHLET, .clients = K, .alpha = alphas[a]};
        struct fed_partition p = make(&d, &spec, 11);
        double square = 0;
        for (uint32_t k = 0; k < K; k++) {
            size_t n, count[LABELS] = {0};
            const uint32_t *rows = rows_of(&p, k, &n);
            for (size_t i = 0; i < n; i++) {
                count[labels[rows[i]]]++;
            }
            for (int c = 0; c < LABELS; c++) {
                double share = count[c] / ((double)N / LABELS) - 1.0 / K;
                square += share * share;
            }
        }
        double variance = square / (K * LABELS), expected = (K - 1) / (double)(K * K) / (K * alphas[a] + 1);
        ck_assert_msg(fabs(variance / expected - 1) < 0.15, "alpha %g: %g, expected %g", alphas[a], variance, expected);
        fed_partition_fini(&p);
    }
}
END_TEST

START_TEST(seed_kind_and_data_change_the_digest) {
    struct fed_dataset d = dataset_of(600, 10);
    struct fed_partition_spec iid = {.kind = FED_PARTITION_IID, .clients = 10};
    struct fed_partition_spec shards = {.kind = FED_PARTITION_SHARDS, .clients = 10, .shards_per_client = 2};
    struct fed_partition p[4] = {make(&d, &iid, 1), make(&d, &iid, 2), make(&d, &shards, 1)};
    d.digest[31]++;
    p[3] = make(&d, &iid, 1);
    for (uint32_t k = 0; k < 10; k++) { /* same seed: same split, of other data */
        uint32_t one[60], other[60];
        fed_partition_rows(&p[0], k, one);
        fed_partition_rows(&p[3], k, other);
        ck_assert_mem_eq(one, other, sizeof one);
    }
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++) {
            ck_assert_mem_ne(p[i].digest, p[j].digest, 32);
        }
    }
    for (int i = 0; i < 4; i++) {
        fed_partition_fini(&p[i]);
    }
}
END_TEST

START_TEST(quantity_ends_and_gives_everybody_one_from_one_extreme_to_the_other) {
    for (size_t a = 0; a < N_ALPHAS; a++) {
        for (size_t n = 1; n <= 3000; n = 3 * n + 1) {
            const size_t clients[] = {1, (n + 9) / 10, n / 2 + 1, n};
            struct fed_dataset d = dataset_of(n, 1);
            for (int k = 0; k < 4; k++) {
                struct fed_partition_spec spec = {
                    .kind = FED_PARTITION_QUANTITY, .clients = (uint32_t)clients[k], .alpha = alphas[a]};
                struct fed_partition p = make(&d, &spec, a + 1);
                expect_whole(&p, n);
                fed_partition_fini(&p);
            }
        }
    }
}
END_TEST

static int descending(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x < y) - (x > y);
}

/* Sizes are proportional to (i + 1)^-alpha to within one, where that gives everybody an example. */
START_TEST(quantity_is_a_power_law_whose_places_are_drawn) {
    enum { N = 60000, K = 100 };
    struct fed_dataset d = dataset_of(N, 10);
    struct fed_partition_spec spec = {.kind = FED_PARTITION_QUANTITY, .clients = K, .alpha = 1.1};
    struct fed_partition p = make(&d, &spec, 1), q = make(&d, &spec, 2);
    size_t sizes[2][K];
    double all = 0;
    for (uint32_t k = 0; k < K; k++) {
        sizes[0][k] = fed_partition_size(&p, k);
        sizes[1][k] = fed_partition_size(&q, k);
        all += pow(k + 1, -1.1);
    }
    ck_assert_mem_ne(sizes[0], sizes[1], sizeof sizes[0]);
    ck_assert_uint_ne(sizes[0][0], fed_partition_largest(&p));
    qsort(sizes[0], K, sizeof sizes[0][0], descending);
    qsort(sizes[1], K, sizeof sizes[1][0], descending);
    ck_assert_mem_eq(sizes[0], sizes[1], sizeof sizes[0]);
    for (uint32_t k = 0; k < K; k++) {
        ck_assert(fabs((double)sizes[0][k] - N * pow(k + 1, -1.1) / all) <= 1);
    }
    fed_partition_fini(&p);
    fed_partition_fini(&q);
}
END_TEST

START_TEST(natural_clients_are_the_groups_in_the_order_in_which_they_begin) {
    struct fed_dataset d = dataset_of(5000, 10);
    group(&d, 2000);
    struct fed_partition p = make(&d, &(struct fed_partition_spec){.kind = FED_PARTITION_NATURAL}, 1);
    uint32_t clients;
    ck_assert_uint_gt(d.n_groups, 100);
    ck_assert_uint_eq(p.n_clients, d.n_groups);
    expect_whole(&p, 5000);
    for (uint32_t k = 0, begin = 0; k < p.n_clients; k++) {
        size_t n;
        const uint32_t *rows = rows_of(&p, k, &n);
        ck_assert(k == 0 || rows[0] > begin);
        begin = rows[0];
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_eq(groups[rows[i]], k);
            ck_assert(i == 0 || rows[i] > rows[i - 1]);
        }
    }
    fed_partition_fini(&p);
    struct fed_partition_spec said = {.kind = FED_PARTITION_NATURAL, .clients = d.n_groups};
    ck_assert_int_eq(fed_partition_clients(&clients, &d, &said, &err), 0);
    ck_assert_uint_eq(clients, d.n_groups);
}
END_TEST

START_TEST(a_group_without_examples_is_refused_by_name) {
    struct fed_dataset d = dataset_of(10, 2);
    struct fed_partition p;
    group(&d, 1);
    d.n_groups = 2;
    ck_assert_int_eq(fed_partition_make(&p, &d, &(struct fed_partition_spec){.kind = FED_PARTITION_NATURAL}, 1, &err),
                     FED_EDATA);
    ck_assert_str_eq(err.text, "the data names a group \"Ward\" that has no example; leave it out");
}
END_TEST

TCase *kinds_cases(void) {
    TCase *cases = tcase_create("kinds");
    tcase_add_test(cases, partitions_are_the_known_ones);
    tcase_add_test(cases, none_is_the_file_as_it_is);
    tcase_add_test(cases, iid_parts_differ_by_at_most_one);
    tcase_add_test(cases, two_shards_of_the_papers_split_hold_few_labels);
    tcase_add_test(cases, dirichlet_ends_and_leaves_nobody_empty_from_one_extreme_to_the_other);
    tcase_add_test(cases, dirichlet_of_many_clients_and_tiny_alpha_is_quick);
    tcase_add_test(cases, dirichlet_shares_have_the_moments_of_the_distribution);
    tcase_add_test(cases, quantity_ends_and_gives_everybody_one_from_one_extreme_to_the_other);
    tcase_add_test(cases, quantity_is_a_power_law_whose_places_are_drawn);
    tcase_add_test(cases, natural_clients_are_the_groups_in_the_order_in_which_they_begin);
    tcase_add_test(cases, a_group_without_examples_is_refused_by_name);
    tcase_add_test(cases, seed_kind_and_data_change_the_digest);
    return cases;
}
