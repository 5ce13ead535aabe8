/* Rounds that go well: what is trained, offered, fetched and opened, and what is answered again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/seal/seal.h"
#include "proto/wire.h"
#include "tests/unit/session/fixture.h"

/* What was said before it, of training, is passed over. */
static struct fed_message *await_idle(void) {
    for (;;) {
        struct fed_message *status = await(FED_MSG_STATUS);
        if (status->as.status.phase == FED_PHASE_IDLE) {
            return status;
        }
        free(status);
    }
}

static size_t lines_of_sent_log(void) {
    char path[80];
    uint8_t *text = NULL;
    size_t n, lines = 0;
    snprintf(path, sizeof path, "%s/sent.log", w.state);
    ck_assert_int_eq(fed_file_read(&text, &n, path, 1 << 20, NULL), FED_OK);
    for (size_t i = 0; i < n; i++) {
        lines += text[i] == '\n';
    }
    free(text);
    return lines;
}

static void whole_round(enum fed_encoding encoding, const uint64_t *clients) {
    struct attempt a;
    begin(&a, 5, 1);
    say_round(&a, 3, encoding, true, clients);
    struct fed_message *offer = await_offer(&a, 3);
    ck_assert_uint_ge(w.model_gets, 1);
    ck_assert_uint_eq(lines_of_sent_log(), 0); /* nothing has left yet */
    fetch_and_open(&a, offer, clients);
    ck_assert_uint_eq(lines_of_sent_log(), 1);
    say_admitted(&a, 3);
    say_end(&a, true);
    free(offer);
    close_attempt(&a);
    free(await_idle());
}

START_TEST(a_round_is_trained_offered_fetched_and_opened) { whole_round(FED_ENCODING_I64, IDS(11, 12, 14)); }
END_TEST

START_TEST(a_single_update_travels_as_it_is) { whole_round(FED_ENCODING_F32, IDS(12)); }
END_TEST

START_TEST(what_is_asked_again_is_answered_the_same) {
    struct attempt a;
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, false, IDS(12));
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(12, 11));
    struct fed_message *first = await_offer(&a, 0);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(12, 11));
    struct fed_message *second = await_offer(&a, 0); /* said again because nobody answers */
    ck_assert_mem_eq(first->as.offer.e_pk, second->as.offer.e_pk, 32);
    ck_assert_uint_eq(first->as.offer.n_header, second->as.offer.n_header);
    ck_assert_mem_eq(first->as.offer.header, second->as.offer.header, first->as.offer.n_header);
    fetch_and_open(&a, first, IDS(11, 12));
    uint8_t *chunk = malloc(w.n_chunk[1]);
    memcpy(chunk, w.chunks[1], w.n_chunk[1]);
    fetch_and_open(&a, first, IDS(11, 12));
    ck_assert_mem_eq(chunk, w.chunks[1], w.n_chunk[1]);
    ck_assert_uint_eq(lines_of_sent_log(), 1); /* one update, however often its chunks were asked for */
    ck_assert_int_eq(calls(11), 1);
    ck_assert_int_eq(calls(12), 1);
    free(chunk);
    free(first);
    free(second);
    close_attempt(&a);
}
END_TEST

START_TEST(another_attempt_is_sealed_anew_and_not_trained_again) {
    struct attempt a, b;
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
    struct fed_message *old = await_offer(&a, 0);
    say_end(&a, false);
    w.serve_model = false; /* it has the model: nothing but the held one can be trained from */
    open_attempt(&b, 5, 2);
    say_round(&b, 0, FED_ENCODING_I64, true, IDS(12, 11, 13));
    struct fed_message *anew = await_offer(&b, 0);
    ck_assert_mem_ne(old->as.offer.e_pk, anew->as.offer.e_pk, 32);
    fetch_and_open(&b, anew, IDS(11, 12, 13));
    uint8_t *plain = malloc(CHUNKS_MOST * FED_CHUNK_BYTES);
    ck_assert_int_eq(open_chunks(plain, &a, &anew->as.offer, 1), FED_ESEAL);
    ck_assert_int_eq(open_chunks(plain, &b, &old->as.offer, 1), FED_ESEAL);
    ck_assert_int_eq(open_chunks(plain, &a, &old->as.offer, 1), FED_ESEAL);
    free(plain);
    for (uint64_t client = 11; client <= 13; client++) {
        ck_assert_int_eq(calls(client), 1);
    }
    ck_assert_uint_eq(lines_of_sent_log(), 1); /* the first was never fetched */
    free(old);
    free(anew);
    close_attempt(&a);
    close_attempt(&b);
}
END_TEST

START_TEST(a_new_model_is_fetched_and_trained_from) {
    struct attempt a, b;
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_F32, true, IDS(11));
    free(await_offer(&a, 0));
    say_admitted(&a, 0);
    say_end(&a, true);
    unsigned gets = w.model_gets;
    open_attempt(&b, 6, 1);
    say_round(&b, 0, FED_ENCODING_F32, true, IDS(11));
    struct fed_message *offer = await_offer(&b, 0);
    ck_assert_uint_gt(w.model_gets, gets);
    fetch_and_open(&b, offer, IDS(11));
    ck_assert_int_eq(calls(11), 2);
    free(offer);
    close_attempt(&a);
    close_attempt(&b);
}
END_TEST

START_TEST(what_is_refused_for_now_is_offered_again) {
    struct attempt a;
    begin(&a, 5, 1);
    say_round(&a, 2, FED_ENCODING_I64, true, IDS(11));
    struct fed_message *first = await_offer(&a, 2);
    struct fed_message busy = {
        .kind = FED_MSG_REFUSED,
        .as.refused = {.code = FED_REFUSAL_BUSY, .round = 5, .attempt = 1, .part = 2, .retry_after_ms = 50}};
    tell(&busy);
    struct fed_message *again = await_offer(&a, 2);
    ck_assert_mem_eq(first->as.offer.e_pk, again->as.offer.e_pk, 32);
    fetch_and_open(&a, again, IDS(11));
    say_admitted(&a, 2);
    free(first);
    free(again);
    close_attempt(&a);
}
END_TEST

START_TEST(the_end_of_the_run_is_answered_at_once) {
    struct attempt a;
    w.ping_ms = 24 * 3600 * 1000; /* by itself it says nothing today */
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_offer(&a, 0));
    struct fed_message end = {.kind = FED_MSG_END,
                              .as.end = {.round = 5, .attempt = 1, .committed = true, .finished = true}};
    tell(&end);
    struct fed_message *status = await_idle();
    ck_assert_uint_eq(status->as.status.round, 0);
    free(status);
    close_attempt(&a);
}
END_TEST

TCase *rounds_cases(void) {
    TCase *cases = session_case("rounds");
    tcase_add_test(cases, a_round_is_trained_offered_fetched_and_opened);
    tcase_add_test(cases, a_single_update_travels_as_it_is);
    tcase_add_test(cases, what_is_asked_again_is_answered_the_same);
    tcase_add_test(cases, another_attempt_is_sealed_anew_and_not_trained_again);
    tcase_add_test(cases, a_new_model_is_fetched_and_trained_from);
    tcase_add_test(cases, what_is_refused_for_now_is_offered_again);
    tcase_add_test(cases, the_end_of_the_run_is_answered_at_once);
    return cases;
}
