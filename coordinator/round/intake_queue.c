/* Offers that wait, which of them is given a slot, and which slot is taken from whom does not use it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/round/intake_internal.h"

#define PACE_MS 20000 /* over so long an upload's speed is judged */
#define YIELD_PART 6  /* of stall_ms: a slot in which nothing moves for so long is given to an offer that waits */
#define REMIND_PART 2 /* of stall_ms: what is in flight for so long is asked for once more */

static void free_offer(struct fed_intake *intake, struct fed_held_offer *offer) {
    if (offer->kept != NULL) {
        fed_slot_free(offer->kept);
        fed_slot_release(offer->kept);
        free(offer->kept);
        intake->n_kept--;
    }
    free(offer);
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

static unsigned slots_of_node(const struct fed_intake *intake, size_t node) {
    unsigned n = 0;
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        n += intake->slots[i].offer != NULL && intake->slots[i].offer->node == node;
    }
    return n;
}

static void append_offer(struct fed_intake *intake, struct fed_held_offer *offer) {
    offer->next = NULL;
    *intake->last_offer = offer;
    intake->last_offer = &offer->next;
}

static void take_out(struct fed_intake *intake, struct fed_held_offer **at) {
    struct fed_held_offer *offer = *at;
    *at = offer->next;
    if (offer->next == NULL) {
        intake->last_offer = at;
    }
}

/* The offer that has waited longest, of a node that leaves room for others: whatever one node does with its slots, updates
 * of the rest come in. NULL: none. The caller owns it. */
static struct fed_held_offer *take_offer(struct fed_intake *intake, unsigned n_slots) {
    unsigned most = most_of_node(intake, n_slots);
    struct fed_held_offer **at = &intake->first_offer;
    while (*at != NULL && slots_of_node(intake, (*at)->node) >= most) {
        at = &(*at)->next;
    }
    struct fed_held_offer *offer = *at;
    if (offer != NULL) {
        take_out(intake, at);
    }
    return offer;
}

/* What the client counts; in a sum its node has done the same. */
static void cap_weight(struct fed_update_header *header, const struct fed_update_limits *limits) {
    if (header->encoding == FED_ENCODING_F32 && limits->weight_cap > 0 && header->weights[0] > limits->weight_cap) {
        header->weights[0] = limits->weight_cap;
    }
}

/* The update goes on where it made room for another: what has come of it meanwhile is opened now. */
static void take_up(struct fed_intake *intake, struct fed_slot *slot, struct fed_held_offer *offer) {
    fed_slot_release(slot);
    *slot = *offer->kept;
    free(offer->kept);
    offer->kept = NULL;
    intake->n_kept--;
    slot->offer = offer;
    for (uint64_t i = 0; i < slot->header.n_chunks; i++) {
        if (slot->chunks[i] == CHUNK_HERE) {
            fed_slot_open(intake, slot, i);
        }
    }
}

static void begin_clocks(struct fed_slot *slot, uint64_t now_ms) {
    slot->moved_ms = now_ms - slot->offer->stalled_ms;
    slot->since_ms = slot->paced_ms = now_ms;
    slot->paced_bytes = 0;
}

static int fill_slot(struct fed_intake *intake, struct fed_slot *slot, struct fed_held_offer *offer) {
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
    rc = slot->chunks != NULL && slot->tries != NULL && slot->squares != NULL ? fed_slot_reserve(slot, &intake->config)
                                                                              : FED_ENOMEM;
    if (rc == FED_OK) {
        rc = fed_seal_update_key_coordinator(&slot->key, intake->attempt->r, offer->e_pk, offer->node_pk,
                                             intake->attempt->terms_digest, offer->header, offer->n_header);
    }
    return rc;
}

void fed_intake_fill_slots(struct fed_intake *intake) {
    unsigned n_slots = slots_now(intake);
    for (unsigned i = 0; i < n_slots; i++) {
        struct fed_slot *slot = &intake->slots[i];
        struct fed_held_offer *offer = slot->phase == SLOT_FREE ? take_offer(intake, n_slots) : NULL;
        int rc = offer != NULL ? fill_slot(intake, slot, offer) : FED_OK;
        if (rc != FED_OK) {
            fed_intake_refuse(intake, slot, rc == FED_ESEAL ? FED_REFUSAL_SEAL : FED_REFUSAL_BUSY,
                              rc == FED_ESEAL ? "a key of low order"
                              : rc == FED_EIO ? "no room on the disk of the run directory to receive it"
                                              : "no room to receive it");
        }
    }
}

/* There is memory for one more than the slots need. */
static bool can_keep(const struct fed_intake *intake, const struct fed_slot *slot) {
    uint64_t fit = intake->config.staging_bytes / largest_update(intake);
    return !slot->spooled && fit > (uint64_t)slots_now(intake) + intake->n_kept;
}

/* Moves what has come of an update out of its slot. */
static struct fed_slot *keep(struct fed_intake *intake, struct fed_slot *slot) {
    struct fed_slot *kept = can_keep(intake, slot) ? malloc(sizeof *kept) : NULL;
    if (kept != NULL) {
        *kept = *slot;
        kept->offer = NULL;
        *slot = (struct fed_slot){.phase = SLOT_FREE};
        intake->n_kept++;
    }
    return kept;
}

/* Nothing came from this node for so long, whichever of its updates it was asked for: it need not be waited for as long
 * again for each of them. */
static void node_stalled(struct fed_intake *intake, size_t node, uint64_t still_ms) {
    for (struct fed_held_offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->node == node && offer->stalled_ms < still_ms) {
            offer->stalled_ms = still_ms;
        }
    }
}

/* The offer goes behind those that wait. */
static void give_way(struct fed_intake *intake, struct fed_slot *slot) {
    struct fed_held_offer *offer = slot->offer;
    assert(slot->n_jobs == 0);
    offer->stalled_ms = intake->now_ms - slot->moved_ms;
    node_stalled(intake, offer->node, offer->stalled_ms);
    offer->kept = keep(intake, slot);
    if (offer->kept == NULL) {
        slot->offer = NULL;
        fed_slot_free(slot);
        offer->began_anew = true;
    }
    append_offer(intake, offer);
}

/* Somebody else has an offer here that may take a slot. */
static bool others_wait(const struct fed_intake *intake, const struct fed_slot *slot) {
    unsigned most = most_of_node(intake, slots_now(intake));
    for (const struct fed_held_offer *offer = intake->first_offer; offer != NULL; offer = offer->next) {
        if (offer->node != slot->offer->node && slots_of_node(intake, offer->node) < most) {
            return true;
        }
    }
    return false;
}

/* Since when nothing has moved in this slot since it was filled. */
static uint64_t quiet_since(const struct fed_slot *slot) {
    return slot->moved_ms > slot->since_ms ? slot->moved_ms : slot->since_ms;
}

/* A node from which nothing comes keeps its slot from the others only for a while, and the round for stall_ms, however often
 * it gave way in between. */
static void look_after_stalled(struct fed_intake *intake, struct fed_slot *slot) {
    uint64_t still_ms = intake->now_ms - slot->moved_ms, stall_ms = intake->config.stall_ms;
    if (slot->phase != SLOT_FETCHING || slot->n_jobs > 0) {
        return;
    }
    uint64_t quiet_ms = intake->now_ms - quiet_since(slot);
    if (still_ms >= stall_ms) {
        node_stalled(intake, slot->offer->node, still_ms);
        fed_intake_refuse(intake, slot, FED_REFUSAL_RATE, "its transfer stalled");
    } else if (quiet_ms >= stall_ms / YIELD_PART && others_wait(intake, slot)) {
        give_way(intake, slot);
    } else if (quiet_ms >= stall_ms / REMIND_PART && !slot->reminded) {
        slot->reminded = true;
        fed_slot_forget_in_flight(slot);
    }
}

/* An upload that moves is never given up, but one below the least rate does not keep its slot from others. Where nothing can
 * be kept of it, only once: else two that are slow would begin anew in turn, for ever. */
static void look_after_slow(struct fed_intake *intake, struct fed_slot *slot) {
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

void fed_intake_look_after(struct fed_intake *intake) {
    for (unsigned i = 0; i < FED_INTAKE_SLOTS; i++) {
        look_after_stalled(intake, &intake->slots[i]);
        look_after_slow(intake, &intake->slots[i]);
    }
}

static uint64_t slot_wakeup(const struct fed_intake *intake, const struct fed_slot *slot) {
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
        const struct fed_slot *slot = &intake->slots[i];
        if (slot->phase == SLOT_FETCHING && slot->n_jobs == 0) {
            uint64_t slot_at = slot_wakeup(intake, slot);
            at = slot_at < at ? slot_at : at;
        }
    }
    return at;
}

static bool same_update(const struct fed_held_offer *held, const struct fed_msg_offer *offer) {
    return memcmp(held->e_pk, offer->e_pk, sizeof held->e_pk) == 0 && held->n_header == offer->n_header &&
           memcmp(held->header, offer->header, offer->n_header) == 0;
}

/* Whether the offer is held already, or its part is being added. One of the same part that was sealed anew takes the place
 * of the one that is held: chunks of the old one will not come any more. */
static bool is_held(struct fed_intake *intake, size_t node, const struct fed_msg_offer *offer) {
    struct fed_slot *slot = fed_intake_find(intake, node, offer->part);
    if (slot != NULL && (slot->phase == SLOT_ADDING || same_update(slot->offer, offer))) {
        return true;
    }
    if (slot != NULL) {
        fed_slot_drop(slot);
    }
    for (struct fed_held_offer **at = &intake->first_offer; *at != NULL; at = &(*at)->next) {
        struct fed_held_offer *held = *at;
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
    struct fed_held_offer *copy = malloc(sizeof *copy + offer->n_header);
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
static bool offer_counts_any(const struct fed_held_offer *offer, const uint64_t *clients, size_t n) {
    static struct fed_update_header header;
    return n == 0 ||
           (fed_update_header_decode(&header, offer->header, offer->n_header) == FED_OK && counts_any(&header, clients, n));
}

void fed_intake_declined(struct fed_intake *intake, size_t node, uint32_t part, const uint64_t *clients, size_t n) {
    struct fed_slot *slot = fed_intake_find(intake, node, part);
    if (slot != NULL && slot->phase != SLOT_ADDING && counts_any(&slot->header, clients, n)) {
        fed_slot_drop(slot);
    }
    for (struct fed_held_offer **at = &intake->first_offer; *at != NULL; at = &(*at)->next) {
        struct fed_held_offer *offer = *at;
        if (offer->node == node && offer->part == part && offer_counts_any(offer, clients, n)) {
            take_out(intake, at);
            free_offer(intake, offer);
            return; /* there is one at most */
        }
    }
}

void fed_intake_drop_offers(struct fed_intake *intake, size_t node, bool all) {
    struct fed_held_offer **at = &intake->first_offer;
    while (*at != NULL) {
        struct fed_held_offer *offer = *at;
        if (all || offer->node == node) {
            *at = offer->next;
            free_offer(intake, offer);
        } else {
            at = &offer->next;
        }
    }
    intake->last_offer = at;
}
