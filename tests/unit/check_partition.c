/* Partitions: known answers from an independent implementation (tests/vectors/partition.py), then what must hold for
 * every one of them. The data is a fake of a few arrays: the functions of dataset.h that partitions use stand below. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/seal/digest.h"

enum { MOST = 70000 };

static uint32_t labels[MOST], groups[MOST];
static struct fed_error err;

uint32_t fed_dataset_label(const struct fed_dataset *dataset, size_t example) {
    ck_assert_uint_lt(example, dataset->n_examples);
    return labels[example];
}
uint32_t fed_dataset_labels(const struct fed_dataset *dataset) { return dataset->n_classes; }
uint32_t fed_dataset_group(const struct fed_dataset *dataset, size_t example) {
    ck_assert_uint_lt(example, dataset->n_examples);
    return groups[example];
}
const char *fed_dataset_group_name(const struct fed_dataset *dataset, uint32_t group) {
    ck_assert_uint_lt(group, dataset->n_groups);
    return "Ward";
}

/* Labels by the same rule as the vectors' script; the digest is 0, 1, 2, ... 31. */
static struct fed_dataset dataset_of(size_t n, uint32_t n_classes) {
    struct fed_dataset d = {.n_examples = n, .n_features = 1, .n_classes = n_classes};
    ck_assert_uint_le(n, MOST);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (uint32_t)((i * i * 7 + i / 13) % n_classes);
    }
    for (int i = 0; i < 32; i++) {
        d.digest[i] = (uint8_t)i;
    }
    return d;
}

/* Groups by the script's rule, numbered in the order in which they begin. */
static void group(struct fed_dataset *d, uint32_t most) {
    uint32_t *number = calloc(most, sizeof *number);
    ck_assert_ptr_nonnull(number);
    d->n_groups = 0;
    for (size_t i = 0; i < d->n_examples; i++) {
        uint32_t *name = &number[(i * i * 5 + i / 17) % most];
        *name = *name != 0 ? *name : ++d->n_groups;
        groups[i] = *name - 1;
    }
    free(number);
}

static struct fed_partition make(const struct fed_dataset *d, const struct fed_partition_spec *spec, uint64_t seed) {
    struct fed_partition p;
    ck_assert_msg(fed_partition_make(&p, d, spec, seed, &err) == 0, "%s", err.text);
    return p;
}

/* The rows of client k, of which there are *n; until the next call. */
static const uint32_t *rows_of(const struct fed_partition *p, uint32_t k, size_t *n) {
    static uint32_t rows[MOST];
    *n = fed_partition_size(p, k);
    ck_assert(*n >= 1 && *n <= MOST);
    fed_partition_rows(p, k, rows);
    return rows;
}

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
    for (size_t a = 0; a < sizeof alphas / sizeof *alphas; a++) {
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

/* -- computed ---------------------------------------------------------------------------------------------------------- */

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

/* -- refusals ---------------------------------------------------------------------------------------------------------- */

#define NONE FED_PARTITION_NONE
#define IID FED_PARTITION_IID
#define SHARDS FED_PARTITION_SHARDS
#define DIRICHLET FED_PARTITION_DIRICHLET
#define QUANTITY FED_PARTITION_QUANTITY
#define NATURAL FED_PARTITION_NATURAL

START_TEST(impossible_partitions_are_refused_with_a_sentence) {
    static const struct {
        struct fed_partition_spec spec;
        const char *sentence;
    } wrong[] = {
        {{IID, 61, 0, 0, 0},
         "data.partition.clients: 61 found, 1 to 60 is allowed: every client needs an example of its own, unless "
         "examples_per_client is given"},
        {{IID, 0, 0, 0, 0}, "data.partition.clients: 0 found"},
        {{SHARDS, 61, 1, 0, 0}, "data.partition.clients: 61 found, 1 to 60 is allowed: every client needs an example"},
        {{SHARDS, 31, 2, 0, 0}, "data.partition.shards_per_client: 2 found, which for 31 clients makes 62 shards;"},
        {{SHARDS, 30, 0, 0, 0}, "data.partition.shards_per_client: 0 found"},
        {{SHARDS, 32, 1u << 27, 0, 0}, "data.partition.shards_per_client: 134217728 found, which for 32 clients"},
        {{DIRICHLET, 61, 0, 1, 0}, "data.partition.clients: 61 found"},
        {{DIRICHLET, 6, 0, 0, 0}, "data.partition.alpha: 0 found, 1e-06 to 1e+06 is allowed"},
        {{DIRICHLET, 6, 0, -1, 0}, "data.partition.alpha: -1 found"},
        {{DIRICHLET, 6, 0, 1.1e6, 0}, "data.partition.alpha: 1.1e+06 found"},
        {{DIRICHLET, 6, 0, NAN, 0}, "data.partition.alpha: nan found"},
        {{DIRICHLET, 6, 0, INFINITY, 10}, "data.partition.alpha: inf found"},
        {{QUANTITY, 61, 0, 1, 0}, "data.partition.clients: 61 found, 1 to 60 is allowed: every client needs an example"},
        {{QUANTITY, 6, 0, 9e-7, 0}, "data.partition.alpha: 9e-07 found"},
        {{NATURAL, 0, 0, 0, 0},
         "data.partition.kind: natural makes one client of each group, but the data names no groups; it needs data.group "
         "(csv) or format: roles"},
        {{IID, 0, 0, 0, 5}, "data.partition.clients: 0 found, 1 to 4294967295 is allowed"},
        {{IID, 1000, 0, 0, 61}, "data.partition.examples_per_client: 61 found, 1 to 60, the number of examples, is allowed"},
        {{DIRICHLET, 1000, 0, 1, 1u << 31},
         "data.partition.examples_per_client: 2147483648 found, 1 to 2147483647 is allowed"},
    };
    struct fed_dataset d = dataset_of(60, 10);
    struct fed_partition p = {.n_clients = 77};
    uint32_t clients = 78;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(fed_partition_make(&p, &d, &wrong[i].spec, 1, &err), FED_ECONFIG);
        ck_assert_msg(strstr(err.text, wrong[i].sentence) == err.text, "%s", err.text);
        ck_assert_int_eq(fed_partition_clients(&clients, &d, &wrong[i].spec, &err), FED_ECONFIG);
        ck_assert_uint_eq(p.n_clients, 77);
        ck_assert_uint_eq(clients, 78);
    }
    d.n_examples = 0;
    ck_assert_int_eq(fed_partition_make(&p, &d, &(struct fed_partition_spec){.kind = NONE}, 1, &err), FED_ECONFIG);
}
END_TEST

START_TEST(natural_with_another_number_of_clients_names_both) {
    struct fed_dataset d = dataset_of(600, 10);
    struct fed_partition p;
    group(&d, 25);
    struct fed_partition_spec spec = {.kind = NATURAL, .clients = 100};
    char sentence[200];
    snprintf(sentence, sizeof sentence,
             "data.partition.clients: 100 found, but the data has %u groups, and natural makes one client of each; leave "
             "clients out, or say %u",
             d.n_groups, d.n_groups);
    ck_assert_int_eq(fed_partition_make(&p, &d, &spec, 1, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, sentence);
}
END_TEST

START_TEST(kinds_that_go_by_labels_are_refused_where_there_are_none) {
    static const struct fed_partition_spec specs[] = {
        {SHARDS, 3, 2, 0, 0}, {DIRICHLET, 3, 0, 1, 0}, {DIRICHLET, 3, 0, 1, 5}};
    struct fed_dataset d = dataset_of(60, 1);
    struct fed_partition p;
    d.n_classes = 0;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fed_partition_make(&p, &d, &specs[i], 1, &err), FED_ECONFIG);
        ck_assert_ptr_nonnull(strstr(err.text, "goes by labels, words or whole numbers from 0 on, one an example, which "
                                               "this data does not have; iid, quantity or natural"));
    }
}
END_TEST

START_TEST(kind_names_parse_back) {
    enum fed_partition_kind kind;
    for (int i = FED_PARTITION_NONE; i <= FED_PARTITION_NATURAL; i++) {
        ck_assert_int_eq(fed_partition_kind_parse(&kind, fed_partition_kind_name((enum fed_partition_kind)i)), 0);
        ck_assert_int_eq((int)kind, i);
    }
    ck_assert_int_eq(fed_partition_kind_parse(&kind, "unnatural"), FED_ENOTFOUND);
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
    tcase_add_test(t, quantity_ends_and_gives_everybody_one_from_one_extreme_to_the_other);
    tcase_add_test(t, quantity_is_a_power_law_whose_places_are_drawn);
    tcase_add_test(t, natural_clients_are_the_groups_in_the_order_in_which_they_begin);
    tcase_add_test(t, a_group_without_examples_is_refused_by_name);
    tcase_add_test(t, computed_iid_clients_hold_no_example_twice);
    tcase_add_test(t, computed_iid_clients_are_spread_evenly_and_independent);
    tcase_add_test(t, computed_dirichlet_has_the_moments_of_the_distribution);
    tcase_add_test(t, shards_may_be_asked_for_from_several_threads_and_in_any_order);
    tcase_add_test(t, every_number_of_a_computed_split_is_in_its_digest);
    tcase_add_test(t, seed_kind_and_data_change_the_digest);
    tcase_add_test(t, impossible_partitions_are_refused_with_a_sentence);
    tcase_add_test(t, natural_with_another_number_of_clients_names_both);
    tcase_add_test(t, kinds_that_go_by_labels_are_refused_where_there_are_none);
    tcase_add_test(t, kind_names_parse_back);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
