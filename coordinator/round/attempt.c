#include "coordinator/round/attempt.h"

#include <stdlib.h>
#include <string.h>

static void free_bytes(void *bytes, void *context) {
    (void)context;
    free(bytes);
}

static int seal_image(struct fed_attempt *attempt, const struct fed_image *image) {
    uint64_t n_sealed = fed_sealed_bytes(image->n_bytes);
    uint8_t *sealed = malloc(n_sealed);
    if (sealed == NULL) {
        return FED_ENOMEM;
    }
    for (uint64_t i = 0; i < fed_chunk_count(image->n_bytes); i++) {
        size_t offset, n;
        fed_attempt_chunk(attempt, i, &offset, &n);
        fed_seal_chunk(sealed + offset, attempt->model_key, i, image->bytes + i * FED_CHUNK_BYTES, n - FED_TAG_BYTES);
    }
    int rc = fed_shared_new(&attempt->sealed, sealed, n_sealed, free_bytes, NULL);
    if (rc != FED_OK) {
        free(sealed);
    }
    return rc;
}

int fed_attempt_init(struct fed_attempt *out, const struct fed_terms *terms, const struct fed_image *image,
                     uint64_t n_params) {
    struct fed_attempt attempt = {.terms = *terms, .file_bytes = image->n_bytes};
    int rc = fed_seal_pair_new(&attempt.r);
    if (rc == FED_OK) {
        rc = fed_seal_key_random(&attempt.model_key);
    }
    if (rc == FED_OK) {
        rc = seal_image(&attempt, image);
    }
    if (rc != FED_OK) {
        fed_attempt_fini(&attempt);
        return rc;
    }
    memcpy(attempt.terms.model_digest, image->digest, sizeof attempt.terms.model_digest);
    memcpy(attempt.terms.r_pk, fed_seal_pair_public(attempt.r), sizeof attempt.terms.r_pk);
    attempt.terms.n_params = n_params;
    fed_terms_digest(attempt.terms_digest, &attempt.terms);
    *out = attempt;
    return FED_OK;
}

void fed_attempt_fini(struct fed_attempt *attempt) {
    fed_seal_pair_free(attempt->r);
    fed_seal_key_free(attempt->model_key);
    fed_shared_release(attempt->sealed);
    memset(attempt, 0, sizeof *attempt);
}

void fed_attempt_chunk(const struct fed_attempt *attempt, uint64_t i, size_t *offset, size_t *n) {
    *offset = (size_t)i * (FED_CHUNK_BYTES + FED_TAG_BYTES);
    *n = fed_chunk_plain_bytes(attempt->file_bytes, i) + FED_TAG_BYTES;
}
