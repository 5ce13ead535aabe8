/* The round without the training: a real coordinator process and N nodes on connections of their own, whose clients answer
 * every model at once with a small constant update. What is left is what the system itself costs: sealing, sending,
 * receiving, checking, adding, committing.
 *
 *     bench_echo [--nodes N] [--rounds R] [--ipc] [--io-threads T] [--coordinator PROGRAM]
 *
 * The model is a dense stack of about as many parameters (1.66 million) as the CNN of McMahan et al. 2017. The nodes share
 * the machine with the coordinator, so seconds a round hold the work of both sides. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/calibration.h"
#include "bench/fleet.h"
#include "common/base/log.h"

#define ROUNDS_MAX 1000

static const struct fed_model_spec stack = {
    .input = {784}, .n_layers = 3, .layers = {{1024, FED_RELU}, {832, FED_RELU}, {10, FED_LINEAR}}};

struct sample {
    double at;          /* the moment its line came in */
    double cpu_s;       /* of the coordinator, since its start */
    double seconds;     /* as it says */
    double bytes_total; /* down and up */
};

struct echo {
    struct fleet fleet;
    struct sample samples[ROUNDS_MAX];
    unsigned long n_samples;
    double peak_mb;
    bool done;
};

/* -- measuring --------------------------------------------------------------------------------------------------------- */

/* The start of a file of /proc/PID; empty if there is none. */
static void read_proc(char out[1024], const struct echo *e, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)e->fleet.pid, name);
    FILE *file = fopen(path, "r");
    size_t n = file != NULL ? fread(out, 1, 1023, file) : 0;
    out[n] = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

static double coordinator_cpu(const struct echo *e) {
    char text[1024];
    unsigned long user, system;
    read_proc(text, e, "stat");
    const char *rest = strrchr(text, ')'); /* the program's name may hold anything */
    if (rest == NULL || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) {
        return 0;
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Of this program image alone: ru_maxrss would count what the parent had before exec. */
static double coordinator_peak_mb(const struct echo *e) {
    char text[1024];
    read_proc(text, e, "status");
    const char *line = strstr(text, "VmHWM:");
    return line != NULL ? strtod(line + strlen("VmHWM:"), NULL) / 1024 : 0;
}

static void hear_line(struct echo *e, const char *line) {
    json_t *event = json_loads(line, 0, NULL);
    const char *kind = json_string_value(json_object_get(event, "event"));
    if (kind != NULL && strcmp(kind, "round") == 0 && e->n_samples < ROUNDS_MAX) {
        double bytes =
            json_number_value(json_object_get(event, "bytes_down")) + json_number_value(json_object_get(event, "bytes_up"));
        double peak = coordinator_peak_mb(e);
        e->samples[e->n_samples++] =
            (struct sample){seconds_now(), coordinator_cpu(e), json_number_value(json_object_get(event, "seconds")), bytes};
        e->peak_mb = peak > e->peak_mb ? peak : e->peak_mb;
    } else if (kind != NULL && strcmp(kind, "abandoned") == 0) {
        fleet_fail(&e->fleet, "a round was abandoned", line);
    }
    e->done = e->done || (kind != NULL && strcmp(kind, "done") == 0);
    json_decref(event);
}

static void follow(struct echo *e) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, e->fleet.lines) > 0) {
        hear_line(e, line);
    }
    free(line);
    fclose(e->fleet.lines);
    int status;
    waitpid(e->fleet.pid, &status, 0);
    if (!e->done || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fleet_fail(&e->fleet, "the coordinator", "did not finish; see its last words above");
    }
}

/* The first round holds the connecting of all nodes and is left out. */
static void print_result(const struct echo *e, double own_cpu) {
    static double wall[ROUNDS_MAX];
    int n = (int)e->n_samples - 1;
    const struct sample *first = &e->samples[0], *last = &e->samples[n];
    for (int i = 0; i < n; i++) {
        wall[i] = e->samples[i + 1].at - e->samples[i].at;
    }
    double median = median_of(wall, n), bytes = last->bytes_total;
    printf("%4lu nodes %s  round %.3f s (min %.3f) of %d  coordinator: cpu %.3f s, peak %.1f MB  nodes: cpu %.3f s  "
           "%.1f MB a round, %.0f MB/s\n",
           e->fleet.n_nodes, e->fleet.ipc ? "ipc" : "tcp", median, wall[0], n, (last->cpu_s - first->cpu_s) / n, e->peak_mb,
           own_cpu / (n + 1), bytes / 1e6, bytes / 1e6 / median);
}

/* -- start ------------------------------------------------------------------------------------------------------------- */
static void parse(struct echo *e, int argc, char **argv) {
    static const struct option options[] = {{"nodes", required_argument, NULL, 'n'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"io-threads", required_argument, NULL, 't'},
                                            {"coordinator", required_argument, NULL, 'c'},
                                            {"ipc", no_argument, NULL, 'i'},
                                            {NULL, 0, NULL, 0}};
    bool good = true;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n': e->fleet.n_nodes = strtoul(optarg, NULL, 10); break;
        case 'r': e->fleet.n_rounds = strtoul(optarg, NULL, 10); break;
        case 't': e->fleet.io_threads = strtoul(optarg, NULL, 10); break;
        case 'c': snprintf(e->fleet.program, sizeof e->fleet.program, "%s", optarg); break;
        case 'i': e->fleet.ipc = true; break;
        default: good = false; break;
        }
    }
    if (!good || optind != argc || e->fleet.n_nodes < 1 || e->fleet.n_nodes > 10000 || e->fleet.n_rounds < 2 ||
        e->fleet.n_rounds > ROUNDS_MAX || e->fleet.io_threads < 1 || e->fleet.io_threads > 64) {
        fprintf(stderr,
                "usage: bench_echo [--nodes 1..10000] [--rounds 2..%d] [--ipc] [--io-threads 1..64]\n"
                "                  [--coordinator PROGRAM]\n",
                ROUNDS_MAX);
        exit(2);
    }
}

int main(int argc, char **argv) {
    static struct echo e = {.fleet = {.name = "bench_echo", .n_nodes = 100, .n_rounds = 6, .io_threads = 2, .fraction = 1}};
    struct fed_error err;
    struct fed_model model;
    struct rusage usage;
    e.fleet.model = stack;
    fleet_find_coordinator(&e.fleet);
    parse(&e, argc, argv);
    if (fed_seal_setup(&err) != FED_OK || fed_model_init(&model, &stack, &err) != FED_OK) {
        fleet_fail(&e.fleet, "start", err.text);
    }
    fed_log_setup(FED_LOG_TEXT, FED_LOG_WARN);
    calibration_print();
    printf("%zu parameters, %.2f MB\n", model.n_params, (double)model.n_params * sizeof(float) / 1e6);
    fflush(stdout);
    fleet_prepare(&e.fleet);
    fleet_start_coordinator(&e.fleet, false);
    fleet_start_nodes(&e.fleet);
    follow(&e);
    getrusage(RUSAGE_SELF, &usage);
    fleet_stop_nodes(&e.fleet);
    fleet_remove(&e.fleet);
    print_result(&e, (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    return 0;
}
