/* fedavg keygen: the identity of a node, of a coordinator or of an enrolment authority, as two files. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/make_key.h"
#include "common/base/privilege.h"

static const char usage[] =
    "fedavg keygen NAME [--dir DIR] [--enrolment] [--passphrase | --passphrase-file FILE|-] [--json]\n"
    "  makes DIR/NAME.key (secret, mode 0600) and DIR/NAME.pub, neither ever overwritten, and prints the public line\n"
    "  --dir DIR               where they go (default: here); made if missing\n"
    "  --enrolment             the line of a key that signs enrolments: fedavg-sign1:...\n"
    "  --passphrase            asks for a passphrase, without which the key file is of no use\n"
    "  --passphrase-file FILE  the passphrase is the first line of FILE, or of standard input where FILE is -\n"
    "  --json                  one JSON object\n";

static int print(const struct fed_made_key *made, const struct fed_key_order *order, bool json, struct fed_error *err) {
    if (!json) {
        printf("%s\n", made->line);
        return FED_OK;
    }
    return fed_cli_print_json(
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "event", "keygen", "name", order->name, "kind",
                  order->signs ? "enrolment" : "node", "key_file", fed_cli_json_path(made->secret_path), "public_file",
                  fed_cli_json_path(made->public_path), "line", made->line, "fingerprint", made->fingerprint),
        err);
}

int fed_cli_keygen(int argc, char **argv) {
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"enrolment", no_argument, NULL, 'e'},
                                            {"passphrase", no_argument, NULL, 'a'},
                                            {"passphrase-file", required_argument, NULL, 'p'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct fed_error err = {.text = ""};
    struct fed_key_order order = {.dir = "."};
    struct fed_made_key made;
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'd': order.dir = optarg; break;
        case 'e': order.signs = true; break;
        case 'a': order.ask = true; break;
        case 'p': order.passphrase_file = optarg; break;
        case 'j': json = true; break;
        case 'h': return fed_cli_help(usage);
        default: return fed_cli_misused(usage);
        }
    }
    if (fed_cli_wrong_words(argc, argv, 1, 1, "NAME")) {
        return fed_cli_misused(usage);
    }
    order.name = argv[optind];
    fed_privilege_protect_secrets();
    int code = fed_make_key(&made, &order, &err);
    if (code == 0) {
        code = print(&made, &order, json, &err);
        fed_made_key_fini(&made);
    }
    return code == 0 ? 0 : fed_cli_fail(argv[0], code, &err);
}
