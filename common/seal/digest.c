#include "common/seal/digest.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(struct fed_digest_state) >= sizeof(crypto_generichash_blake2b_state), "the state must fit");
_Static_assert(_Alignof(struct fed_digest_state) >= _Alignof(crypto_generichash_blake2b_state), "the state must be aligned");

static crypto_generichash_blake2b_state *inner(struct fed_digest_state *state) { return (void *)state->opaque; }

void fed_digest(uint8_t out[FED_DIGEST_BYTES], const void *bytes, size_t n) {
    int rc = crypto_generichash_blake2b(out, FED_DIGEST_BYTES, bytes, n, NULL, 0);
    assert(rc == 0);
    (void)rc;
}

void fed_digest_init(struct fed_digest_state *state) {
    int rc = crypto_generichash_blake2b_init(inner(state), NULL, 0, FED_DIGEST_BYTES);
    assert(rc == 0);
    (void)rc;
}

void fed_digest_update(struct fed_digest_state *state, const void *bytes, size_t n) {
    int rc = crypto_generichash_blake2b_update(inner(state), bytes, n);
    assert(rc == 0);
    (void)rc;
}

void fed_digest_final(uint8_t out[FED_DIGEST_BYTES], struct fed_digest_state *state) {
    int rc = crypto_generichash_blake2b_final(inner(state), out, FED_DIGEST_BYTES);
    assert(rc == 0);
    (void)rc;
}

void fed_hex(char *out, const uint8_t *bytes, size_t n) { sodium_bin2hex(out, 2 * n + 1, bytes, n); }

bool fed_unhex(uint8_t *out, size_t n, const char *text) {
    static const char digits[] = "0123456789abcdef";
    if (text == NULL || strlen(text) != 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const char *high = strchr(digits, text[2 * i]), *low = strchr(digits, text[2 * i + 1]);
        if (high == NULL || low == NULL) {
            return false;
        }
        out[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return true;
}
