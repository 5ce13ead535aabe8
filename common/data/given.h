/* Examples that the program hands over instead of naming files: arrays in its memory, or labels and a function that reads
 * features when a batch wants them. They stand for the .npy files of the same arrays: same digest, same split, same bits. */
#ifndef FED_COMMON_DATA_GIVEN_H
#define FED_COMMON_DATA_GIVEN_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum fed_given_type { FED_GIVEN_U8, FED_GIVEN_I32, FED_GIVEN_U32, FED_GIVEN_I64, FED_GIVEN_F32 };

struct fed_given {
    const char *name; /* for sentences, borrowed like all that follows */
    size_t n_examples;
    uint32_t n_features, n_labels;             /* of an example */
    enum fed_given_type feature_type;          /* u8 (divided by 255) or f32 */
    enum fed_given_type label_type;            /* f32: numbers to be met; any other: classes from 0 to 65535 */
    const void *features;                      /* (n_examples, n_features); NULL: they are read */
    const void *labels;                        /* (n_examples, n_labels) */
    int (*read)(void *context, void *features, /* (n, n_features), of feature_type */
                const uint32_t *examples,      /* (n) */
                size_t n);                     /* >= 1. Any thread, several at once; 0, or what is given up for */
    void *context;
};

struct fed_dataset;

/* Everything is looked at once. FED_EDATA names the example and what is allowed. FED_ENOMEM. */
int fed_dataset_from_given(struct fed_dataset *out, const struct fed_given *given, struct fed_error *err) FED_MUST_CHECK;

#endif
