/* Three views of the entries, made once: the entries themselves in file order (an index names a node), their names sorted,
 * and the hosted ids as disjoint ascending ranges with running counts, so that id <-> position is a binary search. */
#include "coordinator/roster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct named {
    const char *name; /* borrowed from the entry */
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
    struct span *spans;  /* (n_spans) ascending, disjoint, never adjacent */
    size_t n_spans;
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
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

int fed_roster_new(struct fed_roster **out, struct fed_roster_file *file) {
    size_t n = file->n_entries;
    struct fed_roster *roster = calloc(1, sizeof *roster);
    struct named *names = calloc(n + 1, sizeof *names);
    struct span *spans = calloc(n + 1, sizeof *spans);
    if (roster == NULL || names == NULL || spans == NULL) {
        free(roster);
        free(names);
        free(spans);
        return FED_ENOMEM;
    }
    *roster = (struct fed_roster){.entries = file->entries, .n_entries = n, .names = names, .spans = spans};
    *file = (struct fed_roster_file){0};
    for (size_t i = 0; i < n; i++) {
        const struct fed_roster_entry *entry = &roster->entries[i];
        assert(entry->n_clients <= UINT64_MAX - entry->first_client);
        names[i] = (struct named){.name = entry->name, .node = i};
        if (entry->n_clients > 0) {
            spans[roster->n_spans++] = (struct span){.first = entry->first_client, .count = entry->n_clients};
        }
    }
    if (n > 0) {
        qsort(names, n, sizeof *names, by_name);
        merge_spans(roster);
    }
    *out = roster;
    return 0;
}

void fed_roster_free(struct fed_roster *roster) {
    if (roster != NULL) {
        struct fed_roster_file file = {.entries = roster->entries, .n_entries = roster->n_entries};
        fed_roster_file_fini(&file);
        free(roster->names);
        free(roster->spans);
        free(roster);
    }
}

size_t fed_roster_size(const struct fed_roster *roster) { return roster->n_entries; }

const struct fed_roster_entry *fed_roster_entry(const struct fed_roster *roster, size_t node) {
    assert(node < roster->n_entries);
    return &roster->entries[node];
}

/* Looks at every byte, whatever it finds: how long it takes says nothing about the key. */
static bool same_key(const uint8_t a[FED_KEY_BYTES], const uint8_t b[FED_KEY_BYTES]) {
    volatile uint8_t differs = 0;
    for (size_t i = 0; i < FED_KEY_BYTES; i++) {
        differs = (uint8_t)(differs | (a[i] ^ b[i]));
    }
    return differs == 0;
}

int fed_roster_find_curve(size_t *node, const struct fed_roster *roster, const uint8_t curve[FED_KEY_BYTES],
                          int64_t wall_s) {
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < roster->n_entries; i++) { /* to the end, also after a match */
        const struct fed_roster_entry *entry = &roster->entries[i];
        bool current = same_key(entry->keys.curve, curve);
        bool next = same_key(entry->next.curve, curve) & entry->has_next;
        bool match = (current | next) & fed_roster_valid(roster, i, wall_s);
        found = match ? i : found;
    }
    if (found == SIZE_MAX) {
        return FED_ENOTFOUND;
    }
    *node = found;
    return 0;
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
    return (entry->not_before == 0 || wall_s >= entry->not_before) && (entry->not_after == 0 || wall_s <= entry->not_after);
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
