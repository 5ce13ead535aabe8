#include "common/config/setting.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/decimal.h"
#include "common/base/file.h"
#include "common/base/utf8.h"
#include "common/config/name.h"

#define PATH_CHARS 1024 /* longer than any path that yaml.c lets through; --set is cut, which makes it unknown */
#define SHOWN 60        /* characters of a wrong value that a sentence repeats */

/* -- one scalar -------------------------------------------------------------------------------------------------------- */

static bool parse_whole(uint64_t *out, const char *text) {
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0')) {
        return false; /* 010 is eight in some YAML and ten in other */
    }
    uint64_t value = 0;
    for (const char *c = text; *c != '\0'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (*c < '0' || *c > '9' || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool parse_real(double *out, const struct fed_setting *row, const char *text) {
    if (!fed_decimal_is_one(text)) {
        return false;
    }
    errno = 0;
    double value = strtod(text, NULL);
    if (errno == ERANGE || value > row->high || (row->open ? value <= row->low : value < row->low)) {
        return false;
    }
    *out = value;
    return true;
}

static bool parse_bool(bool *out, const char *text) {
    bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "no") != 0 && strcmp(text, "false") != 0) {
        return false;
    }
    *out = yes;
    return true;
}

static bool parse_integer(uint64_t *out, const struct fed_setting *row, const char *text) {
    uint64_t value;
    if (row->zero_word != NULL && strcmp(text, row->zero_word) == 0) {
        *out = 0;
        return true;
    }
    if (!parse_whole(&value, text) || value < row->min || value > row->max) {
        return false;
    }
    *out = value;
    return true;
}

static bool parse_word(unsigned *out, const struct fed_setting *row, const char *text) {
    for (unsigned i = (unsigned)row->min; i <= row->max; i++) {
        if (strcmp(text, row->word(i)) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

void fed_setting_describe(char out[FED_SETTING_EXPECTED_MAX], const struct fed_setting *row) {
    size_t n = 0;
    if (row->expected != NULL) {
        snprintf(out, FED_SETTING_EXPECTED_MAX, "%s", row->expected);
        return;
    }
    switch (row->type) {
    case FED_SETTING_NAME:
        snprintf(out, FED_SETTING_EXPECTED_MAX, "a name of 1 to 63 characters from a-z, 0-9 and -");
        break;
    case FED_SETTING_PATH: snprintf(out, FED_SETTING_EXPECTED_MAX, "the path of a file"); break;
    case FED_SETTING_BOOL: snprintf(out, FED_SETTING_EXPECTED_MAX, "yes or no"); break;
    case FED_SETTING_U32:
    case FED_SETTING_U64:
        snprintf(out, FED_SETTING_EXPECTED_MAX, "a whole number from %llu to %llu%s%s", (unsigned long long)row->min,
                 (unsigned long long)row->max, row->zero_word != NULL ? ", or the word " : "",
                 row->zero_word != NULL ? row->zero_word : "");
        break;
    case FED_SETTING_REAL:
        snprintf(out, FED_SETTING_EXPECTED_MAX,
                 row->open ? "a number greater than %.7g and at most %.7g" : "a number from %.7g to %.7g", row->low,
                 row->high);
        break;
    case FED_SETTING_WORD:
        for (unsigned i = (unsigned)row->min; i <= row->max && n < FED_SETTING_EXPECTED_MAX; i++) {
            const char *before = i == row->min ? "" : i == row->max ? " or " : ", ";
            n += (size_t)snprintf(out + n, FED_SETTING_EXPECTED_MAX - n, "%s%s", before, row->word(i));
        }
        break;
    case FED_SETTING_TEXT:
    case FED_SETTING_CUSTOM: snprintf(out, FED_SETTING_EXPECTED_MAX, "some text"); break;
    }
}

static int wrong(const struct fed_setting *row, const char *text, struct fed_error *err) {
    char expected[FED_SETTING_EXPECTED_MAX];
    fed_setting_describe(expected, row);
    bool cut = strlen(text) > SHOWN;
    return fed_error_set(err, FED_ECONFIG, "found \"%.*s%s\", expected %s", SHOWN, text, cut ? "..." : "", expected);
}

/* The field of a key is filled once: duplicate keys never get here. */
static int take_text(char **field, const char *text, const char *dir, struct fed_error *err) {
    char *copy = NULL;
    if (dir == NULL ? (copy = strdup(text)) == NULL : fed_path_join(&copy, dir, text) != 0) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    *field = copy;
    return 0;
}

static int parse_custom(void *field, const struct fed_setting *row, const char *text, struct fed_error *err) {
    struct fed_error why = {.text = ""};
    int code = row->parse(field, text, &why);
    if (code == 0 || code == FED_ENOMEM) {
        return code == 0 ? 0 : fed_error_set(err, code, "out of memory");
    }
    return why.text[0] != '\0' ? fed_error_set(err, FED_ECONFIG, "%s", why.text) : wrong(row, text, err);
}

int fed_setting_parse(void *field, const struct fed_setting *row, const char *text, const char *dir, struct fed_error *err) {
    uint64_t whole = 0;
    bool ok = false;
    switch (row->type) {
    case FED_SETTING_TEXT:
    case FED_SETTING_PATH:
        if (text[0] == '\0' || (row->check != NULL && !row->check(text))) {
            return wrong(row, text, err);
        }
        if (row->zero_word != NULL && strcmp(text, row->zero_word) == 0) {
            return 0;
        }
        return take_text(field, text, row->type == FED_SETTING_PATH ? dir : NULL, err);
    case FED_SETTING_NAME:
        ok = fed_name_valid(text);
        if (ok) {
            memcpy(field, text, strlen(text) + 1);
        }
        break;
    case FED_SETTING_U32:
        ok = parse_integer(&whole, row, text);
        if (ok) {
            *(uint32_t *)field = (uint32_t)whole;
        }
        break;
    case FED_SETTING_U64: ok = parse_integer(field, row, text); break;
    case FED_SETTING_REAL: ok = parse_real(field, row, text); break;
    case FED_SETTING_BOOL: ok = parse_bool(field, text); break;
    case FED_SETTING_WORD: ok = parse_word(field, row, text); break;
    case FED_SETTING_CUSTOM: return parse_custom(field, row, text, err);
    }
    return ok ? 0 : wrong(row, text, err);
}

/* -- paths ------------------------------------------------------------------------------------------------------------- */

/* "model.layers[12].units" -> "model.layers[].units". What is not written as an index is (from --set: "[]", "[01]") stays
 * and gets a mark, so that it is not known. */
static void without_indexes(char out[PATH_CHARS], const char *path) {
    size_t n = 0;
    for (const char *c = path; *c != '\0' && n + 2 < PATH_CHARS; c++) {
        out[n++] = *c;
        if (*c == '[') {
            size_t digits = strspn(c + 1, "0123456789");
            if (digits == 0 || (digits > 1 && c[1] == '0')) {
                out[n++] = '?';
            } else {
                c += digits;
            }
        }
    }
    out[n] = '\0';
}

const struct fed_setting *fed_setting_find(const struct fed_settings *settings, const char *path) {
    char plain[PATH_CHARS];
    without_indexes(plain, path);
    for (size_t i = 0; i < settings->n_rows; i++) {
        if (strcmp(settings->rows[i].path, plain) == 0) {
            return &settings->rows[i];
        }
    }
    return NULL;
}

static bool of_item(const struct fed_setting *row) { return strchr(row->path, '[') != NULL; }

/* Whether long_path lies below path: "a.b" and "a[0]" are below "a". */
static bool below(const char *long_path, const char *path) {
    size_t n = strlen(path);
    return strncmp(long_path, path, n) == 0 && (long_path[n] == '.' || long_path[n] == '[');
}

#define COMPARED 64 /* characters of a key that are compared with known ones */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Levenshtein's distance of the first COMPARED characters. */
static size_t distance(const char *a, const char *b) {
    size_t n_a = strnlen(a, COMPARED), n_b = strnlen(b, COMPARED);
    size_t row[COMPARED + 1];
    for (size_t j = 0; j <= n_b; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t above = row[j];
            row[j] = smaller(smaller(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n_b];
}

static const char *last_word(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

/* A key in the wrong section is as likely as a mistyped one; of two that are as near, the one in its own section. */
/* "" where nothing comes near: less than half of the path, or of its last word, must be another. */
static const char *nearest(const struct fed_settings *settings, const char *path) {
    const char *best = "";
    size_t least = SIZE_MAX, n_path = strlen(path), n_word = strlen(last_word(path));
    for (size_t i = 0; i < settings->n_rows; i++) {
        const char *known = settings->rows[i].path;
        size_t whole = 2 * distance(path, known), word = 2 * distance(last_word(path), last_word(known));
        size_t d = smaller(whole, 3 + word);
        if (d < least && (whole <= n_path || word <= n_word)) {
            least = d;
            best = known;
        }
    }
    return best;
}

/* -- sentences --------------------------------------------------------------------------------------------------------- */

static int place(const struct fed_settings_source *source, const struct fed_yaml_entry *entry, const char *path, int code,
                 struct fed_error *err) {
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
        if (entry->line > 0 && (strcmp(entry->path, path) == 0 || below(entry->path, path))) {
            return entry;
        }
    }
    return NULL;
}

/* "nodes[3].name" is missing where nodes[3] begins. */
static const struct fed_yaml_entry *nearby(const struct fed_yaml *yaml, const char *path) {
    char item[PATH_CHARS];
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
    return place(source, nearby(&source->yaml, path), path, FED_ECONFIG, err);
}

int fed_settings_place(const struct fed_settings_source *source, struct fed_error *err) {
    char path[PATH_CHARS];
    const char *colon = strstr(err->text, ": ");
    size_t n = colon != NULL ? (size_t)(colon - err->text) : 0;
    assert(n > 0 && n < sizeof path);
    snprintf(path, sizeof path, "%.*s", (int)n, err->text);
    memmove(err->text, colon + 2, strlen(colon + 2) + 1);
    return place(source, nearby(&source->yaml, path), path, FED_ECONFIG, err);
}

bool fed_settings_given(const struct fed_settings_source *source, const char *path) {
    return fed_yaml_find(&source->yaml, path) != NULL;
}

/* Whether rows lie below path: data.train is a file in one format and a section in another. */
static bool is_section(const struct fed_settings *settings, const char *path) {
    for (size_t i = 0; i < settings->n_rows; i++) {
        if (below(settings->rows[i].path, path)) {
            return true;
        }
    }
    return false;
}

static int unknown(const struct fed_settings *settings, const struct fed_settings_source *source,
                   const struct fed_yaml_entry *entry, struct fed_error *err) {
    char plain[PATH_CHARS] = "", expected[FED_SETTING_EXPECTED_MAX];
    without_indexes(plain, entry->path);
    for (size_t i = 0; i < settings->n_rows; i++) {
        const struct fed_setting *row = &settings->rows[i];
        if (below(plain, row->path) && !is_section(settings, row->path)) {
            fed_setting_describe(expected, row);
            fed_error_set(err, FED_ECONFIG, "found a section or list, expected %s", expected);
            return place(source, entry, row->path, FED_ECONFIG, err);
        }
        if (below(row->path, plain)) {
            fed_error_set(err, FED_ECONFIG, "found \"%.*s\", expected a section or list that holds %s", SHOWN, entry->value,
                          row->path);
            return place(source, entry, entry->path, FED_ECONFIG, err);
        }
    }
    const char *meant = nearest(settings, plain);
    if (*meant != '\0') {
        fed_error_set(err, FED_ECONFIG, "unknown key; did you mean %s?", meant);
    } else {
        fed_error_set(err, FED_ECONFIG, "unknown key");
    }
    return place(source, entry, entry->path, FED_ECONFIG, err);
}

static int missing(const struct fed_settings_source *source, const struct fed_setting *row, const char *path,
                   struct fed_error *err) {
    char expected[FED_SETTING_EXPECTED_MAX];
    fed_setting_describe(expected, row);
    fed_error_set(err, FED_ECONFIG, "missing, expected %s", expected);
    return place(source, nearby(&source->yaml, path), path, FED_ECONFIG, err);
}

/* -- a file ------------------------------------------------------------------------------------------------------------ */

static int apply_set(struct fed_yaml *yaml, const char *set, struct fed_error *err) {
    const char *equals = strchr(set, '=');
    if (equals == NULL || equals == set || equals - set >= PATH_CHARS) {
        return fed_error_set(err, FED_ECONFIG, "--set %.*s: expected KEY=VALUE, such as algorithm.epochs=5", SHOWN, set);
    }
    char path[PATH_CHARS];
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
    int code = path != NULL ? fed_yaml_load(&read, path, err) : 0;
    if (code == 0) {
        code = fed_settings_lay(&read, sets, n_sets, err);
    }
    if (code == 0 && path != NULL && fed_path_dir(dir, path) != 0) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (code != 0) {
        fed_yaml_fini(&read);
        return code;
    }
    if (path == NULL) {
        *dir = NULL;
    }
    *yaml = read;
    return 0;
}

static void *field_of(void *target, const struct fed_setting *row) { return (char *)target + row->offset; }

static int read_entry(void *target, const struct fed_setting *row, const struct fed_settings_source *source,
                      const struct fed_yaml_entry *entry, struct fed_error *err) {
    const char *dir = entry->line > 0 ? source->dir : NULL;
    int code = fed_setting_parse(field_of(target, row), row, entry->value, dir, err);
    return code == 0 ? 0 : place(source, entry, entry->path, code, err);
}

/* A key that the file does not give: its default, or a refusal. */
static int read_absent(void *target, const struct fed_setting *row, const struct fed_settings_source *source,
                       const char *path, struct fed_error *err) {
    if (row->required) {
        return missing(source, row, path, err);
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
            return place(source, entry, entry->path, FED_ECONFIG, err);
        }
        if (row == NULL) {
            return unknown(settings, source, entry, err);
        }
        int code = of_item(row) ? 0 : read_entry(target, row, source, entry, err);
        if (code != 0) {
            return code;
        }
    }
    for (size_t i = 0; i < settings->n_rows; i++) {
        const struct fed_setting *row = &settings->rows[i];
        if (of_item(row) || fed_settings_given(source, row->path)) {
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
        if (!of_item(row) || !below(row->path, list)) {
            continue;
        }
        char path[PATH_CHARS];
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
