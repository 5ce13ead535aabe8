/* The chunk is fixed so that the order of additions is, whatever batch the network was made for. */
#include "coordinator/evaluate.h"

#include <assert.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

int fed_evaluate(struct fed_evaluation *out, struct fed_network *net, const float *params, const struct fed_dataset *test,
                 const atomic_bool *cancel) {
    assert(test->n_examples > 0);
    uint32_t rows[FED_EVALUATE_CHUNK], labels[FED_EVALUATE_CHUNK];
    size_t stride, n_correct = 0;
    float *x = fed_network_input(net, &stride);
    double loss = 0;
    fed_network_load(net, params);
    for (size_t first = 0; first < test->n_examples; first += FED_EVALUATE_CHUNK) {
        if (cancel != NULL && atomic_load_explicit(cancel, memory_order_relaxed)) {
            return FED_EINTERRUPTED;
        }
        size_t n = smaller(FED_EVALUATE_CHUNK, test->n_examples - first);
        for (size_t i = 0; i < n; i++) {
            rows[i] = (uint32_t)(first + i);
        }
        fed_dataset_gather(test, rows, n, x, stride, labels);
        fed_network_evaluate(net, labels, n, &loss, &n_correct);
    }
    *out = (struct fed_evaluation){loss / (double)test->n_examples, (double)n_correct / (double)test->n_examples};
    return FED_OK;
}
