/* The cases of the room, a file each; their world is that of tests/unit/link_world.h. */
#ifndef FED_TESTS_UNIT_LINK_CASES_H
#define FED_TESTS_UNIT_LINK_CASES_H

#include <check.h>

TCase *messages_cases(void);
TCase *waiting_cases(void);
TCase *doors_cases(void);
TCase *full_doors_cases(void);
TCase *events_cases(void);
TCase *gate_cases(void);

#endif
