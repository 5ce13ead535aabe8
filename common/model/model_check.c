/* What may be described. A description comes from a task file or from a peer: every enum and every number is judged here,
 * with the key that it has in a task file, before anything is computed from it. */
#include <inttypes.h>

#include "common/model/model_internal.h"

_Static_assert(FED_MAX_UNITS == 1048576 && FED_MAX_WINDOW == 255, "as the sentences say");

static int refuse_number(struct fed_error *err, uint32_t i, const char *key, uint32_t found, const char *allowed) {
    return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].%s: %" PRIu32 " found, %s is allowed", i, key, found,
                         allowed);
}

static bool is_known(const struct fed_layer_spec *layer) {
    return (unsigned)layer->kind <= FED_LSTM && (unsigned)layer->padding <= FED_VALID;
}

static int check_activation(const struct fed_layer_spec *layer, uint32_t i, struct fed_error *err) {
    if ((unsigned)layer->activation > FED_SIGMOID) {
        return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].activation: unknown", i);
    }
    if (layer->activation != FED_LINEAR && layer->kind != FED_DENSE && layer->kind != FED_CONV2D) {
        return fed_error_set(err, FED_ECONFIG,
                             "model.layers[%" PRIu32 "].activation: goes with dense and conv2d, not with %s", i,
                             fed_layer_kind_name(layer->kind));
    }
    return 0;
}

static int check_window(const struct fed_layer_spec *layer, uint32_t i, struct fed_error *err) {
    if (layer->kernel < 1 || layer->kernel > FED_MAX_WINDOW) {
        return refuse_number(err, i, "kernel", layer->kernel, "1 to 255");
    }
    if (layer->kind == FED_CONV2D && layer->kernel % 2 == 0) {
        return refuse_number(err, i, "kernel", layer->kernel, "an odd number");
    }
    if (layer->stride < 1 || layer->stride > FED_MAX_WINDOW) {
        return refuse_number(err, i, "stride", layer->stride, "1 to 255");
    }
    return 0;
}

/* An embedding is where symbols become numbers: first over symbols, and nowhere else. */
static int check_embedding(const struct fed_layer_spec *layer, uint32_t i, bool over_symbols, struct fed_error *err) {
    const char *wrong = layer->kind != FED_EMBEDDING ? "the first layer over symbols has to be an embedding"
                        : i > 0                      ? "an embedding can only be the first layer"
                                                     : "an embedding needs symbols (model.vocabulary)";
    bool wanted = i == 0 && over_symbols;
    return (layer->kind == FED_EMBEDDING) == wanted
               ? 0
               : fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "]: %s", i, wrong);
}

static int check_layer(const struct fed_layer_spec *layer, uint32_t i, bool over_symbols, struct fed_error *err) {
    if (!is_known(layer)) {
        return fed_error_set(err, FED_ECONFIG, "model.layers[%" PRIu32 "].kind: unknown", i);
    }
    bool has_units = layer->kind != FED_MAX_POOL && layer->kind != FED_FLATTEN;
    bool has_window = layer->kind == FED_CONV2D || layer->kind == FED_MAX_POOL;
    if (has_units && (layer->units < 1 || layer->units > FED_MAX_UNITS)) {
        return refuse_number(err, i, "units", layer->units, "1 to 1048576");
    }
    int rc = check_activation(layer, i, err);
    if (rc == 0 && has_window) {
        rc = check_window(layer, i, err);
    }
    return rc == 0 ? check_embedding(layer, i, over_symbols, err) : rc;
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

static int check_input(const struct fed_model_spec *spec, struct fed_error *err) {
    char text[64];
    size_t inputs = fed_shape_size(spec->input);
    bool no_numbers = spec->n_symbols == 0 && spec->input.channels < 1;
    if (no_numbers || inputs > FED_MAX_FEATURES) {
        return fed_error_set(err, FED_ECONFIG, "model.input: %s found, 1 to %zu numbers in all are allowed",
                             no_numbers ? "0" : fed_shape_text(text, spec->input), FED_MAX_FEATURES);
    }
    if (spec->n_symbols > FED_MAX_SYMBOLS || (spec->n_symbols > 0 && inputs != fed_shape_whole(spec->input).steps)) {
        return fed_error_set(err, FED_ECONFIG, "model.input: of symbols only steps can be given");
    }
    return 0;
}

static int check_loss(const struct fed_model_spec *spec, struct fed_error *err) {
    if ((unsigned)spec->loss > FED_MEAN_SQUARED_ERROR) {
        return fed_error_set(err, FED_ECONFIG, "model.loss: unknown");
    }
    if (spec->n_symbols > 0 && spec->loss != FED_SOFTMAX_CROSS_ENTROPY) {
        return fed_error_set(
            err, FED_ECONFIG,
            "model.loss: %s found, but characters are followed by characters: softmax_cross_entropy is allowed",
            fed_loss_name(spec->loss));
    }
    return 0;
}

int fed_model_check_spec(const struct fed_model_spec *spec, struct fed_error *err) {
    int rc = check_input(spec, err);
    if (rc == 0 && (spec->n_layers < 1 || spec->n_layers > FED_MAX_LAYERS)) {
        rc = fed_error_set(err, FED_ECONFIG, "model.layers: %" PRIu32 " layers found, 1 to %d are allowed", spec->n_layers,
                           FED_MAX_LAYERS);
    }
    if (rc == 0) {
        rc = check_loss(spec, err);
    }
    for (uint32_t i = 0; rc == 0 && i < spec->n_layers; i++) {
        rc = check_layer(&spec->layers[i], i, spec->n_symbols > 0, err);
    }
    return rc == 0 ? check_last(spec, err) : rc;
}

int fed_model_check_classes(const struct fed_model *model, struct fed_error *err) {
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
