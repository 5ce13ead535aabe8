/* The largest value of each window and channel. NaN is larger than anything. The first of equals, line by line, takes the
 * gradient, as in PyTorch; where windows overlap their gradients add up in the order of the windows.
 *
 * The way back finds that value again by comparing, so nothing but the outputs is kept. Everything runs over blocks of
 * channels without a branch. */
#include <string.h>

#include "common/model/layer.h"
#include "common/numeric/every_isa.h"
#include "common/numeric/poly_inline.h"

#define INLINE static inline __attribute__((always_inline))

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The part of a window that lies inside the image, along one side. */
struct span {
    size_t first, n;
};

INLINE struct span span_at(size_t i, size_t stride, size_t kernel, size_t border, size_t n_inputs) {
    size_t first = i * stride > border ? i * stride - border : 0;
    return (struct span){first, smaller(i * stride + kernel - border, n_inputs) - first};
}

/* One line of outputs of one image, and where its windows lie in the inputs. */
struct line {
    size_t n_outputs, stride, kernel, border, n_inputs; /* along the line */
    struct span lines;                                  /* of the inputs */
    size_t line, pixel;                                 /* floats from one to the next, of the inputs */
    size_t channels;                                    /* to look at: all, and zeros behind them where there are some */
};

/* y is where the line of outputs starts, x the first line of inputs that its windows see. */
INLINE void largest(float *restrict y, const float *restrict x, const struct line *at, struct span pixels, size_t width) {
    float most[FED_PANEL];
    memcpy(most, x + pixels.first * at->pixel, width * sizeof *most);
    for (size_t i = 0; i < at->lines.n; i++) {
        for (size_t j = 0; j < pixels.n; j++) {
            const float *a = x + i * at->line + (pixels.first + j) * at->pixel;
            for (size_t c = 0; c < width; c++) {
                most[c] = ((a[c] > most[c]) | (a[c] != a[c])) ? a[c] : most[c];
            }
        }
    }
    memcpy(y, most, width * sizeof *most);
}

FED_EVERY_ISA static void forward_line(float *restrict y, size_t y_pixel, const float *restrict x, const struct line *at) {
    for (size_t j = 0; j < at->n_outputs; j++, y += y_pixel) {
        struct span pixels = span_at(j, at->stride, at->kernel, at->border, at->n_inputs);
        size_t c = 0;
        for (; c + FED_PANEL <= at->channels; c += FED_PANEL) {
            largest(y + c, x + c, at, pixels, FED_PANEL);
        }
        if (c < at->channels) {
            largest(y + c, x + c, at, pixels, at->channels - c);
        }
    }
}

/* Hands g on to where y came from: adds it there, or, where no other window looks, puts it and zeros there. */
INLINE void spread(float *restrict dx, const float *restrict g, const float *restrict x, const float *restrict y,
                   const struct line *at, struct span pixels, const bool adds) {
    uint32_t open[FED_PANEL];
    memset(open, 0xff, sizeof open);
    for (size_t i = 0; i < at->lines.n; i++) {
        for (size_t j = 0; j < pixels.n; j++) {
            size_t offset = i * at->line + (pixels.first + j) * at->pixel;
            const float *a = x + offset;
            float *to = dx + offset;
            for (size_t c = 0; c < FED_PANEL; c++) {
                uint32_t hit = a[c] < y[c] ? 0 : open[c];
                float share = fed_poly_float(fed_poly_bits(g[c]) & hit);
                to[c] = adds ? to[c] + share : share;
                open[c] &= ~hit;
            }
        }
    }
}

FED_EVERY_ISA static void backward_line(float *restrict dx, const float *restrict g, const float *restrict x,
                                        const float *restrict y, size_t y_pixel, const struct line *at) {
    bool adds = at->stride < at->kernel;
    for (size_t j = 0; j < at->n_outputs; j++, y += y_pixel, g += y_pixel) {
        struct span pixels = span_at(j, at->stride, at->kernel, at->border, at->n_inputs);
        for (size_t c = 0; c < at->channels; c += FED_PANEL) {
            if (adds) {
                spread(dx + c, g + c, x + c, y + c, at, pixels, true);
            } else {
                spread(dx + c, g + c, x + c, y + c, at, pixels, false);
            }
        }
    }
}

/* Output line i. */
static struct line line_at(const struct layer *layer, size_t i) {
    const struct fed_layer_spec *spec = layer->spec;
    struct fed_shape in = layer->in;
    size_t top = fed_window_border(spec, in.height, layer->out.height);
    return (struct line){.n_outputs = layer->out.width,
                         .stride = spec->stride,
                         .kernel = spec->kernel,
                         .border = fed_window_border(spec, in.width, layer->out.width),
                         .n_inputs = in.width,
                         .lines = span_at(i, spec->stride, spec->kernel, top, in.height),
                         .line = in.width * layer->x.pixel,
                         .pixel = layer->x.pixel,
                         .channels = layer->x.pixel};
}

static void forward(struct layer *layer, size_t rows) {
    for (size_t b = 0; b < rows; b++) {
        for (size_t i = 0; i < layer->out.height; i++) {
            struct line at = line_at(layer, i);
            forward_line(layer->y.data + b * layer->y.row + i * layer->out.width * layer->y.pixel, layer->y.pixel,
                         layer->x.data + b * layer->x.row + at.lines.first * at.line, &at);
        }
    }
}

static void backward(struct layer *layer, size_t rows, const struct fed_sgd *sgd) {
    (void)sgd;
    const struct fed_layer_spec *spec = layer->spec;
    bool tiled = spec->stride == spec->kernel && layer->in.height % spec->stride == 0 && layer->in.width % spec->stride == 0;
    for (size_t b = 0; b < rows; b++) {
        float *dx = layer->x_gradient.data + b * layer->x_gradient.row;
        if (!tiled) {
            memset(dx, 0, layer->x_gradient.row * sizeof *dx);
        }
        for (size_t i = 0; i < layer->out.height; i++) {
            struct line at = line_at(layer, i);
            size_t from = b * layer->x.row + at.lines.first * at.line,
                   to = b * layer->y.row + i * layer->out.width * layer->y.pixel;
            backward_line(dx + at.lines.first * at.line, layer->gradient.data + to, layer->x.data + from, layer->y.data + to,
                          layer->y.pixel, &at);
        }
    }
}

const struct layer_kind fed_layer_max_pool = {fed_layer_place_outputs, NULL, NULL, forward, backward};
