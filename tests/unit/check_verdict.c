/* What a loss may be before its model is taken back. */
#include "coordinator/round/verdict.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

START_TEST(a_loss_stands_up_to_the_factor_and_falls_beyond) {
    ck_assert_int_eq(fed_verdict_on(25.0, 2.5, 10), FED_VERDICT_STANDS);
    ck_assert_int_eq(fed_verdict_on(25.0000001, 2.5, 10), FED_VERDICT_EXPLODED);
    ck_assert_int_eq(fed_verdict_on(0, 2.5, 10), FED_VERDICT_STANDS);
    ck_assert_int_eq(fed_verdict_on(4.9, 2.5, 1.5), FED_VERDICT_EXPLODED);
}
END_TEST

START_TEST(what_is_not_finite_falls_whatever_it_is_held_against) {
    static const double references[] = {NAN, 0, 2.5, INFINITY};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(fed_verdict_on(NAN, references[i], 10), FED_VERDICT_NOT_FINITE);
        ck_assert_int_eq(fed_verdict_on(INFINITY, references[i], 10), FED_VERDICT_NOT_FINITE);
    }
}
END_TEST

START_TEST(without_a_reference_what_is_finite_stands) {
    ck_assert_int_eq(fed_verdict_on(1e300, NAN, 10), FED_VERDICT_STANDS);
    ck_assert_int_eq(fed_verdict_on(1e-300, 0, 10), FED_VERDICT_STANDS); /* a perfect first round is no measure */
    ck_assert_int_eq(fed_verdict_on(1e300, INFINITY, 10), FED_VERDICT_STANDS);
}
END_TEST

START_TEST(with_factor_0_everything_stands) {
    ck_assert_int_eq(fed_verdict_on(1e300, 1, 0), FED_VERDICT_STANDS);
    ck_assert_int_eq(fed_verdict_on(NAN, 1, 0), FED_VERDICT_STANDS);
}
END_TEST

START_TEST(the_reference_is_at_least_what_knowing_nothing_costs) {
    const struct fed_model digits = {.n_classes = 10}, yes_or_no = {.n_classes = 2}, amount = {.n_classes = 0};
    ck_assert_double_eq_tol(fed_verdict_reference(&digits, NAN), 2.302585092994046, 1e-12);
    ck_assert_double_eq_tol(fed_verdict_reference(&digits, 0.1), 2.302585092994046, 1e-12);
    ck_assert(fed_verdict_reference(&digits, 3.5) == 3.5);
    ck_assert_double_eq_tol(fed_verdict_reference(&yes_or_no, NAN), 0.6931471805599453, 1e-12);
    ck_assert(fed_verdict_reference(&amount, 0.1) == 0.1);
    ck_assert(isnan(fed_verdict_reference(&amount, NAN)));
}
END_TEST

START_TEST(every_verdict_has_a_name) {
    ck_assert_str_eq(fed_verdict_name(FED_VERDICT_STANDS), "stands");
    ck_assert_str_eq(fed_verdict_name(FED_VERDICT_NOT_FINITE), "not_finite");
    ck_assert_str_eq(fed_verdict_name(FED_VERDICT_EXPLODED), "exploded");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("verdict");
    TCase *tcase = tcase_create("verdicts");
    tcase_add_test(tcase, a_loss_stands_up_to_the_factor_and_falls_beyond);
    tcase_add_test(tcase, what_is_not_finite_falls_whatever_it_is_held_against);
    tcase_add_test(tcase, without_a_reference_what_is_finite_stands);
    tcase_add_test(tcase, with_factor_0_everything_stands);
    tcase_add_test(tcase, the_reference_is_at_least_what_knowing_nothing_costs);
    tcase_add_test(tcase, every_verdict_has_a_name);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
