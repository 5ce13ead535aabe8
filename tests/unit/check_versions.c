/* Messages of the first release are read for ever after, and mean what they meant; what is newer than we are does no harm.
 * Whole conversations between versions: tests/simulation (--versions). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/unit/named_vectors.h"

#define FIRST FED_VECTORS "/protocol-1.0.txt"

static uint8_t golden[FED_CONTROL_MAX];

static size_t load(const char *name) {
    char text[VECTOR_MAX];
    ck_assert_msg(vector_text(text, FIRST, name), "%s is not in " FIRST, name);
    size_t n = strlen(text) / 2;
    ck_assert_msg(vector_bytes(golden, n, FIRST, name), "%s", name);
    return n;
}

static const char *const names[] = {NULL,      "hello", "status",   "decline", "offer",
                                    "welcome", "round", "admitted", "refused", "end"};

static const struct fed_message *first_release(enum fed_message_kind kind, uint64_t seq) {
    static struct fed_message m;
    size_t n = load(names[kind]);
    ck_assert_int_eq(fed_message_decode(&m, golden, n), FED_OK);
    ck_assert_int_eq(m.kind, kind);
    ck_assert_uint_eq(m.seq, seq);
    return &m;
}

START_TEST(words_of_a_node_of_the_first_release_mean_what_they_meant) {
    static const uint8_t zeros[32];
    const struct fed_msg_hello *hello = &first_release(FED_MSG_HELLO, 1)->as.hello;
    ck_assert_uint_eq(hello->protocol_minor, 0);
    ck_assert_str_eq(hello->build, "0.1.0");
    ck_assert_str_eq(hello->kernel_family, "exact");
    ck_assert_str_eq(hello->kernels, "avx2");
    ck_assert_uint_eq(hello->workers, 2);
    ck_assert_uint_eq(hello->n_hosted, 2);
    ck_assert(hello->hosted[0].first == 0 && hello->hosted[0].count == 100);
    ck_assert(hello->hosted[1].first == 700 && hello->hosted[1].count == 1);
    ck_assert(hello->has_partition && memcmp(hello->partition_digest, zeros, 32) == 0);
    ck_assert(hello->has_model && memcmp(hello->model_digest, zeros, 32) == 0);
    ck_assert_uint_eq(hello->instance, 0); /* it has none */

    const struct fed_msg_status *status = &first_release(FED_MSG_STATUS, 2)->as.status;
    ck_assert(status->round == 3 && status->attempt == 1 && status->phase == FED_PHASE_TRAIN);
    ck_assert(status->done == 1 && status->total == 4);

    const struct fed_msg_decline *decline = &first_release(FED_MSG_DECLINE, 3)->as.decline;
    ck_assert(decline->round == 3 && decline->attempt == 1 && decline->part == 1 && decline->n_clients == 2);
    ck_assert(decline->reason == FED_DECLINE_NO_DATA && decline->clients[0] == 5 && decline->clients[1] == 9);

    const struct fed_msg_offer *offer = &first_release(FED_MSG_OFFER, 4)->as.offer;
    ck_assert(offer->round == 3 && offer->attempt == 1 && offer->part == 1 && memcmp(offer->e_pk, zeros, 32) == 0);
    static uint8_t said[FED_HEADER_MAX];
    size_t n = offer->n_header;
    memcpy(said, offer->header, n);
    ck_assert_uint_eq(load("header_sum"), n);
    ck_assert_mem_eq(golden, said, n);
}
END_TEST

START_TEST(words_of_a_coordinator_of_the_first_release_mean_what_they_meant) {
    const struct fed_msg_welcome *welcome = &first_release(FED_MSG_WELCOME, 1)->as.welcome;
    ck_assert(welcome->protocol_minor == 0 && welcome->ping_ms == 2000 && welcome->n_task == 12);
    ck_assert_mem_eq(welcome->task, "{\"schema\":1}", 12);
    ck_assert_str_eq(welcome->bulk, "tcp://*:5601");
    ck_assert(!welcome->kept); /* it keeps nothing */

    const struct fed_msg_round *round = &first_release(FED_MSG_ROUND, 2)->as.round;
    const struct fed_terms *terms = &round->terms;
    ck_assert(terms->round == 3 && terms->attempt == 1 && terms->n_params == 199210 && terms->epochs == 1);
    ck_assert(terms->batch_size == 10 && terms->learning_rate == 0.1f);
    ck_assert(round->part == 1 && round->closed && round->encoding == FED_ENCODING_I64 && round->file_bytes == 797000);
    ck_assert(round->deadline_ms == 600000 && round->n_clients == 3);
    ck_assert(round->clients[0] == 7 && round->clients[1] == 3 && round->clients[2] == 5);
    ck_assert(round->limits.norm_ceiling == 0 && round->limits.clip == 0 && round->limits.weight_cap == 0); /* none */

    const struct fed_msg_admitted *admitted = &first_release(FED_MSG_ADMITTED, 3)->as.admitted;
    ck_assert(admitted->round == 3 && admitted->attempt == 1 && admitted->part == 1);

    const struct fed_msg_refused *refused = &first_release(FED_MSG_REFUSED, 4)->as.refused;
    ck_assert(refused->code == FED_REFUSAL_BUSY && refused->round == 3 && refused->attempt == 1);
    ck_assert(refused->part == 0 && refused->retry_after_ms == 500);

    const struct fed_msg_end *end = &first_release(FED_MSG_END, 5)->as.end;
    ck_assert(end->round == 3 && end->attempt == 1 && end->committed && end->finished && end->retry_after_ms == 0);
}
END_TEST

START_TEST(headers_and_bulk_heads_of_the_first_release_mean_what_they_meant) {
    static struct fed_update_header h;
    struct fed_bulk_head head;
    ck_assert_int_eq(fed_update_header_decode(&h, golden, load("header_single")), FED_OK);
    ck_assert(h.suite == FED_SUITE_1 && h.encoding == FED_ENCODING_F32 && h.n_bytes == 400 && h.n_chunks == 1);
    ck_assert(h.n_clients == 1 && h.clients[0] == 7 && h.weights[0] == 600 && h.losses[0] == 0.25f && !h.has_norms);
    ck_assert_int_eq(fed_update_header_decode(&h, golden, load("header_sum")), FED_OK);
    ck_assert(h.encoding == FED_ENCODING_I64 && h.n_bytes == 1 << 19 && h.n_chunks == 2 && h.train_seconds == 2);
    ck_assert(h.n_clients == 3 && h.clients[2] == 7 && h.weights[2] == UINT32_MAX && h.losses[2] == 2 && !h.has_norms);
    ck_assert_int_eq(fed_bulk_decode(&head, golden, load("bulk_get")), FED_OK);
    ck_assert(head.kind == FED_BULK_GET && head.what.kind == FED_OBJECT_MODEL && head.what.round == 3);
    ck_assert(head.what.attempt == 1 && head.first == 4 && head.count == FED_GET_MAX);
    ck_assert_int_eq(fed_bulk_decode(&head, golden, load("bulk_chunk")), FED_OK);
    ck_assert(head.kind == FED_BULK_CHUNK && head.what.kind == FED_OBJECT_UPDATE && head.what.part == 2 && head.first == 5);
}
END_TEST

/* What the first release would have said is said with its very bytes: nothing new is put into it. */
START_TEST(what_the_first_release_knows_is_still_said_in_its_bytes) {
    static struct fed_message m;
    static uint8_t bytes[FED_CONTROL_MAX];
    size_t n = load(names[_i]), n_said;
    ck_assert_int_eq(fed_message_decode(&m, golden, n), FED_OK);
    ck_assert_int_eq(fed_message_encode(bytes, &n_said, &m), FED_OK);
    ck_assert_uint_eq(n_said, n);
    ck_assert_mem_eq(bytes, golden, n);
}
END_TEST

START_TEST(another_major_is_recognised_in_every_message) {
    static struct fed_message m;
    size_t n = load(names[_i]);
    ck_assert(golden[0] == 0x08 && golden[1] == 1);
    golden[1] = 2;
    ck_assert_int_eq(fed_message_decode(&m, golden, n), FED_EPEER);
}
END_TEST

START_TEST(what_a_later_minor_adds_is_ignored_in_every_message) {
    static const uint8_t later[] = {0xd8, 0x3e, 0x05, 0xda, 0x3e, 0x02, 'h', 'i'}; /* fields 1003: a number, a text */
    static struct fed_message m;
    static uint8_t bytes[FED_CONTROL_MAX];
    size_t n = load(names[_i]), n_said;
    memcpy(golden + n, later, sizeof later);
    ck_assert_int_eq(fed_message_decode(&m, golden, n + sizeof later), FED_OK);
    ck_assert_int_eq(fed_message_encode(bytes, &n_said, &m), FED_OK);
    ck_assert_uint_eq(n_said, n);
    ck_assert_mem_eq(bytes, golden, n);
}
END_TEST

int main(void) {
    enum { KINDS = sizeof names / sizeof *names };
    Suite *suite = suite_create("versions");
    TCase *t = tcase_create("versions");
    tcase_add_test(t, words_of_a_node_of_the_first_release_mean_what_they_meant);
    tcase_add_test(t, words_of_a_coordinator_of_the_first_release_mean_what_they_meant);
    tcase_add_test(t, headers_and_bulk_heads_of_the_first_release_mean_what_they_meant);
    tcase_add_loop_test(t, what_the_first_release_knows_is_still_said_in_its_bytes, 1, KINDS);
    tcase_add_loop_test(t, another_major_is_recognised_in_every_message, 1, KINDS);
    tcase_add_loop_test(t, what_a_later_minor_adds_is_ignored_in_every_message, 1, KINDS);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
