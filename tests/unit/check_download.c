/* A model comes down in pieces: in any order, twice, broken, late, and never used before it is whole and the right one. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "client/download.h"
#include "common/seal/seal.h"

enum { WINDOW = 8, BROKEN_MOST = 16 };

static struct fed_model model;
static struct fed_image *image; /* what the coordinator has */
static struct fed_seal_key *key;
static struct fed_terms terms;
static struct fed_msg_round round_;
static struct fed_download *download;
static uint64_t n_chunks;
static uint8_t **sealed; /* (n_chunks) */

static size_t sealed_bytes(uint64_t i) { return fed_chunk_plain_bytes(image->n_bytes, i) + FED_TAG_BYTES; }

static void setup(void) {
    struct fed_model_spec spec = {.input = {2400}, .n_layers = 2, .layers = {{512, FED_RELU}, {10, FED_LINEAR}}};
    ck_assert_int_eq(fed_seal_setup(NULL), FED_OK);
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_int_eq(fed_image_new(&image, &model, (uint8_t[16]){9}, 4), FED_OK);
    fed_model_initial(image->params, &model, 1);
    ck_assert_int_eq(fed_image_finish(image, &model, (uint8_t[16]){9}), FED_OK);
    ck_assert_int_eq(fed_seal_key_random(&key), FED_OK);
    memset(&terms, 0, sizeof terms);
    memset(&round_, 0, sizeof round_);
    terms.round = 5;
    memcpy(terms.model_digest, image->digest, sizeof terms.model_digest);
    round_.terms = terms;
    round_.file_bytes = image->n_bytes;
    fed_seal_key_export(round_.model_key, key);
    n_chunks = fed_chunk_count(image->n_bytes);
    ck_assert_uint_gt(n_chunks, 2 * WINDOW);
    ck_assert_uint_ne(image->n_bytes % FED_CHUNK_BYTES, 0); /* the last one is shorter */
    sealed = calloc(n_chunks, sizeof *sealed);
    for (uint64_t i = 0; i < n_chunks; i++) {
        sealed[i] = malloc(sealed_bytes(i));
        fed_seal_chunk(sealed[i], key, i, image->bytes + i * FED_CHUNK_BYTES, sealed_bytes(i) - FED_TAG_BYTES);
    }
    ck_assert_int_eq(fed_download_new(&download, &terms, &round_), FED_OK);
}

static void teardown(void) {
    fed_download_free(download);
    download = NULL;
    for (uint64_t i = 0; i < n_chunks; i++) {
        free(sealed[i]);
    }
    free(sealed);
    fed_seal_key_free(key);
    fed_image_release(image);
}

static int give_bytes(uint64_t i, const uint8_t *bytes, size_t n, uint64_t now) {
    struct fed_error err = {""};
    int rc = fed_download_chunk(download, i, bytes, n, now, &model, &err);
    ck_assert_msg(rc == FED_OK || rc == FED_EAGAIN || err.text[0] != '\0', "given up without a sentence");
    return rc;
}

static int give(uint64_t i, uint64_t now) { return give_bytes(i, sealed[i], sealed_bytes(i), now); }

/* Asks for all that is wanted; returns how many chunks that were, their numbers in asked. */
static size_t ask(uint64_t *asked, uint64_t now) {
    uint64_t first;
    uint32_t count;
    size_t n = 0;
    while (fed_download_wants(download, now, &first, &count)) {
        ck_assert_uint_ge(count, 1);
        ck_assert_uint_le(first + count, n_chunks);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_uint_lt(n, n_chunks);
            asked[n++] = first + i;
        }
        fed_download_asked(download, first, count, now);
    }
    return n;
}

static void expect_whole(void) {
    struct fed_image *got = fed_download_take(download);
    ck_assert_ptr_nonnull(got);
    ck_assert_ptr_null(fed_download_take(download));
    ck_assert_uint_eq(got->n_bytes, image->n_bytes);
    ck_assert_mem_eq(got->bytes, image->bytes, image->n_bytes);
    ck_assert_mem_eq(got->digest, image->digest, 32);
    ck_assert_uint_eq(got->round, 4);
    ck_assert_mem_eq(got->params, image->params, model.n_params * sizeof(float));
    fed_image_release(got);
}

START_TEST(chunks_come_in_any_order) {
    uint64_t asked[64], left = n_chunks, first_first = UINT64_MAX;
    ck_assert_uint_le(n_chunks, 64);
    int rc = FED_EAGAIN;
    while (rc == FED_EAGAIN) {
        size_t n = ask(asked, 0);
        ck_assert_uint_ge(n, 1);
        first_first = first_first == UINT64_MAX ? asked[0] : first_first;
        while (n > 0 && rc == FED_EAGAIN) { /* backwards, and with an odd step */
            size_t i = (n * 5) % 3 < n ? (n * 5) % 3 : n - 1;
            uint64_t chunk = asked[i];
            asked[i] = asked[--n];
            rc = give(chunk, 0);
            left--;
            ck_assert_int_eq(rc, left == 0 ? FED_OK : FED_EAGAIN);
        }
    }
    ck_assert_uint_eq(first_first, 0);
    ck_assert_int_eq(rc, FED_OK);
    expect_whole();
}
END_TEST

START_TEST(window_is_never_exceeded) {
    uint64_t asked[64];
    size_t in_flight = ask(asked, 0), delivered = 0, next = 0;
    ck_assert_uint_eq(in_flight, WINDOW);
    uint64_t queue[256];
    size_t n_queue = in_flight;
    memcpy(queue, asked, in_flight * sizeof *queue);
    while (delivered < n_chunks) {
        ck_assert_int_eq(give(queue[next++], 0), ++delivered == n_chunks ? FED_OK : FED_EAGAIN);
        in_flight--;
        size_t n = ask(asked, 0);
        memcpy(queue + n_queue, asked, n * sizeof *queue);
        n_queue += n;
        in_flight += n;
        ck_assert_uint_le(in_flight, WINDOW);
        ck_assert_uint_le(in_flight, n_chunks - delivered);
        ck_assert_msg(in_flight > 0 || delivered == n_chunks, "stalled");
    }
    ck_assert_uint_eq(n_queue, n_chunks); /* nothing was asked for twice */
    expect_whole();
}
END_TEST

START_TEST(unasked_and_repeated_chunks_change_nothing) {
    uint64_t asked[64];
    ck_assert_int_eq(give(0, 0), FED_EAGAIN); /* not asked for yet */
    size_t n = ask(asked, 0);
    ck_assert_uint_eq(n, WINDOW);
    ck_assert_int_eq(give(0, 0), FED_EAGAIN);
    ck_assert_int_eq(give(0, 0), FED_EAGAIN);
    ck_assert_int_eq(give_bytes(0, sealed[1], sealed_bytes(1), 0), FED_EAGAIN); /* opened: not even looked at */
    ck_assert_int_eq(give(WINDOW, 0), FED_EAGAIN);
    ck_assert_int_eq(give_bytes(n_chunks, sealed[0], sealed_bytes(0), 0), FED_EAGAIN);
    ck_assert_int_eq(give_bytes(UINT64_MAX, sealed[0], sealed_bytes(0), 0), FED_EAGAIN);
    for (uint64_t done = 1; done < n_chunks;) {
        for (size_t i = done == 1 ? 1 : 0; i < n; i++) {
            ck_assert_int_eq(give(asked[i], 0), ++done == n_chunks ? FED_OK : FED_EAGAIN);
        }
        n = ask(asked, 0);
    }
    expect_whole();
}
END_TEST

START_TEST(broken_chunks_are_asked_for_again) {
    uint64_t asked[64], first;
    uint32_t count;
    ask(asked, 0);
    uint8_t *bad = malloc(sealed_bytes(3));
    memcpy(bad, sealed[3], sealed_bytes(3));
    bad[1000] ^= 1;
    ck_assert_int_eq(give_bytes(3, bad, sealed_bytes(3), 0), FED_EAGAIN);
    free(bad);
    ck_assert_int_eq(give_bytes(2, sealed[4], sealed_bytes(4), 0), FED_EAGAIN);     /* another chunk's bytes */
    ck_assert_int_eq(give_bytes(1, sealed[1], sealed_bytes(1) - 1, 0), FED_EAGAIN); /* truncated */
    ck_assert_int_eq(give_bytes(0, NULL, 0, 0), FED_EAGAIN);
    ck_assert(fed_download_wants(download, 0, &first, &count));
    ck_assert_uint_eq(first, 0);
    ck_assert_uint_eq(count, 4);
    int rc = FED_EAGAIN;
    for (uint64_t i = 4; i < WINDOW; i++) {
        ck_assert_int_eq(give(i, 0), FED_EAGAIN);
    }
    for (size_t n = ask(asked, 0); n > 0; n = ask(asked, 0)) {
        for (size_t i = 0; i < n; i++) {
            rc = give(asked[i], 0);
        }
    }
    ck_assert_int_eq(rc, FED_OK);
    expect_whole();
}
END_TEST

START_TEST(too_many_broken_chunks_end_it) {
    uint64_t asked[64];
    uint8_t *bad = calloc(1, sealed_bytes(0));
    for (unsigned i = 0; i < BROKEN_MOST; i++) {
        fed_download_restart(download); /* which does not make it forget */
        ask(asked, 0);
        ck_assert_int_eq(give_bytes(0, bad, sealed_bytes(0), 0), FED_EAGAIN);
    }
    fed_download_restart(download);
    ask(asked, 0);
    ck_assert_int_eq(give_bytes(0, bad, sealed_bytes(0), 0), FED_ESEAL);
    free(bad);
}
END_TEST

START_TEST(a_new_connection_asks_for_what_was_in_flight) {
    uint64_t asked[64], first;
    uint32_t count;
    ask(asked, 0);
    give(0, 0);
    give(2, 0);
    fed_download_restart(download);
    ck_assert(fed_download_wants(download, 0, &first, &count));
    ck_assert_uint_eq(first, 1);
    ck_assert_uint_eq(count, 1);
    fed_download_asked(download, first, count, 0);
    ck_assert(fed_download_wants(download, 0, &first, &count));
    ck_assert_uint_eq(first, 3);
    ck_assert_uint_eq(count, WINDOW - 1);
}
END_TEST

START_TEST(silence_is_answered_by_asking_again_and_more_patience) {
    uint64_t asked[64], now = 1000;
    ck_assert_uint_eq(ask(asked, now), WINDOW);
    ck_assert_uint_eq(ask(asked, now + 60000), 0);
    ck_assert_int_eq(give(0, now + 40000), FED_EAGAIN); /* something moves: the others are not late */
    ck_assert(!fed_download_is_late(download, now + 100000));
    ck_assert_uint_eq(ask(asked, now + 100000), 0);
    ck_assert(fed_download_is_late(download, now + 100001));
    ck_assert_uint_eq(ask(asked, now + 100001), WINDOW);
    ck_assert(!fed_download_is_late(download, now + 100001)); /* asked anew: the silence is another */
    ck_assert_uint_eq(asked[0], 1);
    now += 100001;
    ck_assert_uint_eq(ask(asked, now + 120000), 0);
    ck_assert_uint_eq(ask(asked, now + 120001), WINDOW);
    ck_assert_uint_eq(asked[0], 1);
}
END_TEST

/* Everything opens, but it is not the model that the terms name. */
START_TEST(a_model_of_another_digest_is_refused) {
    uint64_t asked[64];
    fed_download_free(download);
    terms.model_digest[5] ^= 1;
    ck_assert_int_eq(fed_download_new(&download, &terms, &round_), FED_OK);
    int rc = FED_EAGAIN;
    for (size_t n = ask(asked, 0); n > 0; n = rc == FED_EAGAIN ? ask(asked, 0) : 0) {
        for (size_t i = 0; i < n; i++) {
            rc = give(asked[i], 0);
        }
    }
    ck_assert_int_eq(rc, FED_EDATA);
}
END_TEST

START_TEST(nothing_opens_under_another_attempts_key) {
    uint64_t asked[64];
    fed_download_free(download);
    round_.model_key[0] ^= 1;
    ck_assert_int_eq(fed_download_new(&download, &terms, &round_), FED_OK);
    int rc = FED_EAGAIN;
    for (unsigned broken = 0; rc == FED_EAGAIN; broken++) {
        ck_assert_uint_le(broken, BROKEN_MOST);
        fed_download_restart(download);
        ask(asked, 0);
        rc = give(0, 0);
    }
    ck_assert_int_eq(rc, FED_ESEAL);
}
END_TEST

START_TEST(a_file_of_no_bytes_is_no_model) {
    struct fed_download *none = NULL;
    round_.file_bytes = 0;
    ck_assert_int_eq(fed_download_new(&none, &terms, &round_), FED_EWIRE);
    ck_assert_ptr_null(none);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("download");
    TCase *tests = tcase_create("download");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, chunks_come_in_any_order);
    tcase_add_test(tests, window_is_never_exceeded);
    tcase_add_test(tests, unasked_and_repeated_chunks_change_nothing);
    tcase_add_test(tests, broken_chunks_are_asked_for_again);
    tcase_add_test(tests, too_many_broken_chunks_end_it);
    tcase_add_test(tests, a_new_connection_asks_for_what_was_in_flight);
    tcase_add_test(tests, silence_is_answered_by_asking_again_and_more_patience);
    tcase_add_test(tests, a_model_of_another_digest_is_refused);
    tcase_add_test(tests, nothing_opens_under_another_attempts_key);
    tcase_add_test(tests, a_file_of_no_bytes_is_no_model);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
