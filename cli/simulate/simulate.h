/* A simulation: a coordinator and its nodes, processes of this one's, and what this one knows of them. prepare.c: what is
 * needed before anybody starts. start.c: the programs and their arguments. supervise.c: what is heard of them until the end.
 * children.h: one process. sandbox.h: keys, roster, sockets. progress.h: what a person sees. */
#ifndef FED_CLI_SIMULATE_SIMULATE_H
#define FED_CLI_SIMULATE_SIMULATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/simulate/children.h"
#include "cli/simulate/progress.h"
#include "cli/simulate/sandbox.h"
#include "cli/wait.h"
#include "common/base/status.h"
#include "common/config/task.h"

#define FED_SIMULATION_SETS 64
#define FED_SIMULATION_NODES 256
#define FED_SIMULATION_LINE 65536 /* bytes: no event of the coordinator is that long */

struct fed_simulation {
    /* the options */
    const char *task_path;
    const char *sets[FED_SIMULATION_SETS];
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
    struct fed_child coordinator, node[FED_SIMULATION_NODES];
    bool nodes_started;
    int signal_fd, pipe_fd; /* pipe_fd: the coordinator's stdout; -1: closed */
    char line[FED_SIMULATION_LINE];
    size_t n_line;
    unsigned interrupts;
};

/* Reads the task, makes the run directory and the sandbox. FED_ECONFIG, FED_EDATA, FED_EIO, FED_EKEY. */
int fed_simulation_prepare(struct fed_simulation *s, struct fed_error *err) FED_MUST_CHECK;

/* Both with their arguments; FED_EFAILED. The coordinator again where it ran before: what it had said is forgotten. */
int fed_simulation_start_coordinator(struct fed_simulation *s, struct fed_error *err) FED_MUST_CHECK;
int fed_simulation_start_node(struct fed_simulation *s, uint32_t i, struct fed_error *err) FED_MUST_CHECK;

/* Starts all and returns when the run is over, was interrupted (FED_EINTERRUPTED) or cannot go on; children that still run
 * are left to the caller. A failure whose reason was said by a child leaves err empty. */
int fed_simulation_supervise(struct fed_simulation *s, struct fed_error *err) FED_MUST_CHECK;

#endif
