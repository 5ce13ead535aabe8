/* fedavg keygen: NAME.key, for its owner alone, and NAME.pub, the line to hand to others. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/file.h"
#include "common/base/privilege.h"
#include "common/config/name.h"
#include "common/seal/key_file.h"

static const char usage[] =
    "fedavg keygen NAME [--dir DIR] [--enrolment] [--passphrase | --passphrase-file FILE|-]\n"
    "  makes DIR/NAME.key (secret, mode 0600, never overwritten) and DIR/NAME.pub, and prints the public line\n"
    "  --enrolment             the line of a key that signs enrolments: fedavg-sign1:...\n"
    "  --passphrase            asks for a passphrase, without which the key file is of no use\n"
    "  --passphrase-file FILE  the passphrase is the first line of FILE, or of standard input where FILE is -\n";

struct request {
    const char *name, *dir, *passphrase_file;
    bool enrolment, passphrase;
};

static int write_public(const char *path, const char *line, struct fed_error *err) {
    struct iovec parts[] = {{(void *)line, strlen(line)}, {(void *)"\n", 1}};
    return fed_file_replace(path, parts, 2, 0644, err);
}

static int create(struct fed_identity *out, const char *path, const struct request *request, struct fed_error *err) {
    struct fed_passphrase *passphrase = NULL;
    int code = 0;
    if (request->passphrase || request->passphrase_file != NULL) {
        code = fed_passphrase_get(&passphrase, request->passphrase_file, path, true, err);
    }
    if (code == 0) {
        code = fed_identity_create(out, path, passphrase, err);
    }
    fed_passphrase_free(passphrase);
    return code;
}

static int make(const struct request *request, struct fed_error *err) {
    char secret_name[FED_NAME_MAX + 4], public_name[FED_NAME_MAX + 4], line[FED_PUBLIC_LINE_MAX];
    char *secret_path = NULL, *public_path = NULL;
    struct fed_identity identity = {0};
    snprintf(secret_name, sizeof secret_name, "%s.key", request->name);
    snprintf(public_name, sizeof public_name, "%s.pub", request->name);
    int code = fed_seal_setup(err);
    if (code == 0) {
        code = fed_file_make_dirs(request->dir, err);
    }
    if (code == 0) {
        code = fed_path_join(&secret_path, request->dir, secret_name);
    }
    if (code == 0) {
        code = fed_path_join(&public_path, request->dir, public_name);
    }
    if (code == 0) {
        code = create(&identity, secret_path, request, err);
    }
    if (code == 0) {
        if (request->enrolment) {
            fed_sign_line(line, identity.sign_key);
        } else {
            fed_public_line(line, &identity.public_keys);
        }
        fed_identity_fini(&identity);
        code = write_public(public_path, line, err);
    }
    if (code == 0) {
        printf("%s\n", line);
    }
    free(secret_path);
    free(public_path);
    return code;
}

int fed_cli_keygen(int argc, char **argv) {
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},  {"enrolment", no_argument, NULL, 'e'},
        {"passphrase", no_argument, NULL, 'a'}, {"passphrase-file", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},       {0}};
    struct fed_error err = {.text = ""};
    struct request request = {.dir = "."};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'd': request.dir = optarg; break;
        case 'e': request.enrolment = true; break;
        case 'a': request.passphrase = true; break;
        case 'p': request.passphrase_file = optarg; break;
        case 'h': return fed_cli_help(usage);
        default: return fed_cli_misused(usage);
        }
    }
    if (optind + 1 != argc) {
        return fed_cli_misused(usage);
    }
    request.name = argv[optind];
    fed_privilege_protect_secrets();
    int code =
        fed_name_valid(request.name)
            ? make(&request, &err)
            : fed_error_set(&err, FED_ECONFIG, "found \"%.60s\", expected a name of 1 to 63 characters from a-z, 0-9 and -",
                            request.name);
    return code == 0 ? 0 : fed_cli_fail(argv[0], code, &err);
}
