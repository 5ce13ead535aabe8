/* The command `fedavg`: one table of subcommands. A name that is not in it is looked for beside this program, as
 * fedavg-NAME, so that programs can be added without touching this one. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/base/file.h"
#include "common/base/mapped.h"
#include "common/base/standard.h"
#include "common/config/name.h"
#include "common/link/link.h"
#include "common/numeric/kernels.h"
#include "common/seal/keys.h"

enum group { LOOK, BEGIN, NODES, DAEMONS, N_GROUPS };

static const char *const titles[N_GROUPS] = {
    [BEGIN] = "Begin",
    [NODES] = "Say who may take part",
    [LOOK] = "Look at runs, and use what they made",
    [DAEMONS] = "Run the daemons",
};

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* NULL: a program beside this one */
    const char *summary;
    enum group group;
};

static const struct command commands[] = {
    {"init", fed_cli_init, "ask a few questions, write a task and what belongs to it", BEGIN},
    {"simulate", fed_cli_simulate, "run a whole task on this machine", BEGIN},
    {"partition", fed_cli_partition, "show how a task splits its data between clients", BEGIN},
    {"keygen", fed_cli_keygen, "make the key of a node, of a coordinator, or one that signs enrolments", NODES},
    {"roster", fed_cli_roster, "add, sign, revoke, list and re-key the nodes that may take part", NODES},
    {"enroll", fed_cli_enroll, "issue, show and use the one-use tokens that enrol nodes", NODES},
    {"doctor", fed_cli_doctor, "look at a machine, a task, a client file or a run, and say what to do", DAEMONS},
    {"status", fed_cli_status, "show where a run stands, from its directory or its page", LOOK},
    {"show", fed_cli_show, "serve the page of a run from its directory", LOOK},
    {"evaluate", fed_cli_evaluate, "say how good a model is, on the run's test data or on others", LOOK},
    {"plot", fed_cli_plot, "draw the curves of runs, as SVG or PNG", LOOK},
    {"backup", fed_cli_backup, "copy a run while it goes on, and verify the copy", LOOK},
    {"compare", fed_cli_compare, "say what differs between two runs, and where they part", LOOK},
    {"export", fed_cli_export, "write a model as safetensors, NPZ or ONNX, for other programs", LOOK},
    {"replay", fed_cli_replay, "compute committed rounds again and compare", LOOK},
    {"coordinator", NULL, "the daemon that drives the rounds of a run (fedavg-coordinator)", DAEMONS},
    {"client", NULL, "the daemon beside the data (fedavg-client)", DAEMONS},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void list_group(FILE *out, enum group group) {
    fprintf(out, "\n%s\n", titles[group]);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (commands[i].group == group) {
            fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
        }
    }
}

static int help(FILE *out) {
    static const enum group order[N_GROUPS] = {BEGIN, NODES, DAEMONS, LOOK};
    fprintf(out, "usage: fedavg COMMAND [ARGUMENT]...\n\n"
                 "Trains one model over data that stays where it is: a coordinator sends the model, clients train it on\n"
                 "their own data, and the coordinator averages what comes back.\n");
    for (size_t i = 0; i < N_GROUPS; i++) {
        list_group(out, order[i]);
    }
    fprintf(
        out,
        "\n`fedavg COMMAND --help` says more about one, `man fedavg-COMMAND` all; `fedavg version` names the version and\n"
        "its libraries. With --json a command prints JSON, one object a line, and nothing else.\n");
    return 0;
}

static int version(int argc, char **argv) {
    struct fed_error err = {.text = ""};
    const struct fed_kernels *kernels;
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc > 1 && !json) {
        return fed_cli_misused("fedavg version [--json]\n");
    }
    int code = fed_kernels_choose(&kernels, &err);
    if (code == 0 && json) {
        code = fed_cli_print_json(json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "event", "version", "version", FED_VERSION,
                                            "kernels", kernels->name, "libraries", "libzmq", fed_link_version(), "libsodium",
                                            fed_seal_library_version()),
                                  &err);
    } else if (code == 0) {
        printf("fedavg %s\nkernels: %s\nlibzmq: %s\nlibsodium: %s\n", FED_VERSION, kernels->name, fed_link_version(),
               fed_seal_library_version());
    }
    return code == 0 ? 0 : fed_cli_fail("fedavg", code, &err);
}

/* Why there is no such program: one of ours that is not installed, or a word that means nothing. */
static int not_there(const char *name, const char *path, struct fed_error *err) {
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return fed_error_set(err, FED_ECONFIG, "%s is not installed: in Debian it is the package fedavg-%s", path, name);
        }
    }
    return fed_error_set(err, FED_ECONFIG, "no command %s; `fedavg help` lists what there is", name);
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
        code = errno == ENOENT ? not_there(name, path, &err)
                               : fed_error_set(&err, FED_EFAILED, "%s: %s", path, strerror(errno));
    }
    free(dir);
    free(path);
    return fed_cli_fail("fedavg", code, &err);
}

/* Success is said only of what was seen: an answer that went nowhere is none. */
static int finish(const char *command, int exit_code) {
    struct fed_error err = {.text = ""};
    int code = exit_code == 0 ? fed_standard_flush(&err) : FED_OK;
    return code == FED_OK ? exit_code : fed_cli_fail(command, code, &err);
}

static int run(const struct command *command, int argc, char **argv) {
    static char name[32]; /* what getopt puts before its complaints */
    snprintf(name, sizeof name, "fedavg %s", command->name);
    argv[0] = name;
    return finish(name, command->run(argc, argv));
}

/* argv[0]: the name of a command. */
static int dispatch(int argc, char **argv) {
    const char *name = argv[0];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (commands[i].run != NULL && strcmp(commands[i].name, name) == 0) {
            return run(&commands[i], argc, argv);
        }
    }
    if (!fed_name_valid(name)) {
        struct fed_error err;
        fed_error_set(&err, 0, "no command %.60s; `fedavg help` lists what there is", name);
        return fed_cli_fail("fedavg", FED_ECONFIG, &err);
    }
    return run_program(name, argv);
}

int main(int argc, char **argv) {
    static char ask[] = "--help";
    const char *name = argc > 1 ? argv[1] : NULL;
    fed_standard_guard();
    fed_mapped_guard();
    if (name == NULL) {
        help(stderr);
        return fed_status_exit_code(FED_ECONFIG);
    }
    if (strcmp(name, "help") == 0 && argc > 2) { /* `fedavg help status` is `fedavg status --help` */
        char *command[] = {argv[2], ask, NULL};
        return dispatch(2, command);
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return finish("fedavg", help(stdout));
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        return finish("fedavg", version(argc - 1, argv + 1));
    }
    return dispatch(argc - 1, argv + 1);
}
