#include "cli/roster/edit.h"

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/config/roster_signed.h"

static int64_t now_s(void) { return fed_clock_wall_ms() / 1000; }

static int find(struct fed_roster_entry **out, const struct fed_roster_file *roster,
                const struct fed_roster_request *request, struct fed_error *err) {
    *out = fed_roster_file_find(roster, request->words[0]);
    return *out != NULL ? 0
                        : fed_error_set(err, FED_ECONFIG, "%s: no node %.63s; `fedavg roster list` shows those there are",
                                        request->file, request->words[0]);
}

/* The common slips: the file in place of what stands in it, and the half that must not leave its machine. */
static int parse_line(struct fed_public_keys *out, const char *word, struct fed_error *err) {
    int code = fed_public_parse(out, word, err);
    if (code != 0 && access(word, F_OK) == 0) {
        return fed_error_set(err, code, "%.200s is a file; give the line that stands in it: \"$(cat %.200s)\"", word, word);
    }
    if (code != 0 && strncmp(word, "fedavg-secret-", strlen("fedavg-secret-")) == 0) {
        return fed_error_set(err, code,
                             "that is a secret key, which others may have seen now: make a new one, and give the line "
                             "of its NAME.pub");
    }
    return code;
}

static int describe(struct fed_roster_entry *out, const struct fed_roster_request *request, struct fed_error *err) {
    struct fed_node_options options = request->node;
    options.name = request->words[0];
    int code = fed_node_options_entry(out, &options, err);
    return code == 0 ? parse_line(&out->keys, request->words[1], err) : code;
}

static int append(struct fed_roster_file *roster, const struct fed_roster_entry *entry, struct fed_error *err) {
    return fed_roster_file_add(roster, entry) == 0 ? 0 : fed_error_set(err, FED_ENOMEM, "out of memory");
}

static int put(struct fed_roster_file *roster, struct fed_roster_entry *old, const struct fed_roster_entry *entry,
               struct fed_error *err) {
    return fed_roster_file_replace(roster, old, entry) == 0 ? 0 : fed_error_set(err, FED_ENOMEM, "out of memory");
}

int fed_roster_edit_add(struct fed_roster_file *roster, const struct fed_roster_request *request, struct fed_error *err) {
    struct fed_roster_entry entry;
    int code = describe(&entry, request, err);
    return code == 0 ? append(roster, &entry, err) : code;
}

static int sign(struct fed_roster_entry *entry, bool next, const struct fed_roster_request *request, struct fed_error *err) {
    return fed_roster_entry_approve(entry, next, &request->issuer, now_s()) == 0
               ? 0
               : fed_error_set(err, FED_ENOMEM, "out of memory");
}

/* An entry that is there keeps its keys, its next key and whether it is revoked. */
int fed_roster_edit_approve(struct fed_roster_file *roster, const struct fed_roster_request *request,
                            struct fed_error *err) {
    struct fed_roster_entry entry;
    int code = describe(&entry, request, err);
    struct fed_roster_entry *old = code == 0 ? fed_roster_file_find(roster, entry.name) : NULL;
    if (old != NULL && memcmp(&old->keys, &entry.keys, sizeof entry.keys) != 0) {
        return fed_error_set(err, FED_ECONFIG, "node %s is there with another key: fedavg roster rotate NAME PUBLICLINE",
                             entry.name);
    }
    if (old != NULL) {
        entry.has_next = old->has_next;
        entry.next = old->next;
        entry.revoked = old->revoked;
    }
    if (code == 0) {
        code = sign(&entry, false, request, err);
    }
    if (code == 0 && entry.has_next) {
        code = sign(&entry, true, request, err);
    }
    if (code != 0) {
        return code;
    }
    return old != NULL ? put(roster, old, &entry, err) : append(roster, &entry, err);
}

int fed_roster_edit_remove(struct fed_roster_file *roster, const struct fed_roster_request *request, struct fed_error *err) {
    struct fed_roster_entry *entry;
    int code = find(&entry, roster, request, err);
    if (code == 0 && fed_roster_file_remove(roster, entry) != 0) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    return code;
}

int fed_roster_edit_revoke(struct fed_roster_file *roster, const struct fed_roster_request *request, struct fed_error *err) {
    struct fed_roster_entry *entry;
    int code = find(&entry, roster, request, err);
    if (code == 0 && entry->revoked != 0) {
        return fed_error_set(err, FED_ECONFIG, "node %s is revoked already", entry->name);
    }
    if (code == 0) {
        entry->revoked = now_s();
    }
    return code;
}

int fed_roster_edit_readmit(struct fed_roster_file *roster, const struct fed_roster_request *request,
                            struct fed_error *err) {
    struct fed_roster_entry *entry;
    int code = find(&entry, roster, request, err);
    if (code == 0 && entry->revoked == 0) {
        return fed_error_set(err, FED_ECONFIG, "node %s is not revoked", entry->name);
    }
    if (code == 0) {
        entry->revoked = 0;
    }
    return code;
}

static int finish_rotation(struct fed_roster_file *roster, struct fed_roster_entry *old, struct fed_error *err) {
    struct fed_roster_entry entry = *old;
    entry.keys = old->next;
    entry.enrolment = old->next_enrolment;
    entry.has_enrolment = old->has_next_enrolment;
    entry.next = (struct fed_public_keys){0};
    entry.next_enrolment = (struct fed_enrolment){0};
    entry.has_next = entry.has_next_enrolment = false;
    return put(roster, old, &entry, err);
}

int fed_roster_edit_rotate(struct fed_roster_file *roster, const struct fed_roster_request *request, struct fed_error *err) {
    struct fed_roster_entry *entry;
    int code = find(&entry, roster, request, err);
    if (code != 0) {
        return code;
    }
    if (entry->has_next != request->finish) {
        return fed_error_set(err, FED_ECONFIG, "node %s has %s", entry->name,
                             request->finish
                                 ? "no second key; give it one first: fedavg roster rotate NAME PUBLICLINE"
                                 : "a second key already; drop the old one first: fedavg roster rotate NAME --finish");
    }
    if (request->finish) {
        return finish_rotation(roster, entry, err);
    }
    if (entry->has_enrolment && request->key == NULL) {
        return fed_error_set(err, FED_ECONFIG, "node %s has a signed entry: sign the new key too, with --key ENROLMENT.key",
                             entry->name);
    }
    code = parse_line(&entry->next, request->words[1], err);
    entry->has_next = code == 0;
    return code == 0 && request->key != NULL ? sign(entry, true, request, err) : code;
}
