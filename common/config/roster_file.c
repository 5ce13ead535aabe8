/* The entries in memory. Invariant: no certificate that an entry bore is forgotten when the entry goes or changes, so that
 * it never admits anybody again. */
#include "common/config/roster_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/file.h"

#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 50000000

int fed_roster_file_lock(int *fd, const char *path, struct fed_error *err) {
    static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    char *lock = NULL;
    if (asprintf(&lock, "%s.lock", path) < 0) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int code = fed_file_lock(fd, lock, err);
    for (int i = 1; code == FED_ELOCKED && i < LOCK_TRIES; i++) {
        nanosleep(&pause, NULL);
        code = fed_file_lock(fd, lock, err);
    }
    free(lock);
    return code;
}

void fed_roster_file_fini(struct fed_roster_file *roster) {
    free(roster->entries);
    free(roster->spent);
    *roster = (struct fed_roster_file){0};
}

struct fed_roster_entry *fed_roster_file_find(const struct fed_roster_file *roster, const char *name) {
    for (size_t i = 0; i < roster->n_entries; i++) {
        if (strcmp(roster->entries[i].name, name) == 0) {
            return &roster->entries[i];
        }
    }
    return NULL;
}

int fed_roster_file_add(struct fed_roster_file *roster, const struct fed_roster_entry *entry) {
    struct fed_roster_entry *grown = reallocarray(roster->entries, roster->n_entries + 1, sizeof *grown);
    if (grown == NULL) {
        return FED_ENOMEM;
    }
    roster->entries = grown;
    grown[roster->n_entries++] = *entry;
    return 0;
}

bool fed_roster_file_is_spent(const struct fed_roster_file *roster, const uint8_t nonce[FED_NONCE_BYTES]) {
    for (size_t i = 0; i < roster->n_spent; i++) {
        if (memcmp(roster->spent[i], nonce, FED_NONCE_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static void spend(struct fed_roster_file *roster, const struct fed_enrolment *enrolment) {
    struct fed_certificate read;
    if (fed_certificate_read(&read, enrolment->certificate) == 0 && !fed_roster_file_is_spent(roster, read.nonce)) {
        memcpy(roster->spent[roster->n_spent++], read.nonce, sizeof read.nonce);
    }
}

static bool bears(const struct fed_roster_entry *entry, const struct fed_enrolment *enrolment) {
    const uint8_t *wanted = enrolment->certificate;
    return (entry->has_enrolment && memcmp(entry->enrolment.certificate, wanted, FED_CERTIFICATE_BYTES) == 0) ||
           (entry->has_next_enrolment && memcmp(entry->next_enrolment.certificate, wanted, FED_CERTIFICATE_BYTES) == 0);
}

/* The certificates that the entry bears and the one in its place does not. */
static int spend_dropped(struct fed_roster_file *roster, const struct fed_roster_entry *entry,
                         const struct fed_roster_entry *by) {
    void *grown = reallocarray(roster->spent, roster->n_spent + 2, sizeof *roster->spent);
    if (grown == NULL) {
        return FED_ENOMEM;
    }
    roster->spent = grown;
    if (entry->has_enrolment && !bears(by, &entry->enrolment)) {
        spend(roster, &entry->enrolment);
    }
    if (entry->has_next_enrolment && !bears(by, &entry->next_enrolment)) {
        spend(roster, &entry->next_enrolment);
    }
    return 0;
}

int fed_roster_file_replace(struct fed_roster_file *roster, struct fed_roster_entry *entry,
                            const struct fed_roster_entry *by) {
    int code = spend_dropped(roster, entry, by);
    if (code == 0) {
        *entry = *by;
    }
    return code;
}

int fed_roster_file_remove(struct fed_roster_file *roster, struct fed_roster_entry *entry) {
    static const struct fed_roster_entry nothing;
    int code = spend_dropped(roster, entry, &nothing);
    if (code != 0) {
        return code;
    }
    roster->n_entries--;
    memmove(entry, entry + 1, (roster->n_entries - (size_t)(entry - roster->entries)) * sizeof *entry);
    return 0;
}
