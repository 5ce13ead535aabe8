/* Invariants: every secret here lies in locked memory from its making to its wiping; the only copies on a stack are the
 * two shared points of an update key and its hash state, wiped before return. */
#include "common/seal/seal.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "common/seal/digest.h"
#include "common/seal/locked.h"

_Static_assert(FED_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "a digest is a key");
_Static_assert(FED_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "the tag of the AEAD");
_Static_assert(FED_DIGEST_BYTES == FED_KEY_BYTES, "a digest is a key");

#define LABEL "fedavg/update/1"

struct fed_seal_key {
    uint8_t bytes[FED_KEY_BYTES];
};

struct fed_seal_pair {
    uint8_t secret_key[FED_KEY_BYTES], public_key[FED_KEY_BYTES];
};

/* ---- chunks of a message ---- */

uint64_t fed_chunk_count(uint64_t n_bytes) { return n_bytes / FED_CHUNK_BYTES + (n_bytes % FED_CHUNK_BYTES != 0); }

uint64_t fed_sealed_bytes(uint64_t n_bytes) {
    assert(n_bytes <= UINT64_MAX / 2);
    return n_bytes + fed_chunk_count(n_bytes) * FED_TAG_BYTES;
}

size_t fed_chunk_plain_bytes(uint64_t n_bytes, uint64_t i) {
    assert(i < fed_chunk_count(n_bytes));
    uint64_t left = n_bytes - i * FED_CHUNK_BYTES;
    return left < FED_CHUNK_BYTES ? (size_t)left : FED_CHUNK_BYTES;
}

/* ---- keys ---- */

static int key_new(struct fed_seal_key **out) {
    void *memory;
    int rc = fed_locked_new(&memory, sizeof **out);
    if (rc == 0) {
        *out = memory;
    }
    return rc;
}

void fed_seal_key_free(struct fed_seal_key *key) { fed_locked_free(key); }

int fed_seal_key_random(struct fed_seal_key **out) {
    int rc = key_new(out);
    if (rc == 0) {
        randombytes_buf((*out)->bytes, sizeof(*out)->bytes);
    }
    return rc;
}

int fed_seal_key_import(struct fed_seal_key **out, const uint8_t bytes[FED_KEY_BYTES]) {
    int rc = key_new(out);
    if (rc == 0) {
        memcpy((*out)->bytes, bytes, FED_KEY_BYTES);
    }
    return rc;
}

void fed_seal_key_export(uint8_t out[FED_KEY_BYTES], const struct fed_seal_key *key) {
    memcpy(out, key->bytes, FED_KEY_BYTES);
}

static int pair_new(struct fed_seal_pair **out) {
    void *memory;
    int rc = fed_locked_new(&memory, sizeof **out);
    if (rc == 0) {
        *out = memory;
    }
    return rc;
}

static void pair_complete(struct fed_seal_pair *pair) {
    int rc = crypto_scalarmult_base(pair->public_key, pair->secret_key);
    assert(rc == 0);
    (void)rc;
}

int fed_seal_pair_new(struct fed_seal_pair **out) {
    int rc = pair_new(out);
    if (rc == 0) {
        randombytes_buf((*out)->secret_key, FED_KEY_BYTES);
        pair_complete(*out);
    }
    return rc;
}

int fed_seal_pair_import(struct fed_seal_pair **out, const uint8_t secret_key[FED_KEY_BYTES]) {
    int rc = pair_new(out);
    if (rc == 0) {
        memcpy((*out)->secret_key, secret_key, FED_KEY_BYTES);
        pair_complete(*out);
    }
    return rc;
}

void fed_seal_pair_free(struct fed_seal_pair *pair) { fed_locked_free(pair); }

const uint8_t *fed_seal_pair_public(const struct fed_seal_pair *pair) { return pair->public_key; }

/* ---- the key of an update ---- */

/* What both sides know of an update; the shared points come beside it. */
struct update_context {
    const uint8_t *e_pk, *r_pk, *c_pk, *terms_digest;
    const void *header;
    size_t n_header;
};

static void hash(crypto_generichash_blake2b_state *state, const void *bytes, size_t n) {
    int rc = crypto_generichash_blake2b_update(state, bytes, n);
    assert(rc == 0);
    (void)rc;
}

static int derive_update_key(struct fed_seal_key **out, const uint8_t shared[2 * FED_KEY_BYTES],
                             const struct update_context *context) {
    struct fed_seal_key *key = NULL;
    int rc = key_new(&key);
    if (rc != 0) {
        return rc;
    }
    crypto_generichash_blake2b_state state;
    rc = crypto_generichash_blake2b_init(&state, shared, 2 * FED_KEY_BYTES, FED_KEY_BYTES);
    assert(rc == 0);
    hash(&state, LABEL, sizeof LABEL - 1);
    hash(&state, context->e_pk, FED_KEY_BYTES);
    hash(&state, context->r_pk, FED_KEY_BYTES);
    hash(&state, context->c_pk, FED_KEY_BYTES);
    hash(&state, context->terms_digest, FED_DIGEST_BYTES);
    hash(&state, context->header, context->n_header);
    rc = crypto_generichash_blake2b_final(&state, key->bytes, FED_KEY_BYTES);
    assert(rc == 0);
    sodium_memzero(&state, sizeof state);
    *out = key;
    return 0;
}

/* libsodium refuses a point of low order, with which the shared secret would be known to everybody. */
static int agree(uint8_t shared[FED_KEY_BYTES], const uint8_t secret_key[FED_KEY_BYTES],
                 const uint8_t public_key[FED_KEY_BYTES]) {
    return crypto_scalarmult(shared, secret_key, public_key) == 0 ? 0 : FED_ESEAL;
}

int fed_seal_update_key_node(struct fed_seal_key **out, const struct fed_seal_pair *e, const struct fed_identity *node,
                             const uint8_t r_pk[FED_KEY_BYTES], const uint8_t terms_digest[32], const void *header,
                             size_t n_header) {
    const struct update_context context = {e->public_key, r_pk, node->public_keys.seal, terms_digest, header, n_header};
    uint8_t shared[2 * FED_KEY_BYTES];
    int rc = agree(shared, e->secret_key, r_pk);
    if (rc == 0) {
        rc = agree(shared + FED_KEY_BYTES, node->secret->seal, r_pk);
    }
    if (rc == 0) {
        rc = derive_update_key(out, shared, &context);
    }
    sodium_memzero(shared, sizeof shared);
    return rc;
}

int fed_seal_update_key_coordinator(struct fed_seal_key **out, const struct fed_seal_pair *r,
                                    const uint8_t e_pk[FED_KEY_BYTES], const uint8_t node_seal_pk[FED_KEY_BYTES],
                                    const uint8_t terms_digest[32], const void *header, size_t n_header) {
    const struct update_context context = {e_pk, r->public_key, node_seal_pk, terms_digest, header, n_header};
    uint8_t shared[2 * FED_KEY_BYTES];
    int rc = agree(shared, r->secret_key, e_pk);
    if (rc == 0) {
        rc = agree(shared + FED_KEY_BYTES, r->secret_key, node_seal_pk);
    }
    if (rc == 0) {
        rc = derive_update_key(out, shared, &context);
    }
    sodium_memzero(shared, sizeof shared);
    return rc;
}

/* ---- sealing ---- */

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

static void chunk_nonce(uint8_t nonce[NONCE_BYTES], uint64_t i) {
    memset(nonce, 0, NONCE_BYTES);
    for (int b = 0; b < 8; b++) {
        nonce[b] = (uint8_t)(i >> (8 * b));
    }
}

void fed_seal_chunk(uint8_t *out, const struct fed_seal_key *key, uint64_t i, const uint8_t *plain, size_t n) {
    assert(n <= FED_CHUNK_BYTES);
    uint8_t nonce[NONCE_BYTES];
    chunk_nonce(nonce, i);
    int rc = crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, n, NULL, 0, NULL, nonce, key->bytes);
    assert(rc == 0);
    (void)rc;
}

int fed_open_chunk(uint8_t *out, const struct fed_seal_key *key, uint64_t i, const uint8_t *sealed, size_t n) {
    if (n < FED_TAG_BYTES || n > FED_CHUNK_BYTES + FED_TAG_BYTES) {
        return FED_ESEAL;
    }
    uint8_t nonce[NONCE_BYTES];
    chunk_nonce(nonce, i);
    int rc = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, n, NULL, 0, nonce, key->bytes);
    return rc == 0 ? 0 : FED_ESEAL;
}
