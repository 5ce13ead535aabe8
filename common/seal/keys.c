/* Invariants: a seed that this file makes lives in locked memory, as the secrets derived from it do; a seed that is given is
 * its owner's to wipe. */
#include "common/seal/keys.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "common/seal/digest.h"
#include "common/seal/line.h"
#include "common/seal/locked.h"

#define PUBLIC_PREFIX "fedavg1:"

_Static_assert(sizeof PUBLIC_PREFIX + FED_LINE_CHARS(2 * FED_KEY_BYTES) <= FED_PUBLIC_LINE_MAX, "a public line must fit");
_Static_assert(sizeof(struct fed_public_keys) == 2 * FED_KEY_BYTES, "both halves, one after the other");
_Static_assert(FED_KEY_BYTES == crypto_kdf_KEYBYTES, "one size of key everywhere");
_Static_assert(FED_KEY_BYTES == crypto_scalarmult_BYTES, "one size of key everywhere");
_Static_assert(FED_KEY_BYTES == crypto_scalarmult_SCALARBYTES, "one size of key everywhere");

enum { SUBKEY_CURVE = 1, SUBKEY_SEAL = 2, SUBKEY_SIGN = 3 };
static const char kdf_context[crypto_kdf_CONTEXTBYTES] = {'f', 'e', 'd', 'a', 'v', 'g', '-', '1'};

int fed_seal_setup(struct fed_error *err) {
    if (sodium_init() < 0) {
        return fed_error_set(err, FED_EFAILED, "libsodium %s cannot start: the system gives no random bytes",
                             sodium_version_string());
    }
    return 0;
}

const char *fed_seal_library_version(void) { return sodium_version_string(); }

static void derive(uint8_t secret[FED_KEY_BYTES], uint64_t subkey, const uint8_t seed[FED_KEY_BYTES]) {
    int rc = crypto_kdf_derive_from_key(secret, FED_KEY_BYTES, subkey, kdf_context, seed);
    assert(rc == 0);
    (void)rc;
}

static void derive_pair(uint8_t secret[FED_KEY_BYTES], uint8_t public_key[FED_KEY_BYTES], uint64_t subkey,
                        const uint8_t seed[FED_KEY_BYTES]) {
    derive(secret, subkey, seed);
    int rc = crypto_scalarmult_base(public_key, secret);
    assert(rc == 0);
    (void)rc;
}

int fed_identity_from_seed(struct fed_identity *out, const uint8_t seed[FED_KEY_BYTES]) {
    void *secret;
    int rc = fed_locked_new(&secret, sizeof *out->secret);
    if (rc != 0) {
        return rc;
    }
    out->secret = secret;
    derive(out->secret->curve, SUBKEY_SIGN, seed); /* a seed itself, for a moment in the place of another key */
    fed_sign_pair(out->sign_key, out->secret->sign, out->secret->curve);
    derive_pair(out->secret->curve, out->public_keys.curve, SUBKEY_CURVE, seed);
    derive_pair(out->secret->seal, out->public_keys.seal, SUBKEY_SEAL, seed);
    return 0;
}

int fed_identity_generate(struct fed_identity *out, struct fed_error *err) {
    void *seed = NULL;
    int rc = fed_locked_new(&seed, FED_KEY_BYTES);
    if (rc == 0) {
        randombytes_buf(seed, FED_KEY_BYTES);
        rc = fed_identity_from_seed(out, seed);
    }
    fed_locked_free(seed);
    return rc == 0 ? 0 : fed_error_set(err, rc, "no memory for a secret key");
}

void fed_identity_fini(struct fed_identity *identity) {
    fed_locked_free(identity->secret);
    identity->secret = NULL;
}

/* ---- the public line ---- */

void fed_public_line(char out[FED_PUBLIC_LINE_MAX], const struct fed_public_keys *keys) {
    fed_line_format(out, PUBLIC_PREFIX, (const uint8_t *)keys, sizeof *keys);
}

int fed_public_parse(struct fed_public_keys *out, const char *line, struct fed_error *err) {
    return fed_line_parse((uint8_t *)out, sizeof *out, line, PUBLIC_PREFIX, "public key line", err);
}

void fed_public_fingerprint(char out[17], const struct fed_public_keys *keys) {
    uint8_t digest[FED_DIGEST_BYTES];
    fed_digest(digest, keys, sizeof *keys);
    fed_hex(out, digest, 8);
}
