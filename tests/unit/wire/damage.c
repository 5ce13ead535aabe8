/* What is cut, damaged or random is refused, or bounded as anything that decodes. */
#include <check.h>
#include <string.h>

#include "common/base/rng.h"
#include "proto/wire.h"
#include "tests/unit/named_vectors.h"
#include "tests/unit/wire/fixture.h"

static enum lane loop_lane(int i) { return i < N_KINDS ? MESSAGE : i == N_KINDS ? HEADER : BULK; }

/* Without its last field a header is one that a node of minor 0 could have written. */
static bool lost_its_norms(enum lane lane, size_t cut, size_t n) {
    return lane == HEADER && !decoded.header.has_norms && n - cut >= 2 + 8 * (size_t)decoded.header.n_clients;
}

START_TEST(message_cut_anywhere_is_refused) {
    uint8_t bytes[FED_CONTROL_MAX];
    for (int i = 0; i < 2; i++) {
        size_t n = random_encoded(bytes, loop_lane(_i), loop_kind(_i), 5);
        for (size_t cut = 0; cut < n; cut++) {
            int rc = decode(loop_lane(_i), bytes, cut);
            ck_assert(rc == FED_EWIRE || (rc == 0 && lost_its_norms(loop_lane(_i), cut, n)));
        }
        ck_assert_int_eq(decode(loop_lane(_i), bytes, n), 0);
    }
}
END_TEST

START_TEST(message_with_any_bit_flipped_is_refused_or_bounded) {
    uint8_t bytes[FED_CONTROL_MAX];
    for (int i = 0; i < 2; i++) {
        size_t n = random_encoded(bytes, loop_lane(_i), loop_kind(_i), 5);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int rc = decode(loop_lane(_i), bytes, n);
            ck_assert(rc == 0 || rc == FED_EWIRE || rc == FED_EPEER);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}
END_TEST

START_TEST(random_bytes_are_refused_or_bounded) {
    uint8_t bytes[FED_CONTROL_MAX];
    for (int i = 0; i < 3000; i++) {
        size_t n = fed_rng_below(&rng, 300);
        random_bytes(bytes, n);
        int rc = decode(loop_lane(_i), bytes, n);
        ck_assert(rc == 0 || rc == FED_EWIRE || rc == FED_EPEER);
    }
}
END_TEST

START_TEST(failed_decode_leaves_the_output_untouched) {
    static struct fed_message m, before;
    memset(&m, 0x77, sizeof m);
    before = m;
    ck_assert_int_eq(fed_message_decode(&m, status_bytes, sizeof status_bytes - 1), FED_EWIRE);
    uint8_t bad[sizeof status_bytes];
    memcpy(bad, status_bytes, sizeof bad);
    bad[sizeof bad - 1] = 3; /* total 3 under done 4 */
    ck_assert_int_eq(fed_message_decode(&m, bad, sizeof bad), FED_EWIRE);
    bad[1] = 2;
    ck_assert_int_eq(fed_message_decode(&m, bad, sizeof bad), FED_EPEER);
    ck_assert_mem_eq(&m, &before, sizeof m);
}
END_TEST

TCase *damage_cases(void) {
    TCase *cases = wire_case("damage");
    tcase_add_loop_test(cases, message_cut_anywhere_is_refused, 0, N_LOOPS);
    tcase_add_loop_test(cases, message_with_any_bit_flipped_is_refused_or_bounded, 0, N_LOOPS);
    tcase_add_loop_test(cases, random_bytes_are_refused_or_bounded, N_KINDS - 1, N_LOOPS);
    tcase_add_test(cases, failed_decode_leaves_the_output_untouched);
    return cases;
}
