/* What the files of the partition share, and nobody else: partition.c (the contract), partition_listed.c and
 * partition_computed.c (the two ways to hold a split). */
#ifndef FED_COMMON_DATA_PARTITION_INTERNAL_H
#define FED_COMMON_DATA_PARTITION_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/data/dataset.h"
#include "common/data/partition.h"

/* Rows in groups: group g has rows[first[g]] .. rows[first[g + 1] - 1]. */
struct fed_row_groups {
    uint32_t n_groups;
    uint32_t *first; /* (n_groups + 1), owned */
    uint32_t *rows;  /* (n_rows), owned */
};

struct fed_partition_storage {
    bool computed;
    struct fed_row_groups of; /* listed: the rows of each client; computed dirichlet: those of each label */
    /* computed: */
    struct fed_partition_spec spec;
    uint64_t seed;
    uint32_t n_examples;
};

/* NULL: no memory, or more than memory can hold. */
uint32_t *fed_partition_items(size_t n);
void fed_partition_count_up(uint32_t *items, size_t n);
/* FED_ENOMEM; what was allocated goes with fed_row_groups_fini. */
int fed_row_groups_init(struct fed_row_groups *groups, uint32_t n_groups, size_t n_rows) FED_MUST_CHECK;
void fed_row_groups_fini(struct fed_row_groups *groups);
/* Row items[i] goes to group keys[i], in the order of i; items NULL: 0, 1, ... */
void fed_row_groups_fill(struct fed_row_groups *groups, const uint32_t *items, const uint32_t *keys, size_t n);
/* The same with the examples' labels as keys: sorted by label, equal labels in the order of the data. */
int fed_row_groups_by_label(struct fed_row_groups *groups, const struct fed_dataset *dataset) FED_MUST_CHECK;

/* The specification has been checked against the dataset; out->n_clients is set. FED_ENOMEM; FED_EDATA: a group of nobody.
 */
int fed_partition_list(struct fed_partition *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                       uint64_t seed, struct fed_error *err) FED_MUST_CHECK;

int fed_partition_prepare(struct fed_partition *out, const struct fed_dataset *dataset,
                          const struct fed_partition_spec *spec, uint64_t seed) FED_MUST_CHECK;
void fed_partition_compute(const struct fed_partition_storage *storage, uint32_t k, uint32_t *rows);

#endif
