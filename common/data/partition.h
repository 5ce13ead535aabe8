/* Which examples belong to which client: a pure function of labels, groups, specification and seed.
 *
 * Two ways to hold a split. Listed: every example belongs to one client, and an index of all examples stands in memory (4
 * bytes an example, 4 a client). Computed, with examples_per_client: the examples are a population to draw from again and
 * again, each client's shard is computed from its own stream when it is wanted, and a client that is not picked costs
 * nothing; so a million clients can live on one file.
 *
 * Draws of a listed split come from the one stream (partition, 0, 0), those of a computed shard from (partition, client + 1,
 * 0). The rows of a client stand in the order in which they were dealt to it, which is part of the result: training shuffles
 * them from there. */
#ifndef FED_COMMON_DATA_PARTITION_H
#define FED_COMMON_DATA_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum fed_partition_kind {
    FED_PARTITION_NONE,      /* the whole file is one client's */
    FED_PARTITION_IID,       /* shuffled, cut into equal parts (the first n mod K one longer); computed: drawn without
                                repetition from all examples */
    FED_PARTITION_SHARDS,    /* McMahan et al. 2017, section 3: sort by label (stable), cut into K * s shards (the first
                                n mod K * s one longer), shuffle the shards; client k takes s of them from s * k on */
    FED_PARTITION_DIRICHLET, /* per label, proportions over clients ~ Dir(alpha) (Yurochkin et al. 2019); each empty client
                                is then given the last row of the largest (lowest id of equals). Computed: per client,
                                proportions over labels ~ Dir(alpha * those of the data) (Hsu et al. 2019) */
    FED_PARTITION_QUANTITY,  /* shuffled, cut into sizes that follow a power law: client k's share before its place is
                                shuffled is proportional to (k + 1)^-alpha, at least one example */
    FED_PARTITION_NATURAL,   /* one client for each group that the data names, in the order in which groups begin */
};

struct fed_partition_spec {
    enum fed_partition_kind kind;
    uint32_t clients;             /* K; not read for none; natural: 0, or the number of groups */
    uint32_t shards_per_client;   /* shards */
    double alpha;                 /* dirichlet, quantity */
    uint32_t examples_per_client; /* iid, dirichlet: n_k of a computed split; 0: listed */
};

struct fed_partition {
    uint32_t n_clients;
    uint8_t digest[32]; /* listed: BLAKE2b-256 over data digest, le32 n_clients, first, rows (little-endian); computed: over
                           data digest, seed and specification */
    struct fed_partition_storage *storage; /* owned */
};

struct fed_dataset;

/* FED_ECONFIG with a sentence: more clients (or shards) than examples, alpha not in [1e-6, 1e6] (below, one client takes
 * a whole label anyhow), groups wanted of data that names none. FED_ENOMEM. Nothing of the dataset is borrowed afterwards.
 */
int fed_partition_make(struct fed_partition *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                       uint64_t seed, struct fed_error *err) FED_MUST_CHECK;
void fed_partition_fini(struct fed_partition *partition);

/* n_k >= 1 of client k < n_clients. */
size_t fed_partition_size(const struct fed_partition *partition, uint32_t k);
/* Writes the rows of client k: fed_partition_size of them. Safe from several threads at once. */
void fed_partition_rows(const struct fed_partition *partition, uint32_t k, uint32_t *rows);
/* The largest and the smallest n_k. */
size_t fed_partition_largest(const struct fed_partition *partition);
size_t fed_partition_smallest(const struct fed_partition *partition);

/* "none", "iid", "shards", "dirichlet", "quantity", "natural". */
const char *fed_partition_kind_name(enum fed_partition_kind kind);
/* FED_ENOTFOUND if name is none of them. */
int fed_partition_kind_parse(enum fed_partition_kind *out, const char *name) FED_MUST_CHECK;

#endif
