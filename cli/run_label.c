#include "cli/run_label.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/settings_diff.h"

#define KEYS_MOST 3
#define VALUE_SHOWN 24

/* Digests tell machines apart, not people; where data lie is no property of theirs. */
static bool says_something(const struct fed_difference *item) {
    size_t n = strlen(item->key);
    bool is_file = !item->defines && strchr(item->key, '.') != NULL && strncmp(item->key, "data.", 5) == 0;
    return !is_file && (n < 6 || strcmp(item->key + n - 6, "digest") != 0);
}

static const char *short_key(const char *key) {
    const char *dot = strrchr(key, '.');
    return dot != NULL ? dot + 1 : key;
}

/* "learning_rate 0.1, seed 2": what defines the result; or, where that is the same, what may change. */
static void describe(char *out, size_t n, const struct fed_differences *found, size_t task) {
    size_t used = 0, told = 0;
    out[0] = '\0';
    for (int pass = 0; pass < 2 && told == 0; pass++) {
        for (size_t i = 0; i < found->n && told < KEYS_MOST && used < n; i++) {
            const struct fed_difference *item = &found->items[i];
            char value[VALUE_SHOWN];
            if (item->defines == (pass == 0) && says_something(item)) {
                fed_difference_show(value, sizeof value, item->values[task]);
                used += (size_t)snprintf(out + used, n - used, "%s%s %s", told > 0 ? ", " : "", short_key(item->key), value);
                told++;
            }
        }
    }
}

static void show_path(char *out, size_t n, const char *path) { fed_difference_show(out, n, path); }

static bool same_name(const struct fed_run_view *a, const struct fed_run_view *b) { return strcmp(a->name, b->name) == 0; }

/* The labels of all runs with the name of the first of them. */
static int label_group(char (*labels)[FED_RUN_LABEL], const struct fed_run_view *runs, size_t n, size_t first,
                       struct fed_error *err) {
    const char **texts = calloc(2 * n, sizeof *texts);
    size_t *members = calloc(n, sizeof *members), n_members = 0;
    struct fed_differences found = {0};
    int code = texts != NULL && members != NULL ? FED_OK : fed_error_set(err, FED_ENOMEM, "out of memory");
    for (size_t i = first; code == FED_OK && i < n; i++) {
        if (same_name(&runs[i], &runs[first])) {
            texts[n_members] = fed_store_task_terms(runs[i].store);
            texts[n + n_members] = fed_store_task_rest(runs[i].store);
            members[n_members++] = i;
        }
    }
    if (code == FED_OK) {
        code = fed_differences_find(&found, texts, texts + n, n_members, err);
    }
    for (size_t i = 0; code == FED_OK && i < n_members; i++) {
        const struct fed_run_view *run = &runs[members[i]];
        char *label = labels[members[i]], words[FED_RUN_LABEL - sizeof run->name - 4];
        describe(words, sizeof words, &found, i);
        if (run->name[0] == '\0') {
            show_path(label, FED_RUN_LABEL, run->path);
        } else if (words[0] != '\0') {
            snprintf(label, FED_RUN_LABEL, "%s (%s)", run->name, words);
        } else {
            snprintf(label, FED_RUN_LABEL, "%s", run->name);
        }
    }
    fed_differences_fini(&found);
    free(texts);
    free(members);
    return code;
}

static bool is_alone(char (*labels)[FED_RUN_LABEL], size_t n, size_t i) {
    for (size_t k = 0; k < n; k++) {
        if (k != i && strcmp(labels[k], labels[i]) == 0) {
            return false;
        }
    }
    return true;
}

int fed_run_labels(char (*labels)[FED_RUN_LABEL], const struct fed_run_view *runs, size_t n, struct fed_error *err) {
    int code = FED_OK;
    bool *twins = calloc(n, sizeof *twins);
    if (twins == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        labels[i][0] = '\0';
    }
    for (size_t i = 0; code == FED_OK && i < n; i++) {
        code = labels[i][0] == '\0' ? label_group(labels, runs, n, i, err) : FED_OK;
    }
    for (size_t i = 0; code == FED_OK && i < n; i++) {
        twins[i] = !is_alone(labels, n, i);
    }
    for (size_t i = 0; code == FED_OK && i < n; i++) {
        char path[FED_RUN_LABEL - sizeof runs->name - 4];
        show_path(path, sizeof path, runs[i].path);
        if (twins[i]) {
            snprintf(labels[i], FED_RUN_LABEL, "%s (%s)", runs[i].name, path);
        }
    }
    free(twins);
    return code;
}
