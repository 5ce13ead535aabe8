/* The rows of the task's table do the work in both directions, so what is kept reads back as what it was. */
#include "common/config/run_files.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"
#include "common/config/data_section.h"
#include "common/config/setting.h"

static const struct fed_setting rows[] = {
    FED_DATA_TRAIN_ROWS(struct fed_run_files, data),
    FED_DATA_TEST_ROWS(struct fed_run_files, data),
    {"model.initial", FED_SETTING_PATH, offsetof(struct fed_run_files, initial)},
};
#define N_ROWS (sizeof rows / sizeof *rows)

static const struct fed_settings settings = {rows, N_ROWS};
static const char FORMAT[] = "data.format";

/* -- out --------------------------------------------------------------------------------------------------------------- */

static bool is_utf8(const char *text) {
    while (*text != '\0') {
        if (fed_utf8_next(&text) == FED_UTF8_WRONG) {
            return false;
        }
    }
    return true;
}

/* From any working directory the same file; where it is not there any more, the path stays as it was. *out: NULL for what
 * JSON cannot hold. */
static int path_json(json_t **out, const char *path) {
    char *whole = realpath(path, NULL);
    const char *found = whole != NULL ? whole : path;
    int code = whole == NULL && errno == ENOMEM ? FED_ENOMEM : FED_OK;
    *out = NULL;
    if (code == FED_OK && is_utf8(found)) {
        *out = json_string(found);
        code = *out != NULL ? FED_OK : FED_ENOMEM;
    }
    free(whole);
    return code;
}

/* *out: NULL where there is nothing to keep. */
static int value_json(json_t **out, const struct fed_setting *row, const void *field) {
    char number[24];
    const char *text = NULL;
    *out = NULL;
    switch (row->type) {
    case FED_SETTING_PATH: text = *(char *const *)field; return text != NULL ? path_json(out, text) : FED_OK;
    case FED_SETTING_TEXT: text = *(char *const *)field; break;
    case FED_SETTING_BOOL: text = *(const bool *)field ? "yes" : "no"; break;
    case FED_SETTING_WORD: text = row->word(*(const unsigned *)field); break;
    default:
        snprintf(number, sizeof number, "%" PRIu32, *(const uint32_t *)field);
        text = number;
        break;
    }
    if (text == NULL || (row->fallback != NULL && strcmp(text, row->fallback) == 0)) {
        return FED_OK;
    }
    *out = json_string(text);
    return *out != NULL ? FED_OK : FED_ENOMEM;
}

json_t *fed_run_files_encode(const struct fed_run_files *files) {
    json_t *root = json_object(), *value;
    for (size_t i = 0; root != NULL && i < N_ROWS; i++) {
        int code = value_json(&value, &rows[i], (const char *)files + rows[i].offset);
        if (code == FED_OK && value != NULL) {
            code = json_object_set_new(root, rows[i].path, value) == 0 ? FED_OK : FED_ENOMEM;
        }
        if (code != FED_OK) {
            json_decref(root);
            return NULL;
        }
    }
    return root;
}

/* -- back -------------------------------------------------------------------------------------------------------------- */

static bool names_format(const char *const *sets, size_t n_sets) {
    for (size_t i = 0; i < n_sets; i++) {
        if (strncmp(sets[i], FORMAT, strlen(FORMAT)) == 0 && sets[i][strlen(FORMAT)] == '=') {
            return true;
        }
    }
    return false;
}

/* What is stored about data in one format means nothing in another. */
static int lay_stored(struct fed_yaml *yaml, const json_t *stored, bool without_data, struct fed_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)stored, key, value) {
        bool left_out = (without_data && strncmp(key, "data.", 5) == 0) || !json_is_string(value);
        if (!left_out && fed_yaml_set(yaml, key, json_string_value(value)) != 0) {
            return fed_error_set(err, FED_ENOMEM, "out of memory");
        }
    }
    return FED_OK;
}

int fed_run_files_decode(struct fed_run_files *out, const json_t *stored, const char *name, const char *const *sets,
                         size_t n_sets, struct fed_error *err) {
    struct fed_run_files files = {0};
    struct fed_settings_source source = {.file = name};
    const struct fed_partition_spec no_partition = {.kind = FED_PARTITION_NONE};
    int code = lay_stored(&source.yaml, stored, names_format(sets, n_sets), err);
    if (code == FED_OK) {
        code = fed_settings_lay(&source.yaml, sets, n_sets, err);
    }
    if (code == FED_OK) {
        code = fed_settings_read(&files, &settings, &source, err);
    }
    if (code == FED_OK) {
        code = fed_data_section_check(&files.data, &no_partition, &source, err);
    }
    if (code == FED_OK) {
        *out = files;
    } else {
        fed_run_files_fini(&files);
    }
    fed_yaml_fini(&source.yaml);
    return code;
}

void fed_run_files_fini(struct fed_run_files *files) {
    fed_data_source_fini(&files->data);
    free(files->initial);
    files->initial = NULL;
}
