#include "common/config/roster_signed.h"

#include <string.h>

#include "common/config/name.h"
#include "common/seal/digest.h"
#include "common/seal/token.h"

_Static_assert(FED_NAME_MAX == FED_CERTIFICATE_NAME, "a name fits a certificate");

void fed_roster_entry_certificate(struct fed_certificate *out, const struct fed_roster_entry *entry, int64_t expires) {
    *out = (struct fed_certificate){.first_client = entry->first_client,
                                    .n_clients = entry->n_clients,
                                    .partial_sums = entry->partial_sums,
                                    .expires = expires,
                                    .not_before = entry->not_before,
                                    .not_after = entry->not_after};
    memcpy(out->name, entry->name, sizeof out->name);
}

int fed_roster_entry_from(struct fed_roster_entry *out, const struct fed_enrolment *enrolment,
                          const struct fed_public_keys *keys, struct fed_error *err) {
    struct fed_certificate read;
    if (fed_certificate_read(&read, enrolment->certificate) != 0) {
        return fed_error_set(err, FED_ECONFIG, "its certificate is of another layout");
    }
    if (!fed_name_valid(read.name)) {
        return fed_error_set(err, FED_ECONFIG, "its certificate names what is no name");
    }
    *out = (struct fed_roster_entry){.keys = *keys,
                                     .first_client = read.first_client,
                                     .n_clients = read.n_clients,
                                     .partial_sums = read.partial_sums,
                                     .not_before = read.not_before,
                                     .not_after = read.not_after,
                                     .has_enrolment = true,
                                     .enrolment = *enrolment};
    memcpy(out->name, read.name, sizeof out->name);
    return 0;
}

int fed_roster_entry_approve(struct fed_roster_entry *entry, bool next, const struct fed_identity *issuer, int64_t now_s) {
    struct fed_certificate certificate;
    struct fed_token *token = NULL;
    fed_roster_entry_certificate(&certificate, entry, now_s);
    int rc = fed_token_issue(&token, &certificate, issuer);
    if (rc != 0) {
        return rc;
    }
    fed_token_prove(next ? &entry->next_enrolment : &entry->enrolment, token, next ? &entry->next : &entry->keys, NULL);
    *(next ? &entry->has_next_enrolment : &entry->has_enrolment) = true;
    fed_token_free(token);
    return 0;
}

/* The first thing in which entry and certificate differ; NULL: nothing. */
static const char *difference(const struct fed_roster_entry *entry, const struct fed_certificate *certificate) {
    if (strcmp(entry->name, certificate->name) != 0) {
        return "name";
    }
    if (entry->first_client != certificate->first_client || entry->n_clients != certificate->n_clients) {
        return "clients";
    }
    if (entry->partial_sums != certificate->partial_sums) {
        return "partial_sums";
    }
    if (entry->not_before != certificate->not_before) {
        return "not_before";
    }
    return entry->not_after != certificate->not_after ? "not_after" : NULL;
}

static int verify(const struct fed_roster_entry *entry, bool has, const struct fed_enrolment *enrolment,
                  const struct fed_public_keys *keys, const uint8_t issuer[FED_SIGN_KEY_BYTES], struct fed_error *err) {
    struct fed_certificate read;
    char mine[17], theirs[17];
    fed_public_fingerprint(mine, keys);
    if (!has) {
        return fed_error_set(
            err, FED_EKEY,
            "the key with fingerprint %s has no certificate, and server.enrolment_key wants one: sign it with "
            "`fedavg roster approve`",
            mine);
    }
    if (fed_certificate_read(&read, enrolment->certificate) != 0) {
        return fed_error_set(err, FED_EKEY, "the certificate of the key with fingerprint %s is of another layout", mine);
    }
    if (memcmp(read.issuer, issuer, sizeof read.issuer) != 0) {
        fed_sign_fingerprint(theirs, read.issuer);
        return fed_error_set(
            err, FED_EKEY, "the certificate of the key with fingerprint %s is by another enrolment key, with fingerprint %s",
            mine, theirs);
    }
    if (fed_certificate_check(enrolment->certificate, issuer) != 0) {
        return fed_error_set(err, FED_EKEY, "the certificate of the key with fingerprint %s is forged or damaged", mine);
    }
    const char *what = difference(entry, &read);
    if (what != NULL) {
        return fed_error_set(err, FED_EKEY,
                             "%s is not what the certificate of the key with fingerprint %s says: sign the change with "
                             "`fedavg roster approve`",
                             what, mine);
    }
    if (fed_proof_check(enrolment->proof, enrolment->certificate, keys) != 0) {
        return fed_error_set(err, FED_EKEY, "the certificate was not made out to the key with fingerprint %s", mine);
    }
    return 0;
}

int fed_roster_entry_verify(const struct fed_roster_entry *entry, const uint8_t issuer[FED_SIGN_KEY_BYTES],
                            struct fed_error *err) {
    int rc = verify(entry, entry->has_enrolment, &entry->enrolment, &entry->keys, issuer, err);
    if (rc == 0 && entry->has_next) {
        rc = verify(entry, entry->has_next_enrolment, &entry->next_enrolment, &entry->next, issuer, err);
    }
    return rc;
}

void fed_roster_entry_digest(uint8_t out[32], const struct fed_roster_entry *entry) {
    struct fed_digest_state state;
    int64_t numbers[] = {(int64_t)entry->first_client,
                         (int64_t)entry->n_clients,
                         entry->partial_sums,
                         entry->not_before,
                         entry->not_after,
                         entry->has_enrolment,
                         entry->has_next,
                         entry->has_next_enrolment};
    fed_digest_init(&state);
    fed_digest_update(&state, entry->name, sizeof entry->name);
    fed_digest_update(&state, numbers, sizeof numbers);
    fed_digest_update(&state, &entry->keys, sizeof entry->keys);
    fed_digest_update(&state, &entry->enrolment, sizeof entry->enrolment);
    fed_digest_update(&state, &entry->next, sizeof entry->next);
    fed_digest_update(&state, &entry->next_enrolment, sizeof entry->next_enrolment);
    fed_digest_final(out, &state);
}
