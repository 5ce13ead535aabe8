#include "common/seal/enrolment.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "common/seal/digest.h"

#define CERTIFICATE_LABEL "fedavg/certificate/1"
#define PROOF_LABEL "fedavg/enrolment/1"
#define MAC_LABEL "fedavg/enrolment-seal/1"
#define LABEL_BYTES(label) (sizeof(label) - 1)
#define BODY_BYTES (FED_CERTIFICATE_BYTES - FED_SIGNATURE_BYTES)
#define BOTH_KEYS sizeof(struct fed_public_keys)

_Static_assert(BODY_BYTES == FED_CERTIFICATE_NAME + 8 + 8 + 1 + 8 + 8 + 8 + FED_NONCE_BYTES + 2 * FED_SIGN_KEY_BYTES,
               "the layout that is documented");
_Static_assert(FED_PROOF_BYTES == BOTH_KEYS + FED_SIGNATURE_BYTES, "the layout that is documented");

/* -- the certificate --------------------------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *out, const void *bytes, size_t n) {
    memcpy(out, bytes, n);
    return out + n;
}

static uint8_t *put_u64(uint8_t *out, uint64_t value) {
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
    return out + 8;
}

static const uint8_t *take(void *out, const uint8_t *in, size_t n) {
    memcpy(out, in, n);
    return in + n;
}

static const uint8_t *take_u64(uint64_t *out, const uint8_t *in) {
    *out = 0;
    for (int i = 0; i < 8; i++) {
        *out |= (uint64_t)in[i] << (8 * i);
    }
    return in + 8;
}

static const uint8_t *take_i64(int64_t *out, const uint8_t *in) {
    uint64_t value;
    in = take_u64(&value, in);
    memcpy(out, &value, sizeof value);
    return in;
}

static void labelled(uint8_t out[LABEL_BYTES(CERTIFICATE_LABEL) + BODY_BYTES], const uint8_t body[BODY_BYTES]) {
    put(put(out, CERTIFICATE_LABEL, LABEL_BYTES(CERTIFICATE_LABEL)), body, BODY_BYTES);
}

void fed_certificate_sign(uint8_t out[FED_CERTIFICATE_BYTES], const struct fed_certificate *certificate,
                          const struct fed_identity *issuer) {
    uint8_t name[FED_CERTIFICATE_NAME] = {0}, message[LABEL_BYTES(CERTIFICATE_LABEL) + BODY_BYTES];
    uint8_t flags = certificate->partial_sums, *at = out;
    size_t n_name = strnlen(certificate->name, sizeof name);
    assert(n_name < sizeof name);
    memcpy(name, certificate->name, n_name);
    at = put(at, name, sizeof name);
    at = put_u64(at, certificate->first_client);
    at = put_u64(at, certificate->n_clients);
    at = put(at, &flags, 1);
    at = put_u64(at, (uint64_t)certificate->expires);
    at = put_u64(at, (uint64_t)certificate->not_before);
    at = put_u64(at, (uint64_t)certificate->not_after);
    at = put(at, certificate->nonce, sizeof certificate->nonce);
    at = put(at, certificate->token_key, sizeof certificate->token_key);
    at = put(at, issuer->sign_key, sizeof issuer->sign_key);
    assert(at == out + BODY_BYTES);
    labelled(message, out);
    fed_sign(at, issuer->secret->sign, message, sizeof message);
}

int fed_certificate_read(struct fed_certificate *out, const uint8_t bytes[FED_CERTIFICATE_BYTES]) {
    struct fed_certificate read;
    uint8_t flags;
    const uint8_t *at = take(read.name, bytes, sizeof read.name);
    at = take_u64(&read.first_client, at);
    at = take_u64(&read.n_clients, at);
    at = take(&flags, at, 1);
    at = take_i64(&read.expires, at);
    at = take_i64(&read.not_before, at);
    at = take_i64(&read.not_after, at);
    at = take(read.nonce, at, sizeof read.nonce);
    at = take(read.token_key, at, sizeof read.token_key);
    at = take(read.issuer, at, sizeof read.issuer);
    assert(at == bytes + BODY_BYTES);
    size_t n_name = strnlen(read.name, sizeof read.name);
    bool padded = n_name > 0 && n_name < sizeof read.name;
    for (size_t i = n_name; i < sizeof read.name; i++) {
        padded = padded && read.name[i] == 0;
    }
    if (!padded || flags > 1 || read.n_clients == 0 || read.n_clients > UINT64_MAX - read.first_client ||
        read.expires <= 0 || read.not_before < 0 || read.not_after < 0) {
        return FED_EWIRE;
    }
    read.partial_sums = flags == 1;
    *out = read;
    return 0;
}

int fed_certificate_check(const uint8_t bytes[FED_CERTIFICATE_BYTES], const uint8_t issuer[FED_SIGN_KEY_BYTES]) {
    uint8_t message[LABEL_BYTES(CERTIFICATE_LABEL) + BODY_BYTES];
    labelled(message, bytes);
    return fed_sign_check(bytes + BODY_BYTES, issuer, message, sizeof message);
}

/* -- the proof --------------------------------------------------------------------------------------------------------- */

#define PROVED_BYTES (LABEL_BYTES(PROOF_LABEL) + FED_DIGEST_BYTES + 2 * BOTH_KEYS)

static void proved(uint8_t out[PROVED_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                   const struct fed_public_keys *node, const uint8_t coordinator[BOTH_KEYS]) {
    uint8_t digest[FED_DIGEST_BYTES], *at = put(out, PROOF_LABEL, LABEL_BYTES(PROOF_LABEL));
    fed_digest(digest, certificate, FED_CERTIFICATE_BYTES);
    at = put(at, digest, sizeof digest);
    at = put(at, node, BOTH_KEYS);
    at = put(at, coordinator, BOTH_KEYS);
    assert(at == out + PROVED_BYTES);
}

void fed_proof_sign(uint8_t out[FED_PROOF_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                    const struct fed_public_keys *node, const struct fed_public_keys *coordinator,
                    const uint8_t token_secret[FED_SIGN_SECRET_BYTES]) {
    static const struct fed_public_keys nobody;
    uint8_t message[PROVED_BYTES];
    memcpy(out, coordinator != NULL ? coordinator : &nobody, BOTH_KEYS);
    proved(message, certificate, node, out);
    fed_sign(out + BOTH_KEYS, token_secret, message, sizeof message);
}

int fed_proof_check(const uint8_t proof[FED_PROOF_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                    const struct fed_public_keys *node) {
    struct fed_certificate read;
    uint8_t message[PROVED_BYTES];
    if (fed_certificate_read(&read, certificate) != 0) {
        return FED_ESEAL;
    }
    proved(message, certificate, node, proof);
    return fed_sign_check(proof + BOTH_KEYS, read.token_key, message, sizeof message);
}

/* -- the seal key's secret --------------------------------------------------------------------------------------------- */

static int mac(uint8_t out[FED_ENROLMENT_MAC_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
               const struct fed_public_keys *node, const struct fed_public_keys *coordinator,
               const uint8_t secret[FED_KEY_BYTES], const uint8_t other[FED_KEY_BYTES]) {
    uint8_t shared[FED_KEY_BYTES], digest[FED_DIGEST_BYTES],
        message[LABEL_BYTES(MAC_LABEL) + FED_DIGEST_BYTES + 2 * BOTH_KEYS];
    if (crypto_scalarmult(shared, secret, other) != 0) {
        return FED_ESEAL;
    }
    fed_digest(digest, certificate, FED_CERTIFICATE_BYTES);
    uint8_t *at = put(message, MAC_LABEL, LABEL_BYTES(MAC_LABEL));
    at = put(at, digest, sizeof digest);
    at = put(at, node, BOTH_KEYS);
    put(at, coordinator, BOTH_KEYS);
    int rc = crypto_generichash(out, FED_ENROLMENT_MAC_BYTES, message, sizeof message, shared, sizeof shared);
    assert(rc == 0);
    (void)rc;
    sodium_memzero(shared, sizeof shared);
    return 0;
}

int fed_enrolment_mac_node(uint8_t out[FED_ENROLMENT_MAC_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                           const struct fed_identity *node, const struct fed_public_keys *coordinator) {
    return mac(out, certificate, &node->public_keys, coordinator, node->secret->seal, coordinator->seal);
}

int fed_enrolment_mac_coordinator(uint8_t out[FED_ENROLMENT_MAC_BYTES], const uint8_t certificate[FED_CERTIFICATE_BYTES],
                                  const struct fed_public_keys *node, const struct fed_identity *coordinator) {
    return mac(out, certificate, node, &coordinator->public_keys, coordinator->secret->seal, node->seal);
}

bool fed_enrolment_mac_equal(const uint8_t a[FED_ENROLMENT_MAC_BYTES], const uint8_t b[FED_ENROLMENT_MAC_BYTES]) {
    return sodium_memcmp(a, b, FED_ENROLMENT_MAC_BYTES) == 0;
}
