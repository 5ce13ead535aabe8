/* Layers in a row over one aligned block of floats. A step goes forward through them, asks the loss for the gradient of the
 * last outputs, and goes back: each layer first hands the gradient on from its weights, then updates them. */
#include "common/model/network.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/layer.h"
#include "common/numeric/panels.h"

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
    assert(in.steps >= 1);
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
                                        .reads_data = l <= net->first_learning,
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
    net->block = bytes == SIZE_MAX ? NULL : aligned_alloc(FED_ARENA_ALIGNMENT, bytes);
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

/* -- a batch ----------------------------------------------------------------------------------------------------------- */

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

void fed_network_evaluate(struct fed_network *net, size_t rows, double *loss_sum, struct fed_hits *hits) {
    forward(net, rows);
    *loss_sum += fed_loss_evaluate(net->model->spec.loss, net->kernels, last_layer(net), &net->batch, rows, hits);
}

const float *fed_network_outputs(struct fed_network *net, size_t rows, size_t *stride) {
    forward(net, rows);
    *stride = last_layer(net)->y.row;
    return last_layer(net)->y.data;
}
