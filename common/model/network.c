/* Layers in a row over one aligned block of floats. A step goes forward through them, asks the loss for the gradient of the
 * last outputs, and goes back: each layer first hands the gradient on from its weights, then updates them. */
#include "common/model/network.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/layer.h"
#include "common/numeric/every_isa.h"
#include "common/numeric/panels.h"

#define ALIGNMENT 64

struct fed_network {
    const struct fed_model *model; /* owned copy */
    const struct fed_kernels *kernels;
    void *block; /* owned: every array of batch and layers */
    struct fed_batch batch;
    uint32_t n_layers;
    uint32_t first_learning; /* the layers before have no parameters, so nothing goes back to them */
    struct layer layers[FED_MAX_LAYERS];
};

static const struct layer_kind *const kinds[] = {
    [FED_DENSE] = &fed_layer_dense,     [FED_CONV2D] = &fed_layer_conv2d,       [FED_MAX_POOL] = &fed_layer_max_pool,
    [FED_FLATTEN] = &fed_layer_flatten, [FED_EMBEDDING] = &fed_layer_embedding, [FED_LSTM] = &fed_layer_lstm};

/* -- memory ------------------------------------------------------------------------------------------------------------ */

void *fed_arena_take(struct arena *arena, size_t rows, size_t stride) {
    size_t offset = arena->used, bytes, end;
    if (offset == SIZE_MAX || __builtin_mul_overflow(stride, sizeof(float), &bytes) ||
        __builtin_mul_overflow(rows, bytes, &bytes) || __builtin_add_overflow(bytes, ALIGNMENT - 1, &bytes) ||
        __builtin_add_overflow(offset, bytes / ALIGNMENT * ALIGNMENT, &end)) {
        arena->used = SIZE_MAX;
        return NULL;
    }
    arena->used = end;
    return arena->block != NULL ? arena->block + offset : NULL;
}

static struct values take_values(struct arena *arena, struct fed_shape shape, size_t max_batch) {
    struct values values = {.pixel = fed_panels_padded(shape.channels)};
    values.row = values.pixel * shape.height * shape.width;
    values.step = values.row * max_batch;
    values.data = fed_arena_take(arena, max_batch, values.row * shape.steps);
    return values;
}

void fed_layer_place_outputs(struct layer *layer, struct arena *arena) {
    layer->y = take_values(arena, layer->out, layer->max_batch);
    if (layer->use != FED_NETWORK_EVALUATE) {
        layer->gradient = take_values(arena, layer->out, layer->max_batch);
    }
}

void fed_parameters_place(struct parameters *p, const struct layer *layer, struct arena *arena, size_t n) {
    bool many_places = layer->out.steps > 1 || layer->out.height > 1 || layer->out.width > 1;
    p->n = n;
    p->w = fed_arena_take(arena, 1, n);
    p->velocity = layer->use == FED_NETWORK_MOMENTUM || (layer->use == FED_NETWORK_TRAIN && many_places)
                      ? fed_arena_take(arena, 1, n)
                      : NULL;
}

static void place_batch(struct fed_batch *batch, const struct fed_model *model, size_t max_batch, struct arena *arena) {
    struct fed_shape in = model->layers[0].in;
    *batch = (struct fed_batch){.max_rows = max_batch, .n_targets = model->n_targets};
    if (model->spec.n_symbols > 0) {
        batch->n_symbols = in.steps;
        batch->symbols = fed_arena_take(arena, max_batch, batch->n_symbols);
    } else {
        batch->n_features = fed_shape_size(in);
        batch->stride = fed_panels_padded(batch->n_features);
        batch->features = fed_arena_take(arena, max_batch, batch->stride);
    }
    void *targets = fed_arena_take(arena, max_batch, batch->n_targets);
    if (model->spec.loss == FED_MEAN_SQUARED_ERROR) {
        batch->targets = targets;
    } else {
        batch->labels = targets;
    }
}

/* Places every array; returns the bytes they need together. */
static size_t place(struct fed_network *net, char *block) {
    struct arena arena = {.block = block};
    size_t max_batch = net->layers[0].max_batch;
    place_batch(&net->batch, net->model, max_batch, &arena);
    struct fed_shape in = net->layers[0].in;
    struct values x = {.data = net->batch.features,
                       .row = net->batch.stride,
                       .step = fed_shape_size(in) / in.steps,
                       .pixel = in.channels},
                  gradient = {.data = NULL};
    for (uint32_t l = 0; l < net->n_layers; l++) {
        struct layer *layer = &net->layers[l];
        layer->x = x;
        layer->x_gradient = gradient;
        layer->symbols = net->batch.symbols;
        layer->kind->place(layer, &arena);
        x = layer->y;
        gradient = layer->gradient;
    }
    return arena.used;
}

static void describe(struct fed_network *net, const struct fed_model *model, size_t max_batch, enum fed_network_use use,
                     const struct fed_kernels *kernels) {
    net->model = model;
    net->kernels = kernels;
    net->n_layers = model->spec.n_layers;
    net->first_learning = 0;
    while (kinds[model->spec.layers[net->first_learning].kind]->load == NULL) { /* the last layer is dense */
        net->first_learning++;
    }
    for (uint32_t l = 0; l < net->n_layers; l++) {
        net->layers[l] = (struct layer){.kind = kinds[model->spec.layers[l].kind],
                                        .kernels = kernels,
                                        .spec = &model->spec.layers[l],
                                        .in = model->layers[l].in,
                                        .out = model->layers[l].out,
                                        .tensors = &model->tensors[model->layers[l].first_tensor],
                                        .max_batch = max_batch,
                                        .use = l < net->first_learning ? FED_NETWORK_EVALUATE : use};
    }
}

size_t fed_network_bytes(const struct fed_model *model, size_t max_batch, enum fed_network_use use) {
    struct fed_network net = {0};
    describe(&net, model, max_batch, use, NULL);
    size_t bytes = place(&net, NULL);
    return bytes > SIZE_MAX - sizeof net - sizeof *model ? SIZE_MAX : bytes + sizeof net + sizeof *model;
}

int fed_network_new(struct fed_network **out, const struct fed_model *model, size_t max_batch, enum fed_network_use use,
                    const struct fed_kernels *kernels) {
    assert(max_batch > 0 && model->spec.n_layers > 0);
    struct fed_network *net = calloc(1, sizeof *net);
    struct fed_model *copy = malloc(sizeof *copy);
    if (net == NULL || copy == NULL) {
        goto out;
    }
    *copy = *model;
    describe(net, copy, max_batch, use, kernels);
    size_t bytes = place(net, NULL);
    net->block = bytes == SIZE_MAX ? NULL : aligned_alloc(ALIGNMENT, bytes);
    if (net->block == NULL) {
        goto out;
    }
    memset(net->block, 0, bytes);
    place(net, net->block);
    *out = net;
    return FED_OK;
out:
    free(copy);
    free(net);
    return FED_ENOMEM;
}

void fed_network_free(struct fed_network *net) {
    if (net != NULL) {
        free(net->block);
        free((void *)(uintptr_t)net->model);
        free(net);
    }
}

void fed_network_load(struct fed_network *net, const float *params) {
    for (uint32_t l = 0; l < net->n_layers; l++) {
        struct layer *layer = &net->layers[l];
        struct parameters *all[] = {&layer->weights[0], &layer->weights[1], &layer->bias};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            if (all[i]->velocity != NULL) {
                memset(all[i]->velocity, 0, all[i]->n * sizeof(float));
            }
        }
        if (layer->kind->load != NULL) {
            layer->kind->load(layer, params);
        }
    }
}

void fed_network_store(const struct fed_network *net, float *params) {
    for (uint32_t l = 0; l < net->n_layers; l++) {
        if (net->layers[l].kind->store != NULL) {
            net->layers[l].kind->store(&net->layers[l], params);
        }
    }
}

const struct fed_batch *fed_network_batch(struct fed_network *net) { return &net->batch; }

/* -- what layers share ---------------------------------------------------------------------------------------------------
 */

float *fed_parameters_open(const struct parameters *p, const struct fed_sgd *sgd) {
    float decay = sgd->learning_rate * sgd->weight_decay;
    if (p->velocity != NULL) {
        if (sgd->momentum == 0.0f && decay == 0.0f) {
            memset(p->velocity, 0, p->n * sizeof(float));
        } else {
            for (size_t i = 0; i < p->n; i++) {
                p->velocity[i] = sgd->momentum * p->velocity[i] - decay * p->w[i];
            }
        }
        return p->velocity;
    }
    for (size_t i = 0; decay != 0.0f && i < p->n; i++) {
        p->w[i] -= decay * p->w[i];
    }
    return p->w;
}

void fed_parameters_close(const struct parameters *p) {
    if (p->velocity != NULL) {
        fed_add_row(p->w, p->velocity, p->n);
    }
}

void fed_add_row(float *restrict row, const float *restrict add, size_t stride) {
    for (size_t j0 = 0; j0 < stride; j0 += FED_PANEL) {
        for (size_t j = 0; j < FED_PANEL; j++) {
            row[j0 + j] += add[j0 + j];
        }
    }
}

FED_EVERY_ISA void fed_add_rows(float *restrict row, const float *restrict add, size_t n, size_t stride) {
    for (size_t j0 = 0; j0 < stride; j0 += FED_PANEL) {
        float sum[FED_PANEL];
        memcpy(sum, row + j0, sizeof sum);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < FED_PANEL; j++) {
                sum[j] += add[i * stride + j0 + j];
            }
        }
        memcpy(row + j0, sum, sizeof sum);
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

void fed_activate(const struct fed_kernels *kernels, enum fed_activation activation, float *y, size_t n, size_t stride,
                  size_t width, const float *bias) {
    for (size_t b = 0; b < n; b++) {
        float *row = y + b * stride;
        fed_add_row(row, bias, fed_panels_padded(width));
        switch (activation) {
        case FED_LINEAR: break;
        case FED_RELU: relu(row, fed_panels_padded(width)); break;
        case FED_TANH: kernels->tanh(row, width); break;
        case FED_SIGMOID: kernels->sigmoid(row, width); break;
        }
    }
}

void fed_through_activation(float *restrict gradient, const float *restrict y, size_t n, enum fed_activation activation) {
    for (size_t j0 = 0; j0 < n; j0 += FED_PANEL) {
        float *restrict g = gradient + j0;
        const float *restrict a = y + j0;
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

/* -- a batch -------------------------------------------------------------------------------------------------------------
 */

static struct layer *last_layer(struct fed_network *net) { return &net->layers[net->n_layers - 1]; }

static void forward(struct fed_network *net, size_t rows) {
    assert(rows > 0 && rows <= net->batch.max_rows);
    for (uint32_t l = 0; l < net->n_layers; l++) {
        net->layers[l].kind->forward(&net->layers[l], rows);
    }
}

double fed_network_step(struct fed_network *net, size_t rows, const struct fed_sgd *sgd) {
    assert(sgd->momentum == 0.0f || last_layer(net)->use == FED_NETWORK_MOMENTUM);
    forward(net, rows);
    double loss =
        fed_loss_gradient(net->model->spec.loss, net->kernels, last_layer(net), &net->batch, rows, sgd->learning_rate);
    for (uint32_t l = net->n_layers; l-- > net->first_learning;) {
        net->layers[l].kind->backward(&net->layers[l], rows, sgd);
    }
    return loss;
}

void fed_network_evaluate(struct fed_network *net, size_t rows, double *loss_sum, size_t *n_correct) {
    forward(net, rows);
    *loss_sum += fed_loss_evaluate(net->model->spec.loss, net->kernels, last_layer(net), &net->batch, rows, n_correct);
}

const float *fed_network_outputs(struct fed_network *net, size_t rows, size_t *stride) {
    forward(net, rows);
    *stride = last_layer(net)->y.row;
    return last_layer(net)->y.data;
}
