/* The programs of a simulation and their arguments. A task that is meant for hospitals far apart runs here as it is: what
 * does not suit one machine is set over it, what the task does not say suits nodes that are never far away. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/simulate/simulate.h"

#define N_PLACES 4

struct command {
    const char *words[2 * FED_SIMULATION_SETS + 48];
    size_t n;
    char places[N_PLACES][FED_SANDBOX_PATH + 32]; /* settings that name something in the sandbox */
};

static void add(struct command *command, const char *word) {
    assert(command->n + 1 < sizeof command->words / sizeof *command->words);
    command->words[command->n++] = word;
    command->words[command->n] = NULL;
}

static void add_option(struct command *command, const char *option, const char *value) {
    add(command, option);
    add(command, value);
}

static void set(struct command *command, const char *setting) { add_option(command, "--set", setting); }

static void set_places(struct command *command, const struct fed_sandbox *sandbox) {
    char roster[FED_SANDBOX_PATH], key[FED_SANDBOX_PATH];
    const char *names[N_PLACES] = {"server.control", "server.bulk", "server.roster", "server.key"};
    const char *values[N_PLACES] = {sandbox->control, sandbox->bulk, roster, key};
    fed_sandbox_path(roster, sandbox, "roster");
    fed_sandbox_path(key, sandbox, "coordinator.key");
    for (size_t i = 0; i < N_PLACES; i++) {
        snprintf(command->places[i], sizeof command->places[i], "%s=%s", names[i], values[i]);
        set(command, command->places[i]);
    }
}

static void set_what_suits(struct command *command, const struct fed_task *task) {
    set(command, "server.user=null");  /* its keys are ours, and so is it */
    set(command, "server.enrol=null"); /* and nobody else joins it */
    set(command, "server.enrolment_key=null");
    if (!task->round.min_reports_given) { /* nobody is far away: wait for all, and the result is a function of the seed */
        set(command, "round.min_reports=1");
    }
    if (!task->round.max_attempts_given) { /* nobody mends anything meanwhile */
        set(command, "round.max_attempts=10");
    }
    if (!task->hygiene.quarantine_after_given) { /* a task that does not work is to fail soon, and with its own reason */
        set(command, "hygiene.quarantine_after=0");
    }
}

static void command_coordinator(struct command *command, const struct fed_simulation *s) {
    add(command, "fedavg-coordinator");
    add(command, s->task_path);
    add(command, "--allow-root");
    add(command, "--json");
    add(command, "--any-http-port"); /* several simulations of one task may run at a time */
    add_option(command, "--run-dir", s->run_dir);
    add_option(command, "--log-level", s->log_level);
    add_option(command, "--log-format", s->log_format);
    for (size_t i = 0; i < s->n_sets; i++) {
        set(command, s->sets[i]);
    }
    set_places(command, &s->sandbox);
    set_what_suits(command, &s->task);
}

static int started(const struct fed_child *child, struct fed_error *err) {
    return child->pid > 0 ? FED_OK : fed_error_set(err, FED_EFAILED, "fork: %s", strerror(errno));
}

int fed_simulation_start_coordinator(struct fed_simulation *s, struct fed_error *err) {
    struct command command = {.n = 0};
    int ends[2];
    command_coordinator(&command, s);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return fed_error_set(err, FED_EFAILED, "pipe: %s", strerror(errno));
    }
    s->coordinator.pid =
        fed_child_start(&(struct fed_start){.dir = s->bin, .arguments = (char *const *)command.words, .out_fd = ends[1]});
    int rc = started(&s->coordinator, err);
    close(ends[1]);
    if (s->pipe_fd >= 0) {
        close(s->pipe_fd);
    }
    s->pipe_fd = ends[0];
    s->n_line = 0;
    s->progress.started = false;
    return rc;
}

int fed_simulation_start_node(struct fed_simulation *s, uint32_t i, struct fed_error *err) {
    struct command command = {.n = 0};
    char path[FED_SANDBOX_PATH];
    fed_sandbox_client_path(path, &s->sandbox, i);
    add(&command, "fedavg-client");
    add(&command, path);
    add(&command, "--allow-root");
    add(&command, "--one-run");
    add_option(&command, "--log-level", s->log_level);
    add_option(&command, "--log-format", s->log_format);
    s->node[i].pid = fed_child_start(&(struct fed_start){
        .dir = s->bin, .arguments = (char *const *)command.words, .out_fd = -1, .launcher = s->launcher, .number = i});
    return started(&s->node[i], err);
}
