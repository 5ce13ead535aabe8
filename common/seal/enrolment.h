/* What makes a node one of ours: a certificate, signed by an offline enrolment key, that says what may be enrolled, and a
 * proof, signed by the key that the certificate names, that says whose keys were. Both together are a roster's entry: who
 * has the enrolment key's public half can verify them alone, and a coordinator cannot make them.
 *
 * Certificate, 249 bytes, little-endian, without padding:
 *
 *     0   64  name, padded with zeros (at least one)       105  16  nonce
 *     64   8  first client                                 121  32  token key: Ed25519, signs the proof
 *     72   8  number of clients                            153  32  issuer: the enrolment key
 *     80   1  1 = partial sums, else 0                     185  64  signature of the issuer over
 *     81   8  token expires, seconds since 1970                     "fedavg/certificate/1" || bytes 0..184
 *     89   8  entry not before, 0 = open
 *     97   8  entry not after, 0 = open
 *
 * Proof, 128 bytes: the coordinator's public keys (CURVE || seal; zeros in an entry that the operator made himself), then
 * the signature of the token key over "fedavg/enrolment/1" || BLAKE2b-256(certificate) || node's public keys || those 64
 * bytes */
#ifndef FED_COMMON_SEAL_ENROLMENT_H
#define FED_COMMON_SEAL_ENROLMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/seal/keys.h"

#define FED_CERTIFICATE_BYTES 249
#define FED_PROOF_BYTES 128
#define FED_NONCE_BYTES 16
#define FED_ENROLMENT_MAC_BYTES 32
#define FED_CERTIFICATE_NAME 64 /* with at least one zero */

struct fed_certificate {
    char name[FED_CERTIFICATE_NAME];
    uint64_t first_client, n_clients;
    bool partial_sums;
    int64_t expires;               /* of the token: it is not accepted later; says nothing of the entry */
    int64_t not_before, not_after; /* of the entry; 0 = open */
    uint8_t nonce[FED_NONCE_BYTES];
    uint8_t token_key[FED_SIGN_KEY_BYTES];
    uint8_t issuer[FED_SIGN_KEY_BYTES];
};

struct fed_enrolment {
    uint8_t certificate[FED_CERTIFICATE_BYTES];
    uint8_t proof[FED_PROOF_BYTES];
};

/* Signs it. The field issuer is not looked at: it becomes the identity's. */
void fed_certificate_sign(uint8_t out[FED_CERTIFICATE_BYTES], const struct fed_certificate *certificate,
                          const struct fed_identity *issuer);
/* What the bytes say; whether it is true is fed_certificate_check's to tell. FED_EWIRE: no certificate of this layout. */
int fed_certificate_read(struct fed_certificate *out, const uint8_t bytes[FED_CERTIFICATE_BYTES]) FED_MUST_CHECK;
/* FED_ESEAL: not signed by this enrolment key. */
int fed_certificate_check(const uint8_t bytes[FED_CERTIFICATE_BYTES],
                          const uint8_t issuer[FED_SIGN_KEY_BYTES]) FED_MUST_CHECK;

/* coordinator NULL: none is named. token_secret: of the certificate's token key. */
void fed_proof_sign(uint8_t out[FED_PROOF_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                    const struct fed_public_keys *node, const struct fed_public_keys *coordinator,
                    const uint8_t token_secret[FED_SIGN_SECRET_BYTES]);
/* FED_ESEAL: not a proof for this node under this certificate, of which nothing else is checked. */
int fed_proof_check(const uint8_t proof[FED_PROOF_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                    const struct fed_public_keys *node) FED_MUST_CHECK;

/* Proof to the coordinator that the node holds the secret of its seal key too (CURVE proves the other one):
 * BLAKE2b-256(key = X25519(node's seal secret, coordinator's seal key), input = "fedavg/enrolment-seal/1" ||
 * BLAKE2b-256(certificate) || node's public keys || coordinator's public keys). FED_ESEAL: a key of low order. */
int fed_enrolment_mac_node(uint8_t out[FED_ENROLMENT_MAC_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                           const struct fed_identity *node, const struct fed_public_keys *coordinator) FED_MUST_CHECK;
int fed_enrolment_mac_coordinator(uint8_t out[FED_ENROLMENT_MAC_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                                  const struct fed_public_keys *node, const struct fed_identity *coordinator) FED_MUST_CHECK;
/* In constant time. */
bool fed_enrolment_mac_equal(const uint8_t a[FED_ENROLMENT_MAC_BYTES], const uint8_t b[FED_ENROLMENT_MAC_BYTES]);

#endif
