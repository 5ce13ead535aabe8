/* What was refused: no count is ever lost, whatever the log says, and no flood hides another kind. */
#include "coordinator/nodes/refusals.h"

#include <check.h>
#include <stdlib.h>

#include "coordinator/nodes/nodes.h"

#define NODES 3

static struct fed_refusals *made(void) {
    struct fed_refusals *refusals = NULL;
    ck_assert_int_eq(fed_refusals_new(&refusals, NODES), FED_OK);
    return refusals;
}

static uint64_t counted(const struct fed_refusals *refusals, size_t node, enum fed_refusal reason) {
    uint64_t *counts = calloc(fed_refusals_cells(refusals), sizeof *counts);
    ck_assert_ptr_nonnull(counts);
    fed_refusals_snapshot(refusals, counts);
    uint64_t count = counts[(node == FED_STRANGER ? 0 : node + 1) * FED_REFUSAL_COUNT + (size_t)reason];
    free(counts);
    return count;
}

START_TEST(a_flood_is_counted_whole_and_logged_once_in_a_while) {
    struct fed_refusals *refusals = made();
    uint64_t lines = 0, said = 0, left_out = 0;
    for (uint64_t i = 0; i < 100000; i++) { /* a minute, less the last millisecond */
        if (fed_refusals_count(refusals, 1, FED_REFUSAL_RATE, 1000 + i * 6 / 10, &left_out)) {
            lines++;
            said += 1 + left_out;
        }
    }
    ck_assert_uint_eq(counted(refusals, 1, FED_REFUSAL_RATE), 100000);
    ck_assert_uint_eq(lines, 60000 / FED_REFUSALS_QUIET_MS);
    size_t node;
    enum fed_refusal reason;
    ck_assert(fed_refusals_left_out(refusals, 1000000, &node, &reason, &left_out));
    ck_assert_uint_eq(node, 1);
    ck_assert_int_eq(reason, FED_REFUSAL_RATE);
    ck_assert_uint_eq(said + left_out, 100000);
    ck_assert(!fed_refusals_left_out(refusals, 2000000, &node, &reason, &left_out));
    fed_refusals_free(refusals);
}
END_TEST

START_TEST(a_flood_hides_no_other_reason_and_no_other_node) {
    struct fed_refusals *refusals = made();
    uint64_t left_out;
    for (int i = 0; i < 1000; i++) {
        bool line = fed_refusals_count(refusals, FED_STRANGER, FED_REFUSAL_NOT_ENROLLED, 5000, &left_out);
        ck_assert(line == (i == 0));
    }
    ck_assert(fed_refusals_count(refusals, FED_STRANGER, FED_REFUSAL_MALFORMED, 5000, &left_out));
    ck_assert_uint_eq(left_out, 0);
    ck_assert(fed_refusals_count(refusals, 0, FED_REFUSAL_NOT_ENROLLED, 5000, &left_out));
    ck_assert_uint_eq(left_out, 0);
    fed_refusals_free(refusals);
}
END_TEST

START_TEST(all_kinds_together_say_so_many_lines_a_second_and_catch_up_later) {
    struct fed_refusals *refusals = made();
    uint64_t lines = 0, left_out;
    ck_assert_int_eq(fed_refusals_grow(refusals, 1000), FED_OK);
    for (size_t node = 0; node < 1000; node++) {
        lines += fed_refusals_count(refusals, node, FED_REFUSAL_BUSY, 5000, &left_out);
    }
    ck_assert_uint_eq(lines, FED_REFUSALS_LINES);
    for (uint64_t now = 6000; now < 6000 + 60 * 1000; now += 1000) {
        size_t node;
        enum fed_refusal reason;
        uint64_t here = 0;
        while (fed_refusals_left_out(refusals, now, &node, &reason, &left_out)) {
            ck_assert_int_eq(reason, FED_REFUSAL_BUSY);
            ck_assert_uint_eq(left_out, 1);
            here++;
        }
        ck_assert_uint_le(here, FED_REFUSALS_LINES);
        lines += here;
    }
    ck_assert_uint_eq(lines, 1000);
    fed_refusals_free(refusals);
}
END_TEST

START_TEST(what_is_counted_while_the_store_writes_stays_for_the_next_time) {
    struct fed_refusals *refusals = made();
    uint64_t left_out, counts[(NODES + 1) * FED_REFUSAL_COUNT];
    ck_assert_uint_eq(fed_refusals_cells(refusals), (NODES + 1) * FED_REFUSAL_COUNT);
    fed_refusals_count(refusals, 2, FED_REFUSAL_SEAL, 1, &left_out);
    fed_refusals_snapshot(refusals, counts);
    fed_refusals_count(refusals, 2, FED_REFUSAL_SEAL, 2, &left_out);
    fed_refusals_count(refusals, FED_STRANGER, FED_REFUSAL_SEAL, 2, &left_out);
    ck_assert_int_eq(fed_refusals_grow(refusals, 7), FED_OK); /* the roster grows meanwhile */
    fed_refusals_count(refusals, 6, FED_REFUSAL_SEAL, 3, &left_out);
    fed_refusals_stored(refusals, counts, sizeof counts / sizeof *counts);
    ck_assert_uint_eq(counted(refusals, 2, FED_REFUSAL_SEAL), 1);
    ck_assert_uint_eq(counted(refusals, FED_STRANGER, FED_REFUSAL_SEAL), 1);
    ck_assert_uint_eq(counted(refusals, 6, FED_REFUSAL_SEAL), 1);
    fed_refusals_free(refusals);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("refusals");
    TCase *cases = tcase_create("refusals");
    tcase_add_test(cases, a_flood_is_counted_whole_and_logged_once_in_a_while);
    tcase_add_test(cases, a_flood_hides_no_other_reason_and_no_other_node);
    tcase_add_test(cases, all_kinds_together_say_so_many_lines_a_second_and_catch_up_later);
    tcase_add_test(cases, what_is_counted_while_the_store_writes_stays_for_the_next_time);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
