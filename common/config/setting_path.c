/* Paths of keys: which row one belongs to, and which one was probably meant. A table has some hundred rows, so that each
 * search walks all of them. */
#include <stdint.h>
#include <string.h>

#include "common/config/setting_internal.h"

#define COMPARED 64 /* characters of a key that are compared with known ones */

void fed_setting_path_plain(char out[FED_SETTING_PATH_MAX], const char *path) {
    size_t n = 0;
    for (const char *c = path; *c != '\0' && n + 2 < FED_SETTING_PATH_MAX; c++) {
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
    char plain[FED_SETTING_PATH_MAX];
    fed_setting_path_plain(plain, path);
    for (size_t i = 0; i < settings->n_rows; i++) {
        if (strcmp(settings->rows[i].path, plain) == 0) {
            return &settings->rows[i];
        }
    }
    return NULL;
}

bool fed_setting_is_of_item(const struct fed_setting *row) { return strchr(row->path, '[') != NULL; }

bool fed_setting_path_below(const char *long_path, const char *path) {
    size_t n = strlen(path);
    return strncmp(long_path, path, n) == 0 && (long_path[n] == '.' || long_path[n] == '[');
}

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

/* A key in the wrong section is as likely as a mistyped one; of two that are as near, the one in its own section. Near is
 * where less than half of the path, or of its last word, must be another. */
const char *fed_setting_nearest(const struct fed_settings *settings, const char *path) {
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
