/* What is said comes back as it was said, by this version and by others. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "common/seal/seal.h"
#include "proto/wire.h"
#include "tests/unit/named_vectors.h"
#include "tests/unit/wire/fixture.h"

START_TEST(every_message_comes_back_as_it_was_said) {
    static struct fed_message m;
    for (int i = 0; i < 200; i++) {
        random_message(&m, loop_kind(_i), 1024);
        comes_back(&m);
    }
}
END_TEST

START_TEST(message_of_the_enrolment_lane_fits_it) {
    static struct fed_message m;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    random_message(&m, FED_MSG_ENROL, 1);
    m.seq = UINT64_MAX;
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    ck_assert_uint_le(n, FED_ENROL_MAX);
}
END_TEST

START_TEST(every_header_and_bulk_head_comes_back_as_it_was_said) {
    static struct fed_update_header header, header_back;
    struct fed_bulk_head bulk, bulk_back;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    for (int i = 0; i < 200; i++) {
        random_header(&header, 1024);
        ck_assert_int_eq(fed_update_header_encode(bytes, &n, &header), 0);
        ck_assert_int_eq(fed_update_header_decode(&header_back, bytes, n), 0);
        same_header(&header, &header_back);
        random_bulk(&bulk);
        ck_assert_int_eq(fed_bulk_encode(bytes, &n, &bulk), 0);
        ck_assert_uint_le(n, FED_BULK_HEAD_MAX);
        ck_assert_int_eq(fed_bulk_decode(&bulk_back, bytes, n), 0);
        same_bulk(&bulk, &bulk_back);
    }
}
END_TEST

START_TEST(largest_messages_fit) {
    static struct fed_message m;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    random_message(&m, FED_MSG_OFFER, 1024);
    m.as.offer.n_header = FED_HEADER_MAX;
    comes_back(&m);
    random_message(&m, FED_MSG_WELCOME, 1024);
    m.as.welcome.n_task = FED_TASK_MAX;
    comes_back(&m);

    static struct fed_update_header header;
    memset(&header, 0xff, sizeof header);
    header.has_norms = true;
    header.encoding = FED_ENCODING_I64;
    header.n_bytes = FED_OBJECT_MAX;
    header.n_chunks = fed_chunk_count(FED_OBJECT_MAX);
    header.train_seconds = 1e300;
    header.n_clients = FED_CLIENTS_MAX;
    for (uint32_t i = 0; i < FED_CLIENTS_MAX; i++) {
        header.clients[i] = UINT64_MAX - FED_CLIENTS_MAX + i;
        header.norms[i] = 1e300;
    }
    ck_assert_int_eq(fed_update_header_encode(bytes, &n, &header), 0);
    ck_assert_uint_le(n, FED_HEADER_MAX);
}
END_TEST

START_TEST(weights_and_losses_of_any_value_are_kept) {
    static struct fed_update_header header, back;
    uint8_t bytes[FED_HEADER_MAX];
    size_t n;
    random_header(&header, 4);
    header.encoding = FED_ENCODING_I64;
    header.n_bytes = 8;
    header.n_chunks = 1;
    header.n_clients = 4;
    const uint64_t ids[] = {0, 1, 7, UINT64_MAX};
    const uint32_t weights[] = {0, 1, UINT32_MAX, 5};
    const float losses[] = {NAN, INFINITY, -0.0f, -1};
    memcpy(header.clients, ids, sizeof ids);
    memcpy(header.weights, weights, sizeof weights);
    memcpy(header.losses, losses, sizeof losses);
    ck_assert_int_eq(fed_update_header_encode(bytes, &n, &header), 0);
    ck_assert_int_eq(fed_update_header_decode(&back, bytes, n), 0);
    same_header(&header, &back);
}
END_TEST

START_TEST(encoding_is_the_one_that_the_specification_gives) {
    struct fed_message m = {.kind = FED_MSG_STATUS, .seq = 7};
    m.as.status = (struct fed_msg_status){.round = 300, .attempt = 1, .phase = FED_PHASE_TRAIN, .done = 4, .total = 10};
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    ck_assert_uint_eq(n, sizeof status_bytes);
    ck_assert_mem_eq(bytes, status_bytes, n);

    struct fed_update_header header = {
        .suite = FED_SUITE_1, .encoding = FED_ENCODING_F32, .n_bytes = 400, .n_chunks = 1, .train_seconds = 1.5};
    header.n_clients = 1;
    header.clients[0] = 0x0102;
    header.weights[0] = 600;
    header.losses[0] = 0.5f;
    static const uint8_t header_bytes[] = {0x08, 0x01, 0x10, 0x01, 0x18, 0x90, 0x03, 0x20, 0x01, 0x29, 0,    0,   0, 0,
                                           0,    0,    0xf8, 0x3f, 0x32, 0x08, 0x02, 0x01, 0,    0,    0,    0,   0, 0,
                                           0x3a, 0x04, 0x58, 0x02, 0,    0,    0x42, 0x04, 0,    0,    0x00, 0x3f};
    ck_assert_int_eq(fed_update_header_encode(bytes, &n, &header), 0);
    ck_assert_uint_eq(n, sizeof header_bytes);
    ck_assert_mem_eq(bytes, header_bytes, n);
}
END_TEST

START_TEST(another_major_version_is_told_from_nonsense) {
    static struct fed_message m;
    uint8_t bytes[sizeof status_bytes];
    memcpy(bytes, status_bytes, sizeof bytes);
    bytes[1] = 2;
    ck_assert_int_eq(fed_message_decode(&m, bytes, sizeof bytes), FED_EPEER);
    bytes[1] = 0;
    ck_assert_int_eq(fed_message_decode(&m, bytes, sizeof bytes), FED_EWIRE);
    ck_assert_int_eq(fed_message_decode(&m, bytes + 2, sizeof bytes - 2), FED_EWIRE); /* none given */
    /* Our field numbers in quite another sense: still recognised. */
    static const uint8_t other[] = {0x08, 0x02, 0x1a, 0x03, 0xff, 0xff, 0xff, 0x22, 0x01, 0x08, 0x2d, 1, 2, 3, 4};
    ck_assert_int_eq(fed_message_decode(&m, other, sizeof other), FED_EPEER);
}
END_TEST

START_TEST(fields_of_a_later_minor_version_are_ignored) {
    static struct fed_message m, later_m;
    uint8_t bytes[64];
    size_t n = sizeof status_bytes;
    ck_assert_int_eq(fed_message_decode(&m, status_bytes, n), 0);
    memcpy(bytes, status_bytes, n);
    static const uint8_t later[] = {0x98, 0x06, 0x05, 0x9a, 0x06, 0x02, 'h', 'i'}; /* fields 99: varint 5, then "hi" */
    memcpy(bytes + n, later, sizeof later);
    bytes[5] = (uint8_t)(bytes[5] + sizeof later); /* inside the body */
    ck_assert_int_eq(fed_message_decode(&later_m, bytes, n + sizeof later), 0);
    same_message(&m, &later_m);
    memcpy(bytes + n + sizeof later, later, sizeof later); /* and in the envelope */
    ck_assert_int_eq(fed_message_decode(&later_m, bytes, n + 2 * sizeof later), 0);
    same_message(&m, &later_m);
}
END_TEST

START_TEST(message_of_a_later_minor_version_is_refused) {
    static struct fed_message m;
    static const uint8_t unknown[] = {0x08, 0x01, 0x62, 0x02, 0x08, 0x01}, none[] = {0x08, 0x01, 0x10, 0x05};
    ck_assert_int_eq(fed_message_decode(&m, unknown, sizeof unknown), FED_EWIRE);
    ck_assert_int_eq(fed_message_decode(&m, none, sizeof none), FED_EWIRE);
    ck_assert_int_eq(decode(BULK, (const uint8_t[]){0x1a, 0x00}, 2), FED_EWIRE);
}
END_TEST

TCase *round_trips_cases(void) {
    TCase *cases = wire_case("round_trips");
    tcase_add_loop_test(cases, every_message_comes_back_as_it_was_said, 0, N_KINDS);
    tcase_add_test(cases, message_of_the_enrolment_lane_fits_it);
    tcase_add_test(cases, every_header_and_bulk_head_comes_back_as_it_was_said);
    tcase_add_test(cases, largest_messages_fit);
    tcase_add_test(cases, weights_and_losses_of_any_value_are_kept);
    tcase_add_test(cases, encoding_is_the_one_that_the_specification_gives);
    tcase_add_test(cases, another_major_version_is_told_from_nonsense);
    tcase_add_test(cases, fields_of_a_later_minor_version_are_ignored);
    tcase_add_test(cases, message_of_a_later_minor_version_is_refused);
    return cases;
}
