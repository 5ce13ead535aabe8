/* The seal, one construction both ways: chunk i (256 KiB, the last one shorter) is XChaCha20-Poly1305 (IETF) under a
 * single-use key with nonce = le64(i) padded with zeros; no associated data, because the key itself is bound to all that
 * matters. A message is complete when all chunks have opened. What is replayed, re-targeted, truncated or altered does not.
 *
 * Down: one fresh random key K_r for each attempt, given to each picked node over the control lane.
 * Up:   K = BLAKE2b-256(key = X25519(e_sk, R_pk) || X25519(c_sk, R_pk),
 *                       input = "fedavg/update/1" || e_pk || R_pk || c_pk || H(terms) || header bytes)
 *       with e fresh for each sealing, R the attempt's own key pair, c the node's long-term seal key. */
#ifndef FED_COMMON_SEAL_SEAL_H
#define FED_COMMON_SEAL_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/seal/keys.h"

#define FED_CHUNK_BYTES ((size_t)256 * 1024)
#define FED_TAG_BYTES ((size_t)16)

/* Number of chunks of n plain bytes (0 for 0), their sealed total, and the plain and sealed length of chunk i. */
uint64_t fed_chunk_count(uint64_t n_bytes);
uint64_t fed_sealed_bytes(uint64_t n_bytes);
size_t fed_chunk_plain_bytes(uint64_t n_bytes, uint64_t i);

/* A secret key in guarded memory. */
struct fed_seal_key;
void fed_seal_key_free(struct fed_seal_key *key); /* wipes; NULL is allowed */
int fed_seal_key_random(struct fed_seal_key **out) FED_MUST_CHECK;
int fed_seal_key_import(struct fed_seal_key **out, const uint8_t bytes[FED_KEY_BYTES]) FED_MUST_CHECK;
void fed_seal_key_export(uint8_t out[FED_KEY_BYTES], const struct fed_seal_key *key);

/* The attempt's key pair R, or an ephemeral e. */
struct fed_seal_pair;
int fed_seal_pair_new(struct fed_seal_pair **out) FED_MUST_CHECK;
/* From a known secret: for tests and known answers. */
int fed_seal_pair_import(struct fed_seal_pair **out, const uint8_t secret_key[FED_KEY_BYTES]) FED_MUST_CHECK;
void fed_seal_pair_free(struct fed_seal_pair *pair);                   /* wipes; NULL is allowed */
const uint8_t *fed_seal_pair_public(const struct fed_seal_pair *pair); /* FED_KEY_BYTES */

/* The node's side and the coordinator's side of the same key. header: the encoded header exactly as it travels.
 * FED_ESEAL when a public key is of low order. */
int fed_seal_update_key_node(struct fed_seal_key **out, const struct fed_seal_pair *e, const struct fed_identity *node,
                             const uint8_t r_pk[FED_KEY_BYTES], const uint8_t terms_digest[32], const void *header,
                             size_t n_header) FED_MUST_CHECK;
int fed_seal_update_key_coordinator(struct fed_seal_key **out, const struct fed_seal_pair *r,
                                    const uint8_t e_pk[FED_KEY_BYTES], const uint8_t node_seal_pk[FED_KEY_BYTES],
                                    const uint8_t terms_digest[32], const void *header, size_t n_header) FED_MUST_CHECK;

/* out: n + FED_TAG_BYTES. Thread-safe for one key. */
void fed_seal_chunk(uint8_t *out, const struct fed_seal_key *key, uint64_t i, const uint8_t *plain, size_t n);
/* out: n - FED_TAG_BYTES; may be the same address as sealed. FED_ESEAL; out is then wiped or untouched. */
int fed_open_chunk(uint8_t *out, const struct fed_seal_key *key, uint64_t i, const uint8_t *sealed, size_t n) FED_MUST_CHECK;

#endif
