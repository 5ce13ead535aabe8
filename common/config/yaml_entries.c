/* The flat list of scalars, in the order of the document: what is found, set and taken away in it. */
#include <stdlib.h>
#include <string.h>

#include "common/config/yaml_internal.h"

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

int fed_yaml_add(struct fed_yaml *yaml, size_t *capacity, const char *path, const char *value, int line) {
    if (yaml->n_entries == *capacity) {
        size_t wanted = *capacity > 0 ? 2 * *capacity : 64; /* of things in memory: cannot overflow */
        struct fed_yaml_entry *grown = reallocarray(yaml->entries, wanted, sizeof *grown);
        if (grown == NULL) {
            return FED_ENOMEM;
        }
        yaml->entries = grown;
        *capacity = wanted;
    }
    int code = entry_init(&yaml->entries[yaml->n_entries], path, value, line);
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
    if (old == NULL) {
        size_t capacity = yaml->n_entries;
        return fed_yaml_add(yaml, &capacity, path, value, 0);
    }
    struct fed_yaml_entry entry, *place = &yaml->entries[old - yaml->entries];
    if (entry_init(&entry, path, value, 0) != 0) {
        return FED_ENOMEM;
    }
    entry_fini(place);
    *place = entry;
    return 0;
}
