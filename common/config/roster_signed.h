/* Signed entries of a roster: made by an enrolment key, verified by whoever has its public half (seal/enrolment.h). */
#ifndef FED_COMMON_CONFIG_ROSTER_SIGNED_H
#define FED_COMMON_CONFIG_ROSTER_SIGNED_H

#include "common/config/roster_file.h"

/* What a certificate for this entry says; token fields stay zero. */
void fed_roster_entry_certificate(struct fed_certificate *out, const struct fed_roster_entry *entry, int64_t expires);

/* The other way: the entry that certificate and proof stand for. FED_ECONFIG with a sentence: a certificate of another
 * layout, or one that no roster could hold (name, ids). Nothing is verified. */
int fed_roster_entry_from(struct fed_roster_entry *out, const struct fed_enrolment *enrolment,
                          const struct fed_public_keys *keys, struct fed_error *err) FED_MUST_CHECK;

/* The operator vouches for keys that came another way: certificate and proof for entry->keys, or with next for entry->next.
 * FED_ENOMEM. */
int fed_roster_entry_approve(struct fed_roster_entry *entry, bool next, const struct fed_identity *issuer,
                             int64_t now_s) FED_MUST_CHECK;

/* Whether all that the entry says was signed by this enrolment key, for these keys. FED_EKEY with a sentence that names
 * neither file nor node. */
int fed_roster_entry_verify(const struct fed_roster_entry *entry, const uint8_t issuer[FED_SIGN_KEY_BYTES],
                            struct fed_error *err) FED_MUST_CHECK;
/* BLAKE2b-256 of all that fed_roster_entry_verify looks at: what verified once need not be verified again. */
void fed_roster_entry_digest(uint8_t out[32], const struct fed_roster_entry *entry);

#endif
