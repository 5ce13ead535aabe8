#include "bench/fleet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/config/roster_file.h"
#include "common/seal/key_file.h"

#define DELTA 1e-3f
#define HOLD_US 10000
#define LARGE 1048576 /* of limits that shall not matter here */

struct fleet_node {
    pthread_t thread;
    struct fed_identity identity;
    struct fed_client_config config;
    struct fleet *fleet;
    struct fed_error err;
    int rc;
};

void fleet_fail(const struct fleet *f, const char *what, const char *why) {
    fprintf(f->complaints != NULL ? f->complaints : stderr, "%s: %s: %s\n", f->name, what, why);
    exit(1);
}

/* -- the nodes --------------------------------------------------------------------------------------------------------- */

static int answer(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                  uint64_t client, const atomic_bool *cancel) {
    const struct fleet *f = context;
    (void)params, (void)client;
    while (f->hold != NULL && atomic_load(f->hold) && !atomic_load(cancel)) {
        usleep(HOLD_US);
    }
    for (size_t i = 0; i < n_params; i++) {
        delta[i] = DELTA;
    }
    *report = (struct fed_sgd_report){.n_examples = 1, .n_steps = 1};
    return FED_OK;
}

static void *run_node(void *arg) {
    struct fleet_node *node = arg;
    const struct fed_host_hook hook = {.context = node->fleet, .train = answer};
    const struct fed_session_options options = {.stop_fd = node->fleet->stop_fd};
    struct fed_host *host = NULL;
    struct fed_session *session = NULL;
    node->rc = fed_host_new(&host, &node->config, &hook, &node->err);
    if (node->rc == FED_OK) {
        node->rc = fed_session_new(&session, node->fleet->link, host, &node->identity, &node->config, &options, &node->err);
    }
    if (node->rc == FED_OK) {
        node->rc = fed_session_run(session, &node->err);
    }
    if (node->rc != FED_EINTERRUPTED) {
        fleet_fail(node->fleet, "a node ended early", node->err.text);
    }
    fed_session_free(session);
    fed_host_free(host);
    return NULL;
}

static bool is_here(const struct fleet *f, unsigned long node) { return f->absent == NULL || !f->absent[node]; }

const struct fed_identity *fleet_identity(const struct fleet *f, unsigned long node) { return &f->nodes[node].identity; }

/* A node has two lanes, and a worker's descriptor besides; a link reserves for one lane a peer and little more. */
void fleet_start_nodes(struct fleet *f) {
    struct fed_error err;
    unsigned long n_present = 0;
    for (unsigned long i = 0; i < f->n_nodes; i++) {
        n_present += is_here(f, i);
    }
    if (fed_link_new(&f->link, (int)f->io_threads, (int)(4 * n_present), NULL, &err) != FED_OK) {
        fleet_fail(f, "link", err.text);
    }
    f->stop_fd = eventfd(0, EFD_NONBLOCK);
    for (unsigned long i = 0; i < f->n_nodes; i++) {
        struct fleet_node *node = &f->nodes[i];
        node->fleet = f;
        node->config = (struct fed_client_config){
            .path = (char[]){"bench"},
            .key = (char[]){"bench"},
            .coordinator = f->control,
            .bulk = f->bulk,
            .coordinator_key = f->coordinator_key,
            .first_client = i,
            .n_clients = 1,
            .workers = 1,
            .limits = {.max_model_mb = LARGE, .max_epochs = 1, .max_train_s = 3600, .memory_mb = LARGE}};
        if (is_here(f, i) && pthread_create(&node->thread, NULL, run_node, node) != 0) {
            fleet_fail(f, "a node's thread", strerror(errno));
        }
    }
}

void fleet_stop_nodes(struct fleet *f) {
    uint64_t one = 1;
    if (write(f->stop_fd, &one, sizeof one) != (ssize_t)sizeof one) {
        fleet_fail(f, "stop", strerror(errno));
    }
    for (unsigned long i = 0; i < f->n_nodes; i++) {
        if (is_here(f, i)) {
            pthread_join(f->nodes[i].thread, NULL);
        }
        fed_identity_fini(&f->nodes[i].identity);
    }
    fed_link_free(f->link);
    close(f->stop_fd);
    free(f->nodes);
}

/* -- the coordinator --------------------------------------------------------------------------------------------------- */

/* A port that nobody uses at this moment. */
static unsigned free_port(const struct fleet *f) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, n) != 0 || getsockname(fd, (struct sockaddr *)&address, &n) != 0) {
        fleet_fail(f, "a free port", strerror(errno));
    }
    close(fd);
    return ntohs(address.sin_port);
}

static void name_endpoints(struct fleet *f) {
    if (f->ipc) {
        snprintf(f->control, sizeof f->control, "ipc://%s/control", f->dir);
        snprintf(f->bulk, sizeof f->bulk, "ipc://%s/bulk", f->dir);
    } else {
        f->control_port = free_port(f);
        snprintf(f->control, sizeof f->control, "tcp://127.0.0.1:%u", f->control_port);
        snprintf(f->bulk, sizeof f->bulk, "tcp://127.0.0.1:%u", free_port(f));
    }
}

static void write_task(const struct fleet *f) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/task.yaml", f->dir);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fleet_fail(f, path, strerror(errno));
    }
    fprintf(file, "schema: 1\nname: echo\nseed: 1\nmodel:\n  input: %u\n  layers:\n", f->model.input.channels);
    for (uint32_t i = 0; i < f->model.n_layers; i++) {
        bool last = i + 1 == f->model.n_layers;
        fprintf(file, "    - {units: %u%s%s}\n", f->model.layers[i].units,
                last ? "" : ", activation: ", last ? "" : fed_activation_name(f->model.layers[i].activation));
    }
    fprintf(
        file,
        "algorithm: {kind: fedavg, rounds: %lu, fraction: %g, epochs: 1, batch_size: 1, learning_rate: 0.1, max_weight: 1}\n"
        "round: {min_reports: 1, deadline_s: 600}\n"
        "server: {control: \"%s\", bulk: \"%s\"}\n",
        f->n_rounds, f->fraction, f->control, f->bulk);
    if (fclose(file) != 0) {
        fleet_fail(f, path, strerror(errno));
    }
}

/* Keys of all, the roster, and the task; node i hosts client i. */
static void write_files(struct fleet *f) {
    char path[PATH_MAX];
    struct fed_error err;
    struct fed_identity coordinator;
    struct fed_roster_file roster = {calloc(f->n_nodes, sizeof *roster.entries), f->n_nodes};
    snprintf(path, sizeof path, "%s/coordinator.key", f->dir);
    if (roster.entries == NULL || fed_identity_create(&coordinator, path, NULL, &err) != FED_OK) {
        fleet_fail(f, path, err.text);
    }
    f->coordinator_key = coordinator.public_keys;
    fed_identity_fini(&coordinator);
    for (unsigned long i = 0; i < f->n_nodes; i++) {
        struct fed_roster_entry *entry = &roster.entries[i];
        if (fed_identity_generate(&f->nodes[i].identity, &err) != FED_OK) {
            fleet_fail(f, "a key", err.text);
        }
        snprintf(entry->name, sizeof entry->name, "node-%lu", i);
        entry->keys = f->nodes[i].identity.public_keys;
        entry->first_client = i;
        entry->n_clients = 1;
    }
    snprintf(path, sizeof path, "%s/roster", f->dir);
    if (fed_roster_file_save(&roster, path, &err) != FED_OK) {
        fleet_fail(f, path, err.text);
    }
    fed_roster_file_fini(&roster);
    write_task(f);
}

void fleet_start_coordinator(struct fleet *f, bool log) {
    char task[PATH_MAX], run[PATH_MAX];
    int ends[2];
    snprintf(task, sizeof task, "%s/task.yaml", f->dir);
    snprintf(run, sizeof run, "%s/run", f->dir);
    if (pipe(ends) != 0 || (f->pid = fork()) < 0) {
        fleet_fail(f, "the coordinator", strerror(errno));
    }
    if (f->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], log ? STDERR_FILENO : STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(f->program, f->program, task, "--run-dir", run, log ? "--log-format=text" : "--json", "--allow-root",
              "--log-level", log ? "info" : "warn", (char *)NULL);
        fprintf(stderr, "%s: %s: %s\n", f->name, f->program, strerror(errno));
        _exit(1);
    }
    close(ends[1]);
    f->lines = fdopen(ends[0], "r");
}

void fleet_remove(struct fleet *f) {
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", f->dir, (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

void fleet_find_coordinator(struct fleet *f) {
    ssize_t n = readlink("/proc/self/exe", f->program, sizeof f->program - 1);
    char *slash = n > 0 ? memrchr(f->program, '/', (size_t)n) : NULL;
    if (slash == NULL) {
        fleet_fail(f, "/proc/self/exe", strerror(errno));
    }
    snprintf(slash, (size_t)(f->program + sizeof f->program - slash), "/../bin/fedavg-coordinator");
}

void fleet_prepare(struct fleet *f) {
    strcpy(f->dir, "/tmp/fedavg-fleet.XXXXXX");
    f->nodes = calloc(f->n_nodes, sizeof *f->nodes);
    if (f->nodes == NULL || mkdtemp(f->dir) == NULL) {
        fleet_fail(f, "start", strerror(errno));
    }
    name_endpoints(f);
    write_files(f);
}
