/* How soon a federation stands again: a coordinator of a model of 40 MB (10 million parameters) is killed with -9 in the
 * middle of a run and started again, at once or after a while; seconds from its start until it listens, and until all N
 * nodes are back.
 *
 *     bench_recovery [--nodes N]... [--down SECONDS]... [--coordinator PROGRAM]
 *
 * The bars: it listens within 2 s with the last committed model; N nodes are back within 5 s + N / 400 s. Nodes and
 * coordinator share the machine. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/calibration.h"
#include "bench/fleet.h"

#define CHOICES 16
#define LISTEN_BAR_S 2.0
#define PAUSE_NS 2000000 /* between two looks at the port */

static const struct fed_model_spec stack = {
    .input = {784}, .n_layers = 3, .layers = {{3200, FED_RELU}, {2330, FED_RELU}, {10, FED_LINEAR}}};

struct choices {
    unsigned long values[CHOICES];
    size_t n;
};

/* When the port of a starting coordinator takes a connection. */
struct knocker {
    pthread_t thread;
    unsigned port;
    atomic_bool stop;
    double listening_at; /* 0: never */
};

static bool answers(unsigned port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return yes;
}

static void *knock(void *arg) {
    struct knocker *knocker = arg;
    while (!atomic_load(&knocker->stop) && knocker->listening_at == 0) {
        if (answers(knocker->port)) {
            knocker->listening_at = seconds_now();
        } else {
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        }
    }
    return NULL;
}

/* Reads the log until n nodes have joined and, where asked for, rounds were committed; returns the moment of the last join.
 */
static double follow(struct fleet *f, unsigned long n, unsigned long rounds) {
    char *line = NULL;
    size_t room = 0;
    double joined_at = 0;
    for (unsigned long joined = 0, committed = 0; joined < n || committed < rounds;) {
        if (getline(&line, &room, f->lines) <= 0) {
            fleet_fail(f, "the coordinator", "ended");
        }
        if (strstr(line, "node joined") != NULL && ++joined == n) {
            joined_at = seconds_now();
        }
        committed += strstr(line, "report round ") != NULL;
    }
    free(line);
    return joined_at;
}

static void kill_coordinator(struct fleet *f) {
    kill(f->pid, SIGKILL);
    waitpid(f->pid, NULL, 0);
    fclose(f->lines);
}

static void measure(struct fleet *f, unsigned long down_s) {
    struct knocker knocker = {.port = f->control_port};
    kill_coordinator(f);
    nanosleep(&(struct timespec){.tv_sec = (time_t)down_s}, NULL);
    double started = seconds_now();
    fleet_start_coordinator(f, true);
    if (pthread_create(&knocker.thread, NULL, knock, &knocker) != 0) {
        fleet_fail(f, "a thread", strerror(errno));
    }
    double back = follow(f, f->n_nodes, 1) - started;
    atomic_store(&knocker.stop, true);
    pthread_join(knocker.thread, NULL);
    double listening = knocker.listening_at - started, bar = 5 + (double)f->n_nodes / 400;
    printf("%4lu nodes, down for %3lu s: listens after %.3f s (bar %.0f), all are back after %.2f s (bar %.2f)%s\n",
           f->n_nodes, down_s, listening, LISTEN_BAR_S, back, bar,
           listening <= LISTEN_BAR_S && back <= bar ? "" : "  MISSED");
    fflush(stdout);
}

static void run(struct fleet *f, const struct choices *downs) {
    fleet_prepare(f);
    fleet_start_coordinator(f, true);
    fleet_start_nodes(f);
    follow(f, f->n_nodes, 2);
    for (size_t i = 0; i < downs->n; i++) {
        measure(f, downs->values[i]);
    }
    kill_coordinator(f);
    fleet_stop_nodes(f);
    fleet_remove(f);
}

static bool add(struct choices *choices, bool *given, const char *text, unsigned long least, unsigned long most) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    choices->n = *given ? choices->n : 0; /* what was there is the default */
    *given = true;
    if (*end != '\0' || value < least || value > most || choices->n == CHOICES) {
        return false;
    }
    choices->values[choices->n++] = value;
    return true;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"nodes", required_argument, NULL, 'n'},
                                            {"down", required_argument, NULL, 'd'},
                                            {"coordinator", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    struct fleet fleet = {.name = "bench_recovery", .n_rounds = 1000000, .io_threads = 2, .fraction = 0};
    struct choices nodes = {{1, 100, 400}, 3}, downs = {{0, 5, 40}, 3};
    bool good = true, given[2] = {false, false};
    struct fed_error err;
    struct fed_model model;
    fleet.model = stack;
    fleet_find_coordinator(&fleet);
    for (int c; good && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n': good = add(&nodes, &given[0], optarg, 1, 10000); break;
        case 'd': good = add(&downs, &given[1], optarg, 0, 3600); break;
        case 'c': snprintf(fleet.program, sizeof fleet.program, "%s", optarg); break;
        default: good = false; break;
        }
    }
    if (!good || optind != argc) {
        fprintf(stderr, "usage: bench_recovery [--nodes 1..10000]... [--down 0..3600]... [--coordinator PROGRAM]\n");
        return 2;
    }
    if (fed_seal_setup(&err) != FED_OK || fed_model_init(&model, &stack, &err) != FED_OK) {
        fleet_fail(&fleet, "start", err.text);
    }
    fleet.complaints = fdopen(dup(STDERR_FILENO), "w");
    if (fleet.complaints == NULL || freopen("/dev/null", "w", stderr) == NULL) { /* each node says that nobody is there */
        fleet_fail(&fleet, "standard error", strerror(errno));
    }
    calibration_print();
    printf("%zu parameters, %.2f MB\n", model.n_params, (double)model.n_params * sizeof(float) / 1e6);
    for (size_t i = 0; i < nodes.n; i++) {
        fleet.n_nodes = nodes.values[i];
        run(&fleet, &downs);
    }
    return 0;
}
