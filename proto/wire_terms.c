/* What both sides digest alike: no protobuf here, since its encoding is not the only one of a message. */
#include <assert.h>
#include <string.h>

#include "common/seal/digest.h"
#include "proto/wire.h"
#include "proto/wire_internal.h"

#define TERMS_LABEL "fedavg/terms/1"
#define TERMS_LABEL_BYTES (sizeof TERMS_LABEL - 1)
#define TERMS_BYTES (TERMS_LABEL_BYTES + 16 + 8 + 4 + 32 + 32 + 8 + 32 + 4 + 4 + 4)

static uint8_t *store(uint8_t *out, const void *bytes, size_t n) {
    memcpy(out, bytes, n);
    return out + n;
}

void fed_terms_digest(uint8_t out[32], const struct fed_terms *terms) {
    uint8_t bytes[TERMS_BYTES], *at = bytes;
    at = store(at, TERMS_LABEL, TERMS_LABEL_BYTES);
    at = store(at, terms->run_id, sizeof terms->run_id);
    at = fed_wire_store_le(at, terms->round, 8);
    at = fed_wire_store_le(at, terms->attempt, 4);
    at = store(at, terms->task_digest, sizeof terms->task_digest);
    at = store(at, terms->model_digest, sizeof terms->model_digest);
    at = fed_wire_store_le(at, terms->n_params, 8);
    at = store(at, terms->r_pk, sizeof terms->r_pk);
    at = fed_wire_store_le(at, terms->epochs, 4);
    at = fed_wire_store_le(at, terms->batch_size, 4);
    at = fed_wire_store_le(at, fed_wire_float_bits(terms->learning_rate), 4);
    assert(at == bytes + sizeof bytes);
    fed_digest(out, bytes, sizeof bytes);
}
