/* The roster file: which nodes may take part, hosting which clients. YAML, written by `fedavg roster`, read by the
 * coordinator at start and on SIGHUP; replaced atomically.
 *
 *     schema: 1
 *     nodes:
 *       - {name: ward-7, key: fedavg1:..., clients: {first: 7, count: 1}, partial_sums: no,
 *          not_before: 2026-01-01, not_after: 2027-01-01}
 *
 * While a key is being changed an entry also has next_key. Dates are UTC, with a time if need be (2026-01-01T12:00:00Z).
 * Client ids are assigned once and never reused; ranges of different nodes may overlap only where both say partial_sums:
 * yes (the nodes of one operator, as in a simulation). */
#ifndef FED_COMMON_CONFIG_ROSTER_FILE_H
#define FED_COMMON_CONFIG_ROSTER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/task.h"
#include "common/seal/keys.h"

struct fed_roster_entry {
    char name[FED_NAME_MAX]; /* [a-z0-9-]+, unique */
    struct fed_public_keys keys;
    bool has_next;
    struct fed_public_keys next; /* `fedavg roster rotate`: both are admitted until the old one is dropped */
    uint64_t first_client, n_clients;
    bool partial_sums;
    int64_t not_before, not_after; /* seconds since 1970, UTC; 0 = open */
};

struct fed_roster_file {
    struct fed_roster_entry *entries; /* owned, in file order */
    size_t n_entries;
};

/* FED_ECONFIG: file, line, what is wrong (duplicate name, duplicate key, overlapping ranges, bad date...). */
int fed_roster_file_load(struct fed_roster_file *out, const char *path, struct fed_error *err) FED_MUST_CHECK;
/* Checks the same rules, then replaces the file. FED_ECONFIG, FED_EIO. */
int fed_roster_file_save(const struct fed_roster_file *roster, const char *path, struct fed_error *err) FED_MUST_CHECK;
void fed_roster_file_fini(struct fed_roster_file *roster);

#define FED_ROSTER_DATE_MAX 24 /* "2026-01-01T12:00:00Z", with the terminating zero */
/* "2026-01-01" or "2026-01-01T12:00:00Z", years 1970 to 9999, midnight of 1970-01-01 excluded. FED_ECONFIG. */
int fed_roster_date_parse(int64_t *out, const char *text) FED_MUST_CHECK;
void fed_roster_date_format(char out[FED_ROSTER_DATE_MAX], int64_t seconds);

/* The table, for whoever documents it. */
const struct fed_settings *fed_roster_file_settings(void);

#endif
