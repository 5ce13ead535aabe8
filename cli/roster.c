/* fedavg roster: the file that says which nodes may take part. Every change is load, edit, check all rules, replace; a
 * lock beside the file keeps two administrators from losing each other's change. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/base/file.h"
#include "common/config/roster_file.h"
#include "common/seal/keys.h"

static const char usage[] =
    "fedavg roster add NAME PUBLICLINE --clients N|FIRST-LAST [--partial-sums] [--not-before DATE] [--not-after DATE]\n"
    "       fedavg roster remove NAME\n"
    "       fedavg roster list [--json]\n"
    "       fedavg roster rotate NAME PUBLICLINE      admit a second key beside the old one\n"
    "       fedavg roster rotate NAME --finish        drop the old key\n"
    "  --file FILE   the roster (default: roster); a running coordinator reads it again on SIGHUP\n"
    "  DATE          2026-01-01 or 2026-01-01T12:00:00Z, UTC\n";

struct request {
    const char *file, *clients, *not_before, *not_after;
    bool partial_sums, json, finish;
    char **words; /* what is left after the options */
    int n_words;
};

/* -- small things ------------------------------------------------------------------------------------------------------ */

static struct fed_roster_entry *find(struct fed_roster_file *roster, const char *name) {
    for (size_t i = 0; i < roster->n_entries; i++) {
        if (strcmp(roster->entries[i].name, name) == 0) {
            return &roster->entries[i];
        }
    }
    return NULL;
}

static int unknown_node(const struct request *request, const char *name, struct fed_error *err) {
    return fed_error_set(err, FED_ECONFIG, "%s: no node %.63s; `fedavg roster list` shows those there are", request->file,
                         name);
}

/* Digits up to the end or to stop. */
static bool parse_id(uint64_t *out, const char **text, char stop) {
    size_t n = strspn(*text, "0123456789");
    if (n < 1 || n > 18 || ((*text)[n] != '\0' && (*text)[n] != stop)) {
        return false;
    }
    *out = strtoull(*text, NULL, 10); /* 18 digits always fit */
    *text += n;
    return true;
}

static int parse_clients(struct fed_roster_entry *entry, const char *text, struct fed_error *err) {
    uint64_t first, last;
    const char *c = text;
    bool ok = parse_id(&first, &c, '-');
    last = ok ? first : 0;
    if (ok && *c == '-') {
        c++;
        ok = parse_id(&last, &c, '\0');
    }
    if (!ok || last < first) {
        return fed_error_set(err, FED_ECONFIG, "--clients: found \"%.60s\", expected one id or a range, such as 7 or 0-99",
                             text);
    }
    entry->first_client = first;
    entry->n_clients = last - first + 1;
    return 0;
}

static int parse_date(int64_t *out, const char *option, const char *text, struct fed_error *err) {
    if (text == NULL || fed_roster_date_parse(out, text) == 0) {
        return 0;
    }
    return fed_error_set(err, FED_ECONFIG, "%s: found \"%.60s\", expected a date such as 2026-01-01 or 2026-01-01T12:00:00Z",
                         option, text);
}

static void print_entry(const struct fed_roster_entry *entry) {
    char mine[17], next[17] = "", from[FED_ROSTER_DATE_MAX] = "", to[FED_ROSTER_DATE_MAX] = "", ids[48];
    fed_public_fingerprint(mine, &entry->keys);
    if (entry->has_next) {
        fed_public_fingerprint(next, &entry->next);
    }
    if (entry->not_before != 0) {
        fed_roster_date_format(from, entry->not_before);
    }
    if (entry->not_after != 0) {
        fed_roster_date_format(to, entry->not_after);
    }
    snprintf(ids, sizeof ids, entry->n_clients > 1 ? "%llu-%llu" : "%llu", (unsigned long long)entry->first_client,
             (unsigned long long)(entry->first_client + entry->n_clients - 1));
    printf("%-20s %-13s %-4s %-16s %-16s %-20s %s\n", entry->name, ids, entry->partial_sums ? "yes" : "no", mine,
           entry->has_next ? next : "-", entry->not_before != 0 ? from : "-", entry->not_after != 0 ? to : "-");
}

static void print_head(void) {
    printf("%-20s %-13s %-4s %-16s %-16s %-20s %s\n", "NODE", "CLIENTS", "SUMS", "FINGERPRINT", "NEXT KEY", "NOT BEFORE",
           "NOT AFTER");
}

/* -- the edits --------------------------------------------------------------------------------------------------------- */

static int add(struct fed_roster_file *roster, const struct request *request, struct fed_error *err) {
    struct fed_roster_entry entry = {.partial_sums = request->partial_sums};
    const char *name = request->words[0];
    if (!fed_name_valid(name)) {
        return fed_error_set(err, FED_ECONFIG, "found \"%.60s\", expected a name of 1 to 63 characters from a-z, 0-9 and -",
                             name);
    }
    snprintf(entry.name, sizeof entry.name, "%s", name);
    int code = fed_public_parse(&entry.keys, request->words[1], err);
    if (code == 0) {
        code = parse_clients(&entry, request->clients, err);
    }
    if (code == 0) {
        code = parse_date(&entry.not_before, "--not-before", request->not_before, err);
    }
    if (code == 0) {
        code = parse_date(&entry.not_after, "--not-after", request->not_after, err);
    }
    if (code != 0) {
        return code;
    }
    struct fed_roster_entry *grown = reallocarray(roster->entries, roster->n_entries + 1, sizeof *grown);
    if (grown == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    roster->entries = grown;
    grown[roster->n_entries++] = entry;
    return 0;
}

static int drop(struct fed_roster_file *roster, const struct request *request, struct fed_error *err) {
    struct fed_roster_entry *entry = find(roster, request->words[0]);
    if (entry == NULL) {
        return unknown_node(request, request->words[0], err);
    }
    roster->n_entries--;
    size_t after = roster->n_entries - (size_t)(entry - roster->entries);
    memmove(entry, entry + 1, after * sizeof *entry);
    return 0;
}

static int rotate(struct fed_roster_file *roster, const struct request *request, struct fed_error *err) {
    const char *name = request->words[0];
    struct fed_roster_entry *entry = find(roster, name);
    if (entry == NULL) {
        return unknown_node(request, name, err);
    }
    if (entry->has_next != request->finish) {
        return fed_error_set(err, FED_ECONFIG, "node %s has %s", name,
                             request->finish
                                 ? "no second key; give it one first: fedavg roster rotate NAME PUBLICLINE"
                                 : "a second key already; drop the old one first: fedavg roster rotate NAME --finish");
    }
    if (request->finish) {
        entry->keys = entry->next;
        entry->next = (struct fed_public_keys){0};
        entry->has_next = false;
        return 0;
    }
    int code = fed_public_parse(&entry->next, request->words[1], err);
    entry->has_next = code == 0;
    return code;
}

/* -- the four actions -------------------------------------------------------------------------------------------------- */

typedef int edit(struct fed_roster_file *roster, const struct request *request, struct fed_error *err);

static int change_locked(edit *apply, bool may_be_new, const struct request *request, struct fed_error *err) {
    struct fed_roster_file roster = {0};
    bool is_new = may_be_new && access(request->file, F_OK) != 0 && errno == ENOENT;
    int code = is_new ? 0 : fed_roster_file_load(&roster, request->file, err);
    if (code == 0) {
        code = apply(&roster, request, err);
    }
    if (code == 0) {
        code = fed_roster_file_save(&roster, request->file, err);
    }
    const struct fed_roster_entry *entry = code == 0 ? find(&roster, request->words[0]) : NULL;
    if (entry != NULL) {
        print_head();
        print_entry(entry);
    } else if (code == 0) {
        printf("removed %s; do not give its client ids to another node\n", request->words[0]);
    }
    fed_roster_file_fini(&roster);
    return code;
}

static int change(edit *apply, bool may_be_new, const struct request *request, struct fed_error *err) {
    char *lock = NULL;
    int fd = -1;
    if (asprintf(&lock, "%s.lock", request->file) < 0) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int code = fed_file_lock(&fd, lock, err);
    if (code == 0) {
        code = change_locked(apply, may_be_new, request, err);
        close(fd);
    }
    free(lock);
    return code;
}

static json_t *entry_json(const struct fed_roster_entry *entry) {
    char key[FED_PUBLIC_LINE_MAX], next[FED_PUBLIC_LINE_MAX], mine[17], from[FED_ROSTER_DATE_MAX], to[FED_ROSTER_DATE_MAX];
    fed_public_line(key, &entry->keys);
    fed_public_line(next, &entry->next);
    fed_public_fingerprint(mine, &entry->keys);
    fed_roster_date_format(from, entry->not_before);
    fed_roster_date_format(to, entry->not_after);
    return json_pack("{s:s, s:s, s:s, s:s?, s:{s:I, s:I}, s:b, s:s?, s:s?}", "name", entry->name, "fingerprint", mine, "key",
                     key, "next_key", entry->has_next ? next : NULL, "clients", "first", (json_int_t)entry->first_client,
                     "count", (json_int_t)entry->n_clients, "partial_sums", (int)entry->partial_sums, "not_before",
                     entry->not_before != 0 ? from : NULL, "not_after", entry->not_after != 0 ? to : NULL);
}

static int print_json(const struct fed_roster_file *roster) {
    json_t *nodes = json_array();
    int failed = nodes == NULL;
    for (size_t i = 0; i < roster->n_entries && !failed; i++) {
        failed = json_array_append_new(nodes, entry_json(&roster->entries[i])) != 0;
    }
    json_t *root = json_pack("{s:o}", "nodes", nodes);
    failed = failed || root == NULL || json_dumpf(root, stdout, JSON_INDENT(2)) != 0;
    json_decref(root);
    printf("\n");
    return failed ? FED_ENOMEM : 0;
}

static int list(const struct request *request, struct fed_error *err) {
    struct fed_roster_file roster;
    int code = fed_roster_file_load(&roster, request->file, err);
    if (code != 0) {
        return code;
    }
    if (request->json) {
        code = print_json(&roster);
    } else {
        print_head();
        for (size_t i = 0; i < roster.n_entries; i++) {
            print_entry(&roster.entries[i]);
        }
    }
    fed_roster_file_fini(&roster);
    return code;
}

#define FILE_AND_HELP                                                                                                       \
    {"file", required_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'}, { 0 }

static const struct option add_options[] = {{"clients", required_argument, NULL, 'c'},
                                            {"partial-sums", no_argument, NULL, 's'},
                                            {"not-before", required_argument, NULL, 'b'},
                                            {"not-after", required_argument, NULL, 'a'},
                                            FILE_AND_HELP};
static const struct option remove_options[] = {FILE_AND_HELP};
static const struct option list_options[] = {{"json", no_argument, NULL, 'j'}, FILE_AND_HELP};
static const struct option rotate_options[] = {{"finish", no_argument, NULL, 'x'}, FILE_AND_HELP};

/* 0: go on; 1: help was asked for; -1: misused. */
static int read_request(struct request *out, int argc, char **argv, const struct option *options) {
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'f': out->file = optarg; break;
        case 'c': out->clients = optarg; break;
        case 's': out->partial_sums = true; break;
        case 'b': out->not_before = optarg; break;
        case 'a': out->not_after = optarg; break;
        case 'j': out->json = true; break;
        case 'x': out->finish = true; break;
        case 'h': return 1;
        default: return -1;
        }
    }
    out->words = argv + optind;
    out->n_words = argc - optind;
    return 0;
}

int fed_cli_roster(int argc, char **argv) {
    static const struct {
        const char *name;
        const struct option *options;
        edit *apply; /* NULL: list */
        int n_words;
    } actions[] = {{"add", add_options, add, 2},
                   {"remove", remove_options, drop, 1},
                   {"list", list_options, NULL, 0},
                   {"rotate", rotate_options, rotate, 2}};
    struct fed_error err = {.text = ""};
    struct request request = {.file = "roster"};
    size_t a = 0;
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0) {
        return fed_cli_help(usage);
    }
    while (a < 4 && strcmp(actions[a].name, name) != 0) {
        a++;
    }
    int read = a < 4 ? read_request(&request, argc - 1, argv + 1, actions[a].options) : -1;
    if (read != 0) {
        return read > 0 ? fed_cli_help(usage) : fed_cli_misused(usage);
    }
    bool complete = request.n_words == actions[a].n_words - request.finish;
    if (!complete || (actions[a].apply == add && request.clients == NULL)) {
        return fed_cli_misused(usage);
    }
    int code = fed_seal_setup(&err);
    if (code == 0) {
        code = actions[a].apply == NULL ? list(&request, &err)
                                        : change(actions[a].apply, actions[a].apply == add, &request, &err);
    }
    return code == 0 ? 0 : fed_cli_fail(argv[0], code, &err);
}
