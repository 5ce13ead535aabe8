/* Signatures (Ed25519, RFC 8032) and the public line that names who signs:
 * `fedavg-sign1:<base64url of public key || first 4 bytes of its BLAKE2b-256>`. */
#ifndef FED_COMMON_SEAL_SIGN_H
#define FED_COMMON_SEAL_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_SIGN_KEY_BYTES 32    /* public */
#define FED_SIGN_SECRET_BYTES 64 /* seed || public key, as libsodium keeps it */
#define FED_SIGNATURE_BYTES 64
#define FED_SIGN_LINE_MAX 64 /* with the terminating zero */

/* The pair that belongs to a 32-byte seed. secret: the caller's guarded memory. */
void fed_sign_pair(uint8_t public_key[FED_SIGN_KEY_BYTES], uint8_t secret[FED_SIGN_SECRET_BYTES], const uint8_t seed[32]);

/* Deterministic: the same bytes under the same key have one signature. */
void fed_sign(uint8_t out[FED_SIGNATURE_BYTES], const uint8_t secret[FED_SIGN_SECRET_BYTES], const void *bytes, size_t n);
/* FED_ESEAL. Keys of low order and signatures in another than the one canonical form are refused. */
int fed_sign_check(const uint8_t signature[FED_SIGNATURE_BYTES], const uint8_t public_key[FED_SIGN_KEY_BYTES],
                   const void *bytes, size_t n) FED_MUST_CHECK;

void fed_sign_line(char out[FED_SIGN_LINE_MAX], const uint8_t public_key[FED_SIGN_KEY_BYTES]);
/* FED_ECONFIG with a sentence: wrong prefix, length, character or check sum. */
int fed_sign_line_parse(uint8_t out[FED_SIGN_KEY_BYTES], const char *line, struct fed_error *err) FED_MUST_CHECK;
/* First 8 bytes of the key's BLAKE2b-256 as hex: what people compare. out: 17 characters. */
void fed_sign_fingerprint(char out[17], const uint8_t public_key[FED_SIGN_KEY_BYTES]);

#endif
