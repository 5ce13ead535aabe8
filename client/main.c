/* fedavg-client: the edge program. Private data beside it, outgoing connections only. It is built on the public interface,
 * as any other program that hosts a client; what concerns a whole process is done here. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mapped.h"
#include "common/base/notify.h"
#include "common/base/privilege.h"
#include "common/base/standard.h"
#include "common/link/link.h"
#include "common/numeric/kernels.h"
#include "common/seal/passphrase.h"
#include "include/fedavg/client.h"

#define STANDING_MS 1000
#define SETS_MAX 64

struct arguments {
    const char *path;
    const char *sets[SETS_MAX];
    size_t n_sets;
    const char *passphrase_file;
    bool check, one_run, allow_root;
};

static void print_usage(FILE *out) {
    fputs("usage: fedavg-client CLIENT.yaml [--set key=value]... [--check] [--one-run] [--passphrase-file FILE|-]\n"
          "                     [--allow-root] [--log-format text|json] [--log-level error|warn|info|debug]\n"
          "\n"
          "Trains on this machine's data whenever the coordinator asks, and sends back sealed updates.\n"
          "Stops on SIGTERM or SIGINT; what was going on is taken up again at the next start.\n"
          "\n"
          "  --check    only find out whether the coordinator welcomes this node: exit 0, or 8 and why\n"
          "  --one-run  leave with exit 0 when the run is finished, and do not wait for another\n"
          "  --passphrase-file FILE   where the key's passphrase is the first line (- is standard input); else it is asked\n"
          "  --version  name the version, the instruction set and the libraries\n"
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

static bool refuse(const char *option, const char *expected) {
    fprintf(stderr, "fedavg-client: --%s: found \"%.60s\", expected %s\n", option, optarg, expected);
    return false;
}

/* -1: go on; otherwise the exit code. */
static int parse(struct arguments *out, int argc, char **argv) {
    static const struct option options[] = {
        {"set", required_argument, NULL, 's'},       {"check", no_argument, NULL, 'c'},
        {"one-run", no_argument, NULL, 'o'},         {"passphrase-file", required_argument, NULL, 'p'},
        {"allow-root", no_argument, NULL, 'r'},      {"log-format", required_argument, NULL, 'f'},
        {"log-level", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},         {NULL, 0, NULL, 0}};
    enum fed_log_format format = FED_LOG_TEXT;
    enum fed_log_level level = FED_LOG_INFO;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case 's':
            good = out->n_sets < SETS_MAX || refuse("set", "64 of them at most");
            if (good) {
                out->sets[out->n_sets++] = optarg;
            }
            break;
        case 'c': out->check = true; break;
        case 'o': out->one_run = true; break;
        case 'p': out->passphrase_file = optarg; break;
        case 'r': out->allow_root = true; break;
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
                optind == argc ? "fedavg-client: CLIENT.yaml is missing\n" : "fedavg-client: more than one word: %s\n",
                argv[argc - 1]);
        print_usage(stderr);
        return 2;
    }
    out->path = argv[optind];
    fed_log_setup(format, level);
    return -1;
}

static struct fedavg_client *client; /* for the handler */

static void on_stop(int number) {
    (void)number;
    fedavg_client_stop(client);
}

static void hear_signals(void) {
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    sigemptyset(&stop.sa_mask);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
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

struct question {
    const char *file; /* NULL: the terminal */
    struct fed_error err;
};

static int ask(void *context, const char *key_file, char *out, size_t size) {
    struct question *question = context;
    struct fed_passphrase *passphrase = NULL;
    int rc = fed_passphrase_get(&passphrase, question->file, key_file, false, &question->err);
    if (rc == FED_OK) {
        snprintf(out, size, "%s", passphrase->text);
    }
    fed_passphrase_free(passphrase);
    return rc;
}

static int apply_set(const char *set, struct fed_error *err) {
    const char *equals = strchr(set, '=');
    char *name = equals != NULL ? strndup(set, (size_t)(equals - set)) : NULL;
    int rc = name != NULL ? fedavg_client_set(client, name, equals + 1) : FEDAVG_EINVAL;
    free(name);
    return rc == FEDAVG_EINVAL
               ? fed_error_set(err, FED_ECONFIG, "--set %.60s: expected KEY=VALUE, such as limits.max_epochs=5", set)
               : rc;
}

static int prepare(const struct arguments *arguments, struct question *question, struct fed_error *err) {
    int rc = fedavg_client_load(client, arguments->path);
    for (size_t i = 0; rc == FEDAVG_OK && i < arguments->n_sets; i++) {
        rc = apply_set(arguments->sets[i], err);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_allow(client, FEDAVG_ALLOW_OPENBLAS);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_set_passphrase(client, ask, question);
    }
    return rc;
}

/* With --one-run: the coordinator waits until the nodes have heard that the run is finished, and then leaves. */
struct one_run {
    bool finished, over;
};

static void hear(void *context, const struct fedavg_event *event) {
    struct one_run *one = context;
    one->finished = one->finished || event->kind == FEDAVG_EVENT_FINISHED;
    one->over = one->over || (one->finished && event->kind == FEDAVG_EVENT_STATE && event->state == FEDAVG_STATE_AWAY);
}

/* The coordinator may be away for days: this side is ready when it can wait for it. */
static int work(struct fed_notify *notify, const struct one_run *one) {
    uint64_t standing_ms = 0, now = fed_clock_ms();
    int rc;
    fed_notify_ready(notify);
    fed_notify_turn(notify, now);
    do {
        char line[256];
        rc = fedavg_client_step(client, -1);
        now = fed_clock_ms();
        if (rc == FEDAVG_OK && now >= standing_ms && fedavg_client_standing(client, line, sizeof line) == FEDAVG_OK) {
            fed_notify_status(notify, "%s", line);
            standing_ms = now + STANDING_MS;
        }
        fed_notify_turn(notify, now);
    } while (rc == FEDAVG_OK && !one->over);
    fed_notify_stopping(notify);
    return rc == FEDAVG_STOPPED ? FED_OK : rc;
}

static int run(const struct arguments *arguments, struct fed_notify *notify, struct fed_error *err) {
    struct question question = {.file = arguments->passphrase_file};
    struct one_run one = {false};
    int rc = fedavg_client_new(&client);
    if (rc != FEDAVG_OK) {
        return fed_error_set(err, rc, "%s", fedavg_status_text(rc));
    }
    hear_signals();
    keep_memory();
    rc = prepare(arguments, &question, err);
    if (rc == FEDAVG_OK && arguments->one_run) {
        rc = fedavg_client_set_events(client, hear, &one);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_open(client);
    }
    if (rc == FEDAVG_OK && arguments->check) {
        rc = fedavg_client_check(client);
        rc = rc == FEDAVG_STOPPED ? fed_error_set(err, FED_EINTERRUPTED, "stopped") : rc;
    } else if (rc == FEDAVG_OK) {
        rc = work(notify, &one);
    }
    if (rc != FEDAVG_OK && err->text[0] == '\0') {
        fed_error_set(err, rc, "%s", question.err.text[0] != '\0' ? question.err.text : fedavg_client_error(client));
    }
    signal(SIGTERM, SIG_IGN); /* it ends anyway, and the handle is going */
    signal(SIGINT, SIG_IGN);
    fedavg_client_free(client);
    return rc;
}

int main(int argc, char **argv) {
    struct arguments arguments = {0};
    struct fed_error err = {""};
    fed_standard_guard();
    signal(SIGPIPE, SIG_IGN); /* who read the log may go; the work goes on */
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a write that failed, like a full disk */
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
        fed_log_failure("fedavg-client", rc, err.text);
        fed_notify_status(&notify, "%s", err.text);
    } else if (arguments.check) {
        printf("welcome\n");
    }
    fed_notify_close(&notify);
    return fed_status_exit_code(rc);
}
