/* The round, transition by transition. What happens when everything happens at once: tests/simulation. */
#include <check.h>

#include "tests/unit/round/fixture.h"
#include "tests/unit/run_suite.h"

int main(void) {
    Suite *suite = suite_create("round");
    suite_add_tcase(suite, picks_cases());
    suite_add_tcase(suite, way_cases());
    suite_add_tcase(suite, attempts_cases());
    suite_add_tcase(suite, evaluations_cases());
    suite_add_tcase(suite, stops_cases());
    suite_add_tcase(suite, restarts_cases());
    return run_suite(suite);
}
