/* The temporary directory of a simulation (0700): keys made for the run, a roster of N nodes that all host every client,
 * one client file a node, and the sockets of the two lanes where all nodes are on this host. */
#ifndef FED_CLI_SIMULATE_SANDBOX_H
#define FED_CLI_SIMULATE_SANDBOX_H

#include <stdint.h>

#include "common/base/status.h"
#include "common/config/task.h"

#define FED_SANDBOX_PATH 576

struct fed_sandbox {
    char dir[512];
    char control[FED_SANDBOX_PATH + 8], bulk[FED_SANDBOX_PATH + 8]; /* endpoints that the coordinator binds */
    uint32_t n_nodes;
    int lock; /* held as long as the directory is in use */
};

struct fed_sandbox_nodes {
    uint32_t n, threads;
    uint64_t memory_mb;  /* of each; 0: an equal share of this machine */
    const char *address; /* tcp://HOST:PORT for nodes on other hosts; NULL: local sockets */
};

/* The task names its number of clients. With an address it is in run_dir, which all hosts see; without in run_dir if a
 * socket's path fits there (107 bytes), else in TMPDIR or /tmp. What a simulation that was killed left there is removed
 * first. FED_ECONFIG (the address), FED_EIO, FED_EKEY. */
int fed_sandbox_new(struct fed_sandbox *out, const char *run_dir, const struct fed_task *task,
                    const struct fed_sandbox_nodes *nodes, struct fed_error *err) FED_MUST_CHECK;
/* Removes the directory and all in it. */
void fed_sandbox_remove(struct fed_sandbox *sandbox);

/* Paths in it. */
void fed_sandbox_path(char out[FED_SANDBOX_PATH], const struct fed_sandbox *sandbox, const char *name);
void fed_sandbox_client_path(char out[FED_SANDBOX_PATH], const struct fed_sandbox *sandbox, uint32_t node);

#endif
