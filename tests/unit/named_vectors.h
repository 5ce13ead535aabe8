/* Known answers in a file of lines `name value`; # starts a comment. Fails the test where a name is missing. */
#ifndef FED_TESTS_UNIT_NAMED_VECTORS_H
#define FED_TESTS_UNIT_NAMED_VECTORS_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define VECTOR_MAX 1024

static inline void vector_text(char out[VECTOR_MAX], const char *path, const char *name) {
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s is missing", path);
    char line[VECTOR_MAX];
    size_t n_name = strlen(name);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, n_name) == 0 && line[n_name] == ' ') {
            line[strcspn(line, "\n")] = 0;
            memcpy(out, line + n_name + 1, strlen(line + n_name + 1) + 1);
            fclose(file);
            return;
        }
    }
    fclose(file);
    ck_abort_msg("%s has no %s", path, name);
}

/* Exactly n bytes of hex. */
static inline void vector_bytes(uint8_t *out, size_t n, const char *path, const char *name) {
    char text[VECTOR_MAX];
    vector_text(text, path, name);
    ck_assert_uint_eq(strlen(text), 2 * n);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
}

#endif
