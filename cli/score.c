/* Chunks of the data are taken by whoever is free; the sums of each stand apart and are joined in order, so threads do not
 * show in the result. */
#include "cli/score.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/pool.h"

struct share {
    struct fed_job job; /* first */
    struct work *work;
    struct fed_network *net; /* owned */
    struct fed_hits hits;    /* confusion: owned */
};

struct work {
    const struct fed_model *model;
    const struct fed_dataset *data;
    size_t n_chunks, n_counts; /* n_counts: numbers of a confusion, 0 for none */
    atomic_size_t next;        /* chunk that nobody has taken yet */
    double *losses;            /* (n_chunks) */
    unsigned threads;
    struct share *shares; /* (threads) */
};

static void take_chunks(struct fed_job *job) {
    struct share *share = (struct share *)(void *)job;
    struct work *work = share->work;
    for (size_t i; (i = atomic_fetch_add(&work->next, 1)) < work->n_chunks;) {
        fed_evaluate_chunk(&work->losses[i], &share->hits, share->net, work->data, i);
    }
}

static int make_work(struct work *work, const float *params, const struct fed_kernels *kernels) {
    work->losses = calloc(work->n_chunks, sizeof *work->losses);
    work->shares = calloc(work->threads, sizeof *work->shares);
    if (work->losses == NULL || work->shares == NULL) {
        return FED_ENOMEM;
    }
    for (unsigned i = 0; i < work->threads; i++) {
        struct share *share = &work->shares[i];
        share->job.run = take_chunks;
        share->work = work;
        int code = fed_network_new(&share->net, work->model, FED_EVALUATE_ROWS, FED_NETWORK_EVALUATE, kernels);
        if (code != FED_OK) {
            return code;
        }
        fed_network_load(share->net, params);
        if (work->n_counts > 0 && (share->hits.confusion = calloc(work->n_counts, sizeof(uint64_t))) == NULL) {
            return FED_ENOMEM;
        }
    }
    return FED_OK;
}

static void free_work(struct work *work) {
    for (unsigned i = 0; work->shares != NULL && i < work->threads; i++) {
        fed_network_free(work->shares[i].net);
        free(work->shares[i].hits.confusion);
    }
    free(work->shares);
    free(work->losses);
}

static int run_work(struct work *work, struct fed_working *working, struct fed_error *err) {
    struct fed_pool *pool = NULL;
    int code = fed_pool_new(&pool, "fed-score", work->threads, err);
    if (code != FED_OK) {
        return code;
    }
    for (unsigned i = 0; i < work->threads; i++) {
        fed_pool_submit(pool, &work->shares[i].job);
    }
    fed_working_wait(working, pool, work->threads, &work->next, 0, work->n_chunks);
    fed_pool_free(pool);
    return FED_OK;
}

/* The counts of all threads, into those of the first. */
static void join(struct fed_score *out, struct work *work) {
    struct fed_hits *all = &work->shares[0].hits;
    for (unsigned i = 1; i < work->threads; i++) {
        all->n_correct += work->shares[i].hits.n_correct;
        for (size_t k = 0; k < work->n_counts; k++) {
            all->confusion[k] += work->shares[i].hits.confusion[k];
        }
    }
    uint32_t n_targets = work->model->spec.loss == FED_MEAN_SQUARED_ERROR ? 0 : work->model->n_targets;
    *out = (struct fed_score){
        .evaluation = fed_evaluate_join(work->losses, all->n_correct, work->data, n_targets),
        .n_examples = work->data->n_examples,
        .n_classes = work->n_counts > 0 ? work->model->n_classes : 0,
        .confusion = all->confusion,
    };
    all->confusion = NULL;
}

int fed_score_make(struct fed_score *out, const struct fed_model *model, const float *params, const struct fed_dataset *data,
                   const struct fed_kernels *kernels, unsigned threads, struct fed_working *working, struct fed_error *err) {
    size_t n = model->n_classes <= FED_SCORE_CLASSES ? model->n_classes : 0;
    struct work work = {.model = model,
                        .data = data,
                        .n_chunks = fed_evaluate_chunks(data),
                        .n_counts = n > 0 ? n * (n + 1) : 0,
                        .threads = threads};
    int code = make_work(&work, params, kernels);
    if (code != FED_OK) {
        fed_error_set(err, code, "not enough memory to evaluate a model of %zu parameters", model->n_params);
    } else {
        code = run_work(&work, working, err);
    }
    if (code == FED_OK) {
        join(out, &work);
    }
    free_work(&work);
    return code;
}

void fed_score_fini(struct fed_score *score) {
    free(score->confusion);
    score->confusion = NULL;
}
