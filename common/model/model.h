/* What a model is: layers, and the one block of float32 parameters that they view.
 *
 * The canonical block is what is sent, averaged, digested and saved. It has PyTorch's order and names: per dense layer
 * weight (out, in) row-major, then bias (out). Hidden dense layers are called fc1, fc2, ..., the last layer out. */
#ifndef FED_COMMON_MODEL_MODEL_H
#define FED_COMMON_MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_MAX_LAYERS 32
#define FED_MAX_TENSORS (2 * FED_MAX_LAYERS)
#define FED_MAX_UNITS (1u << 20)
#define FED_MAX_PARAMS ((size_t)1 << 35) /* within one stream of initial values */

enum fed_activation { FED_LINEAR, FED_RELU, FED_TANH, FED_SIGMOID };

struct fed_layer_spec {
    uint32_t units;
    enum fed_activation activation; /* the last layer is linear: softmax belongs to the loss */
};

/* A dense stack ending in softmax cross-entropy. */
struct fed_model_spec {
    char preset[24]; /* "" for a list of layers; a label only: layers are always filled */
    uint32_t inputs;
    uint32_t n_layers;
    struct fed_layer_spec layers[FED_MAX_LAYERS];
};

struct fed_tensor {
    char name[32];
    uint32_t n_dims;
    uint64_t dims[4];
    size_t offset, count; /* floats in the block */
};

struct fed_model {
    struct fed_model_spec spec;
    uint32_t n_tensors;
    struct fed_tensor tensors[FED_MAX_TENSORS];
    size_t n_params;
    uint32_t n_classes;
};

/* Presets: "mnist_2nn" (784-200-200-10, ReLU; McMahan et al. 2017, section 3), "logistic" (784-10).
 * FED_ENOTFOUND if there is no such preset. */
int fed_model_preset(struct fed_model_spec *out, const char *name) FED_MUST_CHECK;
/* "mnist_2nn, logistic": for sentences. */
const char *fed_model_preset_names(void);

/* Infers tensors and checks shapes: at least 2 classes, a linear last layer. FED_ECONFIG names the layer. */
int fed_model_init(struct fed_model *out, const struct fed_model_spec *spec, struct fed_error *err) FED_MUST_CHECK;

const char *fed_activation_name(enum fed_activation activation);
/* FED_ENOTFOUND unless name is "linear", "relu", "tanh" or "sigmoid". */
int fed_activation_parse(enum fed_activation *out, const char *name) FED_MUST_CHECK;

/* Glorot uniform weights, zero biases; a pure function of seed and shapes. params: n_params. One stream (initial, 0, 0)
 * for the weight tensors in canonical order: (2 u - 1) * limit in float32, limit = sqrt(6 / (in + out)) in double, rounded
 * to float32. */
void fed_model_initial(float *params, const struct fed_model *model, uint64_t seed);

/* Which tensor and which element of it holds parameter i, for sentences. i < n_params. */
const struct fed_tensor *fed_model_locate(const struct fed_model *model, size_t i, size_t *element);

/* The one model digest: BLAKE2b-256 over (BLAKE2b-256 of the name/shape table || BLAKE2b-256 of each 1 MiB of parameters).
 * The table is, per tensor: name, 0 byte, u32 n_dims, u64 dims..., little-endian. */
void fed_model_digest(uint8_t out[32], const struct fed_model *model, const float *params);

#endif
