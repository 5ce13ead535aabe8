/* Which nodes of the roster are here now, and how to reach them. It holds no socket and no clock: routes are opaque bytes,
 * time is an argument. */
#ifndef FED_COORDINATOR_NODES_NODES_H
#define FED_COORDINATOR_NODES_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/link/link.h"
#include "coordinator/nodes/limit.h"
#include "coordinator/nodes/quarantine.h"
#include "coordinator/nodes/roster.h"
#include "proto/wire.h"

#define FED_STRANGER SIZE_MAX /* in place of a node: somebody who is none */

/* The right to use the bulk lane: one node's, from its first ROUND until it leaves or the pass is taken back. */
struct fed_pass {
    uint8_t handle[16], capability[16];
};

enum fed_lane_kind { FED_LANE_CONTROL, FED_LANE_BULK, FED_LANES };

/* What a peer has taken of what the limits of the task allow it. */
struct fed_meter {
    struct fed_limit messages[FED_LANES], connections[FED_LANES], bytes;
    struct fed_limit answers;                             /* "busy", "not enrolled": told now and then */
    struct fed_limit lines;                               /* in the log, about what it says */
    struct fed_limit patience[FED_LANES], bytes_patience; /* for what is over: then its connection is cut */
    uint64_t out_until_ms;                                /* it was cut, and is not let in before */
};

struct fed_node {
    bool online;                      /* said a HELLO that was welcomed, and was heard of since */
    struct fed_route control;         /* the connection of its last HELLO */
    struct fed_quarantine quarantine; /* while it holds the node is here, but hosts nothing */
    bool has_bulk;
    struct fed_route bulk;
    uint64_t instance;   /* of its program, as it says; 0 = it does not say */
    uint64_t pushed_out; /* the instance in whose place this one came while it was here; 0 = none */
    uint64_t twins_ms;   /* when it was last said that two programs use its key, 0 = never */
    uint64_t heard_ms, bulk_heard_ms;
    uint32_t minor; /* of the protocol, as it says */
    uint32_t workers;
    char family[16];   /* of its kernels, as it says: "" before it knows the task */
    uint32_t n_hosted; /* as claimed in HELLO, all within its roster entry */
    struct fed_id_range hosted[FED_RANGES_MAX];
    struct fed_pass pass;
    bool has_pass;
    uint64_t busy_ms;             /* since when it has work in this attempt, if it was asked at all */
    uint64_t told_ms;             /* when a ROUND was last said to it */
    bool parting;                 /* told that the run is over, and has not answered */
    bool missed;                  /* what it was told of this attempt did not reach it, or is forgotten */
    uint64_t down_next, down_end; /* chunks of the model asked for and not yet handed to the socket */
    uint64_t down_asked;          /* such chunks in this attempt, however often */
    uint32_t owed;                /* update chunks that we asked for and that have not come */
    uint32_t asked, asked_before; /* clients it was given in this attempt, and in the one before */
    struct fed_meter meter;
    int64_t warned_day; /* since 1970: on which it was last said that its entry ends soon */
};

/* A roster entry as a range of client ids. */
struct fed_host_range {
    uint64_t first, reach; /* reach: the last client of this range and of all before it */
    size_t node;
};

struct fed_nodes {
    struct fed_roster *roster; /* owned */
    struct fed_node *nodes;    /* (fed_roster_size), same index */
    size_t n_nodes;
    struct fed_host_range *ranges; /* (n_ranges) ascending */
    size_t n_ranges;
};

/* Takes the roster. FED_ENOMEM. */
int fed_nodes_init(struct fed_nodes *out, struct fed_roster **roster) FED_MUST_CHECK;
void fed_nodes_fini(struct fed_nodes *nodes);
/* Another roster file, live, in two steps: what comes of it, and then that it holds. A node keeps its index as long as the
 * process lives. An entry that is gone stays as one that hosts nothing and is never valid; new ones come behind. Takes the
 * entries out of *file. FED_ENOMEM: all is as before. O(n log n). */
int fed_nodes_prepare(struct fed_nodes *next, const struct fed_nodes *nodes, struct fed_roster_file *file) FED_MUST_CHECK;
/* The entry of this node will be another (or gone, or is valid no more): its connections end before next is taken. */
bool fed_nodes_entry_changes(const struct fed_nodes *nodes, const struct fed_nodes *next, size_t node);
/* Takes next, and what is known of the nodes over into it. */
void fed_nodes_take(struct fed_nodes *nodes, struct fed_nodes *next);

/* The name under which a key's messages arrive: node name, a dot, 16 hex digits of the key. Revoking or replacing the key
 * makes the name unknown from the next message on. */
void fed_nodes_user(char user[FED_USER_MAX], const struct fed_roster_entry *entry, const uint8_t curve[FED_KEY_BYTES]);
int fed_nodes_find_user(size_t *node, const struct fed_nodes *nodes, const char *user, int64_t wall_s) FED_MUST_CHECK;
/* Why nobody is found under this name, in one sentence. */
#define FED_NODES_WHY_MAX (FED_USER_MAX + FED_ROSTER_WHY_MAX)
void fed_nodes_why_not(char out[FED_NODES_WHY_MAX], const struct fed_nodes *nodes, const char *user, int64_t wall_s);
/* The seal key that belongs to the key behind this name: while a key is being changed a node has two of each. */
const uint8_t *fed_nodes_seal_key(const struct fed_nodes *nodes, size_t node, const char *user);
/* The name under which messages of the bulk lane arrive: the node's index and the handle of its pass as hex, so that the
 * node is found without a search. A pass that was taken back makes the name unknown from the next message on, whatever
 * connection stands. */
void fed_nodes_pass_user(char user[FED_USER_MAX], size_t node, const char *handle);
int fed_nodes_find_pass_user(size_t *node, const struct fed_nodes *nodes, const char *user) FED_MUST_CHECK;
/* The node that holds this pass (hex, as it travels). The capability is compared in constant time. */
int fed_nodes_find_pass(size_t *node, const struct fed_nodes *nodes, const char *handle,
                        const char *capability) FED_MUST_CHECK;

/* The node's pass is good no more. */
void fed_nodes_take_pass(struct fed_nodes *nodes, size_t node);
/* A new attempt: what was asked for is counted anew. */
void fed_nodes_begin(struct fed_nodes *nodes);

/* For people: the name on the roster, or "stranger". */
const char *fed_nodes_name(const struct fed_nodes *nodes, size_t node);

/* The node is here and hosts this client, by its own word and by the roster's. */
bool fed_nodes_hosts(const struct fed_nodes *nodes, size_t node, uint64_t client);
/* Some node does. O(log nodes) where entries do not overlap: it is asked for every client of a cohort. */
bool fed_nodes_eligible(const struct fed_nodes *nodes, uint64_t client);

/* A claim of HELLO against the roster: every range within the node's entry. */
bool fed_nodes_claim_allowed(const struct fed_nodes *nodes, size_t node, const struct fed_msg_hello *hello);

#endif
