/* What is heard of the children until the end: the coordinator's lines, ends of processes, Ctrl-C. One that ended although
 * it should not have is started again, a few times. Invariant: signals are taken from a descriptor, and none is lost between
 * two looks. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/simulate/simulate.h"

#define RESTARTS_MAX 3

/* -- the coordinator's lines ------------------------------------------------------------------------------------------- */

static void stop_waiting(struct fed_simulation *s) {
    fed_wait_end(s->wait);
    s->wait = NULL;
}

static void read_lines(struct fed_simulation *s) {
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

/* -- ends -------------------------------------------------------------------------------------------------------------- */

static void describe_end(char out[64], int status) {
    if (WIFSIGNALED(status)) {
        snprintf(out, 64, "was killed by signal %d", WTERMSIG(status));
    } else {
        snprintf(out, 64, "ended with exit code %d", WEXITSTATUS(status));
    }
}

/* A child that ended although it should not have: again, three times at most; but not when it has said what is wrong and
 * would say it again. */
static int restart(struct fed_simulation *s, const char *name, struct fed_child *child, int status, uint32_t node,
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
    return child == &s->coordinator ? fed_simulation_start_coordinator(s, err) : fed_simulation_start_node(s, node, err);
}

/* What the coordinator's end means: 0 = done; FED_EAGAIN = it was started again. */
static int coordinator_ended(struct fed_simulation *s, int status, struct fed_error *err) {
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

static int node_ended(struct fed_simulation *s, uint32_t i, int status, struct fed_error *err) {
    char name[32];
    struct pollfd said = {.fd = s->pipe_fd, .events = POLLIN};
    snprintf(name, sizeof name, "node-%u", i);
    while (s->pipe_fd >= 0 && poll(&said, 1, 0) > 0) { /* the coordinator's end is what nodes leave for */
        read_lines(s);
    }
    return s->progress.done && status == 0 ? FED_OK : restart(s, name, &s->node[i], status, i, err);
}

/* FED_EAGAIN: go on. */
static int child_ended(struct fed_simulation *s, pid_t pid, int status, struct fed_error *err) {
    if (pid == s->coordinator.pid) {
        s->coordinator.pid = 0;
        return coordinator_ended(s, status, err);
    }
    for (uint32_t i = 0; i < s->sandbox.n_nodes; i++) {
        if (pid == s->node[i].pid) {
            s->node[i].pid = 0;
            int rc = node_ended(s, i, status, err);
            return rc == FED_OK ? FED_EAGAIN : rc;
        }
    }
    return FED_EAGAIN;
}

static int reap(struct fed_simulation *s, struct fed_error *err) {
    int status, rc = FED_EAGAIN;
    for (pid_t pid; rc == FED_EAGAIN && (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        rc = child_ended(s, pid, status, err);
    }
    return rc;
}

/* -- events ------------------------------------------------------------------------------------------------------------ */

static int open_signals(struct fed_simulation *s, struct fed_error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signal_fd >= 0 ? FED_OK : fed_error_set(err, FED_EFAILED, "signalfd: %s", strerror(errno));
}

/* Not before the coordinator has judged the task and its data: what is wrong with them is then said once. */
static int start_nodes(struct fed_simulation *s, struct fed_error *err) {
    int rc = FED_OK;
    for (uint32_t i = 0; rc == FED_OK && i < s->nodes; i++) {
        rc = fed_simulation_start_node(s, i, err);
    }
    s->nodes_started = rc == FED_OK;
    return rc;
}

static void hear_interrupt(struct fed_simulation *s) {
    fed_progress_break(&s->progress);
    if (++s->interrupts == 1) {
        fprintf(stderr, "fedavg simulate: finishing the round; Ctrl-C again stops at once\n");
        kill(s->coordinator.pid, SIGUSR1);
    } else {
        kill(s->coordinator.pid, SIGTERM);
    }
}

static void hear_signals(struct fed_simulation *s) {
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGINT) {
            hear_interrupt(s);
        } else if (info.ssi_signo == SIGTERM) {
            s->interrupts = 2;
            kill(s->coordinator.pid, SIGTERM);
        }
    }
}

/* FED_EAGAIN: go on. */
static int await_event(struct fed_simulation *s, struct fed_error *err) {
    struct pollfd ready[] = {{.fd = s->signal_fd, .events = POLLIN}, {.fd = s->pipe_fd, .events = POLLIN}};
    if (poll(ready, 2, -1) < 0 && errno != EINTR) {
        return fed_error_set(err, FED_EFAILED, "poll: %s", strerror(errno));
    }
    if (ready[1].revents != 0 && s->pipe_fd >= 0) {
        read_lines(s);
    }
    hear_signals(s);
    int rc = reap(s, err);
    if (rc == FED_EAGAIN && s->progress.started && !s->nodes_started) {
        rc = start_nodes(s, err);
        rc = rc == FED_OK ? FED_EAGAIN : rc;
    }
    return rc;
}

int fed_simulation_supervise(struct fed_simulation *s, struct fed_error *err) {
    int rc = open_signals(s, err);
    if (rc == FED_OK) {
        rc = fed_simulation_start_coordinator(s, err);
    }
    if (rc != FED_OK) {
        return rc;
    }
    s->wait = fed_wait_begin(s->quiet, "the coordinator reads the data and makes ready");
    do {
        rc = await_event(s, err);
    } while (rc == FED_EAGAIN);
    stop_waiting(s);
    return rc;
}
