/* The roster file: which nodes may take part, hosting which clients. YAML, written by `fedavg roster` and by a coordinator
 * that accepts enrolment tokens, under a lock; read by the coordinator at start and whenever it changed; replaced
 * atomically.
 *
 *     schema: 1
 *     nodes:
 *       - {name: ward-7, key: fedavg1:..., clients: {first: 7, count: 1}, partial_sums: no,
 *          not_before: 2026-01-01, not_after: 2027-01-01}
 *
 * While a key is being changed an entry also has next_key. A signed entry has certificate and proof (roster_signed.h), one
 * of each for either key. A revoked entry has the date in `revoked` and keeps its name, keys and client ids from others.
 * `spent` lists the nonces of certificates whose entries were removed, or have another one now: they are good for nothing
 * any more. Dates are UTC, with a time if need be (2026-01-01T12:00:00Z). Client ids are assigned once and never reused;
 * ranges of different nodes may overlap only where both say partial_sums: yes (the nodes of one operator, as in a
 * simulation). */
#ifndef FED_COMMON_CONFIG_ROSTER_FILE_H
#define FED_COMMON_CONFIG_ROSTER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/task.h"
#include "common/seal/enrolment.h"
#include "common/seal/keys.h"

struct fed_roster_entry {
    char name[FED_NAME_MAX]; /* [a-z0-9-]+, unique */
    struct fed_public_keys keys;
    bool has_next;
    struct fed_public_keys next; /* `fedavg roster rotate`: both are admitted until the old one is dropped */
    uint64_t first_client, n_clients;
    bool partial_sums;
    int64_t not_before, not_after; /* seconds since 1970, UTC; 0 = open */
    int64_t revoked;               /* since when; 0 = it is not */
    bool has_enrolment, has_next_enrolment;
    struct fed_enrolment enrolment, next_enrolment; /* whether they verify is not judged here */
    bool refused; /* not of the file: set by whoever found that the entry does not verify */
};

struct fed_roster_file {
    struct fed_roster_entry *entries; /* owned, in file order */
    size_t n_entries;
    uint8_t (*spent)[FED_NONCE_BYTES]; /* owned */
    size_t n_spent;
};

/* FED_ECONFIG: file, line, what is wrong (duplicate name, duplicate key, overlapping ranges, bad date...). */
int fed_roster_file_load(struct fed_roster_file *out, const char *path, struct fed_error *err) FED_MUST_CHECK;
/* Checks the same rules, then replaces the file. FED_ECONFIG, FED_EIO. */
int fed_roster_file_save(const struct fed_roster_file *roster, const char *path, struct fed_error *err) FED_MUST_CHECK;
void fed_roster_file_fini(struct fed_roster_file *roster);

/* Whoever loads, edits and saves holds this lock (on path.lock) from before the load until after the save. Waits up to 5 s
 * for another holder. *fd: to be closed. FED_ELOCKED, FED_EIO. */
int fed_roster_file_lock(int *fd, const char *path, struct fed_error *err) FED_MUST_CHECK;

/* NULL if there is none. Linear: for a lookup or two. */
struct fed_roster_entry *fed_roster_file_find(const struct fed_roster_file *roster, const char *name);
/* Adds a copy at the end; the rules are checked when it is saved. FED_ENOMEM. */
int fed_roster_file_add(struct fed_roster_file *roster, const struct fed_roster_entry *entry) FED_MUST_CHECK;
/* Puts a copy of *by in the entry's place; certificates that only the old one bore are spent: the way to change keys and
 * certificates. FED_ENOMEM: nothing has changed. */
int fed_roster_file_replace(struct fed_roster_file *roster, struct fed_roster_entry *entry,
                            const struct fed_roster_entry *by) FED_MUST_CHECK;
/* Takes the entry out and remembers the nonces of its certificates as spent. FED_ENOMEM. */
int fed_roster_file_remove(struct fed_roster_file *roster, struct fed_roster_entry *entry) FED_MUST_CHECK;
bool fed_roster_file_is_spent(const struct fed_roster_file *roster, const uint8_t nonce[FED_NONCE_BYTES]);

#define FED_ROSTER_DATE_MAX 24 /* "2026-01-01T12:00:00Z", with the terminating zero */
/* "2026-01-01" or "2026-01-01T12:00:00Z", years 1970 to 9999, midnight of 1970-01-01 excluded. FED_ECONFIG. */
int fed_roster_date_parse(int64_t *out, const char *text) FED_MUST_CHECK;
void fed_roster_date_format(char out[FED_ROSTER_DATE_MAX], int64_t seconds);

/* The table, for whoever documents it. */
const struct fed_settings *fed_roster_file_settings(void);

#endif
