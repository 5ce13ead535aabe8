/* Digests, identities and the seal: known answers from an independent implementation (tests/vectors/seal.py), then all
 * that must not open, parse or load. */
#include <check.h>

#include "tests/unit/run_suite.h"
#include "tests/unit/seal/fixture.h"

int main(void) {
    Suite *suite = suite_create("seal");
    suite_add_tcase(suite, identities_cases());
    suite_add_tcase(suite, key_files_cases());
    suite_add_tcase(suite, chunks_cases());
    return run_suite(suite);
}
