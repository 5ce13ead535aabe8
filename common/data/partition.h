/* Which examples belong to which client: a pure function of labels, specification and seed.
 *
 * All draws come from the one stream (partition, 0, 0). The rows of a client stand in the order in which they were dealt
 * to it, which is part of the result (and of the digest): training shuffles them from there. */
#ifndef FED_COMMON_DATA_PARTITION_H
#define FED_COMMON_DATA_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum fed_partition_kind {
    FED_PARTITION_NONE,      /* the whole file is one client's */
    FED_PARTITION_IID,       /* shuffled, cut into equal parts (the first n mod K one longer) */
    FED_PARTITION_SHARDS,    /* McMahan et al. 2017, section 3: sort by label (stable), cut into K * s shards (the first
                                n mod K * s one longer), shuffle the shards; client k takes s of them from s * k on */
    FED_PARTITION_DIRICHLET, /* per label, proportions over clients ~ Dir(alpha) (Yurochkin et al. 2019; Hsu et al. 2019);
                                each empty client is then given the last row of the largest (lowest id of equals) */
};

struct fed_partition_spec {
    enum fed_partition_kind kind;
    uint32_t clients;           /* K; not read for none */
    uint32_t shards_per_client; /* shards */
    double alpha;               /* dirichlet */
};

struct fed_partition {
    uint32_t n_clients;
    uint32_t *first;    /* (n_clients + 1): client k owns rows[first[k]] .. rows[first[k + 1] - 1] */
    uint32_t *rows;     /* (n_examples) */
    uint8_t digest[32]; /* BLAKE2b-256 over data digest, le32 n_clients, first, rows (little-endian) */
};

struct fed_dataset;

/* FED_ECONFIG with a sentence: more clients (or shards) than examples, alpha not in [1e-6, 1e6] (below, one client takes
 * a whole label anyhow). FED_ENOMEM. */
int fed_partition_make(struct fed_partition *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                       uint64_t seed, struct fed_error *err) FED_MUST_CHECK;
void fed_partition_fini(struct fed_partition *partition);

/* Rows of client k; *n is its example count n_k >= 1. k < n_clients. */
const uint32_t *fed_partition_shard(const struct fed_partition *partition, uint32_t k, size_t *n);
/* The largest n_k. */
size_t fed_partition_largest(const struct fed_partition *partition);

/* "none", "iid", "shards", "dirichlet". */
const char *fed_partition_kind_name(enum fed_partition_kind kind);
/* FED_ENOTFOUND if name is none of them. */
int fed_partition_kind_parse(enum fed_partition_kind *out, const char *name) FED_MUST_CHECK;

#endif
