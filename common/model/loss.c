/* Losses and their gradients at the outputs of the last layer, which is linear: softmax and sigmoid belong here. */
#include <assert.h>

#include "common/model/layer.h"
#include "common/numeric/poly.h"

/* The first of the largest. */
static size_t argmax(const float *row, size_t n) {
    size_t best = 0;
    for (size_t j = 1; j < n; j++) {
        best = row[j] > row[best] ? j : best;
    }
    return best;
}

/* Turns a row of logits into exponentials that sum to *sum; returns the row's loss. *guess: the class of the largest. */
static double softmax_loss(const struct fed_kernels *kernels, float *row, size_t n, uint32_t label, float *sum,
                           size_t *guess) {
    assert(label < n);
    *guess = argmax(row, n);
    float max = row[*guess], own = row[label];
    *sum = kernels->exp_row(row, n, max);
    return (double)fed_logf(*sum) + ((double)max - (double)own);
}

/* log(1 + e^z) - label * z, without overflow. */
static double binary_loss(float z, uint32_t label) {
    float magnitude = z < 0.0f ? -z : z;
    double tail = (double)fed_logf(1.0f + fed_expf(-magnitude));
    return (z > 0.0f ? (double)z : 0.0) - (label != 0 ? (double)z : 0.0) + tail;
}

static float *row_at(const struct values *values, size_t t, size_t b) {
    return values->data + t * values->step + b * values->row;
}

/* One row of one step: its loss, and, unless gradient is NULL, the gradient times scale. */
static double row_loss(enum fed_loss loss, const struct fed_kernels *kernels, float *y, size_t n, uint32_t label,
                       const float *targets, float *gradient, float scale, bool *hit) {
    double sum = 0;
    float total;
    size_t guess;
    *hit = false;
    switch (loss) {
    case FED_SOFTMAX_CROSS_ENTROPY:
        sum = softmax_loss(kernels, y, n, label, &total, &guess);
        *hit = guess == label;
        for (size_t j = 0; gradient != NULL && j < n; j++) {
            gradient[j] = (y[j] / total - (j == label ? 1.0f : 0.0f)) * scale;
        }
        return sum;
    case FED_BINARY_CROSS_ENTROPY:
        *hit = label != 0 ? y[0] > 0.0f : y[0] <= 0.0f; /* what is not a number is neither */
        if (gradient != NULL) {
            gradient[0] = (fed_sigmoidf(y[0]) - (label != 0 ? 1.0f : 0.0f)) * scale;
        }
        return binary_loss(y[0], label);
    case FED_MEAN_SQUARED_ERROR:
        for (size_t j = 0; j < n; j++) {
            float error = y[j] - targets[j];
            sum += (double)error * (double)error;
            if (gradient != NULL) {
                gradient[j] = 2.0f * error * scale;
            }
        }
        return sum;
    }
    return 0;
}

/* In the order (step, row): sums are part of the result. */
static double all_rows(enum fed_loss loss, const struct fed_kernels *kernels, const struct layer *last,
                       const struct fed_batch *batch, size_t rows, float scale, bool training, size_t *n_correct) {
    size_t steps = last->out.steps, n = last->out.channels;
    double sum = 0;
    for (size_t t = 0; t < steps; t++) {
        for (size_t b = 0; b < rows; b++) {
            uint32_t label = batch->labels != NULL ? batch->labels[b * batch->n_targets + t] : 0;
            const float *targets = batch->targets != NULL ? batch->targets + b * batch->n_targets + t * n : NULL;
            bool hit;
            sum += row_loss(loss, kernels, row_at(&last->y, t, b), n, label, targets,
                            training ? row_at(&last->gradient, t, b) : NULL, scale, &hit);
            *n_correct += hit;
        }
    }
    return sum / (double)batch->n_targets;
}

double fed_loss_gradient(enum fed_loss loss, const struct fed_kernels *kernels, const struct layer *last,
                         const struct fed_batch *batch, size_t rows, float learning_rate) {
    size_t ignored = 0;
    float scale = -learning_rate / (float)(rows * batch->n_targets);
    return all_rows(loss, kernels, last, batch, rows, scale, true, &ignored);
}

double fed_loss_evaluate(enum fed_loss loss, const struct fed_kernels *kernels, const struct layer *last,
                         const struct fed_batch *batch, size_t rows, size_t *n_correct) {
    return all_rows(loss, kernels, last, batch, rows, 0.0f, false, n_correct);
}
