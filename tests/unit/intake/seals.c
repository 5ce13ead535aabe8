/* What does not open is refused, and nothing of it is added. */
#include <check.h>
#include <string.h>

#include "coordinator/round/intake.h"
#include "tests/unit/intake/fixture.h"

struct flip {
    uint64_t chunk;
    size_t bit; /* SIZE_MAX: the last one */
    unsigned *left;
};

static void flip_bit(struct sealed *sealed, uint64_t chunk, const void *context) {
    const struct flip *flip = context;
    if (chunk == flip->chunk && *flip->left > 0) {
        size_t bit = flip->bit == SIZE_MAX ? sealed->n * 8 - 1 : flip->bit;
        sealed->bytes[bit / 8] = (uint8_t)(sealed->bytes[bit / 8] ^ (1u << (bit % 8)));
        --*flip->left;
    }
}

static const size_t flipped_bits[] = {0, 7, 1000 * 8 + 3, SIZE_MAX - 1, SIZE_MAX};

static size_t count_asks(const struct rig *rig, uint64_t chunk) {
    size_t n = 0;
    for (size_t i = 0; i < rig->n_asks; i++) {
        n += rig->asks[i].chunk == chunk;
    }
    return n;
}

/* Bit SIZE_MAX - 1 stands for the last of the values, before the tag. */
static size_t bit_of(size_t bit, const struct update *update, uint64_t chunk) {
    return bit == SIZE_MAX - 1 ? fed_chunk_plain_bytes(update->header.n_bytes, chunk) * 8 - 1 : bit;
}

START_TEST(flipped_bit_in_any_chunk_is_refused_and_nothing_added) {
    struct rig *rig = new_rig();
    bool sums = _i / INTEGERS;
    uint64_t chunk = (uint64_t)_i % INTEGERS;
    struct update *before = single(rig, 1, 0, 9);
    offer(rig, before);
    serve_one(rig, before, 1);
    expect(rig, before);
    for (size_t b = 0; b < sizeof flipped_bits / sizeof *flipped_bits && (sums || chunk < FLOATS); b++) {
        struct update *update = sums ? partial_sum(rig, 0, (uint32_t)b, 3, 4) : single(rig, 0, (uint32_t)b, 4);
        unsigned left = 2;
        struct flip flip = {chunk, bit_of(flipped_bits[b], update, chunk), &left};
        rig->n_asks = rig->next_ask = 0;
        offer(rig, update);
        serve(rig, &update, 1, b + 2, flip_bit, &flip);
        check_last(rig, FED_REFUSAL_SEAL, "does not open");
        ck_assert_uint_eq(left, 0);
        ck_assert_uint_eq(count_asks(rig, chunk), 2);
        ck_assert_uint_eq(rig->n_broken, b + 1); /* the connection paid for the first, the node for the second */
        check_sum(rig);
        free_update(update);
    }
    free_update(before);
    free_rig(rig);
}
END_TEST

START_TEST(chunk_that_opens_the_second_time_is_as_good_as_any) {
    struct rig *rig = new_rig();
    struct update *update = partial_sum(rig, 0, 0, 3, 4);
    for (uint64_t chunk = 0; chunk < INTEGERS; chunk++) {
        unsigned left = 1;
        struct flip flip = {chunk, 99, &left};
        update->offer.part = (uint32_t)chunk;
        offer(rig, update);
        serve(rig, &update, 1, chunk + 1, flip_bit, &flip);
        check_last(rig, FED_REFUSAL_NONE, "");
        ck_assert_uint_eq(rig->n_broken, chunk + 1);
        expect(rig, update);
        check_sum(rig);
    }
    free_update(update);
    free_rig(rig);
}
END_TEST

/* Every field of the header is bound into the key: the sealed update says something else than the offer does. */
static void more_weight(struct fed_update_header *header) { header->weights[0]++; }
static void other_client(struct fed_update_header *header) { header->clients[0]++; }
static void other_loss(struct fed_update_header *header) { header->losses[0] = 0.5f; }
static void other_seconds(struct fed_update_header *header) { header->train_seconds = 1; }
static void (*const header_changes[])(struct fed_update_header *) = {more_weight, other_client, other_loss, other_seconds};

START_TEST(header_that_was_changed_after_sealing_opens_nothing) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    header_changes[_i](&update->header);
    ck_assert_int_eq(fed_update_header_encode(update->offer.header, &update->offer.n_header, &update->header), FED_OK);
    offer(rig, update);
    serve_one(rig, update, 1);
    check_last(rig, FED_REFUSAL_SEAL, "does not open");
    check_sum(rig);
    free_update(update);
    free_rig(rig);
}
END_TEST

START_TEST(update_of_another_node_or_attempt_opens_nothing) {
    struct rig *rig = new_rig();
    struct update *stolen = single(rig, 0, 0, 4), *old = single(rig, 2, 0, 4);
    stolen->node = 1;
    offer(rig, stolen);
    serve_one(rig, stolen, 1);
    check_last(rig, FED_REFUSAL_SEAL, "does not open");
    fed_intake_end(rig->intake);
    wait_until_idle(rig);
    begin_attempt(rig, 2);
    offer(rig, old);
    serve_one(rig, old, 2);
    check_last(rig, FED_REFUSAL_SEAL, "does not open");
    check_sum(rig);
    free_update(stolen);
    free_update(old);
    free_rig(rig);
}
END_TEST

START_TEST(key_of_low_order_is_refused) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    memset(update->offer.e_pk, 0, sizeof update->offer.e_pk);
    offer(rig, update);
    check_last(rig, FED_REFUSAL_SEAL, "low order");
    ck_assert_uint_eq(rig->n_asks, 0);
    free_update(update);
    free_rig(rig);
}
END_TEST

TCase *seals_cases(void) {
    TCase *cases = tcase_create("seals");
    tcase_add_loop_test(cases, flipped_bit_in_any_chunk_is_refused_and_nothing_added, 0, 2 * INTEGERS);
    tcase_add_test(cases, chunk_that_opens_the_second_time_is_as_good_as_any);
    tcase_add_loop_test(cases, header_that_was_changed_after_sealing_opens_nothing, 0,
                        (int)(sizeof header_changes / sizeof *header_changes));
    tcase_add_test(cases, update_of_another_node_or_attempt_opens_nothing);
    tcase_add_test(cases, key_of_low_order_is_refused);
    return cases;
}
