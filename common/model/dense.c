/* A dense layer, over the vectors of a batch or of every step of it: y = activation(x W + b). */
#include <string.h>

#include "common/model/layer.h"
#include "common/numeric/panels.h"

/* Weights of this many outputs stay in the second cache between the gradient of the inputs, which reads them, and their
 * update. */
#define BLOCK_FLOATS ((size_t)1 << 18)

static size_t n_in(const struct layer *layer) { return layer->in.channels; }
static size_t n_out(const struct layer *layer) { return layer->out.channels; }

static void place(struct layer *layer, struct arena *arena) {
    fed_parameters_place(&layer->weights[0], layer, arena, fed_panels_size(n_in(layer), n_out(layer)));
    fed_parameters_place(&layer->bias, layer, arena, fed_panels_padded(n_out(layer)));
    layer->at.dense.column_list = fed_arena_take(arena, 1, fed_panels_padded(n_in(layer)));
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

/* Only the first layer skips columns: inputs are often zero where hidden units are not. */
static struct fed_inputs inputs_of(const struct layer *layer, size_t rows) {
    return (struct fed_inputs){.x = layer->x.data,
                               .rows = rows_of(&layer->x, layer->in.steps, rows),
                               .runs = 1,
                               .columns = layer->at.dense.columns,
                               .n_columns = layer->at.dense.n_columns};
}

static void find_columns(struct layer *layer, size_t rows) {
    bool skips = layer->x_gradient.data == NULL && layer->in.steps == 1;
    layer->at.dense.columns = NULL;
    layer->at.dense.n_columns = n_in(layer);
    if (skips) {
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

/* Block by block of outputs: each block's weights are read for the inputs' gradient and then updated at once. */
static void backward_blocks(struct layer *layer, size_t rows, const struct fed_inputs *in, const struct fed_rows *g_rows,
                            const struct fed_sgd *sgd) {
    size_t panel = FED_PANEL * n_in(layer), block = FED_PANEL;
    while (block < n_out(layer) && (block + FED_PANEL) * n_in(layer) <= BLOCK_FLOATS) {
        block += FED_PANEL;
    }
    bool folded = layer->weights[0].velocity == NULL && sgd->weight_decay == 0;
    for (size_t j = 0; j < n_out(layer) && layer->x_gradient.data != NULL; j += block) {
        size_t width = n_out(layer) - j < block ? n_out(layer) - j : block;
        float *w = layer->weights[0].w + j / FED_PANEL * panel;
        for (size_t t = 0; t < layer->in.steps; t++) {
            layer->kernels->input_gradient(layer->x_gradient.data + t * layer->x_gradient.step, layer->x_gradient.row,
                                           layer->gradient.data + t * layer->gradient.step + j, layer->gradient.row, rows, w,
                                           n_in(layer), width, j > 0);
        }
        if (folded) {
            layer->kernels->update(w, in, layer->gradient.data + j, g_rows, n_in(layer), width);
        }
    }
    if (!folded || layer->x_gradient.data == NULL) {
        float *to = fed_parameters_open(&layer->weights[0], sgd);
        layer->kernels->update(to, in, layer->gradient.data, g_rows, n_in(layer), n_out(layer));
        fed_parameters_close(&layer->weights[0]);
    }
}

static void backward(struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    struct fed_inputs in = inputs_of(layer, rows);
    struct fed_rows g_rows = rows_of(&layer->gradient, layer->out.steps, rows);
    for (size_t t = 0; t < layer->out.steps; t++) {
        fed_through_activation(layer->gradient.data + t * layer->gradient.step, layer->y.data + t * layer->y.step,
                               rows * layer->y.row, layer->spec->activation);
    }
    backward_blocks(layer, rows, &in, &g_rows, sgd);
    float *bias = fed_parameters_open(&layer->bias, sgd);
    for (size_t t = 0; t < layer->out.steps; t++) {
        for (size_t b = 0; b < rows; b++) {
            fed_add_row(bias, layer->gradient.data + t * layer->gradient.step + b * layer->gradient.row, layer->y.row);
        }
    }
    fed_parameters_close(&layer->bias);
}

const struct layer_kind fed_layer_dense = {place, load, store, forward, backward};
