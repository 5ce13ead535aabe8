/* What a model is: layers, and the one block of float32 parameters that they view.
 *
 * The canonical block is what is sent, averaged, digested and saved. It has PyTorch's order, names and shapes, layer by
 * layer: dense and conv2d weight (out, in) or (out, in, height, width), then bias (out); embedding weight (symbols, units);
 * LSTM weight_ih_l0 (4 units, in), weight_hh_l0 (4 units, units), bias_ih_l0 (4 units) with gates in the order i, f, g, o
 * and one bias a gate (PyTorch's second one is zero). Layers are called after their kind and counted: conv1, conv2, fc1,
 * lstm1, embed; the last layer is out.
 *
 * Shapes. What goes from layer to layer is a sequence of `steps` images of (height, width, channels), every one of them 1
 * where there is no such dimension: a vector has channels only. Examples of data stand in that order too, channels last;
 * flatten hands an image on as PyTorch does, (channels, height, width), so that weights mean the same there. */
#ifndef FED_COMMON_MODEL_MODEL_H
#define FED_COMMON_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_MAX_LAYERS 32
#define FED_MAX_TENSORS (3 * FED_MAX_LAYERS)
#define FED_MAX_UNITS (1u << 20)           /* of a layer */
#define FED_MAX_FEATURES ((size_t)1 << 26) /* of an example, at any place in the stack */
#define FED_MAX_PARAMS ((size_t)1 << 35)   /* within one stream of initial values */
#define FED_MAX_SYMBOLS 255                /* bytes from 1 to 255 */
#define FED_MAX_WINDOW 255                 /* side of a filter or window, and its stride */
#define FED_CLASSES_TEXT 4096

enum fed_activation { FED_LINEAR, FED_RELU, FED_TANH, FED_SIGMOID };

enum fed_layer_kind { FED_DENSE, FED_CONV2D, FED_MAX_POOL, FED_FLATTEN, FED_EMBEDDING, FED_LSTM };

/* same: as many outputs as inputs divided by the stride, rounded up; zeros around (conv2d), the smaller half in front.
 * valid: only windows that lie inside. */
enum fed_padding { FED_SAME, FED_VALID };

enum fed_loss {
    FED_SOFTMAX_CROSS_ENTROPY, /* units classes; over the steps of a sequence as well */
    FED_BINARY_CROSS_ENTROPY,  /* one unit, the logit of class 1 */
    FED_MEAN_SQUARED_ERROR,    /* mean over units of (output - target)^2, as PyTorch's MSELoss */
};

struct fed_shape {
    uint32_t channels, steps, height, width; /* 0 counts as 1 */
};

struct fed_layer_spec {
    uint32_t units; /* dense: outputs; conv2d: output channels; embedding: dimensions; lstm: hidden units; else 0 */
    enum fed_activation activation; /* dense, conv2d; the last layer is linear: softmax belongs to the loss */
    enum fed_layer_kind kind;
    uint32_t kernel;          /* conv2d: side of the filter, odd; max_pool: side of the window; else 0 */
    uint32_t stride;          /* conv2d, max_pool: >= 1; else 0 */
    enum fed_padding padding; /* conv2d, max_pool */
};

struct fed_model_spec {
    char preset[24];                      /* "" for a list of layers; a label only: layers are always filled */
    struct fed_shape input;               /* of an example; of text: its steps */
    uint32_t n_symbols;                   /* V; 0: inputs are numbers. Otherwise the first layer is an embedding */
    uint8_t symbols[FED_MAX_SYMBOLS + 1]; /* the bytes that may occur in a text, by symbol; zeros behind */
    char classes[FED_CLASSES_TEXT];       /* names of the classes, one a line ("sick\nwell"); "": classes are numbers */
    enum fed_loss loss;
    uint32_t n_layers;
    struct fed_layer_spec layers[FED_MAX_LAYERS];
};

struct fed_tensor {
    char name[32];
    uint32_t n_dims;
    uint64_t dims[4];
    size_t offset, count; /* floats in the block */
};

struct fed_model_layer {
    struct fed_shape in, out; /* every dimension >= 1 */
    uint32_t first_tensor;    /* weight(s), then bias; meaningless for layers without parameters */
};

struct fed_model {
    struct fed_model_spec spec;
    struct fed_model_layer layers[FED_MAX_LAYERS];
    uint32_t n_tensors;
    struct fed_tensor tensors[FED_MAX_TENSORS];
    size_t n_params;
    uint32_t n_classes; /* softmax: units of the last layer; binary: 2; mean squared error: 0 */
    uint32_t n_targets; /* labels of one example: 1, or the steps of a sequence; mean squared error: its numbers */
};

/* Product of all dimensions; 0 counts as 1. At most FED_MAX_FEATURES in a model that was checked. */
size_t fed_shape_size(struct fed_shape shape);
/* "784", "28 x 28 x 1" (height, width, channels), "80 steps of 256": for sentences. */
const char *fed_shape_text(char out[64], struct fed_shape shape);

/* Presets, of McMahan et al. 2017, section 3, unless said otherwise:
 *   mnist_2nn  784-200-200-10, ReLU
 *   mnist_cnn  5x5x32, pool 2, 5x5x64, pool 2, 512, 10, ReLU, same padding: 1,663,370 parameters
 *   char_lstm  embedding 8, two LSTM layers of 256, V classes at each of 80 steps: 796,672 + 265 V parameters (the paper's
 *              866,578 would take peepholes and V = 258); V = 96 unless the task says: newline and printable ASCII
 *   logistic   784-10 (multinomial logistic regression)
 * FED_ENOTFOUND if there is no such preset. */
int fed_model_preset(struct fed_model_spec *out, const char *name) FED_MUST_CHECK;
/* "mnist_2nn, mnist_cnn, char_lstm, logistic": for sentences. */
const char *fed_model_preset_names(void);
/* Newline, then the printable characters of ASCII in order. */
void fed_model_default_symbols(struct fed_model_spec *spec);
/* char_lstm after its symbols were changed: as many classes as symbols. For other models nothing. */
void fed_model_preset_resize(struct fed_model_spec *spec);

/* Infers shapes and tensors and checks the stack. FED_ECONFIG with a sentence that begins with a key of the task file,
 * "model.layers[2].units: ", and says what was found there and what is allowed. */
int fed_model_init(struct fed_model *out, const struct fed_model_spec *spec, struct fed_error *err) FED_MUST_CHECK;

/* Words of the task file. */
const char *fed_activation_name(enum fed_activation activation); /* linear, relu, tanh, sigmoid */
const char *fed_layer_kind_name(enum fed_layer_kind kind);       /* dense, conv2d, max_pool, flatten, embedding, lstm */
const char *fed_padding_name(enum fed_padding padding);          /* same, valid */
const char *fed_loss_name(enum fed_loss loss); /* softmax_cross_entropy, binary_cross_entropy, mean_squared_error */

/* Glorot uniform weights (Glorot and Bengio 2010), zero biases; a pure function of seed and shapes. params: n_params. One
 * stream (initial, 0, 0) for the weight tensors in canonical order: (2 u - 1) * limit in float32, limit = sqrt(6 / (in +
 * out)) in double, rounded to float32. in and out: of a conv2d times height * width of the filter; of one gate of an LSTM;
 * symbols and units of an embedding. */
void fed_model_initial(float *params, const struct fed_model *model, uint64_t seed);

/* Which tensor and which element of it holds parameter i, for sentences. i < n_params. */
const struct fed_tensor *fed_model_locate(const struct fed_model *model, size_t i, size_t *element);

/* The one model digest: BLAKE2b-256 over (BLAKE2b-256 of the name/shape table || BLAKE2b-256 of each 1 MiB of parameters).
 * The table is, per tensor: name, 0 byte, u32 n_dims, u64 dims..., little-endian. */
void fed_model_digest(uint8_t out[32], const struct fed_model *model, const float *params);

#endif
