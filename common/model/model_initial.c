/* The first parameters: a function of seed and shapes alone, to the last bit, on every machine. */
#include <math.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/model/model.h"

/* Every operation is an IEEE one, rounded once, so the bits are the same everywhere. */
static void draw_weights(float *w, const struct fed_tensor *t, double fans, struct fed_rng *rng) {
    float limit = (float)sqrt(6.0 / fans);
    for (size_t i = 0; i < t->count; i++) {
        w[i] = (2.0f * fed_rng_f32(rng) - 1.0f) * limit;
    }
}

/* in + out of a weight tensor. */
static double fans(const struct fed_tensor *t, enum fed_layer_kind kind) {
    uint64_t window = t->n_dims == 4 ? t->dims[2] * t->dims[3] : 1;
    uint64_t outputs = kind == FED_LSTM ? t->dims[0] / 4 : t->dims[0];
    return (double)((outputs + t->dims[1]) * window);
}

void fed_model_initial(float *params, const struct fed_model *model, uint64_t seed) {
    struct fed_rng rng;
    fed_rng_init(&rng, seed, FED_RNG_INITIAL, 0, 0);
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        uint32_t end = l + 1 < model->spec.n_layers ? model->layers[l + 1].first_tensor : model->n_tensors;
        for (uint32_t i = model->layers[l].first_tensor; i < end; i++) {
            const struct fed_tensor *t = &model->tensors[i];
            if (t->n_dims > 1) {
                draw_weights(params + t->offset, t, fans(t, model->spec.layers[l].kind), &rng);
            } else {
                memset(params + t->offset, 0, t->count * sizeof *params);
            }
        }
    }
}
