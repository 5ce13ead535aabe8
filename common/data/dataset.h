/* Examples in memory: one byte a feature, one byte a label, as the files hold them; float32 only for the batch at hand.
 * Plain files are mapped, so many processes over one file share its pages. */
#ifndef FED_COMMON_DATA_DATASET_H
#define FED_COMMON_DATA_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_dataset {
    size_t n_examples;
    uint32_t n_features;                 /* rows * columns of an image */
    uint32_t n_classes;                  /* largest label + 1 */
    const uint8_t *features;             /* (n_examples, n_features), borrowed from the storage below */
    const uint8_t *labels;               /* (n_examples) */
    uint8_t digest[32];                  /* BLAKE2b-256 over le64 n_examples, le32 n_features, features, labels */
    struct fed_dataset_storage *storage; /* owned */
};

/* Reads an IDX pair (LeCun's format: images u8 of 3 dimensions, labels u8 of 1 dimension), plain or gzip by content.
 * FED_EDATA with a sentence naming the file and what was found: missing, wrong magic, truncated, surplus bytes,
 * counts of images and labels that differ, no examples. */
int fed_dataset_load_idx(struct fed_dataset *out, const char *images, const char *labels,
                         struct fed_error *err) FED_MUST_CHECK;
void fed_dataset_fini(struct fed_dataset *dataset);

/* FED_EDATA unless features and classes fit the model: n_features == inputs, every label < n_classes. Names the first
 * label out of range. */
int fed_dataset_check(const struct fed_dataset *dataset, uint32_t inputs, uint32_t n_classes, const char *path,
                      struct fed_error *err) FED_MUST_CHECK;

/* Copies the rows into x (n, stride) as feature / 255 in float32, and their labels into y (n). */
void fed_dataset_gather(const struct fed_dataset *dataset, const uint32_t *rows, size_t n, float *x, size_t stride,
                        uint32_t *y);

#endif
