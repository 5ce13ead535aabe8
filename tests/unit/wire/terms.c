/* The digest of the terms, and the names of refusals. */
#include <check.h>
#include <string.h>

#include "common/seal/keys.h"
#include "common/seal/seal.h"
#include "proto/wire.h"
#include "tests/unit/named_vectors.h"
#include "tests/unit/wire/fixture.h"

#define ANSWERS FED_VECTORS "/seal.txt"

static struct fed_terms known_terms(void) {
    struct fed_terms terms = {
        .round = 0x0102030405060708,
        .attempt = 0x11121314,
        .n_params = 1663370,
        .epochs = 5,
        .batch_size = 10,
        .learning_rate = 0.1f,
    };
    memset(terms.task_digest, 0xa1, 32);
    memset(terms.model_digest, 0xb2, 32);
    for (uint8_t i = 0; i < 32; i++) {
        terms.run_id[i % 16] = i % 16;
        terms.r_pk[i] = 100 + i;
    }
    return terms;
}

START_TEST(terms_digest_matches_the_known_answer) {
    struct fed_terms terms = known_terms();
    uint8_t digest[32], expected[32];
    ck_assert(vector_bytes(expected, sizeof expected, ANSWERS, "terms_digest"));
    fed_terms_digest(digest, &terms);
    ck_assert_mem_eq(digest, expected, sizeof expected);
}
END_TEST

/* Every field of the terms: where it lies and how many bytes it has. */
#define FIELD(name)                                                                                                         \
    { offsetof(struct fed_terms, name), sizeof((struct fed_terms *)NULL)->name }

static const struct {
    size_t offset, n;
} terms_fields[] = {FIELD(run_id),   FIELD(round), FIELD(attempt), FIELD(task_digest), FIELD(model_digest),
                    FIELD(n_params), FIELD(r_pk),  FIELD(epochs),  FIELD(batch_size),  FIELD(learning_rate)};

START_TEST(update_does_not_open_under_terms_that_differ_in_any_bit) {
    struct fed_terms terms = known_terms(), other;
    struct fed_seal_pair *e, *r;
    struct fed_identity node;
    struct fed_seal_key *key;
    uint8_t digest[32], sealed[24], opened[8];
    ck_assert_int_eq(fed_seal_pair_new(&e), 0);
    ck_assert_int_eq(fed_seal_pair_new(&r), 0);
    ck_assert_int_eq(fed_identity_generate(&node, NULL), 0);
    fed_terms_digest(digest, &terms);
    ck_assert_int_eq(fed_seal_update_key_node(&key, e, &node, fed_seal_pair_public(r), digest, "header", 6), 0);
    fed_seal_chunk(sealed, key, 0, (const uint8_t *)"8 bytes.", 8);
    fed_seal_key_free(key);

    const size_t offset = terms_fields[_i].offset, n_bits = 8 * terms_fields[_i].n;
    for (size_t bit = 0; bit <= n_bits; bit++) {
        other = terms;
        if (bit < n_bits) { /* the last turn leaves them as they are */
            ((uint8_t *)&other)[offset + bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        fed_terms_digest(digest, &other);
        ck_assert_int_eq(
            fed_seal_update_key_coordinator(&key, r, fed_seal_pair_public(e), node.public_keys.seal, digest, "header", 6),
            0);
        ck_assert_int_eq(fed_open_chunk(opened, key, 0, sealed, sizeof sealed), bit < n_bits ? FED_ESEAL : 0);
        fed_seal_key_free(key);
    }
    fed_seal_pair_free(e);
    fed_seal_pair_free(r);
    fed_identity_fini(&node);
}
END_TEST

START_TEST(every_refusal_has_a_name_of_its_own) {
    for (int a = 0; a < FED_REFUSAL_COUNT; a++) {
        const char *name = fed_refusal_name((enum fed_refusal)a);
        ck_assert_ptr_nonnull(name);
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        ck_assert_uint_gt(strlen(name), 0);
        for (int b = 0; b < a; b++) {
            ck_assert_str_ne(name, fed_refusal_name((enum fed_refusal)b));
        }
    }
    ck_assert_str_eq(fed_refusal_name(FED_REFUSAL_WEIGHT_CAP), "weight_cap");
}
END_TEST

TCase *terms_cases(void) {
    TCase *cases = wire_case("terms");
    tcase_add_test(cases, terms_digest_matches_the_known_answer);
    tcase_add_loop_test(cases, update_does_not_open_under_terms_that_differ_in_any_bit, 0, COUNT(terms_fields));
    tcase_add_test(cases, every_refusal_has_a_name_of_its_own);
    return cases;
}
