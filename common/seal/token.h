/* An enrolment token: a certificate and the secret seed of the key it names, as one line of text,
 * `fedavg-token1:<base64url of certificate || seed || first 4 bytes of their BLAKE2b-256>`.
 *
 * Who holds it may enrol one node, once, as the certificate says. The seed stays on the machine that joins: it signs the
 * proof (enrolment.h), and only certificate and proof travel. A token lives in guarded memory. */
#ifndef FED_COMMON_SEAL_TOKEN_H
#define FED_COMMON_SEAL_TOKEN_H

#include "common/seal/enrolment.h"

#define FED_TOKEN_PREFIX "fedavg-token1:"
#define FED_TOKEN_MAX 400 /* with the terminating zero */

struct fed_token;

/* Draws nonce and token key; the other fields of *what are signed. FED_ENOMEM. */
int fed_token_issue(struct fed_token **out, const struct fed_certificate *what,
                    const struct fed_identity *issuer) FED_MUST_CHECK;
/* FED_ECONFIG with a sentence that repeats nothing of the line: not a token, mistyped, cut, or not of one piece. Who signed
 * it is not judged. FED_ENOMEM. */
int fed_token_parse(struct fed_token **out, const char *line, struct fed_error *err) FED_MUST_CHECK;
/* The first line of a file of ours that nobody else may use, or of standard input ("-"). FED_ECONFIG, FED_EKEY, FED_EIO. */
int fed_token_load(struct fed_token **out, const char *file, struct fed_error *err) FED_MUST_CHECK;
/* Writes it there, mode 0600, never over a file; "-" is standard output. FED_EKEY, FED_EIO, FED_ENOMEM. */
int fed_token_save(const struct fed_token *token, const char *file, struct fed_error *err) FED_MUST_CHECK;
void fed_token_free(struct fed_token *token); /* wipes; NULL is allowed */

const uint8_t *fed_token_certificate(const struct fed_token *token); /* FED_CERTIFICATE_BYTES */
/* coordinator NULL: none is named. */
void fed_token_prove(struct fed_enrolment *out, const struct fed_token *token, const struct fed_public_keys *node,
                     const struct fed_public_keys *coordinator);

#endif
