/* An LSTM layer (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), as PyTorch's: gates i, f, g, o
 * one after the other in a row of 4 units, no peepholes, one bias a gate, and every sequence starts from zeros.
 *
 * Canon. Before their activations the gates of a row are one chain: over the inputs of the step, on over the hidden units of
 * the step before, then the bias. The gradient of a hidden unit is one chain too: it starts at what the layer above says
 * and goes on over the gates of the step after. Weights and biases take their gradients in ascending (step, row).
 *
 * A layer runs over all steps before the next one does, so that its recurrent weights stay in the second cache. Products
 * that do not wait for the step before are made for all steps at once. On the way back weights are read turned over, from
 * copies made once a batch: the row-by-row products of the steps then are forward products as well. */
#include <assert.h>
#include <string.h>

#include "common/model/layer.h"
#include "common/numeric/panels.h"

enum { IH, HH }; /* weights: from the inputs, from the hidden units */

static size_t n_in(const struct layer *layer) { return layer->in.channels; }
static size_t n_units(const struct layer *layer) { return layer->out.channels; }
static size_t n_gates(const struct layer *layer) { return 4 * n_units(layer); }
static size_t gates_row(const struct layer *layer) { return fed_panels_padded(n_gates(layer)); }
static size_t cell_row(const struct layer *layer) { return fed_panels_padded(n_units(layer)); }

/* -- memory ------------------------------------------------------------------------------------------------------------ */

/* The way back reads every step. An evaluation needs the gates of one step and the cells of two, which take turns, and is as
 * fast: 0.22 MB of a char_lstm instead of 1.4 MB for each row of its batch. */
static size_t kept_gates(const struct layer *layer) { return layer->use != FED_NETWORK_EVALUATE ? layer->in.steps : 1; }
static size_t kept_cells(const struct layer *layer) { return layer->use != FED_NETWORK_EVALUATE ? layer->in.steps : 2; }

static float *gates_at(const struct layer *layer, size_t t) {
    size_t kept = kept_gates(layer);
    assert(kept >= 1);
    return layer->at.lstm.gates + t % kept * layer->max_batch * gates_row(layer);
}

static float *cell_at(const struct layer *layer, size_t t) {
    return layer->at.lstm.cell + t % kept_cells(layer) * layer->max_batch * cell_row(layer);
}

static float *tanh_cell_at(const struct layer *layer, size_t t) {
    return layer->at.lstm.tanh_cell + t % kept_gates(layer) * layer->max_batch * cell_row(layer);
}

static float *values_at(const struct values *values, size_t t) { return values->data + t * values->step; }

static void place(struct layer *layer, struct arena *arena) {
    size_t ih = fed_panels_size(n_in(layer), n_gates(layer)), hh = fed_panels_size(n_units(layer), n_gates(layer));
    fed_parameters_place(&layer->weights[IH], layer, arena, ih);
    fed_parameters_place(&layer->weights[HH], layer, arena, hh);
    fed_parameters_place(&layer->bias, layer, arena, gates_row(layer));
    layer->at.lstm.gates = fed_arena_take(arena, layer->max_batch, kept_gates(layer) * gates_row(layer));
    layer->at.lstm.cell = fed_arena_take(arena, layer->max_batch, kept_cells(layer) * cell_row(layer));
    layer->at.lstm.tanh_cell = fed_arena_take(arena, layer->max_batch, kept_gates(layer) * cell_row(layer));
    if (layer->use != FED_NETWORK_EVALUATE) {
        size_t turned_ih = fed_layer_passes_on(layer) ? fed_panels_size(n_gates(layer), n_in(layer)) : 0;
        layer->at.lstm.turned[IH] = fed_arena_take(arena, 1, turned_ih);
        layer->at.lstm.turned[HH] = fed_arena_take(arena, 1, fed_panels_size(n_gates(layer), n_units(layer)));
        layer->at.lstm.d_cell = fed_arena_take(arena, layer->max_batch, cell_row(layer));
    }
    fed_layer_place_outputs(layer, arena);
}

static void load(struct layer *layer, const float *params) {
    fed_panels_load(layer->weights[IH].w, params + layer->tensors[0].offset, n_in(layer), n_gates(layer));
    fed_panels_load(layer->weights[HH].w, params + layer->tensors[1].offset, n_units(layer), n_gates(layer));
    memcpy(layer->bias.w, params + layer->tensors[2].offset, n_gates(layer) * sizeof *params);
}

static void store(const struct layer *layer, float *params) {
    fed_panels_store(params + layer->tensors[0].offset, layer->weights[IH].w, n_in(layer), n_gates(layer));
    fed_panels_store(params + layer->tensors[1].offset, layer->weights[HH].w, n_units(layer), n_gates(layer));
    memcpy(params + layer->tensors[2].offset, layer->bias.w, n_gates(layer) * sizeof *params);
}

/* -- rows of products -------------------------------------------------------------------------------------------------- */

/* The first rows of `steps` steps, in the order of the canon. */
static struct fed_rows steps_of(size_t steps, size_t step, size_t rows, size_t row) {
    return (struct fed_rows){{1, steps, rows}, {0, step, row}};
}

static struct fed_rows gates_of(const struct layer *layer, size_t steps, size_t rows) {
    return steps_of(steps, layer->max_batch * gates_row(layer), rows, gates_row(layer));
}

static struct fed_rows values_of(const struct values *values, size_t steps, size_t rows) {
    return steps_of(steps, values->step, rows, values->row);
}

/* -- forward ----------------------------------------------------------------------------------------------------------- */

/* The gates hold the products of the inputs. */
static void step_forward(struct layer *layer, size_t rows, size_t t) {
    float *gates = gates_at(layer, t), *cell = cell_at(layer, t), *tanh_cell = tanh_cell_at(layer, t);
    float *hidden = values_at(&layer->y, t), *before = t > 0 ? cell_at(layer, t - 1) : NULL;
    if (t > 0) {
        struct fed_inputs in = {.x = values_at(&layer->y, t - 1), .rows = values_of(&layer->y, 1, rows), .runs = 1};
        struct fed_rows out = gates_of(layer, 1, rows);
        layer->kernels->forward(gates, &out, &in, layer->weights[HH].w, n_units(layer), n_gates(layer), true);
    }
    for (size_t b = 0; b < rows; b++) {
        size_t at = b * cell_row(layer);
        fed_add_row(gates + b * gates_row(layer), layer->bias.w, gates_row(layer));
        layer->kernels->lstm_cell(gates + b * gates_row(layer), cell + at, tanh_cell + at, hidden + b * layer->y.row,
                                  before != NULL ? before + at : NULL, n_units(layer));
    }
}

static void forward(struct layer *layer, size_t rows) {
    size_t hoisted = kept_gates(layer);
    for (size_t t0 = 0; t0 < layer->in.steps; t0 += hoisted) {
        struct fed_inputs in = {.x = values_at(&layer->x, t0), .rows = values_of(&layer->x, hoisted, rows), .runs = 1};
        struct fed_rows out = gates_of(layer, hoisted, rows);
        layer->kernels->forward(gates_at(layer, t0), &out, &in, layer->weights[IH].w, n_in(layer), n_gates(layer), false);
        for (size_t t = t0; t < t0 + hoisted; t++) {
            step_forward(layer, rows, t);
        }
    }
}

/* -- backward ---------------------------------------------------------------------------------------------------------- */

/* Turns the gates of step t into their gradients. */
static void step_backward(struct layer *layer, size_t rows, size_t t) {
    float *d_hidden = values_at(&layer->gradient, t), *before = t > 0 ? cell_at(layer, t - 1) : NULL;
    if (t + 1 < layer->in.steps) {
        struct fed_inputs in = {.x = gates_at(layer, t + 1), .rows = gates_of(layer, 1, rows), .runs = 1};
        struct fed_rows out = values_of(&layer->gradient, 1, rows);
        layer->kernels->forward(d_hidden, &out, &in, layer->at.lstm.turned[HH], n_gates(layer), n_units(layer), true);
    }
    for (size_t b = 0; b < rows; b++) {
        size_t at = b * cell_row(layer);
        layer->kernels->lstm_cell_gradient(gates_at(layer, t) + b * gates_row(layer), layer->at.lstm.d_cell + at,
                                           d_hidden + b * layer->gradient.row, tanh_cell_at(layer, t) + at,
                                           before != NULL ? before + at : NULL, n_units(layer));
    }
}

static void hand_gradient_on(struct layer *layer, size_t rows) {
    struct fed_inputs in = {.x = layer->at.lstm.gates, .rows = gates_of(layer, layer->in.steps, rows), .runs = 1};
    struct fed_rows out = values_of(&layer->x_gradient, layer->in.steps, rows);
    fed_panels_transpose(layer->at.lstm.turned[IH], layer->weights[IH].w, n_in(layer), n_gates(layer));
    layer->kernels->forward(layer->x_gradient.data, &out, &in, layer->at.lstm.turned[IH], n_gates(layer), n_in(layer),
                            false);
}

/* Adds the gradients of `steps` steps from step t on, of which x are the inputs. */
static void update_weights(struct layer *layer, const struct parameters *weights, const struct values *x, size_t n_inputs,
                           size_t t, size_t steps, size_t rows, const struct fed_sgd *sgd) {
    struct fed_inputs in = {.x = x->data, .rows = values_of(x, steps, rows), .runs = 1};
    struct fed_rows gates = gates_of(layer, steps, rows);
    float *to = fed_parameters_open(weights, sgd);
    if (steps > 0) {
        layer->kernels->update(to, &in, gates_at(layer, t), &gates, n_inputs, n_gates(layer));
    }
    fed_parameters_close(weights);
}

static void update_bias(struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    float *bias = fed_parameters_open(&layer->bias, sgd);
    for (size_t t = 0; t < layer->in.steps; t++) {
        fed_add_rows(bias, gates_at(layer, t), rows, gates_row(layer));
    }
    fed_parameters_close(&layer->bias);
}

static void backward(struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    size_t steps = layer->in.steps;
    fed_panels_transpose(layer->at.lstm.turned[HH], layer->weights[HH].w, n_units(layer), n_gates(layer));
    memset(layer->at.lstm.d_cell, 0, rows * cell_row(layer) * sizeof(float));
    for (size_t t = steps; t-- > 0;) {
        step_backward(layer, rows, t);
    }
    if (fed_layer_passes_on(layer)) {
        hand_gradient_on(layer, rows);
    }
    update_weights(layer, &layer->weights[IH], &layer->x, n_in(layer), 0, steps, rows, sgd);
    /* Before step 0 the hidden units are zeros: it changes nothing. */
    update_weights(layer, &layer->weights[HH], &layer->y, n_units(layer), 1, steps - 1, rows, sgd);
    update_bias(layer, rows, sgd);
}

const struct layer_kind fed_layer_lstm = {place, load, store, forward, backward};
