/* Every trap of ZeroMQ that was met on the way has a test here: each would fail if the guard against it were taken out.
 * Hostile peers are plain sockets or bare ZeroMQ, so that they do not obey our own code. */
#include <check.h>

#include "tests/unit/link_traps/fixture.h"
#include "tests/unit/run_suite.h"

int main(void) {
    Suite *suite = suite_create("link traps");
    suite_add_tcase(suite, keys_cases());
    suite_add_tcase(suite, frames_cases());
    suite_add_tcase(suite, addresses_cases());
    suite_add_tcase(suite, routes_cases());
    suite_add_tcase(suite, endings_cases());
    suite_add_tcase(suite, limits_cases());
    return run_suite(suite);
}
