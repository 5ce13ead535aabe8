/* The trainer owns what one training thread needs: a network and the order of the shard. */
#include "client/local_sgd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"

struct fed_trainer {
    struct fed_network *net; /* owned */
    uint32_t *order;         /* owned: (largest_shard) rows of the dataset in the order of this epoch */
    size_t n_params, max_rows, largest_shard;
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

size_t fed_local_sgd_rows(uint32_t batch_size, size_t largest_shard) {
    return batch_size == 0 ? largest_shard : smaller(batch_size, largest_shard);
}

int fed_trainer_new(struct fed_trainer **out, const struct fed_model *model, const struct fed_kernels *kernels,
                    size_t max_rows, size_t largest_shard, bool momentum) {
    assert(max_rows > 0 && largest_shard > 0);
    int status = FED_ENOMEM;
    struct fed_trainer *trainer = calloc(1, sizeof *trainer);
    if (trainer == NULL) {
        return FED_ENOMEM;
    }
    trainer->n_params = model->n_params;
    trainer->max_rows = max_rows;
    trainer->largest_shard = largest_shard;
    trainer->order = calloc(largest_shard, sizeof *trainer->order);
    if (trainer->order == NULL) {
        goto out;
    }
    status = fed_network_new(&trainer->net, model, max_rows, momentum ? FED_NETWORK_MOMENTUM : FED_NETWORK_TRAIN, kernels);
    if (status == FED_OK) {
        *out = trainer;
        trainer = NULL;
    }
out:
    fed_trainer_free(trainer);
    return status;
}

void fed_trainer_free(struct fed_trainer *trainer) {
    if (trainer != NULL) {
        fed_network_free(trainer->net);
        free(trainer->order);
        free(trainer);
    }
}

static bool cancelled(const atomic_bool *cancel) {
    return cancel != NULL && atomic_load_explicit(cancel, memory_order_relaxed);
}

/* One pass over the shard in the order that stands in the trainer; the short last batch is kept. */
static int train_epoch(struct fed_trainer *trainer, struct fed_sgd_report *report, const struct fed_dataset *dataset,
                       size_t n_shard, size_t batch, const struct fed_sgd *sgd, const atomic_bool *cancel) {
    for (size_t first = 0; first < n_shard; first += batch) {
        if (cancelled(cancel)) {
            return FED_EINTERRUPTED;
        }
        size_t rows = smaller(batch, n_shard - first);
        int status = fed_dataset_fetch(dataset, trainer->order + first, rows, fed_network_batch(trainer->net));
        if (status != FED_OK) {
            return status;
        }
        report->mean_loss += fed_network_step(trainer->net, rows, sgd);
        report->n_steps++;
    }
    return FED_OK;
}

int fed_local_sgd(struct fed_trainer *trainer, float *delta, struct fed_sgd_report *report, const float *params,
                  const struct fed_dataset *dataset, const uint32_t *shard, size_t n_shard,
                  const struct fed_sgd_terms *terms, const atomic_bool *cancel) {
    assert(n_shard > 0 && n_shard <= trainer->largest_shard && terms->epochs > 0);
    size_t batch = fed_local_sgd_rows(terms->batch_size, n_shard);
    assert(batch <= trainer->max_rows);
    struct fed_sgd_report done = {.n_examples = n_shard};
    struct fed_rng rng;
    fed_rng_init(&rng, terms->seed, FED_RNG_TRAIN, terms->round, terms->client);
    fed_network_load(trainer->net, params);
    for (uint32_t epoch = 0; epoch < terms->epochs; epoch++) {
        memcpy(trainer->order, shard, n_shard * sizeof *shard);
        fed_rng_shuffle(&rng, trainer->order, n_shard);
        int status = train_epoch(trainer, &done, dataset, n_shard, batch, &terms->sgd, cancel);
        if (status != FED_OK) {
            return status;
        }
    }
    fed_network_store(trainer->net, delta);
    for (size_t i = 0; i < trainer->n_params; i++) {
        delta[i] -= params[i];
    }
    done.mean_loss /= (double)n_shard * terms->epochs;
    *report = done;
    return FED_OK;
}
