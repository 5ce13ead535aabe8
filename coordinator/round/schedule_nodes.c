/* Which node is given something next: a heap of those that may be, least loaded on top. In it are nodes that are ready, have
 * room and are not dry. A node is dry when nothing waits that it hosts; whatever comes back from another node makes every
 * node worth another look.
 *
 * A node has room while it has fewer than 2 clients for each worker. Where clients are many, one that sends partial sums is
 * given more at a time, so that not each of them costs a message each way: up to an eighth of the work that waits, parted
 * among all workers. That shrinks as the work does, so the last clients are handed out two by two as before, and a node that
 * is eight times slower than the others is no later with what it was given ahead than they are with the rest. */
#include "coordinator/round/schedule_internal.h"

#define AHEAD 2 /* clients a worker may always be behind: one it trains, one that waits beside it */
#define SHARE 8 /* a worker may be behind this part of its share of the work that waits */

/* Of all that the node was given since it was last ready, the work of the first n clients. */
static uint64_t work_of_first(const struct fed_schedule_node *node, uint32_t n) {
    n = n < node->n_given ? n : node->n_given;
    return n == 0 ? 0 : node->given[n - 1];
}

/* Nodes train in the order in which they were given clients, so the first ones are those that are done. */
static uint64_t work_undone(const struct fed_schedule_node *node) {
    uint64_t given = work_of_first(node, node->n_given);
    uint64_t gone = work_of_first(node, node->done - node->before) + node->given_back;
    return given > gone ? given - gone : 0;
}

static bool less_loaded(const struct fed_schedule *schedule, uint32_t a, uint32_t b) {
    const struct fed_schedule_node *x = &schedule->nodes[a], *y = &schedule->nodes[b];
    uint64_t load_x = work_undone(x) * y->workers, load_y = work_undone(y) * x->workers;
    return load_x != load_y ? load_x < load_y : a < b;
}

static void heap_put(struct fed_schedule *schedule, size_t at, uint32_t node) {
    schedule->heap[at] = node;
    schedule->nodes[node].heap_at = (uint32_t)at;
}

static void heap_up(struct fed_schedule *schedule, size_t at, uint32_t node) {
    while (at > 0 && less_loaded(schedule, node, schedule->heap[(at - 1) / 2])) {
        heap_put(schedule, at, schedule->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(schedule, at, node);
}

static void heap_down(struct fed_schedule *schedule, size_t at, uint32_t node) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < schedule->n_heap && less_loaded(schedule, schedule->heap[child + 1], schedule->heap[child])) {
            child++;
        }
        if (child >= schedule->n_heap || !less_loaded(schedule, schedule->heap[child], node)) {
            break;
        }
        heap_put(schedule, at, schedule->heap[child]);
        at = child;
    }
    heap_put(schedule, at, node);
}

static void heap_move(struct fed_schedule *schedule, uint32_t node) {
    heap_up(schedule, schedule->nodes[node].heap_at, node);
    heap_down(schedule, schedule->nodes[node].heap_at, node);
}

static void heap_remove(struct fed_schedule *schedule, uint32_t node) {
    size_t at = schedule->nodes[node].heap_at;
    uint32_t last = schedule->heap[--schedule->n_heap];
    schedule->nodes[node].heap_at = NONE;
    if (last != node) {
        heap_put(schedule, at, last);
        heap_move(schedule, last);
    }
}

/* Filled to its share, and again when a quarter of that is done: else every client done would be a message. */
bool fed_schedule_has_room(const struct fed_schedule *schedule, struct fed_schedule_node *node) {
    uint64_t share =
        !node->sums || schedule->workers == 0 ? 0 : schedule->work_waiting / (SHARE * schedule->workers) * node->workers;
    uint64_t work = work_undone(node);
    bool few = node->assigned - node->done < (uint64_t)AHEAD * node->workers;
    node->filling = few || work < (node->filling ? share : share / 4 * 3);
    return node->filling;
}

void fed_schedule_settle(struct fed_schedule *schedule, uint32_t index) {
    struct fed_schedule_node *node = &schedule->nodes[index];
    bool wanted = node->ready && !node->dry && fed_schedule_has_room(schedule, node);
    if (wanted && node->heap_at == NONE) {
        heap_up(schedule, schedule->n_heap++, index);
    } else if (wanted) {
        heap_move(schedule, index);
    } else if (node->heap_at != NONE) {
        heap_remove(schedule, index);
    }
}

void fed_schedule_wake_all(struct fed_schedule *schedule) {
    for (size_t i = 0; i < schedule->n_nodes; i++) {
        schedule->nodes[i].dry = false;
        fed_schedule_settle(schedule, (uint32_t)i);
    }
}
