/* A dense stack over the kernels. All floats of a network stand in one aligned block; rows are padded to whole panels and
 * the padding is zero: biases, activations and gradients keep it zero, so loops may run over whole rows.
 *
 * A step visits each layer's weights twice: forward, and backward from the last layer, where first the gradient of the
 * layer's input is taken from the weights and then they are updated in place. The gradient carries -learning_rate / rows
 * from the softmax on, so an update is a plain accumulation and no gradient of a weight is ever stored. */
#include "common/model/network.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/numeric/poly.h"
#include "common/numeric/transpose.h"

#define ALIGNMENT 64
#define EVALUATE_ROWS 10 /* one tile of the widest kernels */

struct layer {
    size_t n_in, n_out;
    size_t in_stride, stride; /* of the input's rows and of the output's */
    enum fed_activation activation;
    size_t weight_offset, bias_offset; /* in the canonical block */
    float *panels;                     /* kernel layout, see kernels.h */
    float *bias;                       /* (stride) */
    const float *x;                    /* the input: what the layer before put out */
    float *out;                        /* (max_batch, stride): after the activation; logits in the last layer */
    float *gradient;                   /* (max_batch, stride): of what stands before the activation, times -rate / rows */
};

struct fed_network {
    const struct fed_kernels *kernels;
    void *block; /* owned: every array below and in the layers */
    size_t max_batch;
    float *input;            /* (max_batch, layers[0].in_stride) */
    uint32_t *column_list;   /* room for the inputs that are not zero in the whole batch */
    const uint32_t *columns; /* that list, or NULL if it holds all inputs: the same products either way, but faster */
    size_t n_columns;
    uint32_t n_layers;
    struct layer layers[FED_MAX_LAYERS];
};

static size_t padded(size_t width) { return (width + FED_PANEL - 1) / FED_PANEL * FED_PANEL; }

/* Cuts rows x stride words of four bytes off the block; with no block yet only counts. *used sticks at SIZE_MAX once the
 * count overflows. */
static void *take(void *block, size_t *used, size_t rows, size_t stride) {
    size_t offset = *used, bytes, end;
    if (offset == SIZE_MAX || __builtin_mul_overflow(rows, stride * sizeof(float), &bytes) ||
        __builtin_add_overflow(offset, bytes, &end)) {
        *used = SIZE_MAX;
        return NULL;
    }
    *used = end;
    return block != NULL ? (char *)block + offset : NULL;
}

/* Places every array; returns the bytes they need together. */
static size_t place(struct fed_network *net, void *block) {
    size_t used = 0;
    net->input = take(block, &used, net->max_batch, net->layers[0].in_stride);
    net->column_list = take(block, &used, 1, net->layers[0].in_stride);
    const float *x = net->input;
    for (uint32_t l = 0; l < net->n_layers; l++) {
        struct layer *layer = &net->layers[l];
        layer->x = x;
        layer->panels = take(block, &used, layer->n_in, layer->stride);
        layer->bias = take(block, &used, 1, layer->stride);
        layer->out = take(block, &used, net->max_batch, layer->stride);
        layer->gradient = take(block, &used, net->max_batch, layer->stride);
        x = layer->out;
    }
    return used;
}

static void describe(struct fed_network *net, const struct fed_model *model) {
    size_t n_in = model->spec.inputs;
    net->n_layers = model->spec.n_layers;
    for (uint32_t l = 0; l < net->n_layers; l++) {
        net->layers[l] = (struct layer){.n_in = n_in,
                                        .n_out = model->spec.layers[l].units,
                                        .in_stride = padded(n_in),
                                        .stride = padded(model->spec.layers[l].units),
                                        .activation = model->spec.layers[l].activation,
                                        .weight_offset = model->tensors[2 * l].offset,
                                        .bias_offset = model->tensors[2 * l + 1].offset};
        n_in = net->layers[l].n_out;
    }
}

int fed_network_new(struct fed_network **out, const struct fed_model *model, size_t max_batch,
                    const struct fed_kernels *kernels) {
    assert(max_batch > 0 && model->spec.n_layers > 0);
    struct fed_network *net = calloc(1, sizeof *net);
    if (net == NULL) {
        return FED_ENOMEM;
    }
    net->kernels = kernels;
    net->max_batch = max_batch;
    describe(net, model);
    size_t bytes = place(net, NULL);
    net->block = bytes == SIZE_MAX ? NULL : aligned_alloc(ALIGNMENT, bytes);
    if (net->block == NULL) {
        free(net);
        return FED_ENOMEM;
    }
    memset(net->block, 0, bytes);
    place(net, net->block);
    *out = net;
    return FED_OK;
}

void fed_network_free(struct fed_network *net) {
    if (net != NULL) {
        free(net->block);
        free(net);
    }
}

/* Weights are permuted in blocks of BAND inputs x one panel: both sides of a block stay in the first cache. */
#define BAND 16

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void load_weights(struct layer *layer, const float *weights) {
    memset(layer->panels, 0, layer->n_in * layer->stride * sizeof *layer->panels);
    for (size_t j = 0; j < layer->n_out; j += FED_PANEL) {
        for (size_t k = 0; k < layer->n_in; k += BAND) {
            fed_transpose(layer->panels + j * layer->n_in + k * FED_PANEL, FED_PANEL, weights + j * layer->n_in + k,
                          layer->n_in, smaller(FED_PANEL, layer->n_out - j), smaller(BAND, layer->n_in - k));
        }
    }
}

static void store_weights(const struct layer *layer, float *weights) {
    for (size_t j = 0; j < layer->n_out; j += FED_PANEL) {
        for (size_t k = 0; k < layer->n_in; k += BAND) {
            fed_transpose(weights + j * layer->n_in + k, layer->n_in, layer->panels + j * layer->n_in + k * FED_PANEL,
                          FED_PANEL, smaller(BAND, layer->n_in - k), smaller(FED_PANEL, layer->n_out - j));
        }
    }
}

void fed_network_load(struct fed_network *net, const float *params) {
    for (uint32_t l = 0; l < net->n_layers; l++) {
        struct layer *layer = &net->layers[l];
        load_weights(layer, params + layer->weight_offset);
        memset(layer->bias, 0, layer->stride * sizeof *layer->bias);
        memcpy(layer->bias, params + layer->bias_offset, layer->n_out * sizeof *layer->bias);
    }
}

void fed_network_store(const struct fed_network *net, float *params) {
    for (uint32_t l = 0; l < net->n_layers; l++) {
        const struct layer *layer = &net->layers[l];
        store_weights(layer, params + layer->weight_offset);
        memcpy(params + layer->bias_offset, layer->bias, layer->n_out * sizeof *layer->bias);
    }
}

float *fed_network_input(struct fed_network *net, size_t *stride) {
    *stride = net->layers[0].in_stride;
    return net->input;
}

static void add_bias(float *restrict row, const float *restrict bias, size_t stride) {
    for (size_t j0 = 0; j0 < stride; j0 += FED_PANEL) {
        for (size_t j = 0; j < FED_PANEL; j++) {
            row[j0 + j] += bias[j0 + j];
        }
    }
}

/* NaN stays NaN: a model that diverged must not look healthy. */
static void relu(float *row, size_t stride) {
    for (size_t j0 = 0; j0 < stride; j0 += FED_PANEL) {
        for (size_t j = 0; j < FED_PANEL; j++) {
            row[j0 + j] = row[j0 + j] < 0.0f ? 0.0f : row[j0 + j];
        }
    }
}

static void activate(const struct fed_network *net, const struct layer *layer, float *row) {
    switch (layer->activation) {
    case FED_LINEAR: break;
    case FED_RELU: relu(row, layer->stride); break;
    case FED_TANH: net->kernels->tanh(row, layer->n_out); break;
    case FED_SIGMOID: net->kernels->sigmoid(row, layer->n_out); break;
    }
}

/* input: rows of the input buffer, not always its first. Only the first layer skips columns: inputs are often zero where
 * hidden units are not. */
static void forward(struct fed_network *net, const float *input, size_t rows) {
    assert(rows > 0 && rows <= net->max_batch);
    const struct layer *first = &net->layers[0];
    net->n_columns = net->kernels->live_columns(net->column_list, input, first->in_stride, rows);
    net->columns = net->n_columns < first->n_in ? net->column_list : NULL;
    for (uint32_t l = 0; l < net->n_layers; l++) {
        struct layer *layer = &net->layers[l];
        net->kernels->forward(layer->out, layer->stride, l == 0 ? input : layer->x, layer->in_stride, rows, layer->panels,
                              layer->n_in, layer->n_out, l == 0 ? net->columns : NULL,
                              l == 0 ? net->n_columns : layer->n_in);
        for (size_t b = 0; b < rows; b++) {
            float *row = layer->out + b * layer->stride;
            add_bias(row, layer->bias, layer->stride);
            activate(net, layer, row);
        }
    }
}

static struct layer *last_layer(struct fed_network *net) { return &net->layers[net->n_layers - 1]; }

/* The first of the largest. */
static size_t argmax(const float *row, size_t n) {
    size_t best = 0;
    for (size_t j = 1; j < n; j++) {
        best = row[j] > row[best] ? j : best;
    }
    return best;
}

/* Turns a row of logits into exponentials that sum to *sum; returns the row's loss. *guess: the class of the largest. */
static double softmax_loss(const struct fed_network *net, float *row, size_t n, uint32_t label, float *sum, size_t *guess) {
    assert(label < n);
    *guess = argmax(row, n);
    float max = row[*guess], own = row[label];
    *sum = net->kernels->exp_row(row, n, max);
    return (double)fed_logf(*sum) + ((double)max - (double)own);
}

/* The gradient of the scaled loss at the logits: (probability - 1 at the label) * scale. Returns the summed loss. */
static double loss_gradient(struct fed_network *net, const uint32_t *labels, size_t rows, float scale) {
    const struct layer *last = last_layer(net);
    double loss = 0;
    for (size_t b = 0; b < rows; b++) {
        float *row = last->out + b * last->stride, *gradient = last->gradient + b * last->stride, sum;
        size_t guess;
        loss += softmax_loss(net, row, last->n_out, labels[b], &sum, &guess);
        for (size_t j = 0; j < last->n_out; j++) {
            gradient[j] = (row[j] / sum - (j == labels[b] ? 1.0f : 0.0f)) * scale;
        }
    }
    return loss;
}

/* gradient *= activation'(before), told from the activation's value a. The padding of gradient is zero and stays zero. */
static void through_activation(float *restrict gradient, const float *restrict out, size_t stride,
                               enum fed_activation activation) {
    for (size_t j0 = 0; j0 < stride; j0 += FED_PANEL) {
        float *restrict g = gradient + j0;
        const float *restrict a = out + j0;
        switch (activation) {
        case FED_LINEAR: break;
        case FED_RELU:
            for (size_t j = 0; j < FED_PANEL; j++) {
                g[j] = a[j] > 0.0f ? g[j] : 0.0f;
            }
            break;
        case FED_TANH:
            for (size_t j = 0; j < FED_PANEL; j++) {
                g[j] *= (1.0f - a[j]) * (1.0f + a[j]);
            }
            break;
        case FED_SIGMOID:
            for (size_t j = 0; j < FED_PANEL; j++) {
                g[j] *= a[j] * (1.0f - a[j]);
            }
            break;
        }
    }
}

/* From a layer's gradient to that of the layer before; the weights must not have been updated yet. */
static void backward(struct fed_network *net, const struct layer *layer, const struct layer *before, size_t rows) {
    net->kernels->input_gradient(before->gradient, before->stride, layer->gradient, layer->stride, rows, layer->panels,
                                 layer->n_in, layer->n_out);
    for (size_t b = 0; b < rows; b++) {
        through_activation(before->gradient + b * before->stride, before->out + b * before->stride, before->stride,
                           before->activation);
    }
}

double fed_network_step(struct fed_network *net, const uint32_t *labels, size_t rows, float learning_rate) {
    forward(net, net->input, rows);
    double loss = loss_gradient(net, labels, rows, -learning_rate / (float)rows);
    for (uint32_t l = net->n_layers; l-- > 0;) {
        struct layer *layer = &net->layers[l];
        if (l > 0) {
            backward(net, layer, layer - 1, rows);
        }
        net->kernels->update(layer->panels, layer->x, layer->in_stride, layer->gradient, layer->stride, rows, layer->n_in,
                             layer->n_out, l == 0 ? net->columns : NULL, l == 0 ? net->n_columns : layer->n_in);
        for (size_t b = 0; b < rows; b++) {
            add_bias(layer->bias, layer->gradient + b * layer->stride, layer->stride);
        }
    }
    return loss;
}

/* A few rows at a time: the fewer, the more columns are zero in all of them. 100 rows of MNIST leave 65 % of the columns, 10
 * rows 47 %. */
void fed_network_evaluate(struct fed_network *net, const uint32_t *labels, size_t rows, double *loss_sum,
                          size_t *n_correct) {
    const struct layer *last = last_layer(net);
    double loss = 0;
    for (size_t first = 0, n; first < rows; first += n) {
        n = smaller(EVALUATE_ROWS, rows - first);
        forward(net, net->input + first * net->layers[0].in_stride, n);
        for (size_t b = 0; b < n; b++) {
            float sum;
            size_t guess;
            loss += softmax_loss(net, last->out + b * last->stride, last->n_out, labels[first + b], &sum, &guess);
            *n_correct += guess == labels[first + b];
        }
    }
    *loss_sum += loss;
}

const float *fed_network_logits(struct fed_network *net, size_t rows, size_t *stride) {
    forward(net, net->input, rows);
    *stride = last_layer(net)->stride;
    return last_layer(net)->out;
}
