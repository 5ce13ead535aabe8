/* One row says everything about one key of a file: its path, type, bounds, default and the field it fills. A file is read,
 * --set is applied, sentences are worded and JSON is checked from the same rows.
 *
 * Scalars are parsed strictly: the whole text is the value, or it is refused ("0.1abc", "nan", "1e999", "010", "-1"). */
#ifndef FED_COMMON_CONFIG_SETTING_H
#define FED_COMMON_CONFIG_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/yaml.h"

enum fed_setting_type {
    FED_SETTING_TEXT,   /* char *, owned */
    FED_SETTING_PATH,   /* char *, owned; relative to the file's directory, or to the working directory from --set */
    FED_SETTING_NAME,   /* char[FED_NAME_MAX] */
    FED_SETTING_U32,    /* uint32_t from min to max */
    FED_SETTING_U64,    /* uint64_t from min to max */
    FED_SETTING_REAL,   /* double from low (itself excluded if open) to high */
    FED_SETTING_BOOL,   /* bool: yes, no, true, false */
    FED_SETTING_WORD,   /* an enum: one of word(min) .. word(max) */
    FED_SETTING_CUSTOM, /* whatever parse makes of it */
};

struct fed_setting {
    const char *path; /* "round.deadline_s"; "model.layers[].units" belongs to every item of a list */
    enum fed_setting_type type;
    size_t offset; /* of the field in the target; for a list, in the item */
    bool required;
    bool open;
    bool controls;        /* TEXT: may hold control characters, a newline say; all other values are one line */
    const char *fallback; /* the default as one would write it; NULL: the field stays zero */
    uint64_t min, max;
    double low, high;
    const char *zero_word; /* U32: the word for 0, such as "full"; PATH: the word for no file, which leaves NULL */
    const char *(*word)(unsigned value); /* WORD */
    bool (*check)(const char *text);     /* TEXT, optional */
    /* CUSTOM; may explain itself in why (empty when called) */
    int (*parse)(void *field, const char *text, struct fed_error *why);
    const char *expected; /* says what is allowed where type and bounds do not; NULL: derived from them */
};

struct fed_settings {
    const struct fed_setting *rows;
    size_t n_rows;
};

struct fed_settings_source {
    struct fed_yaml yaml; /* a file's entries, or the slice of them that is one list item */
    const char *file;     /* for sentences, borrowed */
    const char *dir;      /* where relative paths of the file start, borrowed */
};

/* Reads the file and lays the "key=value" strings of --set over it. The caller owns *yaml and *dir. path NULL: there is no
 * file, and *dir is NULL. FED_ECONFIG. */
int fed_settings_open(struct fed_yaml *yaml, char **dir, const char *path, const char *const *sets, size_t n_sets,
                      struct fed_error *err) FED_MUST_CHECK;

/* Lays "key=value" strings over entries that are there already, or over none. FED_ECONFIG, FED_ENOMEM. */
int fed_settings_lay(struct fed_yaml *yaml, const char *const *sets, size_t n_sets, struct fed_error *err) FED_MUST_CHECK;

/* Fills the fields of a zeroed target. Refuses unknown keys (list items' too), wrong values and missing ones; fields of list
 * items are left to the second function, which fills item `index` of list `list`. On failure the target may own text. */
int fed_settings_read(void *target, const struct fed_settings *settings, const struct fed_settings_source *source,
                      struct fed_error *err) FED_MUST_CHECK;
int fed_settings_read_item(void *item, const struct fed_settings *settings, const struct fed_settings_source *source,
                           const char *list, size_t index, struct fed_error *err) FED_MUST_CHECK;

/* The number of items of a list: one more than the largest index, as far as SIZE_MAX goes. */
size_t fed_settings_count(const struct fed_yaml *yaml, const char *list);

bool fed_settings_given(const struct fed_settings_source *source, const char *path);
/* "FILE:LINE: path: " or "--set path: " before a sentence. What is not there itself is placed where something below it is,
 * or where the list item begins that lacks it; else it is "FILE: path: ". Returns FED_ECONFIG. */
int fed_settings_refuse(const struct fed_settings_source *source, const char *path, struct fed_error *err,
                        const char *format, ...) FED_PRINTF(4, 5);
/* The same place before a sentence of somebody else's that begins with "path: ". Returns FED_ECONFIG. */
int fed_settings_place(const struct fed_settings_source *source, struct fed_error *err);

/* NULL if there is no such row. The numbers in [3] do not matter. */
const struct fed_setting *fed_setting_find(const struct fed_settings *settings, const char *path);
/* What is allowed, as the end of a sentence. */
#define FED_SETTING_EXPECTED_MAX 256
void fed_setting_describe(char out[FED_SETTING_EXPECTED_MAX], const struct fed_setting *row);
/* Parses text into the field. dir: for PATH, may be NULL. FED_ECONFIG: `found "x", expected y`; FED_ENOMEM. */
int fed_setting_parse(void *field, const struct fed_setting *row, const char *text, const char *dir,
                      struct fed_error *err) FED_MUST_CHECK;

#endif
