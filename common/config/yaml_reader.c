/* Sections, lists and scalars -> entries: keeps the path of what is told and writes down every scalar under it; refuses what
 * the flat form cannot hold. Nothing recurses on what a file says: the nesting is a stack of FED_YAML_DEPTH_MAX frames. */
#include <stdio.h>
#include <string.h>

#include "common/config/yaml_internal.h"

static const char no_word[] = "a key is one word of letters, digits, _ and -, at most 64 characters";

int fed_yaml_reader_refuse(const struct fed_yaml_reader *r, const char *sentence) {
    return fed_error_set(r->err, FED_ECONFIG, "%s:%zu: %s", r->name, r->line, sentence);
}

static struct fed_yaml_frame *top(struct fed_yaml_reader *r) { return r->depth > 0 ? &r->frames[r->depth - 1] : NULL; }

static bool is_word(const char *key, size_t n) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return n >= 1 && n <= FED_YAML_KEY_MAX && strspn(key, allowed) == n;
}

static int read_key(struct fed_yaml_reader *r, const char *key, size_t n) {
    struct fed_yaml_frame *frame = top(r);
    if (!is_word(key, n)) {
        return fed_yaml_reader_refuse(r, no_word);
    }
    char(*keys)[FED_YAML_KEY_MAX + 1] = r->keys[r->depth - 1];
    for (size_t i = 0; i < frame->n_children; i++) {
        if (strcmp(keys[i], key) == 0) {
            return fed_error_set(r->err, FED_ECONFIG, "%s:%zu: the key %s stands here for the second time", r->name, r->line,
                                 key);
        }
    }
    if (frame->n_children == FED_YAML_SECTION_MAX) {
        return fed_yaml_reader_refuse(r, "more than 256 keys in one section");
    }
    memcpy(keys[frame->n_children++], key, n + 1);
    frame->key_read = true;
    snprintf(r->path + frame->path_n, sizeof r->path - frame->path_n, "%s%s", frame->path_n > 0 ? "." : "", key);
    return 0;
}

/* The items of a list have no key to complete the path with. */
static void begin_item(struct fed_yaml_reader *r, struct fed_yaml_frame *list) {
    snprintf(r->path + list->path_n, sizeof r->path - list->path_n, "[%zu]", list->n_children++);
}

static void end_value(struct fed_yaml_reader *r) {
    struct fed_yaml_frame *frame = top(r);
    if (frame != NULL) {
        frame->key_read = false;
        r->path[frame->path_n] = '\0';
    }
}

int fed_yaml_reader_begin(struct fed_yaml_reader *r, bool is_list) {
    struct fed_yaml_frame *frame = top(r);
    if (frame == NULL && is_list) {
        return fed_yaml_reader_refuse(r, "expected a list of key: value");
    }
    if (frame != NULL && !frame->is_list && !frame->key_read) {
        return fed_yaml_reader_refuse(r, no_word);
    }
    if (frame != NULL && frame->is_list) {
        begin_item(r, frame);
    }
    if (r->depth == FED_YAML_DEPTH_MAX) {
        return fed_yaml_reader_refuse(r, "more than 8 levels of nesting");
    }
    r->frames[r->depth++] =
        (struct fed_yaml_frame){.is_list = is_list, .path_n = strlen(r->path), .n_before = r->yaml.n_entries};
    return 0;
}

int fed_yaml_reader_end(struct fed_yaml_reader *r) {
    bool empty = r->yaml.n_entries == top(r)->n_before; /* also where it holds nothing but words for nothing */
    r->depth--;
    if (empty && r->depth > 0 && top(r)->is_list) {
        return fed_yaml_reader_refuse(r, "an item of a list is empty");
    }
    end_value(r);
    return 0;
}

static bool says_nothing(const char *text, bool plain) {
    return plain && (text[0] == '\0' || strcmp(text, "null") == 0 || strcmp(text, "~") == 0);
}

int fed_yaml_reader_scalar(struct fed_yaml_reader *r, const char *text, size_t n, bool plain) {
    struct fed_yaml_frame *frame = top(r);
    if (frame == NULL) {
        return fed_yaml_reader_refuse(r, "expected a list of key: value");
    }
    if (!frame->is_list && !frame->key_read) {
        return read_key(r, text, n);
    }
    if (frame->is_list) {
        begin_item(r, frame);
    }
    if (strlen(text) != n) {
        return fed_yaml_reader_refuse(r, "a value holds a zero byte");
    }
    int code = 0;
    if (!says_nothing(text, plain)) {
        code = fed_yaml_add(&r->yaml, &r->capacity, r->path, text, (int)r->line);
    } else if (frame->is_list) {
        code = fed_yaml_reader_refuse(r, "an item of a list is empty");
    }
    end_value(r);
    return code;
}
