/* ClientUpdate of McMahan et al. 2017, algorithm 1: E epochs of minibatch SGD over one shard. Pure: no socket, no clock,
 * no file. The result is a function of parameters, shard and terms, bit for bit. */
#ifndef FED_CLIENT_LOCAL_SGD_H
#define FED_CLIENT_LOCAL_SGD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/data/dataset.h"
#include "common/model/network.h"

struct fed_sgd_terms {
    uint64_t seed, round, client; /* select the training stream: a fresh shuffle for each epoch */
    uint32_t epochs;              /* E */
    uint32_t batch_size;          /* B; 0 = the whole shard in one batch */
    struct fed_sgd sgd;           /* with the learning rate of this round; momentum starts anew */
};

struct fed_sgd_report {
    uint64_t n_examples; /* n_k */
    uint64_t n_steps;
    double mean_loss; /* over all batches of all epochs, each example weighted equally */
};

/* The most rows of one step that a network needs for these terms and shards of up to largest_shard examples. */
size_t fed_local_sgd_rows(uint32_t batch_size, size_t largest_shard);

/* What one training thread needs: a network and the order of the shard. Nothing is allocated while it trains. */
struct fed_trainer;
/* momentum: there is some in the terms to come. FED_ENOMEM. */
int fed_trainer_new(struct fed_trainer **out, const struct fed_model *model, const struct fed_kernels *kernels,
                    size_t max_rows, size_t largest_shard, bool momentum) FED_MUST_CHECK;
void fed_trainer_free(struct fed_trainer *trainer);

/* Trains from params (n_params) and writes delta[i] = fl32(w_k[i] - params[i]). FED_EINTERRUPTED if *cancel turned true,
 * FED_EDATA where examples could not be had (delta is then unspecified); cancel may be NULL. */
int fed_local_sgd(struct fed_trainer *trainer, float *delta, struct fed_sgd_report *report, const float *params,
                  const struct fed_dataset *dataset, const uint32_t *shard, size_t n_shard,
                  const struct fed_sgd_terms *terms, const atomic_bool *cancel) FED_MUST_CHECK;

#endif
