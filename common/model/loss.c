/* Losses and their gradients at the outputs of the last layer, which is linear: softmax and sigmoid belong here. */
#include <assert.h>
#include <math.h>

#include "common/model/layer.h"
#include "common/numeric/every_isa.h"
#include "common/numeric/poly.h"

#define LANES 16

/* -INFINITY if no element is a number. */
FED_EVERY_ISA static float largest(const float *row, size_t n) {
    float lanes[LANES], most = -INFINITY;
    for (size_t i = 0; i < LANES; i++) {
        lanes[i] = -INFINITY;
    }
    for (size_t j = 0; j + LANES <= n; j += LANES) {
        for (size_t i = 0; i < LANES; i++) {
            lanes[i] = row[j + i] > lanes[i] ? row[j + i] : lanes[i];
        }
    }
    for (size_t j = n / LANES * LANES; j < n; j++) {
        lanes[j % LANES] = row[j] > lanes[j % LANES] ? row[j] : lanes[j % LANES];
    }
    for (size_t i = 0; i < LANES; i++) {
        most = lanes[i] > most ? lanes[i] : most;
    }
    return most;
}

/* n if there is none. */
static size_t first_equal(const float *row, size_t n, float value) {
    size_t j = 0;
    while (j < n && row[j] != value) {
        j++;
    }
    return j;
}

/* Turns a row of logits into exponentials that sum to *sum; returns the row's loss. */
static double softmax_loss(const struct fed_kernels *kernels, float *row, size_t n, uint32_t label, float *sum) {
    assert(label < n);
    float max = largest(row, n), own = row[label];
    *sum = kernels->exp_row(row, n, max);
    return (double)fed_logf(*sum) + ((double)max - (double)own);
}

FED_EVERY_ISA static void softmax_gradient(float *restrict gradient, const float *restrict exponentials, size_t n,
                                           uint32_t label, float sum, float scale) {
    for (size_t j = 0; j < n; j++) {
        gradient[j] = exponentials[j] / sum * scale;
    }
    gradient[label] = (exponentials[label] / sum - 1.0f) * scale;
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
                       const float *targets, float *gradient, float scale) {
    double sum = 0;
    float total;
    switch (loss) {
    case FED_SOFTMAX_CROSS_ENTROPY:
        sum = softmax_loss(kernels, y, n, label, &total);
        if (gradient != NULL) {
            softmax_gradient(gradient, y, n, label, total, scale);
        }
        return sum;
    case FED_BINARY_CROSS_ENTROPY:
        if (gradient != NULL) {
            gradient[0] = (fed_sigmoidf(y[0]) - (label != 0 ? 1.0f : 0.0f)) * scale;
        }
        return binary_loss(y[0], label);
    case FED_MEAN_SQUARED_ERROR:
        assert(targets != NULL);
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

/* The class that the outputs of n units speak for; one behind the last class where no output is a number. */
static size_t class_taken(enum fed_loss loss, const float *y, size_t n) {
    if (loss == FED_BINARY_CROSS_ENTROPY) {
        return y[0] > 0.0f ? 1 : y[0] <= 0.0f ? 0 : 2;
    }
    return first_equal(y, n, largest(y, n));
}

/* What was taken for a label. */
static void count(struct fed_hits *hits, enum fed_loss loss, const float *y, size_t n, uint32_t label) {
    size_t n_classes = loss == FED_BINARY_CROSS_ENTROPY ? 2 : n, taken = class_taken(loss, y, n);
    hits->n_correct += taken == label;
    if (hits->confusion != NULL) {
        hits->confusion[label * (n_classes + 1) + taken]++;
    }
}

/* In the order (step, row): sums are part of the result. hits: NULL in training. */
static double all_rows(enum fed_loss loss, const struct fed_kernels *kernels, const struct layer *last,
                       const struct fed_batch *batch, size_t rows, float scale, struct fed_hits *hits) {
    size_t steps = last->out.steps, n = last->out.channels;
    double sum = 0;
    for (size_t t = 0; t < steps; t++) {
        for (size_t b = 0; b < rows; b++) {
            uint32_t label = batch->labels != NULL ? batch->labels[b * batch->n_targets + t] : 0;
            const float *targets = batch->targets != NULL ? batch->targets + b * batch->n_targets + t * n : NULL;
            float *y = row_at(&last->y, t, b);
            if (hits != NULL && loss != FED_MEAN_SQUARED_ERROR) {
                count(hits, loss, y, n, label);
            }
            sum += row_loss(loss, kernels, y, n, label, targets, hits == NULL ? row_at(&last->gradient, t, b) : NULL, scale);
        }
    }
    return sum / (double)batch->n_targets;
}

double fed_loss_gradient(enum fed_loss loss, const struct fed_kernels *kernels, const struct layer *last,
                         const struct fed_batch *batch, size_t rows, float learning_rate) {
    float scale = -learning_rate / (float)(rows * batch->n_targets);
    return all_rows(loss, kernels, last, batch, rows, scale, NULL);
}

double fed_loss_evaluate(enum fed_loss loss, const struct fed_kernels *kernels, const struct layer *last,
                         const struct fed_batch *batch, size_t rows, struct fed_hits *hits) {
    return all_rows(loss, kernels, last, batch, rows, 0.0f, hits);
}
