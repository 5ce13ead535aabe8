/* What was refused, counted by node and reason, and how often it is worth a line in the log. Pure: time is an argument.
 *
 * Each pair of node and reason is quiet for a while after its line and then says how many were left out, so that a flood of
 * one kind hides no other; all pairs together are bounded too. Memory: a few hundred bytes a node, whatever is refused. */
#ifndef FED_COORDINATOR_NODES_REFUSALS_H
#define FED_COORDINATOR_NODES_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "proto/wire.h"

#define FED_REFUSALS_QUIET_MS 10000 /* of one node and reason, after its line */
#define FED_REFUSALS_LINES 20       /* a second, of all together */

struct fed_refusals;

/* Nodes are 0 .. n_nodes-1, and FED_STRANGER. FED_ENOMEM. */
int fed_refusals_new(struct fed_refusals **out, size_t n_nodes) FED_MUST_CHECK;
void fed_refusals_free(struct fed_refusals *refusals);
/* FED_ENOMEM: all is as before. */
int fed_refusals_grow(struct fed_refusals *refusals, size_t n_nodes) FED_MUST_CHECK;

/* Counts one. True: it deserves its line, which also says that *left_out of this kind had none. */
bool fed_refusals_count(struct fed_refusals *refusals, size_t node, enum fed_refusal reason, uint64_t now_ms,
                        uint64_t *left_out);
/* Counts one that has a line of its own elsewhere. */
void fed_refusals_count_said(struct fed_refusals *refusals, size_t node, enum fed_refusal reason);
/* One kind that had no line for long enough, to be said now; false: none. Call until then. */
bool fed_refusals_left_out(struct fed_refusals *refusals, uint64_t now_ms, size_t *node, enum fed_refusal *reason,
                           uint64_t *left_out);

/* What the store has not yet: rows of FED_REFUSAL_COUNT, strangers first, then each node. */
size_t fed_refusals_cells(const struct fed_refusals *refusals);
void fed_refusals_snapshot(const struct fed_refusals *refusals, uint64_t *counts);
/* The first n cells of a snapshot were stored; what was counted since stays. */
void fed_refusals_stored(struct fed_refusals *refusals, const uint64_t *counts, size_t n);

#endif
