/* The chunk is fixed, and each has a sum of its own, so that the order of additions does not depend on who computes what. */
#include "coordinator/round/evaluate.h"

#include <assert.h>
#include <math.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

size_t fed_evaluate_chunks(const struct fed_dataset *test) {
    return (test->n_examples + FED_EVALUATE_CHUNK - 1) / FED_EVALUATE_CHUNK;
}

void fed_evaluate_chunk(double *loss, struct fed_hits *hits, struct fed_network *net, const struct fed_dataset *test,
                        size_t chunk) {
    const struct fed_batch *batch = fed_network_batch(net);
    size_t first = chunk * FED_EVALUATE_CHUNK, end = smaller(first + FED_EVALUATE_CHUNK, test->n_examples);
    assert(first < end);
    *loss = 0;
    for (size_t at = first, n; at < end; at += n) {
        uint32_t rows[FED_EVALUATE_CHUNK];
        n = smaller(batch->max_rows, end - at);
        for (size_t i = 0; i < n; i++) {
            rows[i] = (uint32_t)(at + i);
        }
        fed_dataset_gather(test, rows, n, batch);
        fed_network_evaluate(net, n, loss, hits);
    }
}

struct fed_evaluation fed_evaluate_join(const double *losses, size_t n_correct, const struct fed_dataset *test,
                                        uint32_t n_targets) {
    double loss = 0;
    for (size_t i = 0; i < fed_evaluate_chunks(test); i++) {
        loss += losses[i];
    }
    double n = (double)test->n_examples;
    return (struct fed_evaluation){loss / n, n_targets > 0 ? (double)n_correct / (n * n_targets) : NAN};
}
