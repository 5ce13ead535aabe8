/* Both ways through libyaml. Reading, its events are told to the reader (yaml_reader.c), except what the flat form has no
 * word for; writing, entries that stand together become sections and lists again. */
#include "common/config/yaml.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/base/file.h"
#include "common/config/yaml_internal.h"

/* -- reading ----------------------------------------------------------------------------------------------------------- */

struct document {
    yaml_parser_t parser;
    const char *text;
    size_t n;
    bool begun;
    struct fed_yaml_reader reader;
};

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
static int syntax_error(const struct document *d) {
    const yaml_parser_t *p = &d->parser;
    const struct fed_yaml_reader *r = &d->reader;
    if (p->error == YAML_MEMORY_ERROR) {
        return FED_ENOMEM;
    }
    bool reading = p->error == YAML_READER_ERROR;
    size_t line = reading ? line_at_offset(d->text, d->n, p->problem_offset) : p->problem_mark.line + 1;
    const char *hint = !reading && tab_in_line(d->text, d->n, line) ? "; indent with spaces, not tabs" : "";
    const char *problem = p->problem != NULL ? p->problem : "unreadable";
    return fed_error_set(r->err, FED_ECONFIG, "%s:%zu: not valid YAML: %s%s", r->name, line, problem, hint);
}

static int check_plain(const struct fed_yaml_reader *r, const yaml_char_t *anchor, const yaml_char_t *tag) {
    if (anchor != NULL) {
        return fed_yaml_reader_refuse(r, "anchors (&name) are not supported; write the value out");
    }
    return tag == NULL ? 0 : fed_yaml_reader_refuse(r, "tags (!name) are not supported");
}

static int tell_scalar(struct fed_yaml_reader *r, const yaml_event_t *event) {
    int code = check_plain(r, event->data.scalar.anchor, event->data.scalar.tag);
    return code != 0 ? code
                     : fed_yaml_reader_scalar(r, (const char *)event->data.scalar.value, event->data.scalar.length,
                                              event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
}

static int tell_list(struct fed_yaml_reader *r, const yaml_event_t *event) {
    int code = check_plain(r, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    return code != 0 ? code : fed_yaml_reader_begin(r, true);
}

static int tell_section(struct fed_yaml_reader *r, const yaml_event_t *event) {
    int code = check_plain(r, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    return code != 0 ? code : fed_yaml_reader_begin(r, false);
}

static int tell(struct document *d, const yaml_event_t *event) {
    struct fed_yaml_reader *r = &d->reader;
    r->line = event->start_mark.line + 1;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (d->begun) {
            return fed_yaml_reader_refuse(r, "a second document (---) starts here; a file holds one");
        }
        d->begun = true;
        return 0;
    case YAML_ALIAS_EVENT: return fed_yaml_reader_refuse(r, "aliases (*name) are not supported; write the value out");
    case YAML_SCALAR_EVENT: return tell_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT: return tell_list(r, event);
    case YAML_MAPPING_START_EVENT: return tell_section(r, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return fed_yaml_reader_end(r);
    default: return 0;
    }
}

static int read_document(struct document *d) {
    for (bool done = false; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&d->parser, &event)) {
            return syntax_error(d);
        }
        int code = tell(d, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int parse(struct fed_yaml *out, const char *text, size_t n, const char *name, struct fed_error *err) {
    struct document *d = calloc(1, sizeof *d);
    if (d == NULL || !yaml_parser_initialize(&d->parser)) {
        free(d);
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", name);
    }
    d->text = text;
    d->n = n;
    d->reader.name = name;
    d->reader.err = err;
    yaml_parser_set_encoding(&d->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&d->parser, (const unsigned char *)text, n);
    int code = read_document(d);
    if (code == 0) {
        *out = d->reader.yaml;
    } else {
        fed_yaml_fini(&d->reader.yaml);
    }
    yaml_parser_delete(&d->parser);
    free(d);
    return code == FED_ENOMEM ? fed_error_set(err, code, "%s: out of memory", name) : code;
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
