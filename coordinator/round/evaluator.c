#include "coordinator/round/evaluator.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/pool.h"

#define NICENESS 19 /* behind training on the same machine */

struct share {
    struct fed_job job; /* first */
    struct fed_evaluator *evaluator;
    struct fed_network *net; /* owned */
    struct fed_hits hits;    /* out */
};

struct fed_evaluator {
    const struct fed_dataset *test;
    uint32_t n_targets; /* labels of an example; 0: numbers to be met */
    struct fed_pool *pool;
    unsigned threads, n_running;
    struct share *shares;    /* (threads) */
    struct fed_image *image; /* held while running */
    atomic_size_t next;      /* chunk that nobody has taken yet */
    double *losses;          /* (chunks), each written by whoever took the chunk */
};

static void take_chunks(struct fed_job *job) {
    struct share *share = (struct share *)(void *)job;
    struct fed_evaluator *evaluator = share->evaluator;
    size_t n_chunks = fed_evaluate_chunks(evaluator->test);
    fed_pool_step_back(NICENESS);
    fed_network_load(share->net, evaluator->image->params);
    share->hits.n_correct = 0;
    for (size_t i; (i = atomic_fetch_add(&evaluator->next, 1)) < n_chunks;) {
        fed_evaluate_chunk(&evaluator->losses[i], &share->hits, share->net, evaluator->test, i);
    }
}

void fed_evaluator_start(struct fed_evaluator *evaluator, struct fed_image *image) {
    assert(evaluator->n_running == 0);
    evaluator->image = fed_image_hold(image);
    evaluator->n_running = evaluator->threads;
    atomic_store(&evaluator->next, 0);
    for (unsigned i = 0; i < evaluator->threads; i++) {
        fed_pool_submit(evaluator->pool, &evaluator->shares[i].job);
    }
}

int fed_evaluator_fd(const struct fed_evaluator *evaluator) { return fed_pool_fd(evaluator->pool); }

bool fed_evaluator_finished(struct fed_evaluator *evaluator, struct fed_evaluation *out) {
    while (fed_pool_finished(evaluator->pool) != NULL) {
        if (--evaluator->n_running > 0) {
            continue;
        }
        size_t n_correct = 0;
        for (unsigned i = 0; i < evaluator->threads; i++) {
            n_correct += evaluator->shares[i].hits.n_correct;
        }
        fed_image_release(evaluator->image);
        evaluator->image = NULL;
        *out = fed_evaluate_join(evaluator->losses, n_correct, evaluator->test, evaluator->n_targets);
        return true;
    }
    return false;
}

static int make_shares(struct fed_evaluator *evaluator, const struct fed_model *model, const struct fed_kernels *kernels) {
    evaluator->losses = calloc(fed_evaluate_chunks(evaluator->test), sizeof *evaluator->losses);
    evaluator->shares = calloc(evaluator->threads, sizeof *evaluator->shares);
    if (evaluator->losses == NULL || evaluator->shares == NULL) {
        return FED_ENOMEM;
    }
    for (unsigned i = 0; i < evaluator->threads; i++) {
        struct share *share = &evaluator->shares[i];
        share->job.run = take_chunks;
        share->evaluator = evaluator;
        int rc = fed_network_new(&share->net, model, FED_EVALUATE_ROWS, FED_NETWORK_EVALUATE, kernels);
        if (rc != FED_OK) {
            return rc;
        }
    }
    return FED_OK;
}

int fed_evaluator_new(struct fed_evaluator **out, const struct fed_model *model, const struct fed_dataset *test,
                      unsigned threads, const struct fed_kernels *kernels, struct fed_error *err) {
    struct fed_evaluator *evaluator = calloc(1, sizeof *evaluator);
    if (evaluator == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory to evaluate");
    }
    evaluator->test = test;
    evaluator->n_targets = model->spec.loss == FED_MEAN_SQUARED_ERROR ? 0 : model->n_targets;
    evaluator->threads = threads;
    int rc = FED_OK;
    if (make_shares(evaluator, model, kernels) != FED_OK) {
        rc = fed_error_set(err, FED_ENOMEM, "not enough memory to evaluate a model of %zu parameters", model->n_params);
    }
    if (rc == FED_OK) {
        rc = fed_pool_new(&evaluator->pool, "fed-evaluate", threads, err);
    }
    if (rc != FED_OK) {
        fed_evaluator_free(evaluator);
        return rc;
    }
    *out = evaluator;
    return FED_OK;
}

void fed_evaluator_free(struct fed_evaluator *evaluator) {
    if (evaluator == NULL) {
        return;
    }
    atomic_store(&evaluator->next, fed_evaluate_chunks(evaluator->test)); /* nothing is left to take */
    fed_pool_free(evaluator->pool);
    for (unsigned i = 0; evaluator->shares != NULL && i < evaluator->threads; i++) {
        fed_network_free(evaluator->shares[i].net);
    }
    fed_image_release(evaluator->image);
    free(evaluator->shares);
    free(evaluator->losses);
    free(evaluator);
}
