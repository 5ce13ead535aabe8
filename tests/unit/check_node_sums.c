/* Sums by node: every name has its own, however many there are. */
#include "coordinator/http/node_sums.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fed_node_sums sums;
static void stop(void) { fed_node_sums_fini(&sums); }

START_TEST(ten_thousand_nodes_have_their_own_sums) {
    char name[32];
    ck_assert_ptr_null(fed_node_sums_find(&sums, "node-0"));
    for (uint64_t round = 1; round <= 3; round++) {
        for (uint64_t i = 0; i < 10000; i++) {
            snprintf(name, sizeof name, "node-%u", (unsigned)i);
            ck_assert_int_eq(fed_node_sums_share(&sums, name, round, i % 7, 100 * i + round), FED_OK);
        }
    }
    ck_assert_uint_eq(sums.n, 10000);
    for (uint64_t i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "node-%u", (unsigned)i);
        const struct fed_node_sum *sum = fed_node_sums_find(&sums, name);
        ck_assert_ptr_nonnull(sum);
        ck_assert_str_eq(sum->name, name);
        ck_assert_uint_eq(sum->rounds, 3);
        ck_assert_uint_eq(sum->last_round, 3);
        ck_assert_uint_eq(sum->clients, 3 * (i % 7));
        ck_assert_uint_eq(sum->examples, 100 * i + 3);
    }
    ck_assert_ptr_null(fed_node_sums_find(&sums, "node-10000"));
}
END_TEST

START_TEST(refusals_are_counted_by_reason_and_strangers_have_no_name) {
    ck_assert_int_eq(fed_node_sums_refusal(&sums, "", "not_enrolled", 5), FED_OK);
    ck_assert_int_eq(fed_node_sums_refusal(&sums, "ward-7", "norm", 2), FED_OK);
    ck_assert_int_eq(fed_node_sums_refusal(&sums, "ward-7", "norm", 1), FED_OK);
    ck_assert_int_eq(fed_node_sums_refusal(&sums, "ward-7", "a reason of another version", 4), FED_OK);
    ck_assert_uint_eq(fed_node_sums_find(&sums, "")->refused[FED_REFUSAL_NOT_ENROLLED], 5);
    ck_assert_uint_eq(fed_node_sums_find(&sums, "ward-7")->refused[FED_REFUSAL_NORM], 3);
    ck_assert_uint_eq(fed_node_sums_find(&sums, "ward-7")->refused[FED_REFUSAL_NONE], 4);
    ck_assert_uint_eq(fed_node_sums_find(&sums, "ward-7")->rounds, 0);
    ck_assert_uint_eq(sums.refused[FED_REFUSAL_NORM], 3);
    ck_assert_uint_eq(sums.refused[FED_REFUSAL_NOT_ENROLLED], 5);
}
END_TEST

START_TEST(a_name_of_a_damaged_row_is_cut_and_found_again) {
    char name[200];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(fed_node_sums_share(&sums, name, 1, 1, 1), FED_OK);
    ck_assert_int_eq(fed_node_sums_share(&sums, name, 2, 1, 1), FED_OK);
    ck_assert_uint_eq(sums.n, 1);
    ck_assert_uint_eq(sums.rows[0].rounds, 2);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, NULL, stop);
    tcase_add_test(core, ten_thousand_nodes_have_their_own_sums);
    tcase_add_test(core, refusals_are_counted_by_reason_and_strangers_have_no_name);
    tcase_add_test(core, a_name_of_a_damaged_row_is_cut_and_found_again);
    Suite *suite = suite_create("node_sums");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
