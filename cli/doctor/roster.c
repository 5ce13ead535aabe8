/* The roster of a task: its rules, its dates, its signatures, and the keys that lie beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/wait.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/config/roster_signed.h"

#define SOON_S ((int64_t)30 * 86400)
#define LINE_FILE_MAX 4096

/* The first of several, and how many they are. */
struct some {
    size_t n;
    char first[FED_NAME_MAX];
};

static void count(struct some *some, const struct fed_roster_entry *entry) {
    if (some->n++ == 0) {
        snprintf(some->first, sizeof some->first, "%s", entry->name);
    }
}

static const char *name_some(char out[FED_NAME_MAX + 32], const struct some *some) {
    if (some->n > 1) {
        snprintf(out, FED_NAME_MAX + 32, "%s and %zu more", some->first, some->n - 1);
    } else {
        snprintf(out, FED_NAME_MAX + 32, "%s", some->first);
    }
    return out;
}

static void look_at_dates(struct fed_doctor *d, const struct fed_roster_file *roster) {
    struct some early = {0}, late = {0}, soon = {0}, revoked = {0};
    int64_t now = fed_clock_wall_ms() / 1000;
    char who[FED_NAME_MAX + 32];
    for (size_t i = 0; i < roster->n_entries; i++) {
        const struct fed_roster_entry *entry = &roster->entries[i];
        if (entry->revoked != 0) {
            count(&revoked, entry);
        } else if (entry->not_before != 0 && entry->not_before > now) {
            count(&early, entry);
        } else if (entry->not_after != 0 && entry->not_after <= now) {
            count(&late, entry);
        } else if (entry->not_after != 0 && entry->not_after - now < SOON_S) {
            count(&soon, entry);
        }
    }
    if (late.n > 0) {
        fed_doctor_note(d, "fedavg roster remove NAME, then add it again with --not-after, or leave it",
                        "entries have ended: %s", name_some(who, &late));
    }
    if (soon.n > 0) {
        fed_doctor_note(d, "renew them in time", "entries end within 30 days: %s", name_some(who, &soon));
    }
    if (early.n > 0) {
        fed_doctor_note(d, "nothing, if that is meant", "entries do not hold yet: %s", name_some(who, &early));
    }
    if (revoked.n > 0) {
        fed_doctor_note(d, "nothing, if that is meant; else fedavg roster readmit NAME", "revoked: %s",
                        name_some(who, &revoked));
    }
}

static bool look_at_signatures(struct fed_doctor *d, const struct fed_roster_file *roster) {
    struct some bad = {0};
    char who[FED_NAME_MAX + 32];
    if (!d->task.server.has_enrolment_key) {
        return true;
    }
    struct fed_busy *busy = fed_wait_begin(false, "verifying the signatures of %zu entries", roster->n_entries);
    for (size_t i = 0; i < roster->n_entries; i++) {
        if (fed_roster_entry_verify(&roster->entries[i], d->task.server.enrolment_key, NULL) != FED_OK) {
            count(&bad, &roster->entries[i]);
        }
    }
    fed_wait_end(busy);
    return bad.n == 0
               ? fed_doctor_ok(d, "every entry is signed by server.enrolment_key")
               : fed_doctor_problem(d, FED_EKEY, "fedavg roster approve signs an entry; fedavg roster verify says why",
                                    "not signed by server.enrolment_key, and so refused: %s", name_some(who, &bad));
}

/* NAME.pub beside the roster, where the operator keeps what nodes sent. FED_ENOTFOUND: none. */
static int read_line(struct fed_public_keys *out, const char *dir, const char *name) {
    char file[FED_NAME_MAX + 4], *path = NULL;
    uint8_t *text = NULL;
    size_t n;
    snprintf(file, sizeof file, "%s.pub", name);
    int rc = fed_path_join(&path, dir, file);
    if (rc == FED_OK) {
        rc = fed_file_read(&text, &n, path, LINE_FILE_MAX, NULL);
    }
    if (rc == FED_OK) {
        text[strcspn((char *)text, "\r\n")] = '\0';
        rc = fed_public_parse(out, (char *)text, NULL);
    }
    free(text);
    free(path);
    return rc;
}

static bool look_at_keys(struct fed_doctor *d, const struct fed_roster_file *roster) {
    struct some other = {0}, ours = {0};
    size_t n_same = 0;
    char who[FED_NAME_MAX + 32], *dir = NULL;
    if (fed_path_dir(&dir, d->task.server.roster) != FED_OK) {
        d->out_of_memory = true;
        return true;
    }
    for (size_t i = 0; i < roster->n_entries; i++) {
        const struct fed_roster_entry *entry = &roster->entries[i];
        struct fed_public_keys keys;
        if (d->has_key && memcmp(&entry->keys, &d->identity.public_keys, sizeof keys) == 0) {
            count(&ours, entry);
        }
        if (read_line(&keys, dir, entry->name) != FED_OK) {
            continue;
        }
        bool same = memcmp(&keys, &entry->keys, sizeof keys) == 0 ||
                    (entry->has_next && memcmp(&keys, &entry->next, sizeof keys) == 0);
        n_same += same;
        if (!same) {
            count(&other, entry);
        }
    }
    bool good = true;
    if (ours.n > 0) {
        fed_doctor_note(d, "give every machine a key of its own", "the coordinator's own key is on its roster, as %s",
                        name_some(who, &ours));
    }
    if (other.n > 0) {
        good = fed_doctor_problem(d, FED_EKEY, "ask its owner which key is right; fedavg roster rotate changes it",
                                  "the roster has another key than NAME.pub beside it: %s", name_some(who, &other));
    } else if (n_same > 0) {
        fed_doctor_ok(d, "%zu of the keys lie beside the roster as NAME.pub, and are the same", n_same);
    }
    free(dir);
    return good;
}

bool fed_doctor_roster(struct fed_doctor *d) {
    const char *path = d->task.server.roster;
    struct fed_roster_file roster;
    struct fed_error err = {.text = ""};
    struct stat info;
    unsigned long long clients = 0;
    int rc = fed_roster_file_load(&roster, path, &err);
    if (rc != FED_OK) {
        fed_doctor_problem(
            d, rc, access(path, F_OK) != 0 ? "fedavg roster add NAME PUBLICLINE --clients N --file ROSTER makes it" : NULL,
            "%s", err.text);
        return true;
    }
    for (size_t i = 0; i < roster.n_entries; i++) {
        clients += roster.entries[i].n_clients;
    }
    d->has_roster = true;
    d->n_nodes = roster.n_entries;
    if (roster.n_entries == 0) {
        fed_doctor_note(d, "fedavg roster add NAME PUBLICLINE --clients N", "%s names no node: nobody can take part", path);
    } else {
        fed_doctor_ok(d, "%s: %zu nodes, %llu clients", path, roster.n_entries, clients);
    }
    if (stat(path, &info) == 0 && (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        fed_doctor_note(d, "chmod go-w", "%s: others may write it, and so decide who takes part", path);
    }
    look_at_dates(d, &roster);
    (void)look_at_signatures(d, &roster);
    (void)look_at_keys(d, &roster);
    fed_roster_file_fini(&roster);
    return true;
}
