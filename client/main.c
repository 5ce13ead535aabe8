/* fedavg-client: the edge program. Private data beside it, outgoing connections only. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/host.h"
#include "client/session.h"
#include "common/base/log.h"
#include "common/base/mapped.h"
#include "common/base/notify.h"
#include "common/base/privilege.h"
#include "common/config/client_config.h"
#include "common/numeric/kernels.h"
#include "common/seal/key_file.h"

#define SETS_MAX 64

struct arguments {
    const char *path;
    const char *sets[SETS_MAX];
    size_t n_sets;
    const char *passphrase_file;
    bool check, allow_root;
};

static void print_usage(FILE *out) {
    fputs("usage: fedavg-client CLIENT.yaml [--set key=value]... [--check] [--passphrase-file FILE|-] [--allow-root]\n"
          "                     [--log-format text|json] [--log-level error|warn|info|debug]\n"
          "\n"
          "Trains on this machine's data whenever the coordinator asks, and sends back sealed updates.\n"
          "Stops on SIGTERM or SIGINT; what was going on is taken up again at the next start.\n"
          "\n"
          "  --check    only find out whether the coordinator welcomes this node: exit 0, or 8 and why\n"
          "  --passphrase-file FILE   where the key's passphrase is the first line (- is standard input); else it is asked\n"
          "\n"
          "See fedavg-client(8) and fedavg-client.yaml(5).\n",
          out);
}

static int print_version(void) {
    const struct fed_kernels *kernels = NULL;
    struct fed_error err;
    if (fed_kernels_choose(&kernels, &err) != FED_OK) {
        fprintf(stderr, "fedavg-client: %s\n", err.text);
        return 2;
    }
    printf("fedavg-client %s\nkernels: %s\nlibzmq: %s\nlibsodium: %s\n", FED_VERSION, kernels->name, fed_link_version(),
           fed_seal_library_version());
    return 0;
}

/* -1: go on; otherwise the exit code. */
static int parse(struct arguments *out, int argc, char **argv) {
    static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                            {"check", no_argument, NULL, 'c'},
                                            {"passphrase-file", required_argument, NULL, 'p'},
                                            {"allow-root", no_argument, NULL, 'r'},
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
            good = out->n_sets < SETS_MAX;
            if (good) {
                out->sets[out->n_sets++] = optarg;
            }
            break;
        case 'c': out->check = true; break;
        case 'p': out->passphrase_file = optarg; break;
        case 'r': out->allow_root = true; break;
        case 'f': good = fed_log_parse_format(&format, optarg) == FED_OK; break;
        case 'l': good = fed_log_parse_level(&level, optarg) == FED_OK; break;
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
        print_usage(stderr);
        return 2;
    }
    out->path = argv[optind];
    fed_log_setup(format, level);
    return -1;
}

static int open_stop_fd(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a write that failed, like a full disk */
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Each round needs the same blocks again: a model, an update for each client, chunks. glibc would give them back to the
 * system and have every page of them cleared anew, which took a tenth of a short round. */
static void keep_memory(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
    mallopt(M_ARENA_MAX, 1); /* or each thread would keep blocks of its own */
#endif
}

static int run(const struct arguments *arguments, struct fed_notify *notify, struct fed_error *err) {
    struct fed_client_config config = {0};
    struct fed_identity identity = {0};
    struct fed_link *link = NULL;
    struct fed_host *host = NULL;
    struct fed_session *session = NULL;
    int stop_fd = open_stop_fd();
    keep_memory();
    int rc = fed_seal_setup(err);
    if (rc == FED_OK) {
        rc = fed_client_config_load(&config, arguments->path, arguments->sets, arguments->n_sets, err);
    }
    if (rc == FED_OK) {
        rc = fed_identity_unlock(&identity, config.key, arguments->passphrase_file, err);
    }
    if (rc == FED_OK) {
        rc = fed_host_new(&host, &config, NULL, err);
    }
    if (rc == FED_OK) {
        rc = fed_link_new(&link, 1, 16, NULL, err);
    }
    if (rc == FED_OK) {
        struct fed_session_options options = {.check = arguments->check, .stop_fd = stop_fd, .notify = notify};
        rc = fed_session_new(&session, link, host, &identity, &config, &options, err);
    }
    if (rc == FED_OK) {
        rc = fed_session_run(session, err);
        bool stopped = rc == FED_EINTERRUPTED; /* that is how a daemon ends */
        rc = stopped && !arguments->check ? FED_OK : rc;
    }
    fed_session_free(session);
    fed_host_free(host);
    fed_link_free(link);
    fed_identity_fini(&identity);
    fed_client_config_fini(&config);
    close(stop_fd);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments arguments = {0};
    struct fed_error err = {""};
    int code = parse(&arguments, argc, argv);
    if (code >= 0) {
        return code;
    }
    struct fed_notify notify;
    fed_notify_open(&notify);
    int rc = fed_privilege_check(arguments.allow_root, NULL, &err);
    if (rc == FED_OK) {
        fed_privilege_protect_secrets();
        fed_mapped_guard();
        rc = run(&arguments, &notify, &err);
    }
    if (rc != FED_OK) {
        fed_log_failure("fedavg-client", err.text);
        fed_notify_status(&notify, "%s", err.text);
    } else if (arguments.check) {
        printf("welcome\n");
    }
    fed_notify_close(&notify);
    return fed_status_exit_code(rc);
}
