/* Descriptions that have a name, as model.h tells of them. */
#include <string.h>

#include "common/model/model.h"

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
     .input = {.steps = 80},
     .n_layers = 4,
     .layers = {{8, .kind = FED_EMBEDDING}, {256, .kind = FED_LSTM}, {256, .kind = FED_LSTM}, {0}}},
    {.preset = "logistic", .input = {784}, .n_layers = 1, .layers = {{10}}},
};
#define N_PRESETS (sizeof presets / sizeof *presets)

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
