/* What the files of YAML share, and nobody else uses:
 *
 *     yaml.c          libyaml: events to the reader, a text from entries    yaml_entries.c  the flat list of scalars
 *     yaml_reader.c   sections, lists and scalars -> entries
 *
 * Only yaml.c knows libyaml. */
#ifndef FED_COMMON_CONFIG_YAML_INTERNAL_H
#define FED_COMMON_CONFIG_YAML_INTERNAL_H

#include "common/config/yaml.h"

#define FED_YAML_DEPTH_MAX 8
#define FED_YAML_KEY_MAX 64      /* characters of one key */
#define FED_YAML_SECTION_MAX 256 /* keys of one section: keeps the search for duplicates short */
#define FED_YAML_PATH_MAX 768    /* > FED_YAML_DEPTH_MAX * (FED_YAML_KEY_MAX + 24) */

struct fed_yaml_frame {
    bool is_list;
    bool key_read;     /* section: the next value belongs to the key at the end of path */
    size_t path_n;     /* length of the path of the section or list itself */
    size_t n_children; /* keys or items so far */
    size_t n_before;   /* entries read before the section or list began */
};

/* Starts as zeros, with name and err set. */
struct fed_yaml_reader {
    const char *name; /* for sentences */
    struct fed_error *err;
    size_t line;          /* of what is told next */
    struct fed_yaml yaml; /* what was read so far, owned by whoever owns the reader */
    size_t capacity;
    char path[FED_YAML_PATH_MAX];
    struct fed_yaml_frame frames[FED_YAML_DEPTH_MAX];
    size_t depth;
    char keys[FED_YAML_DEPTH_MAX][FED_YAML_SECTION_MAX][FED_YAML_KEY_MAX + 1]; /* of the open sections */
};

/* Each is told in the order of the text. FED_ECONFIG with a sentence, FED_ENOMEM without. */
int fed_yaml_reader_begin(struct fed_yaml_reader *reader, bool is_list) FED_MUST_CHECK;
int fed_yaml_reader_end(struct fed_yaml_reader *reader) FED_MUST_CHECK;
/* n characters and a zero behind them: a key or a value, as its place will have it. plain: without quotes. */
int fed_yaml_reader_scalar(struct fed_yaml_reader *reader, const char *text, size_t n, bool plain) FED_MUST_CHECK;
/* "NAME:LINE: sentence". FED_ECONFIG. */
int fed_yaml_reader_refuse(const struct fed_yaml_reader *reader, const char *sentence);

/* Adds copies at the end. *capacity: entries that there is room for. FED_ENOMEM. */
int fed_yaml_add(struct fed_yaml *yaml, size_t *capacity, const char *path, const char *value, int line) FED_MUST_CHECK;

#endif
