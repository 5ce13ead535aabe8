/* What the link promises when everybody behaves, and its two pure parts: who is let in, and what an event means. */
#include <check.h>

#include "tests/unit/link/cases.h"
#include "tests/unit/run_suite.h"

int main(void) {
    Suite *suite = suite_create("link");
    suite_add_tcase(suite, messages_cases());
    suite_add_tcase(suite, waiting_cases());
    suite_add_tcase(suite, doors_cases());
    suite_add_tcase(suite, full_doors_cases());
    suite_add_tcase(suite, events_cases());
    suite_add_tcase(suite, gate_cases());
    return run_suite(suite);
}
