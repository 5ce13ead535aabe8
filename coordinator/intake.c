#include "coordinator/intake.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/mapped.h"
#include "common/base/pool.h"
#include "common/numeric/norm.h"
#include "common/seal/seal.h"

#define SLOT_WINDOW 8 /* half of what a lane queues: a sender sees its room only some time after it was made */
_Static_assert(SLOT_WINDOW *FED_INTAKE_SLOTS <= FED_INTAKE_WINDOW, "the slots share one window");
_Static_assert(FED_NORM_BLOCK * sizeof(float) == FED_CHUNK_BYTES, "a norm is taken chunk by chunk");
#define OPEN_TRIES 2    /* a chunk that does not open is asked for once more */
#define PACE_MS 20000   /* over so long an upload's speed is judged */
#define YIELD_PART 6    /* of stall_ms: a slot in which nothing moves for so long is given to an offer that waits */
#define REMIND_PART 2   /* of stall_ms: what is in flight for so long is asked for once more */
#define TRY_AGAIN_MS 10 /* the lane had no room for a GET */

enum chunk_state { CHUNK_MISSING, CHUNK_IN_FLIGHT, CHUNK_HERE, CHUNK_OPENING, CHUNK_OPENED }; /* HERE: of a kept update */
enum slot_phase { SLOT_FREE, SLOT_FETCHING, SLOT_WAITING, SLOT_ADDING, SLOT_DROPPED };

/* An offer that waits for a slot. */
struct offer {
    struct offer *next;
    struct slot *kept; /* what came of it before it made room for another; owned, NULL = nothing */
    size_t node;
    uint32_t part;
    uint64_t stalled_ms; /* for so long its node was asked before and nothing came */
    bool began_anew;     /* it made room once, and there was no memory to keep what had come */
    uint8_t e_pk[FED_KEY_BYTES], node_pk[FED_KEY_BYTES];
    size_t n_header;
    uint8_t header[]; /* as it travelled */
};

struct slot {
    enum slot_phase phase;
    struct offer *offer; /* owned */
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
struct intake_job {
    struct fed_job job; /* first */
    struct fed_intake *intake;
    enum job_kind kind;
    bool busy;
    struct slot *slot;
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
    struct offer *first_offer, **last_offer;
    unsigned n_kept; /* offers with something kept */
    struct slot slots[FED_INTAKE_SLOTS];
    struct intake_job opens[FED_INTAKE_WINDOW];
    struct intake_job *adds; /* (threads) */
    struct slot *adding;
    bool spoilt;
    uint64_t now_ms, retry_ms; /* retry_ms: a GET had to wait; UINT64_MAX = none */
};

static size_t chunk_offset(uint64_t i) { return (size_t)i * (FED_CHUNK_BYTES + FED_TAG_BYTES); }

static size_t chunk_bytes(const struct slot *slot, uint64_t i) { return fed_chunk_plain_bytes(slot->header.n_bytes, i); }

/* -- on pool threads ---------------------------------------------------------------------------------------------------- */

/* Where chunk i lies in the clear: in place, or opened into the job's scratch. */
static int plain_chunk(const uint8_t **out, struct intake_job *job, uint64_t i) {
    struct slot *slot = job->slot;
    uint8_t *sealed = slot->bytes + chunk_offset(i);
    if (!slot->spooled) {
        *out = sealed;
        return job->kind == JOB_OPEN ? fed_open_chunk(sealed, slot->key, i, sealed, chunk_bytes(slot, i) + FED_TAG_BYTES)
                                     : FED_OK;
    }
    if (job->scratch == NULL && (job->scratch = aligned_alloc(64, FED_CHUNK_BYTES)) == NULL) {
        return FED_ENOMEM;
    }
    *out = job->scratch;
    return fed_open_chunk(job->scratch, slot->key, i, sealed, chunk_bytes(slot, i) + FED_TAG_BYTES);
}

static void open_and_check(struct fed_job *base) {
    struct intake_job *job = (struct intake_job *)(void *)base;
    const struct fed_update_header *header = &job->slot->header;
    size_t n = chunk_bytes(job->slot, job->index);
    const uint8_t *plain = NULL;
    job->rc = plain_chunk(&plain, job, job->index);
    if (job->rc != FED_OK) {
        return;
    }
    size_t bad = 0, n_floats = n / sizeof(float), n_sums = n / sizeof(int64_t);
    const float *delta = (const float *)(const void *)plain;
    const int64_t *part = (const int64_t *)(const void *)plain;
    const struct fed_fixed *fixed = job->intake->config.fixed;
    bool single = header->encoding == FED_ENCODING_F32;
    job->refusal = single ? fed_admit_floats(&bad, &job->squares, fixed, delta, n_floats)
                          : fed_admit_sums(&bad, fixed, &job->slot->limits, header, part, n_sums);
    if (job->refusal != FED_REFUSAL_NONE) {
        job->bad = (size_t)job->index * (FED_CHUNK_BYTES / (single ? sizeof *delta : sizeof *part)) + bad;
        job->value = single ? (double)delta[bad] : (double)part[bad];
    }
}

static void add_chunks(struct fed_job *base) {
    struct intake_job *job = (struct intake_job *)(void *)base;
    const struct fed_update_header *header = &job->slot->header;
    struct fed_aggregate *aggregate = job->intake->config.aggregate;
    for (uint64_t i = job->index; i < header->n_chunks && job->rc == FED_OK; i += job->stride) {
        const uint8_t *plain = NULL;
        job->rc = plain_chunk(&plain, job, i);
        if (job->rc != FED_OK) {
            return;
        }
        size_t n = chunk_bytes(job->slot, i);
        if (header->encoding == FED_ENCODING_F32) {
            fed_aggregate_add(aggregate, (const float *)(const void *)plain, (size_t)i * (FED_CHUNK_BYTES / sizeof(float)),
                              n / sizeof(float), header->weights[0], job->slot->scale);
        } else {
            fed_aggregate_add_sum(aggregate, (const int64_t *)(const void *)plain,
                                  (size_t)i * (FED_CHUNK_BYTES / sizeof(int64_t)), n / sizeof(int64_t));
        }
    }
}

/* -- slots -------------------------------------------------------------------------------------------------------------- */

static void release_bytes(struct slot *slot) {
    if (slot->spooled) {
        fed_mapped_unwatch(slot->bytes);
        munmap(slot->bytes, slot->capacity);
    } else {
        free(slot->bytes);
    }
    slot->bytes = NULL;
    slot->capacity = 0;
    slot->spooled = false;
}

static int spool_bytes(struct slot *slot, const char *dir, size_t n) {
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return FED_EIO;
    }
    void *map = MAP_FAILED;
    if (posix_fallocate(fd, 0, (off_t)n) == 0) {
        map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    if (map == MAP_FAILED) {
        return FED_EIO;
    }
    /* of the spool file a failing disk takes pages, and it has no name of its own */
    if (fed_mapped_watch(map, n, dir) != 0) {
        munmap(map, n);
        return FED_ENOMEM;
    }
    slot->bytes = map;
    slot->capacity = n;
    slot->spooled = true;
    return FED_OK;
}

/* Memory is kept from one update of an attempt to the next; a spool file is not. */
static int reserve_bytes(struct slot *slot, const struct fed_intake_config *config) {
    size_t n = (size_t)fed_sealed_bytes(slot->header.n_bytes);
    if (slot->capacity >= n && !slot->spooled) {
        return FED_OK;
    }
    release_bytes(slot);
    if (n > config->staging_bytes) {
        return spool_bytes(slot, config->spool_dir, n);
    }
    slot->bytes = aligned_alloc(64, (n + 63) / 64 * 64);
    slot->capacity = slot->bytes != NULL ? n : 0;
    return slot->bytes != NULL ? FED_OK : FED_ENOMEM;
}

static void free_slot(struct slot *slot) {
    assert(slot->n_jobs == 0);
    free(slot->offer);
    fed_seal_key_free(slot->key);
    free(slot->chunks);
    free(slot->tries);
    free(slot->squares);
    if (slot->spooled) {
        release_bytes(slot);
    }
    *slot = (struct slot){.bytes = slot->bytes, .capacity = slot->capacity};
}

static void free_offer(struct fed_intake *intake, struct offer *offer) {
    if (offer->kept != NULL) {
        free_slot(offer->kept);
        release_bytes(offer->kept);
        free(offer->kept);
        intake->n_kept--;
    }
    free(offer);
}

/* Frees the slot now, or as soon as the last job that looks at it has come back. */
static void drop_slot(struct slot *slot) {
    if (slot->n_jobs == 0) {
        free_slot(slot);
    } else {
        slot->phase = SLOT_DROPPED;
    }
}

static void refuse_slot(struct fed_intake *intake, struct slot *slot, enum fed_refusal refusal, const char *why) {
    size_t node = slot->offer->node;
    uint32_t part = slot->offer->part;
    struct fed_update_header header = slot->header;
    drop_slot(slot);
    intake->config.refused(intake->config.context, node, part, refusal, &header, why);
}

static uint64_t largest_update(const struct fed_intake *intake) {
    return fed_sealed_bytes(intake->attempt->terms.n_params * sizeof(int64_t));
}

/* How many updates may be staged at once within staging_bytes; one at a time where not even one fits. */
static unsigned slots_now(const struct fed_intake *intake) {
    uint64_t fit = intake->config.staging_bytes / largest_update(intake);
    return fit < 1 ? 1 : fit > intake->config.uploads ? intake->config.uploads : (unsigned)fit;
}

static unsigned most_of_node(const struct fed_intake *intake, unsigned n_slots) {
    unsigned most = n_slots > 1 ? n_slots - 1 : 1;
    return intake->config.uploads_per_node < most ? intake->config.uploads_per_node : most;
}

/* What the client counts; in a sum its node has done the same. */
static void cap_weight(struct fed_update_header *header, const struct fed_update_limits *limits) {
    if (header->encoding == FED_ENCODING_F32 && limits->weight_cap > 0 && header->weights[0] > limits->weight_cap) {
        header->weights[0] = limits->weight_cap;
    }
}

static void chunk_missing(struct slot *slot, uint64_t i) {
    slot->chunks[i] = CHUNK_MISSING;
    if (i < slot->first_missing) {
        slot->first_missing = i;
    }
}

static struct intake_job *idle_open_job(struct fed_intake *intake) {
    for (unsigned i = 0; i < FED_INTAKE_WINDOW; i++) {
        if (!intake->opens[i].busy) {
            return &intake->opens[i];
        }
    }
    return NULL;
}

/* Its bytes are there; they stay in flight until they are opened. */
static void open_chunk(struct fed_intake *intake, struct slot *slot, uint64_t index) {
    struct intake_job *job = idle_open_job(intake);
    if (job == NULL) { /* jobs of dropped slots still hold them all: let it come again */
        chunk_missing(slot, index);
        slot->n_in_flight--;
        return;
    }
    slot->chunks[index] = CHUNK_OPENING;
    *job = (struct intake_job){.job.run = open_and_check,
                               .intake = intake,
                               .kind = JOB_OPEN,
                               .busy = true,
                               .slot = slot,
                               .index = index,
                               .scratch = job->scratch};
    slot->n_jobs++;
    fed_pool_submit(intake->pool, &job->job);
}

/* The update goes on where it made room for another: what has come of it meanwhile is opened now. */
static void take_up(struct fed_intake *intake, struct slot *slot, struct offer *offer) {
    release_bytes(slot);
    *slot = *offer->kept;
    free(offer->kept);
    offer->kept = NULL;
    intake->n_kept--;
    slot->offer = offer;
    for (uint64_t i = 0; i < slot->header.n_chunks; i++) {
        if (slot->chunks[i] == CHUNK_HERE) {
            open_chunk(intake, slot, i);
        }
    }
}

static void begin_clocks(struct slot *slot, uint64_t now_ms) {
    slot->moved_ms = now_ms - slot->offer->stalled_ms;
    slot->since_ms = slot->paced_ms = now_ms;
    slot->paced_bytes = 0;
}

static int fill_slot(struct fed_intake *intake, struct slot *slot, struct offer *offer) {
    if (offer->kept != NULL) {
        take_up(intake, slot, offer);
        begin_clocks(slot, intake->now_ms);
        return FED_OK;
    }
    slot->offer = offer;
    slot->phase = SLOT_FETCHING;
    begin_clocks(slot, intake->now_ms);
    int rc = fed_update_header_decode(&slot->header, offer->header, offer->n_header);
    if (rc != FED_OK) { /* it was decoded when it was let in, but that took memory as well */
        return rc;
    }
    slot->chunks = calloc(slot->header.n_chunks, 1);
    slot->tries = calloc(slot->header.n_chunks, 1);
    slot->squares = calloc(slot->header.n_chunks, sizeof *slot->squares);
    slot->scale = 1;
    slot->limits = intake->attempt->limits;
    cap_weight(&slot->header, &slot->limits);
    rc = slot->chunks != NULL && slot->tries != NULL && slot->squares != NULL ? reserve_bytes(slot, &intake->config)
                                                                              : FED_ENOMEM;
    if (rc == FED_OK) {
        rc = fed_seal_update_key_coordinator(&slot->key, intake->attempt->r, offer->e_pk, offer->node_pk,
                                             intake->attempt->terms_digest, offer->header, offer->n_header);
    }
    return rc;
}

static void append_offer(struct fed_intake *intake, struct offer *offer) {
    offer->next = NULL;
    *intake->last_offer = offer;
    intake->last_offer = &offer->next;
}

static void take_out(struct fed_intake *intake, struct offer **at) {
    struct offer *offer = *at;
    *at = offer->next;
    if (offer->next == NULL) {
        intake->last_offer = at;
    }
}

static unsigned slots_of_node(const struct fed_intake *intake, size_t node) {
    unsigned n = 0;
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        n += intake->slots[i].offer != NULL && intake->slots[i].offer->node == node;
    }
    return n;
}

/* The offer that has waited longest, of a node that leaves room for others: whatever one node does with its slots, updates
 * of the rest come in. NULL: none. The caller owns it. */
static struct offer *take_offer(struct fed_intake *intake, unsigned n_slots) {
    unsigned most = most_of_node(intake, n_slots);
    struct offer **at = &intake->first_offer;
    while (*at != NULL && slots_of_node(intake, (*at)->node) >= most) {
        at = &(*at)->next;
    }
    struct offer *offer = *at;
    if (offer != NULL) {
        take_out(intake, at);
    }
    return offer;
}

static void fill_slots(struct fed_intake *intake) {
    unsigned n_slots = slots_now(intake);
    for (unsigned i = 0; i < n_slots; i++) {
        struct slot *slot = &intake->slots[i];
        struct offer *offer = slot->phase == SLOT_FREE ? take_offer(intake, n_slots) : NULL;
        int rc = offer != NULL ? fill_slot(intake, slot, offer) : FED_OK;
        if (rc != FED_OK) {
            refuse_slot(intake, slot, rc == FED_ESEAL ? FED_REFUSAL_SEAL : FED_REFUSAL_BUSY,
                        rc == FED_ESEAL ? "a key of low order"
                        : rc == FED_EIO ? "no room on the disk of the run directory to receive it"
                                        : "no room to receive it");
        }
    }
}

/* -- chunks ------------------------------------------------------------------------------------------------------------- */

/* Asks for the next run of missing chunks; false when there is none or the lane has no room. */
static bool ask_run(struct fed_intake *intake, struct slot *slot) {
    uint64_t first = slot->first_missing, room = SLOT_WINDOW - slot->n_in_flight, n = 0;
    while (first < slot->header.n_chunks && slot->chunks[first] != CHUNK_MISSING) {
        first++;
    }
    slot->first_missing = first;
    while (n < room && first + n < slot->header.n_chunks && slot->chunks[first + n] == CHUNK_MISSING) {
        n++;
    }
    if (n == 0) {
        return false;
    }
    int rc = intake->config.get(intake->config.context, slot->offer->node, slot->offer->part, first, (uint32_t)n);
    if (rc != FED_OK) {
        /* Without a lane there is no use in trying before the node has opened another. */
        intake->retry_ms = rc == FED_EGONE ? intake->retry_ms : intake->now_ms + TRY_AGAIN_MS;
        return false;
    }
    memset(slot->chunks + first, CHUNK_IN_FLIGHT, n);
    slot->n_in_flight += n;
    slot->first_missing = first + n;
    return true;
}

static void ask_chunks(struct fed_intake *intake, struct slot *slot) {
    /* Half a window at a time: a GET for every single chunk would double the messages. */
    while (slot->phase == SLOT_FETCHING && slot->n_in_flight <= SLOT_WINDOW / 2 && ask_run(intake, slot)) {
    }
}

/* There is memory for one more than the slots need. */
static bool can_keep(const struct fed_intake *intake, const struct slot *slot) {
    uint64_t fit = intake->config.staging_bytes / largest_update(intake);
    return !slot->spooled && fit > (uint64_t)slots_now(intake) + intake->n_kept;
}

/* Moves what has come of an update out of its slot. */
static struct slot *keep(struct fed_intake *intake, struct slot *slot) {
    struct slot *kept = can_keep(intake, slot) ? malloc(sizeof *kept) : NULL;
    if (kept != NULL) {
        *kept = *slot;
        kept->offer = NULL;
        *slot = (struct slot){.phase = SLOT_FREE};
        intake->n_kept++;
    }
    return kept;
}

/* Nothing came from this node for so long, whichever of its updates it was asked for: it need not be waited for as long
 * again for each of them. */
static void node_stalled(struct fed_intake *intake, size_t node, uint64_t still_ms) {
    for (struct offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->node == node && offer->stalled_ms < still_ms) {
            offer->stalled_ms = still_ms;
        }
    }
}

/* The offer goes behind those that wait. */
static void give_way(struct fed_intake *intake, struct slot *slot) {
    struct offer *offer = slot->offer;
    assert(slot->n_jobs == 0);
    offer->stalled_ms = intake->now_ms - slot->moved_ms;
    node_stalled(intake, offer->node, offer->stalled_ms);
    offer->kept = keep(intake, slot);
    if (offer->kept == NULL) {
        slot->offer = NULL;
        free_slot(slot);
        offer->began_anew = true;
    }
    append_offer(intake, offer);
}

static void forget_in_flight(struct slot *slot) {
    for (uint64_t i = 0; i < slot->header.n_chunks; i++) {
        if (slot->chunks[i] == CHUNK_IN_FLIGHT) {
            chunk_missing(slot, i);
            slot->n_in_flight--;
        }
    }
}

/* The connection pays for the first chunk that does not open; what else came by it gets no blame of its own. */
static void give_up_connection(struct fed_intake *intake, struct slot *slot) {
    if (slot->blamed) {
        return;
    }
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct slot *other = &intake->slots[i];
        if (other->phase == SLOT_FETCHING && other->offer->node == slot->offer->node) {
            forget_in_flight(other);
            other->blamed = true;
        }
    }
    intake->config.broken(intake->config.context, slot->offer->node, slot->offer->part);
}

/* Somebody else has an offer here that may take a slot. */
static bool others_wait(const struct fed_intake *intake, const struct slot *slot) {
    unsigned most = most_of_node(intake, slots_now(intake));
    for (const struct offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->node != slot->offer->node && slots_of_node(intake, offer->node) < most) {
            return true;
        }
    }
    return false;
}

/* Since when nothing has moved in this slot since it was filled. */
static uint64_t quiet_since(const struct slot *slot) {
    return slot->moved_ms > slot->since_ms ? slot->moved_ms : slot->since_ms;
}

/* A node from which nothing comes keeps its slot from the others only for a while, and the round for stall_ms, however often
 * it gave way in between. */
static void look_after_stalled(struct fed_intake *intake, struct slot *slot) {
    uint64_t still_ms = intake->now_ms - slot->moved_ms, stall_ms = intake->config.stall_ms;
    if (slot->phase != SLOT_FETCHING || slot->n_jobs > 0) {
        return;
    }
    uint64_t quiet_ms = intake->now_ms - quiet_since(slot);
    if (still_ms >= stall_ms) {
        node_stalled(intake, slot->offer->node, still_ms);
        refuse_slot(intake, slot, FED_REFUSAL_RATE, "its transfer stalled");
    } else if (quiet_ms >= stall_ms / YIELD_PART && others_wait(intake, slot)) {
        give_way(intake, slot);
    } else if (quiet_ms >= stall_ms / REMIND_PART && !slot->reminded) {
        slot->reminded = true;
        forget_in_flight(slot);
    }
}

/* An upload that moves is never given up, but one below the least rate does not keep its slot from others. Where nothing can
 * be kept of it, only once: else two that are slow would begin anew in turn, for ever. */
static void look_after_slow(struct fed_intake *intake, struct slot *slot) {
    uint64_t passed_ms = intake->now_ms - slot->paced_ms;
    if (slot->phase != SLOT_FETCHING || slot->n_jobs > 0 || passed_ms < PACE_MS) {
        return;
    }
    bool slow = slot->paced_bytes / (passed_ms / 1000) < intake->config.least_bytes_per_s;
    slot->paced_ms = intake->now_ms;
    slot->paced_bytes = 0;
    if (slow && others_wait(intake, slot) && (can_keep(intake, slot) || !slot->offer->began_anew)) {
        give_way(intake, slot);
    }
}

void fed_intake_lane_anew(struct fed_intake *intake, size_t node) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct slot *slot = &intake->slots[i];
        if (slot->phase == SLOT_FETCHING && slot->offer->node == node) {
            forget_in_flight(slot);
        }
    }
    for (struct offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->kept != NULL && offer->node == node) {
            forget_in_flight(offer->kept);
        }
    }
}

/* While it is being fetched it must move; what is whole waits for us. */
static bool may_go_on(const struct fed_intake *intake, const struct slot *slot) {
    bool moves = slot->phase != SLOT_FETCHING || intake->now_ms - slot->moved_ms < intake->config.stall_ms;
    return slot->n_opened > 0 && moves;
}

bool fed_intake_holds(const struct fed_intake *intake, size_t node) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        const struct slot *slot = &intake->slots[i];
        if (slot->offer != NULL && slot->phase != SLOT_DROPPED && slot->offer->node == node && may_go_on(intake, slot)) {
            return true;
        }
    }
    for (const struct offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->node == node && offer->kept != NULL && may_go_on(intake, offer->kept)) {
            return true;
        }
    }
    return false;
}

/* One connection brings the updates of a node one behind the other: what moves one of them moves all. */
static void node_moved(struct fed_intake *intake, size_t node, uint64_t now_ms) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct slot *slot = &intake->slots[i];
        if (slot->phase == SLOT_FETCHING && slot->offer->node == node) {
            slot->moved_ms = now_ms;
            slot->reminded = false;
        }
    }
    for (struct offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->node == node) {
            offer->stalled_ms = 0;
        }
    }
}

static struct slot *find_slot(struct fed_intake *intake, size_t node, uint32_t part) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct slot *slot = &intake->slots[i];
        if (slot->phase != SLOT_FREE && slot->phase != SLOT_DROPPED && slot->offer->node == node &&
            slot->offer->part == part) {
            return slot;
        }
    }
    return NULL;
}

/* The slot that fetches this part, or what is kept of it. */
static struct slot *find_fetching(struct fed_intake *intake, size_t node, uint32_t part) {
    struct slot *slot = find_slot(intake, node, part);
    for (struct offer *offer = intake->first_offer; slot == NULL && offer != NULL; offer = offer->next) {
        slot = offer->node == node && offer->part == part ? offer->kept : NULL;
    }
    return slot != NULL && slot->phase == SLOT_FETCHING ? slot : NULL;
}

int fed_intake_chunk(struct fed_intake *intake, size_t node, uint32_t part, uint64_t index, const uint8_t *sealed, size_t n,
                     uint64_t now_ms) {
    intake->now_ms = now_ms;
    struct slot *slot = find_fetching(intake, node, part);
    if (slot == NULL || index >= slot->header.n_chunks || slot->chunks[index] != CHUNK_IN_FLIGHT ||
        n != chunk_bytes(slot, index) + FED_TAG_BYTES) {
        return FED_EWIRE;
    }
    memcpy(slot->bytes + chunk_offset(index), sealed, n);
    slot->blamed = false;
    slot->moved_ms = now_ms;
    slot->paced_bytes += n;
    node_moved(intake, node, now_ms);
    if (slot->offer == NULL) { /* kept: it is opened when there is a slot again */
        slot->chunks[index] = CHUNK_HERE;
        return FED_OK;
    }
    open_chunk(intake, slot, index);
    ask_chunks(intake, slot);
    return FED_OK;
}

/* -- finished jobs ------------------------------------------------------------------------------------------------------ */

/* Every value is known now, and so is the norm of a single update; one that was stated does not matter. */
static void slot_opened(struct fed_intake *intake, struct slot *slot) {
    const struct fed_update_limits *limits = &slot->limits;
    struct fed_update_header *header = &slot->header;
    slot->phase = SLOT_WAITING;
    if (header->encoding == FED_ENCODING_I64) {
        return;
    }
    header->has_norms = true;
    header->norms[0] = fed_norm_of_squares(slot->squares, header->n_chunks);
    slot->scale = fed_norm_clip_scale(header->norms[0], limits->clip);
    enum fed_refusal refusal = fed_admit_norm(limits, header->norms[0]);
    if (refusal != FED_REFUSAL_NONE) {
        struct fed_error why;
        fed_admit_describe_norm(&why, limits, header->norms[0]);
        refuse_slot(intake, slot, refusal, why.text);
    }
}

static void chunk_opened(struct fed_intake *intake, struct intake_job *job) {
    struct slot *slot = job->slot;
    slot->n_in_flight--;
    if (job->rc == FED_ENOMEM) { /* nobody's fault but ours */
        refuse_slot(intake, slot, FED_REFUSAL_BUSY, "no room to open it");
        return;
    }
    if (job->rc != FED_OK) {
        if (++slot->tries[job->index] >= OPEN_TRIES) {
            refuse_slot(intake, slot, FED_REFUSAL_SEAL, "a chunk does not open under its key");
        } else {
            chunk_missing(slot, job->index);
            give_up_connection(intake, slot);
        }
        return;
    }
    if (job->refusal != FED_REFUSAL_NONE) {
        struct fed_error why;
        fed_admit_describe(&why, job->refusal, intake->config.model, intake->config.fixed, &slot->limits, job->bad,
                           job->value);
        refuse_slot(intake, slot, job->refusal, why.text);
        return;
    }
    slot->chunks[job->index] = CHUNK_OPENED;
    slot->squares[job->index] = job->squares;
    if (++slot->n_opened == slot->header.n_chunks) {
        slot_opened(intake, slot);
    }
}

/* The next update that is whole and whose clients are still this part's: between the offer and now they may have been given
 * to, and counted for, somebody else. */
static struct slot *next_to_add(struct fed_intake *intake) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct slot *slot = &intake->slots[i];
        if (slot->phase != SLOT_WAITING) {
            continue;
        }
        enum fed_refusal refusal =
            intake->config.claim(intake->config.context, slot->offer->node, slot->offer->part, &slot->header);
        if (refusal == FED_REFUSAL_NONE) {
            return slot;
        }
        refuse_slot(intake, slot, refusal, "its clients were given to another node meanwhile");
    }
    return NULL;
}

static void start_adding(struct fed_intake *intake) {
    struct slot *slot = intake->adding == NULL ? next_to_add(intake) : NULL;
    if (slot == NULL) {
        return;
    }
    intake->adding = slot;
    slot->phase = SLOT_ADDING;
    for (unsigned t = 0; t < intake->config.threads; t++) {
        struct intake_job *job = &intake->adds[t];
        *job = (struct intake_job){.job.run = add_chunks,
                                   .intake = intake,
                                   .kind = JOB_ADD,
                                   .slot = slot,
                                   .index = t,
                                   .stride = intake->config.threads,
                                   .scratch = job->scratch};
        slot->n_jobs++;
        fed_pool_submit(intake->pool, &job->job);
    }
}

static void slot_added(struct fed_intake *intake, struct slot *slot) {
    size_t node = slot->offer->node;
    uint32_t part = slot->offer->part;
    struct fed_update_header header = slot->header;
    intake->adding = NULL;
    free_slot(slot);
    if (intake->spoilt) {
        return;
    }
    fed_aggregate_count(intake->config.aggregate, fed_admit_total_weight(&header), header.n_clients);
    intake->config.admitted(intake->config.context, node, part, &header);
}

static void job_finished(struct fed_intake *intake, struct intake_job *job) {
    struct slot *slot = job->slot;
    slot->n_jobs--;
    if (job->kind == JOB_ADD) {
        intake->spoilt = intake->spoilt || job->rc != FED_OK;
        if (slot->n_jobs == 0) {
            slot_added(intake, slot);
        }
        return;
    }
    job->busy = false;
    if (slot->phase == SLOT_DROPPED) {
        if (slot->n_jobs == 0) {
            free_slot(slot);
        }
        return;
    }
    chunk_opened(intake, job);
}

void fed_intake_work(struct fed_intake *intake, uint64_t now_ms) {
    intake->now_ms = now_ms;
    intake->retry_ms = UINT64_MAX;
    for (struct fed_job *job; (job = fed_pool_finished(intake->pool)) != NULL;) {
        job_finished(intake, (struct intake_job *)(void *)job);
    }
    if (intake->attempt == NULL) {
        return;
    }
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        look_after_stalled(intake, &intake->slots[i]);
        look_after_slow(intake, &intake->slots[i]);
    }
    start_adding(intake);
    fill_slots(intake);
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        ask_chunks(intake, &intake->slots[i]);
    }
}

static uint64_t slot_wakeup(const struct fed_intake *intake, const struct slot *slot) {
    uint64_t stall_ms = intake->config.stall_ms, quiet_ms = quiet_since(slot), at = slot->moved_ms + stall_ms;
    if (!slot->reminded && quiet_ms + stall_ms / REMIND_PART < at) {
        at = quiet_ms + stall_ms / REMIND_PART;
    }
    if (!others_wait(intake, slot)) {
        return at;
    }
    at = quiet_ms + stall_ms / YIELD_PART < at ? quiet_ms + stall_ms / YIELD_PART : at;
    return slot->paced_ms + PACE_MS < at ? slot->paced_ms + PACE_MS : at;
}

uint64_t fed_intake_wakeup(const struct fed_intake *intake) {
    uint64_t at = intake->retry_ms;
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        const struct slot *slot = &intake->slots[i];
        if (slot->phase == SLOT_FETCHING && slot->n_jobs == 0) {
            uint64_t slot_at = slot_wakeup(intake, slot);
            at = slot_at < at ? slot_at : at;
        }
    }
    return at;
}

/* -- the rest ----------------------------------------------------------------------------------------------------------- */

static bool same_update(const struct offer *held, const struct fed_msg_offer *offer) {
    return memcmp(held->e_pk, offer->e_pk, sizeof held->e_pk) == 0 && held->n_header == offer->n_header &&
           memcmp(held->header, offer->header, offer->n_header) == 0;
}

/* Whether the offer is held already, or its part is being added. One of the same part that was sealed anew takes the place
 * of the one that is held: chunks of the old one will not come any more. */
static bool is_held(struct fed_intake *intake, size_t node, const struct fed_msg_offer *offer) {
    struct slot *slot = find_slot(intake, node, offer->part);
    if (slot != NULL && (slot->phase == SLOT_ADDING || same_update(slot->offer, offer))) {
        return true;
    }
    if (slot != NULL) {
        drop_slot(slot);
    }
    for (struct offer **at = &intake->first_offer; *at != NULL; at = &(*at)->next) {
        struct offer *held = *at;
        if (held->node != node || held->part != offer->part) {
            continue;
        }
        if (same_update(held, offer)) {
            return true;
        }
        take_out(intake, at);
        free_offer(intake, held);
        return false;
    }
    return false;
}

int fed_intake_offer(struct fed_intake *intake, size_t node, const uint8_t node_seal_pk[FED_KEY_BYTES],
                     const struct fed_msg_offer *offer) {
    if (intake->attempt == NULL || is_held(intake, node, offer)) {
        return FED_OK;
    }
    struct offer *copy = malloc(sizeof *copy + offer->n_header);
    if (copy == NULL) {
        return FED_ENOMEM;
    }
    copy->kept = NULL;
    copy->stalled_ms = 0;
    copy->began_anew = false;
    copy->node = node;
    copy->part = offer->part;
    memcpy(copy->e_pk, offer->e_pk, sizeof copy->e_pk);
    memcpy(copy->node_pk, node_seal_pk, sizeof copy->node_pk);
    copy->n_header = offer->n_header;
    memcpy(copy->header, offer->header, offer->n_header);
    append_offer(intake, copy);
    return FED_OK;
}

static bool counts_any(const struct fed_update_header *header, const uint64_t *clients, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < header->n_clients; k++) {
            if (header->clients[k] == clients[i]) {
                return true;
            }
        }
    }
    return n == 0;
}

/* Without the memory to look it is fetched in vain: the claim is the last word. */
static bool offer_counts_any(const struct offer *offer, const uint64_t *clients, size_t n) {
    static struct fed_update_header header;
    return n == 0 ||
           (fed_update_header_decode(&header, offer->header, offer->n_header) == FED_OK && counts_any(&header, clients, n));
}

void fed_intake_declined(struct fed_intake *intake, size_t node, uint32_t part, const uint64_t *clients, size_t n) {
    struct slot *slot = find_slot(intake, node, part);
    if (slot != NULL && slot->phase != SLOT_ADDING && counts_any(&slot->header, clients, n)) {
        drop_slot(slot);
    }
    for (struct offer **at = &intake->first_offer; *at != NULL; at = &(*at)->next) {
        struct offer *offer = *at;
        if (offer->node == node && offer->part == part && offer_counts_any(offer, clients, n)) {
            take_out(intake, at);
            free_offer(intake, offer);
            return; /* there is one at most */
        }
    }
}

static void drop_offers(struct fed_intake *intake, size_t node, bool all) {
    struct offer **at = &intake->first_offer;
    while (*at != NULL) {
        struct offer *offer = *at;
        if (all || offer->node == node) {
            *at = offer->next;
            free_offer(intake, offer);
        } else {
            at = &offer->next;
        }
    }
    intake->last_offer = at;
}

/* An update that is being added goes on: half of it is in the sum already. */
static void drop_slots(struct fed_intake *intake, size_t node, bool all) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct slot *slot = &intake->slots[i];
        bool started = slot->phase == SLOT_FETCHING || slot->phase == SLOT_WAITING;
        if (started && (all || slot->offer->node == node)) {
            drop_slot(slot);
        }
    }
}

void fed_intake_node_lost(struct fed_intake *intake, size_t node) {
    drop_offers(intake, node, false);
    drop_slots(intake, node, false);
}

void fed_intake_begin(struct fed_intake *intake, const struct fed_attempt *attempt) {
    assert(fed_intake_idle(intake));
    intake->attempt = attempt;
    intake->spoilt = false;
}

void fed_intake_end(struct fed_intake *intake) {
    drop_offers(intake, 0, true);
    drop_slots(intake, 0, true);
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        if (intake->slots[i].phase == SLOT_FREE) { /* the next model needs room now */
            release_bytes(&intake->slots[i]);
        }
    }
    intake->attempt = NULL;
}

bool fed_intake_idle(const struct fed_intake *intake) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        if (intake->slots[i].n_jobs > 0) {
            return false;
        }
    }
    return true;
}

bool fed_intake_spoilt(const struct fed_intake *intake) { return intake->spoilt; }

int fed_intake_fd(const struct fed_intake *intake) { return fed_pool_fd(intake->pool); }

int fed_intake_new(struct fed_intake **out, const struct fed_intake_config *config, struct fed_error *err) {
    struct fed_intake *intake = calloc(1, sizeof *intake);
    struct intake_job *adds = calloc(config->threads, sizeof *adds);
    if (intake == NULL || adds == NULL) {
        free(intake);
        free(adds);
        return fed_error_set(err, FED_ENOMEM, "not enough memory to receive updates");
    }
    assert(config->uploads >= 1 && config->uploads <= FED_INTAKE_SLOTS && config->uploads_per_node >= 1);
    intake->config = *config;
    intake->adds = adds;
    intake->last_offer = &intake->first_offer;
    intake->retry_ms = UINT64_MAX;
    int rc = fed_pool_new(&intake->pool, "fed-intake", config->threads, err);
    if (rc != FED_OK) {
        free(adds);
        free(intake);
        return rc;
    }
    *out = intake;
    return FED_OK;
}

void fed_intake_free(struct fed_intake *intake) {
    if (intake == NULL) {
        return;
    }
    fed_pool_free(intake->pool);
    drop_offers(intake, 0, true);
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        intake->slots[i].n_jobs = 0; /* the pool is gone, and its jobs with it */
        free_slot(&intake->slots[i]);
        release_bytes(&intake->slots[i]);
    }
    for (unsigned i = 0; i < FED_INTAKE_WINDOW; i++) {
        free(intake->opens[i].scratch);
    }
    for (unsigned t = 0; t < intake->config.threads; t++) {
        free(intake->adds[t].scratch);
    }
    free(intake->adds);
    free(intake);
}
