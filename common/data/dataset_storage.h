/* What stands behind a dataset: arrays that readers own, and how they are to be read. Inside common/data only. */
#ifndef FED_COMMON_DATA_DATASET_STORAGE_H
#define FED_COMMON_DATA_DATASET_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/data/dataset.h"
#include "common/data/given.h"
#include "common/data/idx.h"
#include "common/data/npy.h"
#include "common/data/table.h"
#include "common/data/text.h"

#define FED_NO_SYMBOL 0xff

struct fed_dataset_storage {
    /* The readers' own; at most one kind is there. */
    struct fed_idx idx_images, idx_labels;
    struct fed_npy npy_features, npy_labels;
    struct fed_table table;
    struct fed_text text;
    struct fed_given given; /* read != NULL: features come from there */

    const char *path, *label_path; /* borrowed from the source */

    /* Features, (n_examples, n_features): one of the two, or windows of the text, or neither where they are read. */
    const uint8_t *bytes;
    const float *floats;

    /* Labels, (n_examples, n_labels): classes as little-endian numbers of label_bytes bytes, all below 65536 (of a table the
     * numbers of its words), or NULL; numbers to be met, or NULL. */
    const uint8_t *labels;
    size_t label_bytes;
    const float *numbers;
    uint32_t n_labels;

    uint32_t *sorted;  /* owned: (words) a table's words as fed_dataset_label counts them; NULL: labels are that already */
    uint32_t *classes; /* owned: (words) a table's words as classes of the model, set by fit; NULL: as above */
    uint8_t symbols[256]; /* of each byte, set by fit; FED_NO_SYMBOL if it has none */
};

/* The label as it is stored: a class, or the number of a word. */
static inline uint32_t fed_dataset_stored(const struct fed_dataset_storage *s, size_t i) {
    const uint8_t *label = s->labels + i * s->label_bytes;
    return s->label_bytes == 1 ? label[0] : (uint32_t)label[0] | (uint32_t)label[1] << 8;
}

/* The arrays in npy_features (or, where features are read, its shape and type) and npy_labels become the dataset's.
 * FED_EDATA: they do not belong together. */
int fed_dataset_take_arrays(struct fed_dataset *d, struct fed_error *err) FED_MUST_CHECK;
/* Reads all features once, into the digest. FED_EDATA, FED_ENOMEM. */
struct fed_digest_state;
int fed_given_digest(struct fed_digest_state *state, const struct fed_given *given, struct fed_error *err) FED_MUST_CHECK;

/* Pixels as float32: divided by 255. */
void fed_dataset_scale(float *to, const uint8_t *from, size_t n);

#endif
