/* A description -> layers with their shapes, and tensors with their places in the block. The canonical block is
 * little-endian float32 in memory as it is in files and on the wire: nothing is converted. */
#include "common/model/model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/model/model_internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "parameters are little-endian in memory");
_Static_assert(sizeof(float) == 4, "parameters are IEEE float32");

static void add_tensor(struct fed_model *model, const char *layer, const char *part, uint32_t n_dims,
                       const uint64_t dims[4]) {
    struct fed_tensor *t = &model->tensors[model->n_tensors++];
    snprintf(t->name, sizeof t->name, "%s.%s", layer, part);
    t->n_dims = n_dims;
    t->offset = model->n_params;
    t->count = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        t->dims[i] = dims[i];
        t->count *= (size_t)dims[i];
    }
    model->n_params += t->count;
}

/* Bounded before: units by 2^20, a vector by 2^26, a filter by 255 x 255. */
static void add_tensors(struct fed_model *model, const char *name, const struct fed_layer_spec *layer, struct fed_shape in) {
    uint64_t units = layer->units, side = layer->kernel;
    switch (layer->kind) {
    case FED_DENSE: add_tensor(model, name, "weight", 2, (uint64_t[4]){units, in.channels}); break;
    case FED_CONV2D: add_tensor(model, name, "weight", 4, (uint64_t[4]){units, in.channels, side, side}); break;
    case FED_EMBEDDING: add_tensor(model, name, "weight", 2, (uint64_t[4]){model->spec.n_symbols, units}); return;
    case FED_LSTM:
        add_tensor(model, name, "weight_ih_l0", 2, (uint64_t[4]){4 * units, in.channels});
        add_tensor(model, name, "weight_hh_l0", 2, (uint64_t[4]){4 * units, units});
        add_tensor(model, name, "bias_ih_l0", 1, (uint64_t[4]){4 * units});
        return;
    case FED_MAX_POOL:
    case FED_FLATTEN: return;
    }
    add_tensor(model, name, "bias", 1, (uint64_t[4]){units});
}

static void name_layer(char out[16], const struct fed_model_spec *spec, uint32_t i) {
    static const char *const stems[] = {"fc", "conv", "", "", "embed", "lstm"};
    uint32_t number = 0;
    for (uint32_t l = 0; l <= i; l++) {
        number += spec->layers[l].kind == spec->layers[i].kind;
    }
    if (i + 1 == spec->n_layers) {
        snprintf(out, 16, "out");
    } else if (spec->layers[i].kind == FED_EMBEDDING) {
        snprintf(out, 16, "%s", stems[FED_EMBEDDING]);
    } else {
        snprintf(out, 16, "%s%" PRIu32, stems[spec->layers[i].kind], number);
    }
}

/* Layer i, which is given *shape, and makes another of it. */
static int add_layer(struct fed_model *model, uint32_t i, struct fed_shape *shape, struct fed_error *err) {
    const struct fed_layer_spec *spec = &model->spec.layers[i];
    struct fed_model_layer *layer = &model->layers[i];
    char name[16];
    *layer = (struct fed_model_layer){.in = *shape, .first_tensor = model->n_tensors};
    int rc = fed_shape_infer(&layer->out, spec, layer->in, err);
    if (rc != 0) {
        return fed_error_prefix(err, rc, "model.layers[%" PRIu32 "]", i);
    }
    if (fed_shape_size(layer->out) > FED_MAX_FEATURES) {
        return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "]: more than %zu outputs an example", i,
                             FED_MAX_FEATURES);
    }
    name_layer(name, &model->spec, i);
    add_tensors(model, name, spec, layer->in);
    if (model->n_params > FED_MAX_PARAMS) {
        return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "]: more than %zu parameters up to here", i,
                             FED_MAX_PARAMS);
    }
    *shape = layer->out;
    return 0;
}

static uint32_t count_classes(enum fed_loss loss, struct fed_shape outputs) {
    switch (loss) {
    case FED_SOFTMAX_CROSS_ENTROPY: return outputs.channels;
    case FED_BINARY_CROSS_ENTROPY: return 2;
    case FED_MEAN_SQUARED_ERROR: break;
    }
    return 0;
}

int fed_model_init(struct fed_model *out, const struct fed_model_spec *spec, struct fed_error *err) {
    int rc = fed_model_check_spec(spec, err);
    if (rc != 0) {
        return rc;
    }
    struct fed_model model = {.spec = *spec};
    struct fed_shape shape = fed_shape_whole(spec->input);
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        rc = add_layer(&model, i, &shape, err);
        if (rc != 0) {
            return rc;
        }
    }
    model.n_classes = count_classes(spec->loss, shape);
    model.n_targets = spec->loss == FED_MEAN_SQUARED_ERROR ? (uint32_t)fed_shape_size(shape) : shape.steps;
    rc = fed_model_check_classes(&model, err);
    if (rc == 0) {
        *out = model;
    }
    return rc;
}

const struct fed_tensor *fed_model_locate(const struct fed_model *model, size_t i, size_t *element) {
    assert(i < model->n_params);
    const struct fed_tensor *t = model->tensors;
    while (i - t->offset >= t->count) {
        t++;
    }
    *element = i - t->offset;
    return t;
}
