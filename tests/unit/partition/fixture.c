#include "tests/unit/partition/fixture.h"

#include <check.h>
#include <stdlib.h>

#include "common/data/dataset.h"
#include "common/data/partition.h"

uint32_t labels[MOST], groups[MOST];
struct fed_error err;

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

struct fed_dataset dataset_of(size_t n, uint32_t n_classes) {
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

void group(struct fed_dataset *d, uint32_t most) {
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

struct fed_partition make(const struct fed_dataset *d, const struct fed_partition_spec *spec, uint64_t seed) {
    struct fed_partition p;
    ck_assert_msg(fed_partition_make(&p, d, spec, seed, &err) == 0, "%s", err.text);
    return p;
}

const uint32_t *rows_of(const struct fed_partition *p, uint32_t k, size_t *n) {
    static uint32_t rows[MOST];
    *n = fed_partition_size(p, k);
    ck_assert(*n >= 1 && *n <= MOST);
    fed_partition_rows(p, k, rows);
    return rows;
}

const double alphas[N_ALPHAS] = {1e-6, 1e-3, 0.1, 0.5, 1, 10, 1e3, 1e6};
