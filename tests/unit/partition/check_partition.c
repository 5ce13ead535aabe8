/* Partitions: known answers from an independent implementation (tests/vectors/partition.py), then what must hold for
 * every one of them. */
#include <check.h>

#include "tests/unit/partition/fixture.h"
#include "tests/unit/run_suite.h"

int main(void) {
    Suite *suite = suite_create("partition");
    suite_add_tcase(suite, kinds_cases());
    suite_add_tcase(suite, computed_cases());
    suite_add_tcase(suite, refusals_cases());
    return run_suite(suite);
}
