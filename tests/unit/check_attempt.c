/* One attempt: sealed once, opens with the key that goes into ROUND, and shares nothing with another attempt. */
#include "coordinator/round/attempt.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The sealed bytes belong to the link; the linker shows them to us on their way there. */
int __real_fed_shared_new(struct fed_shared **out, void *bytes, size_t n, void (*done)(void *, void *), void *context);
int __wrap_fed_shared_new(struct fed_shared **out, void *bytes, size_t n, void (*done)(void *, void *), void *context);

static const uint8_t *shared_bytes;
static size_t shared_n;

int __wrap_fed_shared_new(struct fed_shared **out, void *bytes, size_t n, void (*done)(void *, void *), void *context) {
    shared_bytes = bytes;
    shared_n = n;
    return __real_fed_shared_new(out, bytes, n, done, context);
}

static struct fed_model model;
static struct fed_image *image;
static const struct fed_terms given = {
    .run_id = {1}, .round = 4, .attempt = 2, .task_digest = {9}, .epochs = 3, .batch_size = 10, .learning_rate = 0.25f};

static void fill(void) {
    struct fed_model_spec spec;
    uint8_t run_id[16] = {1};
    ck_assert_int_eq(fed_seal_setup(NULL), FED_OK);
    ck_assert_int_eq(fed_model_preset(&spec, "mnist_2nn"), FED_OK);
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_int_eq(fed_image_new(&image, &model, run_id, 3), FED_OK);
    fed_model_initial(image->params, &model, 1);
    ck_assert_int_eq(fed_image_finish(image, &model, run_id), FED_OK);
}

static void drop(void) { fed_image_release(image); }

static struct fed_attempt make(void) {
    struct fed_attempt attempt;
    ck_assert_int_eq(fed_attempt_init(&attempt, &given, image, model.n_params), FED_OK);
    return attempt;
}

START_TEST(terms_are_what_was_given_and_what_is_sealed) {
    struct fed_attempt attempt = make();
    struct fed_terms expect = given;
    uint8_t digest[32];
    memcpy(expect.model_digest, image->digest, sizeof expect.model_digest);
    memcpy(expect.r_pk, fed_seal_pair_public(attempt.r), sizeof expect.r_pk);
    expect.n_params = model.n_params;
    fed_terms_digest(digest, &expect);
    ck_assert_mem_eq(attempt.terms_digest, digest, sizeof digest);
    ck_assert_uint_eq(attempt.terms.round, 4);
    ck_assert_uint_eq(attempt.terms.n_params, model.n_params);
    ck_assert_mem_eq(attempt.terms.model_digest, image->digest, 32);
    ck_assert_uint_eq(attempt.file_bytes, image->n_bytes);
    fed_attempt_fini(&attempt);
}
END_TEST

START_TEST(chunks_open_to_the_model_file_byte_for_byte) {
    struct fed_attempt attempt = make();
    struct fed_seal_key *key;
    uint8_t exported[FED_KEY_BYTES], *opened = malloc(FED_CHUNK_BYTES);
    fed_seal_key_export(exported, attempt.model_key); /* what ROUND carries */
    ck_assert_int_eq(fed_seal_key_import(&key, exported), FED_OK);
    uint64_t n_chunks = fed_chunk_count(image->n_bytes);
    size_t end = 0;
    ck_assert_uint_gt(n_chunks, 2);
    ck_assert_uint_ne(image->n_bytes % FED_CHUNK_BYTES, 0);
    for (uint64_t i = 0; i < n_chunks; i++) {
        size_t offset, n, plain = fed_chunk_plain_bytes(image->n_bytes, i);
        fed_attempt_chunk(&attempt, i, &offset, &n);
        ck_assert_uint_eq(offset, end); /* one behind the other */
        end = offset + n;
        const uint8_t *sealed = shared_bytes + offset;
        ck_assert_int_eq(fed_open_chunk(opened, key, i, sealed, n), FED_OK);
        ck_assert_uint_eq(n, plain + FED_TAG_BYTES);
        ck_assert_mem_eq(opened, image->bytes + i * FED_CHUNK_BYTES, plain);
        ck_assert_int_eq(fed_open_chunk(opened, key, i + 1, sealed, n), FED_ESEAL);
    }
    ck_assert_uint_eq(end, fed_sealed_bytes(image->n_bytes));
    ck_assert_uint_eq(end, shared_n);
    fed_seal_key_free(key);
    free(opened);
    fed_attempt_fini(&attempt);
}
END_TEST

START_TEST(another_attempt_of_the_same_round_shares_no_secret) {
    struct fed_attempt a = make();
    const uint8_t *sealed_a = shared_bytes;
    struct fed_attempt b = make();
    uint8_t key_a[FED_KEY_BYTES], key_b[FED_KEY_BYTES], *opened = malloc(FED_CHUNK_BYTES);
    size_t offset, n;
    fed_seal_key_export(key_a, a.model_key);
    fed_seal_key_export(key_b, b.model_key);
    ck_assert_mem_ne(key_a, key_b, sizeof key_a);
    ck_assert_mem_ne(a.terms.r_pk, b.terms.r_pk, sizeof a.terms.r_pk);
    ck_assert_mem_ne(a.terms_digest, b.terms_digest, sizeof a.terms_digest);
    fed_attempt_chunk(&a, 0, &offset, &n);
    ck_assert_int_eq(fed_open_chunk(opened, b.model_key, 0, sealed_a, n), FED_ESEAL);
    ck_assert_int_eq(fed_open_chunk(opened, a.model_key, 0, sealed_a, n), FED_OK);
    free(opened);
    fed_attempt_fini(&a);
    fed_attempt_fini(&b);
}
END_TEST

START_TEST(attempt_that_is_over_holds_nothing) {
    static const struct fed_attempt nothing;
    struct fed_attempt attempt = make();
    fed_attempt_fini(&attempt);
    ck_assert_mem_eq(&attempt, &nothing, sizeof nothing);
    fed_attempt_fini(&attempt); /* harmless */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("attempt");
    TCase *tcase = tcase_create("attempt");
    tcase_add_checked_fixture(tcase, fill, drop);
    tcase_add_test(tcase, terms_are_what_was_given_and_what_is_sealed);
    tcase_add_test(tcase, chunks_open_to_the_model_file_byte_for_byte);
    tcase_add_test(tcase, another_attempt_of_the_same_round_shares_no_secret);
    tcase_add_test(tcase, attempt_that_is_over_holds_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
