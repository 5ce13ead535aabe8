/* What each node was given, part by part, and what has to be said of it. A part is a list threaded through its picks, so
 * that it costs no memory of its own; it is written out when it is said. Parts that changed stand in a queue until then. */
#include <assert.h>
#include <stdlib.h>

#include "coordinator/round/schedule_internal.h"

static struct fed_given_part *part_of(const struct fed_schedule *schedule, struct fed_given_part_name name) {
    return &schedule->nodes[name.node].parts[name.part];
}

/* --- The queue of what changed ------------------------------------------------------------------------------------ */

static void queue_part(struct fed_schedule *schedule, struct fed_given_part_name name) {
    struct fed_given_part *part = part_of(schedule, name);
    if (part->queued) {
        return;
    }
    part->queued = true;
    part->next_queued = fed_no_given_part();
    if (schedule->queue_last.node == NONE) {
        schedule->queue_first = name;
    } else {
        part_of(schedule, schedule->queue_last)->next_queued = name;
    }
    schedule->queue_last = name;
}

static struct fed_given_part *unqueue_part(struct fed_given_part_name *name, struct fed_schedule *schedule) {
    *name = schedule->queue_first;
    struct fed_given_part *part = part_of(schedule, *name);
    part->queued = false;
    schedule->queue_first = part->next_queued;
    if (schedule->queue_first.node == NONE) {
        schedule->queue_last = fed_no_given_part();
    }
    return part;
}

/* --- Growing and closing ------------------------------------------------------------------------------------------ */

static int open_part(struct fed_schedule_node *node) {
    if (node->n_parts == node->parts_room) {
        uint32_t room = node->parts_room == 0 ? 4 : 2 * node->parts_room;
        struct fed_given_part *parts = reallocarray(node->parts, room, sizeof *parts);
        if (parts == NULL) {
            return FED_ENOMEM;
        }
        node->parts = parts;
        node->parts_room = room;
    }
    node->open = node->n_parts++;
    node->parts[node->open] = (struct fed_given_part){.first = NONE, .last = NONE, .state = PART_OPEN, .sums = node->sums};
    return FED_OK;
}

static int reserve_given(struct fed_schedule_node *node) {
    if (node->n_given == node->given_room) {
        uint32_t room = node->given_room == 0 ? 16 : 2 * node->given_room;
        uint64_t *given = reallocarray(node->given, room, sizeof *given);
        if (given == NULL) {
            return FED_ENOMEM;
        }
        node->given = given;
        node->given_room = room;
    }
    return FED_OK;
}

void fed_schedule_close_part(struct fed_schedule *schedule, uint32_t index) {
    struct fed_schedule_node *node = &schedule->nodes[index];
    if (node->open != NONE) {
        node->parts[node->open].state = PART_CLOSED;
        queue_part(schedule, (struct fed_given_part_name){.node = index, .part = node->open});
        node->open = NONE;
    }
}

int fed_schedule_append(struct fed_schedule *schedule, uint32_t index, uint32_t rank) {
    struct fed_schedule_node *node = &schedule->nodes[index];
    if (reserve_given(node) != FED_OK || (node->open == NONE && open_part(node) != FED_OK)) {
        return FED_ENOMEM;
    }
    struct fed_given_part *part = &node->parts[node->open];
    struct fed_pick *pick = &schedule->picks[rank];
    node->given[node->n_given] = pick->work + (node->n_given == 0 ? 0 : node->given[node->n_given - 1]);
    node->n_given++;
    node->assigned++;
    pick->state = PICK_HELD;
    pick->node = index;
    pick->part = node->open;
    pick->next = NONE;
    *(part->last == NONE ? &part->first : &schedule->picks[part->last].next) = rank;
    part->last = rank;
    part->n++;
    queue_part(schedule, (struct fed_given_part_name){.node = index, .part = node->open});
    if (!part->sums || part->n == schedule->part_max) {
        fed_schedule_close_part(schedule, index);
    }
    return FED_OK;
}

void fed_schedule_leave_part(struct fed_schedule *schedule, uint32_t rank) {
    const struct fed_pick *pick = &schedule->picks[rank];
    struct fed_given_part_name name = {.node = pick->node, .part = pick->part};
    struct fed_given_part *part = part_of(schedule, name);
    uint32_t before = NONE;
    for (uint32_t i = part->first; i != rank; i = schedule->picks[i].next) {
        before = i;
    }
    *(before == NONE ? &part->first : &schedule->picks[before].next) = pick->next;
    if (part->last == rank) {
        part->last = before;
    }
    part->n--;
    if (schedule->nodes[name.node].open == name.part) {
        schedule->nodes[name.node].open = NONE;
    }
    part->state = PART_CLOSED;
    queue_part(schedule, name);
}

/* --- Saying ------------------------------------------------------------------------------------------------------- */

static void write_out(struct fed_assignment *out, const struct fed_schedule *schedule, struct fed_given_part_name name) {
    const struct fed_given_part *part = part_of(schedule, name);
    size_t n = 0;
    for (uint32_t rank = part->first; rank != NONE; rank = schedule->picks[rank].next) {
        schedule->said[n++] = schedule->picks[rank].client;
    }
    assert(n == part->n && n <= schedule->part_max);
    *out = (struct fed_assignment){.node = name.node,
                                   .part = name.part,
                                   .sums = part->sums,
                                   .closed = part->state != PART_OPEN,
                                   .delivered = part->state == PART_DELIVERED,
                                   .clients = schedule->said,
                                   .n_clients = n};
}

int fed_schedule_say(struct fed_assignment *out, struct fed_schedule *schedule) {
    while (schedule->queue_first.node != NONE) {
        struct fed_given_part_name name;
        const struct fed_given_part *part = unqueue_part(&name, schedule);
        if (part->n > 0 && (part->state == PART_OPEN || part->state == PART_CLOSED)) {
            write_out(out, schedule, name);
            return FED_OK;
        }
    }
    return FED_ENOTFOUND;
}

int fed_schedule_part(struct fed_assignment *out, const struct fed_schedule *schedule, size_t node, uint32_t part) {
    assert(node < schedule->n_nodes);
    const struct fed_schedule_node *holder = &schedule->nodes[node];
    if (part >= holder->n_parts || holder->parts[part].n == 0 || holder->parts[part].state == PART_LOST) {
        return FED_ENOTFOUND;
    }
    write_out(out, schedule, (struct fed_given_part_name){.node = (uint32_t)node, .part = part});
    return FED_OK;
}

uint32_t fed_schedule_parts(const struct fed_schedule *schedule, size_t node) {
    assert(node < schedule->n_nodes);
    return schedule->nodes[node].n_parts;
}
