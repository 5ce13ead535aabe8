/* Each task becomes one flat list of keys and values, sorted; then the lists are walked together like sorted files. */
#include "cli/settings_diff.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"
#include "coordinator/store/curve.h"

#define DEPTH_MOST 16 /* a task goes five deep */

struct setting {
    char *key, *value; /* owned */
    bool defines;
};
struct settings {
    struct setting *items;
    size_t n, room;
};

/* Where what may change stands in a task file; in run.db it has no sections. */
static const char *section_of(const char *name) {
    static const char *const places[][2] = {
        {"rounds", "algorithm."},        {"target_accuracy", "algorithm."}, {"over_select", "round."},
        {"min_reports", "round."},       {"deadline_s", "round."},          {"rejoin_s", "round."},
        {"stall_s", "round."},           {"evaluate_every", "round."},      {"keep_last", "server."},
        {"partial_sums", "server."},     {"norm_factor", "hygiene."},       {"norm_rounds", "hygiene."},
        {"rollback_factor", "hygiene."},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (strcmp(places[i][0], name) == 0) {
            return places[i][1];
        }
    }
    return "";
}

/* 0.1, where jansson says 0.10000000000000001. */
static char *value_text(const json_t *value) {
    char number[FED_CURVE_NUMBER_MAX];
    if (json_is_real(value)) {
        fed_curve_number(number, json_real_value(value));
        return strdup(number);
    }
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
}

static bool add(struct settings *settings, const char *key, const json_t *value, bool defines) {
    if (settings->n == settings->room) {
        size_t room = settings->room > 0 ? 2 * settings->room : 64;
        struct setting *more = reallocarray(settings->items, room, sizeof *more);
        if (more == NULL) {
            return false;
        }
        settings->items = more;
        settings->room = room;
    }
    struct setting *item = &settings->items[settings->n++];
    *item = (struct setting){.key = strdup(key), .value = value_text(value), .defines = defines};
    return item->key != NULL && item->value != NULL;
}

/* Sections and lists are gone into; a list of plain values, like the names of classes, is one value. */
static bool is_plain_list(const json_t *value) { return json_is_array(value) && !json_is_object(json_array_get(value, 0)); }

static bool flatten(struct settings *settings, const char *prefix, const json_t *value, bool defines, int depth) {
    bool good = true;
    char *path = NULL;
    if (depth == DEPTH_MOST || is_plain_list(value) || !(json_is_object(value) || json_is_array(value))) {
        return add(settings, prefix, value, defines);
    }
    if (json_is_array(value)) {
        for (size_t i = 0; good && i < json_array_size(value); i++) {
            good = asprintf(&path, "%s[%zu]", prefix, i) >= 0 &&
                   flatten(settings, path, json_array_get(value, i), defines, depth + 1);
            free(path);
            path = NULL;
        }
        return good;
    }
    for (void *at = json_object_iter((json_t *)(uintptr_t)value); good && at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
        const char *name = json_object_iter_key(at);
        const char *before = *prefix != '\0' ? prefix : defines ? "" : section_of(name);
        bool stands_at_top = !defines && *prefix == '\0' && strcmp(name, "files") == 0; /* its keys are whole already */
        good = asprintf(&path, "%s%s%s", before, *prefix != '\0' ? "." : "", stands_at_top ? "" : name) >= 0 &&
               flatten(settings, path, json_object_iter_value(at), defines, depth + 1);
        free(path);
        path = NULL;
    }
    return good;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct setting *)a)->key, ((const struct setting *)b)->key);
}

static int read_settings(struct settings *out, const char *terms, const char *rest, struct fed_error *err) {
    json_t *parts[2] = {json_loads(terms, 0, NULL), json_loads(rest, 0, NULL)};
    int code = FED_OK;
    if (!json_is_object(parts[0]) || !json_is_object(parts[1])) {
        code = fed_error_set(err, FED_EDATA, "the task in run.db is not JSON: the run directory is damaged");
    } else if (!flatten(out, "", parts[0], true, 0) || !flatten(out, "", parts[1], false, 0)) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    } else if (out->n > 0) {
        qsort(out->items, out->n, sizeof *out->items, by_key);
    }
    json_decref(parts[0]);
    json_decref(parts[1]);
    return code;
}

static void free_settings(struct settings *settings) {
    for (size_t i = 0; i < settings->n; i++) {
        free(settings->items[i].key);
        free(settings->items[i].value);
    }
    free(settings->items);
}

/* -- Walking them together -- */

/* The least key that a list still has at its place; NULL when all are at their ends. */
static const struct setting *least(const struct settings *tasks, const size_t *places, size_t n) {
    const struct setting *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (places[i] < tasks[i].n && (found == NULL || strcmp(tasks[i].items[places[i]].key, found->key) < 0)) {
            found = &tasks[i].items[places[i]];
        }
    }
    return found;
}

static bool same_value(const char *a, const char *b) { return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0; }

static int add_difference(struct fed_differences *out, const struct setting *setting, const char *const *values) {
    struct fed_difference item = {
        .key = strdup(setting->key), .values = calloc(out->n_tasks, sizeof *item.values), .defines = setting->defines};
    struct fed_difference *more = reallocarray(out->items, out->n + 1, sizeof *more);
    out->items = more != NULL ? more : out->items;
    bool good = item.key != NULL && item.values != NULL && more != NULL;
    for (size_t i = 0; good && i < out->n_tasks; i++) {
        item.values[i] = values[i] != NULL ? strdup(values[i]) : NULL;
        good = values[i] == NULL || item.values[i] != NULL;
    }
    if (more == NULL) {
        free(item.key);
        free(item.values);
        return FED_ENOMEM;
    }
    out->items[out->n++] = item;
    return good ? FED_OK : FED_ENOMEM;
}

static int walk(struct fed_differences *out, const struct settings *tasks, size_t *places, const char **values) {
    int code = FED_OK;
    for (const struct setting *setting; code == FED_OK && (setting = least(tasks, places, out->n_tasks)) != NULL;) {
        bool same = true;
        for (size_t i = 0; i < out->n_tasks; i++) {
            bool has = places[i] < tasks[i].n && strcmp(tasks[i].items[places[i]].key, setting->key) == 0;
            values[i] = has ? tasks[i].items[places[i]].value : NULL;
            places[i] += has;
            same = same && same_value(values[0], values[i]);
        }
        code = same ? FED_OK : add_difference(out, setting, values);
    }
    return code;
}

int fed_differences_find(struct fed_differences *out, const char *const *terms, const char *const *rest, size_t n,
                         struct fed_error *err) {
    struct fed_differences found = {.n_tasks = n};
    struct settings *tasks = calloc(n, sizeof *tasks);
    size_t *places = calloc(n, sizeof *places);
    const char **values = calloc(n, sizeof *values);
    int code = tasks != NULL && places != NULL && values != NULL ? FED_OK : FED_ENOMEM;
    for (size_t i = 0; code == FED_OK && i < n; i++) {
        code = read_settings(&tasks[i], terms[i], rest[i], err);
    }
    if (code == FED_OK) {
        code = walk(&found, tasks, places, values);
    }
    for (size_t i = 0; tasks != NULL && i < n; i++) {
        free_settings(&tasks[i]);
    }
    free(tasks);
    free(places);
    free(values);
    if (code != FED_OK) {
        fed_differences_fini(&found);
        return code == FED_ENOMEM ? fed_error_set(err, code, "out of memory") : code;
    }
    *out = found;
    return FED_OK;
}

void fed_differences_fini(struct fed_differences *differences) {
    for (size_t i = 0; i < differences->n; i++) {
        struct fed_difference *item = &differences->items[i];
        for (size_t k = 0; item->values != NULL && k < differences->n_tasks; k++) {
            free(item->values[k]);
        }
        free(item->values);
        free(item->key);
    }
    free(differences->items);
    *differences = (struct fed_differences){0};
}

void fed_difference_show(char *out, size_t n, const char *value) {
    size_t length = value != NULL ? strlen(value) : 0, used = 0;
    bool quoted = length >= 2 && value[0] == '"' && value[length - 1] == '"';
    const char *at = quoted ? value + 1 : value != NULL ? value : "-";
    const char *end = quoted ? value + length - 1 : at + strlen(at);
    while (at < end) {
        const char *from = at;
        bool bad = fed_utf8_is_control(fed_utf8_next(&at));
        size_t size = bad ? 1 : (size_t)(at - from);
        if (used + size + sizeof "..." > n) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        memcpy(out + used, bad ? "?" : from, size);
        used += size;
    }
    out[used] = '\0';
}
