/* The run directory, checked the way a disk or an operator would break it: full, killed, damaged, foreign, locked. */
#include <check.h>

#include "tests/unit/run_suite.h"
#include "tests/unit/store/fixture.h"

int main(void) {
    Suite *suite = suite_create("store");
    suite_add_tcase(suite, opening_cases());
    suite_add_tcase(suite, rounds_cases());
    suite_add_tcase(suite, hygiene_cases());
    suite_add_tcase(suite, versions_cases());
    suite_add_tcase(suite, models_cases());
    suite_add_tcase(suite, damage_cases());
    suite_add_tcase(suite, faults_cases());
    suite_add_tcase(suite, reading_cases());
    return run_suite(suite);
}
