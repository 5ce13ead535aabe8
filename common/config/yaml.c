/* libyaml hands over events; a reader keeps the path of the event at hand and writes down every scalar under it.
 * Nothing here recurses on what a file says: the nesting is a stack of DEPTH_MAX frames. */
#include "common/config/yaml.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/base/file.h"

#define DEPTH_MAX 8
#define KEY_MAX 64         /* characters of one key */
#define SECTION_MAX 256    /* keys of one section: keeps the search for duplicates short */
#define PATH_MAX_CHARS 768 /* > DEPTH_MAX * (KEY_MAX + 24) */

struct frame {
    bool is_list;
    bool key_read;     /* section: the next value belongs to the key at the end of path */
    size_t path_n;     /* length of the path of the section or list itself */
    size_t n_children; /* keys or items so far */
    size_t n_before;   /* entries read before the section or list began */
};

struct reader {
    yaml_parser_t parser;
    const char *name; /* for sentences */
    struct fed_error *err;
    struct fed_yaml yaml; /* what was read so far, owned */
    size_t capacity;
    char path[PATH_MAX_CHARS];
    struct frame frames[DEPTH_MAX];
    size_t depth;
    bool document_seen;
    char keys[DEPTH_MAX][SECTION_MAX][KEY_MAX + 1]; /* of the open sections, to find duplicates */
};

/* -- sentences --------------------------------------------------------------------------------------------------------- */

static size_t line_of(const yaml_event_t *event) { return event->start_mark.line + 1; }

static int refuse(const struct reader *r, size_t line, const char *sentence) {
    return fed_error_set(r->err, FED_ECONFIG, "%s:%zu: %s", r->name, line, sentence);
}

static bool tab_in_line(const char *text, size_t n, size_t line) {
    size_t at = 1;
    for (size_t i = 0; i < n && at <= line; i++) {
        if (at == line && text[i] == '\t') {
            return true;
        }
        at += text[i] == '\n';
    }
    return false;
}

static size_t line_at_offset(const char *text, size_t n, size_t offset) {
    size_t line = 1;
    for (size_t i = 0; i < n && i < offset; i++) {
        line += text[i] == '\n';
    }
    return line;
}

/* libyaml knows the line of a misplaced token, but of a forbidden byte only the offset. */
static int syntax_error(const struct reader *r, const char *text, size_t n) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        return fed_error_set(r->err, FED_ENOMEM, "%s: out of memory", r->name);
    }
    bool reading = p->error == YAML_READER_ERROR;
    size_t line = reading ? line_at_offset(text, n, p->problem_offset) : p->problem_mark.line + 1;
    const char *hint = !reading && tab_in_line(text, n, line) ? "; indent with spaces, not tabs" : "";
    const char *problem = p->problem != NULL ? p->problem : "unreadable";
    return fed_error_set(r->err, FED_ECONFIG, "%s:%zu: not valid YAML: %s%s", r->name, line, problem, hint);
}

/* -- entries ----------------------------------------------------------------------------------------------------------- */

static void entry_fini(struct fed_yaml_entry *entry) {
    free(entry->path);
    free(entry->value);
}

void fed_yaml_fini(struct fed_yaml *yaml) {
    for (size_t i = 0; i < yaml->n_entries; i++) {
        entry_fini(&yaml->entries[i]);
    }
    free(yaml->entries);
    *yaml = (struct fed_yaml){0};
}

static int entry_init(struct fed_yaml_entry *out, const char *path, const char *value, int line) {
    struct fed_yaml_entry entry = {.path = strdup(path), .value = strdup(value), .line = line};
    if (entry.path == NULL || entry.value == NULL) {
        entry_fini(&entry);
        return FED_ENOMEM;
    }
    *out = entry;
    return 0;
}

static int add_entry(struct reader *r, const char *value, size_t line) {
    struct fed_yaml *yaml = &r->yaml;
    if (yaml->n_entries == r->capacity) {
        size_t capacity = r->capacity > 0 ? 2 * r->capacity : 64; /* bounded by the size of the text: cannot overflow */
        struct fed_yaml_entry *grown = realloc(yaml->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            return FED_ENOMEM;
        }
        yaml->entries = grown;
        r->capacity = capacity;
    }
    int code = entry_init(&yaml->entries[yaml->n_entries], r->path, value, (int)line);
    if (code == 0) {
        yaml->n_entries++;
    }
    return code;
}

const struct fed_yaml_entry *fed_yaml_find(const struct fed_yaml *yaml, const char *path) {
    for (size_t i = 0; i < yaml->n_entries; i++) {
        if (strcmp(yaml->entries[i].path, path) == 0) {
            return &yaml->entries[i];
        }
    }
    return NULL;
}

static void remove_entry(struct fed_yaml *yaml, size_t i) {
    entry_fini(&yaml->entries[i]);
    yaml->n_entries--;
    memmove(&yaml->entries[i], &yaml->entries[i + 1], (yaml->n_entries - i) * sizeof *yaml->entries);
}

/* The value of this path, or all values of this section or list. */
static void take_back(struct fed_yaml *yaml, const char *path) {
    size_t n = strlen(path);
    for (size_t i = yaml->n_entries; i-- > 0;) {
        const char *at = yaml->entries[i].path;
        if (strncmp(at, path, n) == 0 && (at[n] == '\0' || at[n] == '.' || at[n] == '[')) {
            remove_entry(yaml, i);
        }
    }
}

int fed_yaml_set(struct fed_yaml *yaml, const char *path, const char *value) {
    if (strcmp(value, "null") == 0) {
        take_back(yaml, path);
        return 0;
    }
    const struct fed_yaml_entry *old = fed_yaml_find(yaml, path);
    size_t i = old != NULL ? (size_t)(old - yaml->entries) : yaml->n_entries;
    struct fed_yaml_entry entry;
    if (entry_init(&entry, path, value, 0) != 0) {
        return FED_ENOMEM;
    }
    if (old != NULL) {
        entry_fini(&yaml->entries[i]);
    } else {
        struct fed_yaml_entry *grown = realloc(yaml->entries, (i + 1) * sizeof *grown);
        if (grown == NULL) {
            entry_fini(&entry);
            return FED_ENOMEM;
        }
        yaml->entries = grown;
        yaml->n_entries++;
    }
    yaml->entries[i] = entry;
    return 0;
}

/* -- reading ----------------------------------------------------------------------------------------------------------- */

static struct frame *top(struct reader *r) { return r->depth > 0 ? &r->frames[r->depth - 1] : NULL; }

static bool key_is_word(const char *key, size_t n) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return n >= 1 && n <= KEY_MAX && strspn(key, allowed) == n;
}

static int read_key(struct reader *r, const yaml_event_t *event) {
    struct frame *frame = top(r);
    const char *key = (const char *)event->data.scalar.value;
    if (!key_is_word(key, event->data.scalar.length)) {
        return refuse(r, line_of(event), "a key is one word of letters, digits, _ and -, at most 64 characters");
    }
    char(*keys)[KEY_MAX + 1] = r->keys[r->depth - 1];
    for (size_t i = 0; i < frame->n_children; i++) {
        if (strcmp(keys[i], key) == 0) {
            return fed_error_set(r->err, FED_ECONFIG, "%s:%zu: the key %s stands here for the second time", r->name,
                                 line_of(event), key);
        }
    }
    if (frame->n_children == SECTION_MAX) {
        return refuse(r, line_of(event), "more than 256 keys in one section");
    }
    memcpy(keys[frame->n_children++], key, event->data.scalar.length + 1);
    frame->key_read = true;
    snprintf(r->path + frame->path_n, sizeof r->path - frame->path_n, "%s%s", frame->path_n > 0 ? "." : "", key);
    return 0;
}

/* Every value passes here first: says no to what the flat form cannot hold and completes the path of a list item. */
static int begin_value(struct reader *r, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag) {
    struct frame *frame = top(r);
    if (anchor != NULL) {
        return refuse(r, line_of(event), "anchors (&name) are not supported; write the value out");
    }
    if (tag != NULL) {
        return refuse(r, line_of(event), "tags (!name) are not supported");
    }
    if (frame == NULL) {
        return event->type == YAML_MAPPING_START_EVENT ? 0 : refuse(r, line_of(event), "expected a list of key: value");
    }
    if (frame->is_list) {
        snprintf(r->path + frame->path_n, sizeof r->path - frame->path_n, "[%zu]", frame->n_children++);
    } else if (!frame->key_read && event->type != YAML_SCALAR_EVENT) {
        return refuse(r, line_of(event), "a key is one word of letters, digits, _ and -, at most 64 characters");
    }
    return 0;
}

static void end_value(struct reader *r) {
    struct frame *frame = top(r);
    if (frame != NULL) {
        frame->key_read = false;
        r->path[frame->path_n] = '\0';
    }
}

static int read_container(struct reader *r, const yaml_event_t *event, bool is_list) {
    const yaml_char_t *anchor = is_list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    const yaml_char_t *tag = is_list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    int code = begin_value(r, event, anchor, tag);
    if (code != 0) {
        return code;
    }
    if (r->depth == DEPTH_MAX) {
        return refuse(r, line_of(event), "more than 8 levels of nesting");
    }
    r->frames[r->depth++] = (struct frame){.is_list = is_list, .path_n = strlen(r->path), .n_before = r->yaml.n_entries};
    return 0;
}

static int end_container(struct reader *r, const yaml_event_t *event) {
    bool empty = r->yaml.n_entries == top(r)->n_before; /* also where it holds nothing but words for nothing */
    r->depth--;
    if (empty && r->depth > 0 && top(r)->is_list) {
        return refuse(r, line_of(event), "an item of a list is empty");
    }
    end_value(r);
    return 0;
}

static bool not_given(const yaml_event_t *event) {
    const char *value = (const char *)event->data.scalar.value;
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (value[0] == '\0' || strcmp(value, "null") == 0 || strcmp(value, "~") == 0);
}

static int read_scalar(struct reader *r, const yaml_event_t *event) {
    int code = begin_value(r, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (code != 0) {
        return code;
    }
    struct frame *frame = top(r);
    if (!frame->is_list && !frame->key_read) {
        return read_key(r, event);
    }
    const char *value = (const char *)event->data.scalar.value;
    if (strlen(value) != event->data.scalar.length) {
        return refuse(r, line_of(event), "a value holds a zero byte");
    }
    if (!not_given(event)) {
        code = add_entry(r, value, line_of(event));
    } else if (frame->is_list) {
        code = refuse(r, line_of(event), "an item of a list is empty");
    }
    end_value(r);
    return code;
}

static int read_event(struct reader *r, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->document_seen) {
            return refuse(r, line_of(event), "a second document (---) starts here; a file holds one");
        }
        r->document_seen = true;
        return 0;
    case YAML_ALIAS_EVENT: return refuse(r, line_of(event), "aliases (*name) are not supported; write the value out");
    case YAML_SCALAR_EVENT: return read_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT: return read_container(r, event, true);
    case YAML_MAPPING_START_EVENT: return read_container(r, event, false);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return end_container(r, event);
    default: return 0;
    }
}

static int read_document(struct reader *r, const char *text, size_t n) {
    for (bool done = false; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event)) {
            return syntax_error(r, text, n);
        }
        int code = read_event(r, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (code != 0) {
            return code == FED_ENOMEM ? fed_error_set(r->err, code, "%s: out of memory", r->name) : code;
        }
    }
    return 0;
}

static int parse(struct fed_yaml *out, const char *text, size_t n, const char *name, struct fed_error *err) {
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL || !yaml_parser_initialize(&r->parser)) {
        free(r);
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", name);
    }
    r->name = name;
    r->err = err;
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, n);
    int code = read_document(r, text, n);
    if (code == 0) {
        *out = r->yaml;
    } else {
        fed_yaml_fini(&r->yaml);
    }
    yaml_parser_delete(&r->parser);
    free(r);
    return code;
}

int fed_yaml_parse(struct fed_yaml *out, const char *text, size_t n, const char *name, struct fed_error *err) {
    return n <= FED_YAML_MAX ? parse(out, text, n, name, err)
                             : fed_error_set(err, FED_ECONFIG, "%s: larger than 1 MiB", name);
}

int fed_yaml_load_large(struct fed_yaml *out, const char *path, size_t most, struct fed_error *err) {
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert(most < (size_t)1 << 31);
    int code = fed_file_read(&bytes, &n, path, most, err);
    if (code != 0) {
        return code == FED_ENOMEM ? code : FED_ECONFIG; /* whatever it is, the operator mends the file or its name */
    }
    code = parse(out, (const char *)bytes, n, path, err);
    free(bytes);
    return code;
}

int fed_yaml_load(struct fed_yaml *out, const char *path, struct fed_error *err) {
    return fed_yaml_load_large(out, path, FED_YAML_MAX, err);
}

/* -- writing ----------------------------------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t n;
};

static int append(void *data, unsigned char *buffer, size_t size) {
    struct text *text = data;
    char *grown = realloc(text->bytes, text->n + size + 1);
    if (grown == NULL) {
        return 0;
    }
    memcpy(grown + text->n, buffer, size);
    text->bytes = grown;
    text->n += size;
    grown[text->n] = '\0';
    return 1;
}

/* Takes over the event; ready is what initialising it returned. */
static bool emit(yaml_emitter_t *emitter, yaml_event_t *event, int ready) {
    return ready && yaml_emitter_emit(emitter, event);
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *value, size_t n) {
    bool word = n == 0 || (n == 4 && memcmp(value, "null", 4) == 0) || (n == 1 && value[0] == '~');
    yaml_event_t event;
    return emit(emitter, &event,
                yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)value, (int)n, 1, 1,
                                             word ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE));
}

/* The length of the path up to and with the component that starts at from: ".units" or "[3]". */
static size_t component_end(const char *path, size_t from) {
    size_t start = from + (path[from] == '.' || path[from] == '[');
    return path[from] == '[' ? from + strcspn(path + from, "]") + 1 : start + strcspn(path + start, ".[");
}

static bool emit_node(yaml_emitter_t *emitter, const struct fed_yaml_entry *entries, size_t n, size_t from, bool in_item);

static bool emit_children(yaml_emitter_t *emitter, const struct fed_yaml_entry *entries, size_t n, size_t from,
                          bool in_item) {
    for (size_t i = 0; i < n;) {
        const char *path = entries[i].path;
        size_t end = component_end(path, from);
        size_t same = 1;
        while (i + same < n && strncmp(entries[i + same].path, path, end) == 0 &&
               component_end(entries[i + same].path, from) == end) {
            same++;
        }
        size_t key = from + (path[from] == '.');
        if (path[from] != '[' && !emit_scalar(emitter, path + key, end - key)) {
            return false;
        }
        if (!emit_node(emitter, entries + i, same, end, in_item)) {
            return false;
        }
        i += same;
    }
    return true;
}

/* The value whose path is the first `from` characters that all n entries share. Depth is bounded by what we write. */
static bool emit_node(yaml_emitter_t *emitter, const struct fed_yaml_entry *entries, size_t n, size_t from, bool in_item) {
    int next = n > 0 ? entries[0].path[from] : '.';
    if (next == '\0') {
        assert(n == 1);
        return emit_scalar(emitter, entries[0].value, strlen(entries[0].value));
    }
    yaml_event_t event;
    if (next == '[') {
        return emit(emitter, &event,
                    yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE)) &&
               emit_children(emitter, entries, n, from, true) &&
               emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
    }
    return emit(emitter, &event,
                yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                    in_item ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE)) &&
           emit_children(emitter, entries, n, from, in_item) &&
           emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static bool emit_document(yaml_emitter_t *emitter, const struct fed_yaml *yaml) {
    yaml_event_t event;
    return emit(emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING)) &&
           emit(emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1)) &&
           emit_node(emitter, yaml->entries, yaml->n_entries, 0, false) &&
           emit(emitter, &event, yaml_document_end_event_initialize(&event, 1)) &&
           emit(emitter, &event, yaml_stream_end_event_initialize(&event));
}

int fed_yaml_format(char **out, const struct fed_yaml *yaml) {
    struct text text = {0};
    yaml_emitter_t emitter;
    if (!yaml_emitter_initialize(&emitter)) {
        return FED_ENOMEM;
    }
    yaml_emitter_set_output(&emitter, append, &text);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    bool ok = emit_document(&emitter, yaml);
    yaml_emitter_delete(&emitter);
    if (!ok) {
        free(text.bytes);
        return FED_ENOMEM;
    }
    *out = text.bytes;
    return 0;
}

const char *fed_yaml_library_version(void) { return yaml_get_version_string(); }
