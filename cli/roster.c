/* fedavg roster: the file that says which nodes may take part. Every change is load, edit, check all rules, replace; a
 * lock beside the file keeps two administrators, and a coordinator that accepts tokens, from losing each other's change. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/roster/edit.h"
#include "cli/roster/view.h"
#include "cli/wait.h"
#include "common/base/privilege.h"
#include "common/config/roster_signed.h"
#include "common/seal/key_file.h"

static const char usage[] =
    "fedavg roster add NAME PUBLICLINE --clients N|FIRST-LAST [--partial-sums] [--not-before DATE] [--not-after DATE]\n"
    "                  enrol a node; makes the file if there is none\n"
    "       fedavg roster approve NAME PUBLICLINE --clients N|FIRST-LAST --key FILE [--passphrase-file FILE|-]\n"
    "                  [--partial-sums] [--not-before DATE] [--not-after DATE]\n"
    "                  the same, signed; or sign an entry that is there already\n"
    "       fedavg roster revoke NAME      refuse the node from its next message on; keep its entry\n"
    "       fedavg roster readmit NAME     take that back\n"
    "       fedavg roster remove NAME\n"
    "       fedavg roster list\n"
    "       fedavg roster verify ENROLMENTLINE         whether every entry is signed by this enrolment key\n"
    "       fedavg roster rotate NAME PUBLICLINE [--key FILE] [--passphrase-file FILE|-]\n"
    "                  admit a second key beside the old one\n"
    "       fedavg roster rotate NAME --finish         drop the old key\n"
    "\n"
    "  for all of them:\n"
    "  --file FILE   the roster (default: roster); a running coordinator takes up every change by itself\n"
    "  --json        one JSON object\n"
    "  --help        these words\n"
    "\n"
    "  PUBLICLINE    what stands in NAME.pub, as in \"$(cat ward-7.pub)\"\n"
    "  --key         the enrolment key, see fedavg-keygen(1); its passphrase is asked, or is the first line of\n"
    "                --passphrase-file (- is standard input)\n"
    "  DATE          2026-01-01 or 2026-01-01T12:00:00Z, UTC\n";

/* -- the actions ------------------------------------------------------------------------------------------------------- */

typedef int edit(struct fed_roster_file *roster, const struct fed_roster_request *request, struct fed_error *err);

/* entry NULL: it was removed. */
static int print_change(const struct fed_roster_request *request, const struct fed_roster_entry *entry,
                        struct fed_error *err) {
    if (request->json) {
        json_t *node = entry != NULL ? fed_roster_view_entry_json(entry) : json_null();
        return fed_cli_print_json(json_pack("{s:s, s:s, s:o, s:s, s:o}", "event", "roster", "action", request->action,
                                            "file", fed_cli_json_path(request->file), "name", request->words[0], "node",
                                            node),
                                  err);
    }
    if (entry != NULL) {
        fed_roster_view_head();
        fed_roster_view_entry(entry);
    } else {
        printf("removed %s; do not give its client ids to another node\n", request->words[0]);
    }
    return 0;
}

static int change_locked(edit *apply, bool may_be_new, const struct fed_roster_request *request, struct fed_error *err) {
    struct fed_roster_file roster = {0};
    bool is_new = may_be_new && access(request->file, F_OK) != 0 && errno == ENOENT;
    int code = is_new ? 0 : fed_roster_file_load(&roster, request->file, err);
    if (code == 0) {
        code = apply(&roster, request, err);
    }
    if (code == 0) {
        code = fed_roster_file_save(&roster, request->file, err);
    }
    if (code == 0) {
        code = print_change(request, fed_roster_file_find(&roster, request->words[0]), err);
    }
    fed_roster_file_fini(&roster);
    return code;
}

/* The enrolment key is opened before the lock is taken: a person at a prompt holds nobody up. */
static int change(edit *apply, bool may_be_new, struct fed_roster_request *request, struct fed_error *err) {
    int fd = -1;
    int code = 0;
    if (request->key != NULL) {
        code = fed_identity_unlock(&request->issuer, request->key, request->passphrase_file, err);
    }
    if (code == 0) {
        code = fed_roster_file_lock(&fd, request->file, err);
    }
    if (code == 0) {
        code = change_locked(apply, may_be_new, request, err);
        close(fd);
    }
    fed_identity_fini(&request->issuer);
    return code;
}

static int list(const struct fed_roster_request *request, struct fed_error *err) {
    struct fed_roster_file roster;
    int code = fed_roster_file_load(&roster, request->file, err);
    if (code != 0) {
        return code;
    }
    if (request->json) {
        code = fed_cli_print_json(json_pack("{s:s, s:s, s:o, s:o}", "event", "roster", "action", "list", "file",
                                            fed_cli_json_path(request->file), "nodes", fed_roster_view_json(&roster)),
                                  err);
    } else {
        fed_roster_view_head();
        for (size_t i = 0; i < roster.n_entries; i++) {
            fed_roster_view_entry(&roster.entries[i]);
        }
    }
    fed_roster_file_fini(&roster);
    return code;
}

/* Which entries do not verify, each told where people read, and why. NULL: out of memory. */
static json_t *find_bad(const struct fed_roster_file *roster, const uint8_t issuer[FED_SIGN_KEY_BYTES], bool tell) {
    json_t *bad = json_array();
    bool failed = bad == NULL;
    for (size_t i = 0; i < roster->n_entries && !failed; i++) {
        struct fed_error why = {.text = ""};
        const char *name = roster->entries[i].name;
        if (fed_roster_entry_verify(&roster->entries[i], issuer, &why) != 0) {
            failed = json_array_append_new(bad, json_pack("{s:s, s:s}", "name", name, "why", why.text)) != 0;
            if (tell) {
                printf("node %s: %s\n", name, why.text);
            }
        }
    }
    if (failed) {
        json_decref(bad);
        return NULL;
    }
    return bad;
}

static int verify(const struct fed_roster_request *request, struct fed_error *err) {
    struct fed_roster_file roster;
    uint8_t issuer[FED_SIGN_KEY_BYTES];
    int code = fed_sign_line_parse(issuer, request->words[0], err);
    if (code == 0) {
        code = fed_roster_file_load(&roster, request->file, err);
    }
    if (code != 0) {
        return code;
    }
    struct fed_busy *wait = fed_wait_begin(false, "verifying the signatures of %zu entries", roster.n_entries);
    json_t *bad = find_bad(&roster, issuer, !request->json);
    fed_wait_end(wait);
    size_t n_bad = json_array_size(bad);
    if (request->json || bad == NULL) {
        json_t *found =
            bad == NULL ? NULL
                        : json_pack("{s:s, s:s, s:o, s:I, s:O}", "event", "roster", "action", "verify", "file",
                                    fed_cli_json_path(request->file), "entries", (json_int_t)roster.n_entries, "bad", bad);
        code = fed_cli_print_json(found, err);
    } else if (n_bad == 0) {
        printf("%zu entries verify\n", roster.n_entries);
    }
    if (code == 0 && n_bad > 0) {
        code = fed_error_set(err, FED_EKEY, "%s: %zu of %zu entries do not verify", request->file, n_bad, roster.n_entries);
    }
    json_decref(bad);
    fed_roster_file_fini(&roster);
    return code;
}

/* -- the command line -------------------------------------------------------------------------------------------------- */

#define FILE_AND_HELP                                                                                                       \
    {"file", required_argument, NULL, 'f'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, { 0 }

static const struct option add_options[] = {{"clients", required_argument, NULL, 'c'},
                                            {"partial-sums", no_argument, NULL, 's'},
                                            {"not-before", required_argument, NULL, 'b'},
                                            {"not-after", required_argument, NULL, 'a'},
                                            FILE_AND_HELP};
static const struct option approve_options[] = {{"clients", required_argument, NULL, 'c'},
                                                {"partial-sums", no_argument, NULL, 's'},
                                                {"not-before", required_argument, NULL, 'b'},
                                                {"not-after", required_argument, NULL, 'a'},
                                                {"key", required_argument, NULL, 'k'},
                                                {"passphrase-file", required_argument, NULL, 'p'},
                                                FILE_AND_HELP};
static const struct option plain_options[] = {FILE_AND_HELP};
static const struct option rotate_options[] = {{"finish", no_argument, NULL, 'x'},
                                               {"key", required_argument, NULL, 'k'},
                                               {"passphrase-file", required_argument, NULL, 'p'},
                                               FILE_AND_HELP};

/* 0: go on; 1: help was asked for; -1: misused. */
static int read_request(struct fed_roster_request *out, int argc, char **argv, const struct option *options) {
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'f': out->file = optarg; break;
        case 'k': out->key = optarg; break;
        case 'p': out->passphrase_file = optarg; break;
        case 'c': out->node.clients = optarg; break;
        case 's': out->node.partial_sums = true; break;
        case 'b': out->node.not_before = optarg; break;
        case 'a': out->node.not_after = optarg; break;
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

struct action {
    const char *name;
    const struct option *options;
    edit *apply;
    int (*look)(const struct fed_roster_request *request, struct fed_error *err); /* instead of an edit */
    int n_words;
    bool needs_clients, needs_key, may_be_new;
};

static const struct action actions[] = {
    {"add", add_options, fed_roster_edit_add, NULL, 2, .needs_clients = true, .may_be_new = true},
    {"approve", approve_options, fed_roster_edit_approve, NULL, 2, .needs_clients = true, .needs_key = true,
     .may_be_new = true},
    {"revoke", plain_options, fed_roster_edit_revoke, NULL, 1},
    {"readmit", plain_options, fed_roster_edit_readmit, NULL, 1},
    {"remove", plain_options, fed_roster_edit_remove, NULL, 1},
    {"list", plain_options, NULL, list, 0},
    {"verify", plain_options, NULL, verify, 1},
    {"rotate", rotate_options, fed_roster_edit_rotate, NULL, 2},
};

static const struct action *find_action(const char *name) {
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

/* NULL: all is there; else what is missing, or too much. */
static const char *find_fault(const struct action *action, const struct fed_roster_request *request) {
    int wanted = action->n_words - request->finish;
    if (request->n_words < wanted) {
        return request->n_words == 1    ? "PUBLICLINE is missing, as in \"$(cat ward-7.pub)\""
               : action->look == verify ? "ENROLMENTLINE is missing"
                                        : "NAME is missing";
    }
    if (request->n_words > wanted) {
        return wanted == 0 ? "it takes options only" : "too many words; is a public line one word, in quotes?";
    }
    if (action->needs_clients && request->node.clients == NULL) {
        return "--clients is missing: the id of the client that the node hosts, such as 7, or a range, such as 0-99";
    }
    if (action->needs_key && request->key == NULL) {
        return "--key is missing: the enrolment key that signs";
    }
    return request->finish && request->key != NULL ? "--finish drops the old key: it needs no --key" : NULL;
}

static int misused(const char *what, const char *why) {
    fprintf(stderr, "fedavg roster%s%s: %s\n", *what != '\0' ? " " : "", what, why);
    return fed_cli_misused(usage);
}

int fed_cli_roster(int argc, char **argv) {
    struct fed_error err = {.text = ""};
    struct fed_roster_request request = {.file = "roster"};
    const char *name = argc > 1 ? argv[1] : "";
    request.action = name;
    if (argc > 1) {
        argv[1] = argv[0]; /* what getopt puts before its complaints */
    }
    if (strcmp(name, "--help") == 0) {
        return fed_cli_help(usage);
    }
    const struct action *action = find_action(name);
    int read = action != NULL ? read_request(&request, argc - 1, argv + 1, action->options) : -1;
    if (read > 0) {
        return fed_cli_help(usage);
    }
    if (action == NULL) {
        return misused("", *name == '\0' ? "say what to do with it" : "there is no such action");
    }
    const char *fault = read < 0 ? NULL : find_fault(action, &request);
    if (read < 0 || fault != NULL) { /* getopt has said what it did not like */
        return read < 0 ? fed_cli_misused(usage) : misused(name, fault);
    }
    fed_privilege_protect_secrets();
    int code = fed_seal_setup(&err);
    if (code == 0) {
        code =
            action->look != NULL ? action->look(&request, &err) : change(action->apply, action->may_be_new, &request, &err);
    }
    return code == 0 ? 0 : fed_cli_fail(argv[0], code, &err);
}
