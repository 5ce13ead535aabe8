/* A batch as a network wants it: the network owns the arrays, a dataset fills them. */
#ifndef FED_COMMON_MODEL_BATCH_H
#define FED_COMMON_MODEL_BATCH_H

#include <stddef.h>
#include <stdint.h>

struct fed_batch {
    size_t max_rows;
    float *features; /* (max_rows, stride), 64-byte aligned, zeros beyond n_features; NULL where the model reads symbols */
    size_t stride, n_features;
    uint32_t *symbols; /* (max_rows, n_symbols): of a text, in the order of its characters; NULL where it reads numbers */
    size_t n_symbols;  /* steps */
    uint32_t *labels;  /* (max_rows, n_targets): classes; NULL for mean squared error */
    float *targets;    /* (max_rows, n_targets): numbers; NULL otherwise */
    size_t n_targets;
};

#endif
