/* What thousands of nodes cost the coordinator that are enrolled, connected, and have nothing to do.
 *
 *     bench_idle [--nodes N] [--active A] [--rounds R] [--seconds S]
 *
 * Two runs of the same rounds: A clients in each, drawn from a roster of N; once with nobody there but those who are drawn,
 * once with all others connected as well. These are bare connections that say what the protocol demands of a node without
 * work; they live in processes of their own, by as many as the system's limit of open files lets in. In the first round,
 * before anybody answers, memory is compared and the coordinator left alone for S seconds. */
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/calibration.h"
#include "bench/fleet.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/base/walk.h"
#include "proto/wire.h"

#define SEED 1 /* of the fleet's task */
#define CHILDREN 4
#define AT_ONCE 50 /* new connections a turn */
#define TURN_MS 20
#define SETTLE_MS 5000
#define DESCRIPTORS_KEPT 2048 /* of the coordinator, beside one for each node */

static const struct fed_model_spec model_2nn = {
    .input = {784}, .n_layers = 3, .layers = {{200, FED_RELU}, {200, FED_RELU}, {10, FED_LINEAR}}};

struct bench {
    struct fleet fleet;
    unsigned long active, seconds;
    bool *light; /* (n_nodes): never drawn, so a bare connection will do */
    unsigned long n_light;
    atomic_bool hold;
    pid_t children[CHILDREN];
    int welcomed[2]; /* a byte for each that was welcomed */
    double cpu_first, cpu_last, idle_share, kib_each, kernel_kib_each, seconds_round;
    unsigned long n_rounds;
};

/* -- bare connections --------------------------------------------------------------------------------------------------- */

struct peer {
    struct fed_lane *lane;
    unsigned long node;
    bool welcomed;
    uint32_t idle_ms;
    uint64_t next_ms;
};

static void say(struct peer *peer, const struct fed_message *message) {
    static uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    if (fed_message_encode(bytes, &n, message) == FED_OK &&
        fed_lane_send(peer->lane, NULL, bytes, n, NULL, 0, 0) == FED_OK) {
        peer->next_ms = fed_clock_ms() + (peer->welcomed ? peer->idle_ms / 2 : 2000);
    }
}

static void say_hello(struct peer *peer) {
    static struct fed_message message;
    message = (struct fed_message){.kind = FED_MSG_HELLO, .seq = 1};
    struct fed_msg_hello *hello = &message.as.hello;
    strcpy(hello->build, "bench_idle");
    hello->workers = 1;
    hello->instance = peer->node + 1;
    hello->n_hosted = 1;
    hello->hosted[0] = (struct fed_id_range){peer->node, 1};
    say(peer, &message);
}

static void hear(struct peer *peer, int welcomed) {
    static struct fed_message message;
    for (struct fed_incoming in = {0}; fed_lane_recv(&in, peer->lane) == FED_OK; memset(&in, 0, sizeof in)) {
        if (fed_message_decode(&message, in.head.bytes, in.head.n) == FED_OK && message.kind == FED_MSG_WELCOME) {
            peer->idle_ms = message.as.welcome.idle_ms > 0 ? message.as.welcome.idle_ms : message.as.welcome.ping_ms;
            peer->next_ms = fed_clock_ms() + peer->idle_ms / 2;
            if (!peer->welcomed && write(welcomed, "", 1) != 1) {
                _exit(1);
            }
            peer->welcomed = true;
        }
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

static void turn(struct peer *peers, size_t n, int welcomed) {
    for (size_t i = 0; i < n; i++) {
        struct peer *peer = &peers[i];
        for (enum fed_link_event event; (event = fed_lane_event(peer->lane)) != FED_LINK_QUIET;) {
            peer->next_ms = event == FED_LINK_UP ? 1 : peer->next_ms;
        }
        hear(peer, welcomed);
        if (peer->next_ms > 0 && fed_clock_ms() >= peer->next_ms) {
            if (peer->welcomed) {
                say(peer, &(struct fed_message){.kind = FED_MSG_STATUS, .seq = 2});
            } else {
                say_hello(peer);
            }
        }
    }
}

/* Every CHILDREN-th of the bare connections, from the k-th on. Never returns. */
static void be_peers(const struct bench *b, unsigned long k) {
    struct fed_error err;
    struct fed_link *link;
    struct peer *peers = calloc(b->n_light / CHILDREN + 1, sizeof *peers);
    size_t n = 0, opened = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned long i = 0, seen = 0; i < b->fleet.n_nodes; i++) {
        if (b->light[i] && seen++ % CHILDREN == k) {
            peers[n++].node = i;
        }
    }
    if (fed_link_new(&link, 1, (int)n + 1, NULL, &err) != FED_OK) {
        fleet_fail(&b->fleet, "link", err.text);
    }
    for (;;) {
        for (size_t end = opened + AT_ONCE < n ? opened + AT_ONCE : n; opened < end; opened++) {
            const struct fed_identity *identity = fleet_identity(&b->fleet, peers[opened].node);
            if (fed_lane_connect_control(&peers[opened].lane, link, b->fleet.control, identity,
                                         b->fleet.coordinator_key.curve, FED_CONTROL_MAX, &err) != FED_OK) {
                fleet_fail(&b->fleet, "a bare connection", err.text);
            }
        }
        turn(peers, opened, b->welcomed[1]);
        nanosleep(&(struct timespec){.tv_nsec = TURN_MS * 1000000L}, NULL);
    }
}

static void start_crowd(struct bench *b) {
    for (unsigned long k = 0; k < CHILDREN; k++) {
        b->children[k] = fork();
        if (b->children[k] == 0) {
            be_peers(b, k);
        }
    }
}

static void stop_crowd(struct bench *b) {
    for (unsigned long k = 0; k < CHILDREN; k++) {
        kill(b->children[k], SIGKILL);
        waitpid(b->children[k], NULL, 0);
    }
}

/* -- the coordinator, from outside -------------------------------------------------------------------------------------- */

/* The number behind a word in a file. */
static double number_in(const char *path, const char *word) {
    char line[512];
    double found = 0;
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *at = strstr(line, word);
        if (at != NULL) {
            found = strtod(at + strlen(word), NULL);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static double memory_kib(const struct bench *b) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)b->fleet.pid);
    return number_in(path, "VmRSS:");
}

/* Of all TCP sockets of this network, both ends of every connection. */
static double kernel_kib(void) { return number_in("/proc/net/sockstat", " mem ") * (double)sysconf(_SC_PAGESIZE) / 1024; }

static double cpu_s(const struct bench *b) {
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)b->fleet.pid);
    FILE *file = fopen(path, "r");
    size_t n = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[n] = '\0';
    if (file != NULL) {
        fclose(file);
    }
    const char *rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) {
        fleet_fail(&b->fleet, path, "cannot be read");
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void pause_ms(unsigned long ms) {
    nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L}, NULL);
}

/* -- one run ------------------------------------------------------------------------------------------------------------ */

/* Who can be drawn: the first of each round's walk, as the coordinator walks it. */
static void mark_drawn(struct bench *b) {
    for (unsigned long i = 0; i < b->fleet.n_nodes; i++) {
        b->light[i] = true;
    }
    for (unsigned long round = 1; round <= b->fleet.n_rounds; round++) {
        struct fed_rng rng;
        struct fed_walk walk;
        uint32_t client;
        fed_rng_init(&rng, SEED, FED_RNG_COHORT, round, 1);
        fed_walk_init(&walk, &rng, (uint32_t)b->fleet.n_nodes);
        for (unsigned long i = 0; i < b->active && fed_walk_next(&client, &walk) == FED_OK; i++) {
            b->light[client] = false;
        }
        fed_walk_fini(&walk);
    }
    b->n_light = 0;
    for (unsigned long i = 0; i < b->fleet.n_nodes; i++) {
        b->n_light += b->light[i];
    }
}

/* The first round is under way and nobody answers yet. */
static void measure_crowd(struct bench *b) {
    char byte;
    double rss = memory_kib(b), kernel = kernel_kib();
    start_crowd(b);
    for (unsigned long i = 0; i < b->n_light; i++) {
        if (read(b->welcomed[0], &byte, 1) != 1) {
            fleet_fail(&b->fleet, "bare connections", "they ended");
        }
    }
    pause_ms(SETTLE_MS);
    b->kib_each = (memory_kib(b) - rss) / (double)b->n_light;
    b->kernel_kib_each = (kernel_kib() - kernel) / (double)b->n_light;
    double cpu = cpu_s(b), began = seconds_now();
    pause_ms(1000 * b->seconds);
    b->idle_share = (cpu_s(b) - cpu) / (seconds_now() - began);
}

static void hear_line(struct bench *b, const char *line, double *at) {
    json_t *event = json_loads(line, 0, NULL);
    const char *kind = json_string_value(json_object_get(event, "event"));
    if (kind != NULL && strcmp(kind, "abandoned") == 0) {
        fleet_fail(&b->fleet, "a round was abandoned", line);
    }
    if (kind != NULL && strcmp(kind, "round") == 0) {
        b->cpu_last = cpu_s(b);
        b->cpu_first = b->n_rounds == 0 ? b->cpu_last : b->cpu_first;
        b->seconds_round = seconds_now() - *at;
        *at = seconds_now();
        b->n_rounds++;
    }
    json_decref(event);
}

/* The first round, in which all came, is left out. Returns seconds of CPU a round. */
static double run(struct bench *b, bool crowd) {
    char *line = NULL;
    size_t room = 0;
    double at = seconds_now();
    b->n_rounds = 0;
    atomic_store(&b->hold, true);
    fleet_start_coordinator(&b->fleet, false);
    fleet_start_nodes(&b->fleet);
    pause_ms(SETTLE_MS);
    if (crowd) {
        measure_crowd(b);
    }
    atomic_store(&b->hold, false);
    while (getline(&line, &room, b->fleet.lines) > 0) {
        hear_line(b, line, &at);
    }
    free(line);
    fclose(b->fleet.lines);
    waitpid(b->fleet.pid, NULL, 0);
    if (crowd) {
        stop_crowd(b);
    }
    if (b->n_rounds != b->fleet.n_rounds) {
        fleet_fail(&b->fleet, "the coordinator", "did not finish; see its last words above");
    }
    return (b->cpu_last - b->cpu_first) / (double)(b->n_rounds - 1);
}

static double run_fresh(struct bench *b, bool crowd) {
    fleet_prepare(&b->fleet);
    double cpu = run(b, crowd);
    fleet_stop_nodes(&b->fleet);
    fleet_remove(&b->fleet);
    return cpu;
}

/* -- start -------------------------------------------------------------------------------------------------------------- */

static void parse(struct bench *b, int argc, char **argv) {
    static const struct option options[] = {{"nodes", required_argument, NULL, 'n'},
                                            {"active", required_argument, NULL, 'a'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n': b->fleet.n_nodes = strtoul(optarg, NULL, 10); break;
        case 'a': b->active = strtoul(optarg, NULL, 10); break;
        case 'r': b->fleet.n_rounds = strtoul(optarg, NULL, 10); break;
        case 's': b->seconds = strtoul(optarg, NULL, 10); break;
        default: good = false; break;
        }
    }
    if (!good || optind != argc || b->active < 1 || b->fleet.n_nodes < b->active || b->fleet.n_rounds < 2 ||
        b->seconds < 1) {
        fprintf(stderr, "usage: bench_idle [--nodes N] [--active A] [--rounds R] [--seconds S]\n");
        exit(2);
    }
}

/* As many as the coordinator can be given descriptors for. */
static void fit_limit(struct bench *b) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < b->fleet.n_nodes + DESCRIPTORS_KEPT) {
        b->fleet.n_nodes = limit.rlim_max - DESCRIPTORS_KEPT;
        printf("%lu nodes: the system allows %lu open files (ulimit -Hn)\n", b->fleet.n_nodes,
               (unsigned long)limit.rlim_max);
    }
}

int main(int argc, char **argv) {
    static struct bench b = {
        .fleet = {.name = "bench_idle", .n_nodes = 10000, .n_rounds = 5, .io_threads = 1}, .active = 100, .seconds = 60};
    struct fed_error err;
    fleet_find_coordinator(&b.fleet);
    parse(&b, argc, argv);
    fit_limit(&b);
    fed_log_setup(FED_LOG_TEXT, FED_LOG_ERROR);
    setvbuf(stdout, NULL, _IOLBF, 0);
    b.fleet.model = model_2nn;
    b.fleet.fraction = (double)b.active / (double)b.fleet.n_nodes;
    b.fleet.hold = &b.hold;
    b.light = calloc(b.fleet.n_nodes, sizeof *b.light);
    if (fed_seal_setup(&err) != FED_OK || b.light == NULL || pipe(b.welcomed) != 0) {
        fleet_fail(&b.fleet, "start", "not enough memory");
    }
    mark_drawn(&b);
    b.fleet.absent = b.light;
    calibration_print();
    double alone = run_fresh(&b, false), among = run_fresh(&b, true);
    printf(
        "%lu idle nodes beside %lu: %.1f KiB each (bar 48), and %.1f KiB of kernel memory for both ends of its connection\n",
        b.n_light, b.fleet.n_nodes - b.n_light, b.kib_each, b.kernel_kib_each);
    printf("idle for %lu s: %.1f %% of a core (bar 5)\n", b.seconds, 100 * b.idle_share);
    printf("a round of %lu clients: %.3f s of CPU alone, %.3f among them, %.2f times (bar 1.10); %.2f s from commit to "
           "commit\n",
           b.active, alone, among, among / alone, b.seconds_round);
    return 0;
}
