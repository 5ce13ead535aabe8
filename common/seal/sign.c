#include "common/seal/sign.h"

#include <assert.h>
#include <sodium.h>

#include "common/seal/digest.h"
#include "common/seal/line.h"

#define PREFIX "fedavg-sign1:"

_Static_assert(sizeof PREFIX + FED_LINE_CHARS(FED_SIGN_KEY_BYTES) <= FED_SIGN_LINE_MAX, "a line must fit");
_Static_assert(FED_SIGN_KEY_BYTES == crypto_sign_PUBLICKEYBYTES && FED_SIGN_SECRET_BYTES == crypto_sign_SECRETKEYBYTES &&
                   FED_SIGNATURE_BYTES == crypto_sign_BYTES && crypto_sign_SEEDBYTES == 32,
               "Ed25519");

void fed_sign_pair(uint8_t public_key[FED_SIGN_KEY_BYTES], uint8_t secret[FED_SIGN_SECRET_BYTES], const uint8_t seed[32]) {
    int rc = crypto_sign_seed_keypair(public_key, secret, seed);
    assert(rc == 0);
    (void)rc;
}

void fed_sign(uint8_t out[FED_SIGNATURE_BYTES], const uint8_t secret[FED_SIGN_SECRET_BYTES], const void *bytes, size_t n) {
    int rc = crypto_sign_detached(out, NULL, bytes, n, secret);
    assert(rc == 0);
    (void)rc;
}

int fed_sign_check(const uint8_t signature[FED_SIGNATURE_BYTES], const uint8_t public_key[FED_SIGN_KEY_BYTES],
                   const void *bytes, size_t n) {
    return crypto_sign_verify_detached(signature, bytes, n, public_key) == 0 ? 0 : FED_ESEAL;
}

void fed_sign_line(char out[FED_SIGN_LINE_MAX], const uint8_t public_key[FED_SIGN_KEY_BYTES]) {
    fed_line_format(out, PREFIX, public_key, FED_SIGN_KEY_BYTES);
}

int fed_sign_line_parse(uint8_t out[FED_SIGN_KEY_BYTES], const char *line, struct fed_error *err) {
    return fed_line_parse(out, FED_SIGN_KEY_BYTES, line, PREFIX, "enrolment key line", err);
}

void fed_sign_fingerprint(char out[17], const uint8_t public_key[FED_SIGN_KEY_BYTES]) {
    uint8_t digest[FED_DIGEST_BYTES];
    fed_digest(digest, public_key, FED_SIGN_KEY_BYTES);
    fed_hex(out, digest, 8);
}
