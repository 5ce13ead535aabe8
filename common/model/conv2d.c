/* A convolution over the images of a batch, channels last: y = activation(x * W + b), of zeros around the image.
 *
 * Inputs are copied into images with their border, where a line of a window is contiguous; so the products are those of a
 * dense layer whose rows overlap, and no window is ever written out. The gradient of the inputs is a convolution too: of the
 * outputs' gradients, spread by the stride and with a border of their own, with the filter turned over. */
#include <string.h>

#include "common/model/layer.h"
#include "common/numeric/panels.h"
#include "common/numeric/transpose.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t n_places(const struct layer *layer) { return (size_t)layer->spec->kernel * layer->spec->kernel; }
static size_t n_in(const struct layer *layer) { return n_places(layer) * layer->in.channels; }
static size_t n_out(const struct layer *layer) { return layer->out.channels; }

/* -- images with a border ---------------------------------------------------------------------------------------------- */

/* An image with its border; content starts `top` lines and `left` pixels in. */
struct frame {
    size_t height, width, top, left, channels;
};

/* The inputs as far as windows reach. */
static struct frame input_frame(const struct layer *layer) {
    size_t kernel = layer->spec->kernel, stride = layer->spec->stride;
    return (struct frame){.height = (layer->out.height - 1) * stride + kernel,
                          .width = (layer->out.width - 1) * stride + kernel,
                          .top = fed_window_border(layer->spec, layer->in.height, layer->out.height),
                          .left = fed_window_border(layer->spec, layer->in.width, layer->out.width),
                          .channels = layer->in.channels};
}

/* The outputs' gradients as the turned filter meets them: its window at an input holds all outputs that saw the input. */
static struct frame gradient_frame(const struct layer *layer) {
    size_t reach = layer->spec->kernel - 1;
    struct frame inputs = input_frame(layer);
    return (struct frame){.height = layer->in.height + reach,
                          .width = layer->in.width + reach,
                          .top = reach - inputs.top,
                          .left = reach - inputs.left,
                          .channels = layer->out.channels};
}

static size_t line_of(const struct frame *frame) { return frame->width * frame->channels; }
static size_t size_of(const struct frame *frame) { return frame->height * line_of(frame); }

/* Copies an image (height, width, channels), its pixels `pixel` apart, to its place in the frame, `stride` lines and pixels
 * apart there. What lies beyond the frame is left out; what lies between stays as it is. */
static void put(float *to, const struct frame *frame, size_t stride, const float *from, struct fed_shape shape,
                size_t pixel) {
    size_t channels = frame->channels, n_lines = smaller(shape.height, (frame->height - frame->top - 1) / stride + 1),
           n_pixels = smaller(shape.width, (frame->width - frame->left - 1) / stride + 1);
    to += (frame->top * frame->width + frame->left) * channels;
    for (size_t i = 0; i < n_lines; i++) {
        float *line = to + i * stride * line_of(frame);
        const float *source = from + i * shape.width * pixel;
        if (stride == 1 && pixel == channels) {
            memcpy(line, source, n_pixels * channels * sizeof *line);
            continue;
        }
        for (size_t j = 0; j < n_pixels; j++) {
            memcpy(line + j * stride * channels, source + j * pixel, channels * sizeof *line);
        }
    }
}

/* Windows that never leave the image are read where it lies. */
static bool reads_in_place(const struct layer *layer) {
    struct frame frame = input_frame(layer);
    return frame.top == 0 && frame.left == 0 && frame.height <= layer->in.height && frame.width <= layer->in.width &&
           layer->x.pixel == layer->in.channels;
}

/* All windows of n images that stand `image` floats apart, `line` floats from line to line. */
static struct fed_inputs windows(const struct layer *layer, const float *x, size_t n, size_t image, size_t line) {
    size_t stride = layer->spec->stride;
    return (struct fed_inputs){
        .x = x,
        .rows = {{n, layer->out.height, layer->out.width}, {image, stride * line, stride * layer->in.channels}},
        .runs = layer->spec->kernel,
        .run_step = line};
}

/* -- parameters -------------------------------------------------------------------------------------------------------- */

static void place(struct layer *layer, struct arena *arena) {
    bool training = layer->use != FED_NETWORK_EVALUATE;
    struct frame inputs = input_frame(layer), gradients = gradient_frame(layer);
    fed_parameters_place(&layer->weights[0], layer, arena, fed_panels_size(n_in(layer), n_out(layer)));
    fed_parameters_place(&layer->bias, layer, arena, fed_panels_padded(n_out(layer)));
    if (!reads_in_place(layer)) {
        layer->at.conv.image = fed_arena_take(arena, training ? layer->max_batch : 1, size_of(&inputs));
    }
    if (training && fed_layer_passes_on(layer)) {
        layer->at.conv.dilated = fed_arena_take(arena, 1, size_of(&gradients));
        layer->at.conv.flipped =
            fed_arena_take(arena, 1, fed_panels_size(n_places(layer) * n_out(layer), layer->in.channels));
    }
    fed_layer_place_outputs(layer, arena);
}

/* Where the weight of output j, input channel c and place s in the filter stands in the panels: inputs are (place, channel),
 * as windows are. */
static size_t panel_index(const struct layer *layer, size_t j, size_t c, size_t s) {
    return (j / FED_PANEL * n_in(layer) + s * layer->in.channels + c) * FED_PANEL + j % FED_PANEL;
}

static void load(struct layer *layer, const float *params) {
    const float *from = params + layer->tensors[0].offset;
    for (size_t j = 0; j < n_out(layer); j++) {
        for (size_t c = 0; c < layer->in.channels; c++) {
            for (size_t s = 0; s < n_places(layer); s++) {
                layer->weights[0].w[panel_index(layer, j, c, s)] = *from++;
            }
        }
    }
    memcpy(layer->bias.w, params + layer->tensors[1].offset, n_out(layer) * sizeof *params);
}

static void store(const struct layer *layer, float *params) {
    float *to = params + layer->tensors[0].offset;
    for (size_t j = 0; j < n_out(layer); j++) {
        for (size_t c = 0; c < layer->in.channels; c++) {
            for (size_t s = 0; s < n_places(layer); s++) {
                *to++ = layer->weights[0].w[panel_index(layer, j, c, s)];
            }
        }
    }
    memcpy(params + layer->tensors[1].offset, layer->bias.w, n_out(layer) * sizeof *params);
}

/* The filter for the way back: inputs (place, output), last place first, outputs the channels of x. */
static void turn_filter(const struct layer *layer) {
    size_t channels = layer->in.channels, units = n_out(layer), places = n_places(layer);
    for (size_t s = 0; s < places; s++) {
        for (size_t j = 0; j < units; j += FED_PANEL) {
            for (size_t c = 0; c < channels; c += FED_PANEL) {
                float *to = layer->at.conv.flipped + c * places * units + ((places - 1 - s) * units + j) * FED_PANEL;
                fed_transpose(to, FED_PANEL, layer->weights[0].w + panel_index(layer, j, c, s), FED_PANEL,
                              smaller(FED_PANEL, channels - c), smaller(FED_PANEL, units - j));
            }
        }
    }
}

/* -- a batch ----------------------------------------------------------------------------------------------------------- */

/* The windows of images first ... first + n - 1. */
static struct fed_inputs inputs_of(const struct layer *layer, size_t first, size_t n) {
    struct frame frame = input_frame(layer);
    if (reads_in_place(layer)) {
        return windows(layer, layer->x.data + first * layer->x.row, n, layer->x.row, layer->in.width * layer->x.pixel);
    }
    return windows(layer, layer->at.conv.image + first * size_of(&frame), n, size_of(&frame), line_of(&frame));
}

static struct fed_rows pixels_of(const struct values *values, struct fed_shape shape, size_t n) {
    return (struct fed_rows){{n, shape.height, shape.width}, {values->row, shape.width * values->pixel, values->pixel}};
}

/* Image by image, so that each is still in the cache from one pass to the next. */
static void forward(struct layer *layer, size_t rows) {
    struct frame frame = input_frame(layer);
    struct fed_rows pixels = pixels_of(&layer->y, layer->out, 1);
    for (size_t b = 0; b < rows; b++) {
        size_t kept = layer->use == FED_NETWORK_EVALUATE && !reads_in_place(layer) ? 0 : b;
        float *y = layer->y.data + b * layer->y.row;
        if (!reads_in_place(layer)) {
            put(layer->at.conv.image + kept * size_of(&frame), &frame, 1, layer->x.data + b * layer->x.row, layer->in,
                layer->x.pixel);
        }
        struct fed_inputs in = inputs_of(layer, kept, 1);
        layer->kernels->forward(y, &pixels, &in, layer->weights[0].w, n_in(layer), n_out(layer), false);
        fed_activate(layer->kernels, layer->spec->activation, y, pixels.counts[1] * pixels.counts[2], layer->y.pixel,
                     n_out(layer), layer->bias.w);
    }
}

/* The gradient of image b, whose outputs' gradient has come through the activation. The filter is turned. */
static void input_gradient(const struct layer *layer, size_t b) {
    struct frame frame = gradient_frame(layer);
    struct fed_rows pixels = pixels_of(&layer->x_gradient, layer->in, 1);
    struct fed_inputs in = {.x = layer->at.conv.dilated,
                            .rows = {{1, layer->in.height, layer->in.width}, {0, line_of(&frame), frame.channels}},
                            .runs = layer->spec->kernel,
                            .run_step = line_of(&frame)};
    put(layer->at.conv.dilated, &frame, layer->spec->stride, layer->gradient.data + b * layer->gradient.row, layer->out,
        layer->gradient.pixel);
    layer->kernels->forward(layer->x_gradient.data + b * layer->x_gradient.row, &pixels, &in, layer->at.conv.flipped,
                            n_places(layer) * n_out(layer), layer->in.channels, false);
}

static void backward(struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    const struct values *gradient = &layer->gradient;
    struct fed_inputs in = inputs_of(layer, 0, rows);
    struct fed_rows pixels = pixels_of(gradient, layer->out, rows);
    float *bias = fed_parameters_open(&layer->bias, sgd);
    if (fed_layer_passes_on(layer)) {
        turn_filter(layer);
    }
    for (size_t b = 0; b < rows; b++) {
        float *g = gradient->data + b * gradient->row;
        fed_through_activation(g, layer->y.data + b * layer->y.row, gradient->row, layer->spec->activation);
        fed_add_rows(bias, g, gradient->row / gradient->pixel, gradient->pixel);
        if (fed_layer_passes_on(layer)) {
            input_gradient(layer, b);
        }
    }
    float *weights = fed_parameters_open(&layer->weights[0], sgd);
    layer->kernels->update(weights, &in, gradient->data, &pixels, n_in(layer), n_out(layer));
    fed_parameters_close(&layer->weights[0]);
    fed_parameters_close(&layer->bias);
}

const struct layer_kind fed_layer_conv2d = {place, load, store, forward, backward};
