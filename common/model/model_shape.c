/* What goes from layer to layer, and what a layer makes of it. Products stick at SIZE_MAX: a shape is judged before it is
 * known to be small. */
#include <inttypes.h>
#include <stdio.h>

#include "common/model/model_internal.h"

static uint32_t at_least_1(uint32_t n) { return n > 0 ? n : 1; }

struct fed_shape fed_shape_whole(struct fed_shape s) {
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
    struct fed_shape s = fed_shape_whole(shape);
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

static int infer_windows(struct fed_shape *out, const struct fed_layer_spec *layer, struct fed_shape in,
                         struct fed_error *err) {
    char text[64];
    if (in.steps > 1 || !is_image(in)) {
        return fed_error_set(err, FED_ECONFIG, "%s takes images, but is given %s", fed_layer_kind_name(layer->kind),
                             fed_shape_text(text, in));
    }
    uint32_t height = window_outputs(in.height, layer), width = window_outputs(in.width, layer);
    if (height == 0 || width == 0) {
        return fed_error_set(err, FED_ECONFIG, "its window of %" PRIu32 " x %" PRIu32 " does not fit into %s", layer->kernel,
                             layer->kernel, fed_shape_text(text, in));
    }
    *out = (struct fed_shape){layer->kind == FED_CONV2D ? layer->units : in.channels, in.steps, height, width};
    return 0;
}

int fed_shape_infer(struct fed_shape *out, const struct fed_layer_spec *layer, struct fed_shape in, struct fed_error *err) {
    char text[64];
    switch (layer->kind) {
    case FED_CONV2D:
    case FED_MAX_POOL: return infer_windows(out, layer, in, err);
    case FED_FLATTEN: *out = (struct fed_shape){(uint32_t)fed_shape_size(in), 1, 1, 1}; return 0;
    case FED_DENSE:
        if (is_image(in)) {
            return fed_error_set(err, FED_ECONFIG, "dense takes vectors, but is given %s; put a flatten layer before it",
                                 fed_shape_text(text, in));
        }
        break;
    case FED_LSTM:
        if (is_image(in)) {
            return fed_error_set(err, FED_ECONFIG, "lstm takes vectors, one a step, but is given %s",
                                 fed_shape_text(text, in));
        }
        break;
    case FED_EMBEDDING: break;
    }
    *out = in;
    out->channels = layer->units;
    return 0;
}
