#include "common/config/terms_model.h"

#include <jansson.h>
#include <stddef.h>

#include "common/config/model_section.h"
#include "common/config/model_words.h"
#include "common/config/terms_json.h"

/* The shape of the input, in whatever form the file gave it. */
static const struct {
    const char *path;
    size_t offset;
} dimensions[] = {
    {"model.input.channels", offsetof(struct fed_shape, channels)},
    {"model.input.height", offsetof(struct fed_shape, height)},
    {"model.input.steps", offsetof(struct fed_shape, steps)},
    {"model.input.width", offsetof(struct fed_shape, width)},
};
#define N_DIMENSIONS (sizeof dimensions / sizeof *dimensions)

/* "model.layers[0].": the index does not matter to a row. */
#define LAYER_PATH 64
static const char *layer_path(char out[LAYER_PATH], const char *key) {
    snprintf(out, LAYER_PATH, "model.layers[0].%s", key);
    return out;
}

/* -- out --------------------------------------------------------------------------------------------------------------- */

static int put_input(json_t *root, struct fed_shape input) {
    int code = 0;
    for (size_t i = 0; i < N_DIMENSIONS && code == 0; i++) {
        uint32_t n = *(const uint32_t *)((const char *)&input + dimensions[i].offset);
        code = fed_terms_put(root, dimensions[i].path, json_integer(n > 0 ? n : 1));
    }
    return code;
}

/* NULL: no memory. */
static json_t *layer_to_json(const struct fed_layer_spec *spec) {
    char path[LAYER_PATH];
    json_t *layer = json_object();
    int code = fed_terms_put(layer, "kind", fed_terms_scalar(layer_path(path, "kind"), &spec->kind));
    for (size_t k = 0; k < FED_LAYER_KEYS && code == 0; k++) {
        const struct fed_layer_key *key = &fed_layer_keys[k];
        if (key->kinds >> spec->kind & 1) {
            code = fed_terms_put(layer, key->name,
                                 fed_terms_scalar(layer_path(path, key->name), (const char *)spec + key->offset));
        }
    }
    if (code != 0) {
        json_decref(layer);
        return NULL;
    }
    return layer;
}

static int put_layers(json_t *root, const struct fed_model_spec *spec) {
    json_t *layers = json_array();
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        if (json_array_append_new(layers, layer_to_json(&spec->layers[i])) != 0) {
            json_decref(layers);
            return FED_ENOMEM;
        }
    }
    return fed_terms_put(root, "model.layers", layers);
}

static int put_classes(json_t *root, const char *names) {
    if (names[0] == '\0') {
        return 0;
    }
    json_t *classes = json_array();
    while (*names != '\0') {
        size_t n = fed_model_words_class_length(names);
        if (json_array_append_new(classes, json_stringn(names, n)) != 0) {
            json_decref(classes);
            return FED_ENOMEM;
        }
        names += n + (names[n] != '\0');
    }
    return fed_terms_put(root, "model.classes", classes);
}

int fed_terms_put_model(json_t *root, const struct fed_model_spec *spec) {
    char vocabulary[FED_VOCABULARY_TEXT];
    int code = put_input(root, spec->input);
    if (code == 0 && spec->n_symbols > 0) {
        code = fed_terms_put(root, "model.vocabulary", json_string(fed_model_words_vocabulary(vocabulary, spec)));
    }
    if (code == 0) {
        code = put_classes(root, spec->classes);
    }
    if (code == 0) {
        code = fed_terms_put(root, "model.loss", fed_terms_scalar("model.loss", &spec->loss));
    }
    return code == 0 ? put_layers(root, spec) : code;
}

/* -- back -------------------------------------------------------------------------------------------------------------- */

static int take_layer(struct fed_layer_spec *spec, const json_t *layer, struct fed_error *err) {
    char path[LAYER_PATH];
    int code = fed_terms_take(&spec->kind, layer_path(path, "kind"), json_object_get(layer, "kind"), err);
    for (size_t k = 0; k < FED_LAYER_KEYS && code == 0; k++) {
        const struct fed_layer_key *key = &fed_layer_keys[k];
        if (key->kinds >> spec->kind & 1) {
            code = fed_terms_take((char *)spec + key->offset, layer_path(path, key->name), json_object_get(layer, key->name),
                                  err);
        }
    }
    return code;
}

static int take_layers(struct fed_model_spec *spec, const json_t *root, struct fed_error *err) {
    const json_t *layers = fed_terms_get(root, "model.layers");
    size_t n = json_array_size(layers);
    if (n < 1 || n > FED_MAX_LAYERS) {
        return fed_error_set(err, FED_EWIRE, "terms: model.layers has %zu layers, expected 1 to %d", n, FED_MAX_LAYERS);
    }
    spec->n_layers = (uint32_t)n;
    int code = 0;
    for (uint32_t i = 0; i < spec->n_layers && code == 0; i++) {
        code = take_layer(&spec->layers[i], json_array_get(layers, i), err);
    }
    return code;
}

static int take_words(struct fed_model_spec *spec, const json_t *root, struct fed_error *err) {
    const json_t *vocabulary = fed_terms_get(root, "model.vocabulary"), *classes = fed_terms_get(root, "model.classes");
    if (vocabulary != NULL) {
        const char *text = json_string_value(vocabulary);
        if (text == NULL || fed_model_words_symbols(spec, text, err) != 0) {
            return text == NULL ? fed_error_set(err, FED_EWIRE, "terms: model.vocabulary is no text")
                                : fed_error_prefix(err, FED_EWIRE, "terms: model.vocabulary");
        }
    }
    for (size_t i = 0; i < json_array_size(classes); i++) {
        const char *name = json_string_value(json_array_get(classes, i));
        if (name == NULL || fed_model_words_add_class(spec, name, err) != 0) {
            return name == NULL ? fed_error_set(err, FED_EWIRE, "terms: model.classes[%zu] is no text", i)
                                : fed_error_prefix(err, FED_EWIRE, "terms: model.classes[%zu]", i);
        }
    }
    return 0;
}

int fed_terms_take_model(struct fed_model_spec *out, const json_t *root, struct fed_error *err) {
    struct fed_model_spec spec = {.n_layers = 0};
    struct fed_model model;
    int code = fed_terms_take(&spec.loss, "model.loss", fed_terms_get(root, "model.loss"), err);
    for (size_t i = 0; i < N_DIMENSIONS && code == 0; i++) {
        const char *path = dimensions[i].path;
        code = fed_terms_take((char *)&spec.input + dimensions[i].offset, path, fed_terms_get(root, path), err);
    }
    if (code == 0) {
        code = take_words(&spec, root, err);
    }
    if (code == 0) {
        code = take_layers(&spec, root, err);
    }
    if (code == 0 && fed_model_init(&model, &spec, err) != 0) {
        code = fed_error_prefix(err, FED_EWIRE, "terms");
    }
    if (code == 0) {
        *out = spec;
    }
    return code;
}
