/* The wire: what is said comes back as it was said, and nothing that a peer can send breaks a bound. */
#include <check.h>

#include "tests/unit/run_suite.h"
#include "tests/unit/wire/fixture.h"

int main(void) {
    Suite *suite = suite_create("wire");
    suite_add_tcase(suite, round_trips_cases());
    suite_add_tcase(suite, damage_cases());
    suite_add_tcase(suite, bounds_cases());
    suite_add_tcase(suite, memory_cases());
    suite_add_tcase(suite, terms_cases());
    return run_suite(suite);
}
