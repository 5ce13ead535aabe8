#include "common/data/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mapped.h"

#define ROLE '\f' /* begins the line that names a role */

/* A role as it stands in the file. */
struct role {
    size_t at, n, n_lines;
};

static size_t windows_of(size_t n, uint32_t unroll) { return n == 0 ? 0 : (n - 1) / unroll; }

/* Bytes up to the end of this line, its line feed included. */
static size_t line_length(const uint8_t *bytes, size_t n) {
    const uint8_t *end = memchr(bytes, '\n', n);
    return end != NULL ? (size_t)(end - bytes) + 1 : n;
}

static int add_stretch(struct fed_text *text, size_t at, size_t n) {
    uint32_t count = text->n_stretches;
    if ((count & (count - 1)) == 0) { /* full: it holds a power of two */
        struct fed_stretch *grown = reallocarray(text->stretches, count == 0 ? 1 : 2 * (size_t)count, sizeof *grown);
        if (grown == NULL) {
            return FED_ENOMEM;
        }
        text->stretches = grown;
    }
    size_t windows = windows_of(n, text->unroll);
    text->stretches[count] = (struct fed_stretch){.at = at, .n = n, .first_window = text->n_windows};
    text->n_stretches++;
    text->n_windows += windows;
    text->n_dropped += windows > 0 ? n - windows * text->unroll - 1 : n;
    return FED_OK;
}

/* How many of the role's bytes are for training. */
static size_t split(const struct fed_text *text, const struct role *role) {
    size_t n_train = 8 * role->n_lines / 10, n = 0;
    n_train = n_train == 0 ? 1 : n_train;
    for (size_t i = 0; i < n_train && n < role->n; i++) {
        n += line_length(text->map + role->at + n, role->n - n);
    }
    return n;
}

/* The name must be new, whether or not the role is kept. */
static int add_role(struct fed_text *text, struct fed_words *kept, const struct role *role, uint32_t name,
                    enum fed_text_part part) {
    const struct fed_word *word = &text->roles.words[name];
    size_t n_train = split(text, role);
    uint32_t ignored;
    if (windows_of(n_train, text->unroll) == 0) {
        text->n_too_short++;
        return FED_OK;
    }
    int rc = fed_words_add(&ignored, kept, text->roles.text + word->at, word->n, word->line);
    if (rc != FED_OK) {
        return rc;
    }
    return part == FED_TEXT_ROLES_TRAIN ? add_stretch(text, role->at, n_train)
                                        : add_stretch(text, role->at + n_train, role->n - n_train);
}

/* The line that names a role, without form feed and line end. */
static int take_name(uint32_t *out, struct fed_text *text, const uint8_t *bytes, size_t n, size_t line, const char *path,
                     struct fed_error *err) {
    uint32_t known = text->roles.n;
    char shown[FED_SHOWN];
    while (n > 0 && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r')) {
        n--;
    }
    if (n == 1 || memchr(bytes, 0, n) != NULL) {
        return fed_error_set(err, FED_EDATA, "%s:%zu: %s", path, line,
                             n == 1 ? "a form feed and no name of a role behind it" : "a zero byte in the name of a role");
    }
    if (fed_words_add(out, &text->roles, (const char *)bytes + 1, n - 1, line) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", path);
    }
    return *out == known ? FED_OK
                         : fed_error_set(err, FED_EDATA,
                                         "%s:%zu: the role \"%s\" again, as in line %zu; a role's text stands in one place",
                                         path, line, fed_words_show(shown, fed_words_text(&text->roles, *out), n - 1),
                                         text->roles.words[*out].line);
}

static int find_roles(struct fed_text *text, enum fed_text_part part, const char *path, struct fed_error *err) {
    struct fed_words kept = {.n = 0};
    struct role role = {.n_lines = 0};
    uint32_t name = UINT32_MAX; /* of the role that is being read */
    int rc = FED_OK;
    size_t line = 1;
    for (size_t at = 0, length; at < text->n_map && rc == FED_OK; at += length, line++) {
        length = line_length(text->map + at, text->n_map - at);
        if (text->map[at] == ROLE) {
            rc = name != UINT32_MAX ? add_role(text, &kept, &role, name, part) : FED_OK;
            if (rc == FED_OK) {
                rc = take_name(&name, text, text->map + at, length, line, path, err);
            }
            role = (struct role){.at = at + length};
        } else if (name == UINT32_MAX) {
            rc = fed_error_set(err, FED_EDATA,
                               "%s:%zu: text before the first role; a form feed (byte 12) begins the line that "
                               "names one",
                               path, line);
        } else {
            role.n += length;
            role.n_lines++;
        }
    }
    if (rc == FED_OK && name != UINT32_MAX) {
        rc = add_role(text, &kept, &role, name, part);
    }
    fed_words_fini(&text->roles);
    text->roles = kept;
    return rc == FED_ENOMEM ? fed_error_set(err, rc, "%s: out of memory", path) : rc;
}

static int refuse_short(const struct fed_text *text, enum fed_text_part part, const char *path, struct fed_error *err) {
    uint32_t n_roles = text->n_stretches + text->n_too_short, takes = text->unroll + 1;
    if (part == FED_TEXT_WHOLE) {
        return fed_error_set(err, FED_EDATA,
                             "%s: %zu characters found, one window takes %" PRIu32 " (data.unroll and one more)", path,
                             text->n_map, takes);
    }
    return fed_error_set(err, FED_EDATA,
                         "%s: %" PRIu32 " role(s) found, none with the %" PRIu32
                         " characters of a window (data.unroll and one more) in its lines to %s",
                         path, n_roles, takes,
                         part == FED_TEXT_ROLES_TRAIN ? "train on, the first 80 %" : "test on, the last 20 %");
}

static int check_windows(const struct fed_text *text, enum fed_text_part part, const char *path, struct fed_error *err) {
    if (text->n_windows == 0) {
        return refuse_short(text, part, path, err);
    }
    return text->n_windows <= UINT32_MAX ? FED_OK
                                         : fed_error_set(err, FED_EDATA, "%s: %zu windows, at most %" PRIu32 " are allowed",
                                                         path, text->n_windows, UINT32_MAX);
}

int fed_text_load(struct fed_text *out, const char *path, enum fed_text_part part, uint32_t unroll, struct fed_error *err) {
    struct fed_text text = {.unroll = unroll};
    if (fed_mapped_open(&text.map, &text.n_map, path, err) != FED_OK) {
        return FED_EDATA;
    }
    int rc;
    if (part != FED_TEXT_WHOLE) {
        rc = find_roles(&text, part, path, err);
    } else if ((rc = add_stretch(&text, 0, text.n_map)) != FED_OK) {
        rc = fed_error_set(err, rc, "%s: out of memory", path);
    }
    if (rc == FED_OK) {
        rc = check_windows(&text, part, path, err);
    }
    if (rc != FED_OK) {
        fed_text_fini(&text);
        return rc;
    }
    *out = text;
    return FED_OK;
}

void fed_text_fini(struct fed_text *text) {
    fed_mapped_close(text->map, text->n_map);
    free(text->stretches);
    fed_words_fini(&text->roles);
    *text = (struct fed_text){.map = NULL};
}

/* The last stretch whose first window is not behind this one; those without windows stand before it. */
uint32_t fed_text_stretch(const struct fed_text *text, size_t window) {
    uint32_t low = 0, high = text->n_stretches;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (text->stretches[middle].first_window <= window) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

const uint8_t *fed_text_window(const struct fed_text *text, size_t window) {
    const struct fed_stretch *stretch = &text->stretches[fed_text_stretch(text, window)];
    return text->map + stretch->at + (window - stretch->first_window) * text->unroll;
}
