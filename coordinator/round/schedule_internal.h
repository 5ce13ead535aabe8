/* What the files of the schedule share. schedule.c: what happens to nodes and attempts, and handing out. schedule_picks.c:
 * the clients of the cohort, who waits, who may train whom. schedule_nodes.c: which node is given something next.
 * schedule_parts.c: what each node was given, part by part, and what has to be said of it.
 *
 * Clients of the cohort are "picks", named by rank: 0 is the most work. Invariants: a pick is held by exactly one live or
 * delivered part, or waits (then the tree has it), or is lost to the attempt (nobody left who may train it). Per node
 * done <= assigned; assigned counts what it holds and what it delivered. */
#ifndef FED_COORDINATOR_ROUND_SCHEDULE_INTERNAL_H
#define FED_COORDINATOR_ROUND_SCHEDULE_INTERNAL_H

#include "coordinator/round/schedule.h"

#define NONE UINT32_MAX

enum pick_state { PICK_WAITS, PICK_HELD, PICK_DELIVERED, PICK_LOST };

struct fed_pick {
    uint64_t client, work;
    struct fed_pick_refusal *refused_by; /* owned: nodes that gave it back */
    uint32_t place;                      /* in the cohort, then in clients */
    uint32_t node, part;                 /* HELD, DELIVERED */
    uint32_t next;                       /* HELD, DELIVERED: of the same part. Waiting: scratch of longest_for */
    enum pick_state state;
};

struct fed_pick_position {
    uint64_t client;
    uint32_t rank;
};

enum part_state { PART_OPEN, PART_CLOSED, PART_DELIVERED, PART_LOST };

struct fed_given_part_name { /* node NONE = no part */
    uint32_t node, part;
};

struct fed_given_part {
    uint32_t first, last, n; /* picks, in the order in which they were given */
    enum part_state state;
    bool sums;
    bool queued;                            /* changed, not yet said */
    struct fed_given_part_name next_queued; /* no part = the last one */
};

struct fed_schedule_node {
    bool ready, sums, dry;
    uint32_t workers;
    uint32_t assigned, done, delivered;
    uint32_t before; /* delivered before it was last lost: it counts what it has done since */
    bool filling;    /* it is being given work ahead, until it has its share */
    uint64_t *given; /* (n_given of given_room) work of all that it was given since it was last ready, up to each client */
    uint32_t n_given, given_room;
    uint64_t given_back; /* of that, what it gave back */
    uint32_t open;       /* its open part, or NONE */
    uint32_t heap_at;    /* or NONE */
    struct fed_given_part *parts;
    uint32_t n_parts, parts_room;
};

struct fed_schedule {
    struct fed_schedule_world world;
    size_t part_max;
    uint64_t *said; /* (part_max) where a part is written out */

    struct fed_schedule_node *nodes; /* (n_nodes) */
    size_t n_nodes;
    uint32_t *heap; /* (n_heap of n_nodes) */
    size_t n_heap;

    struct fed_pick *picks;            /* (n) by rank */
    struct fed_pick_position *clients; /* (n) by client */
    uint32_t *tree;                    /* (2 leaves): leaf of position p at leaves + p */
    size_t n, leaves, n_waiting;
    uint64_t work_waiting;
    uint64_t workers; /* of all nodes that are ready */
    bool leftovers;   /* parts may be open though nothing waits */

    struct fed_given_part_name queue_first, queue_last; /* parts to be said */
};

static inline struct fed_given_part_name fed_no_given_part(void) {
    return (struct fed_given_part_name){.node = NONE, .part = NONE};
}

/* -- schedule_picks.c --------------------------------------------------------------------------------------------------- */

/* The cohort by client and by work; all of it waits. There was none. On FED_ENOMEM fed_schedule_clear_picks is due. */
int fed_schedule_lay_out(struct fed_schedule *schedule, const uint64_t *cohort, size_t n) FED_MUST_CHECK;
void fed_schedule_clear_picks(struct fed_schedule *schedule);
uint32_t fed_schedule_rank_of(const struct fed_schedule *schedule, uint64_t client); /* or NONE */
void fed_schedule_wait(struct fed_schedule *schedule, uint32_t rank);                /* it waits again */
void fed_schedule_take_out(struct fed_schedule *schedule, uint32_t rank);            /* it waits no more */
/* The longest shard that waits and that the node may be given, or NONE. */
uint32_t fed_schedule_longest_for(struct fed_schedule *schedule, size_t node);
/* The node gave the pick back. True: another ready node may train it. */
bool fed_schedule_refuse(struct fed_schedule *schedule, uint32_t rank, size_t node);

/* -- schedule_nodes.c --------------------------------------------------------------------------------------------------- */

/* Puts the node where it belongs after anything about it has changed. */
void fed_schedule_settle(struct fed_schedule *schedule, uint32_t index);
/* Something waits again: every node is worth another look. */
void fed_schedule_wake_all(struct fed_schedule *schedule);
/* Room for more work than it has; nodes that have some stand in the heap, which may be behind the times. */
bool fed_schedule_has_room(const struct fed_schedule *schedule, struct fed_schedule_node *node);

/* -- schedule_parts.c --------------------------------------------------------------------------------------------------- */

/* Appends a pick to the node's open part, and to a new one if there is none. FED_ENOMEM: nothing has changed. */
int fed_schedule_append(struct fed_schedule *schedule, uint32_t index, uint32_t rank) FED_MUST_CHECK;
void fed_schedule_close_part(struct fed_schedule *schedule, uint32_t index); /* the node's open one, if any */
/* Takes the pick out of the part that holds it, which is closed by that: what is left of it is final. */
void fed_schedule_leave_part(struct fed_schedule *schedule, uint32_t rank);
/* The next part that changed. FED_ENOTFOUND. */
int fed_schedule_say(struct fed_assignment *out, struct fed_schedule *schedule) FED_MUST_CHECK;

#endif
