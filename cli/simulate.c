/* fedavg simulate: a real coordinator and N real nodes on this machine, over the same wire as anywhere. This process only
 * starts them, shows what the coordinator says, and takes them down (cli/simulate/). Here are its options. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/simulate/simulate.h"
#include "common/base/log.h"

#define THREADS_MAX 1024
#define NODE_MEMORY_MAX_MB (1ul << 20)

_Static_assert(FED_SIMULATION_SETS == 64, "as the sentence says");

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

static bool add_set(struct fed_simulation *s, const char *text) {
    if (s->n_sets == FED_SIMULATION_SETS) {
        return fed_cli_wrong_value("fedavg simulate", "--set", text, "64 of them at most");
    }
    s->sets[s->n_sets++] = text;
    return true;
}

/* -1: go on; otherwise the exit code. */
static int parse(struct fed_simulation *s, int argc, char **argv) {
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
        case 's': good = add_set(s, optarg); break;
        case 'd': s->run_dir_flag = optarg; break;
        case 'n': good = parse_count(&s->nodes, "--nodes", optarg, FED_SIMULATION_NODES); break;
        case 't': good = parse_count(&s->threads, "--threads", optarg, THREADS_MAX); break;
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

int fed_cli_simulate(int argc, char **argv) {
    static struct fed_simulation s = {
        .log_level = "warn", .log_format = "text", .threads = 1, .signal_fd = -1, .pipe_fd = -1};
    struct fed_error err = {""};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s.nodes = cores < 1 ? 1 : cores > FED_SIMULATION_NODES ? FED_SIMULATION_NODES : (unsigned long)cores;
    int code = parse(&s, argc, argv);
    if (code >= 0) {
        return code;
    }
    fed_progress_init(&s.progress, s.quiet || s.json, s.json);
    if (geteuid() == 0 && !s.progress.quiet) {
        fprintf(stderr, "fedavg simulate: running as root; a simulation does not need it\n");
    }
    int rc = fed_simulation_prepare(&s, &err);
    if (rc == FED_OK) {
        rc = fed_simulation_supervise(&s, &err);
    }
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
