/* fedavg-coordinator: the daemon of one run. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mapped.h"
#include "common/base/notify.h"
#include "common/base/privilege.h"
#include "common/base/standard.h"
#include "common/config/task.h"
#include "common/link/link.h"
#include "common/numeric/kernels.h"
#include "common/seal/keys.h"
#include "coordinator/coordinator.h"
#include "coordinator/store/sql.h"

#define SETS_MAX 128

struct arguments {
    const char *path, *run_dir, *passphrase_file;
    const char *sets[SETS_MAX];
    size_t n_sets;
    bool json, allow_root, any_http_port;
};

static void print_usage(FILE *out) {
    fputs("usage: fedavg-coordinator TASK.yaml [--set key=value]... [--run-dir DIR] [--json] [--allow-root]\n"
          "                          [--any-http-port] [--passphrase-file FILE|-] [--log-format text|json]\n"
          "                          [--log-level error|warn|info|debug]\n"
          "\n"
          "Admits enrolled nodes and drives the rounds of one run, until the last round or target_accuracy.\n"
          "SIGTERM and SIGINT stop at once, safely; SIGUSR1 stops after the round; SIGHUP reloads the roster.\n"
          "Started again, it goes on from the last committed model.\n"
          "\n"
          "  --run-dir DIR      where the run lies (default runs/NAME, NAME from the task)\n"
          "  --passphrase-file FILE   where the key's passphrase is the first line (- is standard input); else it is asked\n"
          "  --any-http-port    where the port of server.http is in use, serve the page on any free one\n"
          "  --json             one JSON object a line on stdout for each event\n"
          "  --version          name the version, the instruction set and the libraries\n"
          "\n"
          "See fedavg-coordinator(8) and fedavg-task(5).\n",
          out);
}

static int print_version(void) {
    const struct fed_kernels *kernels = NULL;
    struct fed_error err;
    if (fed_kernels_choose(&kernels, &err) != FED_OK) {
        fprintf(stderr, "fedavg-coordinator: %s\n", err.text);
        return 2;
    }
    printf("fedavg-coordinator %s\nkernels: %s\nlibzmq: %s\nlibsodium: %s\nsqlite: %s\n", FED_VERSION, kernels->name,
           fed_link_version(), fed_seal_library_version(), fed_sql_library_version());
    return 0;
}

static bool refuse(const char *option, const char *expected) {
    fprintf(stderr, "fedavg-coordinator: --%s: found \"%.60s\", expected %s\n", option, optarg, expected);
    return false;
}

/* -1: go on; otherwise the exit code. */
static int parse(struct arguments *out, int argc, char **argv) {
    static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                            {"run-dir", required_argument, NULL, 'd'},
                                            {"passphrase-file", required_argument, NULL, 'p'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"allow-root", no_argument, NULL, 'r'},
                                            {"any-http-port", no_argument, NULL, 'a'},
                                            {"log-format", required_argument, NULL, 'f'},
                                            {"log-level", required_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    enum fed_log_format format = FED_LOG_TEXT;
    enum fed_log_level level = FED_LOG_INFO;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case 's':
            good = out->n_sets < SETS_MAX || refuse("set", "128 of them at most");
            if (good) {
                out->sets[out->n_sets++] = optarg;
            }
            break;
        case 'd': out->run_dir = optarg; break;
        case 'p': out->passphrase_file = optarg; break;
        case 'j': out->json = true; break;
        case 'r': out->allow_root = true; break;
        case 'a': out->any_http_port = true; break;
        case 'f': good = fed_log_parse_format(&format, optarg) == FED_OK || refuse("log-format", "text or json"); break;
        case 'l':
            good = fed_log_parse_level(&level, optarg) == FED_OK || refuse("log-level", "error, warn, info or debug");
            break;
        case 'h': print_usage(stdout); return 0;
        case 'v': return print_version();
        default: good = false; break;
        }
        if (!good) {
            print_usage(stderr);
            return 2;
        }
    }
    if (optind != argc - 1) {
        fprintf(stderr,
                optind == argc ? "fedavg-coordinator: TASK.yaml is missing\n"
                               : "fedavg-coordinator: more than one word: %s\n",
                argv[argc - 1]);
        print_usage(stderr);
        return 2;
    }
    out->path = argv[optind];
    fed_log_setup(format, level);
    return -1;
}

/* Before any thread starts, so that all of them leave these to the loop's signalfd. */
static void block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a write that failed, like a full disk */
}

/* Models and updates come and go once a round. By default glibc keeps blocks of that size for itself once the first was
 * freed, in every thread's arena: then memory would be a matter of history. Above 4 MiB they go back to the system. */
static void keep_memory_small(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}

static int run(const struct arguments *arguments, struct fed_notify *notify, struct fed_error *err) {
    struct fed_task task = {0};
    struct fed_coordinator *coordinator = NULL;
    char run_dir[FED_NAME_MAX + 8];
    int rc = fed_task_load(&task, arguments->path, arguments->sets, arguments->n_sets, err);
    if (rc == FED_OK) {
        rc = fed_privilege_check(arguments->allow_root, task.server.user, err);
    }
    if (rc == FED_OK) {
        fed_privilege_protect_secrets();
        rc = fed_seal_setup(err);
    }
    if (rc == FED_OK) {
        snprintf(run_dir, sizeof run_dir, "runs/%s", task.name);
        struct fed_coordinator_options options = {.run_dir = arguments->run_dir != NULL ? arguments->run_dir : run_dir,
                                                  .passphrase_file = arguments->passphrase_file,
                                                  .page_may_move = arguments->any_http_port,
                                                  .json = arguments->json,
                                                  .notify = notify};
        rc = fed_coordinator_new(&coordinator, &task, &options, err);
    }
    if (rc == FED_OK) {
        rc = fed_coordinator_run(coordinator, err);
    }
    fed_coordinator_free(coordinator);
    fed_task_fini(&task);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments arguments = {0};
    struct fed_error err = {""};
    fed_standard_guard();
    int code = parse(&arguments, argc, argv);
    if (code >= 0) {
        return code;
    }
    block_signals();
    fed_mapped_guard();
    keep_memory_small();
    struct fed_notify notify;
    fed_notify_open(&notify);
    int rc = run(&arguments, &notify, &err);
    if (rc != FED_OK) {
        fed_log_failure("fedavg-coordinator", rc, err.text);
        fed_notify_status(&notify, "%s", err.text);
    }
    fed_notify_close(&notify);
    return fed_status_exit_code(rc);
}
