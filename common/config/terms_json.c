#include "common/config/terms_json.h"

#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"
#include "common/config/setting.h"
#include "common/config/task.h"

/* Known to the coordinator alone: no file gives it. */
static const struct fed_setting max_updates = {"algorithm.max_updates", FED_SETTING_U64, 0, .min = 1, .max = 1 << 24};

static const struct fed_setting *row_of(const char *path) {
    if (strcmp(path, max_updates.path) == 0) {
        return &max_updates;
    }
    const struct fed_setting *row = fed_setting_find(fed_task_settings(), path);
    assert(row != NULL);
    return row;
}

#define SECTION_CHARS 32

static const char *section_word(char out[SECTION_CHARS], const char *path, const char *dot) {
    assert(dot - path < SECTION_CHARS);
    snprintf(out, SECTION_CHARS, "%.*s", (int)(dot - path), path);
    return out;
}

json_t *fed_terms_scalar(const char *path, const void *field) {
    const struct fed_setting *row = row_of(path);
    switch (row->type) {
    case FED_SETTING_NAME: return json_string(field);
    case FED_SETTING_U32: {
        uint32_t value = *(const uint32_t *)field;
        return value == 0 && row->zero_word != NULL ? json_string(row->zero_word) : json_integer(value);
    }
    case FED_SETTING_U64: return json_integer((json_int_t) * (const uint64_t *)field);
    case FED_SETTING_REAL: return json_real(*(const double *)field);
    case FED_SETTING_WORD: return json_string(row->word(*(const unsigned *)field));
    default: assert(!"a term of this type"); return NULL;
    }
}

/* The object that holds the last word of the path, made on the way; *word is that word. NULL: no memory. */
static json_t *make_parent(json_t *root, const char *path, const char **word) {
    json_t *at = root;
    for (const char *dot; at != NULL && (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        char section[SECTION_CHARS];
        section_word(section, path, dot);
        json_t *next = json_object_get(at, section);
        if (next == NULL && json_object_set_new(at, section, json_object()) == 0) {
            next = json_object_get(at, section);
        }
        at = next;
    }
    *word = path;
    return at;
}

int fed_terms_put(json_t *root, const char *path, json_t *value) {
    const char *word;
    json_t *parent = make_parent(root, path, &word);
    if (parent == NULL) {
        json_decref(value);
        return FED_ENOMEM;
    }
    return json_object_set_new(parent, word, value) == 0 ? 0 : FED_ENOMEM;
}

const json_t *fed_terms_get(const json_t *root, const char *path) {
    const json_t *at = root;
    for (const char *dot; at != NULL && (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        char section[SECTION_CHARS];
        at = json_object_get(at, section_word(section, path, dot));
    }
    return at != NULL ? json_object_get(at, path) : NULL;
}

/* The scalar as one would write it in a file, so that the row's own parser judges it. Its sentence repeats what it refuses.
 */
int fed_terms_take(void *field, const char *path, const json_t *value, struct fed_error *err) {
    char number[40];
    const char *text = number;
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        snprintf(number, sizeof number, "%.17g", json_real_value(value));
    } else if (json_is_string(value) && fed_utf8_one_line(json_string_value(value))) {
        text = json_string_value(value);
    } else {
        return fed_error_set(err, FED_EWIRE, "terms: %s is missing or no value", path);
    }
    int code = fed_setting_parse(field, row_of(path), text, NULL, err);
    return code == 0 || code == FED_ENOMEM ? code : fed_error_prefix(err, FED_EWIRE, "terms: %s", path);
}
