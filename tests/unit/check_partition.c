/* Partitions: known answers from an independent implementation (tests/vectors/partition.py), then what must hold for
 * every one of them. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/seal/digest.h"

enum { MOST = 70000 };

static uint8_t labels[MOST];
static struct fed_error err;

/* Labels by the same rule as the vectors' script; the digest is 0, 1, 2, ... 31. */
static struct fed_dataset dataset_of(size_t n, uint32_t n_classes) {
    struct fed_dataset d = {.n_examples = n, .n_features = 1, .n_classes = n_classes, .labels = labels};
    ck_assert_uint_le(n, MOST);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (uint8_t)((i * i * 7 + i / 13) % n_classes);
    }
    for (int i = 0; i < 32; i++) {
        d.digest[i] = (uint8_t)i;
    }
    return d;
}

static struct fed_partition make(const struct fed_dataset *d, const struct fed_partition_spec *spec, uint64_t seed) {
    struct fed_partition p;
    ck_assert_msg(fed_partition_make(&p, d, spec, seed, &err) == 0, "%s", err.text);
    return p;
}

/* Every row belongs to exactly one client, and every client has a row. */
static void expect_whole(const struct fed_partition *p, size_t n) {
    bool *seen = calloc(n, sizeof *seen);
    size_t total = 0, most = 0;
    ck_assert_ptr_nonnull(seen);
    for (uint32_t k = 0; k < p->n_clients; k++) {
        size_t n_k;
        const uint32_t *rows = fed_partition_shard(p, k, &n_k);
        ck_assert_uint_ge(n_k, 1);
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

/* kind n classes clients shards alpha seed digest largest rows... */
START_TEST(partitions_are_the_known_ones) {
    FILE *file = fopen(FED_VECTORS "/partition.txt", "r");
    char line[512], kind[16], digest[65], hex[FED_DIGEST_HEX];
    unsigned long n, seed, largest;
    unsigned n_classes, row;
    int end, n_vectors = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        struct fed_partition_spec spec;
        ck_assert_int_eq(sscanf(line, "%15s %lu %u %u %u %lf %lu %64s %lu %u%n", kind, &n, &n_classes, &spec.clients,
                                &spec.shards_per_client, &spec.alpha, &seed, digest, &largest, &row, &end),
                         10);
        ck_assert_int_eq(fed_partition_kind_parse(&spec.kind, kind), 0);
        struct fed_dataset d = dataset_of(n, n_classes);
        struct fed_partition p = make(&d, &spec, seed);
        expect_whole(&p, n);
        fed_hex(hex, p.digest, sizeof p.digest);
        ck_assert_uint_eq(p.rows[0], row);
        ck_assert_uint_eq(fed_partition_largest(&p), largest);
        ck_assert_msg(strcmp(hex, digest) == 0, "%s", line);
        fed_partition_fini(&p);
        n_vectors++;
    }
    fclose(file);
    ck_assert_int_eq(n_vectors, 14);
}
END_TEST

START_TEST(none_is_the_file_as_it_is) {
    struct fed_dataset d = dataset_of(100, 10);
    struct fed_partition p = make(&d, &(struct fed_partition_spec){.kind = FED_PARTITION_NONE}, 5);
    size_t n;
    const uint32_t *rows = fed_partition_shard(&p, 0, &n);
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
        fed_partition_shard(&p, k, &n);
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
        const uint32_t *rows = fed_partition_shard(&p, k, &n);
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

static const double alphas[] = {1e-6, 1e-3, 0.1, 0.5, 1, 10, 1e3, 1e6};

START_TEST(dirichlet_ends_and_leaves_nobody_empty_from_one_extreme_to_the_other) {
    static const struct {
        size_t n;
        uint32_t n_classes;
    } sizes[] = {{1, 1}, {10, 10}, {257, 256}, {3000, 10}};
    for (size_t a = 0; a < sizeof alphas / sizeof *alphas; a++) {
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
        struct fed_dataset d = {.n_examples = N, .n_classes = LABELS, .labels = labels};
        for (size_t i = 0; i < N; i++) {
            labels[i] = (uint8_t)(i % LABELS);
        }
        struct fed_partition_spec spec = {.kind = FED_PARTITION_DIRICHLET, .clients = K, .alpha = alphas[a]};
        struct fed_partition p = make(&d, &spec, 11);
        double square = 0;
        for (uint32_t k = 0; k < K; k++) {
            size_t n, count[LABELS] = {0};
            const uint32_t *rows = fed_partition_shard(&p, k, &n);
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
    ck_assert_mem_eq(p[0].rows, p[3].rows, 600 * sizeof *p[0].rows);
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

START_TEST(impossible_partitions_are_refused_with_a_sentence) {
    static const struct {
        struct fed_partition_spec spec;
        const char *sentence;
    } wrong[] = {
        {{FED_PARTITION_IID, 61, 0, 0}, "data.partition.clients: 61 found, 1 to 60 is allowed"},
        {{FED_PARTITION_IID, 0, 0, 0}, "data.partition.clients: 0 found"},
        {{FED_PARTITION_SHARDS, 31, 2, 0},
         "data.partition.shards_per_client: 2 found, which for 31 clients makes 62 shards;"},
        {{FED_PARTITION_SHARDS, 30, 0, 0}, "data.partition.shards_per_client: 0 found"},
        {{FED_PARTITION_SHARDS, 32, 1u << 27, 0}, "data.partition.shards_per_client: 134217728 found, which for 32 clients"},
        {{FED_PARTITION_DIRICHLET, 61, 0, 1}, "data.partition.clients: 61 found"},
        {{FED_PARTITION_DIRICHLET, 6, 0, 0}, "data.partition.alpha: 0 found, 1e-06 to 1e+06 is allowed"},
        {{FED_PARTITION_DIRICHLET, 6, 0, -1}, "data.partition.alpha: -1 found"},
        {{FED_PARTITION_DIRICHLET, 6, 0, 1.1e6}, "data.partition.alpha: 1.1e+06 found"},
        {{FED_PARTITION_DIRICHLET, 6, 0, NAN}, "data.partition.alpha: nan found"},
    };
    struct fed_dataset d = dataset_of(60, 10);
    struct fed_partition p = {.n_clients = 77};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(fed_partition_make(&p, &d, &wrong[i].spec, 1, &err), FED_ECONFIG);
        ck_assert_msg(strstr(err.text, wrong[i].sentence) == err.text, "%s", err.text);
        ck_assert_uint_eq(p.n_clients, 77);
    }
    d.n_examples = 0;
    ck_assert_int_eq(fed_partition_make(&p, &d, &(struct fed_partition_spec){.kind = FED_PARTITION_NONE}, 1, &err),
                     FED_ECONFIG);
}
END_TEST

START_TEST(kind_names_parse_back) {
    for (int i = FED_PARTITION_NONE; i <= FED_PARTITION_DIRICHLET; i++) {
        enum fed_partition_kind kind;
        ck_assert_int_eq(fed_partition_kind_parse(&kind, fed_partition_kind_name((enum fed_partition_kind)i)), 0);
        ck_assert_int_eq((int)kind, i);
    }
    enum fed_partition_kind kind;
    ck_assert_int_eq(fed_partition_kind_parse(&kind, "quantity"), FED_ENOTFOUND);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("partition");
    TCase *t = tcase_create("partition");
    tcase_add_test(t, partitions_are_the_known_ones);
    tcase_add_test(t, none_is_the_file_as_it_is);
    tcase_add_test(t, iid_parts_differ_by_at_most_one);
    tcase_add_test(t, two_shards_of_the_papers_split_hold_few_labels);
    tcase_add_test(t, dirichlet_ends_and_leaves_nobody_empty_from_one_extreme_to_the_other);
    tcase_add_test(t, dirichlet_of_many_clients_and_tiny_alpha_is_quick);
    tcase_add_test(t, dirichlet_shares_have_the_moments_of_the_distribution);
    tcase_add_test(t, seed_kind_and_data_change_the_digest);
    tcase_add_test(t, impossible_partitions_are_refused_with_a_sentence);
    tcase_add_test(t, kind_names_parse_back);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
