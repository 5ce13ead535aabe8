/* The secrets and the sealed model of one attempt. Fresh for every attempt, in guarded memory, never written: what was
 * recorded of an attempt cannot be opened once it is over. */
#ifndef FED_COORDINATOR_ROUND_ATTEMPT_H
#define FED_COORDINATOR_ROUND_ATTEMPT_H

#include <stdint.h>

#include "common/link/link.h"
#include "common/model/image.h"
#include "common/seal/seal.h"
#include "proto/wire.h"

struct fed_attempt {
    struct fed_terms terms;
    uint8_t terms_digest[32];
    struct fed_update_limits limits; /* of its updates; none until they are filled in */
    struct fed_seal_pair *r;         /* R, owned */
    struct fed_seal_key *model_key;  /* K_r, owned */
    uint64_t file_bytes;             /* plain length of the model file */
    struct fed_shared *sealed;       /* the model file as ciphertext chunks, one behind the other; owned */
};

/* terms: everything but model_digest, n_params and r_pk, which are filled in. Seals the image once, for everybody.
 * Takes about 1 ms a megabyte: not on the loop. FED_ENOMEM. */
int fed_attempt_init(struct fed_attempt *out, const struct fed_terms *terms, const struct fed_image *image,
                     uint64_t n_params) FED_MUST_CHECK;
void fed_attempt_fini(struct fed_attempt *attempt);

/* Where sealed chunk i lies. i < fed_chunk_count(file_bytes). */
void fed_attempt_chunk(const struct fed_attempt *attempt, uint64_t i, size_t *offset, size_t *n);

#endif
