/* fedavg simulate: a real coordinator and N real nodes on this machine, over the same wire as anywhere. This process only
 * starts them, shows what the coordinator says, and takes them down. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/simulate/children.h"
#include "cli/simulate/progress.h"
#include "cli/simulate/sandbox.h"
#include "cli/wait.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/config/task.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/seal/keys.h"

#define SETS_MAX 64
#define NODES_MAX 256
#define NODE_MEMORY_MAX_MB (1ul << 20)
#define RESTARTS_MAX 3
#define LINE_MAX_BYTES 65536

static const char usage[] =
    "fedavg simulate TASK.yaml [--set key=value]... [--run-dir DIR] [--nodes N] [--threads T]\n"
    "                       [--node-memory MB] [--address tcp://HOST:PORT --launcher COMMAND]\n"
    "                       [--json] [--quiet] [--log-level error|warn|info|debug] [--log-format text|json]\n"
    "\n"
    "Runs the whole federation on this machine: one coordinator, N node processes (default: one a core) of T workers\n"
    "each (default: 1), together hosting every client of the task's partition. Ends at the last round or at\n"
    "target_accuracy; started again, it goes on where it was.\n"
    "\n"
    "  --address  where nodes on other hosts find this one; it listens on that port and the next\n"
    "  --launcher what starts a node, its words followed by a program and its arguments: srun, ssh, a script\n"
    "  --json     stdout holds one JSON object a line and nothing else\n"
    "  --quiet    no progress, only the result\n"
    "\n"
    "The first Ctrl-C finishes the round, the second stops at once. See fedavg-simulate(1).\n";

struct simulation {
    const char *task_path;
    const char *sets[SETS_MAX];
    size_t n_sets;
    const char *run_dir_flag, *log_level, *log_format;
    unsigned long nodes, threads, node_memory_mb;
    const char *address, *launcher; /* NULL: all on this host */
    bool json, quiet;

    struct fed_task task;
    char run_dir[PATH_MAX];
    bool made_run_dir;
    struct fed_sandbox sandbox;
    struct fed_progress progress;
    struct fed_busy *wait; /* until the coordinator says its first word */
    char bin[PATH_MAX];    /* folder of the programs */
    struct fed_child coordinator, node[NODES_MAX];
    bool nodes_started;
    int signal_fd, pipe_fd; /* pipe_fd: the coordinator's stdout */
    char line[LINE_MAX_BYTES];
    size_t n_line;
    unsigned interrupts;
};

/* -- children -------------------------------------------------------------------------------------------------------------
 */

static int start_coordinator(struct simulation *s, struct fed_error *err) {
    char roster[FED_SANDBOX_PATH], key[FED_SANDBOX_PATH], own[4][FED_SANDBOX_PATH + 32];
    const char *names[] = {"server.control", "server.bulk", "server.roster", "server.key"};
    const char *values[] = {s->sandbox.control, s->sandbox.bulk, roster, key};
    const char *arguments[2 * SETS_MAX + 48];
    size_t n = 0;
    int ends[2];
    arguments[n++] = "fedavg-coordinator";
    arguments[n++] = s->task_path;
    arguments[n++] = "--allow-root";
    arguments[n++] = "--json";
    arguments[n++] = "--any-http-port"; /* several simulations of one task may run at a time */
    arguments[n++] = "--run-dir";
    arguments[n++] = s->run_dir;
    arguments[n++] = "--log-level";
    arguments[n++] = s->log_level;
    arguments[n++] = "--log-format";
    arguments[n++] = s->log_format;
    for (size_t i = 0; i < s->n_sets; i++) {
        arguments[n++] = "--set";
        arguments[n++] = s->sets[i];
    }
    fed_sandbox_path(roster, &s->sandbox, "roster");
    fed_sandbox_path(key, &s->sandbox, "coordinator.key");
    for (size_t i = 0; i < 4; i++) {
        snprintf(own[i], sizeof own[i], "%s=%s", names[i], values[i]);
        arguments[n++] = "--set";
        arguments[n++] = own[i];
    }
    arguments[n++] = "--set"; /* its keys are ours, and so is it */
    arguments[n++] = "server.user=null";
    arguments[n++] = "--set"; /* and nobody else joins it */
    arguments[n++] = "server.enrol=null";
    arguments[n++] = "--set";
    arguments[n++] = "server.enrolment_key=null";
    if (!s->task.round.min_reports_given) { /* nobody is far away: wait for all, and the result is a function of the seed */
        arguments[n++] = "--set";
        arguments[n++] = "round.min_reports=1";
    }
    if (!s->task.round.max_attempts_given) { /* nobody mends anything meanwhile */
        arguments[n++] = "--set";
        arguments[n++] = "round.max_attempts=10";
    }
    if (!s->task.hygiene.quarantine_after_given) { /* a task that does not work is to fail soon, and with its own reason */
        arguments[n++] = "--set";
        arguments[n++] = "hygiene.quarantine_after=0";
    }
    arguments[n] = NULL;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return fed_error_set(err, FED_EFAILED, "pipe: %s", strerror(errno));
    }
    s->coordinator.pid =
        fed_child_start(&(struct fed_start){.dir = s->bin, .arguments = (char *const *)arguments, .out_fd = ends[1]});
    close(ends[1]);
    if (s->pipe_fd >= 0) {
        close(s->pipe_fd);
    }
    s->pipe_fd = ends[0];
    s->n_line = 0;
    s->progress.started = false;
    return s->coordinator.pid > 0 ? FED_OK : fed_error_set(err, FED_EFAILED, "fork: %s", strerror(errno));
}

static int start_node(struct simulation *s, uint32_t i, struct fed_error *err) {
    char path[FED_SANDBOX_PATH];
    fed_sandbox_client_path(path, &s->sandbox, i);
    const char *arguments[] = {"fedavg-client", path,           "--allow-root", "--one-run", "--log-level",
                               s->log_level,    "--log-format", s->log_format,  NULL};
    s->node[i].pid = fed_child_start(&(struct fed_start){
        .dir = s->bin, .arguments = (char *const *)arguments, .out_fd = -1, .launcher = s->launcher, .number = i});
    return s->node[i].pid > 0 ? FED_OK : fed_error_set(err, FED_EFAILED, "fork: %s", strerror(errno));
}

/* Not before the coordinator has judged the task and its data: what is wrong with them is then said once. */
static int start_nodes(struct simulation *s, struct fed_error *err) {
    int rc = FED_OK;
    for (uint32_t i = 0; rc == FED_OK && i < s->nodes; i++) {
        rc = start_node(s, i, err);
    }
    s->nodes_started = rc == FED_OK;
    return rc;
}

static void describe_end(char out[64], int status) {
    if (WIFSIGNALED(status)) {
        snprintf(out, 64, "was killed by signal %d", WTERMSIG(status));
    } else {
        snprintf(out, 64, "ended with exit code %d", WEXITSTATUS(status));
    }
}

/* A child that ended although it should not have: again, three times at most; but not when it has said what is wrong and
 * would say it again. */
static int restart(struct simulation *s, const char *name, struct fed_child *child, int status, uint32_t node,
                   struct fed_error *err) {
    char how[64];
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    fed_progress_break(&s->progress);
    if ((code >= fed_status_exit_code(FED_ECONFIG) && code < fed_status_exit_code(FED_EIO)) ||
        code == fed_status_exit_code(FED_EGIVENUP)) {
        err->text[0] = '\0';
        return -code;
    }
    describe_end(how, status);
    if (child->restarts++ >= RESTARTS_MAX) {
        return fed_error_set(err, FED_EFAILED, "%s %s for the %uth time; see its last words above", name, how,
                             child->restarts);
    }
    fprintf(stderr, "fedavg simulate: %s %s; starting it again (%u of %d)\n", name, how, child->restarts, RESTARTS_MAX);
    return child == &s->coordinator ? start_coordinator(s, err) : start_node(s, node, err);
}

/* -- the coordinator's lines ----------------------------------------------------------------------------------------------
 */

static void stop_waiting(struct simulation *s) {
    fed_wait_end(s->wait);
    s->wait = NULL;
}

static void read_lines(struct simulation *s) {
    ssize_t n = read(s->pipe_fd, s->line + s->n_line, sizeof s->line - s->n_line);
    if (n <= 0) {
        close(s->pipe_fd);
        s->pipe_fd = -1;
        return;
    }
    s->n_line += (size_t)n;
    char *end;
    while ((end = memchr(s->line, '\n', s->n_line)) != NULL) {
        size_t length = (size_t)(end - s->line);
        stop_waiting(s);
        fed_progress_event(&s->progress, s->line, length);
        s->n_line -= length + 1;
        memmove(s->line, end + 1, s->n_line);
    }
    if (s->n_line == sizeof s->line) {
        s->n_line = 0; /* no event is that long */
    }
}

/* What the coordinator's end means: 0 = done; FED_EAGAIN = it was started again. */
static int coordinator_ended(struct simulation *s, int status, struct fed_error *err) {
    while (s->pipe_fd >= 0) { /* its last words */
        read_lines(s);
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == 0) {
        return FED_OK;
    }
    if (code == fed_status_exit_code(FED_EINTERRUPTED) || s->interrupts > 0) {
        return fed_error_set(err, FED_EINTERRUPTED, "stopped; start the same command again to go on");
    }
    if (code > 0 && !s->progress.started) { /* it has said why it cannot start, and would say it again */
        err->text[0] = '\0';
        return -code;
    }
    int rc = restart(s, "the coordinator", &s->coordinator, status, 0, err);
    return rc == FED_OK ? FED_EAGAIN : rc;
}

static int node_ended(struct simulation *s, uint32_t i, int status, struct fed_error *err) {
    char name[32];
    struct pollfd said = {.fd = s->pipe_fd, .events = POLLIN};
    snprintf(name, sizeof name, "node-%u", i);
    while (s->pipe_fd >= 0 && poll(&said, 1, 0) > 0) { /* the coordinator's end is what nodes leave for */
        read_lines(s);
    }
    return s->progress.done && status == 0 ? FED_OK : restart(s, name, &s->node[i], status, i, err);
}

static int reap(struct simulation *s, struct fed_error *err) {
    int status, rc = FED_EAGAIN;
    for (pid_t pid; rc == FED_EAGAIN && (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == s->coordinator.pid) {
            s->coordinator.pid = 0;
            rc = coordinator_ended(s, status, err);
            continue;
        }
        for (uint32_t i = 0; i < s->sandbox.n_nodes; i++) {
            if (pid == s->node[i].pid) {
                s->node[i].pid = 0;
                int again = node_ended(s, i, status, err);
                rc = again == FED_OK ? FED_EAGAIN : again;
            }
        }
    }
    return rc;
}

static void hear_interrupt(struct simulation *s) {
    fed_progress_break(&s->progress);
    if (++s->interrupts == 1) {
        fprintf(stderr, "fedavg simulate: finishing the round; Ctrl-C again stops at once\n");
        kill(s->coordinator.pid, SIGUSR1);
    } else {
        kill(s->coordinator.pid, SIGTERM);
    }
}

static int supervise(struct simulation *s, struct fed_error *err) {
    for (;;) {
        struct pollfd ready[] = {{.fd = s->signal_fd, .events = POLLIN}, {.fd = s->pipe_fd, .events = POLLIN}};
        if (poll(ready, 2, -1) < 0 && errno != EINTR) {
            return fed_error_set(err, FED_EFAILED, "poll: %s", strerror(errno));
        }
        if (ready[1].revents != 0 && s->pipe_fd >= 0) {
            read_lines(s);
        }
        struct signalfd_siginfo info;
        while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
            if (info.ssi_signo == SIGINT) {
                hear_interrupt(s);
            } else if (info.ssi_signo == SIGTERM) {
                s->interrupts = 2;
                kill(s->coordinator.pid, SIGTERM);
            }
        }
        int rc = reap(s, err);
        if (rc == FED_EAGAIN && s->progress.started && !s->nodes_started) {
            rc = start_nodes(s, err);
            rc = rc == FED_OK ? FED_EAGAIN : rc;
        }
        if (rc != FED_EAGAIN) {
            return rc;
        }
    }
}

/* -- start ----------------------------------------------------------------------------------------------------------------
 */

static bool parse_count(unsigned long *out, const char *option, const char *text, unsigned long most) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value < 1 || value > most) {
        char expected[64];
        snprintf(expected, sizeof expected, "a number from 1 to %lu", most);
        return fed_cli_wrong_value("fedavg simulate", option, text, expected);
    }
    *out = value;
    return true;
}

/* -1: go on; otherwise the exit code. */
static int parse(struct simulation *s, int argc, char **argv) {
    static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                            {"run-dir", required_argument, NULL, 'd'},
                                            {"nodes", required_argument, NULL, 'n'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"node-memory", required_argument, NULL, 'm'},
                                            {"address", required_argument, NULL, 'a'},
                                            {"launcher", required_argument, NULL, 'L'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"log-level", required_argument, NULL, 'l'},
                                            {"log-format", required_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    enum fed_log_format format;
    enum fed_log_level level;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case 's':
            good = s->n_sets < SETS_MAX;
            if (good) {
                s->sets[s->n_sets++] = optarg;
            }
            break;
        case 'd': s->run_dir_flag = optarg; break;
        case 'n': good = parse_count(&s->nodes, "--nodes", optarg, NODES_MAX); break;
        case 't': good = parse_count(&s->threads, "--threads", optarg, 1024); break;
        case 'm': good = parse_count(&s->node_memory_mb, "--node-memory", optarg, NODE_MEMORY_MAX_MB); break;
        case 'a': s->address = optarg; break;
        case 'L': s->launcher = optarg; break;
        case 'j': s->json = true; break;
        case 'q': s->quiet = true; break;
        case 'l':
            good = fed_log_parse_level(&level, optarg) == FED_OK ||
                   fed_cli_wrong_value("fedavg simulate", "--log-level", optarg, "error, warn, info or debug");
            s->log_level = optarg;
            break;
        case 'f':
            good = fed_log_parse_format(&format, optarg) == FED_OK ||
                   fed_cli_wrong_value("fedavg simulate", "--log-format", optarg, "text or json");
            s->log_format = optarg;
            break;
        case 'h': return fed_cli_help(usage);
        default: good = false; break;
        }
        if (!good) {
            return fed_cli_misused(usage);
        }
    }
    if (fed_cli_wrong_words(argc, argv, 1, 1, "TASK.yaml")) {
        return fed_cli_misused(usage);
    }
    s->task_path = argv[optind];
    return -1;
}

static int find_programs(struct simulation *s, struct fed_error *err) {
    ssize_t n = readlink("/proc/self/exe", s->bin, sizeof s->bin - 1);
    char *slash = n > 0 ? memrchr(s->bin, '/', (size_t)n) : NULL;
    if (slash == NULL) {
        return fed_error_set(err, FED_EFAILED, "the programs beside this one cannot be found: %s", strerror(errno));
    }
    *slash = '\0';
    return FED_OK;
}

static int name_run_dir(struct simulation *s, struct fed_error *err) {
    char relative[FED_NAME_MAX + 8];
    snprintf(relative, sizeof relative, "runs/%s", s->task.name);
    const char *dir = s->run_dir_flag != NULL ? s->run_dir_flag : relative;
    s->made_run_dir = access(dir, F_OK) != 0;
    int rc = fed_file_make_dirs(dir, err);
    if (rc != FED_OK) {
        return rc;
    }
    return realpath(dir, s->run_dir) != NULL ? FED_OK : fed_error_set(err, FED_EIO, "%s: %s", dir, strerror(errno));
}

static int check_task(const struct simulation *s, struct fed_error *err) {
    if (s->task.partition.kind == FED_PARTITION_NONE || !fed_data_source_has_train(&s->task.data)) {
        return fed_error_set(err, FED_ECONFIG, "%s: data.train and data.partition are needed to simulate clients",
                             s->task_path);
    }
    return FED_OK;
}

/* With kind: natural the data may say how many clients there are, and the roster has to name them. */
static int count_clients(struct simulation *s, struct fed_error *err) {
    struct fed_dataset data = {0};
    if (s->task.partition.clients > 0) {
        return FED_OK;
    }
    struct fed_busy *wait = fed_wait_begin(s->quiet, "reading %s", fed_data_source_train_path(&s->task.data));
    int rc = fed_dataset_load(&data, &s->task.data, FED_DATA_TRAIN, err);
    if (rc == FED_OK) {
        rc = fed_partition_clients(&s->task.partition.clients, &data, &s->task.partition, err);
    }
    fed_wait_end(wait);
    fed_dataset_fini(&data);
    return rc;
}

static int open_signals(struct simulation *s, struct fed_error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signal_fd >= 0 ? FED_OK : fed_error_set(err, FED_EFAILED, "signalfd: %s", strerror(errno));
}

static int run(struct simulation *s, struct fed_error *err) {
    int rc = fed_task_load(&s->task, s->task_path, s->sets, s->n_sets, err);
    if (rc == FED_OK) {
        rc = check_task(s, err);
    }
    if (rc == FED_OK) {
        rc = count_clients(s, err);
    }
    if (rc == FED_OK) {
        rc = fed_seal_setup(err);
    }
    if (rc == FED_OK) {
        rc = find_programs(s, err);
    }
    if (rc == FED_OK) {
        rc = name_run_dir(s, err);
    }
    if (rc == FED_OK) {
        rc = fed_sandbox_new(&s->sandbox, s->run_dir, &s->task,
                             &(struct fed_sandbox_nodes){.n = (uint32_t)s->nodes,
                                                         .threads = (uint32_t)s->threads,
                                                         .memory_mb = s->node_memory_mb,
                                                         .address = s->address},
                             err);
    }
    if (rc == FED_OK) {
        rc = open_signals(s, err);
    }
    if (rc == FED_OK) {
        rc = start_coordinator(s, err);
    }
    if (rc == FED_OK) {
        s->wait = fed_wait_begin(s->quiet, "the coordinator reads the data and makes ready");
        rc = supervise(s, err);
        stop_waiting(s);
    }
    return rc;
}

int fed_cli_simulate(int argc, char **argv) {
    static struct simulation s = {.log_level = "warn", .log_format = "text", .threads = 1, .signal_fd = -1, .pipe_fd = -1};
    struct fed_error err = {""};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s.nodes = cores < 1 ? 1 : cores > NODES_MAX ? NODES_MAX : (unsigned long)cores;
    int code = parse(&s, argc, argv);
    if (code >= 0) {
        return code;
    }
    fed_progress_init(&s.progress, s.quiet || s.json, s.json);
    if (geteuid() == 0 && !s.progress.quiet) {
        fprintf(stderr, "fedavg simulate: running as root; a simulation does not need it\n");
    }
    int rc = run(&s, &err);
    fed_children_stop(s.node, s.sandbox.n_nodes, s.launcher != NULL, rc == FED_OK);
    fed_children_stop(&s.coordinator, 1, false, false);
    fed_sandbox_remove(&s.sandbox);
    if (rc != FED_OK && s.made_run_dir) {
        rmdir(s.run_dir); /* goes only while nothing of a run is in it */
    }
    fed_task_fini(&s.task);
    fed_progress_break(&s.progress);
    if (rc == FED_OK) {
        fed_progress_summary(&s.progress);
        return 0;
    }
    return err.text[0] != '\0' ? fed_cli_fail("fedavg simulate", rc, &err) : fed_status_exit_code(rc);
}
