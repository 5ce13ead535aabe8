/* One node's standing: after a few refusals that only a faulty or hostile node earns it is given no work for a while, each
 * time for longer. Late, busy or stale answers, and what a mistaken owner is told by name anyway, are no such refusals: an
 * honest node that is slow or was restarted is never here. Pure: time is an argument. */
#ifndef FED_COORDINATOR_NODES_QUARANTINE_H
#define FED_COORDINATOR_NODES_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

#define FED_QUARANTINE_MOST_MS ((uint64_t)24 * 3600 * 1000) /* but where the first one is longer */

struct fed_quarantine_rules {
    uint64_t after;     /* refusals; 0 = no quarantine */
    uint64_t window_ms; /* from the first of them to the last */
    uint64_t first_ms;
};

/* Zeros: nothing is known against it. */
struct fed_quarantine {
    uint64_t since_ms, counted; /* the first of the refusals at hand, and how many there are */
    enum fed_refusal reason;    /* of the last one */
    uint64_t until_ms;          /* 0 = it is not in quarantine */
    uint64_t last_ms;           /* how long the last one was, 0 = none that is remembered */
    uint64_t ended_ms;
};

/* Whether it counts at all. */
bool fed_quarantine_earned(enum fed_refusal refusal);
/* Counts it; true: the node is due. What a node in quarantine does is not counted. */
bool fed_quarantine_count(struct fed_quarantine *q, const struct fed_quarantine_rules *rules, enum fed_refusal refusal,
                          uint64_t now_ms);
/* The quarantine of a node that is due: twice as long as the last one, unless that has been over for a day. */
void fed_quarantine_begin(struct fed_quarantine *q, const struct fed_quarantine_rules *rules, uint64_t now_ms);
/* One that began before a restart: it was to be last_ms long, and left_ms are left of it (0: it is over). */
void fed_quarantine_restore(struct fed_quarantine *q, uint64_t last_ms, uint64_t left_ms, uint64_t now_ms);
bool fed_quarantine_holds(const struct fed_quarantine *q);
/* True once, when it is over. The node starts with a clean sheet. */
bool fed_quarantine_ends(struct fed_quarantine *q, uint64_t now_ms);

#endif
