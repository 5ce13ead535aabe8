#include "cli/simulate/children.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

#define LAUNCHER_PATIENCE_MS 5000
#define ARGUMENTS_MAX 16 /* of a program behind a launcher */

/* sh -c 'exec LAUNCHER "$@"' fedavg program argument...: the shell reads the words, and is the launcher then. */
static void run_launcher(const struct fed_start *start, const char *path) {
    static const char before[] = "exec ", after[] = " \"$@\"";
    size_t n_text = sizeof before + strlen(start->launcher) + sizeof after, n = 0;
    const char *words[ARGUMENTS_MAX + 6] = {"sh", "-c", NULL, "fedavg", path};
    char *text = malloc(n_text), number[16];
    snprintf(number, sizeof number, "%u", (unsigned)start->number);
    if (text == NULL || setenv("FEDAVG_NODE", number, 1) != 0) {
        return;
    }
    snprintf(text, n_text, "%s%s%s", before, start->launcher, after);
    words[2] = text;
    for (char *const *argument = start->arguments + 1; *argument != NULL && n < ARGUMENTS_MAX; argument++) {
        words[5 + n++] = *argument;
    }
    execv("/bin/sh", (char *const *)words);
}

/* In the new process; only returns where the program cannot be started. */
static void become(const struct fed_start *start, pid_t parent) {
    char path[PATH_MAX + 32];
    sigset_t none;
    snprintf(path, sizeof path, "%s/%s", start->dir, start->arguments[0]);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* not in the terminal's foreground group: Ctrl-C is ours to pass on */
    prctl(PR_SET_PDEATHSIG, start->launcher != NULL ? SIGTERM : SIGKILL);
    int in = open("/dev/null", O_RDONLY);
    if (getppid() != parent || in < 0 || dup2(in, STDIN_FILENO) < 0 ||
        (start->out_fd >= 0 && dup2(start->out_fd, STDOUT_FILENO) < 0)) {
        return;
    }
    if (start->launcher != NULL) {
        run_launcher(start, path);
    } else {
        execv(path, start->arguments);
    }
    fprintf(stderr, "fedavg simulate: %s cannot be started: %s%s\n", path, strerror(errno),
            errno == ENOENT ? " (in Debian it is a package of its own)" : "");
}

pid_t fed_child_start(const struct fed_start *start) {
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        become(start, parent);
        _exit(1);
    }
    return pid;
}

/* Takes the ends of children until none is left or the time is over. */
static void await_ends(struct fed_child *children, size_t n, uint64_t end_ms) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        size_t left = 0;
        for (size_t i = 0; i < n; i++) {
            if (children[i].pid > 0 && waitpid(children[i].pid, NULL, WNOHANG) == children[i].pid) {
                children[i].pid = 0;
            }
            left += children[i].pid > 0;
        }
        uint64_t now_ms = fed_clock_ms();
        if (left == 0 || now_ms >= end_ms) {
            return;
        }
        const struct timespec most = {(time_t)((end_ms - now_ms) / 1000), (long)((end_ms - now_ms) % 1000 * 1000000)};
        sigtimedwait(&child, NULL, &most);
    }
}

void fed_children_stop(struct fed_child *children, size_t n, bool launched, bool ending) {
    if (launched && ending) {
        await_ends(children, n, fed_clock_ms() + LAUNCHER_PATIENCE_MS);
    }
    for (size_t i = 0; launched && i < n; i++) {
        if (children[i].pid > 0) {
            kill(-children[i].pid, SIGTERM);
        }
    }
    if (launched) {
        await_ends(children, n, fed_clock_ms() + LAUNCHER_PATIENCE_MS);
    }
    for (size_t i = 0; i < n; i++) {
        if (children[i].pid > 0) {
            kill(launched ? -children[i].pid : children[i].pid, SIGKILL);
            waitpid(children[i].pid, NULL, 0);
            children[i].pid = 0;
        }
    }
}
