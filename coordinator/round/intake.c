/* The way in: chunks are asked for, opened and checked; updates that are whole are claimed and added, one at a time. */
#include "coordinator/round/intake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/round/intake_internal.h"

#define OPEN_TRIES 2    /* a chunk that does not open is asked for once more */
#define TRY_AGAIN_MS 10 /* the lane had no room for a GET */

void fed_intake_refuse(struct fed_intake *intake, struct fed_slot *slot, enum fed_refusal refusal, const char *why) {
    size_t node = slot->offer->node;
    uint32_t part = slot->offer->part;
    struct fed_update_header header = slot->header;
    fed_slot_drop(slot);
    intake->config.refused(intake->config.context, node, part, refusal, &header, why);
}

/* Asks for the next run of missing chunks; false when there is none or the lane has no room. */
static bool ask_run(struct fed_intake *intake, struct fed_slot *slot) {
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

static void ask_chunks(struct fed_intake *intake, struct fed_slot *slot) {
    /* Half a window at a time: a GET for every single chunk would double the messages. */
    while (slot->phase == SLOT_FETCHING && slot->n_in_flight <= SLOT_WINDOW / 2 && ask_run(intake, slot)) {
    }
}

/* The connection pays for the first chunk that does not open; what else came by it gets no blame of its own. */
static void give_up_connection(struct fed_intake *intake, struct fed_slot *slot) {
    if (slot->blamed) {
        return;
    }
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct fed_slot *other = &intake->slots[i];
        if (other->phase == SLOT_FETCHING && other->offer->node == slot->offer->node) {
            fed_slot_forget_in_flight(other);
            other->blamed = true;
        }
    }
    intake->config.broken(intake->config.context, slot->offer->node, slot->offer->part);
}

void fed_intake_lane_anew(struct fed_intake *intake, size_t node) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct fed_slot *slot = &intake->slots[i];
        if (slot->phase == SLOT_FETCHING && slot->offer->node == node) {
            fed_slot_forget_in_flight(slot);
        }
    }
    for (struct fed_held_offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->kept != NULL && offer->node == node) {
            fed_slot_forget_in_flight(offer->kept);
        }
    }
}

/* While it is being fetched it must move; what is whole waits for us. */
static bool may_go_on(const struct fed_intake *intake, const struct fed_slot *slot) {
    bool moves = slot->phase != SLOT_FETCHING || intake->now_ms - slot->moved_ms < intake->config.stall_ms;
    return slot->n_opened > 0 && moves;
}

bool fed_intake_holds(const struct fed_intake *intake, size_t node) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        const struct fed_slot *slot = &intake->slots[i];
        if (slot->offer != NULL && slot->phase != SLOT_DROPPED && slot->offer->node == node && may_go_on(intake, slot)) {
            return true;
        }
    }
    for (const struct fed_held_offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->node == node && offer->kept != NULL && may_go_on(intake, offer->kept)) {
            return true;
        }
    }
    return false;
}

/* One connection brings the updates of a node one behind the other: what moves one of them moves all. */
static void node_moved(struct fed_intake *intake, size_t node, uint64_t now_ms) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct fed_slot *slot = &intake->slots[i];
        if (slot->phase == SLOT_FETCHING && slot->offer->node == node) {
            slot->moved_ms = now_ms;
            slot->reminded = false;
        }
    }
    for (struct fed_held_offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->node == node) {
            offer->stalled_ms = 0;
        }
    }
}

struct fed_slot *fed_intake_find(struct fed_intake *intake, size_t node, uint32_t part) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct fed_slot *slot = &intake->slots[i];
        if (slot->phase != SLOT_FREE && slot->phase != SLOT_DROPPED && slot->offer->node == node &&
            slot->offer->part == part) {
            return slot;
        }
    }
    return NULL;
}

/* The slot that fetches this part, or what is kept of it. */
static struct fed_slot *find_fetching(struct fed_intake *intake, size_t node, uint32_t part) {
    struct fed_slot *slot = fed_intake_find(intake, node, part);
    for (struct fed_held_offer *offer = intake->first_offer; slot == NULL && offer != NULL; offer = offer->next) {
        slot = offer->node == node && offer->part == part ? offer->kept : NULL;
    }
    return slot != NULL && slot->phase == SLOT_FETCHING ? slot : NULL;
}

int fed_intake_chunk(struct fed_intake *intake, size_t node, uint32_t part, uint64_t index, const uint8_t *sealed, size_t n,
                     uint64_t now_ms) {
    intake->now_ms = now_ms;
    struct fed_slot *slot = find_fetching(intake, node, part);
    if (slot == NULL || index >= slot->header.n_chunks || slot->chunks[index] != CHUNK_IN_FLIGHT ||
        n != fed_slot_chunk_bytes(slot, index) + FED_TAG_BYTES) {
        return FED_EWIRE;
    }
    memcpy(slot->bytes + fed_slot_offset(index), sealed, n);
    slot->blamed = false;
    slot->moved_ms = now_ms;
    slot->paced_bytes += n;
    node_moved(intake, node, now_ms);
    if (slot->offer == NULL) { /* kept: it is opened when there is a slot again */
        slot->chunks[index] = CHUNK_HERE;
        return FED_OK;
    }
    fed_slot_open(intake, slot, index);
    ask_chunks(intake, slot);
    return FED_OK;
}

/* Every value is known now, and so is the norm of a single update; one that was stated does not matter. */
static void slot_opened(struct fed_intake *intake, struct fed_slot *slot) {
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
        fed_intake_refuse(intake, slot, refusal, why.text);
    }
}

static void chunk_opened(struct fed_intake *intake, struct fed_intake_job *job) {
    struct fed_slot *slot = job->slot;
    slot->n_in_flight--;
    if (job->rc == FED_ENOMEM) { /* nobody's fault but ours */
        fed_intake_refuse(intake, slot, FED_REFUSAL_BUSY, "no room to open it");
        return;
    }
    if (job->rc != FED_OK) {
        if (++slot->tries[job->index] >= OPEN_TRIES) {
            fed_intake_refuse(intake, slot, FED_REFUSAL_SEAL, "a chunk does not open under its key");
        } else {
            fed_slot_missing(slot, job->index);
            give_up_connection(intake, slot);
        }
        return;
    }
    if (job->refusal != FED_REFUSAL_NONE) {
        struct fed_error why;
        fed_admit_describe(&why, job->refusal, intake->config.model, intake->config.fixed, &slot->limits, job->bad,
                           job->value);
        fed_intake_refuse(intake, slot, job->refusal, why.text);
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
static struct fed_slot *next_to_add(struct fed_intake *intake) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct fed_slot *slot = &intake->slots[i];
        if (slot->phase != SLOT_WAITING) {
            continue;
        }
        enum fed_refusal refusal =
            intake->config.claim(intake->config.context, slot->offer->node, slot->offer->part, &slot->header);
        if (refusal == FED_REFUSAL_NONE) {
            return slot;
        }
        fed_intake_refuse(intake, slot, refusal, "its clients were given to another node meanwhile");
    }
    return NULL;
}

static void start_adding(struct fed_intake *intake) {
    struct fed_slot *slot = intake->adding == NULL ? next_to_add(intake) : NULL;
    if (slot == NULL) {
        return;
    }
    intake->adding = slot;
    slot->phase = SLOT_ADDING;
    fed_slot_add(intake, slot);
}

static void slot_added(struct fed_intake *intake, struct fed_slot *slot) {
    size_t node = slot->offer->node;
    uint32_t part = slot->offer->part;
    struct fed_update_header header = slot->header;
    intake->adding = NULL;
    fed_slot_free(slot);
    if (intake->spoilt) {
        return;
    }
    fed_aggregate_count(intake->config.aggregate, fed_admit_total_weight(&header), header.n_clients);
    intake->config.admitted(intake->config.context, node, part, &header);
}

static void job_finished(struct fed_intake *intake, struct fed_intake_job *job) {
    struct fed_slot *slot = job->slot;
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
            fed_slot_free(slot);
        }
        return;
    }
    chunk_opened(intake, job);
}

void fed_intake_work(struct fed_intake *intake, uint64_t now_ms) {
    intake->now_ms = now_ms;
    intake->retry_ms = UINT64_MAX;
    for (struct fed_job *job; (job = fed_pool_finished(intake->pool)) != NULL;) {
        job_finished(intake, (struct fed_intake_job *)(void *)job);
    }
    if (intake->attempt == NULL) {
        return;
    }
    fed_intake_look_after(intake);
    start_adding(intake);
    fed_intake_fill_slots(intake);
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        ask_chunks(intake, &intake->slots[i]);
    }
}

/* An update that is being added goes on: half of it is in the sum already. */
static void drop_slots(struct fed_intake *intake, size_t node, bool all) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        struct fed_slot *slot = &intake->slots[i];
        bool started = slot->phase == SLOT_FETCHING || slot->phase == SLOT_WAITING;
        if (started && (all || slot->offer->node == node)) {
            fed_slot_drop(slot);
        }
    }
}

void fed_intake_node_lost(struct fed_intake *intake, size_t node) {
    fed_intake_drop_offers(intake, node, false);
    drop_slots(intake, node, false);
}

void fed_intake_begin(struct fed_intake *intake, const struct fed_attempt *attempt) {
    assert(fed_intake_idle(intake));
    intake->attempt = attempt;
    intake->spoilt = false;
}

void fed_intake_end(struct fed_intake *intake) {
    fed_intake_drop_offers(intake, 0, true);
    drop_slots(intake, 0, true);
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        if (intake->slots[i].phase == SLOT_FREE) { /* the next model needs room now */
            fed_slot_release(&intake->slots[i]);
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
    struct fed_intake_job *adds = calloc(config->threads, sizeof *adds);
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
    fed_intake_drop_offers(intake, 0, true);
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        intake->slots[i].n_jobs = 0; /* the pool is gone, and its jobs with it */
        fed_slot_free(&intake->slots[i]);
        fed_slot_release(&intake->slots[i]);
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
