/* How updates come in: offers wait for a slot; a slot asks for its chunks with a bounded window, opens and checks each as it
 * arrives, and only a whole, checked update is added to the sum. Opening, checking and adding run on a small pool; this room
 * itself belongs to the loop.
 *
 *     offered -> FETCHING (chunks missing, in flight, opening) -> WAITING (whole, checked) -> ADDING -> admitted
 *        ^          |  a chunk that does not open is dropped and asked for once more, by another connection
 *        +----------+  little or nothing comes for a while, and others wait: what has come is kept
 *                   +-- a bad value, a chunk that never opens, or none for stall_ms --> refused; nothing of it was added
 *
 * A connection brings what was asked for on it, or breaks: chunks in flight are asked for again on a new one, and on the
 * same only once and late, so that a slow line is not filled with the same bytes. What has come stays, whatever becomes of
 * connections.
 *
 * A node holds uploads_per_node slots, and never all of several, so that none can keep the updates of the others out. An
 * upload that is slower than least_bytes_per_s makes room for one that waits and goes on later where it was, if
 * staging_bytes have room to keep it; in memory that means always, but for models that fill it. Where there is none it makes
 * room once, begins anew, and then keeps its slot.
 *
 * Memory: n_slots updates, whatever the cohort; an update larger than staging_bytes lies in an unlinked file as ciphertext
 * and is opened twice (to check, to add). At most FED_INTAKE_WINDOW chunks are in flight in all. Slots add one after the
 * other, each over all pool threads by chunk ranges. */
#ifndef FED_COORDINATOR_ROUND_INTAKE_H
#define FED_COORDINATOR_ROUND_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/round/admit.h"
#include "coordinator/round/aggregate.h"
#include "coordinator/round/attempt.h"

#define FED_INTAKE_WINDOW 32
#define FED_INTAKE_SLOTS 4 /* at most; how many there are is configured */

struct fed_intake;

struct fed_intake_config {
    const struct fed_model *model; /* borrowed, as all of these */
    const struct fed_fixed *fixed;
    struct fed_aggregate *aggregate;
    unsigned threads;
    uint64_t staging_bytes;
    const char *spool_dir;      /* for updates larger than that */
    unsigned uploads;           /* 1 .. FED_INTAKE_SLOTS at a time */
    unsigned uploads_per_node;  /* >= 1 of them for one node, but never all of several */
    uint64_t least_bytes_per_s; /* slower uploads make room for offers that wait */
    uint64_t stall_ms;          /* an upload of whose node no chunk came for so long is refused */
    void *context;              /* of the calls below */
    /* A chunk from this node did not open: its connection is given up, and what was in flight on it is asked for again. */
    void (*broken)(void *context, size_t node, uint32_t part);
    /* Ask the node for chunks [first, first + count). FED_EAGAIN: not now; FED_EGONE: it has no bulk lane now. */
    int (*get)(void *context, size_t node, uint32_t part, uint64_t first, uint32_t count);
    /* The update is whole, checked, and the next to be added. FED_REFUSAL_NONE: its clients are this part's for good,
     * whatever the node says or becomes from now on. Anything else refuses it, and nothing of it is added. */
    enum fed_refusal (*claim)(void *context, size_t node, uint32_t part, const struct fed_update_header *header);
    void (*admitted)(void *context, size_t node, uint32_t part, const struct fed_update_header *header);
    /* why: one sentence, or "" */
    void (*refused)(void *context, size_t node, uint32_t part, enum fed_refusal refusal,
                    const struct fed_update_header *header, const char *why);
};

int fed_intake_new(struct fed_intake **out, const struct fed_intake_config *config, struct fed_error *err) FED_MUST_CHECK;
void fed_intake_free(struct fed_intake *intake);

/* Updates of this attempt may come; the aggregate has been cleared. Requires fed_intake_idle. */
void fed_intake_begin(struct fed_intake *intake, const struct fed_attempt *attempt);
/* No more: what is not yet being added is dropped. An update that is being added is finished and reported as admitted;
 * wait for fed_intake_idle before touching the aggregate or the attempt. */
void fed_intake_end(struct fed_intake *intake);
/* Nothing is being opened or added. */
bool fed_intake_idle(const struct fed_intake *intake);

/* The spool file gave back other bytes than were written, while they were being added: the sum of this attempt is spoilt and
 * the attempt must be abandoned. */
bool fed_intake_spoilt(const struct fed_intake *intake);

/* An offer that fed_admit_offer let in. The same again changes nothing; the same part sealed anew takes its place.
 * FED_ENOMEM; FED_ESEAL (a low-order key). */
int fed_intake_offer(struct fed_intake *intake, size_t node, const uint8_t node_seal_pk[FED_KEY_BYTES],
                     const struct fed_msg_offer *offer) FED_MUST_CHECK;
/* A chunk from the bulk lane. FED_OK: taken. FED_EWIRE: not asked for, or of the wrong length. */
int fed_intake_chunk(struct fed_intake *intake, size_t node, uint32_t part, uint64_t index, const uint8_t *sealed, size_t n,
                     uint64_t now_ms) FED_MUST_CHECK;
/* The node has another connection: what was in flight on the old one is asked for again, with the next fed_intake_work. */
void fed_intake_lane_anew(struct fed_intake *intake, size_t node);
/* Chunks of an update of this node have come, and it may go on: its transfer has not stalled. */
bool fed_intake_holds(const struct fed_intake *intake, size_t node);
/* The node does not stand by this part any more, or by these clients of it (n == 0: all of it): an update that counts any of
 * them, and is not yet being added, is forgotten. */
void fed_intake_declined(struct fed_intake *intake, size_t node, uint32_t part, const uint64_t *clients, size_t n);
/* Whatever the node has offered and not delivered is forgotten. */
void fed_intake_node_lost(struct fed_intake *intake, size_t node);

/* Readable when pool work has finished: call fed_intake_work. Also call it when time has passed (stalls, busy lanes). */
int fed_intake_fd(const struct fed_intake *intake);
void fed_intake_work(struct fed_intake *intake, uint64_t now_ms);
/* When to call again at the latest; UINT64_MAX = only on events. */
uint64_t fed_intake_wakeup(const struct fed_intake *intake);

#endif
