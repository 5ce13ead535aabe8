/* The chunk is fixed, and each has a sum of its own, so that the order of additions does not depend on who computes what. */
#include "coordinator/evaluate.h"

#include <assert.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

size_t fed_evaluate_chunks(const struct fed_dataset *test) {
    return (test->n_examples + FED_EVALUATE_CHUNK - 1) / FED_EVALUATE_CHUNK;
}

void fed_evaluate_chunk(double *loss, size_t *n_correct, struct fed_network *net, const struct fed_dataset *test,
                        size_t chunk) {
    uint32_t rows[FED_EVALUATE_CHUNK], labels[FED_EVALUATE_CHUNK];
    size_t stride, first = chunk * FED_EVALUATE_CHUNK;
    float *x = fed_network_input(net, &stride);
    assert(first < test->n_examples);
    size_t n = smaller(FED_EVALUATE_CHUNK, test->n_examples - first);
    for (size_t i = 0; i < n; i++) {
        rows[i] = (uint32_t)(first + i);
    }
    *loss = 0;
    *n_correct = 0;
    fed_dataset_gather(test, rows, n, x, stride, labels);
    fed_network_evaluate(net, labels, n, loss, n_correct);
}

struct fed_evaluation fed_evaluate_join(const double *losses, size_t n_correct, const struct fed_dataset *test) {
    double loss = 0;
    for (size_t i = 0; i < fed_evaluate_chunks(test); i++) {
        loss += losses[i];
    }
    return (struct fed_evaluation){loss / (double)test->n_examples, (double)n_correct / (double)test->n_examples};
}
