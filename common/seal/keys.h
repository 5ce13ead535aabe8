/* Identity: one 32-byte secret seed in a file (key_file.h), from which every key of a node, a coordinator or an enrolment
 * authority derives (crypto_kdf, context "fedavg-1": subkey 1 = CURVE secret, 2 = seal secret, 3 = seed of the Ed25519 key
 * that signs enrolments), and the public lines that name it to others.
 *
 * Public line: `fedavg1:<base64url of CURVE public key || seal public key || first 4 bytes of their BLAKE2b-256>`.
 * The line of the signing key is apart (sign.h): few identities sign. */
#ifndef FED_COMMON_SEAL_KEYS_H
#define FED_COMMON_SEAL_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/seal/sign.h"

#define FED_KEY_BYTES 32
#define FED_PUBLIC_LINE_MAX 104 /* with the terminating zero */

struct fed_public_keys {
    uint8_t curve[FED_KEY_BYTES]; /* X25519: who may connect */
    uint8_t seal[FED_KEY_BYTES];  /* X25519: whose update it is */
};

/* Secrets live in guarded, locked memory of libsodium. */
struct fed_identity {
    struct fed_public_keys public_keys;
    uint8_t sign_key[FED_SIGN_KEY_BYTES]; /* public */
    struct fed_secret_keys *secret;       /* owned */
};
struct fed_secret_keys {
    uint8_t curve[FED_KEY_BYTES];
    uint8_t seal[FED_KEY_BYTES];
    uint8_t sign[FED_SIGN_SECRET_BYTES];
};

/* Must be called once before anything in seal or rng (idempotent, thread-safe). FED_EFAILED. */
int fed_seal_setup(struct fed_error *err) FED_MUST_CHECK;

/* Of the libsodium in use, "1.0.18": for logs and the start event. */
const char *fed_seal_library_version(void);

/* A fresh identity in memory only. */
int fed_identity_generate(struct fed_identity *out, struct fed_error *err) FED_MUST_CHECK;
/* From a known seed: for tests and known answers. */
int fed_identity_from_seed(struct fed_identity *out, const uint8_t seed[FED_KEY_BYTES]) FED_MUST_CHECK;
void fed_identity_fini(struct fed_identity *identity);

void fed_public_line(char out[FED_PUBLIC_LINE_MAX], const struct fed_public_keys *keys);
/* FED_ECONFIG with a sentence: wrong prefix, length, character or check sum (a mistyped line never becomes a key). */
int fed_public_parse(struct fed_public_keys *out, const char *line, struct fed_error *err) FED_MUST_CHECK;

/* First 8 bytes of BLAKE2b-256 of both keys as hex: what people compare. out: 17 characters. */
void fed_public_fingerprint(char out[17], const struct fed_public_keys *keys);

#endif
