/* fedavg enroll: one-use tokens. The operator issues one with the offline enrolment key; who holds it enrols one node with
 * it, once. What a token says may be shown; its seed is shown to nobody and is never an argument. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/roster/join.h"
#include "cli/roster/node_options.h"
#include "cli/wait.h"
#include "common/base/clock.h"
#include "common/base/privilege.h"
#include "common/config/roster_signed.h"
#include "common/seal/key_file.h"
#include "common/seal/token.h"

static const char usage[] =
    "fedavg enroll issue NAME --clients N|FIRST-LAST --key FILE [--passphrase-file FILE|-] [--valid TIME]\n"
    "                    [--partial-sums] [--not-before DATE] [--not-after DATE] [--out FILE]\n"
    "       fedavg enroll show FILE|-\n"
    "       fedavg enroll join --token FILE|- --key FILE --coordinator ENDPOINT --coordinator-key LINE\n"
    "                    [--passphrase-file FILE|-] [--timeout TIME]\n"
    "\n"
    "  for all of them:\n"
    "  --json           one JSON object\n"
    "  --help           these words\n"
    "\n"
    "  --key            issue: the enrolment key, see fedavg-keygen(1); join: the node's own key. Its passphrase is asked,\n"
    "                   or is the first line of --passphrase-file (- is standard input)\n"
    "  --valid          how long the token may be used, as in 30m, 24h, 7d (default: 24h)\n"
    "  --out            where the token goes, mode 0600 (default: -, standard output)\n"
    "  --token          the token: a file that nobody else may read, or standard input\n"
    "  --coordinator    where tokens are taken: server.enrol of the coordinator, as in tcp://fl.example.org:5602\n"
    "  --coordinator-key  the coordinator's public line\n"
    "  --timeout        how long to try (default: 60s)\n"
    "  DATE             2026-01-01 or 2026-01-01T12:00:00Z, UTC\n";

#define VALID_LEAST_S 60 /* a token has to get to who uses it */

struct request {
    struct fed_node_options node;
    const char *key, *passphrase_file, *valid, *out, *token, *coordinator, *coordinator_key, *timeout;
    const char *action;
    bool json;
    char **words;
    int n_words;
};

static int64_t now_s(void) { return fed_clock_wall_ms() / 1000; }

/* A certificate for programs; the token itself is a secret and never part of it. Dates: text, or null where open. */
static int print_json(const struct request *request, const struct fed_certificate *what, const char *extra,
                      const char *value, struct fed_error *err) {
    int64_t seconds[] = {what->expires, what->not_before, what->not_after};
    char dates[3][FED_ROSTER_DATE_MAX], line[FED_SIGN_LINE_MAX], fingerprint[17];
    const char *date[3];
    for (int i = 0; i < 3; i++) {
        fed_roster_date_format(dates[i], seconds[i]);
        date[i] = seconds[i] != 0 ? dates[i] : NULL;
    }
    fed_sign_line(line, what->issuer);
    fed_sign_fingerprint(fingerprint, what->issuer);
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:{s:I, s:I}, s:b, s:s?, s:s?, s:s?, s:s, s:s}", "event", "enroll", "action",
                  request->action, "name", what->name, "clients", "first", (json_int_t)what->first_client, "count",
                  (json_int_t)what->n_clients, "partial_sums", (int)what->partial_sums, "expires", date[0], "not_before",
                  date[1], "not_after", date[2], "issuer", line, "fingerprint", fingerprint);
    if (object != NULL && json_object_set_new(object, extra, fed_cli_json_path(value)) != 0) {
        json_decref(object);
        object = NULL;
    }
    return fed_cli_print_json(object, err);
}

static int issue(struct request *request, struct fed_error *err) {
    struct fed_roster_entry entry;
    struct fed_certificate certificate;
    struct fed_identity issuer = {0};
    struct fed_token *token = NULL;
    int64_t valid_s = 0;
    request->node.name = request->words[0];
    if (request->json && strcmp(request->out, "-") == 0) {
        return fed_error_set(err, FED_ECONFIG, "--json needs --out FILE: a token is a secret, and never part of the JSON");
    }
    int code = fed_node_options_entry(&entry, &request->node, err);
    if (code == 0) {
        code = fed_node_options_duration(&valid_s, "--valid", request->valid, VALID_LEAST_S, err);
    }
    if (code == 0 && entry.not_after != 0 && entry.not_after <= (entry.not_before > now_s() ? entry.not_before : now_s())) {
        code = fed_error_set(err, FED_ECONFIG, "--not-after: the entry would never hold");
    }
    if (code == 0) {
        code = fed_identity_unlock(&issuer, request->key, request->passphrase_file, err);
    }
    if (code == 0) {
        fed_roster_entry_certificate(&certificate, &entry, now_s() + valid_s);
        code = fed_token_issue(&token, &certificate, &issuer) == 0 ? 0 : fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (code == 0) {
        code = fed_token_save(token, request->out, err);
    }
    if (code == 0 && request->json) {
        memcpy(certificate.issuer, issuer.sign_key, sizeof certificate.issuer);
        code = print_json(request, &certificate, "file", request->out, err);
    }
    fed_token_free(token);
    fed_identity_fini(&issuer);
    return code;
}

static void print_date(const char *label, int64_t seconds, const char *note) {
    char date[FED_ROSTER_DATE_MAX] = "open";
    if (seconds != 0) {
        fed_roster_date_format(date, seconds);
    }
    printf("%-14s %s%s\n", label, date, note);
}

static int show(struct request *request, struct fed_error *err) {
    struct fed_token *token = NULL;
    struct fed_certificate read;
    char ids[48], line[FED_SIGN_LINE_MAX], fingerprint[17];
    int code = fed_token_load(&token, request->words[0], err);
    if (code != 0) {
        return code;
    }
    const uint8_t *bytes = fed_token_certificate(token);
    code = fed_certificate_read(&read, bytes);
    bool good = code == 0 && fed_certificate_check(bytes, read.issuer) == 0;
    fed_token_free(token);
    if (!good) {
        return fed_error_set(err, FED_EKEY, "the token's certificate is forged or damaged: ask for another");
    }
    if (request->json) {
        return print_json(request, &read, "file", request->words[0], err);
    }
    fed_node_options_ids(ids, read.first_client, read.n_clients);
    fed_sign_line(line, read.issuer);
    fed_sign_fingerprint(fingerprint, read.issuer);
    printf("%-14s %s\n%-14s %s\n%-14s %s\n", "name", read.name, "clients", ids, "partial sums",
           read.partial_sums ? "yes" : "no");
    print_date("use it until", read.expires, read.expires < now_s() ? " (it has expired)" : "");
    print_date("entry from", read.not_before, "");
    print_date("entry until", read.not_after, "");
    printf("%-14s %s\n%-14s %s\n", "signed by", line, "fingerprint", fingerprint);
    return 0;
}

static int join(struct request *request, struct fed_error *err) {
    struct fed_join_options options = {.coordinator = request->coordinator};
    struct fed_identity node = {0};
    struct fed_token *token = NULL;
    int64_t timeout_s = 60;
    int code = fed_public_parse(&options.coordinator_key, request->coordinator_key, err);
    if (code != 0) {
        return fed_error_prefix(err, code, "--coordinator-key");
    }
    code = request->timeout == NULL ? 0 : fed_node_options_duration(&timeout_s, "--timeout", request->timeout, 1, err);
    options.timeout_ms = timeout_s * 1000;
    if (code == 0) {
        code = fed_token_load(&token, request->token, err);
    }
    if (code == 0) {
        code = fed_identity_unlock(&node, request->key, request->passphrase_file, err);
    }
    if (code == 0) {
        struct fed_busy *wait = fed_wait_begin(false, "presenting the token at %s", options.coordinator);
        code = fed_join(token, &node, &options, err);
        fed_wait_end(wait);
    }
    if (code == 0) {
        struct fed_certificate read;
        char ids[48];
        code = fed_certificate_read(&read, fed_token_certificate(token));
        fed_node_options_ids(ids, read.first_client, read.n_clients);
        if (code == 0 && request->json) {
            code = print_json(request, &read, "coordinator", request->coordinator, err);
        } else if (code == 0) {
            printf("enrolled as %s, clients %s\n", read.name, ids);
        }
    }
    fed_token_free(token);
    fed_identity_fini(&node);
    return code;
}

static const struct option issue_options[] = {{"clients", required_argument, NULL, 'c'},
                                              {"partial-sums", no_argument, NULL, 's'},
                                              {"not-before", required_argument, NULL, 'b'},
                                              {"not-after", required_argument, NULL, 'a'},
                                              {"key", required_argument, NULL, 'k'},
                                              {"passphrase-file", required_argument, NULL, 'p'},
                                              {"valid", required_argument, NULL, 'v'},
                                              {"out", required_argument, NULL, 'o'},
                                              {"json", no_argument, NULL, 'j'},
                                              {"help", no_argument, NULL, 'h'},
                                              {0}};
static const struct option show_options[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
static const struct option join_options[] = {{"token", required_argument, NULL, 't'},
                                             {"key", required_argument, NULL, 'k'},
                                             {"passphrase-file", required_argument, NULL, 'p'},
                                             {"coordinator", required_argument, NULL, 'C'},
                                             {"coordinator-key", required_argument, NULL, 'K'},
                                             {"timeout", required_argument, NULL, 'T'},
                                             {"json", no_argument, NULL, 'j'},
                                             {"help", no_argument, NULL, 'h'},
                                             {0}};

/* 0: go on; 1: help was asked for; -1: misused. */
static int read_request(struct request *out, int argc, char **argv, const struct option *options) {
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'c': out->node.clients = optarg; break;
        case 's': out->node.partial_sums = true; break;
        case 'b': out->node.not_before = optarg; break;
        case 'a': out->node.not_after = optarg; break;
        case 'k': out->key = optarg; break;
        case 'p': out->passphrase_file = optarg; break;
        case 'v': out->valid = optarg; break;
        case 'o': out->out = optarg; break;
        case 't': out->token = optarg; break;
        case 'C': out->coordinator = optarg; break;
        case 'K': out->coordinator_key = optarg; break;
        case 'T': out->timeout = optarg; break;
        case 'j': out->json = true; break;
        case 'h': return 1;
        default: return -1;
        }
    }
    out->words = argv + optind;
    out->n_words = argc - optind;
    return 0;
}

/* NULL: all is there; else what is missing, or too much. */
static const char *issue_fault(const struct request *r) {
    return r->n_words < 1   ? "NAME is missing"
           : r->n_words > 1 ? "one NAME at a time"
           : r->node.clients == NULL
               ? "--clients is missing: the id that the node will host, such as 7, or a range, such as 0-99"
           : r->key == NULL ? "--key is missing: the enrolment key that signs"
                            : NULL;
}
static const char *show_fault(const struct request *r) { return r->n_words == 1 ? NULL : "it takes one FILE, or -"; }
static const char *join_fault(const struct request *r) {
    return r->n_words > 0               ? "it takes options only; a token is never an argument"
           : r->token == NULL           ? "--token is missing: the file with the token, or -"
           : r->key == NULL             ? "--key is missing: the key of this node"
           : r->coordinator == NULL     ? "--coordinator is missing: where tokens are taken, as in tcp://fl.example.org:5602"
           : r->coordinator_key == NULL ? "--coordinator-key is missing: the coordinator's public line"
                                        : NULL;
}

int fed_cli_enroll(int argc, char **argv) {
    static const struct {
        const char *name;
        const struct option *options;
        const char *(*fault)(const struct request *request);
        int (*run)(struct request *request, struct fed_error *err);
    } actions[] = {{"issue", issue_options, issue_fault, issue},
                   {"show", show_options, show_fault, show},
                   {"join", join_options, join_fault, join}};
    struct fed_error err = {.text = ""};
    struct request request = {.valid = "24h", .out = "-"};
    const char *name = argc > 1 ? argv[1] : "";
    size_t a = 0;
    request.action = name;
    if (argc > 1) {
        argv[1] = argv[0]; /* what getopt puts before its complaints */
    }
    if (strcmp(name, "--help") == 0) {
        return fed_cli_help(usage);
    }
    while (a < 3 && strcmp(actions[a].name, name) != 0) {
        a++;
    }
    int read = a < 3 ? read_request(&request, argc - 1, argv + 1, actions[a].options) : -1;
    if (read > 0) {
        return fed_cli_help(usage);
    }
    const char *fault = a == 3      ? (*name == '\0' ? "say what to do: issue, show or join" : "there is no such action")
                        : read == 0 ? actions[a].fault(&request)
                                    : NULL;
    if (fault != NULL) {
        fprintf(stderr, "fedavg enroll%s%s: %s\n", a < 3 ? " " : "", a < 3 ? name : "", fault);
    }
    if (read < 0 || fault != NULL) {
        return fed_cli_misused(usage);
    }
    fed_privilege_protect_secrets();
    int code = fed_seal_setup(&err);
    if (code == 0) {
        code = actions[a].run(&request, &err);
    }
    return code == 0 ? 0 : fed_cli_fail(argv[0], code, &err);
}
