#include "common/config/model_words.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/utf8.h"

int fed_model_words_symbols(struct fed_model_spec *spec, const char *text, struct fed_error *err) {
    uint8_t symbols[FED_MAX_SYMBOLS + 1] = {0};
    uint32_t n = 0;
    while (*text != '\0') {
        uint32_t c = fed_utf8_next(&text);
        if (c == FED_UTF8_WRONG) {
            return fed_error_set(err, FED_ECONFIG, "character %u is not UTF-8", n + 1);
        }
        if (c > 0xff) {
            return fed_error_set(err, FED_ECONFIG, "character %u is U+%04X, expected U+0001 to U+00FF: one byte each", n + 1,
                                 c);
        }
        if (memchr(symbols, (int)c, n) != NULL) {
            return fed_error_set(err, FED_ECONFIG, "character %u, U+%04X, stands there for the second time", n + 1, c);
        }
        symbols[n++] = (uint8_t)c; /* no two alike and none zero: never more than FED_MAX_SYMBOLS */
    }
    if (n < 2) {
        return fed_error_set(err, FED_ECONFIG, "expected at least 2 characters, each once, of U+0001 to U+00FF");
    }
    memcpy(spec->symbols, symbols, sizeof spec->symbols);
    spec->n_symbols = n;
    return 0;
}

const char *fed_model_words_vocabulary(char out[FED_VOCABULARY_TEXT], const struct fed_model_spec *spec) {
    char *end = out;
    for (uint32_t i = 0; i < spec->n_symbols; i++) {
        uint8_t c = spec->symbols[i];
        if (c >= 0x80) {
            *end++ = (char)(0xc0 | c >> 6);
            c = 0x80 | (c & 0x3f);
        }
        *end++ = (char)c;
    }
    *end = '\0';
    return out;
}

size_t fed_model_words_class_length(const char *classes) { return strcspn(classes, "\n"); }

static bool has_class(const char *classes, const char *name, size_t n) {
    while (*classes != '\0') {
        size_t length = fed_model_words_class_length(classes);
        if (length == n && memcmp(classes, name, n) == 0) {
            return true;
        }
        classes += length + (classes[length] != '\0');
    }
    return false;
}

int fed_model_words_add_class(struct fed_model_spec *spec, const char *name, struct fed_error *err) {
    size_t n = strlen(name), used = strlen(spec->classes);
    for (const char *c = name; *c != '\0';) {
        uint32_t value = fed_utf8_next(&c);
        if (value == FED_UTF8_WRONG || fed_utf8_is_control(value)) {
            return fed_error_set(err, FED_ECONFIG, "expected one line of text without control characters");
        }
    }
    if (n == 0) {
        return fed_error_set(err, FED_ECONFIG, "found \"\", expected the name of a class");
    }
    if (has_class(spec->classes, name, n)) {
        return fed_error_set(err, FED_ECONFIG, "found \"%.60s\" for the second time, expected another name", name);
    }
    size_t at = used + (used > 0); /* a newline between two */
    if (n >= sizeof spec->classes - at) {
        return fed_error_set(err, FED_ECONFIG, "the names of all classes are longer than %zu bytes",
                             sizeof spec->classes - 1);
    }
    if (used > 0) {
        spec->classes[used] = '\n';
    }
    memcpy(spec->classes + at, name, n + 1);
    return 0;
}
