/* Images or sequences as vectors, in PyTorch's order: steps, channels, height, width. */
#include "common/model/layer.h"
#include "common/numeric/transpose.h"

static void forward(struct layer *layer, size_t rows) {
    size_t channels = layer->in.channels, n_pixels = (size_t)layer->in.height * layer->in.width;
    for (size_t b = 0; b < rows; b++) {
        for (size_t t = 0; t < layer->in.steps; t++) {
            fed_transpose(layer->y.data + b * layer->y.row + t * channels * n_pixels, n_pixels,
                          layer->x.data + t * layer->x.step + b * layer->x.row, layer->x.pixel, n_pixels, channels);
        }
    }
}

static void backward(struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    (void)sgd;
    size_t channels = layer->in.channels, n_pixels = (size_t)layer->in.height * layer->in.width;
    for (size_t b = 0; b < rows; b++) {
        for (size_t t = 0; t < layer->in.steps; t++) {
            fed_transpose(layer->x_gradient.data + t * layer->x_gradient.step + b * layer->x_gradient.row,
                          layer->x_gradient.pixel, layer->gradient.data + b * layer->gradient.row + t * channels * n_pixels,
                          n_pixels, channels, n_pixels);
        }
    }
}

const struct layer_kind fed_layer_flatten = {fed_layer_place_outputs, NULL, NULL, forward, backward};
