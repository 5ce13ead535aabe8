/* Certificates, proofs and tokens: known answers from an independent implementation (tests/vectors/enrolment.py), then all
 * that must not pass. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/seal/token.h"
#include "tests/unit/named_vectors.h"

#define ANSWERS FED_VECTORS "/enrolment.txt"

static struct fed_identity issuer, node, coordinator, stranger;
static struct fed_enrolment known;
static char dir[64], file[96];

static void known_bytes(uint8_t *out, size_t n, const char *name) {
    ck_assert_msg(vector_bytes(out, n, ANSWERS, name), "no %s in " ANSWERS, name);
}

static void identity(struct fed_identity *out, const char *name) {
    uint8_t seed[FED_KEY_BYTES];
    known_bytes(seed, sizeof seed, name);
    ck_assert_int_eq(fed_identity_from_seed(out, seed), 0);
}

static void setup(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
    identity(&issuer, "issuer_seed");
    identity(&node, "node_seed");
    identity(&coordinator, "coordinator_seed");
    identity(&stranger, "token_seed");
    known_bytes(known.certificate, sizeof known.certificate, "certificate");
    known_bytes(known.proof, sizeof known.proof, "proof");
    strcpy(dir, "/tmp/fedavg-check-enrol-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/token", dir);
}

static void teardown(void) {
    fed_identity_fini(&issuer);
    fed_identity_fini(&node);
    fed_identity_fini(&coordinator);
    fed_identity_fini(&stranger);
    unlink(file);
    ck_assert_int_eq(rmdir(dir), 0);
}

static struct fed_token *known_token(void) {
    char line[VECTOR_MAX];
    struct fed_token *token;
    struct fed_error err = {""};
    ck_assert(vector_text(line, ANSWERS, "token"));
    ck_assert_msg(fed_token_parse(&token, line, &err) == 0, "%s", err.text);
    return token;
}

/* -- certificates ------------------------------------------------------------------------------------------------------ */

START_TEST(certificate_says_and_signs_as_the_known_answer) {
    struct fed_certificate read;
    uint8_t again[FED_CERTIFICATE_BYTES], nonce[FED_NONCE_BYTES];
    known_bytes(nonce, sizeof nonce, "nonce");
    ck_assert_int_eq(fed_certificate_read(&read, known.certificate), 0);
    ck_assert_str_eq(read.name, "ward-7");
    ck_assert_uint_eq(read.first_client, 7);
    ck_assert_uint_eq(read.n_clients, 3);
    ck_assert(read.partial_sums);
    ck_assert_int_eq(read.expires, 1767225600);
    ck_assert_int_eq(read.not_before, 0);
    ck_assert_int_eq(read.not_after, 1798785000);
    ck_assert_mem_eq(read.nonce, nonce, sizeof nonce);
    ck_assert_mem_eq(read.issuer, issuer.sign_key, sizeof read.issuer);
    ck_assert_int_eq(fed_certificate_check(known.certificate, issuer.sign_key), 0);
    fed_certificate_sign(again, &read, &issuer);
    ck_assert_mem_eq(again, known.certificate, sizeof again);
}
END_TEST

START_TEST(certificate_with_any_bit_flipped_is_forged) {
    uint8_t bytes[FED_CERTIFICATE_BYTES];
    memcpy(bytes, known.certificate, sizeof bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(fed_certificate_check(bytes, issuer.sign_key), FED_ESEAL);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(fed_certificate_check(bytes, stranger.sign_key), FED_ESEAL);
}
END_TEST

START_TEST(certificate_of_another_layout_is_not_read) {
    static const struct {
        size_t at;
        uint8_t value;
    } rows[] = {
        {0, 0},      /* no name */
        {7, 'x'},    /* something behind its end */
        {80, 2},     /* an unknown flag */
        {88, 0x80},  /* expires before 1970 */
        {96, 0x80},  /* not before 1970 */
        {104, 0x80}, /* not after */
    };
    struct fed_certificate read, untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t bytes[FED_CERTIFICATE_BYTES];
        memcpy(bytes, known.certificate, sizeof bytes);
        bytes[rows[i].at] = rows[i].value;
        read = untouched;
        ck_assert_int_eq(fed_certificate_read(&read, bytes), FED_EWIRE);
        ck_assert_mem_eq(&read, &untouched, sizeof read);
    }
    uint8_t bytes[FED_CERTIFICATE_BYTES];
    memcpy(bytes, known.certificate, sizeof bytes);
    memset(bytes, 'a', 64); /* a name without an end */
    ck_assert_int_eq(fed_certificate_read(&read, bytes), FED_EWIRE);
    memcpy(bytes, known.certificate, sizeof bytes);
    memset(bytes + 64, 0xff, 16); /* a range that wraps */
    ck_assert_int_eq(fed_certificate_read(&read, bytes), FED_EWIRE);
    memcpy(bytes, known.certificate, sizeof bytes);
    memset(bytes + 72, 0, 8); /* no clients */
    ck_assert_int_eq(fed_certificate_read(&read, bytes), FED_EWIRE);
}
END_TEST

/* -- proofs ------------------------------------------------------------------------------------------------------------ */

START_TEST(token_proves_as_the_known_answer) {
    struct fed_token *token = known_token();
    struct fed_enrolment made;
    uint8_t nobody[FED_PROOF_BYTES];
    fed_token_prove(&made, token, &node.public_keys, &coordinator.public_keys);
    ck_assert_mem_eq(&made, &known, sizeof made);
    ck_assert_int_eq(fed_proof_check(made.proof, made.certificate, &node.public_keys), 0);
    fed_token_prove(&made, token, &node.public_keys, NULL);
    known_bytes(nobody, sizeof nobody, "proof_of_nobody");
    ck_assert_mem_eq(made.proof, nobody, sizeof nobody);
    ck_assert_int_eq(fed_proof_check(made.proof, made.certificate, &node.public_keys), 0);
    fed_token_free(token);
}
END_TEST

START_TEST(proof_holds_for_its_keys_certificate_and_coordinator_alone) {
    struct fed_public_keys mixed = node.public_keys;
    ck_assert_int_eq(fed_proof_check(known.proof, known.certificate, &stranger.public_keys), FED_ESEAL);
    memcpy(mixed.seal, stranger.public_keys.seal, sizeof mixed.seal);
    ck_assert_int_eq(fed_proof_check(known.proof, known.certificate, &mixed), FED_ESEAL);
    for (size_t bit = 0; bit < 8 * sizeof known.proof; bit++) {
        known.proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(fed_proof_check(known.proof, known.certificate, &node.public_keys), FED_ESEAL);
        known.proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof known.certificate; bit += 3) {
        known.certificate[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(fed_proof_check(known.proof, known.certificate, &node.public_keys), FED_ESEAL);
        known.certificate[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(fed_proof_check(known.proof, known.certificate, &node.public_keys), 0);
}
END_TEST

START_TEST(proof_by_another_token_is_none) {
    struct fed_certificate what;
    struct fed_token *other;
    struct fed_enrolment theirs;
    ck_assert_int_eq(fed_certificate_read(&what, known.certificate), 0);
    ck_assert_int_eq(fed_token_issue(&other, &what, &issuer), 0);
    fed_token_prove(&theirs, other, &node.public_keys, &coordinator.public_keys);
    ck_assert_int_eq(fed_proof_check(theirs.proof, theirs.certificate, &node.public_keys), 0);
    ck_assert_int_eq(fed_proof_check(theirs.proof, known.certificate, &node.public_keys), FED_ESEAL);
    fed_token_free(other);
}
END_TEST

START_TEST(both_sides_come_to_the_known_proof_of_the_seal_key) {
    uint8_t expected[FED_ENROLMENT_MAC_BYTES], mine[FED_ENROLMENT_MAC_BYTES], theirs[FED_ENROLMENT_MAC_BYTES];
    known_bytes(expected, sizeof expected, "seal_mac");
    ck_assert_int_eq(fed_enrolment_mac_node(mine, known.certificate, &node, &coordinator.public_keys), 0);
    ck_assert_mem_eq(mine, expected, sizeof mine);
    ck_assert_int_eq(fed_enrolment_mac_coordinator(theirs, known.certificate, &node.public_keys, &coordinator), 0);
    ck_assert(fed_enrolment_mac_equal(mine, theirs));
    struct fed_public_keys claimed = node.public_keys; /* somebody else's seal key under one's own CURVE key */
    memcpy(claimed.seal, stranger.public_keys.seal, sizeof claimed.seal);
    ck_assert_int_eq(fed_enrolment_mac_coordinator(theirs, known.certificate, &claimed, &coordinator), 0);
    ck_assert(!fed_enrolment_mac_equal(mine, theirs));
    memset(claimed.seal, 0, sizeof claimed.seal);
    ck_assert_int_eq(fed_enrolment_mac_coordinator(theirs, known.certificate, &claimed, &coordinator), FED_ESEAL);
}
END_TEST

/* -- tokens ------------------------------------------------------------------------------------------------------------ */

static void must_not_parse(const char *line, const char *why) {
    struct fed_token *token = NULL;
    struct fed_error err = {""};
    ck_assert_int_eq(fed_token_parse(&token, line, &err), FED_ECONFIG);
    ck_assert_ptr_null(token);
    ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
    ck_assert_msg(strlen(line) < 40 || strstr(err.text, line + 20) == NULL, "the sentence repeats the token");
}

START_TEST(mistyped_token_is_none_and_is_not_repeated) {
    char good[VECTOR_MAX], line[2 * VECTOR_MAX];
    ck_assert(vector_text(good, ANSWERS, "token"));
    for (size_t at = 0; at < strlen(good); at++) {
        strcpy(line, good);
        line[at] = line[at] == 'A' ? 'B' : 'A';
        must_not_parse(line, "enrolment token");
        snprintf(line, sizeof line, "%.*s", (int)at, good);
        must_not_parse(line, "enrolment token");
    }
    snprintf(line, sizeof line, "%s%s", good, good);
    must_not_parse(line, "enrolment token");
}
END_TEST

START_TEST(issued_tokens_are_fresh_and_come_back_from_their_file) {
    struct fed_certificate what, a_says, b_says;
    struct fed_token *a, *b, *back;
    struct stat st;
    ck_assert_int_eq(fed_certificate_read(&what, known.certificate), 0);
    ck_assert_int_eq(fed_token_issue(&a, &what, &issuer), 0);
    ck_assert_int_eq(fed_token_issue(&b, &what, &issuer), 0);
    ck_assert_int_eq(fed_certificate_read(&a_says, fed_token_certificate(a)), 0);
    ck_assert_int_eq(fed_certificate_read(&b_says, fed_token_certificate(b)), 0);
    ck_assert_mem_ne(a_says.nonce, b_says.nonce, sizeof a_says.nonce);
    ck_assert_mem_ne(a_says.token_key, b_says.token_key, sizeof a_says.token_key);
    ck_assert_int_eq(fed_certificate_check(fed_token_certificate(a), issuer.sign_key), 0);

    ck_assert_int_eq(fed_token_save(a, file, NULL), 0);
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(fed_token_save(a, file, NULL), FED_EKEY); /* never over a file */
    ck_assert_int_eq(fed_token_load(&back, file, NULL), 0);
    struct fed_enrolment first, second;
    fed_token_prove(&first, a, &node.public_keys, NULL);
    fed_token_prove(&second, back, &node.public_keys, NULL);
    ck_assert_mem_eq(&first, &second, sizeof first);
    fed_token_free(back);

    struct fed_error err = {""};
    back = NULL;
    ck_assert_int_eq(chmod(file, 0640), 0);
    ck_assert_int_eq(fed_token_load(&back, file, &err), FED_EKEY);
    ck_assert_ptr_nonnull(strstr(err.text, "chmod 600"));
    ck_assert_int_eq(fed_token_load(&back, "/nowhere/token", &err), FED_ECONFIG);
    char line[VECTOR_MAX];
    ck_assert(vector_text(line, ANSWERS, "token"));
    ck_assert_int_eq(fed_token_load(&back, line, &err), FED_ECONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "never an argument"));
    ck_assert_ptr_nonnull(
        strstr(err.text, "put it into a file that nobody else may read, or give - and a pipe")); /* no echo */
    ck_assert_ptr_null(strstr(err.text, line + 20));
    ck_assert_ptr_null(back);
    fed_token_free(a);
    fed_token_free(b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("enrolment");
    TCase *tcase = tcase_create("enrolment");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, certificate_says_and_signs_as_the_known_answer);
    tcase_add_test(tcase, certificate_with_any_bit_flipped_is_forged);
    tcase_add_test(tcase, certificate_of_another_layout_is_not_read);
    tcase_add_test(tcase, token_proves_as_the_known_answer);
    tcase_add_test(tcase, proof_holds_for_its_keys_certificate_and_coordinator_alone);
    tcase_add_test(tcase, proof_by_another_token_is_none);
    tcase_add_test(tcase, both_sides_come_to_the_known_proof_of_the_seal_key);
    tcase_add_test(tcase, mistyped_token_is_none_and_is_not_repeated);
    tcase_add_test(tcase, issued_tokens_are_fresh_and_come_back_from_their_file);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
