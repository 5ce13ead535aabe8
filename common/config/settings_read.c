/* A whole file -> a struct: --set is laid over it, every key is known, every required one is there. Invariant: unknown keys
 * are refused before anything is said to be missing, since one is often the other mistyped. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/utf8.h"
#include "common/config/setting_internal.h"

static int apply_set(struct fed_yaml *yaml, const char *set, struct fed_error *err) {
    const char *equals = strchr(set, '=');
    if (equals == NULL || equals == set || equals - set >= FED_SETTING_PATH_MAX) {
        return fed_error_set(err, FED_ECONFIG, "--set %.*s: expected KEY=VALUE, such as algorithm.epochs=5",
                             FED_SETTING_SHOWN, set);
    }
    char path[FED_SETTING_PATH_MAX];
    snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    if (!fed_utf8_one_line(set)) { /* it would travel into file names, logs and sentences */
        return fed_error_set(err, FED_ECONFIG, "--set: a control character in key or value");
    }
    int code = fed_yaml_set(yaml, path, equals + 1);
    return code == 0 ? 0 : fed_error_set(err, code, "out of memory");
}

int fed_settings_lay(struct fed_yaml *yaml, const char *const *sets, size_t n_sets, struct fed_error *err) {
    int code = 0;
    for (size_t i = 0; i < n_sets && code == 0; i++) {
        code = apply_set(yaml, sets[i], err);
    }
    return code;
}

int fed_settings_open(struct fed_yaml *yaml, char **dir, const char *path, const char *const *sets, size_t n_sets,
                      struct fed_error *err) {
    struct fed_yaml read = {0};
    char *where = NULL;
    int code = path != NULL ? fed_yaml_load(&read, path, err) : 0;
    if (code == 0) {
        code = fed_settings_lay(&read, sets, n_sets, err);
    }
    if (code == 0 && path != NULL && fed_path_dir(&where, path) != 0) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (code != 0) {
        fed_yaml_fini(&read);
        return code;
    }
    *dir = where;
    *yaml = read;
    return 0;
}

bool fed_settings_given(const struct fed_settings_source *source, const char *path) {
    return fed_yaml_find(&source->yaml, path) != NULL;
}

static void *field_of(void *target, const struct fed_setting *row) { return (char *)target + row->offset; }

static int read_entry(void *target, const struct fed_setting *row, const struct fed_settings_source *source,
                      const struct fed_yaml_entry *entry, struct fed_error *err) {
    const char *dir = entry->line > 0 ? source->dir : NULL;
    int code = fed_setting_parse(field_of(target, row), row, entry->value, dir, err);
    return code == 0 ? 0 : fed_settings_say_at(source, entry, entry->path, code, err);
}

/* A key that the file does not give: its default, or a refusal. */
static int read_absent(void *target, const struct fed_setting *row, const struct fed_settings_source *source,
                       const char *path, struct fed_error *err) {
    if (row->required) {
        return fed_settings_say_missing(source, row, path, err);
    }
    return row->fallback == NULL ? 0 : fed_setting_parse(field_of(target, row), row, row->fallback, source->dir, err);
}

int fed_settings_read(void *target, const struct fed_settings *settings, const struct fed_settings_source *source,
                      struct fed_error *err) {
    for (size_t i = 0; i < source->yaml.n_entries; i++) {
        const struct fed_yaml_entry *entry = &source->yaml.entries[i];
        const struct fed_setting *row = fed_setting_find(settings, entry->path);
        if ((row == NULL || !row->controls) && !fed_utf8_one_line(entry->value)) {
            fed_error_set(err, FED_ECONFIG, "a value is one line of text without control characters");
            return fed_settings_say_at(source, entry, entry->path, FED_ECONFIG, err);
        }
        if (row == NULL) {
            return fed_settings_say_unknown(settings, source, entry, err);
        }
        int code = fed_setting_is_of_item(row) ? 0 : read_entry(target, row, source, entry, err);
        if (code != 0) {
            return code;
        }
    }
    for (size_t i = 0; i < settings->n_rows; i++) {
        const struct fed_setting *row = &settings->rows[i];
        if (fed_setting_is_of_item(row) || fed_settings_given(source, row->path)) {
            continue;
        }
        int code = read_absent(target, row, source, row->path, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int fed_settings_read_item(void *item, const struct fed_settings *settings, const struct fed_settings_source *source,
                           const char *list, size_t index, struct fed_error *err) {
    size_t n_list = strlen(list);
    for (size_t i = 0; i < settings->n_rows; i++) {
        const struct fed_setting *row = &settings->rows[i];
        if (!fed_setting_is_of_item(row) || !fed_setting_path_below(row->path, list)) {
            continue;
        }
        char path[FED_SETTING_PATH_MAX];
        snprintf(path, sizeof path, "%s[%zu]%s", list, index, row->path + n_list + strlen("[]"));
        const struct fed_yaml_entry *entry = fed_yaml_find(&source->yaml, path);
        int code = entry != NULL ? read_entry(item, row, source, entry, err) : read_absent(item, row, source, path, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

size_t fed_settings_count(const struct fed_yaml *yaml, const char *list) {
    size_t count = 0, n_list = strlen(list);
    for (size_t i = 0; i < yaml->n_entries; i++) {
        const char *path = yaml->entries[i].path;
        if (strncmp(path, list, n_list) == 0 && path[n_list] == '[') {
            errno = 0;
            unsigned long long index = strtoull(path + n_list + 1, NULL, 10);
            size_t needed = errno == ERANGE || index >= SIZE_MAX ? SIZE_MAX : (size_t)index + 1;
            count = needed > count ? needed : count;
        }
    }
    return count;
}
