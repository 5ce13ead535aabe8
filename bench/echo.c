/* The round without the training: a real coordinator process and N nodes on connections of their own, whose clients answer
 * every model at once with a small constant update. What is left is what the system itself costs: sealing, sending,
 * receiving, checking, adding, committing.
 *
 *     bench_echo [--nodes N] [--rounds R] [--ipc] [--io-threads T] [--coordinator PROGRAM]
 *
 * The model is a dense stack of about as many parameters (1.66 million) as the CNN of McMahan et al. 2017. The nodes are
 * threads of this process, each with its own key, session, control and bulk connection and model in memory; they share the
 * machine with the coordinator, so seconds a round hold the work of both sides. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/calibration.h"
#include "client/session.h"
#include "common/base/log.h"
#include "common/config/roster_file.h"
#include "common/model/model.h"
#include "common/seal/key_file.h"

#define ROUNDS_MAX 1000
#define DELTA 1e-3f
#define LARGE 1048576 /* of limits that shall not matter here */

static const struct fed_model_spec stack = {
    .input = {784}, .n_layers = 3, .layers = {{1024, FED_RELU}, {832, FED_RELU}, {10, FED_LINEAR}}};

struct node {
    pthread_t thread;
    struct fed_identity identity;
    struct fed_client_config config;
    struct echo *echo;
    struct fed_error err;
    int rc;
};

struct sample {
    double at;          /* the moment its line came in */
    double cpu_s;       /* of the coordinator, since its start */
    double seconds;     /* as it says */
    double bytes_total; /* down and up */
};

struct echo {
    unsigned long n_nodes, n_rounds, io_threads;
    bool ipc;
    char program[PATH_MAX], dir[64], control[128], bulk[128];
    struct node *nodes;
    struct fed_link *link;
    struct fed_public_keys coordinator_key;
    int stop_fd;
    pid_t pid;
    FILE *lines; /* what the coordinator says */
    struct sample samples[ROUNDS_MAX];
    unsigned long n_samples;
    double peak_mb;
    bool done;
};

static void fail(const char *what, const char *why) {
    fprintf(stderr, "bench_echo: %s: %s\n", what, why);
    exit(1);
}

/* -- the nodes --------------------------------------------------------------------------------------------------------- */

static int answer(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                  uint64_t client, const atomic_bool *cancel) {
    (void)context, (void)params, (void)client, (void)cancel;
    for (size_t i = 0; i < n_params; i++) {
        delta[i] = DELTA;
    }
    *report = (struct fed_sgd_report){.n_examples = 1, .n_steps = 1};
    return FED_OK;
}

static void *run_node(void *arg) {
    struct node *node = arg;
    const struct fed_host_hook hook = {.train = answer};
    const struct fed_session_options options = {.stop_fd = node->echo->stop_fd};
    struct fed_host *host = NULL;
    struct fed_session *session = NULL;
    node->rc = fed_host_new(&host, &node->config, &hook, &node->err);
    if (node->rc == FED_OK) {
        node->rc = fed_session_new(&session, node->echo->link, host, &node->identity, &node->config, &options, &node->err);
    }
    if (node->rc == FED_OK) {
        node->rc = fed_session_run(session, &node->err);
    }
    if (node->rc != FED_EINTERRUPTED) {
        fail("a node ended early", node->err.text);
    }
    fed_session_free(session);
    fed_host_free(host);
    return NULL;
}

/* A node has two lanes, and a worker's descriptor besides; a link reserves for one lane a peer and little more. */
static void start_nodes(struct echo *e) {
    struct fed_error err;
    if (fed_link_new(&e->link, (int)e->io_threads, (int)(4 * e->n_nodes), NULL, &err) != FED_OK) {
        fail("link", err.text);
    }
    e->stop_fd = eventfd(0, EFD_NONBLOCK);
    for (unsigned long i = 0; i < e->n_nodes; i++) {
        struct node *node = &e->nodes[i];
        node->echo = e;
        node->config = (struct fed_client_config){
            .path = (char[]){"bench"},
            .key = (char[]){"bench"},
            .coordinator = e->control,
            .bulk = e->bulk,
            .coordinator_key = e->coordinator_key,
            .first_client = i,
            .n_clients = 1,
            .workers = 1,
            .limits = {.max_model_mb = LARGE, .max_epochs = 1, .max_train_s = 3600, .memory_mb = LARGE}};
        if (pthread_create(&node->thread, NULL, run_node, node) != 0) {
            fail("a node's thread", strerror(errno));
        }
    }
}

static void stop_nodes(struct echo *e) {
    uint64_t one = 1;
    if (write(e->stop_fd, &one, sizeof one) != (ssize_t)sizeof one) {
        fail("stop", strerror(errno));
    }
    for (unsigned long i = 0; i < e->n_nodes; i++) {
        pthread_join(e->nodes[i].thread, NULL);
        fed_identity_fini(&e->nodes[i].identity);
    }
    fed_link_free(e->link);
    close(e->stop_fd);
    free(e->nodes);
}

/* -- the coordinator --------------------------------------------------------------------------------------------------- */

/* A port that nobody uses at this moment. */
static unsigned free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, n) != 0 || getsockname(fd, (struct sockaddr *)&address, &n) != 0) {
        fail("a free port", strerror(errno));
    }
    close(fd);
    return ntohs(address.sin_port);
}

static void name_endpoints(struct echo *e) {
    if (e->ipc) {
        snprintf(e->control, sizeof e->control, "ipc://%s/control", e->dir);
        snprintf(e->bulk, sizeof e->bulk, "ipc://%s/bulk", e->dir);
    } else {
        snprintf(e->control, sizeof e->control, "tcp://127.0.0.1:%u", free_port());
        snprintf(e->bulk, sizeof e->bulk, "tcp://127.0.0.1:%u", free_port());
    }
}

static void write_task(const struct echo *e) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/task.yaml", e->dir);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fail(path, strerror(errno));
    }
    fprintf(file, "schema: 1\nname: echo\nseed: 1\nmodel:\n  input: %u\n  layers:\n", stack.input.channels);
    for (uint32_t i = 0; i < stack.n_layers; i++) {
        bool last = i + 1 == stack.n_layers;
        fprintf(file, "    - {units: %u%s%s}\n", stack.layers[i].units,
                last ? "" : ", activation: ", last ? "" : fed_activation_name(stack.layers[i].activation));
    }
    fprintf(
        file,
        "algorithm: {kind: fedavg, rounds: %lu, fraction: 1, epochs: 1, batch_size: 1, learning_rate: 0.1, max_weight: 1}\n"
        "round: {min_reports: 1, deadline_s: 600}\n"
        "server: {control: \"%s\", bulk: \"%s\"}\n",
        e->n_rounds, e->control, e->bulk);
    if (fclose(file) != 0) {
        fail(path, strerror(errno));
    }
}

/* Keys of all, the roster, and the task; node i hosts client i. */
static void write_files(struct echo *e) {
    char path[PATH_MAX];
    struct fed_error err;
    struct fed_identity coordinator;
    struct fed_roster_file roster = {calloc(e->n_nodes, sizeof *roster.entries), e->n_nodes};
    snprintf(path, sizeof path, "%s/coordinator.key", e->dir);
    if (roster.entries == NULL || fed_identity_create(&coordinator, path, NULL, &err) != FED_OK) {
        fail(path, err.text);
    }
    e->coordinator_key = coordinator.public_keys;
    fed_identity_fini(&coordinator);
    for (unsigned long i = 0; i < e->n_nodes; i++) {
        struct fed_roster_entry *entry = &roster.entries[i];
        if (fed_identity_generate(&e->nodes[i].identity, &err) != FED_OK) {
            fail("a key", err.text);
        }
        snprintf(entry->name, sizeof entry->name, "node-%lu", i);
        entry->keys = e->nodes[i].identity.public_keys;
        entry->first_client = i;
        entry->n_clients = 1;
    }
    snprintf(path, sizeof path, "%s/roster", e->dir);
    if (fed_roster_file_save(&roster, path, &err) != FED_OK) {
        fail(path, err.text);
    }
    fed_roster_file_fini(&roster);
    write_task(e);
}

static void start_coordinator(struct echo *e) {
    char task[PATH_MAX], run[PATH_MAX];
    int ends[2];
    snprintf(task, sizeof task, "%s/task.yaml", e->dir);
    snprintf(run, sizeof run, "%s/run", e->dir);
    if (pipe(ends) != 0 || (e->pid = fork()) < 0) {
        fail("the coordinator", strerror(errno));
    }
    if (e->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(e->program, e->program, task, "--run-dir", run, "--json", "--allow-root", "--log-level", "warn", (char *)NULL);
        fprintf(stderr, "bench_echo: %s: %s\n", e->program, strerror(errno));
        _exit(1);
    }
    close(ends[1]);
    e->lines = fdopen(ends[0], "r");
}

/* -- measuring --------------------------------------------------------------------------------------------------------- */

/* The start of a file of /proc/PID; empty if there is none. */
static void read_proc(char out[1024], const struct echo *e, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)e->pid, name);
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
        fail("a round was abandoned", line);
    }
    e->done = e->done || (kind != NULL && strcmp(kind, "done") == 0);
    json_decref(event);
}

static void follow(struct echo *e) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, e->lines) > 0) {
        hear_line(e, line);
    }
    free(line);
    fclose(e->lines);
    int status;
    waitpid(e->pid, &status, 0);
    if (!e->done || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail("the coordinator", "did not finish; see its last words above");
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
           e->n_nodes, e->ipc ? "ipc" : "tcp", median, wall[0], n, (last->cpu_s - first->cpu_s) / n, e->peak_mb,
           own_cpu / (n + 1), bytes / 1e6, bytes / 1e6 / median);
}

/* -- start ------------------------------------------------------------------------------------------------------------- */

static void remove_dir(const char *dir) {
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

static void find_coordinator(struct echo *e) {
    ssize_t n = readlink("/proc/self/exe", e->program, sizeof e->program - 1);
    char *slash = n > 0 ? memrchr(e->program, '/', (size_t)n) : NULL;
    if (slash == NULL) {
        fail("/proc/self/exe", strerror(errno));
    }
    snprintf(slash, (size_t)(e->program + sizeof e->program - slash), "/../bin/fedavg-coordinator");
}

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
        case 'n': e->n_nodes = strtoul(optarg, NULL, 10); break;
        case 'r': e->n_rounds = strtoul(optarg, NULL, 10); break;
        case 't': e->io_threads = strtoul(optarg, NULL, 10); break;
        case 'c': snprintf(e->program, sizeof e->program, "%s", optarg); break;
        case 'i': e->ipc = true; break;
        default: good = false; break;
        }
    }
    if (!good || optind != argc || e->n_nodes < 1 || e->n_nodes > 10000 || e->n_rounds < 2 || e->n_rounds > ROUNDS_MAX ||
        e->io_threads < 1 || e->io_threads > 64) {
        fprintf(stderr,
                "usage: bench_echo [--nodes 1..10000] [--rounds 2..%d] [--ipc] [--io-threads 1..64]\n"
                "                  [--coordinator PROGRAM]\n",
                ROUNDS_MAX);
        exit(2);
    }
}

int main(int argc, char **argv) {
    static struct echo e = {.n_nodes = 100, .n_rounds = 6, .io_threads = 2, .dir = "/tmp/fedavg-echo.XXXXXX"};
    struct fed_error err;
    struct fed_model model;
    struct rusage usage;
    find_coordinator(&e);
    parse(&e, argc, argv);
    if (fed_seal_setup(&err) != FED_OK || fed_model_init(&model, &stack, &err) != FED_OK) {
        fail("start", err.text);
    }
    e.nodes = calloc(e.n_nodes, sizeof *e.nodes);
    if (e.nodes == NULL || mkdtemp(e.dir) == NULL) {
        fail("start", strerror(errno));
    }
    fed_log_setup(FED_LOG_TEXT, FED_LOG_WARN);
    calibration_print();
    printf("%zu parameters, %.2f MB\n", model.n_params, (double)model.n_params * sizeof(float) / 1e6);
    fflush(stdout);
    name_endpoints(&e);
    write_files(&e);
    start_coordinator(&e);
    start_nodes(&e);
    follow(&e);
    getrusage(RUSAGE_SELF, &usage);
    stop_nodes(&e);
    remove_dir(e.dir);
    print_result(&e, (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    return 0;
}
