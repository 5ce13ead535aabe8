/* The dense stack once more, in double and in the plainest loops, as the truth that networks are held against. */
#ifndef FED_TESTS_DOUBLE_NETWORK_H
#define FED_TESTS_DOUBLE_NETWORK_H

#include <math.h>
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

/* values: room for all layers' outputs after each other; returns the logits. */
static inline const double *double_forward(const struct fed_model *model, const double *params, const double *x,
                                           double *values) {
    size_t n_in = model->spec.input.channels;
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        const double *w = params + model->tensors[2 * l].offset, *bias = params + model->tensors[2 * l + 1].offset;
        size_t n_out = model->spec.layers[l].units;
        for (size_t j = 0; j < n_out; j++) {
            double z = bias[j];
            for (size_t k = 0; k < n_in; k++) {
                z += w[j * n_in + k] * x[k];
            }
            values[j] = double_activate(z, model->spec.layers[l].activation);
        }
        x = values;
        values += n_out;
        n_in = n_out;
    }
    return x;
}

static inline size_t double_units(const struct fed_model *model) {
    size_t sum = 0;
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        sum += model->spec.layers[l].units;
    }
    return sum;
}

static inline double double_row_loss(const double *logits, size_t n, uint32_t label) {
    double sum = 0;
    for (size_t j = 0; j < n; j++) {
        sum += exp(logits[j] - logits[label]);
    }
    return log(sum);
}

/* Summed loss over rows x (rows, inputs). */
static inline double double_loss(const struct fed_model *model, const double *params, const double *x, size_t rows,
                                 const uint32_t *labels) {
    double *values = malloc(double_units(model) * sizeof *values), loss = 0;
    for (size_t b = 0; b < rows; b++) {
        const double *logits = double_forward(model, params, x + b * model->spec.input.channels, values);
        loss += double_row_loss(logits, model->n_classes, labels[b]);
    }
    free(values);
    return loss;
}

/* Adds d(summed loss)/d(params) of one example to gradient. */
static inline void double_backward(const struct fed_model *model, const double *params, const double *x, uint32_t label,
                                   double *gradient) {
    size_t n_units = double_units(model);
    double *values = malloc(n_units * sizeof *values), *above = calloc(n_units, sizeof *above);
    const double *logits = double_forward(model, params, x, values);
    size_t at = n_units - model->n_classes;
    double sum = 0;
    for (size_t j = 0; j < model->n_classes; j++) {
        sum += exp(logits[j] - logits[label]);
    }
    for (size_t j = 0; j < model->n_classes; j++) {
        above[at + j] = exp(logits[j] - logits[label]) / sum - (j == label);
    }
    for (uint32_t l = model->spec.n_layers; l-- > 0;) {
        size_t n_out = model->spec.layers[l].units, n_in = l > 0 ? model->spec.layers[l - 1].units : model->spec.input.channels;
        size_t before = l > 0 ? at - n_in : 0, offset = model->tensors[2 * l].offset;
        const double *input = l > 0 ? values + before : x;
        for (size_t j = 0; j < n_out; j++) {
            double g = above[at + j] * double_derivative(values[at + j], model->spec.layers[l].activation);
            gradient[model->tensors[2 * l + 1].offset + j] += g;
            for (size_t k = 0; k < n_in; k++) {
                gradient[offset + j * n_in + k] += g * input[k];
                if (l > 0) {
                    above[before + k] += g * params[offset + j * n_in + k];
                }
            }
        }
        at = before;
    }
    free(values);
    free(above);
}

/* params -= rate * gradient of the mean loss. */
static inline void double_step(const struct fed_model *model, double *params, const double *x, size_t rows,
                               const uint32_t *labels, double rate) {
    double *gradient = calloc(model->n_params, sizeof *gradient);
    for (size_t b = 0; b < rows; b++) {
        double_backward(model, params, x + b * model->spec.input.channels, labels[b], gradient);
    }
    for (size_t i = 0; i < model->n_params; i++) {
        params[i] -= rate * gradient[i] / (double)rows;
    }
    free(gradient);
}

#endif
