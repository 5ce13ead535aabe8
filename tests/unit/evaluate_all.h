/* The whole test set on the calling thread, chunk after chunk: what the evaluator's threads are held against. */
#ifndef FED_TESTS_UNIT_EVALUATE_ALL_H
#define FED_TESTS_UNIT_EVALUATE_ALL_H

#include <stdlib.h>

#include "coordinator/round/evaluate.h"

static inline struct fed_evaluation evaluate_all(struct fed_network *net, const struct fed_model *model, const float *params,
                                                 const struct fed_dataset *test) {
    size_t n_chunks = fed_evaluate_chunks(test);
    struct fed_hits hits = {0};
    double *losses = calloc(n_chunks, sizeof *losses);
    fed_network_load(net, params);
    for (size_t i = 0; losses != NULL && i < n_chunks; i++) {
        fed_evaluate_chunk(&losses[i], &hits, net, test, i);
    }
    struct fed_evaluation all = fed_evaluate_join(losses, hits.n_correct, test, model->n_targets);
    free(losses);
    return all;
}

#endif
