/* Sentences about a file, each with its place: the line where a person looks, or the option that was typed. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/config/setting_internal.h"

int fed_settings_say_at(const struct fed_settings_source *source, const struct fed_yaml_entry *entry, const char *path,
                        int code, struct fed_error *err) {
    if (entry == NULL) {
        return fed_error_prefix(err, code, "%s: %s", source->file, path);
    }
    return entry->line > 0 ? fed_error_prefix(err, code, "%s:%d: %s", source->file, entry->line, path)
                           : fed_error_prefix(err, code, "--set %s", path);
}

/* The first entry of the file that is the path or lies below it. */
static const struct fed_yaml_entry *first_below(const struct fed_yaml *yaml, const char *path) {
    for (size_t i = 0; i < yaml->n_entries; i++) {
        const struct fed_yaml_entry *entry = &yaml->entries[i];
        if (entry->line > 0 && (strcmp(entry->path, path) == 0 || fed_setting_path_below(entry->path, path))) {
            return entry;
        }
    }
    return NULL;
}

/* "nodes[3].name" is missing where nodes[3] begins. */
static const struct fed_yaml_entry *nearby(const struct fed_yaml *yaml, const char *path) {
    char item[FED_SETTING_PATH_MAX];
    const struct fed_yaml_entry *entry = fed_yaml_find(yaml, path);
    if (entry == NULL) {
        entry = first_below(yaml, path);
    }
    const char *end = strchr(path, ']');
    if (entry == NULL && end != NULL) {
        snprintf(item, sizeof item, "%.*s", (int)(end + 1 - path), path);
        entry = first_below(yaml, item);
    }
    return entry;
}

int fed_settings_refuse(const struct fed_settings_source *source, const char *path, struct fed_error *err,
                        const char *format, ...) {
    char sentence[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    fed_error_set(err, FED_ECONFIG, "%s", sentence);
    return fed_settings_say_at(source, nearby(&source->yaml, path), path, FED_ECONFIG, err);
}

int fed_settings_place(const struct fed_settings_source *source, struct fed_error *err) {
    char path[FED_SETTING_PATH_MAX];
    const char *colon = strstr(err->text, ": ");
    size_t n = colon != NULL ? (size_t)(colon - err->text) : 0;
    assert(n > 0 && n < sizeof path);
    snprintf(path, sizeof path, "%.*s", (int)n, err->text);
    memmove(err->text, colon + 2, strlen(colon + 2) + 1);
    return fed_settings_say_at(source, nearby(&source->yaml, path), path, FED_ECONFIG, err);
}

/* Whether rows lie below path: data.train is a file in one format and a section in another. */
static bool is_section(const struct fed_settings *settings, const char *path) {
    for (size_t i = 0; i < settings->n_rows; i++) {
        if (fed_setting_path_below(settings->rows[i].path, path)) {
            return true;
        }
    }
    return false;
}

int fed_settings_say_unknown(const struct fed_settings *settings, const struct fed_settings_source *source,
                             const struct fed_yaml_entry *entry, struct fed_error *err) {
    char plain[FED_SETTING_PATH_MAX] = "", expected[FED_SETTING_EXPECTED_MAX];
    fed_setting_path_plain(plain, entry->path);
    for (size_t i = 0; i < settings->n_rows; i++) {
        const struct fed_setting *row = &settings->rows[i];
        if (fed_setting_path_below(plain, row->path) && !is_section(settings, row->path)) {
            fed_setting_describe(expected, row);
            fed_error_set(err, FED_ECONFIG, "found a section or list, expected %s", expected);
            return fed_settings_say_at(source, entry, row->path, FED_ECONFIG, err);
        }
        if (fed_setting_path_below(row->path, plain)) {
            fed_error_set(err, FED_ECONFIG, "found \"%.*s\", expected a section or list that holds %s", FED_SETTING_SHOWN,
                          entry->value, row->path);
            return fed_settings_say_at(source, entry, entry->path, FED_ECONFIG, err);
        }
    }
    const char *meant = fed_setting_nearest(settings, plain);
    if (*meant != '\0') {
        fed_error_set(err, FED_ECONFIG, "unknown key; did you mean %s?", meant);
    } else {
        fed_error_set(err, FED_ECONFIG, "unknown key");
    }
    return fed_settings_say_at(source, entry, entry->path, FED_ECONFIG, err);
}

int fed_settings_say_missing(const struct fed_settings_source *source, const struct fed_setting *row, const char *path,
                             struct fed_error *err) {
    char expected[FED_SETTING_EXPECTED_MAX];
    fed_setting_describe(expected, row);
    fed_error_set(err, FED_ECONFIG, "missing, expected %s", expected);
    return fed_settings_say_at(source, nearby(&source->yaml, path), path, FED_ECONFIG, err);
}
