/* Known answers in a file of lines `name value`; # starts a comment. False where the file or the name is missing. */
#ifndef FED_TESTS_UNIT_NAMED_VECTORS_H
#define FED_TESTS_UNIT_NAMED_VECTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define VECTOR_MAX 1024

static inline bool vector_text(char out[VECTOR_MAX], const char *path, const char *name) {
    FILE *file = fopen(path, "r");
    char line[VECTOR_MAX];
    size_t n_name = strlen(name);
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        found = strncmp(line, name, n_name) == 0 && line[n_name] == ' ';
    }
    if (found) {
        line[strcspn(line, "\n")] = 0;
        memcpy(out, line + n_name + 1, strlen(line + n_name + 1) + 1);
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/* Exactly n bytes of hex. */
static inline bool vector_bytes(uint8_t *out, size_t n, const char *path, const char *name) {
    char text[VECTOR_MAX];
    if (!vector_text(text, path, name) || strlen(text) != 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        out[i] = (uint8_t)byte;
    }
    return true;
}

#endif
