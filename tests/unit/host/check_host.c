/* Who is trained, how often, within which limits, and what is kept of it. A hook counts and holds back trainings; the
 * numbers themselves are compared over real data with a direct call of local SGD. */
#include <check.h>

#include "tests/unit/host/fixture.h"
#include "tests/unit/run_suite.h"

int main(void) {
    Suite *suite = suite_create("host");
    suite_add_tcase(suite, attempts_cases());
    suite_add_tcase(suite, limits_cases());
    suite_add_tcase(suite, data_cases());
    return run_suite(suite);
}
