/* A model ready to compute: weights in kernel layout and the scratch of one batch. One network serves one thread.
 * Nothing is allocated after fed_network_new. */
#ifndef FED_COMMON_MODEL_NETWORK_H
#define FED_COMMON_MODEL_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/batch.h"
#include "common/model/model.h"
#include "common/numeric/kernels.h"

struct fed_network;

enum fed_network_use {
    FED_NETWORK_EVALUATE, /* forward only: no gradients are kept, which takes less memory */
    FED_NETWORK_TRAIN,    /* without momentum */
    FED_NETWORK_MOMENTUM, /* with momentum, which takes one more block of parameters */
};

/* Stochastic gradient descent as PyTorch's SGD has it: g = gradient + weight_decay * w; v = momentum * v + g; w -= rate * v.
 * v starts at zero with each fed_network_load. */
struct fed_sgd {
    float learning_rate, momentum, weight_decay;
};

/* Bytes that a network takes; SIZE_MAX beyond all memory. */
size_t fed_network_bytes(const struct fed_model *model, size_t max_batch, enum fed_network_use use);
/* max_batch: the most rows of one step. FED_ENOMEM. */
int fed_network_new(struct fed_network **out, const struct fed_model *model, size_t max_batch, enum fed_network_use use,
                    const struct fed_kernels *kernels) FED_MUST_CHECK;
void fed_network_free(struct fed_network *net);

/* Canonical block -> kernel layout, and back: pure permutations, so load followed by store gives the same bits. */
void fed_network_load(struct fed_network *net, const float *params);
void fed_network_store(const struct fed_network *net, float *params);

/* Where to put the next batch. */
const struct fed_batch *fed_network_batch(struct fed_network *net);

/* One step of SGD on the mean loss of the first rows of the batch (1 <= rows <= max_batch; over rows, steps, and units of a
 * mean squared error): forward, backward, update. Returns the summed loss before the update: the sum over rows of each
 * row's loss, which is the mean over its steps or units. Labels < n_classes, symbols < n_symbols. */
double fed_network_step(struct fed_network *net, size_t rows, const struct fed_sgd *sgd);

/* What was taken for labels: the class of the largest logit (first of equals), or the sign of a binary logit (> 0: class 1).
 * Nothing is counted for mean squared error. */
struct fed_hits {
    size_t n_correct;    /* labels that were hit */
    uint64_t *confusion; /* NULL, or (n_classes, n_classes + 1), borrowed: labels by the class that was taken for them; the
                            last column where no output was a number */
};

/* Forward only: adds the summed loss, and counts. */
void fed_network_evaluate(struct fed_network *net, size_t rows, double *loss_sum, struct fed_hits *hits);

/* Outputs of the first rows of the batch, before the loss: row b of step t at [(t * max_batch + b) * *stride], owned by the
 * network until its next call. */
const float *fed_network_outputs(struct fed_network *net, size_t rows, size_t *stride);

#endif
