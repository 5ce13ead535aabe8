/* What has to hold of each entry, and between any two of them. Uniqueness is found by sorting, and overlap by one sweep: a
 * roster of forty thousand nodes is read again whenever it changes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/name.h"
#include "common/config/roster_file_internal.h"

struct rules {
    const struct fed_roster_file *roster;
    const int *lines; /* of each entry; NULL when not read from a file */
    const char *path;
    struct fed_error *err;
};

static int refuse(const struct rules *rules, size_t i, const char *format, ...) FED_PRINTF(3, 4);

static int refuse(const struct rules *rules, size_t i, const char *format, ...) {
    struct fed_error sentence;
    va_list args;
    va_start(args, format);
    vsnprintf(sentence.text, sizeof sentence.text, format, args);
    va_end(args);
    const char *name = rules->roster->entries[i].name;
    if (rules->lines == NULL) {
        return fed_error_set(rules->err, FED_ECONFIG, "%s: node %s: %s", rules->path, name, sentence.text);
    }
    return fed_error_set(rules->err, FED_ECONFIG, "%s:%d: node %s: %s", rules->path, rules->lines[i], name, sentence.text);
}

static bool is_spent(const struct fed_roster_file *roster, const struct fed_enrolment *enrolment) {
    struct fed_certificate read;
    return fed_certificate_read(&read, enrolment->certificate) == 0 && fed_roster_file_is_spent(roster, read.nonce);
}

/* What was removed or exchanged stays so, whoever still holds its certificate. */
static int check_nonces(const struct rules *rules, size_t i) {
    const struct fed_roster_entry *entry = &rules->roster->entries[i];
    bool spent = (entry->has_enrolment && is_spent(rules->roster, &entry->enrolment)) ||
                 (entry->has_next_enrolment && is_spent(rules->roster, &entry->next_enrolment));
    return spent ? refuse(rules, i, "its certificate is spent: its entry was removed or signed anew") : 0;
}

static int check_entry(const struct rules *rules, size_t i) {
    const struct fed_roster_entry *entry = &rules->roster->entries[i];
    if (!fed_name_valid(entry->name)) {
        return refuse(rules, i, "a name has 1 to 63 characters from a-z, 0-9 and -");
    }
    if (entry->n_clients < 1 || entry->n_clients > FED_ROSTER_CLIENTS_MAX || entry->first_client > FED_ROSTER_CLIENTS_MAX) {
        return refuse(rules, i, "clients are out of range, expected first and count up to 2^31");
    }
    if (entry->not_after != 0 && entry->not_after <= entry->not_before) {
        return refuse(rules, i, "not_after is not later than not_before");
    }
    if (entry->has_next_enrolment && !entry->has_next) {
        return refuse(rules, i, "has next_certificate without next_key");
    }
    return check_nonces(rules, i);
}

/* What sorting puts side by side: one name, key half or range, and whose it is. */
struct claim {
    const void *bytes;
    size_t n;
    size_t entry;
};

static int by_bytes(const void *a, const void *b) {
    const struct claim *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->n);
    return order != 0 ? order : (x->entry > y->entry) - (x->entry < y->entry);
}

static int check_unique(const struct rules *rules, struct claim *claims, size_t n, const char *what) {
    qsort(claims, n, sizeof *claims, by_bytes);
    for (size_t i = 1; i < n; i++) {
        if (memcmp(claims[i].bytes, claims[i - 1].bytes, claims[i].n) == 0) {
            return refuse(rules, claims[i].entry, "has the same %s as node %s", what,
                          rules->roster->entries[claims[i - 1].entry].name);
        }
    }
    return 0;
}

static int check_names(const struct rules *rules, struct claim *claims) {
    for (size_t i = 0; i < rules->roster->n_entries; i++) {
        claims[i] = (struct claim){rules->roster->entries[i].name, FED_NAME_MAX, i};
    }
    return check_unique(rules, claims, rules->roster->n_entries, "name");
}

/* A key admits one node alone, and neither half of it may serve two. */
static int check_keys(const struct rules *rules, struct claim *claims, bool seal) {
    size_t n = 0;
    for (size_t i = 0; i < rules->roster->n_entries; i++) {
        const struct fed_roster_entry *entry = &rules->roster->entries[i];
        claims[n++] = (struct claim){seal ? entry->keys.seal : entry->keys.curve, FED_KEY_BYTES, i};
        if (entry->has_next) {
            claims[n++] = (struct claim){seal ? entry->next.seal : entry->next.curve, FED_KEY_BYTES, i};
        }
    }
    return check_unique(rules, claims, n, "key");
}

static int by_first_client(const void *a, const void *b) {
    const struct fed_roster_entry *x = ((const struct claim *)a)->bytes, *y = ((const struct claim *)b)->bytes;
    return (x->first_client > y->first_client) - (x->first_client < y->first_client);
}

/* One sweep over the ranges in ascending order. A node without partial sums shares its clients with nobody; two with them
 * may overlap, so the farthest end of either sort is kept. */
static int check_ranges(const struct rules *rules, struct claim *claims) {
    size_t n = rules->roster->n_entries;
    const struct fed_roster_entry *entries = rules->roster->entries;
    for (size_t i = 0; i < n; i++) {
        claims[i] = (struct claim){&entries[i], sizeof entries[i], i};
    }
    qsort(claims, n, sizeof *claims, by_first_client);
    const struct fed_roster_entry *last_alone = NULL, *last = NULL; /* whose range ends farthest */
    for (size_t i = 0; i < n; i++) {
        const struct fed_roster_entry *entry = &entries[claims[i].entry];
        const struct fed_roster_entry *rival = entry->partial_sums ? last_alone : last;
        if (rival != NULL && rival->first_client + rival->n_clients > entry->first_client) {
            return refuse(rules, claims[i].entry,
                          "hosts client %llu, which node %s hosts already (both need partial_sums: yes to share clients)",
                          (unsigned long long)entry->first_client, rival->name);
        }
        uint64_t end = entry->first_client + entry->n_clients;
        if (last == NULL || end > last->first_client + last->n_clients) {
            last = entry;
        }
        if (!entry->partial_sums && (last_alone == NULL || end > last_alone->first_client + last_alone->n_clients)) {
            last_alone = entry;
        }
    }
    return 0;
}

static int check_pairs(const struct rules *rules, struct claim *claims) {
    int code = check_names(rules, claims);
    if (code == 0) {
        code = check_keys(rules, claims, false);
    }
    if (code == 0) {
        code = check_keys(rules, claims, true);
    }
    return code == 0 ? check_ranges(rules, claims) : code;
}

int fed_roster_file_check(const struct fed_roster_file *roster, const int *lines, const char *path, struct fed_error *err) {
    const struct rules rules = {roster, lines, path, err};
    for (size_t i = 0; i < roster->n_entries; i++) {
        int code = check_entry(&rules, i);
        if (code != 0) {
            return code;
        }
    }
    struct claim *claims = calloc(roster->n_entries + 1, 2 * sizeof *claims); /* a node has up to two keys */
    if (claims == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int code = check_pairs(&rules, claims);
    free(claims);
    return code;
}
