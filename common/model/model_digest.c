/* Which parameters these are: names, shapes and every bit of every number. Two models with one digest are one model. */
#include <string.h>

#include "common/model/model.h"
#include "common/seal/digest.h"

#define PIECE_BYTES ((size_t)1024 * 1024)

static void digest_table(uint8_t out[FED_DIGEST_BYTES], const struct fed_model *model) {
    struct fed_digest_state state;
    fed_digest_init(&state);
    for (uint32_t i = 0; i < model->n_tensors; i++) {
        const struct fed_tensor *t = &model->tensors[i];
        fed_digest_update(&state, t->name, strlen(t->name) + 1);
        fed_digest_update(&state, &t->n_dims, sizeof t->n_dims);
        fed_digest_update(&state, t->dims, t->n_dims * sizeof t->dims[0]);
    }
    fed_digest_final(out, &state);
}

void fed_model_digest(uint8_t out[32], const struct fed_model *model, const float *params) {
    const uint8_t *bytes = (const uint8_t *)params;
    size_t left = model->n_params * sizeof *params;
    uint8_t piece[FED_DIGEST_BYTES];
    struct fed_digest_state state;
    fed_digest_init(&state);
    digest_table(piece, model);
    fed_digest_update(&state, piece, sizeof piece);
    while (left > 0) {
        size_t n = left < PIECE_BYTES ? left : PIECE_BYTES;
        fed_digest(piece, bytes, n);
        fed_digest_update(&state, piece, sizeof piece);
        bytes += n;
        left -= n;
    }
    fed_digest_final(out, &state);
}
