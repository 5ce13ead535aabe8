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

#define CHAR_STEPS 80

static const struct fed_model_spec presets[] = {
    {.preset = "mnist_2nn", .input = {784}, .n_layers = 3, .layers = {{200, FED_RELU}, {200, FED_RELU}, {10}}},
    {.preset = "mnist_cnn",
     .input = {.channels = 1, .height = 28, .width = 28},
     .n_layers = 7,
     .layers = {{32, FED_RELU, FED_CONV2D, .kernel = 5, .stride = 1, .padding = FED_SAME},
                {.kind = FED_MAX_POOL, .kernel = 2, .stride = 2, .padding = FED_VALID},
                {64, FED_RELU, FED_CONV2D, .kernel = 5, .stride = 1, .padding = FED_SAME},
                {.kind = FED_MAX_POOL, .kernel = 2, .stride = 2, .padding = FED_VALID},
                {.kind = FED_FLATTEN},
                {512, FED_RELU},
                {10}}},
    {.preset = "char_lstm",
     .input = {.steps = CHAR_STEPS},
     .n_layers = 4,
     .layers = {{8, .kind = FED_EMBEDDING}, {256, .kind = FED_LSTM}, {256, .kind = FED_LSTM}, {0}}},
    {.preset = "logistic", .input = {784}, .n_layers = 1, .layers = {{10}}},
};
#define N_PRESETS (sizeof presets / sizeof *presets)

static const char *const activation_names[] = {"linear", "relu", "tanh", "sigmoid"};
static const char *const kind_names[] = {"dense", "conv2d", "max_pool", "flatten", "embedding", "lstm"};
static const char *const padding_names[] = {"same", "valid"};
static const char *const loss_names[] = {"softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error"};
#define COUNT(names) (sizeof(names) / sizeof *(names))

void fed_model_default_symbols(struct fed_model_spec *spec) {
    memset(spec->symbols, 0, sizeof spec->symbols);
    spec->symbols[0] = '\n';
    spec->n_symbols = 1;
    for (int c = ' '; c <= '~'; c++) {
        spec->symbols[spec->n_symbols++] = (uint8_t)c;
    }
}

void fed_model_preset_resize(struct fed_model_spec *spec) {
    if (strcmp(spec->preset, "char_lstm") == 0) {
        spec->layers[spec->n_layers - 1].units = spec->n_symbols;
    }
}

int fed_model_preset(struct fed_model_spec *out, const char *name) {
    for (size_t i = 0; i < N_PRESETS; i++) {
        if (strcmp(presets[i].preset, name) == 0) {
            *out = presets[i];
            if (out->layers[0].kind == FED_EMBEDDING) {
                fed_model_default_symbols(out);
                fed_model_preset_resize(out);
            }
            return 0;
        }
    }
    return FED_ENOTFOUND;
}

const char *fed_model_preset_names(void) { return "mnist_2nn, mnist_cnn, char_lstm, logistic"; }

const char *fed_activation_name(enum fed_activation activation) {
    assert((size_t)activation < COUNT(activation_names));
    return activation_names[activation];
}

const char *fed_layer_kind_name(enum fed_layer_kind kind) {
    assert((size_t)kind < COUNT(kind_names));
    return kind_names[kind];
}

const char *fed_padding_name(enum fed_padding padding) {
    assert((size_t)padding < COUNT(padding_names));
    return padding_names[padding];
}

const char *fed_loss_name(enum fed_loss loss) {
    assert((size_t)loss < COUNT(loss_names));
    return loss_names[loss];
}

/* -- shapes ------------------------------------------------------------------------------------------------------------ */

static uint32_t at_least_1(uint32_t n) { return n > 0 ? n : 1; }

static struct fed_shape whole(struct fed_shape s) {
    return (struct fed_shape){at_least_1(s.channels), at_least_1(s.steps), at_least_1(s.height), at_least_1(s.width)};
}

/* Sticks at SIZE_MAX. */
static size_t times(size_t a, uint32_t b) {
    size_t product;
    return __builtin_mul_overflow(a, at_least_1(b), &product) ? SIZE_MAX : product;
}

size_t fed_shape_size(struct fed_shape shape) {
    return times(times(times(at_least_1(shape.channels), shape.steps), shape.height), shape.width);
}

const char *fed_shape_text(char out[64], struct fed_shape shape) {
    struct fed_shape s = whole(shape);
    int n = 0;
    if (s.steps > 1) {
        n = snprintf(out, 64, "%" PRIu32 " steps of ", s.steps);
    }
    if (s.height > 1 || s.width > 1) {
        snprintf(out + n, 64 - (size_t)n, "%" PRIu32 " x %" PRIu32 " x %" PRIu32, s.height, s.width, s.channels);
    } else {
        snprintf(out + n, 64 - (size_t)n, "%" PRIu32, s.channels);
    }
    return out;
}

static bool is_image(struct fed_shape s) { return s.height > 1 || s.width > 1; }

/* Outputs of a window that moves over n inputs; 0 if it never lies inside. */
static uint32_t window_outputs(uint32_t n, const struct fed_layer_spec *layer) {
    if (layer->padding == FED_SAME) {
        return (n - 1) / layer->stride + 1;
    }
    return n < layer->kernel ? 0 : (n - layer->kernel) / layer->stride + 1;
}

/* What the layer makes of in. The sentence lacks the layer's name, which the caller puts before it. */
static int infer(struct fed_shape *out, const struct fed_layer_spec *layer, struct fed_shape in, struct fed_error *err) {
    char text[64];
    *out = in;
    switch (layer->kind) {
    case FED_DENSE:
        if (is_image(in)) {
            return fed_error_set(err, FED_ECONFIG, "dense takes vectors, but is given %s; put a flatten layer before it",
                                 fed_shape_text(text, in));
        }
        out->channels = layer->units;
        return 0;
    case FED_CONV2D:
    case FED_MAX_POOL:
        if (in.steps > 1 || !is_image(in)) {
            return fed_error_set(err, FED_ECONFIG, "%s takes images, but is given %s", fed_layer_kind_name(layer->kind),
                                 fed_shape_text(text, in));
        }
        out->height = window_outputs(in.height, layer);
        out->width = window_outputs(in.width, layer);
        if (out->height == 0 || out->width == 0) {
            return fed_error_set(err, FED_ECONFIG, "its window of %" PRIu32 " x %" PRIu32 " does not fit into %s",
                                 layer->kernel, layer->kernel, fed_shape_text(text, in));
        }
        out->channels = layer->kind == FED_CONV2D ? layer->units : in.channels;
        return 0;
    case FED_FLATTEN: *out = (struct fed_shape){(uint32_t)fed_shape_size(in), 1, 1, 1}; return 0;
    case FED_EMBEDDING: out->channels = layer->units; return 0;
    case FED_LSTM:
        if (is_image(in)) {
            return fed_error_set(err, FED_ECONFIG, "lstm takes vectors, one a step, but is given %s",
                                 fed_shape_text(text, in));
        }
        out->channels = layer->units;
        return 0;
    }
    return fed_error_set(err, FED_ECONFIG, "unknown kind");
}

/* -- checks ------------------------------------------------------------------------------------------------------------ */

static int refuse_number(struct fed_error *err, uint32_t i, const char *key, uint32_t found, const char *allowed) {
    return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].%s: %" PRIu32 " found, %s is allowed", i, key, found,
                         allowed);
}

static int check_layer(const struct fed_layer_spec *layer, uint32_t i, const struct fed_model_spec *spec,
                       struct fed_error *err) {
    if ((size_t)layer->kind >= COUNT(kind_names) || (size_t)layer->padding >= COUNT(padding_names)) {
        return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].kind: unknown", i);
    }
    bool has_units = layer->kind != FED_MAX_POOL && layer->kind != FED_FLATTEN;
    bool windowed = layer->kind == FED_CONV2D || layer->kind == FED_MAX_POOL;
    if (has_units && (layer->units < 1 || layer->units > FED_MAX_UNITS)) {
        return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].units: %" PRIu32 " found, 1 to %u is allowed", i,
                             layer->units, FED_MAX_UNITS);
    }
    if ((size_t)layer->activation >= COUNT(activation_names)) {
        return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].activation: unknown", i);
    }
    if (layer->activation != FED_LINEAR && layer->kind != FED_DENSE && layer->kind != FED_CONV2D) {
        return fed_error_set(err, FED_ECONFIG,
                             "model.layers[%" PRIu32 "].activation: goes with dense and conv2d, not with %s", i,
                             fed_layer_kind_name(layer->kind));
    }
    if (windowed && (layer->kernel < 1 || layer->kernel > FED_MAX_WINDOW)) {
        return refuse_number(err, i, "kernel", layer->kernel, "1 to 255");
    }
    if (layer->kind == FED_CONV2D && layer->kernel % 2 == 0) {
        return refuse_number(err, i, "kernel", layer->kernel, "an odd number");
    }
    if (windowed && (layer->stride < 1 || layer->stride > FED_MAX_WINDOW)) {
        return refuse_number(err, i, "stride", layer->stride, "1 to 255");
    }
    if ((layer->kind == FED_EMBEDDING) != (i == 0 && spec->n_symbols > 0)) {
        return fed_error_set(err, FED_ECONFIG,
                             layer->kind != FED_EMBEDDING ? "model.layers[%" PRIu32
                                                            "]: the first layer over symbols has to be an embedding"
                             : i > 0 ? "model.layers[%" PRIu32 "]: an embedding can only be the first layer"
                                     : "model.layers[%" PRIu32 "]: an embedding needs symbols (model.vocabulary)",
                             i);
    }
    return 0;
}

static int check_last(const struct fed_model_spec *spec, struct fed_error *err) {
    uint32_t i = spec->n_layers - 1;
    const struct fed_layer_spec *last = &spec->layers[i];
    if (last->kind != FED_DENSE) {
        return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].kind: %s found, but the last layer must be dense",
                             i, fed_layer_kind_name(last->kind));
    }
    if (last->activation != FED_LINEAR) {
        return fed_error_set(err, FED_ECONFIG,
                             "model.layers[%" PRIu32 "].activation: %s found, but the last layer must be linear: %s belongs "
                             "to the loss",
                             i, fed_activation_name(last->activation),
                             spec->loss == FED_SOFTMAX_CROSS_ENTROPY ? "softmax" : "what follows it");
    }
    if (spec->loss == FED_SOFTMAX_CROSS_ENTROPY && last->units < 2) {
        return fed_error_set(err, FED_ECONFIG,
                             "model.layers[%" PRIu32 "].units: 1 found, but the last layer needs one unit for each of at "
                             "least 2 classes",
                             i);
    }
    if (spec->loss == FED_BINARY_CROSS_ENTROPY && last->units != 1) {
        return fed_error_set(err, FED_ECONFIG,
                             "model.layers[%" PRIu32 "].units: %" PRIu32
                             " found, but binary_cross_entropy takes one unit, the "
                             "logit of class 1",
                             i, last->units);
    }
    return 0;
}

static int check_spec(const struct fed_model_spec *spec, struct fed_error *err) {
    char text[64];
    size_t inputs = fed_shape_size(spec->input);
    bool no_numbers = spec->n_symbols == 0 && spec->input.channels < 1;
    if (no_numbers || inputs > FED_MAX_FEATURES) {
        return fed_error_set(err, FED_ECONFIG, "model.input: %s found, 1 to %zu numbers in all are allowed",
                             no_numbers ? "0" : fed_shape_text(text, spec->input), FED_MAX_FEATURES);
    }
    if (spec->n_symbols > FED_MAX_SYMBOLS || (spec->n_symbols > 0 && inputs != at_least_1(spec->input.steps))) {
        return fed_error_set(err, FED_ECONFIG, "model.input: of symbols only steps can be given");
    }
    if (spec->n_layers < 1 || spec->n_layers > FED_MAX_LAYERS) {
        return fed_error_set(err, FED_ECONFIG, "model.layers: %" PRIu32 " layers found, 1 to %d are allowed", spec->n_layers,
                             FED_MAX_LAYERS);
    }
    if ((size_t)spec->loss >= COUNT(loss_names)) {
        return fed_error_set(err, FED_ECONFIG, "model.loss: unknown");
    }
    if (spec->n_symbols > 0 && spec->loss != FED_SOFTMAX_CROSS_ENTROPY) {
        return fed_error_set(
            err, FED_ECONFIG,
            "model.loss: %s found, but characters are followed by characters: softmax_cross_entropy is allowed",
            fed_loss_name(spec->loss));
    }
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        int rc = check_layer(&spec->layers[i], i, spec, err);
        if (rc != 0) {
            return rc;
        }
    }
    return check_last(spec, err);
}

/* Names of classes are one for each, or none at all. */
static int check_classes(const struct fed_model *model, struct fed_error *err) {
    const struct fed_model_spec *spec = &model->spec;
    if (spec->classes[0] == '\0') {
        return 0;
    }
    if (spec->loss == FED_MEAN_SQUARED_ERROR || spec->n_symbols > 0) {
        return fed_error_set(err, FED_ECONFIG, "model.classes: %s",
                             spec->n_symbols > 0 ? "names found, but the classes are the characters of the vocabulary"
                                                 : "names found, but mean_squared_error has no classes");
    }
    uint32_t n = 1;
    for (const char *c = spec->classes; *c != '\0'; c++) {
        n += *c == '\n';
    }
    if (n != model->n_classes) {
        return fed_error_set(err, FED_ECONFIG, "model.classes: %" PRIu32 " names found, but %s makes %" PRIu32 " classes", n,
                             spec->loss == FED_BINARY_CROSS_ENTROPY ? "binary_cross_entropy" : "the last layer",
                             model->n_classes);
    }
    return 0;
}

/* -- tensors ----------------------------------------------------------------------------------------------------------- */

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

int fed_model_init(struct fed_model *out, const struct fed_model_spec *spec, struct fed_error *err) {
    int rc = check_spec(spec, err);
    if (rc != 0) {
        return rc;
    }
    struct fed_model model = {.spec = *spec};
    struct fed_shape shape = whole(spec->input);
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        char name[16];
        model.layers[i] = (struct fed_model_layer){.in = shape, .first_tensor = model.n_tensors};
        rc = infer(&shape, &spec->layers[i], shape, err);
        if (rc != 0) {
            return fed_error_prefix(err, rc, "model.layers[%" PRIu32 "]", i);
        }
        if (fed_shape_size(shape) > FED_MAX_FEATURES) {
            return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "]: more than %zu outputs an example", i,
                                 FED_MAX_FEATURES);
        }
        model.layers[i].out = shape;
        name_layer(name, spec, i);
        add_tensors(&model, name, &spec->layers[i], model.layers[i].in);
        if (model.n_params > FED_MAX_PARAMS) {
            return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "]: more than %zu parameters up to here", i,
                                 FED_MAX_PARAMS);
        }
    }
    model.n_classes = spec->loss == FED_SOFTMAX_CROSS_ENTROPY  ? shape.channels
                      : spec->loss == FED_BINARY_CROSS_ENTROPY ? 2
                                                               : 0;
    model.n_targets = spec->loss == FED_MEAN_SQUARED_ERROR ? (uint32_t)fed_shape_size(shape) : shape.steps;
    rc = check_classes(&model, err);
    if (rc == 0) {
        *out = model;
    }
    return rc;
}

/* -- initial values ---------------------------------------------------------------------------------------------------- */

/* Every operation is an IEEE one, rounded once, so the bits are the same everywhere. */
static void draw_weights(float *w, const struct fed_tensor *t, double fans, struct fed_rng *rng) {
    float limit = (float)sqrt(6.0 / fans);
    for (size_t i = 0; i < t->count; i++) {
        w[i] = (2.0f * fed_rng_f32(rng) - 1.0f) * limit;
    }
}

/* in + out of a weight tensor. */
static double fans(const struct fed_tensor *t, enum fed_layer_kind kind) {
    uint64_t window = t->n_dims == 4 ? t->dims[2] * t->dims[3] : 1;
    uint64_t outputs = kind == FED_LSTM ? t->dims[0] / 4 : t->dims[0];
    return (double)((outputs + t->dims[1]) * window);
}

void fed_model_initial(float *params, const struct fed_model *model, uint64_t seed) {
    struct fed_rng rng;
    fed_rng_init(&rng, seed, FED_RNG_INITIAL, 0, 0);
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        uint32_t end = l + 1 < model->spec.n_layers ? model->layers[l + 1].first_tensor : model->n_tensors;
        for (uint32_t i = model->layers[l].first_tensor; i < end; i++) {
            const struct fed_tensor *t = &model->tensors[i];
            if (t->n_dims > 1) {
                draw_weights(params + t->offset, t, fans(t, model->spec.layers[l].kind), &rng);
            } else {
                memset(params + t->offset, 0, t->count * sizeof *params);
            }
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
