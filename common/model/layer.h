/* One layer at work in a network. Inside common/model only.
 *
 * A layer owns its weights in kernel layout and its outputs; it reads the outputs of the layer before and writes their
 * gradient. Gradients of outputs carry the learning rate and its sign from the loss on (-rate / rows), so an update is a
 * plain accumulation: into the weights, or into their velocities, which the weights then take as they are. */
#ifndef FED_COMMON_MODEL_LAYER_H
#define FED_COMMON_MODEL_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/model.h"
#include "common/model/network.h"
#include "common/numeric/kernels.h"

/* What passes between layers: channel c of pixel p of row b at step t stands at data[t * step + b * row + p * pixel + c].
 * Rows of one step and pixels of one row are neighbours. Beyond the channels, up to a multiple of 32, are zeros (not in the
 * batch of a network that starts with images or sequences: there examples stand as in the data). */
struct values {
    float *data;
    size_t step, row, pixel;
};

/* Weights or biases in kernel layout, padding included. */
struct parameters {
    float *w;
    float *velocity; /* NULL: gradients are folded into w at once; see fed_parameters_place */
    size_t n;
};

#define FED_ARENA_ALIGNMENT 64

/* Cuts arrays off one aligned block; with no block yet it only counts. `used` sticks at SIZE_MAX once the count overflows.
 */
struct arena {
    char *block;
    size_t used; /* bytes */
};

struct layer {
    const struct layer_kind *kind;
    const struct fed_kernels *kernels;
    const struct fed_layer_spec *spec;
    struct fed_shape in, out;         /* shapes */
    const struct fed_tensor *tensors; /* of this layer */
    size_t max_batch;
    enum fed_network_use use;
    bool reads_data; /* no layer before this one has parameters */

    struct values x;              /* the outputs of the layer before, or the batch */
    struct values x_gradient;     /* to be written; data NULL, row 0: no layer before this one learns */
    const uint32_t *symbols;      /* (max_batch, steps): embedding */
    struct values y;              /* outputs, after the activation */
    struct values gradient;       /* of the outputs, written by the layer after; backward may overwrite it */
    struct parameters weights[2]; /* dense, conv2d, embedding: [0]. LSTM: ih, hh */
    struct parameters bias;
    union {
        struct {
            float *turned;         /* of a sequence: weights turned over, for the way back */
            uint32_t *column_list; /* room for the inputs that are not zero in the whole batch */
            const uint32_t
                *columns; /* that list, or NULL if it holds all inputs: the same products either way, but faster */
            size_t n_columns;
        } dense;
        struct {
            float *image;   /* inputs with a border of zeros */
            float *dilated; /* gradients with a border, spread by the stride: what the input's gradient reads */
            float *flipped; /* the filter turned over, for the input's gradient */
        } conv;
        struct {
            float *gates, *cell, *tanh_cell; /* every step, for the way back */
            float *turned[2];                /* weights turned over, for the way back */
            float *d_cell;                   /* of one step */
        } lstm;
    } at;
};

struct layer_kind {
    /* Takes the layer's arrays; called twice, without and with a block. Sets y, and gradient unless use is EVALUATE. */
    void (*place)(struct layer *layer, struct arena *arena);
    /* params: the canonical block. NULL: no parameters. */
    void (*load)(struct layer *layer, const float *params);
    void (*store)(const struct layer *layer, float *params);
    /* x (or symbols) -> y for the first rows of the batch. */
    void (*forward)(struct layer *layer, size_t rows);
    /* gradient -> x_gradient, unless nobody wants it, and then the update. */
    void (*backward)(struct layer *layer, size_t rows, const struct fed_sgd *sgd);
};

extern const struct layer_kind fed_layer_dense, fed_layer_conv2d, fed_layer_max_pool, fed_layer_flatten, fed_layer_embedding,
    fed_layer_lstm;

/* Does a layer before this one learn, so that x_gradient is to be written? Known in place() too. */
static inline bool fed_layer_passes_on(const struct layer *layer) { return layer->x_gradient.row > 0; }

/* How far the first of n_out windows reaches out of n_in inputs: the smaller half of what is missing. */
static inline size_t fed_window_border(const struct fed_layer_spec *spec, size_t n_in, size_t n_out) {
    size_t reach = (n_out - 1) * spec->stride + spec->kernel;
    return spec->padding == FED_SAME && reach > n_in ? (reach - n_in) / 2 : 0;
}

/* rows x stride words of four bytes, 64-byte aligned; zeroed when the block is. */
void *fed_arena_take(struct arena *arena, size_t rows, size_t stride);
/* Outputs of shape `out` for max_batch rows, and their gradients where they are wanted. */
void fed_layer_place_outputs(struct layer *layer, struct arena *arena);
/* Weights that meet several places of one example, steps or pixels, have a velocity in any training: the gradients of a step
 * are summed in it from zero. Each of a thousand additions to the weight itself would be rounded to the weight's last place,
 * and those that are smaller than it would be lost. */
void fed_parameters_place(struct parameters *p, const struct layer *layer, struct arena *arena, size_t n);

/* Where a step folds its gradients: the weights themselves, or their velocities; decay is applied on the way. All reads of
 * the weights for this step come before. */
float *fed_parameters_open(const struct parameters *p, const struct fed_sgd *sgd);
void fed_parameters_close(const struct parameters *p);

/* row[j] += add[j] for stride values, a multiple of 32. */
void fed_add_row(float *restrict row, const float *restrict add, size_t stride);
/* The same for n rows after each other, in their order. */
void fed_add_rows(float *restrict row, const float *restrict add, size_t n, size_t stride);
/* y = activation(y + bias) over `n` rows, `stride` apart; width <= stride. */
void fed_activate(const struct fed_kernels *kernels, enum fed_activation activation, float *y, size_t n, size_t stride,
                  size_t width, const float *bias);
/* gradient *= activation'(before), told from the activation's value; n floats, a multiple of 32. */
void fed_through_activation(float *restrict gradient, const float *restrict y, size_t n, enum fed_activation activation);

/* The gradient of the scaled loss at the outputs, and the summed loss (see fed_network_step). outputs may be overwritten. */
double fed_loss_gradient(enum fed_loss loss, const struct fed_kernels *kernels, const struct layer *last,
                         const struct fed_batch *batch, size_t rows, float learning_rate);
/* The summed loss alone; counts hits. */
double fed_loss_evaluate(enum fed_loss loss, const struct fed_kernels *kernels, const struct layer *last,
                         const struct fed_batch *batch, size_t rows, struct fed_hits *hits);

#endif
