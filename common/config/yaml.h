/* The only door to libyaml: a document as a flat list of scalars with their places, and a text written from one.
 *
 * `a: {b: 1, c: [x, y]}` becomes a.b = "1", a.c[0] = "x", a.c[1] = "y"; the plain words null and ~ and an empty value count
 * as not given. A key is a word of letters, digits, _ and -; a value is text without zero bytes (setting.h says which may
 * hold other control characters). Anchors, aliases, tags, several documents, duplicate keys, empty list items and nesting
 * beyond 8 are refused. */
#ifndef FED_COMMON_CONFIG_YAML_H
#define FED_COMMON_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/status.h"

struct fed_yaml_entry {
    char *path;  /* "round.deadline_s", "model.layers[1].units" */
    char *value; /* the scalar's text, quotes removed */
    int line;    /* from 1; 0 = from --set */
};
struct fed_yaml {
    struct fed_yaml_entry *entries;
    size_t n_entries;
};

#define FED_YAML_MAX ((size_t)1024 * 1024)

/* FED_ECONFIG: file, line, what is wrong. */
int fed_yaml_load(struct fed_yaml *out, const char *path, struct fed_error *err) FED_MUST_CHECK;
/* The same for a file that may be larger: at most `most` bytes, below 2^31. */
int fed_yaml_load_large(struct fed_yaml *out, const char *path, size_t most, struct fed_error *err) FED_MUST_CHECK;
int fed_yaml_parse(struct fed_yaml *out, const char *text, size_t n, const char *name, struct fed_error *err) FED_MUST_CHECK;
void fed_yaml_fini(struct fed_yaml *yaml);
/* Replaces or adds one entry, line 0; the word null takes the entry away, or all entries of a section. For --set.
 * FED_ENOMEM. */
int fed_yaml_set(struct fed_yaml *yaml, const char *path, const char *value) FED_MUST_CHECK;
const struct fed_yaml_entry *fed_yaml_find(const struct fed_yaml *yaml, const char *path);

/* The way back: a document that parses to the same entries, sections inside a list item on one line. Entries of one section
 * or list must stand together. The caller owns *out. FED_ENOMEM. */
int fed_yaml_format(char **out, const struct fed_yaml *yaml) FED_MUST_CHECK;

/* "0.2.5": the library at run time. */
const char *fed_yaml_library_version(void);

#endif
