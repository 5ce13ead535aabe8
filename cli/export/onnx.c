/* Layer by layer. Weights keep their names, their order and their bits wherever ONNX takes them as they are: it has
 * PyTorch's order for all but the gates of an LSTM. Images go channels first, as everywhere in ONNX; flatten then is plain.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/export/export.h"
#include "cli/export/onnx_file.h"

#define NAME 64

struct graph {
    struct fed_onnx *onnx;
    const struct fed_model *model;
    const float *params;
    bool steps;      /* values have an axis of steps behind the batch */
    char last[NAME]; /* the value at hand */
};

/* -- names ------------------------------------------------------------------------------------------------------------- */

static const struct fed_tensor *tensor_of(const struct graph *g, uint32_t l, uint32_t i) {
    return &g->model->tensors[g->model->layers[l].first_tensor + i];
}

/* "fc1.relu"; layers of ours have short names. */
static void join(char out[NAME], const char *layer, const char *part) {
    int n = snprintf(out, NAME, "%s%s%s", layer, part[0] != '\0' ? "." : "", part);
    assert(n > 0 && n < NAME);
    (void)n;
}

/* "fc1"; layers without weights are called after their kind and counted, as the others are. */
static void name_layer(char out[NAME], const struct graph *g, uint32_t l) {
    const struct fed_layer_spec *layers = g->model->spec.layers;
    if (layers[l].kind != FED_MAX_POOL && layers[l].kind != FED_FLATTEN) {
        const char *name = tensor_of(g, l, 0)->name;
        snprintf(out, NAME, "%.*s", (int)strcspn(name, "."), name);
        return;
    }
    unsigned number = 0;
    for (uint32_t i = 0; i <= l; i++) {
        number += layers[i].kind == layers[l].kind;
    }
    snprintf(out, NAME, "%s%u", layers[l].kind == FED_FLATTEN ? "flatten" : "pool", number);
}

/* A node over the value at hand, `others` after it; its output is "layer" or "layer.part", and is at hand now. */
static void apply(struct graph *g, const char *operator, const char * layer, const char *part, const char *const *others) {
    char output[NAME];
    const char *inputs[8] = {g->last};
    for (size_t i = 0; others != NULL && others[i] != NULL; i++) {
        inputs[i + 1] = others[i];
    }
    join(output, layer, part);
    fed_onnx_node(g->onnx, operator, inputs, output);
    memcpy(g->last, output, sizeof output);
}

static const char *add_tensor(struct graph *g, const struct fed_tensor *tensor) {
    fed_onnx_weights(g->onnx, tensor->name, g->params + tensor->offset, tensor->dims, tensor->n_dims);
    return tensor->name;
}

/* -- layers ------------------------------------------------------------------------------------------------------------ */

static void add_activation(struct graph *g, const char *layer, enum fed_activation activation) {
    static const char *const operators[] = {[FED_RELU] = "Relu", [FED_TANH] = "Tanh", [FED_SIGMOID] = "Sigmoid"};
    if (activation != FED_LINEAR) {
        apply(g, operators[activation], layer, fed_activation_name(activation), NULL);
    }
}

/* Over the steps of a sequence a product of matrices, which Gemm is not. */
static void add_dense(struct graph *g, uint32_t l, const char *layer) {
    const char *weight = add_tensor(g, tensor_of(g, l, 0)), *bias = add_tensor(g, tensor_of(g, l, 1));
    if (g->steps) {
        char turned[NAME];
        join(turned, layer, "weight_t");
        fed_onnx_node(g->onnx, "Transpose", (const char *const[]){weight, NULL}, turned);
        fed_onnx_set_list(g->onnx, "perm", (const int64_t[]){1, 0}, 2);
        apply(g, "MatMul", layer, "product", (const char *const[]){turned, NULL});
        apply(g, "Add", layer, "", (const char *const[]){bias, NULL});
    } else {
        apply(g, "Gemm", layer, "", (const char *const[]){weight, bias, NULL});
        fed_onnx_set(g->onnx, "transB", 1);
    }
    add_activation(g, layer, g->model->spec.layers[l].activation);
}

/* What lies around the n_in inputs in front and behind, so that n_out windows fit. */
static void borders(int64_t *front, int64_t *behind, const struct fed_layer_spec *spec, uint32_t n_in, uint32_t n_out) {
    uint64_t reach = (uint64_t)(n_out - 1) * spec->stride + spec->kernel;
    uint64_t missing = spec->padding == FED_SAME && reach > n_in ? reach - n_in : 0;
    *front = (int64_t)(missing / 2);
    *behind = (int64_t)(missing - missing / 2);
}

static void set_window(struct graph *g, uint32_t l) {
    const struct fed_layer_spec *spec = &g->model->spec.layers[l];
    const struct fed_model_layer *layer = &g->model->layers[l];
    int64_t pads[4]; /* top, left, bottom, right */
    borders(&pads[0], &pads[2], spec, layer->in.height, layer->out.height);
    borders(&pads[1], &pads[3], spec, layer->in.width, layer->out.width);
    fed_onnx_set_list(g->onnx, "kernel_shape", (const int64_t[]){spec->kernel, spec->kernel}, 2);
    fed_onnx_set_list(g->onnx, "strides", (const int64_t[]){spec->stride, spec->stride}, 2);
    fed_onnx_set_list(g->onnx, "pads", pads, 4);
}

static void add_conv2d(struct graph *g, uint32_t l, const char *layer) {
    const char *weight = add_tensor(g, tensor_of(g, l, 0)), *bias = add_tensor(g, tensor_of(g, l, 1));
    apply(g, "Conv", layer, "", (const char *const[]){weight, bias, NULL});
    set_window(g, l);
    add_activation(g, layer, g->model->spec.layers[l].activation);
}

static void add_embedding(struct graph *g, uint32_t l, const char *layer) {
    const char *weight = add_tensor(g, tensor_of(g, l, 0));
    fed_onnx_node(g->onnx, "Gather", (const char *const[]){weight, g->last, NULL}, layer);
    fed_onnx_set(g->onnx, "axis", 0);
    join(g->last, layer, "");
}

/* Four blocks of `size` floats in our order of gates, i f g o, into ONNX's, i o f g. */
static void copy_gates(float *to, const float *from, size_t size) {
    static const unsigned order[4] = {0, 3, 1, 2};
    for (size_t gate = 0; to != NULL && gate < 4; gate++) {
        memcpy(to + gate * size, from + order[gate] * size, size * sizeof *to);
    }
}

static void turn_steps(struct graph *g, const char *layer, const char *part) {
    apply(g, "Transpose", layer, part, NULL);
    fed_onnx_set_list(g->onnx, "perm", (const int64_t[]){1, 0, 2}, 3);
}

/* ONNX has steps first, an axis of directions, and two biases a gate; the second is zero. */
static void add_lstm(struct graph *g, uint32_t l, const char *layer) {
    const struct fed_tensor *ih = tensor_of(g, l, 0), *hh = tensor_of(g, l, 1), *bias = tensor_of(g, l, 2);
    uint64_t units = g->model->spec.layers[l].units;
    char names[3][NAME];
    static const char *const parts[] = {"W", "R", "B"};
    for (size_t i = 0; i < 3; i++) {
        join(names[i], layer, parts[i]);
    }
    copy_gates(fed_onnx_new_weights(g->onnx, names[0], (const uint64_t[]){1, ih->dims[0], ih->dims[1]}, 3),
               g->params + ih->offset, units * ih->dims[1]);
    copy_gates(fed_onnx_new_weights(g->onnx, names[1], (const uint64_t[]){1, hh->dims[0], hh->dims[1]}, 3),
               g->params + hh->offset, units * units);
    copy_gates(fed_onnx_new_weights(g->onnx, names[2], (const uint64_t[]){1, 8 * units}, 2), g->params + bias->offset,
               units);
    turn_steps(g, layer, "steps_first");
    apply(g, "LSTM", layer, "all", (const char *const[]){names[0], names[1], names[2], NULL});
    fed_onnx_set(g->onnx, "hidden_size", (int64_t)units);
    apply(g, "Squeeze", layer, "hidden", NULL);
    fed_onnx_set_list(g->onnx, "axes", (const int64_t[]){1}, 1);
    turn_steps(g, layer, "");
}

static void add_layer(struct graph *g, uint32_t l) {
    char name[NAME];
    name_layer(name, g, l);
    switch (g->model->spec.layers[l].kind) {
    case FED_DENSE: add_dense(g, l, name); return;
    case FED_CONV2D: add_conv2d(g, l, name); return;
    case FED_MAX_POOL:
        apply(g, "MaxPool", name, "", NULL);
        set_window(g, l);
        return;
    case FED_FLATTEN:
        apply(g, "Flatten", name, "", NULL);
        fed_onnx_set(g->onnx, "axis", 1);
        g->steps = false;
        return;
    case FED_EMBEDDING: add_embedding(g, l, name); return;
    case FED_LSTM: add_lstm(g, l, name); return;
    }
}

/* -- ends -------------------------------------------------------------------------------------------------------------- */

static bool has_lstm(const struct fed_model_spec *spec) {
    for (uint32_t l = 0; l < spec->n_layers; l++) {
        if (spec->layers[l].kind == FED_LSTM) {
            return true;
        }
    }
    return false;
}

static void add_input(struct graph *g) {
    const struct fed_model_spec *spec = &g->model->spec;
    struct fed_shape in = g->model->layers[0].in;
    uint64_t dims[FED_ONNX_RANK];
    size_t n = 0;
    g->steps = spec->n_symbols > 0 || in.steps > 1 || has_lstm(spec);
    if (g->steps) {
        dims[n++] = in.steps;
    }
    if (spec->n_symbols == 0) {
        dims[n++] = in.channels;
    }
    if (in.height > 1 || in.width > 1) {
        dims[n++] = in.height;
        dims[n++] = in.width;
    }
    snprintf(g->last, NAME, "input");
    fed_onnx_input(g->onnx, g->last, spec->n_symbols > 0 ? FED_ONNX_INT64 : FED_ONNX_FLOAT, dims, n);
}

/* The last value under the name that readers look for. */
static void add_output(struct graph *g, bool probabilities) {
    const struct fed_model_spec *spec = &g->model->spec;
    struct fed_shape out = g->model->layers[spec->n_layers - 1].out;
    uint64_t dims[2] = {out.steps, out.channels};
    const char *name = probabilities ? "probabilities" : spec->loss == FED_MEAN_SQUARED_ERROR ? "output" : "logits";
    bool softmax = probabilities && spec->loss == FED_SOFTMAX_CROSS_ENTROPY;
    apply(g, softmax ? "Softmax" : probabilities ? "Sigmoid" : "Identity", name, "", NULL);
    if (softmax) {
        fed_onnx_set(g->onnx, "axis", g->steps ? 2 : 1);
    }
    fed_onnx_output(g->onnx, name, g->steps ? dims : dims + 1, g->steps ? 2 : 1);
}

int fed_export_onnx(const char *path, const struct fed_model *model, const float *params, const struct fed_export_info *info,
                    struct fed_error *err) {
    struct graph g = {.model = model, .params = params};
    if (info->probabilities && model->spec.loss == FED_MEAN_SQUARED_ERROR) {
        return fed_error_set(err, FED_ECONFIG, "--probabilities: a model with mean_squared_error has none");
    }
    if (fed_onnx_new(&g.onnx, info->name, info->sentence) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "%s: not enough memory for an ONNX model", path);
    }
    for (size_t i = 0; i < info->n_pairs; i++) {
        fed_onnx_metadata(g.onnx, info->pairs[i][0], info->pairs[i][1]);
    }
    add_input(&g);
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        add_layer(&g, l);
    }
    add_output(&g, info->probabilities);
    int code = fed_onnx_write(g.onnx, path, err);
    fed_onnx_free(g.onnx);
    return code;
}
