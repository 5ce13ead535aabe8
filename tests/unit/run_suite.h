/* How the main of a room ends: every case is run, and one that failed is the exit status. */
#ifndef FED_TESTS_UNIT_RUN_SUITE_H
#define FED_TESTS_UNIT_RUN_SUITE_H

#include <check.h>

/* Takes the suite. */
static inline int run_suite(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
