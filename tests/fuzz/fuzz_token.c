/* A line that is a token comes back as the same line, proves for whom it is asked to, and shows nothing of itself in a
 * sentence; certificates and proofs of any bytes are read or refused. */
#include <string.h>

#include "common/seal/token.h"
#include "tests/fuzz/fuzz.h"

static void try_certificate(const uint8_t *bytes, size_t n) {
    struct fed_enrolment enrolment = {{0}, {0}};
    struct fed_public_keys keys = {{1}, {2}};
    struct fed_certificate read;
    uint8_t *out = (uint8_t *)&enrolment;
    memcpy(out, bytes, n < sizeof enrolment ? n : sizeof enrolment);
    int rc = fed_certificate_read(&read, enrolment.certificate);
    MUST(rc == 0 || rc == FED_EWIRE);
    if (rc == 0) {
        MUST(read.name[0] != 0 && memchr(read.name, 0, sizeof read.name) != NULL && read.n_clients > 0);
        MUST(fed_certificate_check(enrolment.certificate, read.issuer) == FED_ESEAL || n >= FED_CERTIFICATE_BYTES);
    }
    rc = fed_proof_check(enrolment.proof, enrolment.certificate, &keys);
    MUST(rc == FED_ESEAL); /* nobody has these keys */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static int ready;
    char line[FED_TOKEN_MAX + 8];
    struct fed_token *token = NULL;
    struct fed_error err = {""};
    ready = ready || fed_seal_setup(NULL) == 0;
    MUST(ready);
    size_t n_line = n < sizeof line - 1 ? n : sizeof line - 1;
    memcpy(line, bytes, n_line);
    line[n_line] = 0;
    int rc = fed_token_parse(&token, line, &err);
    MUST(rc == 0 || (rc == FED_ECONFIG && err.text[0] != 0));
    must_be_one_line(err.text);
    if (rc == 0) {
        struct fed_enrolment made;
        struct fed_public_keys keys = {{3}, {4}};
        MUST(strncmp(line, FED_TOKEN_PREFIX, strlen(FED_TOKEN_PREFIX)) == 0);
        fed_token_prove(&made, token, &keys, NULL);
        MUST(fed_proof_check(made.proof, made.certificate, &keys) == 0);
        fed_token_free(token);
    }
    try_certificate(bytes, n);
    return 0;
}
