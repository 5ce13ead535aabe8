/* An embedding: y[t][b] is the row of weights of symbol[b][t]. Rows stand as in the canonical block, each padded to whole
 * panels. Canon of the update: for every float of a symbol's row one chain of plain additions, over the gradients of its
 * occurrences in ascending (step, row of the batch). */
#include <assert.h>
#include <string.h>

#include "common/model/layer.h"
#include "common/numeric/panels.h"

static size_t n_symbols(const struct layer *layer) { return layer->tensors[0].dims[0]; }
static size_t weight_row(const struct layer *layer) { return fed_panels_padded(layer->out.channels); }

static float *row_of(const struct layer *layer, float *weights, size_t t, size_t b) {
    uint32_t symbol = layer->symbols[b * layer->in.steps + t];
    assert(symbol < n_symbols(layer));
    return weights + symbol * weight_row(layer);
}

static void place(struct layer *layer, struct arena *arena) {
    fed_parameters_place(&layer->weights[0], layer, arena, n_symbols(layer) * weight_row(layer));
    fed_layer_place_outputs(layer, arena);
}

static void load(struct layer *layer, const float *params) {
    size_t units = layer->out.channels;
    for (size_t s = 0; s < n_symbols(layer); s++) {
        memcpy(layer->weights[0].w + s * weight_row(layer), params + layer->tensors[0].offset + s * units,
               units * sizeof *params);
    }
}

static void store(const struct layer *layer, float *params) {
    size_t units = layer->out.channels;
    for (size_t s = 0; s < n_symbols(layer); s++) {
        memcpy(params + layer->tensors[0].offset + s * units, layer->weights[0].w + s * weight_row(layer),
               units * sizeof *params);
    }
}

static void forward(struct layer *layer, size_t rows) {
    for (size_t t = 0; t < layer->out.steps; t++) {
        for (size_t b = 0; b < rows; b++) {
            memcpy(layer->y.data + t * layer->y.step + b * layer->y.row, row_of(layer, layer->weights[0].w, t, b),
                   weight_row(layer) * sizeof(float));
        }
    }
}

static void backward(struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    float *weights = fed_parameters_open(&layer->weights[0], sgd);
    for (size_t t = 0; t < layer->out.steps; t++) {
        for (size_t b = 0; b < rows; b++) {
            fed_add_row(row_of(layer, weights, t, b),
                        layer->gradient.data + t * layer->gradient.step + b * layer->gradient.row, weight_row(layer));
        }
    }
    fed_parameters_close(&layer->weights[0]);
}

const struct layer_kind fed_layer_embedding = {place, load, store, forward, backward};
