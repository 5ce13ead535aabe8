/* One file in LeCun's IDX format, plain or gzip by content, checked to the byte. Inside common/data only. */
#ifndef FED_COMMON_DATA_IDX_H
#define FED_COMMON_DATA_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* The value is the number of dimensions. */
enum fed_idx_kind { FED_IDX_LABELS = 1, FED_IDX_IMAGES = 3 };

struct fed_idx {
    uint32_t dims[3];    /* count, rows, columns; 1 where there is no such dimension */
    const uint8_t *data; /* (dims[0], dims[1], dims[2]), borrowed from what follows */
    const uint8_t *map;  /* owned, NULL if inflated */
    size_t n_map;
    uint8_t *inflated; /* owned, NULL if mapped */
};

/* FED_EDATA with a sentence: missing, not this kind of file, empty, beyond 16 GiB, truncated, surplus bytes, damaged gzip
 * data. FED_ENOMEM. */
int fed_idx_load(struct fed_idx *out, const char *path, enum fed_idx_kind kind, struct fed_error *err) FED_MUST_CHECK;
void fed_idx_fini(struct fed_idx *idx);

#endif
