/* Which examples belong to which client: a pure function of labels, groups, specification and seed.
 *
 * Two ways to hold a split. Listed: every example belongs to one client, and an index of all examples stands in memory (4
 * bytes an example, 4 a client). Computed, with examples_per_client: the examples are a population to draw from again and
 * again, each client's shard is computed from its own stream when it is wanted, and a client that is not picked costs
 * nothing; so a million clients can live on one file.
 *
 * Draws of a listed split come from the one stream (partition, 0, 0), those of a computed shard from (partition, client + 1,
 * 0). The rows of a client stand in the order in which they were dealt to it, which is part of the result: training shuffles
 * them from there.
 *
 * K clients, n examples, N examples_per_client; "cut by sums s_0 .. s_(K-1)": client i gets the items from
 * floor(s_(i-1) / s_(K-1) * n) to floor(s_i / s_(K-1) * n), in double, with s_(-1) = 0.
 *
 *   iid        Rows shuffled, cut into K equal parts (the first n mod K one longer).
 *   iid, N     Without repetition, N <= n: row i is P(i), where P permutes the numbers of 2 h bits, h the least from 1 on
 *              with 4^h >= n, and is applied again while its result is n or more. P is a Feistel network of 8 rounds,
 *              (l, r) <- (r, l ^ (mix(r + key) mod 2^h)), with mix the 32-bit finalizer of MurmurHash3 and the stream's
 *              first 8 words as keys; l are the high bits of what goes in, and of what comes out.
 *   shards     Rows sorted by label (stable), cut into K * s shards (the first n mod K * s one longer), shards shuffled;
 *              client k takes s of them from s * k on (McMahan et al. 2017, section 3).
 *   dirichlet  For each label in turn, its rows shuffled, weights ~ Gamma(alpha) drawn for clients 0, 1, ..., and the rows
 *              cut by the weights' running sums (Yurochkin et al. 2019). Then each empty client in turn is given the last
 *              row of the largest (lowest id of equals).
 *   dirichlet, N  Weights ~ Gamma(alpha * n_c / n) drawn for the labels c that have examples, n_c of them, in ascending
 *              order: proportions over labels ~ Dir(alpha * those of the data) (Hsu et al. 2019). Then N times: the next
 *              larger of N ordered uniform numbers, u_i = 1 - U_1^(1/N) U_2^(1/(N-1)) .. U_i^(1/(N-i+1)), picks the label
 *              into whose part of the running sums it falls, and a draw below n_c one of its rows, with repetition.
 *   quantity   Sizes are n cut by the running sums of (i + 1)^-alpha; each empty one in turn takes 1 from the largest (first
 *              of equals). Rows shuffled, then sizes shuffled; clients take their sizes in turn.
 *   natural    One client for each group that the data names, in the order in which groups begin, rows in their order. */
#ifndef FED_COMMON_DATA_PARTITION_H
#define FED_COMMON_DATA_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum fed_partition_kind {
    FED_PARTITION_NONE, /* the whole file is one client's */
    FED_PARTITION_IID,
    FED_PARTITION_SHARDS,
    FED_PARTITION_DIRICHLET,
    FED_PARTITION_QUANTITY,
    FED_PARTITION_NATURAL,
};

struct fed_partition_spec {
    enum fed_partition_kind kind;
    uint32_t clients;             /* K; not read for none; natural: 0, or the number of groups */
    uint32_t shards_per_client;   /* shards */
    double alpha;                 /* dirichlet, quantity */
    uint32_t examples_per_client; /* iid, dirichlet: N, n_k of a computed split; 0: listed, and with all other kinds */
};

struct fed_partition {
    uint32_t n_clients;
    uint8_t digest[32]; /* listed: BLAKE2b-256 over data digest, le32 n_clients, first, rows (little-endian); computed: over
                           data digest, le32 0, kind, K, N, double alpha (0 for iid), le64 seed, and the rows of client 0, so
                           that a build that computes otherwise is found out */
    struct fed_partition_storage *storage; /* owned */
};

struct fed_dataset;

/* FED_ECONFIG with a sentence: more clients (or shards) than examples, alpha not in [1e-6, 1e6] (below, one client takes
 * a whole label anyhow), groups or labels wanted of data that has none. FED_EDATA: a group without an example. FED_ENOMEM.
 * Nothing of the dataset is borrowed afterwards. */
int fed_partition_make(struct fed_partition *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                       uint64_t seed, struct fed_error *err) FED_MUST_CHECK;
void fed_partition_fini(struct fed_partition *partition);
/* How many clients the split would have, without making it; refuses what fed_partition_make refuses as FED_ECONFIG. */
int fed_partition_clients(uint32_t *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                          struct fed_error *err) FED_MUST_CHECK;

bool fed_partition_computed(const struct fed_partition *partition);

/* n_k >= 1 of client k < n_clients. */
size_t fed_partition_size(const struct fed_partition *partition, uint32_t k);
/* Writes the rows of client k: fed_partition_size of them. Safe from several threads at once. */
void fed_partition_rows(const struct fed_partition *partition, uint32_t k, uint32_t *rows);
/* The largest and the smallest n_k. */
size_t fed_partition_largest(const struct fed_partition *partition);
size_t fed_partition_smallest(const struct fed_partition *partition);

/* Which numbers of a specification go with which kind: alpha; examples_per_client. */
bool fed_partition_takes_alpha(enum fed_partition_kind kind);
bool fed_partition_can_compute(enum fed_partition_kind kind);

/* "none", "iid", "shards", "dirichlet", "quantity", "natural". */
const char *fed_partition_kind_name(enum fed_partition_kind kind);
/* FED_ENOTFOUND if name is none of them. */
int fed_partition_kind_parse(enum fed_partition_kind *out, const char *name) FED_MUST_CHECK;

#endif
