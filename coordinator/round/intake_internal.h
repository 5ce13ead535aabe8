/* What the three files of the intake share. intake_slot.c: one staged update, its bytes and its jobs. intake_queue.c: offers
 * that wait, and who gets a slot. intake.c: asking for chunks, and what comes of finished jobs. */
#ifndef FED_COORDINATOR_ROUND_INTAKE_INTERNAL_H
#define FED_COORDINATOR_ROUND_INTAKE_INTERNAL_H

#include "common/base/pool.h"
#include "common/numeric/norm.h"
#include "common/seal/seal.h"
#include "coordinator/round/intake.h"

#define SLOT_WINDOW 8 /* half of what a lane queues: a sender sees its room only some time after it was made */
_Static_assert(SLOT_WINDOW *FED_INTAKE_SLOTS <= FED_INTAKE_WINDOW, "the slots share one window");
_Static_assert(FED_NORM_BLOCK * sizeof(float) == FED_CHUNK_BYTES, "a norm is taken chunk by chunk");

enum chunk_state { CHUNK_MISSING, CHUNK_IN_FLIGHT, CHUNK_HERE, CHUNK_OPENING, CHUNK_OPENED }; /* HERE: of a kept update */
enum slot_phase { SLOT_FREE, SLOT_FETCHING, SLOT_WAITING, SLOT_ADDING, SLOT_DROPPED };

/* An offer that waits for a slot. */
struct fed_held_offer {
    struct fed_held_offer *next;
    struct fed_slot *kept; /* what came of it before it made room for another; owned, NULL = nothing */
    size_t node;
    uint32_t part;
    uint64_t stalled_ms; /* for so long its node was asked before and nothing came */
    bool began_anew;     /* it made room once, and there was no memory to keep what had come */
    uint8_t e_pk[FED_KEY_BYTES], node_pk[FED_KEY_BYTES];
    size_t n_header;
    uint8_t header[]; /* as it travelled */
};

struct fed_slot {
    enum slot_phase phase;
    struct fed_held_offer *offer; /* owned */
    struct fed_update_limits limits;
    struct fed_update_header
        header;               /* of a single update: its weight as it counts, and from WAITING on its norm as computed */
    struct fed_seal_key *key; /* owned */
    uint8_t *bytes;           /* chunk i at i * (FED_CHUNK_BYTES + FED_TAG_BYTES); memory, or the spool file mapped */
    size_t capacity;
    bool spooled;
    uint8_t *chunks, *tries; /* (n_chunks): enum chunk_state, failed openings */
    double *squares;         /* (n_chunks) of a single update: what each chunk adds to the square of its norm */
    float scale;             /* of a single update: 1, or less where it is clipped */
    uint64_t first_missing, n_in_flight, n_opened;
    unsigned n_jobs;   /* pool jobs that look at this slot */
    uint64_t moved_ms; /* since when no chunk has come from its node; what its offer waited for a slot is no part of it */
    uint64_t since_ms; /* since when it is here */
    uint64_t paced_ms; /* since when paced_bytes have come */
    uint64_t paced_bytes;
    bool reminded; /* since then it was asked again */
    bool blamed;   /* its connection was given up, and nothing has come by a new one yet */
};

enum job_kind { JOB_OPEN, JOB_ADD };
struct fed_intake_job {
    struct fed_job job; /* first */
    struct fed_intake *intake;
    enum job_kind kind;
    bool busy;
    struct fed_slot *slot;
    uint64_t index;           /* OPEN: the chunk. ADD: the first chunk; every `stride`-th from there */
    uint64_t stride;          /* ADD */
    uint8_t *scratch;         /* one chunk, for spooled updates; owned, made when first needed */
    int rc;                   /* out */
    enum fed_refusal refusal; /* out: OPEN */
    size_t bad;               /* out: index of the bad parameter */
    double value;             /* out */
    double squares;           /* out: OPEN of a single update */
};

struct fed_intake {
    struct fed_intake_config config;
    struct fed_pool *pool;
    const struct fed_attempt *attempt; /* NULL: nothing may come in */
    struct fed_held_offer *first_offer, **last_offer;
    unsigned n_kept; /* offers with something kept */
    struct fed_slot slots[FED_INTAKE_SLOTS];
    struct fed_intake_job opens[FED_INTAKE_WINDOW];
    struct fed_intake_job *adds; /* (threads) */
    struct fed_slot *adding;
    bool spoilt;
    uint64_t now_ms, retry_ms; /* retry_ms: a GET had to wait; UINT64_MAX = none */
};

static inline size_t fed_slot_offset(uint64_t i) { return (size_t)i * (FED_CHUNK_BYTES + FED_TAG_BYTES); }

static inline size_t fed_slot_chunk_bytes(const struct fed_slot *slot, uint64_t i) {
    return fed_chunk_plain_bytes(slot->header.n_bytes, i);
}

/* -- intake_slot.c ------------------------------------------------------------------------------------------------------ */

/* For slot->header. Memory is kept from one update of an attempt to the next; a spool file is not. FED_ENOMEM, FED_EIO. */
int fed_slot_reserve(struct fed_slot *slot, const struct fed_intake_config *config) FED_MUST_CHECK;
void fed_slot_release(struct fed_slot *slot); /* the bytes */
void fed_slot_free(struct fed_slot *slot);    /* all but the bytes; nobody looks at it */
/* Frees the slot now, or as soon as the last job that looks at it has come back. */
void fed_slot_drop(struct fed_slot *slot);
void fed_slot_missing(struct fed_slot *slot, uint64_t i);
void fed_slot_forget_in_flight(struct fed_slot *slot);
/* The chunk's bytes are there; they stay in flight until they are opened. */
void fed_slot_open(struct fed_intake *intake, struct fed_slot *slot, uint64_t index);
void fed_slot_add(struct fed_intake *intake, struct fed_slot *slot);

/* -- intake_queue.c ----------------------------------------------------------------------------------------------------- */

void fed_intake_fill_slots(struct fed_intake *intake);
/* Slots in which nothing moves, or too little. */
void fed_intake_look_after(struct fed_intake *intake);
void fed_intake_drop_offers(struct fed_intake *intake, size_t node, bool all);

/* -- intake.c ----------------------------------------------------------------------------------------------------------- */

void fed_intake_refuse(struct fed_intake *intake, struct fed_slot *slot, enum fed_refusal refusal, const char *why);
struct fed_slot *fed_intake_find(struct fed_intake *intake, size_t node, uint32_t part); /* NULL: in no slot */

#endif
