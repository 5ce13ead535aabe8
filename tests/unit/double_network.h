/* The stack once more, in double and in the plainest loops, as the truth that networks are held against. Values between
 * layers stand as in PyTorch: (steps, channels, height, width). Embeddings and LSTMs have a truth of their own. */
#ifndef FED_TESTS_DOUBLE_NETWORK_H
#define FED_TESTS_DOUBLE_NETWORK_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/model.h"

static inline double double_activate(double z, enum fed_activation activation) {
    switch (activation) {
    case FED_RELU: return z > 0 ? z : 0;
    case FED_TANH: return tanh(z);
    case FED_SIGMOID: return 1 / (1 + exp(-z));
    default: return z;
    }
}

static inline double double_derivative(double a, enum fed_activation activation) {
    switch (activation) {
    case FED_RELU: return a > 0;
    case FED_TANH: return 1 - a * a;
    case FED_SIGMOID: return a * (1 - a);
    default: return 1;
    }
}

/* Numbers of the inputs and of every layer's outputs. */
static inline size_t double_units(const struct fed_model *model) {
    size_t sum = fed_shape_size(model->layers[0].in);
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        sum += fed_shape_size(model->layers[l].out);
    }
    return sum;
}

/* -- one connection at a time: each walks the pairs (input, weight, output) of its layer
 * ------------------------------------ */

typedef void double_visitor(void *context, size_t in, size_t weight, size_t out);

static inline void double_walk_dense(struct fed_shape in, struct fed_shape out, double_visitor *visit, void *context) {
    for (size_t t = 0; t < in.steps; t++) {
        for (size_t j = 0; j < out.channels; j++) {
            for (size_t k = 0; k < in.channels; k++) {
                visit(context, t * in.channels + k, j * in.channels + k, t * out.channels + j);
            }
        }
    }
}

/* Where window i of n_out begins among n_in inputs; negative in front of them. */
static inline long double_window(const struct fed_layer_spec *layer, uint32_t n_in, uint32_t n_out, uint32_t i) {
    long missing = (long)((n_out - 1) * layer->stride + layer->kernel) - (long)n_in;
    long front = layer->padding == FED_SAME && missing > 0 ? missing / 2 : 0;
    return (long)(i * layer->stride) - front;
}

/* All inputs of channel c that output pixel (y, x) sees; weight: place in the window. */
static inline void double_walk_window(const struct fed_layer_spec *layer, struct fed_shape in, struct fed_shape out,
                                      uint32_t y, uint32_t x, double_visitor *visit, void *context, size_t c, size_t to) {
    long top = double_window(layer, in.height, out.height, y), left = double_window(layer, in.width, out.width, x);
    for (long i = 0; i < (long)layer->kernel; i++) {
        for (long j = 0; j < (long)layer->kernel; j++) {
            if (top + i >= 0 && top + i < (long)in.height && left + j >= 0 && left + j < (long)in.width) {
                visit(context, (c * in.height + (size_t)(top + i)) * in.width + (size_t)(left + j),
                      (size_t)i * layer->kernel + (size_t)j, to);
            }
        }
    }
}

struct double_shifted {
    double_visitor *visit;
    void *context;
    size_t weight;
};

static inline void double_shift(void *context, size_t in, size_t weight, size_t out) {
    const struct double_shifted *shifted = context;
    shifted->visit(shifted->context, in, shifted->weight + weight, out);
}

static inline void double_walk_conv2d(const struct fed_layer_spec *layer, struct fed_shape in, struct fed_shape out,
                                      double_visitor *visit, void *context) {
    size_t places = (size_t)layer->kernel * layer->kernel;
    for (size_t j = 0; j < out.channels; j++) {
        for (uint32_t y = 0; y < out.height; y++) {
            for (uint32_t x = 0; x < out.width; x++) {
                for (size_t c = 0; c < in.channels; c++) {
                    struct double_shifted shifted = {visit, context, (j * in.channels + c) * places};
                    double_walk_window(layer, in, out, y, x, double_shift, &shifted, c,
                                       (j * out.height + y) * out.width + x);
                }
            }
        }
    }
}

static inline void double_walk_pool(const struct fed_layer_spec *layer, struct fed_shape in, struct fed_shape out,
                                    double_visitor *visit, void *context) {
    for (size_t c = 0; c < out.channels; c++) {
        for (uint32_t y = 0; y < out.height; y++) {
            for (uint32_t x = 0; x < out.width; x++) {
                double_walk_window(layer, in, out, y, x, visit, context, c, (c * out.height + y) * out.width + x);
            }
        }
    }
}

struct double_layer {
    const double *x, *w;
    double *y, *dy, *dx, *dw;
    bool *taken; /* (outputs) */
};

static inline void double_visit_sum(void *context, size_t in, size_t weight, size_t out) {
    struct double_layer *at = context;
    at->y[out] += at->w[weight] * at->x[in];
}

static inline void double_visit_gradient(void *context, size_t in, size_t weight, size_t out) {
    struct double_layer *at = context;
    at->dw[weight] += at->dy[out] * at->x[in];
    at->dx[in] += at->dy[out] * at->w[weight];
}

static inline void double_visit_most(void *context, size_t in, size_t weight, size_t out) {
    struct double_layer *at = context;
    (void)weight;
    at->y[out] = at->x[in] > at->y[out] ? at->x[in] : at->y[out];
}

static inline void double_visit_taken(void *context, size_t in, size_t weight, size_t out) {
    struct double_layer *at = context;
    (void)weight;
    if (!at->taken[out] && at->x[in] == at->y[out]) {
        at->taken[out] = true;
        at->dx[in] += at->dy[out];
    }
}

/* The channel of output i, which has a bias. */
static inline size_t double_channel(struct fed_shape out, size_t i) {
    return i / ((size_t)out.height * out.width) % out.channels;
}

/* -- forward and back -----------------------------------------------------------------------------------------------------
 */

static inline void double_layer_forward(const struct fed_model *model, uint32_t l, const double *params, const double *x,
                                        double *y) {
    const struct fed_layer_spec *layer = &model->spec.layers[l];
    struct fed_shape in = model->layers[l].in, out = model->layers[l].out;
    const struct fed_tensor *tensors = &model->tensors[model->layers[l].first_tensor];
    size_t n = fed_shape_size(out);
    struct double_layer at = {.x = x, .y = y};
    if (layer->kind == FED_FLATTEN) {
        memcpy(y, x, n * sizeof *y);
        return;
    }
    if (layer->kind == FED_MAX_POOL) {
        for (size_t i = 0; i < n; i++) {
            y[i] = -INFINITY;
        }
        double_walk_pool(layer, in, out, double_visit_most, &at);
        return;
    }
    at.w = params + tensors[0].offset;
    for (size_t i = 0; i < n; i++) {
        y[i] = params[tensors[1].offset + double_channel(out, i)];
    }
    if (layer->kind == FED_CONV2D) {
        double_walk_conv2d(layer, in, out, double_visit_sum, &at);
    } else {
        double_walk_dense(in, out, double_visit_sum, &at);
    }
    for (size_t i = 0; i < n; i++) {
        y[i] = double_activate(y[i], layer->activation);
    }
}

/* dy is overwritten, dx and gradient are added to. */
static inline void double_layer_backward(const struct fed_model *model, uint32_t l, const double *params, const double *x,
                                         double *y, double *dy, double *dx, double *gradient) {
    const struct fed_layer_spec *layer = &model->spec.layers[l];
    struct fed_shape in = model->layers[l].in, out = model->layers[l].out;
    const struct fed_tensor *tensors = &model->tensors[model->layers[l].first_tensor];
    size_t n = fed_shape_size(out);
    struct double_layer at = {.x = x, .y = y, .dy = dy, .dx = dx};
    if (layer->kind == FED_FLATTEN) {
        memcpy(dx, dy, n * sizeof *dx);
        return;
    }
    if (layer->kind == FED_MAX_POOL) {
        at.taken = calloc(n, sizeof *at.taken);
        double_walk_pool(layer, in, out, double_visit_taken, &at);
        free(at.taken);
        return;
    }
    at.w = params + tensors[0].offset;
    at.dw = gradient + tensors[0].offset;
    for (size_t i = 0; i < n; i++) {
        dy[i] *= double_derivative(y[i], layer->activation);
        gradient[tensors[1].offset + double_channel(out, i)] += dy[i];
    }
    if (layer->kind == FED_CONV2D) {
        double_walk_conv2d(layer, in, out, double_visit_gradient, &at);
    } else {
        double_walk_dense(in, out, double_visit_gradient, &at);
    }
}

/* x: an example as data has it, channels last. values: double_units() numbers. Returns the outputs, (steps, channels). */
static inline const double *double_forward(const struct fed_model *model, const double *params, const double *x,
                                           double *values) {
    struct fed_shape in = model->layers[0].in;
    size_t n_pixels = (size_t)in.height * in.width;
    for (size_t i = 0; i < fed_shape_size(in); i++) {
        size_t c = i % in.channels, p = i / in.channels % n_pixels, t = i / in.channels / n_pixels;
        values[(t * in.channels + c) * n_pixels + p] = x[i];
    }
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        double *y = values + fed_shape_size(model->layers[l].in);
        double_layer_forward(model, l, params, values, y);
        values = y;
    }
    return values;
}

/* Loss of one step: n outputs; targets: the label, or the n numbers to be met. gradient (n) may be NULL. */
static inline double double_step_loss(enum fed_loss loss, const double *y, size_t n, const double *targets,
                                      double *gradient) {
    double sum = 0;
    for (size_t j = 0; j < n; j++) {
        sum += loss == FED_MEAN_SQUARED_ERROR     ? (y[j] - targets[j]) * (y[j] - targets[j])
               : loss == FED_BINARY_CROSS_ENTROPY ? log(1 + exp(*targets != 0 ? -y[0] : y[0]))
                                                  : exp(y[j] - y[(size_t)*targets]);
    }
    for (size_t j = 0; gradient != NULL && j < n; j++) {
        gradient[j] = loss == FED_MEAN_SQUARED_ERROR     ? 2 * (y[j] - targets[j])
                      : loss == FED_BINARY_CROSS_ENTROPY ? 1 / (1 + exp(-y[0])) - *targets
                                                         : exp(y[j] - y[(size_t)*targets]) / sum - (j == (size_t)*targets);
    }
    return loss == FED_SOFTMAX_CROSS_ENTROPY ? log(sum) : sum;
}

/* Mean over the steps of one example; targets: (n_targets), labels as numbers. */
static inline double double_example_loss(const struct fed_model *model, const double *y, const double *targets,
                                         double *gradient) {
    struct fed_shape out = model->layers[model->spec.n_layers - 1].out;
    size_t n = out.channels, each = model->n_targets / out.steps;
    double sum = 0;
    for (size_t t = 0; t < out.steps; t++) {
        sum +=
            double_step_loss(model->spec.loss, y + t * n, n, targets + t * each, gradient != NULL ? gradient + t * n : NULL);
    }
    for (size_t i = 0; gradient != NULL && i < out.steps * n; i++) {
        gradient[i] /= model->n_targets;
    }
    return sum / model->n_targets;
}

/* Summed loss over rows x (rows, inputs); targets (rows, n_targets). */
static inline double double_loss(const struct fed_model *model, const double *params, const double *x, size_t rows,
                                 const double *targets) {
    double *values = malloc(double_units(model) * sizeof *values), loss = 0;
    for (size_t b = 0; b < rows; b++) {
        const double *y = double_forward(model, params, x + b * fed_shape_size(model->layers[0].in), values);
        loss += double_example_loss(model, y, targets + b * model->n_targets, NULL);
    }
    free(values);
    return loss;
}

/* Adds d(loss)/d(params) of one example to gradient. */
static inline void double_backward(const struct fed_model *model, const double *params, const double *x,
                                   const double *targets, double *gradient) {
    size_t n = double_units(model), at = n - fed_shape_size(model->layers[model->spec.n_layers - 1].out);
    double *values = malloc(n * sizeof *values), *above = calloc(n, sizeof *above);
    const double *y = double_forward(model, params, x, values);
    double_example_loss(model, y, targets, above + at);
    for (uint32_t l = model->spec.n_layers; l-- > 0;) {
        size_t before = at - fed_shape_size(model->layers[l].in);
        double_layer_backward(model, l, params, values + before, values + at, above + at, above + before, gradient);
        at = before;
    }
    free(values);
    free(above);
}

/* gradient of the mean loss. */
static inline void double_gradient(const struct fed_model *model, const double *params, const double *x, size_t rows,
                                   const double *targets, double *gradient) {
    memset(gradient, 0, model->n_params * sizeof *gradient);
    for (size_t b = 0; b < rows; b++) {
        double_backward(model, params, x + b * fed_shape_size(model->layers[0].in), targets + b * model->n_targets,
                        gradient);
    }
    for (size_t i = 0; i < model->n_params; i++) {
        gradient[i] /= (double)rows;
    }
}

/* params -= rate * gradient of the mean loss. */
static inline void double_step(const struct fed_model *model, double *params, const double *x, size_t rows,
                               const double *targets, double rate) {
    double *gradient = malloc(model->n_params * sizeof *gradient);
    double_gradient(model, params, x, rows, targets, gradient);
    for (size_t i = 0; i < model->n_params; i++) {
        params[i] -= rate * gradient[i];
    }
    free(gradient);
}

#endif
