/* The command `fedavg`: one table of subcommands. A name that is not in it is looked for beside this program, as
 * fedavg-NAME, so that programs can be added without touching this one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/base/file.h"
#include "common/base/mapped.h"
#include "common/config/name.h"
#include "common/link/link.h"
#include "common/numeric/kernels.h"
#include "common/seal/keys.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* NULL: a program beside this one */
    const char *summary;
};

static const struct command commands[] = {
    {"simulate", fed_cli_simulate, "run a whole task on this machine"},
    {"status", fed_cli_status, "show a run, from its directory or its page"},
    {"partition", fed_cli_partition, "show how a task splits its data between clients"},
    {"keygen", fed_cli_keygen, "make the identity of a node or a coordinator"},
    {"enroll", fed_cli_enroll, "issue, show and use the one-use tokens that enrol nodes"},
    {"roster", fed_cli_roster, "add, sign, revoke, list and re-key the nodes that may take part"},
    {"coordinator", NULL, "the daemon that runs rounds (fedavg-coordinator)"},
    {"client", NULL, "the daemon beside the data (fedavg-client)"},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static int help(FILE *out) {
    fprintf(out, "usage: fedavg COMMAND [ARGUMENT]...\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    }
    fprintf(out, "\n`fedavg COMMAND --help` says more; `fedavg --version` names the version and its libraries.\n");
    return 0;
}

static int version(void) {
    struct fed_error err = {.text = ""};
    const struct fed_kernels *kernels;
    int code = fed_kernels_choose(&kernels, &err);
    if (code != 0) {
        return fed_cli_fail("fedavg", code, &err);
    }
    printf("fedavg %s\nkernels: %s\nlibzmq: %s\nlibsodium: %s\n", FED_VERSION, kernels->name, fed_link_version(),
           fed_seal_library_version());
    return 0;
}

/* Only returns when there is no such program, or it cannot be started. */
static int run_program(const char *name, char **argv) {
    struct fed_error err = {.text = ""};
    char self[4096], *dir = NULL, *path = NULL, program[FED_NAME_MAX + 8];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) {
        return fed_cli_fail("fedavg", fed_error_set(&err, FED_EFAILED, "/proc/self/exe: %s", strerror(errno)), &err);
    }
    self[n] = '\0';
    snprintf(program, sizeof program, "fedavg-%s", name);
    int code = fed_path_dir(&dir, self);
    if (code == 0) {
        code = fed_path_join(&path, dir, program);
    }
    if (code == 0) {
        argv[0] = program;
        execv(path, argv);
        code = errno == ENOENT ? fed_error_set(&err, FED_ECONFIG, "no command %s; `fedavg help` lists what there is", name)
                               : fed_error_set(&err, FED_EFAILED, "%s: %s", path, strerror(errno));
    }
    free(dir);
    free(path);
    return fed_cli_fail("fedavg", code, &err);
}

static int run(const struct command *command, int argc, char **argv) {
    static char name[32]; /* what getopt puts before its complaints */
    snprintf(name, sizeof name, "fedavg %s", command->name);
    argv[0] = name;
    return command->run(argc, argv);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    fed_mapped_guard();
    if (name == NULL) {
        help(stderr);
        return fed_status_exit_code(FED_ECONFIG);
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return help(stdout);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        return version();
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (commands[i].run != NULL && strcmp(commands[i].name, name) == 0) {
            return run(&commands[i], argc - 1, argv + 1);
        }
    }
    if (!fed_name_valid(name)) {
        struct fed_error err;
        fed_error_set(&err, 0, "no command %.60s; `fedavg help` lists what there is", name);
        return fed_cli_fail("fedavg", FED_ECONFIG, &err);
    }
    return run_program(name, argv + 1);
}
