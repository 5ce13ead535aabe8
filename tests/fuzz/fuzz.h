/* What a harness provides, and how it says that a promise was broken (also where assert is compiled out). */
#ifndef FED_TESTS_FUZZ_FUZZ_H
#define FED_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)                                                                                                     \
    do {                                                                                                                    \
        if (!(condition)) {                                                                                                 \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                                         \
            abort();                                                                                                        \
        }                                                                                                                   \
    } while (0)

/* Sentences end on terminals and in logs. */
static inline void must_be_one_line(const char *text) { MUST(fed_utf8_one_line(text)); }

#endif
