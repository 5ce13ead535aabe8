/* fedavg keygen: NAME.key, for its owner alone, and NAME.pub, the line to hand to others. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/file.h"
#include "common/config/name.h"
#include "common/seal/keys.h"

static const char usage[] =
    "fedavg keygen NAME [--dir DIR]\n"
    "  makes DIR/NAME.key (secret, mode 0600, never overwritten) and DIR/NAME.pub, and prints the public line\n";

static int write_public(const char *path, const char *line, struct fed_error *err) {
    struct iovec parts[] = {{(void *)line, strlen(line)}, {(void *)"\n", 1}};
    return fed_file_replace(path, parts, 2, 0644, err);
}

static int make(const char *name, const char *dir, struct fed_error *err) {
    char secret_name[FED_NAME_MAX + 4], public_name[FED_NAME_MAX + 4], line[FED_PUBLIC_LINE_MAX];
    char *secret_path = NULL, *public_path = NULL;
    struct fed_identity identity = {0};
    snprintf(secret_name, sizeof secret_name, "%s.key", name);
    snprintf(public_name, sizeof public_name, "%s.pub", name);
    int code = fed_seal_setup(err);
    if (code == 0) {
        code = fed_file_make_dirs(dir, err);
    }
    if (code == 0) {
        code = fed_path_join(&secret_path, dir, secret_name);
    }
    if (code == 0) {
        code = fed_path_join(&public_path, dir, public_name);
    }
    if (code == 0) {
        code = fed_identity_create(&identity, secret_path, err);
    }
    if (code == 0) {
        fed_public_line(line, &identity.public_keys);
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
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct fed_error err = {.text = ""};
    const char *dir = ".";
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'd': dir = optarg; break;
        case 'h': return fed_cli_help(usage);
        default: return fed_cli_misused(usage);
        }
    }
    if (optind + 1 != argc) {
        return fed_cli_misused(usage);
    }
    const char *name = argv[optind];
    int code = fed_name_valid(name)
                   ? make(name, dir, &err)
                   : fed_error_set(&err, FED_ECONFIG,
                                   "found \"%.60s\", expected a name of 1 to 63 characters from a-z, 0-9 and -", name);
    return code == 0 ? 0 : fed_cli_fail(argv[0], code, &err);
}
