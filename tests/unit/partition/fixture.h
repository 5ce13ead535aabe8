/* The data is a fake of a few arrays: the functions of dataset.h that partitions use stand in fixture.c. */
#ifndef FED_TESTS_UNIT_PARTITION_FIXTURE_H
#define FED_TESTS_UNIT_PARTITION_FIXTURE_H

#include <check.h>

#include "common/data/dataset.h"
#include "common/data/partition.h"

enum { MOST = 70000 };

extern uint32_t labels[MOST], groups[MOST];
extern struct fed_error err;

/* Labels by the same rule as the vectors' script; the digest is 0, 1, 2, ... 31. */
struct fed_dataset dataset_of(size_t n, uint32_t n_classes);

/* Groups by the script's rule, numbered in the order in which they begin. */
void group(struct fed_dataset *d, uint32_t most);
struct fed_partition make(const struct fed_dataset *d, const struct fed_partition_spec *spec, uint64_t seed);

/* The rows of client k, of which there are *n; until the next call. */
const uint32_t *rows_of(const struct fed_partition *p, uint32_t k, size_t *n);
/* From one extreme to the other. */
enum { N_ALPHAS = 8 };
extern const double alphas[N_ALPHAS];

/* The cases of the room, a file each. */
TCase *kinds_cases(void);
TCase *computed_cases(void);
TCase *refusals_cases(void);

#endif
