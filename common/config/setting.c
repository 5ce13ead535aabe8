/* One scalar: text -> field, strictly, and the words for what is allowed. The same rows judge a file, --set and JSON, so
 * that a value is good or bad wherever it came from. */
#include "common/config/setting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/decimal.h"
#include "common/base/file.h"
#include "common/config/name.h"
#include "common/config/setting_internal.h"

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
    bool cut = strlen(text) > FED_SETTING_SHOWN;
    return fed_error_set(err, FED_ECONFIG, "found \"%.*s%s\", expected %s", FED_SETTING_SHOWN, text, cut ? "..." : "",
                         expected);
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
