/* The canonical block is little-endian float32 in memory as it is in files and on the wire: nothing is converted. */
#include "common/model/model.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/seal/digest.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "parameters are little-endian in memory");
_Static_assert(sizeof(float) == 4, "parameters are IEEE float32");

#define DIGEST_PIECE ((size_t)1024 * 1024) /* bytes */

static const struct fed_model_spec presets[] = {
    {.preset = "mnist_2nn", .inputs = 784, .n_layers = 3, .layers = {{200, FED_RELU}, {200, FED_RELU}, {10, FED_LINEAR}}},
    {.preset = "logistic", .inputs = 784, .n_layers = 1, .layers = {{10, FED_LINEAR}}},
};
#define N_PRESETS (sizeof presets / sizeof *presets)

static const char *const activation_names[] = {"linear", "relu", "tanh", "sigmoid"};
#define N_ACTIVATIONS (sizeof activation_names / sizeof *activation_names)

int fed_model_preset(struct fed_model_spec *out, const char *name) {
    for (size_t i = 0; i < N_PRESETS; i++) {
        if (strcmp(presets[i].preset, name) == 0) {
            *out = presets[i];
            return 0;
        }
    }
    return FED_ENOTFOUND;
}

const char *fed_model_preset_names(void) { return "mnist_2nn, logistic"; }

const char *fed_activation_name(enum fed_activation activation) {
    assert((size_t)activation < N_ACTIVATIONS);
    return activation_names[activation];
}

int fed_activation_parse(enum fed_activation *out, const char *name) {
    for (size_t i = 0; i < N_ACTIVATIONS; i++) {
        if (strcmp(activation_names[i], name) == 0) {
            *out = (enum fed_activation)i;
            return 0;
        }
    }
    return FED_ENOTFOUND;
}

static int check_spec(const struct fed_model_spec *spec, struct fed_error *err) {
    if (spec->inputs < 1 || spec->inputs > FED_MAX_UNITS) {
        return fed_error_set(err, FED_ECONFIG, "model.input: %" PRIu32 " found, 1 to %u is allowed", spec->inputs,
                             FED_MAX_UNITS);
    }
    if (spec->n_layers < 1 || spec->n_layers > FED_MAX_LAYERS) {
        return fed_error_set(err, FED_ECONFIG, "model.layers: %" PRIu32 " layers found, 1 to %d are allowed", spec->n_layers,
                             FED_MAX_LAYERS);
    }
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        const struct fed_layer_spec *layer = &spec->layers[i];
        if (layer->units < 1 || layer->units > FED_MAX_UNITS) {
            return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].units: %" PRIu32 " found, 1 to %u is allowed",
                                 i, layer->units, FED_MAX_UNITS);
        }
        if ((size_t)layer->activation >= N_ACTIVATIONS) {
            return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].activation: unknown", i);
        }
    }
    const struct fed_layer_spec *last = &spec->layers[spec->n_layers - 1];
    if (last->activation != FED_LINEAR) {
        return fed_error_set(err, FED_ECONFIG,
                             "model.layers[%" PRIu32 "].activation: %s found, but the last layer must be linear: softmax "
                             "belongs to the loss",
                             spec->n_layers - 1, fed_activation_name(last->activation));
    }
    if (last->units < 2) {
        return fed_error_set(err, FED_ECONFIG,
                             "model.layers[%" PRIu32 "].units: 1 found, but the last layer needs one unit for each of at "
                             "least 2 classes",
                             spec->n_layers - 1);
    }
    return 0;
}

static void add_tensor(struct fed_model *model, const char *layer, const char *part, uint64_t rows, uint64_t columns) {
    struct fed_tensor *t = &model->tensors[model->n_tensors++];
    snprintf(t->name, sizeof t->name, "%s.%s", layer, part);
    t->n_dims = columns == 0 ? 1 : 2;
    t->dims[0] = rows;
    t->dims[1] = columns;
    t->offset = model->n_params;
    t->count = (size_t)(rows * (columns == 0 ? 1 : columns));
    model->n_params += t->count;
}

int fed_model_init(struct fed_model *out, const struct fed_model_spec *spec, struct fed_error *err) {
    int rc = check_spec(spec, err);
    if (rc != 0) {
        return rc;
    }
    struct fed_model model = {.spec = *spec};
    uint64_t inputs = spec->inputs;
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        char name[16] = "out";
        uint64_t units = spec->layers[i].units;
        if (i + 1 < spec->n_layers) {
            snprintf(name, sizeof name, "fc%" PRIu32, i + 1);
        }
        add_tensor(&model, name, "weight", units, inputs);
        add_tensor(&model, name, "bias", units, 0);
        if (model.n_params > FED_MAX_PARAMS) {
            return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "]: more than %zu parameters up to here", i,
                                 FED_MAX_PARAMS);
        }
        inputs = units;
    }
    model.n_classes = spec->layers[spec->n_layers - 1].units;
    *out = model;
    return 0;
}

/* Every operation is an IEEE one, rounded once, so the bits are the same everywhere. */
static void draw_weights(float *w, const struct fed_tensor *t, struct fed_rng *rng) {
    float limit = (float)sqrt(6.0 / (double)(t->dims[0] + t->dims[1]));
    for (size_t i = 0; i < t->count; i++) {
        w[i] = (2.0f * fed_rng_f32(rng) - 1.0f) * limit;
    }
}

void fed_model_initial(float *params, const struct fed_model *model, uint64_t seed) {
    struct fed_rng rng;
    fed_rng_init(&rng, seed, FED_RNG_INITIAL, 0, 0);
    for (uint32_t i = 0; i < model->n_tensors; i++) {
        const struct fed_tensor *t = &model->tensors[i];
        if (t->n_dims == 2) {
            draw_weights(params + t->offset, t, &rng);
        } else {
            memset(params + t->offset, 0, t->count * sizeof *params);
        }
    }
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

static void digest_table(uint8_t out[FED_DIGEST_BYTES], const struct fed_model *model) {
    struct fed_digest_state state;
    fed_digest_init(&state);
    for (uint32_t i = 0; i < model->n_tensors; i++) {
        const struct fed_tensor *t = &model->tensors[i];
        fed_digest_update(&state, t->name, strlen(t->name) + 1);
        fed_digest_update(&state, &t->n_dims, sizeof t->n_dims);
        fed_digest_update(&state, t->dims, t->n_dims * sizeof t->dims[0]);
    }
    fed_digest_final(out, &state);
}

void fed_model_digest(uint8_t out[32], const struct fed_model *model, const float *params) {
    const uint8_t *bytes = (const uint8_t *)params;
    size_t left = model->n_params * sizeof *params;
    uint8_t piece[FED_DIGEST_BYTES];
    struct fed_digest_state state;
    fed_digest_init(&state);
    digest_table(piece, model);
    fed_digest_update(&state, piece, sizeof piece);
    while (left > 0) {
        size_t n = left < DIGEST_PIECE ? left : DIGEST_PIECE;
        fed_digest(piece, bytes, n);
        fed_digest_update(&state, piece, sizeof piece);
        bytes += n;
        left -= n;
    }
    fed_digest_final(out, &state);
}
