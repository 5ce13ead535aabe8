/* What layers share: memory, activations, and where a step folds its gradients. The loops are elementwise, so every
 * instruction set gives the same bits. */
#include "common/model/layer.h"

#include <string.h>

#include "common/numeric/every_isa.h"
#include "common/numeric/panels.h"

/* -- memory ------------------------------------------------------------------------------------------------------------ */

void *fed_arena_take(struct arena *arena, size_t rows, size_t stride) {
    size_t offset = arena->used, bytes, end;
    if (offset == SIZE_MAX || __builtin_mul_overflow(stride, sizeof(float), &bytes) ||
        __builtin_mul_overflow(rows, bytes, &bytes) || __builtin_add_overflow(bytes, FED_ARENA_ALIGNMENT - 1, &bytes) ||
        __builtin_add_overflow(offset, bytes / FED_ARENA_ALIGNMENT * FED_ARENA_ALIGNMENT, &end)) {
        arena->used = SIZE_MAX;
        return NULL;
    }
    arena->used = end;
    return arena->block != NULL ? arena->block + offset : NULL;
}

static struct values take_values(struct arena *arena, struct fed_shape shape, size_t max_batch) {
    struct values values = {.pixel = fed_panels_padded(shape.channels)};
    values.row = values.pixel * shape.height * shape.width;
    values.step = values.row * max_batch;
    values.data = fed_arena_take(arena, max_batch, values.row * shape.steps);
    return values;
}

void fed_layer_place_outputs(struct layer *layer, struct arena *arena) {
    layer->y = take_values(arena, layer->out, layer->max_batch);
    if (layer->use != FED_NETWORK_EVALUATE) {
        layer->gradient = take_values(arena, layer->out, layer->max_batch);
    }
}

void fed_parameters_place(struct parameters *p, const struct layer *layer, struct arena *arena, size_t n) {
    bool many_places = layer->out.steps > 1 || layer->out.height > 1 || layer->out.width > 1;
    p->n = n;
    p->w = fed_arena_take(arena, 1, n);
    p->velocity = layer->use == FED_NETWORK_MOMENTUM || (layer->use == FED_NETWORK_TRAIN && many_places)
                      ? fed_arena_take(arena, 1, n)
                      : NULL;
}

/* -- where gradients go ------------------------------------------------------------------------------------------------ */

FED_EVERY_ISA static void damp(float *restrict velocity, const float *restrict w, size_t n, float momentum, float decay) {
    for (size_t i = 0; i < n; i++) {
        velocity[i] = momentum * velocity[i] - decay * w[i];
    }
}

FED_EVERY_ISA static void shrink(float *w, size_t n, float decay) {
    for (size_t i = 0; i < n; i++) {
        w[i] -= decay * w[i];
    }
}

float *fed_parameters_open(const struct parameters *p, const struct fed_sgd *sgd) {
    float decay = sgd->learning_rate * sgd->weight_decay;
    if (p->velocity == NULL) {
        if (decay != 0.0f) {
            shrink(p->w, p->n, decay);
        }
        return p->w;
    }
    if (sgd->momentum == 0.0f && decay == 0.0f) {
        memset(p->velocity, 0, p->n * sizeof *p->velocity);
    } else {
        damp(p->velocity, p->w, p->n, sgd->momentum, decay);
    }
    return p->velocity;
}

void fed_parameters_close(const struct parameters *p) {
    if (p->velocity != NULL) {
        fed_add_row(p->w, p->velocity, p->n);
    }
}

/* -- rows -------------------------------------------------------------------------------------------------------------- */

void fed_add_row(float *restrict row, const float *restrict add, size_t stride) { fed_add_rows(row, add, 1, stride); }

FED_EVERY_ISA void fed_add_rows(float *restrict row, const float *restrict add, size_t n, size_t stride) {
    for (size_t j0 = 0; j0 < stride; j0 += FED_PANEL) {
        float sum[FED_PANEL];
        memcpy(sum, row + j0, sizeof sum);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < FED_PANEL; j++) {
                sum[j] += add[i * stride + j0 + j];
            }
        }
        memcpy(row + j0, sum, sizeof sum);
    }
}

FED_EVERY_ISA static void add_bias(float *restrict y, size_t n, size_t stride, size_t width, const float *restrict bias) {
    for (size_t b = 0; b < n; b++, y += stride) {
        for (size_t j = 0; j < width; j++) {
            y[j] += bias[j];
        }
    }
}

/* NaN stays NaN: a model that diverged must not look healthy. */
FED_EVERY_ISA static void add_bias_relu(float *restrict y, size_t n, size_t stride, size_t width,
                                        const float *restrict bias) {
    for (size_t b = 0; b < n; b++, y += stride) {
        for (size_t j = 0; j < width; j++) {
            float z = y[j] + bias[j];
            y[j] = z < 0.0f ? 0.0f : z;
        }
    }
}

void fed_activate(const struct fed_kernels *kernels, enum fed_activation activation, float *y, size_t n, size_t stride,
                  size_t width, const float *bias) {
    if (activation == FED_RELU) {
        add_bias_relu(y, n, stride, width, bias);
        return;
    }
    add_bias(y, n, stride, width, bias);
    for (size_t b = 0; b < n && activation != FED_LINEAR; b++) {
        (activation == FED_TANH ? kernels->tanh : kernels->sigmoid)(y + b * stride, width);
    }
}

FED_EVERY_ISA static void through_relu(float *restrict gradient, const float *restrict y, size_t n) {
    for (size_t j = 0; j < n; j++) {
        gradient[j] = y[j] > 0.0f ? gradient[j] : 0.0f;
    }
}

FED_EVERY_ISA static void through_tanh(float *restrict gradient, const float *restrict y, size_t n) {
    for (size_t j = 0; j < n; j++) {
        gradient[j] *= (1.0f - y[j]) * (1.0f + y[j]);
    }
}

FED_EVERY_ISA static void through_sigmoid(float *restrict gradient, const float *restrict y, size_t n) {
    for (size_t j = 0; j < n; j++) {
        gradient[j] *= y[j] * (1.0f - y[j]);
    }
}

void fed_through_activation(float *restrict gradient, const float *restrict y, size_t n, enum fed_activation activation) {
    switch (activation) {
    case FED_LINEAR: return;
    case FED_RELU: through_relu(gradient, y, n); return;
    case FED_TANH: through_tanh(gradient, y, n); return;
    case FED_SIGMOID: through_sigmoid(gradient, y, n); return;
    }
}
