/* The processes of a simulation: programs that stand beside this one, started here or, by a launcher, on another host. They
 * die with us. */
#ifndef FED_CLI_SIMULATE_CHILDREN_H
#define FED_CLI_SIMULATE_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fed_child {
    pid_t pid; /* 0 = not running */
    unsigned restarts;
};

struct fed_start {
    const char *dir;        /* folder of the program */
    char *const *arguments; /* the first names the program; NULL ends them */
    int out_fd;             /* what its stdout becomes; -1: ours */
    const char *launcher; /* NULL: started here; else a command for the shell, which the program and its arguments follow */
    uint32_t number;      /* FEDAVG_NODE for a launcher */
};

/* The new process, or -1 (errno). SIGCHLD and the signals that this process blocks are open in it; it leads a process group.
 */
pid_t fed_child_start(const struct fed_start *start);

/* Kills at once what was started here: every stop is a crash that was announced, and the store does not mind. Launchers have
 * 5 s to end by themselves where they are about to (ending), and are then asked (SIGTERM) and have 5 s more to take down
 * what they started elsewhere. SIGCHLD must be blocked. */
void fed_children_stop(struct fed_child *children, size_t n, bool launched, bool ending);

#endif
