/* A real node in a thread against a coordinator that is played by hand, over real sockets: what the node says, when it says
 * it again, and what it never does twice. Every wait is for a message, with a bound that only a broken build reaches. */
#include <check.h>

#include "tests/unit/run_suite.h"
#include "tests/unit/session/fixture.h"

int main(void) {
    Suite *suite = suite_create("session");
    suite_add_tcase(suite, greeting_cases());
    suite_add_tcase(suite, rounds_cases());
    suite_add_tcase(suite, declines_cases());
    suite_add_tcase(suite, connections_cases());
    return run_suite(suite);
}
