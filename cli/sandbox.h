/* The temporary directory of a simulation (0700): keys made for the run, a roster of N nodes that all host every client,
 * one client file a node, and the sockets of the two lanes. */
#ifndef FED_CLI_SANDBOX_H
#define FED_CLI_SANDBOX_H

#include <stdint.h>

#include "common/base/status.h"
#include "common/config/task.h"

struct fed_sandbox {
    char dir[128];
    uint32_t n_nodes;
    int lock; /* held as long as the directory is in use */
};

/* The task names its number of clients. In run_dir if a socket's path fits there (107 bytes), else in TMPDIR or /tmp. What a
 * simulation that was killed left there is removed first. FED_EIO, FED_EKEY. */
int fed_sandbox_new(struct fed_sandbox *out, const char *run_dir, const struct fed_task *task, uint32_t n_nodes,
                    uint32_t threads, struct fed_error *err) FED_MUST_CHECK;
/* Removes the directory and all in it. */
void fed_sandbox_remove(struct fed_sandbox *sandbox);

/* Paths in it, into the caller's buffer of 192 bytes. */
#define FED_SANDBOX_PATH 192
void fed_sandbox_path(char out[FED_SANDBOX_PATH], const struct fed_sandbox *sandbox, const char *name);
void fed_sandbox_client_path(char out[FED_SANDBOX_PATH], const struct fed_sandbox *sandbox, uint32_t node);

#endif
