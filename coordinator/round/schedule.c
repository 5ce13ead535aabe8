/* What happens to nodes and attempts, and handing out: as long as a pick waits and a node has room, the least loaded node
 * gets the longest shard that it may be given. */
#include <assert.h>
#include <stdlib.h>

#include "coordinator/round/schedule_internal.h"

#define PART_MAX 1024

/* --- Handing out -------------------------------------------------------------------------------------------------- */

static int assign(struct fed_schedule *schedule, uint32_t index, uint32_t rank) {
    if (fed_schedule_append(schedule, index, rank) != FED_OK) {
        return FED_ENOMEM;
    }
    fed_schedule_take_out(schedule, rank);
    schedule->leftovers = true;
    return FED_OK;
}

/* What waits, as far as there is room. */
static int hand_out(struct fed_schedule *schedule) {
    while (schedule->n_waiting > 0 && schedule->n_heap > 0) {
        uint32_t index = schedule->heap[0], rank;
        if (!fed_schedule_has_room(schedule, &schedule->nodes[index])) {
            /* it was put here when more waited */
        } else if ((rank = fed_schedule_longest_for(schedule, index)) == NONE) {
            schedule->nodes[index].dry = true;
            fed_schedule_close_part(schedule, index);
        } else if (assign(schedule, index, rank) != FED_OK) {
            return FED_ENOMEM;
        }
        fed_schedule_settle(schedule, index);
    }
    if (schedule->n_waiting == 0 && schedule->leftovers) {
        schedule->leftovers = false;
        for (size_t i = 0; i < schedule->n_nodes; i++) {
            fed_schedule_close_part(schedule, (uint32_t)i);
        }
    }
    return FED_OK;
}

int fed_schedule_next(struct fed_assignment *out, struct fed_schedule *schedule) {
    int rc = hand_out(schedule);
    return rc == FED_OK ? fed_schedule_say(out, schedule) : rc;
}

/* --- What happens to nodes ---------------------------------------------------------------------------------------- */

/* All but what it delivered. */
static void forget_given(struct fed_schedule_node *node) {
    node->assigned = node->done = node->before = node->delivered;
    node->n_given = 0;
    node->given_back = 0;
    node->filling = false;
    node->open = NONE;
}

void fed_schedule_node_ready(struct fed_schedule *schedule, size_t index, uint32_t workers, bool sums) {
    assert(index < schedule->n_nodes && workers >= 1);
    fed_schedule_node_lost(schedule, index);
    struct fed_schedule_node *node = &schedule->nodes[index];
    node->ready = true;
    node->workers = workers;
    schedule->workers += workers;
    node->sums = sums;
    node->dry = false;
    fed_schedule_settle(schedule, (uint32_t)index);
}

/* Its picks wait again. In the queue the part stays where it is, and is left out when its turn comes. */
static void lose_part(struct fed_schedule *schedule, struct fed_given_part *part) {
    for (uint32_t rank = part->first, next; rank != NONE; rank = next) {
        next = schedule->picks[rank].next;
        fed_schedule_wait(schedule, rank);
    }
    part->first = part->last = NONE;
    part->n = 0;
    part->state = PART_LOST;
}

void fed_schedule_node_lost(struct fed_schedule *schedule, size_t index) {
    assert(index < schedule->n_nodes);
    struct fed_schedule_node *node = &schedule->nodes[index];
    size_t waiting = schedule->n_waiting;
    for (uint32_t i = 0; i < node->n_parts; i++) {
        if (node->parts[i].state == PART_OPEN || node->parts[i].state == PART_CLOSED) {
            lose_part(schedule, &node->parts[i]);
        }
    }
    schedule->workers -= node->ready ? node->workers : 0;
    node->ready = false;
    forget_given(node);
    fed_schedule_settle(schedule, (uint32_t)index);
    if (schedule->n_waiting > waiting) {
        fed_schedule_wake_all(schedule);
    }
}

static void set_done(struct fed_schedule *schedule, uint32_t index, uint32_t done) {
    struct fed_schedule_node *node = &schedule->nodes[index];
    done = done < node->assigned ? done : node->assigned;
    if (done > node->done) {
        node->done = done;
        fed_schedule_settle(schedule, index);
    }
}

void fed_schedule_progress(struct fed_schedule *schedule, size_t node, uint32_t done) {
    assert(node < schedule->n_nodes);
    uint32_t before = schedule->nodes[node].before;
    set_done(schedule, (uint32_t)node, done < NONE - before ? done + before : NONE);
}

void fed_schedule_delivered(struct fed_schedule *schedule, size_t index, uint32_t number) {
    assert(index < schedule->n_nodes);
    struct fed_schedule_node *node = &schedule->nodes[index];
    if (number >= node->n_parts) {
        return;
    }
    struct fed_given_part *part = &node->parts[number];
    if (part->state == PART_DELIVERED || part->state == PART_LOST || part->n == 0) {
        return;
    }
    part->state = PART_DELIVERED;
    if (node->open == number) {
        node->open = NONE;
    }
    for (uint32_t rank = part->first; rank != NONE; rank = schedule->picks[rank].next) {
        schedule->picks[rank].state = PICK_DELIVERED;
    }
    node->delivered += part->n;
    set_done(schedule, (uint32_t)index, node->delivered);
}

bool fed_schedule_give_back(struct fed_schedule *schedule, size_t index, uint64_t client) {
    assert(index < schedule->n_nodes);
    uint32_t rank = fed_schedule_rank_of(schedule, client);
    struct fed_pick *pick = rank == NONE ? NULL : &schedule->picks[rank];
    if (pick == NULL || pick->state != PICK_HELD || pick->node != index) {
        return true;
    }
    struct fed_schedule_node *node = &schedule->nodes[index];
    fed_schedule_leave_part(schedule, rank);
    node->assigned--;
    node->given_back += pick->work;
    node->done = node->done < node->assigned ? node->done : node->assigned;
    fed_schedule_settle(schedule, (uint32_t)index);
    pick->state = PICK_LOST;
    if (!fed_schedule_refuse(schedule, rank, index)) {
        return false;
    }
    fed_schedule_wait(schedule, rank);
    fed_schedule_wake_all(schedule);
    return true;
}

/* --- Attempts ----------------------------------------------------------------------------------------------------- */

void fed_schedule_end(struct fed_schedule *schedule) {
    fed_schedule_clear_picks(schedule);
    schedule->leftovers = false;
    schedule->queue_first = schedule->queue_last = fed_no_given_part();
    schedule->n_heap = 0;
    for (size_t i = 0; i < schedule->n_nodes; i++) {
        struct fed_schedule_node *node = &schedule->nodes[i];
        node->heap_at = NONE;
        node->n_parts = 0;
        node->delivered = 0;
        forget_given(node);
    }
}

int fed_schedule_begin(struct fed_schedule *schedule, const uint64_t *cohort, size_t n) {
    assert(n >= 1 && n < NONE / 2);
    fed_schedule_end(schedule);
    int rc = fed_schedule_lay_out(schedule, cohort, n);
    if (rc != FED_OK) {
        fed_schedule_end(schedule);
        return rc;
    }
    fed_schedule_wake_all(schedule);
    return FED_OK;
}

/* --- Its life ----------------------------------------------------------------------------------------------------- */

int fed_schedule_grow(struct fed_schedule *schedule, size_t n_nodes) {
    assert(n_nodes < NONE);
    if (n_nodes <= schedule->n_nodes) {
        return FED_OK;
    }
    struct fed_schedule_node *nodes = reallocarray(schedule->nodes, n_nodes + 1, sizeof *nodes);
    if (nodes == NULL) {
        return FED_ENOMEM;
    }
    schedule->nodes = nodes;
    uint32_t *heap = reallocarray(schedule->heap, n_nodes + 1, sizeof *heap);
    if (heap == NULL) {
        return FED_ENOMEM;
    }
    schedule->heap = heap;
    for (; schedule->n_nodes < n_nodes; schedule->n_nodes++) {
        nodes[schedule->n_nodes] = (struct fed_schedule_node){.open = NONE, .heap_at = NONE, .workers = 1};
    }
    return FED_OK;
}

int fed_schedule_new(struct fed_schedule **out, const struct fed_schedule_world *world, size_t n_nodes, size_t part_max) {
    assert(part_max >= 1 && part_max <= PART_MAX);
    struct fed_schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL) {
        return FED_ENOMEM;
    }
    schedule->world = *world;
    schedule->part_max = part_max;
    schedule->queue_first = schedule->queue_last = fed_no_given_part();
    schedule->said = calloc(part_max, sizeof *schedule->said);
    if (schedule->said == NULL || fed_schedule_grow(schedule, n_nodes) != FED_OK) {
        fed_schedule_free(schedule);
        return FED_ENOMEM;
    }
    *out = schedule;
    return FED_OK;
}

void fed_schedule_free(struct fed_schedule *schedule) {
    if (schedule == NULL) {
        return;
    }
    fed_schedule_end(schedule);
    for (size_t i = 0; i < schedule->n_nodes; i++) {
        free(schedule->nodes[i].parts);
        free(schedule->nodes[i].given);
    }
    free(schedule->nodes);
    free(schedule->heap);
    free(schedule->said);
    free(schedule);
}
