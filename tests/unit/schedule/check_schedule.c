/* Who trains what: rows for each rule, then random attempts against a plain model of who holds which client. */
#include <check.h>

#include "tests/unit/run_suite.h"
#include "tests/unit/schedule/fixture.h"

int main(void) {
    Suite *suite = suite_create("schedule");
    suite_add_tcase(suite, rules_cases());
    suite_add_tcase(suite, changes_cases());
    suite_add_tcase(suite, promises_cases());
    suite_add_tcase(suite, balance_cases());
    return run_suite(suite);
}
