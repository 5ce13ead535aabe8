/* Signatures: the vectors of RFC 8032, then what must not verify or parse. */
#include <check.h>
#include <string.h>

#include "common/seal/keys.h"
#include "common/seal/sign.h"
#include "tests/unit/named_vectors.h"

#define ANSWERS FED_VECTORS "/sign.txt"

static void setup(void) { ck_assert_int_eq(fed_seal_setup(NULL), 0); }

static void known(uint8_t *out, size_t n, const char *name, int i) {
    char whole[32];
    snprintf(whole, sizeof whole, "%s_%d", name, i);
    ck_assert_msg(vector_bytes(out, n, ANSWERS, whole), "no %s in " ANSWERS, whole);
}

START_TEST(pairs_and_signatures_match_rfc_8032) {
    static const size_t lengths[] = {0, 1, 2};
    uint8_t seed[32], expected[FED_SIGN_KEY_BYTES], public_key[FED_SIGN_KEY_BYTES], secret[FED_SIGN_SECRET_BYTES];
    uint8_t message[2] = {0}, wanted[FED_SIGNATURE_BYTES], signature[FED_SIGNATURE_BYTES];
    size_t n = lengths[_i];
    known(seed, sizeof seed, "rfc_seed", _i);
    known(expected, sizeof expected, "rfc_public", _i);
    known(wanted, sizeof wanted, "rfc_signature", _i);
    if (n > 0) {
        known(message, n, "rfc_message", _i);
    }
    fed_sign_pair(public_key, secret, seed);
    ck_assert_mem_eq(public_key, expected, sizeof expected);
    fed_sign(signature, secret, message, n);
    ck_assert_mem_eq(signature, wanted, sizeof wanted);
    ck_assert_int_eq(fed_sign_check(signature, public_key, message, n), 0);
}
END_TEST

static const char text[] = "what is signed";

START_TEST(nothing_altered_verifies) {
    uint8_t seed[32] = {7}, public_key[FED_SIGN_KEY_BYTES], secret[FED_SIGN_SECRET_BYTES], signature[FED_SIGNATURE_BYTES];
    fed_sign_pair(public_key, secret, seed);
    fed_sign(signature, secret, text, sizeof text);
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(fed_sign_check(signature, public_key, text, sizeof text), FED_ESEAL);
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof text; bit++) {
        char other[sizeof text];
        memcpy(other, text, sizeof text);
        other[bit / 8] ^= (char)(1 << bit % 8);
        ck_assert_int_eq(fed_sign_check(signature, public_key, other, sizeof other), FED_ESEAL);
    }
    for (size_t bit = 0; bit < 8 * sizeof public_key; bit++) {
        public_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(fed_sign_check(signature, public_key, text, sizeof text), FED_ESEAL);
        public_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(fed_sign_check(signature, public_key, text, sizeof text - 1), FED_ESEAL);
    ck_assert_int_eq(fed_sign_check(signature, public_key, text, sizeof text), 0);
}
END_TEST

START_TEST(key_of_low_order_signs_nothing) {
    uint8_t zero_key[FED_SIGN_KEY_BYTES] = {1}, forged[FED_SIGNATURE_BYTES] = {1}; /* the neutral point, S = 0 */
    ck_assert_int_eq(fed_sign_check(forged, zero_key, text, sizeof text), FED_ESEAL);
}
END_TEST

START_TEST(identity_signs_with_its_third_subkey) {
    uint8_t seed[FED_KEY_BYTES], expected[FED_SIGN_KEY_BYTES];
    char line[FED_SIGN_LINE_MAX], fingerprint[17], wanted[VECTOR_MAX];
    struct fed_identity identity;
    known(seed, sizeof seed, "identity_seed", 0);
    known(expected, sizeof expected, "identity_sign_key", 0);
    ck_assert_int_eq(fed_identity_from_seed(&identity, seed), 0);
    ck_assert_mem_eq(identity.sign_key, expected, sizeof expected);
    fed_sign_line(line, identity.sign_key);
    ck_assert(vector_text(wanted, ANSWERS, "identity_sign_line"));
    ck_assert_str_eq(line, wanted);
    fed_sign_fingerprint(fingerprint, identity.sign_key);
    ck_assert(vector_text(wanted, ANSWERS, "identity_sign_fingerprint"));
    ck_assert_str_eq(fingerprint, wanted);
    fed_identity_fini(&identity);
}
END_TEST

START_TEST(mistyped_line_never_becomes_a_key) {
    uint8_t key[FED_SIGN_KEY_BYTES], back[FED_SIGN_KEY_BYTES], untouched[FED_SIGN_KEY_BYTES];
    char good[FED_SIGN_LINE_MAX], line[FED_SIGN_LINE_MAX];
    memset(key, 0x5a, sizeof key);
    memset(untouched, 0xee, sizeof untouched);
    fed_sign_line(good, key);
    ck_assert_int_eq(fed_sign_line_parse(back, good, NULL), 0);
    ck_assert_mem_eq(back, key, sizeof key);
    memcpy(back, untouched, sizeof back);
    for (size_t at = 0; at < strlen(good); at++) {
        for (int c = 0; c < 256; c++) {
            struct fed_error err = {""};
            memcpy(line, good, sizeof line);
            line[at] = (char)c;
            if (c != (unsigned char)good[at]) {
                ck_assert_int_eq(fed_sign_line_parse(back, line, &err), FED_ECONFIG);
                ck_assert_ptr_nonnull(strstr(err.text, "enrolment key line"));
            }
        }
    }
    ck_assert_mem_eq(back, untouched, sizeof back);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sign");
    TCase *tcase = tcase_create("sign");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_loop_test(tcase, pairs_and_signatures_match_rfc_8032, 0, 3);
    tcase_add_test(tcase, nothing_altered_verifies);
    tcase_add_test(tcase, key_of_low_order_signs_nothing);
    tcase_add_test(tcase, identity_signs_with_its_third_subkey);
    tcase_add_test(tcase, mistyped_line_never_becomes_a_key);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
