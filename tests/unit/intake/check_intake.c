/* The intake without a socket: what it asks for is written down, sealed chunks are made with the node's side of the seal,
 * and the sum is compared with one that is added up here, number by number. */
#include <check.h>

#include "tests/unit/intake/fixture.h"
#include "tests/unit/run_suite.h"

int main(void) {
    Suite *suite = suite_create("intake");
    suite_add_tcase(suite, sums_cases());
    suite_add_tcase(suite, limits_cases());
    suite_add_tcase(suite, seals_cases());
    suite_add_tcase(suite, chunks_cases());
    suite_add_tcase(suite, slots_cases());
    suite_add_tcase(suite, ends_cases());
    return run_suite(suite);
}
