/* Which node trains which client of the cohort. Picks are handed out as nodes have room (2 clients ahead for each worker,
 * and of those that may send partial sums a small part of the work that waits): the node with the least work a worker takes
 * the longest shard that waits and that it hosts; what a lost node had not delivered goes to a survivor. Pure.
 *
 * Clients of one node are grouped into parts: a partial sum covers a part, a node without that right gets one client a
 * part. A part's list only grows until it is closed; it is closed when no pick is left that its node might still get, when
 * it is full, or when the node gives one of its clients back, which leaves it. So no node sits on an open part for ever:
 * the last pick handed out closes all of them.
 *
 * Costs, with n clients in the cohort and N nodes of at most r ranges each: begin O(n log n + N); each client handed out
 * O(r log n + log N); progress, delivery O(log N) beside the part's own length; give_back O(N r); node_lost O(N) beside what
 * the node held. */
#ifndef FED_COORDINATOR_ROUND_SCHEDULE_H
#define FED_COORDINATOR_ROUND_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_schedule;

struct fed_schedule_world {
    void *context;
    /* The i-th range of ids that the node hosts; false after the last one. Must not change while the node is ready. */
    bool (*range)(void *context, size_t node, size_t i, uint64_t *first, uint64_t *count);
    /* Work of a client (its n_k), or 1 where it is not known. */
    uint64_t (*work)(void *context, uint64_t client);
};

/* n_nodes: entries of the roster; nodes are named by their index. part_max <= 1024: clients of one part. */
int fed_schedule_new(struct fed_schedule **out, const struct fed_schedule_world *world, size_t n_nodes,
                     size_t part_max) FED_MUST_CHECK;
void fed_schedule_free(struct fed_schedule *schedule);
/* Room for n_nodes at least: the roster may have more entries now. What is going on goes on. FED_ENOMEM. */
int fed_schedule_grow(struct fed_schedule *schedule, size_t n_nodes) FED_MUST_CHECK;

/* A new attempt over these distinct clients; everything earlier is forgotten, but for which nodes are ready. FED_ENOMEM: as
 * after fed_schedule_end. */
int fed_schedule_begin(struct fed_schedule *schedule, const uint64_t *cohort, size_t n) FED_MUST_CHECK;
/* No attempt: hands out nothing. */
void fed_schedule_end(struct fed_schedule *schedule);

/* A node is ready for work (workers >= 1, sums: may send partial sums), or lost: its undelivered clients go back. A node
 * that comes back is lost first, then ready; its parts start anew under the next numbers. Delivered ones stay delivered. */
void fed_schedule_node_ready(struct fed_schedule *schedule, size_t node, uint32_t workers, bool sums);
void fed_schedule_node_lost(struct fed_schedule *schedule, size_t node);
/* The node has trained done clients of this attempt since it was last ready (from STATUS; an offer of a part implies all of
 * it). */
void fed_schedule_progress(struct fed_schedule *schedule, size_t node, uint32_t done);
/* The part was admitted: its clients are delivered. */
void fed_schedule_delivered(struct fed_schedule *schedule, size_t node, uint32_t part);
/* The node will not deliver this client (declined or refused): it goes to another ready node that hosts it, never back.
 * Returns true if there is one, else the client is lost to the attempt and the caller tells the round. A client that the
 * node was not given, or has delivered, is none of its business: true, and nothing changes. */
bool fed_schedule_give_back(struct fed_schedule *schedule, size_t node, uint64_t client);

/* What to say next: one part that changed since it was last handed out. FED_ENOTFOUND when nothing is left to say;
 * FED_ENOMEM: call again later. The clients are borrowed until the next call of any function here. */
struct fed_assignment {
    size_t node;
    uint32_t part;
    bool sums; /* a partial sum is asked for: the part may hold several clients */
    bool closed, delivered;
    const uint64_t *clients;
    size_t n_clients;
};
int fed_schedule_next(struct fed_assignment *out, struct fed_schedule *schedule) FED_MUST_CHECK;
/* The part as handed out, without what was given back, for checking an offer or for saying ROUND again. FED_ENOTFOUND: never
 * given, given before the node was lost, or nothing of it is left. */
int fed_schedule_part(struct fed_assignment *out, const struct fed_schedule *schedule, size_t node,
                      uint32_t part) FED_MUST_CHECK;
/* How many parts the node was given in this attempt: numbers 0 .. n-1, those from before it was lost included. */
uint32_t fed_schedule_parts(const struct fed_schedule *schedule, size_t node);

#endif
