/* The coordinator of one run: opens the run directory, admits nodes, drives rounds until the run is finished or stopped. */
#ifndef FED_COORDINATOR_COORDINATOR_H
#define FED_COORDINATOR_COORDINATOR_H

#include <stdbool.h>

#include "common/base/notify.h"
#include "common/base/status.h"
#include "common/config/task.h"

#define FED_SPARE_PEERS 1024 /* strangers at the handshake, and nodes that a later roster brings */

struct fed_coordinator;

struct fed_coordinator_options {
    const char *run_dir;
    const char *passphrase_file; /* of the key, NULL: asked on the terminal if need be (common/seal/passphrase.h) */
    bool page_may_move;          /* where the port of server.http is in use any other one will do */
    bool json;                   /* one JSON object a line on stdout, for each event (man 1 fedavg-simulate) */
    struct fed_notify *notify;   /* borrowed; who is told that it is ready and lives. NULL: nobody */
};

/* Everything that can be wrong is found here, before the lanes open: task, data, keys, roster, run directory, addresses.
 * task is borrowed for the life of the coordinator. */
int fed_coordinator_new(struct fed_coordinator **out, const struct fed_task *task,
                        const struct fed_coordinator_options *options, struct fed_error *err) FED_MUST_CHECK;
void fed_coordinator_free(struct fed_coordinator *coordinator);

/* 0: the run is finished (now or before). FED_EINTERRUPTED: stopped by SIGTERM, SIGINT (at once, safely) or SIGUSR1 (after
 * the round at hand). SIGHUP reloads the roster. These signals must be blocked by the caller before it starts any thread. */
int fed_coordinator_run(struct fed_coordinator *coordinator, struct fed_error *err) FED_MUST_CHECK;

#endif
