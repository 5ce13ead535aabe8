#include "common/config/model_section.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/config/model_words.h"

#define KIND(name) (1u << (name))
#define WINDOWED (KIND(FED_CONV2D) | KIND(FED_MAX_POOL))

const struct fed_layer_key fed_layer_keys[FED_LAYER_KEYS] = {
    {"units", offsetof(struct fed_layer_spec, units),
     KIND(FED_DENSE) | KIND(FED_CONV2D) | KIND(FED_EMBEDDING) | KIND(FED_LSTM)},
    {"activation", offsetof(struct fed_layer_spec, activation), KIND(FED_DENSE) | KIND(FED_CONV2D)},
    {"kernel", offsetof(struct fed_layer_spec, kernel), WINDOWED},
    {"stride", offsetof(struct fed_layer_spec, stride), WINDOWED},
    {"padding", offsetof(struct fed_layer_spec, padding), WINDOWED},
};
enum layer_key { UNITS, ACTIVATION, KERNEL, STRIDE, PADDING };

const char *fed_model_activation_word(unsigned activation) { return fed_activation_name((enum fed_activation)activation); }
const char *fed_model_kind_word(unsigned kind) { return fed_layer_kind_name((enum fed_layer_kind)kind); }
const char *fed_model_padding_word(unsigned padding) { return fed_padding_name((enum fed_padding)padding); }
const char *fed_model_loss_word(unsigned loss) { return fed_loss_name((enum fed_loss)loss); }

int fed_model_preset_parse(void *spec, const char *text, struct fed_error *why) {
    if (fed_model_preset(spec, text) == 0) {
        return 0;
    }
    return fed_error_set(why, FED_ECONFIG, "found \"%.60s\", expected one of %s", text, fed_model_preset_names());
}

void fed_model_section_fini(struct fed_model_section *section) {
    free(section->vocabulary);
    *section = (struct fed_model_section){0};
}

/* -- input ------------------------------------------------------------------------------------------------------------- */

#define INPUT_FORMS "expected a number of inputs, {height, width, channels} or {steps, features}"

static const char *const number_keys[] = {"model.input", NULL};
static const char *const image_keys[] = {"model.input.height", "model.input.width", "model.input.channels", NULL};
static const char *const sequence_keys[] = {"model.input.steps", "model.input.features", NULL};

/* The first of the keys that is given; NULL: none. */
static const char *first_given(const struct fed_settings_source *source, const char *const *keys) {
    while (*keys != NULL && !fed_settings_given(source, *keys)) {
        keys++;
    }
    return *keys;
}

static int need(const struct fed_settings_source *source, const char *key, const char *expected, struct fed_error *err) {
    return fed_settings_given(source, key) ? 0 : fed_settings_refuse(source, key, err, "missing, expected %s", expected);
}

static int read_sequence(struct fed_shape *out, const struct fed_model_section *section,
                         const struct fed_settings_source *source, struct fed_error *err) {
    int code = need(source, "model.input.steps", "the number of steps; without steps write input: N", err);
    if (code == 0 && section->vocabulary == NULL) {
        code =
            need(source, "model.input.features", "the inputs of one step; or model.vocabulary, if they are characters", err);
    }
    *out = (struct fed_shape){.channels = section->features, .steps = section->input.steps};
    return code;
}

static int read_image(struct fed_shape *out, const struct fed_model_section *section,
                      const struct fed_settings_source *source, struct fed_error *err) {
    int code = need(source, "model.input.height", "the number of rows of an image", err);
    if (code == 0) {
        code = need(source, "model.input.width", "the number of columns of an image", err);
    }
    *out = section->input;
    return code;
}

static int read_input(struct fed_shape *out, const struct fed_model_section *section,
                      const struct fed_settings_source *source, struct fed_error *err) {
    const char *number = first_given(source, number_keys), *image = first_given(source, image_keys),
               *sequence = first_given(source, sequence_keys);
    const char *first = number != NULL ? number : image, *second = sequence != NULL ? sequence : image;
    if (first == NULL && second == NULL) {
        return fed_settings_refuse(source, "model.input", err, "missing, " INPUT_FORMS);
    }
    if (first != NULL && second != NULL && first != second) {
        return fed_settings_refuse(source, second, err, "found together with %s, " INPUT_FORMS, first);
    }
    const char *of_numbers = fed_settings_given(source, "model.input.features") ? "model.input.features" : first;
    if (section->vocabulary != NULL && of_numbers != NULL) {
        return fed_settings_refuse(source, of_numbers, err,
                                   "goes not with model.vocabulary: characters are the inputs, expected {steps: N} alone");
    }
    if (sequence != NULL) {
        return read_sequence(out, section, source, err);
    }
    if (image != NULL) {
        return read_image(out, section, source, err);
    }
    *out = (struct fed_shape){.channels = section->inputs};
    return 0;
}

/* -- layers ------------------------------------------------------------------------------------------------------------ */

#define KEY_PATH 64

static const char *key_path(char out[KEY_PATH], uint32_t layer, const char *key) {
    snprintf(out, KEY_PATH, "model.layers[%" PRIu32 "].%s", layer, key);
    return out;
}

/* "conv2d or max_pool" */
static const char *kind_words(char out[64], unsigned kinds) {
    size_t n = 0;
    for (unsigned kind = 0; kinds >> kind != 0; kind++) {
        if (kinds >> kind & 1) {
            const char *before = n == 0 ? "" : kinds >> kind == 1 ? " or " : ", ";
            n += (size_t)snprintf(out + n, 64 - n, "%s%s", before, fed_model_kind_word(kind));
        }
    }
    return out;
}

/* The keys of the layer are those of its kind: nothing too much, and what has no default is there. */
static int check_keys(const struct fed_layer_spec *layer, uint32_t i, bool last, const struct fed_settings_source *source,
                      struct fed_error *err) {
    static const char *const needed[FED_LAYER_KEYS] = {
        [UNITS] = "a whole number from 1 to 1048576",
        [ACTIVATION] = "linear, relu, tanh or sigmoid",
        [KERNEL] = "a whole number from 1 to 255",
    };
    char path[KEY_PATH], words[64];
    for (enum layer_key k = UNITS; k < FED_LAYER_KEYS; k++) {
        const struct fed_layer_key *key = &fed_layer_keys[k];
        bool given = fed_settings_given(source, key_path(path, i, key->name)), of_kind = key->kinds >> layer->kind & 1;
        if (given && !of_kind) {
            return fed_settings_refuse(source, path, err, "goes only with kind: %s, not with %s",
                                       kind_words(words, key->kinds), fed_layer_kind_name(layer->kind));
        }
        if (!given && of_kind && needed[k] != NULL && !(last && k == ACTIVATION)) {
            return fed_settings_refuse(source, path, err, "missing, expected %s", needed[k]);
        }
    }
    return 0;
}

static int read_layer(struct fed_layer_spec *layer, uint32_t i, bool last, const struct fed_settings *settings,
                      const struct fed_settings_source *source, struct fed_error *err) {
    char path[KEY_PATH];
    int code = fed_settings_read_item(layer, settings, source, "model.layers", i, err);
    if (code == 0) {
        code = check_keys(layer, i, last, source, err);
    }
    if (code != 0) {
        return code;
    }
    bool pool = layer->kind == FED_MAX_POOL, windowed = WINDOWED >> layer->kind & 1;
    if (windowed && !fed_settings_given(source, key_path(path, i, "stride"))) {
        layer->stride = pool ? layer->kernel : 1;
    }
    if (windowed && !fed_settings_given(source, key_path(path, i, "padding"))) {
        layer->padding = pool ? FED_VALID : FED_SAME;
    }
    return 0;
}

static int read_layers(struct fed_model_spec *spec, const struct fed_settings *settings,
                       const struct fed_settings_source *source, struct fed_error *err) {
    size_t n = fed_settings_count(&source->yaml, "model.layers");
    if (n == 0) {
        return fed_settings_refuse(source, "model.layers", err,
                                   "missing, expected a list of {kind, units, activation, ...}");
    }
    if (n > FED_MAX_LAYERS) {
        return fed_settings_refuse(source, "model.layers", err, "found %zu layers, expected at most %d", n, FED_MAX_LAYERS);
    }
    spec->n_layers = (uint32_t)n;
    int code = 0;
    for (uint32_t i = 0; i < spec->n_layers && code == 0; i++) {
        code = read_layer(&spec->layers[i], i, i + 1 == spec->n_layers, settings, source, err);
    }
    return code;
}

/* -- the whole --------------------------------------------------------------------------------------------------------- */

static int read_vocabulary(struct fed_model_spec *spec, const struct fed_model_section *section,
                           const struct fed_settings_source *source, struct fed_error *err) {
    struct fed_error why = {.text = ""};
    if (section->vocabulary == NULL) {
        return 0;
    }
    return fed_model_words_symbols(spec, section->vocabulary, &why) == 0
               ? 0
               : fed_settings_refuse(source, "model.vocabulary", err, "%s", why.text);
}

static int read_classes(struct fed_model_spec *spec, const struct fed_settings *settings,
                        const struct fed_settings_source *source, struct fed_error *err) {
    size_t n = fed_settings_count(&source->yaml, "model.classes");
    int code = 0;
    for (size_t i = 0; i < n && code == 0; i++) {
        char *name = NULL, path[KEY_PATH];
        struct fed_error why = {.text = ""};
        code = fed_settings_read_item(&name, settings, source, "model.classes", i, err);
        if (code == 0 && fed_model_words_add_class(spec, name, &why) != 0) {
            snprintf(path, sizeof path, "model.classes[%zu]", i);
            code = fed_settings_refuse(source, path, err, "%s", why.text);
        }
        free(name);
    }
    return code;
}

static int read_preset(struct fed_model_spec *spec, const struct fed_model_section *section,
                       const struct fed_settings_source *source, struct fed_error *err) {
    bool layers = fed_settings_count(&source->yaml, "model.layers") > 0;
    if (layers || first_given(source, number_keys) != NULL || first_given(source, image_keys) != NULL ||
        first_given(source, sequence_keys) != NULL) {
        return fed_settings_refuse(source, "model.preset", err,
                                   "found together with model.%s, expected a preset or input and layers, not both",
                                   layers ? "layers" : "input");
    }
    if (fed_settings_given(source, "model.loss")) {
        return fed_settings_refuse(source, "model.loss", err, "goes only with model.layers: a preset has its own");
    }
    *spec = section->preset;
    if (section->vocabulary != NULL && spec->n_symbols == 0) {
        return fed_settings_refuse(source, "model.vocabulary", err, "goes not with preset: %s, whose inputs are numbers",
                                   spec->preset);
    }
    int code = read_vocabulary(spec, section, source, err);
    fed_model_preset_resize(spec);
    return code;
}

static int read_stack(struct fed_model_spec *spec, const struct fed_model_section *section,
                      const struct fed_settings *settings, const struct fed_settings_source *source, struct fed_error *err) {
    if (first_given(source, number_keys) == NULL && first_given(source, image_keys) == NULL &&
        first_given(source, sequence_keys) == NULL && fed_settings_count(&source->yaml, "model.layers") == 0) {
        return fed_settings_refuse(source, "model", err, "missing, expected preset (one of %s) or input and layers",
                                   fed_model_preset_names());
    }
    spec->loss = section->loss;
    int code = read_vocabulary(spec, section, source, err);
    if (code == 0) {
        code = read_input(&spec->input, section, source, err);
    }
    return code == 0 ? read_layers(spec, settings, source, err) : code;
}

/* After a text comes one of its characters, so the characters are the classes. */
static int check_characters(const struct fed_model_spec *spec, const struct fed_settings_source *source,
                            struct fed_error *err) {
    char path[KEY_PATH];
    uint32_t last = spec->n_layers - 1, units = spec->layers[last].units;
    return spec->n_symbols == 0 || units == spec->n_symbols
               ? 0
               : fed_settings_refuse(source, key_path(path, last, "units"), err,
                                     "found %" PRIu32 ", expected %" PRIu32 ", one for each character of model.vocabulary",
                                     units, spec->n_symbols);
}

int fed_model_section_read(struct fed_model_spec *out, const struct fed_model_section *section,
                           const struct fed_settings *settings, const struct fed_settings_source *source,
                           struct fed_error *err) {
    struct fed_model_spec spec = {.n_layers = 0};
    struct fed_model model;
    struct fed_error why;
    int code = fed_settings_given(source, "model.preset") ? read_preset(&spec, section, source, err)
                                                          : read_stack(&spec, section, settings, source, err);
    if (code == 0) {
        code = read_classes(&spec, settings, source, err);
    }
    if (code == 0 && fed_model_init(&model, &spec, &why) != 0) {
        code = fed_settings_place(source, &why);
        fed_error_set(err, code, "%s", why.text);
    }
    if (code == 0) {
        code = check_characters(&spec, source, err);
    }
    if (code == 0) {
        *out = spec;
    }
    return code;
}
