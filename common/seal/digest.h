/* BLAKE2b-256, whole or in pieces. */
#ifndef FED_COMMON_SEAL_DIGEST_H
#define FED_COMMON_SEAL_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FED_DIGEST_BYTES 32
#define FED_DIGEST_HEX (2 * FED_DIGEST_BYTES + 1)

struct fed_digest_state {
    _Alignas(64) unsigned char opaque[384];
};

void fed_digest(uint8_t out[FED_DIGEST_BYTES], const void *bytes, size_t n);
void fed_digest_init(struct fed_digest_state *state);
void fed_digest_update(struct fed_digest_state *state, const void *bytes, size_t n);
void fed_digest_final(uint8_t out[FED_DIGEST_BYTES], struct fed_digest_state *state);

/* Lower-case hex of n bytes, zero-terminated: 2 n + 1 characters. */
void fed_hex(char *out, const uint8_t *bytes, size_t n);
/* Back from exactly 2 n lower-case digits; false: text (NULL is allowed) is something else, and out is not to be used. */
bool fed_unhex(uint8_t *out, size_t n, const char *text);

#endif
