/* What the loop lets others see: where the round stands, and a line for each node of the roster. The loop writes, HTTP reads
 * whenever it is asked; both hold the lock for no longer than a copy takes. */
#ifndef FED_COORDINATOR_HTTP_BOARD_H
#define FED_COORDINATOR_HTTP_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/store/status_report.h"

/* Set to zero as a whole before it is filled: two of them are compared byte by byte. */
struct fed_board_now {
    struct fed_status_live live; /* but for deadline_s */
    uint64_t deadline_ms;        /* since boot, 0 = nobody is waited for */
    uint64_t rounds;             /* of the task */
    uint64_t clients;            /* on the roster */
    uint64_t quarantined;
    uint64_t evaluated; /* evaluations stored since the start: a round that was evaluated looks different now */
    uint64_t store_errors, alarms;
    uint32_t attempts_failed;
    bool reproducible;
    bool store_fails; /* the last write did */
    bool finished;
    char alarm[256];
};

struct fed_board_node {
    char name[64];
    char fingerprint[17]; /* hex */
    uint64_t first_client, n_clients;
    bool online, valid;
    uint64_t heard_ms;      /* since boot, 0 = not since the start */
    uint64_t quarantine_ms; /* until then, since boot; 0 = none */
    char reason[24];        /* of the quarantine */
    uint64_t trained;       /* clients whose updates were admitted since the start */
    double train_seconds;   /* of them, as the node states it */
};

struct fed_board;

int fed_board_new(struct fed_board **out) FED_MUST_CHECK;
void fed_board_free(struct fed_board *board);

/* -- the loop -- */

/* The loop turns, and this is how things are. */
void fed_board_put(struct fed_board *board, const struct fed_board_now *now, uint64_t now_ms);
/* Room for n lines, the new ones zeros. FED_ENOMEM: as before. */
int fed_board_grow(struct fed_board *board, size_t n_nodes) FED_MUST_CHECK;
/* i < n. The lines between lock and unlock are the caller's to change. */
struct fed_board_node *fed_board_lock(struct fed_board *board, size_t *n_nodes);
void fed_board_unlock(struct fed_board *board, bool changed);

/* -- others -- */

/* turned_ms: when the loop last turned, 0 = not yet. Either may be NULL. Returns a number that grows with every change. */
uint64_t fed_board_get(struct fed_board *board, struct fed_board_now *now, uint64_t *turned_ms);
/* A copy of all lines, the caller's to free. FED_ENOMEM. */
int fed_board_nodes(struct fed_board_node **out, size_t *n, struct fed_board *board) FED_MUST_CHECK;

#endif
