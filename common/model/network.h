/* A model ready to compute: weights in kernel layout and the scratch of one batch. One network serves one thread.
 * Nothing is allocated after fed_network_new. */
#ifndef FED_COMMON_MODEL_NETWORK_H
#define FED_COMMON_MODEL_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "common/model/model.h"
#include "common/numeric/kernels.h"

struct fed_network;

/* max_batch: the most rows of one step. FED_ENOMEM. */
int fed_network_new(struct fed_network **out, const struct fed_model *model, size_t max_batch,
                    const struct fed_kernels *kernels) FED_MUST_CHECK;
void fed_network_free(struct fed_network *net);

/* Canonical block -> panels, and back: pure permutations, so load followed by store gives the same bits. */
void fed_network_load(struct fed_network *net, const float *params);
void fed_network_store(const struct fed_network *net, float *params);

/* Where to put the next batch: row-major (max_batch, stride), stride >= inputs; columns beyond inputs must stay zero. */
float *fed_network_input(struct fed_network *net, size_t *stride);

/* One step of SGD on the mean softmax cross-entropy of the rows in the input buffer (1 <= rows <= max_batch):
 * forward, backward, update folded into the weights. Returns the summed loss before the update. labels < n_classes. */
double fed_network_step(struct fed_network *net, const uint32_t *labels, size_t rows, float learning_rate);

/* Forward only: adds the summed loss and counts rows whose largest logit (first of equals) is the label. */
void fed_network_evaluate(struct fed_network *net, const uint32_t *labels, size_t rows, double *loss_sum, size_t *n_correct);

/* Logits of the rows in the input buffer: (rows, *stride), owned by the network until its next call. */
const float *fed_network_logits(struct fed_network *net, size_t rows, size_t *stride);

#endif
