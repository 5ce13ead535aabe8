/* Digests, identities, and public keys as a line. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/seal/digest.h"
#include "common/seal/keys.h"
#include "tests/unit/named_vectors.h"
#include "tests/unit/seal/fixture.h"

START_TEST(digest_matches_the_known_answer_whole_and_in_pieces) {
    uint8_t expected[FED_DIGEST_BYTES], whole[FED_DIGEST_BYTES], pieces[FED_DIGEST_BYTES];
    known_bytes(expected, sizeof expected, "digest_abc");
    fed_digest(whole, "abc", 3);
    ck_assert_mem_eq(whole, expected, sizeof expected);

    uint8_t bytes[1000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31);
    }
    fed_digest(whole, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 50) {
        struct fed_digest_state state;
        fed_digest_init(&state);
        fed_digest_update(&state, bytes, cut);
        fed_digest_update(&state, bytes + cut, sizeof bytes - cut);
        fed_digest_final(pieces, &state);
        ck_assert_mem_eq(pieces, whole, sizeof whole);
    }
}
END_TEST

START_TEST(hex_is_lower_case_and_ended) {
    char out[9];
    memset(out, 'x', sizeof out);
    fed_hex(out, (const uint8_t[]){0x00, 0x9f, 0xa0, 0xff}, 4);
    ck_assert_str_eq(out, "009fa0ff");
}
END_TEST

START_TEST(hex_is_read_back_from_exactly_as_many_lower_case_digits) {
    static const char *const wrong[] = {NULL, "", "009fa0f", "009fa0ff0", "009FA0FF", "009fa0fg", " 09fa0ff", "0x9fa0ff"};
    const uint8_t expect[] = {0x00, 0x9f, 0xa0, 0xff};
    uint8_t out[4];
    ck_assert(fed_unhex(out, sizeof out, "009fa0ff"));
    ck_assert_mem_eq(out, expect, sizeof out);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert(!fed_unhex(out, sizeof out, wrong[i]));
    }
}
END_TEST

START_TEST(identity_of_a_seed_matches_the_known_answer) {
    struct fed_identity identity;
    uint8_t expected[FED_KEY_BYTES];
    known_identity(&identity);
    known_bytes(expected, sizeof expected, "curve_secret");
    ck_assert_mem_eq(identity.secret->curve, expected, sizeof expected);
    known_bytes(expected, sizeof expected, "seal_secret");
    ck_assert_mem_eq(identity.secret->seal, expected, sizeof expected);
    known_bytes(expected, sizeof expected, "curve_public");
    ck_assert_mem_eq(identity.public_keys.curve, expected, sizeof expected);
    known_bytes(expected, sizeof expected, "seal_public");
    ck_assert_mem_eq(identity.public_keys.seal, expected, sizeof expected);

    char line[FED_PUBLIC_LINE_MAX], fingerprint[17], text[VECTOR_MAX];
    fed_public_line(line, &identity.public_keys);
    known_text(text, "public_line");
    ck_assert_str_eq(line, text);
    fed_public_fingerprint(fingerprint, &identity.public_keys);
    known_text(text, "fingerprint");
    ck_assert_str_eq(fingerprint, text);
    fed_identity_fini(&identity);
    ck_assert_ptr_null(identity.secret);
}
END_TEST

START_TEST(generated_identities_differ) {
    struct fed_identity a, b;
    ck_assert_int_eq(fed_identity_generate(&a, NULL), 0);
    ck_assert_int_eq(fed_identity_generate(&b, NULL), 0);
    ck_assert_mem_ne(a.public_keys.curve, b.public_keys.curve, FED_KEY_BYTES);
    ck_assert_mem_ne(a.public_keys.seal, b.public_keys.seal, FED_KEY_BYTES);
    ck_assert_mem_ne(a.public_keys.curve, a.public_keys.seal, FED_KEY_BYTES);
    fed_identity_fini(&a);
    fed_identity_fini(&b);
}
END_TEST

START_TEST(public_line_comes_back_as_the_same_keys) {
    for (int i = 0; i < 50; i++) {
        struct fed_identity identity;
        struct fed_public_keys parsed;
        char line[FED_PUBLIC_LINE_MAX];
        ck_assert_int_eq(fed_identity_generate(&identity, NULL), 0);
        fed_public_line(line, &identity.public_keys);
        ck_assert_int_eq(fed_public_parse(&parsed, line, NULL), 0);
        ck_assert_mem_eq(&parsed, &identity.public_keys, sizeof parsed);
        fed_identity_fini(&identity);
    }
}
END_TEST

static void must_not_parse(const char *line, const char *why) {
    struct fed_public_keys untouched, out;
    struct fed_error err = {""};
    memset(&untouched, 0x5a, sizeof untouched);
    out = untouched;
    ck_assert_int_eq(fed_public_parse(&out, line, &err), FED_ECONFIG);
    ck_assert_mem_eq(&out, &untouched, sizeof out);
    ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
}

START_TEST(mistyped_public_line_never_becomes_a_key) {
    char good[VECTOR_MAX], line[VECTOR_MAX];
    known_text(good, "public_line");
    size_t n = strlen(good);
    for (size_t at = 0; at < n; at++) {
        for (int c = 1; c < 256; c++) {
            if (c != (unsigned char)good[at]) {
                strcpy(line, good);
                line[at] = (char)c;
                must_not_parse(line, "public key line");
            }
        }
    }
    for (size_t at = 0; at + 1 < n; at++) { /* two neighbours exchanged */
        if (good[at] != good[at + 1]) {
            strcpy(line, good);
            line[at] = good[at + 1];
            line[at + 1] = good[at];
            must_not_parse(line, "public key line");
        }
    }
}
END_TEST

START_TEST(public_line_of_another_length_or_kind_is_refused_with_a_sentence) {
    char good[VECTOR_MAX], line[VECTOR_MAX + 2];
    known_text(good, "public_line");
    for (size_t n = 0; n < strlen(good); n++) {
        snprintf(line, sizeof line, "%.*s", (int)n, good);
        must_not_parse(line, n < 8 ? "must start with fedavg1:" : "characters where 99 are needed");
    }
    snprintf(line, sizeof line, "%s\n", good);
    must_not_parse(line, "has 100 characters");
    snprintf(line, sizeof line, " %s", good);
    must_not_parse(line, "must start with");
    known_text(line, "secret_line");
    must_not_parse(line, "must start with");
    strcpy(line, good);
    line[20] = '+';
    must_not_parse(line, "character 21");
    strcpy(line, good);
    line[20] = line[20] == 'A' ? 'B' : 'A';
    must_not_parse(line, "check sum");
}
END_TEST

TCase *identities_cases(void) {
    TCase *cases = seal_case("identities");
    tcase_add_test(cases, digest_matches_the_known_answer_whole_and_in_pieces);
    tcase_add_test(cases, hex_is_lower_case_and_ended);
    tcase_add_test(cases, hex_is_read_back_from_exactly_as_many_lower_case_digits);
    tcase_add_test(cases, identity_of_a_seed_matches_the_known_answer);
    tcase_add_test(cases, generated_identities_differ);
    tcase_add_test(cases, public_line_comes_back_as_the_same_keys);
    tcase_add_test(cases, mistyped_public_line_never_becomes_a_key);
    tcase_add_test(cases, public_line_of_another_length_or_kind_is_refused_with_a_sentence);
    return cases;
}
