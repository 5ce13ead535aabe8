/* A dense layer, over the vectors of a batch or of every step of it: y = activation(x W + b). */
#include <string.h>

#include "common/model/layer.h"
#include "common/numeric/panels.h"

/* Floats of weights that stay in the second cache between the gradient of the inputs, which reads them, and their update. */
#define BLOCK_FLOATS ((size_t)1 << 18)

static size_t n_in(const struct layer *layer) { return layer->in.channels; }
static size_t n_out(const struct layer *layer) { return layer->out.channels; }

/* Only the first layer that learns skips columns: inputs are often zero where hidden units are not. */
static bool skips_columns(const struct layer *layer) { return layer->reads_data && layer->in.steps == 1; }

/* Outputs whose weights make a block: whole panels. */
static size_t block_of(const struct layer *layer) {
    size_t panels = BLOCK_FLOATS / (FED_PANEL * n_in(layer));
    return FED_PANEL * (panels > 0 ? panels : 1);
}

static void place(struct layer *layer, struct arena *arena) {
    fed_parameters_place(&layer->weights[0], layer, arena, fed_panels_size(n_in(layer), n_out(layer)));
    fed_parameters_place(&layer->bias, layer, arena, fed_panels_padded(n_out(layer)));
    if (skips_columns(layer)) {
        layer->at.dense.column_list = fed_arena_take(arena, 1, layer->x.row);
    }
    if (layer->in.steps > 1 && layer->use != FED_NETWORK_EVALUATE && fed_layer_passes_on(layer)) {
        layer->at.dense.turned = fed_arena_take(arena, 1, fed_panels_size(n_out(layer), n_in(layer)));
    }
    fed_layer_place_outputs(layer, arena);
}

static void load(struct layer *layer, const float *params) {
    fed_panels_load(layer->weights[0].w, params + layer->tensors[0].offset, n_in(layer), n_out(layer));
    memcpy(layer->bias.w, params + layer->tensors[1].offset, n_out(layer) * sizeof *params);
}

static void store(const struct layer *layer, float *params) {
    fed_panels_store(params + layer->tensors[0].offset, layer->weights[0].w, n_in(layer), n_out(layer));
    memcpy(params + layer->tensors[1].offset, layer->bias.w, n_out(layer) * sizeof *params);
}

static struct fed_rows rows_of(const struct values *values, uint32_t steps, size_t rows) {
    return steps == 1 ? fed_rows_plain(rows, values->row)
                      : (struct fed_rows){{1, steps, rows}, {0, values->step, values->row}};
}

static struct fed_inputs inputs_of(const struct layer *layer, size_t rows) {
    return (struct fed_inputs){.x = layer->x.data,
                               .rows = rows_of(&layer->x, layer->in.steps, rows),
                               .runs = 1,
                               .columns = layer->at.dense.columns,
                               .n_columns = layer->at.dense.n_columns};
}

static void find_columns(struct layer *layer, size_t rows) {
    layer->at.dense.columns = NULL;
    layer->at.dense.n_columns = n_in(layer);
    if (skips_columns(layer)) {
        size_t n = layer->kernels->live_columns(layer->at.dense.column_list, layer->x.data, layer->x.row, rows);
        if (n < n_in(layer)) {
            layer->at.dense.columns = layer->at.dense.column_list;
            layer->at.dense.n_columns = n;
        }
    }
}

static void forward(struct layer *layer, size_t rows) {
    find_columns(layer, rows);
    struct fed_inputs in = inputs_of(layer, rows);
    struct fed_rows out = rows_of(&layer->y, layer->out.steps, rows);
    layer->kernels->forward(layer->y.data, &out, &in, layer->weights[0].w, n_in(layer), n_out(layer), false);
    for (size_t t = 0; t < layer->out.steps; t++) {
        fed_activate(layer->kernels, layer->spec->activation, layer->y.data + t * layer->y.step, rows, layer->y.row,
                     n_out(layer), layer->bias.w);
    }
}

/* A sequence has many rows, a few at each step: with its weights turned over, all of them go one way as on the way forward.
 */
static void sequence_gradient(const struct layer *layer, size_t rows, const struct fed_rows *g_rows) {
    struct fed_rows x_rows = rows_of(&layer->x_gradient, layer->in.steps, rows);
    struct fed_inputs gradients = {.x = layer->gradient.data, .rows = *g_rows, .runs = 1};
    fed_panels_transpose(layer->at.dense.turned, layer->weights[0].w, n_in(layer), n_out(layer));
    layer->kernels->forward(layer->x_gradient.data, &x_rows, &gradients, layer->at.dense.turned, n_out(layer), n_in(layer),
                            false);
}

/* Outputs first ... first + width - 1 of the inputs' gradient. */
static void input_gradient(const struct layer *layer, size_t rows, size_t first, size_t width) {
    layer->kernels->input_gradient(layer->x_gradient.data, layer->x_gradient.row, layer->gradient.data + first,
                                   layer->gradient.row, rows, layer->weights[0].w + first * n_in(layer), n_in(layer), width,
                                   first > 0);
}

/* And of the update. */
static void update(const struct layer *layer, const struct fed_inputs *in, const struct fed_rows *g_rows, size_t first,
                   size_t width, const struct fed_sgd *sgd) {
    const struct parameters *all = &layer->weights[0];
    struct parameters part = {.w = all->w + first * n_in(layer),
                              .velocity = all->velocity != NULL ? all->velocity + first * n_in(layer) : NULL,
                              .n = fed_panels_size(n_in(layer), width)};
    float *to = fed_parameters_open(&part, sgd);
    layer->kernels->update(to, in, layer->gradient.data + first, g_rows, n_in(layer), width);
    fed_parameters_close(&part);
}

static void update_bias(const struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    float *bias = fed_parameters_open(&layer->bias, sgd);
    for (size_t t = 0; t < layer->out.steps; t++) {
        fed_add_rows(bias, layer->gradient.data + t * layer->gradient.step, rows, layer->gradient.row);
    }
    fed_parameters_close(&layer->bias);
}

/* Block by block of outputs: each block's weights are read for the inputs' gradient and then updated at once. */
static void backward(struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    struct fed_inputs in = inputs_of(layer, rows);
    struct fed_rows g_rows = rows_of(&layer->gradient, layer->out.steps, rows);
    size_t block = block_of(layer);
    for (size_t t = 0; t < layer->out.steps; t++) {
        fed_through_activation(layer->gradient.data + t * layer->gradient.step, layer->y.data + t * layer->y.step,
                               rows * layer->y.row, layer->spec->activation);
    }
    if (fed_layer_passes_on(layer) && layer->in.steps > 1) {
        sequence_gradient(layer, rows, &g_rows);
    }
    for (size_t first = 0; first < n_out(layer); first += block) {
        size_t width = n_out(layer) - first < block ? n_out(layer) - first : block;
        if (fed_layer_passes_on(layer) && layer->in.steps == 1) {
            input_gradient(layer, rows, first, width);
        }
        update(layer, &in, &g_rows, first, width, sgd);
    }
    update_bias(layer, rows, sgd);
}

const struct layer_kind fed_layer_dense = {place, load, store, forward, backward};
