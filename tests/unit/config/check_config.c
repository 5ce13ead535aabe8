/* Files as people write them, right and wrong; the sentence of every refusal is part of the contract. */
#include <check.h>

#include "tests/unit/config/fixture.h"
#include "tests/unit/run_suite.h"

int main(void) {
    Suite *suite = suite_create("config");
    suite_add_tcase(suite, yaml_cases());
    suite_add_tcase(suite, wrong_tasks_cases());
    suite_add_tcase(suite, tasks_cases());
    suite_add_tcase(suite, terms_cases());
    suite_add_tcase(suite, clients_cases());
    return run_suite(suite);
}
