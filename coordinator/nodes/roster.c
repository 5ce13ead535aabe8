/* Four views of the entries, made once: the entries themselves in file order (an index names a node), their names sorted,
 * their CURVE keys sorted, and the hosted ids as disjoint ascending ranges with running counts, so that id <-> position is a
 * binary search. */
#include "coordinator/nodes/roster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct named {
    const char *name; /* borrowed from the entry */
    size_t node;
};

struct keyed {
    const uint8_t *curve; /* borrowed from the entry */
    size_t node;
};

struct span {
    uint64_t first, count;
    uint64_t before; /* clients in the spans before this one */
};

struct fed_roster {
    struct fed_roster_entry *entries; /* owned, as the two below */
    size_t n_entries;
    struct named *names; /* (n_entries) ascending */
    struct keyed *keys; /* (n_keys) ascending: a node has one or two; an entry that is gone may share one with a later one */
    size_t n_keys;
    struct span *spans; /* (n_spans) ascending, disjoint, never adjacent */
    size_t n_spans;
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int by_curve(const void *a, const void *b) {
    const struct keyed *x = a, *y = b;
    int order = memcmp(x->curve, y->curve, FED_KEY_BYTES);
    return order != 0 ? order : (x->node > y->node) - (x->node < y->node);
}

static int by_first(const void *a, const void *b) {
    uint64_t x = ((const struct span *)a)->first, y = ((const struct span *)b)->first;
    return (x > y) - (x < y);
}

/* Ranges that overlap or touch become one. Ids of a span never wrap, so first + count - 1 is its last one. */
static void merge_spans(struct fed_roster *roster) {
    qsort(roster->spans, roster->n_spans, sizeof *roster->spans, by_first);
    size_t n = 0;
    for (size_t i = 0; i < roster->n_spans; i++) {
        struct span span = roster->spans[i];
        struct span *last = n == 0 ? NULL : &roster->spans[n - 1];
        if (last == NULL || span.first - last->first > last->count) {
            roster->spans[n++] = span;
        } else if (span.first - last->first + span.count > last->count) {
            last->count = span.first - last->first + span.count;
        }
    }
    roster->n_spans = n;
    for (size_t i = 1; i < n; i++) {
        roster->spans[i].before = roster->spans[i - 1].before + roster->spans[i - 1].count;
    }
}

static void lay_out(struct fed_roster *roster) {
    for (size_t i = 0; i < roster->n_entries; i++) {
        const struct fed_roster_entry *entry = &roster->entries[i];
        assert(entry->n_clients <= UINT64_MAX - entry->first_client);
        roster->names[i] = (struct named){.name = entry->name, .node = i};
        roster->keys[roster->n_keys++] = (struct keyed){entry->keys.curve, i};
        if (entry->has_next) {
            roster->keys[roster->n_keys++] = (struct keyed){entry->next.curve, i};
        }
        if (entry->n_clients > 0 && entry->revoked == 0 && !entry->refused) {
            roster->spans[roster->n_spans++] = (struct span){.first = entry->first_client, .count = entry->n_clients};
        }
    }
    if (roster->n_entries > 0) {
        qsort(roster->names, roster->n_entries, sizeof *roster->names, by_name);
        qsort(roster->keys, roster->n_keys, sizeof *roster->keys, by_curve);
    }
    if (roster->n_spans > 0) {
        merge_spans(roster);
    }
}

int fed_roster_new(struct fed_roster **out, struct fed_roster_file *file) {
    size_t n = file->n_entries;
    struct fed_roster *roster = calloc(1, sizeof *roster);
    struct named *names = calloc(n + 1, sizeof *names);
    struct keyed *keys = calloc(n + 1, 2 * sizeof *keys);
    struct span *spans = calloc(n + 1, sizeof *spans);
    if (roster == NULL || names == NULL || keys == NULL || spans == NULL) {
        free(roster);
        free(names);
        free(keys);
        free(spans);
        return FED_ENOMEM;
    }
    *roster = (struct fed_roster){.entries = file->entries, .n_entries = n, .names = names, .keys = keys, .spans = spans};
    file->entries = NULL;
    file->n_entries = 0;
    fed_roster_file_fini(file);
    lay_out(roster);
    *out = roster;
    return 0;
}

void fed_roster_free(struct fed_roster *roster) {
    if (roster != NULL) {
        struct fed_roster_file file = {.entries = roster->entries, .n_entries = roster->n_entries};
        fed_roster_file_fini(&file);
        free(roster->names);
        free(roster->keys);
        free(roster->spans);
        free(roster);
    }
}

size_t fed_roster_size(const struct fed_roster *roster) { return roster->n_entries; }

const struct fed_roster_entry *fed_roster_entry(const struct fed_roster *roster, size_t node) {
    assert(node < roster->n_entries);
    return &roster->entries[node];
}

int fed_roster_find_curve(size_t *node, const struct fed_roster *roster, const uint8_t curve[FED_KEY_BYTES], int64_t wall_s,
                          size_t *any) {
    size_t low = 0, high = roster->n_keys, found = SIZE_MAX; /* keys below low are smaller, from high on they are not */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(roster->keys[middle].curve, curve, FED_KEY_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = low; i < roster->n_keys && memcmp(roster->keys[i].curve, curve, FED_KEY_BYTES) == 0; i++) {
        found = roster->keys[i].node;
        if (fed_roster_valid(roster, found, wall_s)) {
            *node = found;
            return 0;
        }
    }
    if (any != NULL) {
        *any = found;
    }
    return FED_ENOTFOUND;
}

int fed_roster_find_name(size_t *node, const struct fed_roster *roster, const char *name) {
    struct named key = {.name = name};
    const struct named *named = bsearch(&key, roster->names, roster->n_entries, sizeof key, by_name);
    if (named == NULL) {
        return FED_ENOTFOUND;
    }
    *node = named->node;
    return 0;
}

bool fed_roster_valid(const struct fed_roster *roster, size_t node, int64_t wall_s) {
    const struct fed_roster_entry *entry = fed_roster_entry(roster, node);
    return (entry->not_before == 0 || wall_s >= entry->not_before) &&
           (entry->not_after == 0 || wall_s <= entry->not_after) && entry->revoked == 0 && !entry->refused &&
           entry->n_clients > 0;
}

void fed_roster_why(char out[FED_ROSTER_WHY_MAX], const struct fed_roster *roster, size_t node, int64_t wall_s) {
    const struct fed_roster_entry *entry = fed_roster_entry(roster, node);
    char date[FED_ROSTER_DATE_MAX];
    const char *what = "";
    int64_t when = 0;
    if (entry->n_clients == 0) {
        what = "its entry was removed";
    } else if (entry->refused) {
        what = "its entry does not verify under server.enrolment_key";
    } else if (entry->revoked != 0) {
        what = "its entry was revoked on ";
        when = entry->revoked;
    } else if (entry->not_before != 0 && wall_s < entry->not_before) {
        what = "its entry does not hold before ";
        when = entry->not_before;
    } else if (entry->not_after != 0 && wall_s > entry->not_after) {
        what = "its entry ended on ";
        when = entry->not_after;
    }
    if (when != 0) {
        fed_roster_date_format(date, when);
    }
    snprintf(out, FED_ROSTER_WHY_MAX, "%s%s", what, when != 0 ? date : "");
}

bool fed_roster_hosts(const struct fed_roster *roster, size_t node, uint64_t client) {
    const struct fed_roster_entry *entry = fed_roster_entry(roster, node);
    return client >= entry->first_client && client - entry->first_client < entry->n_clients;
}

uint64_t fed_roster_population(const struct fed_roster *roster) {
    const struct span *last = roster->n_spans == 0 ? NULL : &roster->spans[roster->n_spans - 1];
    return last == NULL ? 0 : last->before + last->count;
}

uint64_t fed_roster_client(const struct fed_roster *roster, uint64_t i) {
    assert(i < fed_roster_population(roster));
    size_t low = 0, high = roster->n_spans; /* spans[low].before <= i < spans[high].before */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (roster->spans[middle].before <= i) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return roster->spans[low].first + (i - roster->spans[low].before);
}
