/* The section `model` of a task: rows for its table, and the rules that span several keys (man 5 fedavg-task).
 *
 *     model: {preset: NAME, vocabulary: TEXT, classes: [NAME, ...]}
 *
 *     model:
 *       input: N | {height: H, width: W, channels: C} | {steps: T, features: N} | {steps: T} with a vocabulary
 *       vocabulary: TEXT
 *       classes: [NAME, ...]
 *       loss: softmax_cross_entropy | binary_cross_entropy | mean_squared_error
 *       layers: [{kind: KIND, units: N, activation: F, kernel: K, stride: S, padding: P}, ...] */
#ifndef FED_COMMON_CONFIG_MODEL_SECTION_H
#define FED_COMMON_CONFIG_MODEL_SECTION_H

#include <stddef.h>
#include <stdint.h>

#include "common/config/setting.h"
#include "common/model/model.h"

/* What the rows fill. A zeroed one is empty. */
struct fed_model_section {
    struct fed_model_spec preset; /* no layers: none was given */
    uint32_t inputs;              /* of `input: N` */
    struct fed_shape input;       /* of all other forms; features are channels */
    uint32_t features;
    enum fed_loss loss;
    char *vocabulary; /* owned */
};

/* A key of a layer besides its kind, and the kinds that have it: terms carry these and no others. */
struct fed_layer_key {
    const char *name;
    size_t offset;  /* in struct fed_layer_spec */
    unsigned kinds; /* bit k: enum fed_layer_kind k */
};
#define FED_LAYER_KEYS 5
extern const struct fed_layer_key fed_layer_keys[FED_LAYER_KEYS];

int fed_model_preset_parse(void *spec, const char *text, struct fed_error *why);
const char *fed_model_activation_word(unsigned activation);
const char *fed_model_kind_word(unsigned kind);
const char *fed_model_padding_word(unsigned padding);
const char *fed_model_loss_word(unsigned loss);

/* type: the target; model: a struct fed_model_section in it. */
/* clang-format off */
#define FED_MODEL_ROWS(type, model) \
    {"model.preset", FED_SETTING_CUSTOM, offsetof(type, model.preset), .parse = fed_model_preset_parse, \
     .expected = "the name of a model"}, \
    {"model.input", FED_SETTING_U32, offsetof(type, model.inputs), .min = 1, .max = FED_MAX_UNITS, \
     .expected = "a number of inputs from 1 to 1048576, {height, width, channels}, or {steps, features}"}, \
    {"model.input.height", FED_SETTING_U32, offsetof(type, model.input.height), .min = 1, .max = FED_MAX_UNITS}, \
    {"model.input.width", FED_SETTING_U32, offsetof(type, model.input.width), .min = 1, .max = FED_MAX_UNITS}, \
    {"model.input.channels", FED_SETTING_U32, offsetof(type, model.input.channels), .fallback = "1", \
     .min = 1, .max = FED_MAX_UNITS}, \
    {"model.input.steps", FED_SETTING_U32, offsetof(type, model.input.steps), .min = 1, .max = FED_MAX_UNITS}, \
    {"model.input.features", FED_SETTING_U32, offsetof(type, model.features), .min = 1, .max = FED_MAX_UNITS}, \
    {"model.vocabulary", FED_SETTING_TEXT, offsetof(type, model.vocabulary), .controls = true, \
     .expected = "characters, each once, of U+0001 to U+00FF"}, \
    {"model.classes[]", FED_SETTING_TEXT, 0, .required = true, .expected = "the name of a class"}, \
    {"model.loss", FED_SETTING_WORD, offsetof(type, model.loss), .fallback = "softmax_cross_entropy", \
     .min = FED_SOFTMAX_CROSS_ENTROPY, .max = FED_MEAN_SQUARED_ERROR, .word = fed_model_loss_word}, \
    {"model.layers[].kind", FED_SETTING_WORD, offsetof(struct fed_layer_spec, kind), .fallback = "dense", \
     .min = FED_DENSE, .max = FED_LSTM, .word = fed_model_kind_word}, \
    {"model.layers[].units", FED_SETTING_U32, offsetof(struct fed_layer_spec, units), .min = 1, .max = FED_MAX_UNITS}, \
    {"model.layers[].activation", FED_SETTING_WORD, offsetof(struct fed_layer_spec, activation), \
     .min = FED_LINEAR, .max = FED_SIGMOID, .word = fed_model_activation_word}, \
    {"model.layers[].kernel", FED_SETTING_U32, offsetof(struct fed_layer_spec, kernel), .min = 1, .max = FED_MAX_WINDOW}, \
    {"model.layers[].stride", FED_SETTING_U32, offsetof(struct fed_layer_spec, stride), .min = 1, .max = FED_MAX_WINDOW}, \
    {"model.layers[].padding", FED_SETTING_WORD, offsetof(struct fed_layer_spec, padding), \
     .min = FED_SAME, .max = FED_VALID, .word = fed_model_padding_word}
/* clang-format on */

/* The model that the section describes, checked as a whole. settings: the table with these rows. FED_ECONFIG: one sentence
 * with file, line and key, or --set. FED_ENOMEM. */
int fed_model_section_read(struct fed_model_spec *out, const struct fed_model_section *section,
                           const struct fed_settings *settings, const struct fed_settings_source *source,
                           struct fed_error *err) FED_MUST_CHECK;
void fed_model_section_fini(struct fed_model_section *section);

#endif
