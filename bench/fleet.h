/* N nodes that train nothing, and a real coordinator process for them: what benchmarks of the system itself are made of. The
 * nodes are threads of this process, each with its own key, session, control and bulk connection; whatever fails ends the
 * program with a sentence. */
#ifndef FED_BENCH_FLEET_H
#define FED_BENCH_FLEET_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "client/session.h"
#include "common/model/model.h"

struct fleet_node;

struct fleet {
    /* the caller's: */
    const char *name; /* of the program, for sentences */
    unsigned long n_nodes, n_rounds, io_threads;
    bool ipc;
    double fraction; /* of the nodes, in a round */
    struct fed_model_spec model;
    const bool *absent;      /* (n_nodes) nodes that are on the roster and not started here; NULL: none */
    const atomic_bool *hold; /* while it is set nobody answers a model; NULL: never */
    /* the fleet's: */
    char program[PATH_MAX], dir[64], control[128], bulk[128];
    unsigned control_port;
    struct fleet_node *nodes;
    struct fed_link *link;
    struct fed_public_keys coordinator_key;
    int stop_fd;
    pid_t pid;
    FILE *complaints; /* the caller may set it; else standard error */
    FILE *lines;      /* what the coordinator says: its events, or its log */
};

void fleet_fail(const struct fleet *f, const char *what, const char *why) __attribute__((noreturn));

/* The coordinator beside this program, unless the caller knows another. */
void fleet_find_coordinator(struct fleet *f);
/* A directory of its own with keys of all, the roster, and the task; node i hosts client i. */
void fleet_prepare(struct fleet *f);
/* log: lines are what it writes to standard error; else its events. */
void fleet_start_coordinator(struct fleet *f, bool log);
void fleet_start_nodes(struct fleet *f);
const struct fed_identity *fleet_identity(const struct fleet *f, unsigned long node);
void fleet_stop_nodes(struct fleet *f);
void fleet_remove(struct fleet *f);

#endif
