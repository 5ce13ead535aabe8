/* Clients of the cohort are "picks", named by rank: 0 is the most work. A pick that is not held by any node waits.
 *
 * Three structures keep every step cheap:
 *   clients   the cohort by client id; a range that a node hosts is a slice of it.
 *   tree      over the same positions, the lowest rank among the picks that wait: "the longest shard in this slice".
 *   heap      the nodes that may be given something, least loaded on top: ready, with room, and not dry. A node is dry when
 *             nothing waits that it hosts; whatever comes back from another node makes every node worth another look.
 *
 * A node has room while it has fewer than 2 clients for each worker. Where clients are many, one that sends partial sums is
 * given more at a time, so that not each of them costs a message each way: up to an eighth of the work that waits, parted
 * among all workers. That shrinks as the work does, so the last clients are handed out two by two as before, and a node that
 * is eight times slower than the others is no later with what it was given ahead than they are with the rest.
 *
 * A part is a list threaded through its picks, so that it costs no memory of its own; it is written out when it is said.
 * Parts that changed stand in a queue until fed_schedule_next has said them.
 *
 * Invariants: a pick is held by exactly one live or delivered part, or waits (then the tree has it), or is lost to the
 * attempt (nobody left who may train it). Per node done <= assigned; assigned counts what it holds and what it delivered. */
#include "coordinator/round/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define AHEAD 2                       /* clients a worker may always be behind: one it trains, one that waits beside it */
#define SHARE 8                       /* a worker may be behind this part of its share of the work that waits */
#define WORK_MOST ((uint64_t)1 << 26) /* of one client; sums stay far below 2^64 for 2^24 clients and 1024 workers */
#define PART_MAX 1024

enum pick_state { PICK_WAITS, PICK_HELD, PICK_DELIVERED, PICK_LOST };

struct refusal { /* a node that gave the pick back */
    struct refusal *next;
    size_t node;
};

struct pick {
    uint64_t client, work;
    struct refusal *refused_by; /* owned */
    uint32_t place;             /* in the cohort, then in clients */
    uint32_t node, part;        /* HELD, DELIVERED */
    uint32_t next;              /* HELD, DELIVERED: of the same part. Waiting: scratch of longest_for */
    enum pick_state state;
};

struct position {
    uint64_t client;
    uint32_t rank;
};

enum part_state { PART_OPEN, PART_CLOSED, PART_DELIVERED, PART_LOST };

struct part_name {
    uint32_t node, part;
};

struct part {
    uint32_t first, last, n; /* picks, in the order in which they were given */
    enum part_state state;
    bool sums;
    bool queued;                  /* changed, not yet said */
    struct part_name next_queued; /* node NONE = the last one */
};

struct node {
    bool ready, sums, dry;
    uint32_t workers;
    uint32_t assigned, done, delivered;
    uint32_t before; /* delivered before it was last lost: it counts what it has done since */
    bool filling;    /* it is being given work ahead, until it has its share */
    uint64_t *given; /* (n_given of given_room) work of all that it was given since it was last ready, up to each client */
    uint32_t n_given, given_room;
    uint64_t given_back; /* of that, what it gave back */
    uint32_t open;       /* its open part, or NONE */
    uint32_t heap_at;    /* or NONE */
    struct part *parts;
    uint32_t n_parts, parts_room;
};

struct fed_schedule {
    struct fed_schedule_world world;
    size_t part_max;
    uint64_t *said; /* (part_max) where a part is written out */

    struct node *nodes; /* (n_nodes) */
    size_t n_nodes;
    uint32_t *heap; /* (n_heap of n_nodes) */
    size_t n_heap;

    struct pick *picks;       /* (n) by rank */
    struct position *clients; /* (n) by client */
    uint32_t *tree;           /* (2 leaves): leaf of position p at leaves + p */
    size_t n, leaves, n_waiting;
    uint64_t work_waiting;
    uint64_t workers; /* of all nodes that are ready */
    bool leftovers;   /* parts may be open though nothing waits */

    struct part_name queue_first, queue_last;
};

static const struct part_name no_part = {.node = NONE, .part = NONE};

static struct part *part_of(const struct fed_schedule *schedule, struct part_name name) {
    return &schedule->nodes[name.node].parts[name.part];
}

/* --- The heap of nodes that may be given something ---------------------------------------------------------------- */

static uint32_t undone(const struct node *node) { return node->assigned - node->done; }

/* Nodes train in the order in which they were given clients, so the first ones are those that are done. */
static uint64_t work_undone(const struct node *node) {
    uint32_t done = node->done - node->before;
    uint64_t given = node->n_given == 0 ? 0 : node->given[node->n_given - 1];
    uint64_t gone = (done == 0 || node->n_given == 0 ? 0 : node->given[(done < node->n_given ? done : node->n_given) - 1]) +
                    node->given_back;
    return given > gone ? given - gone : 0;
}

static bool less_loaded(const struct fed_schedule *schedule, uint32_t a, uint32_t b) {
    const struct node *x = &schedule->nodes[a], *y = &schedule->nodes[b];
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
static bool has_room(const struct fed_schedule *schedule, struct node *node) {
    uint64_t share =
        !node->sums || schedule->workers == 0 ? 0 : schedule->work_waiting / (SHARE * schedule->workers) * node->workers;
    uint64_t work = work_undone(node);
    bool few = undone(node) < (uint64_t)AHEAD * node->workers;
    node->filling = few || work < (node->filling ? share : share / 4 * 3);
    return node->filling;
}

/* Puts the node where it belongs after anything about it has changed. */
static void settle_node(struct fed_schedule *schedule, uint32_t index) {
    struct node *node = &schedule->nodes[index];
    bool wanted = node->ready && !node->dry && has_room(schedule, node);
    if (wanted && node->heap_at == NONE) {
        heap_up(schedule, schedule->n_heap++, index);
    } else if (wanted) {
        heap_move(schedule, index);
    } else if (node->heap_at != NONE) {
        heap_remove(schedule, index);
    }
}

/* Something waits again: every node is worth another look. */
static void wake_all(struct fed_schedule *schedule) {
    for (size_t i = 0; i < schedule->n_nodes; i++) {
        schedule->nodes[i].dry = false;
        settle_node(schedule, (uint32_t)i);
    }
}

/* --- The tree of what waits --------------------------------------------------------------------------------------- */

static void tree_set(struct fed_schedule *schedule, uint32_t place, uint32_t rank) {
    uint32_t *tree = schedule->tree;
    size_t at = schedule->leaves + place;
    tree[at] = rank;
    for (at /= 2; at >= 1; at /= 2) {
        tree[at] = tree[2 * at] < tree[2 * at + 1] ? tree[2 * at] : tree[2 * at + 1];
    }
}

/* The lowest rank that waits in positions [low, high), or NONE. */
static uint32_t tree_lowest(const struct fed_schedule *schedule, size_t low, size_t high) {
    const uint32_t *tree = schedule->tree;
    uint32_t best = NONE;
    for (low += schedule->leaves, high += schedule->leaves; low < high; low /= 2, high /= 2) {
        if (low & 1) {
            best = tree[low] < best ? tree[low] : best;
            low++;
        }
        if (high & 1) {
            high--;
            best = tree[high] < best ? tree[high] : best;
        }
    }
    return best;
}

/* The first position whose client is not below. */
static size_t position_from(const struct fed_schedule *schedule, uint64_t client) {
    size_t low = 0, high = schedule->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (schedule->clients[middle].client < client) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t rank_of(const struct fed_schedule *schedule, uint64_t client) {
    size_t at = position_from(schedule, client);
    return at < schedule->n && schedule->clients[at].client == client ? schedule->clients[at].rank : NONE;
}

/* The lowest rank that waits in any range of the node, whether it refused that pick or not. */
static uint32_t lowest_hosted(const struct fed_schedule *schedule, size_t node) {
    const struct fed_schedule_world *world = &schedule->world;
    uint32_t best = NONE;
    uint64_t first, count;
    for (size_t i = 0; world->range(world->context, node, i, &first, &count); i++) {
        size_t low = position_from(schedule, first);
        size_t high = count > UINT64_MAX - first ? schedule->n : position_from(schedule, first + count);
        uint32_t rank = tree_lowest(schedule, low, high);
        best = rank < best ? rank : best;
    }
    return best;
}

static bool refused_by(const struct pick *pick, size_t node) {
    const struct refusal *refusal = pick->refused_by;
    while (refusal != NULL && refusal->node != node) {
        refusal = refusal->next;
    }
    return refusal != NULL;
}

/* The longest shard that waits and that the node may be given, or NONE. What it refused is taken out of the tree for the
 * search and put back after it. */
static uint32_t longest_for(struct fed_schedule *schedule, size_t node) {
    uint32_t aside = NONE, rank;
    while ((rank = lowest_hosted(schedule, node)) != NONE && refused_by(&schedule->picks[rank], node)) {
        tree_set(schedule, schedule->picks[rank].place, NONE);
        schedule->picks[rank].next = aside;
        aside = rank;
    }
    for (; aside != NONE; aside = schedule->picks[aside].next) {
        tree_set(schedule, schedule->picks[aside].place, aside);
    }
    return rank;
}

static bool hosts(const struct fed_schedule *schedule, size_t node, uint64_t client) {
    const struct fed_schedule_world *world = &schedule->world;
    uint64_t first, count;
    for (size_t i = 0; world->range(world->context, node, i, &first, &count); i++) {
        if (client >= first && client - first < count) {
            return true;
        }
    }
    return false;
}

/* --- Parts -------------------------------------------------------------------------------------------------------- */

static void queue_part(struct fed_schedule *schedule, struct part_name name) {
    struct part *part = part_of(schedule, name);
    if (part->queued) {
        return;
    }
    part->queued = true;
    part->next_queued = no_part;
    if (schedule->queue_last.node == NONE) {
        schedule->queue_first = name;
    } else {
        part_of(schedule, schedule->queue_last)->next_queued = name;
    }
    schedule->queue_last = name;
}

static struct part *unqueue_part(struct part_name *name, struct fed_schedule *schedule) {
    *name = schedule->queue_first;
    struct part *part = part_of(schedule, *name);
    part->queued = false;
    schedule->queue_first = part->next_queued;
    if (schedule->queue_first.node == NONE) {
        schedule->queue_last = no_part;
    }
    return part;
}

static void close_open_part(struct fed_schedule *schedule, uint32_t index) {
    struct node *node = &schedule->nodes[index];
    if (node->open != NONE) {
        node->parts[node->open].state = PART_CLOSED;
        queue_part(schedule, (struct part_name){.node = index, .part = node->open});
        node->open = NONE;
    }
}

static int new_part(struct fed_schedule *schedule, uint32_t index) {
    struct node *node = &schedule->nodes[index];
    if (node->n_parts == node->parts_room) {
        uint32_t room = node->parts_room == 0 ? 4 : 2 * node->parts_room;
        struct part *parts = reallocarray(node->parts, room, sizeof *parts);
        if (parts == NULL) {
            return FED_ENOMEM;
        }
        node->parts = parts;
        node->parts_room = room;
    }
    node->open = node->n_parts++;
    node->parts[node->open] = (struct part){.first = NONE, .last = NONE, .state = PART_OPEN, .sums = node->sums};
    return 0;
}

static int reserve_given(struct node *node) {
    if (node->n_given == node->given_room) {
        uint32_t room = node->given_room == 0 ? 16 : 2 * node->given_room;
        uint64_t *given = reallocarray(node->given, room, sizeof *given);
        if (given == NULL) {
            return FED_ENOMEM;
        }
        node->given = given;
        node->given_room = room;
    }
    return 0;
}

static int assign(struct fed_schedule *schedule, uint32_t index, uint32_t rank) {
    struct node *node = &schedule->nodes[index];
    if (reserve_given(node) != 0 || (node->open == NONE && new_part(schedule, index) != 0)) {
        return FED_ENOMEM;
    }
    struct part *part = &node->parts[node->open];
    struct pick *pick = &schedule->picks[rank];
    tree_set(schedule, pick->place, NONE);
    schedule->n_waiting--;
    schedule->work_waiting -= pick->work;
    schedule->leftovers = true;
    node->given[node->n_given] = pick->work + (node->n_given == 0 ? 0 : node->given[node->n_given - 1]);
    node->n_given++;
    pick->state = PICK_HELD;
    pick->node = index;
    pick->part = node->open;
    pick->next = NONE;
    if (part->last == NONE) {
        part->first = rank;
    } else {
        schedule->picks[part->last].next = rank;
    }
    part->last = rank;
    part->n++;
    node->assigned++;
    queue_part(schedule, (struct part_name){.node = index, .part = node->open});
    if (!part->sums || part->n == schedule->part_max) {
        close_open_part(schedule, index);
    }
    return 0;
}

/* Hands out what waits, as far as there is room. */
static int hand_out(struct fed_schedule *schedule) {
    while (schedule->n_waiting > 0 && schedule->n_heap > 0) {
        uint32_t index = schedule->heap[0], rank;
        if (!has_room(schedule, &schedule->nodes[index])) {
            /* it was put here when more waited */
        } else if ((rank = longest_for(schedule, index)) == NONE) {
            schedule->nodes[index].dry = true;
            close_open_part(schedule, index);
        } else if (assign(schedule, index, rank) != 0) {
            return FED_ENOMEM;
        }
        settle_node(schedule, index);
    }
    if (schedule->n_waiting == 0 && schedule->leftovers) {
        schedule->leftovers = false;
        for (size_t i = 0; i < schedule->n_nodes; i++) {
            close_open_part(schedule, (uint32_t)i);
        }
    }
    return 0;
}

static void write_out(struct fed_assignment *out, const struct fed_schedule *schedule, struct part_name name) {
    const struct part *part = part_of(schedule, name);
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

int fed_schedule_next(struct fed_assignment *out, struct fed_schedule *schedule) {
    int rc = hand_out(schedule);
    if (rc != 0) {
        return rc;
    }
    while (schedule->queue_first.node != NONE) {
        struct part_name name;
        const struct part *part = unqueue_part(&name, schedule);
        if (part->n > 0 && (part->state == PART_OPEN || part->state == PART_CLOSED)) {
            write_out(out, schedule, name);
            return 0;
        }
    }
    return FED_ENOTFOUND;
}

int fed_schedule_part(struct fed_assignment *out, const struct fed_schedule *schedule, size_t node, uint32_t part) {
    assert(node < schedule->n_nodes);
    const struct node *holder = &schedule->nodes[node];
    if (part >= holder->n_parts || holder->parts[part].n == 0 || holder->parts[part].state == PART_LOST) {
        return FED_ENOTFOUND;
    }
    write_out(out, schedule, (struct part_name){.node = (uint32_t)node, .part = part});
    return 0;
}

uint32_t fed_schedule_parts(const struct fed_schedule *schedule, size_t node) {
    assert(node < schedule->n_nodes);
    return schedule->nodes[node].n_parts;
}

/* --- What happens to nodes and parts ------------------------------------------------------------------------------ */

static void put_back(struct fed_schedule *schedule, uint32_t rank) {
    schedule->picks[rank].state = PICK_WAITS;
    schedule->n_waiting++;
    schedule->work_waiting += schedule->picks[rank].work;
    tree_set(schedule, schedule->picks[rank].place, rank);
}

void fed_schedule_node_ready(struct fed_schedule *schedule, size_t index, uint32_t workers, bool sums) {
    assert(index < schedule->n_nodes && workers >= 1);
    fed_schedule_node_lost(schedule, index);
    struct node *node = &schedule->nodes[index];
    node->ready = true;
    node->workers = workers;
    schedule->workers += workers;
    node->sums = sums;
    node->dry = false;
    settle_node(schedule, (uint32_t)index);
}

void fed_schedule_node_lost(struct fed_schedule *schedule, size_t index) {
    assert(index < schedule->n_nodes);
    struct node *node = &schedule->nodes[index];
    size_t waiting = schedule->n_waiting;
    for (uint32_t i = 0; i < node->n_parts; i++) {
        struct part *part = &node->parts[i];
        if (part->state == PART_DELIVERED || part->state == PART_LOST) {
            continue;
        }
        for (uint32_t rank = part->first, next; rank != NONE; rank = next) {
            next = schedule->picks[rank].next;
            put_back(schedule, rank);
        }
        *part = (struct part){
            .first = NONE, .last = NONE, .state = PART_LOST, .queued = part->queued, .next_queued = part->next_queued};
    }
    schedule->workers -= node->ready ? node->workers : 0;
    node->ready = node->filling = false;
    node->open = NONE;
    node->assigned = node->done = node->before = node->delivered;
    node->n_given = 0;
    node->given_back = 0;
    settle_node(schedule, (uint32_t)index);
    if (schedule->n_waiting > waiting) {
        wake_all(schedule);
    }
}

static void set_done(struct fed_schedule *schedule, uint32_t index, uint32_t done) {
    struct node *node = &schedule->nodes[index];
    done = done < node->assigned ? done : node->assigned;
    if (done > node->done) {
        node->done = done;
        settle_node(schedule, index);
    }
}

void fed_schedule_progress(struct fed_schedule *schedule, size_t node, uint32_t done) {
    assert(node < schedule->n_nodes);
    uint32_t before = schedule->nodes[node].before;
    set_done(schedule, (uint32_t)node, done < NONE - before ? done + before : NONE);
}

void fed_schedule_delivered(struct fed_schedule *schedule, size_t index, uint32_t number) {
    assert(index < schedule->n_nodes);
    struct node *node = &schedule->nodes[index];
    if (number >= node->n_parts) {
        return;
    }
    struct part *part = &node->parts[number];
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

/* Takes the pick out of the part that holds it, which is closed by that: what is left of it is final. */
static void leave_part(struct fed_schedule *schedule, uint32_t rank) {
    const struct pick *pick = &schedule->picks[rank];
    struct part_name name = {.node = pick->node, .part = pick->part};
    struct part *part = part_of(schedule, name);
    uint32_t before = NONE;
    for (uint32_t i = part->first; i != rank; i = schedule->picks[i].next) {
        before = i;
    }
    if (before == NONE) {
        part->first = pick->next;
    } else {
        schedule->picks[before].next = pick->next;
    }
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

static bool another_may_train(const struct fed_schedule *schedule, const struct pick *pick) {
    for (size_t i = 0; i < schedule->n_nodes; i++) {
        if (schedule->nodes[i].ready && hosts(schedule, i, pick->client) && !refused_by(pick, i)) {
            return true;
        }
    }
    return false;
}

bool fed_schedule_give_back(struct fed_schedule *schedule, size_t index, uint64_t client) {
    assert(index < schedule->n_nodes);
    uint32_t rank = rank_of(schedule, client);
    struct pick *pick = rank == NONE ? NULL : &schedule->picks[rank];
    if (pick == NULL || pick->state != PICK_HELD || pick->node != index) {
        return true;
    }
    struct node *node = &schedule->nodes[index];
    leave_part(schedule, rank);
    node->assigned--;
    node->given_back += pick->work;
    node->done = node->done < node->assigned ? node->done : node->assigned;
    settle_node(schedule, (uint32_t)index);
    pick->state = PICK_LOST;
    struct refusal *refusal = malloc(sizeof *refusal);
    if (refusal == NULL) { /* who refused could not be remembered: better no other try than the same one for ever */
        return false;
    }
    *refusal = (struct refusal){.next = pick->refused_by, .node = index};
    pick->refused_by = refusal;
    if (!another_may_train(schedule, pick)) {
        return false;
    }
    put_back(schedule, rank);
    wake_all(schedule);
    return true;
}

/* --- Attempts ----------------------------------------------------------------------------------------------------- */

void fed_schedule_end(struct fed_schedule *schedule) {
    for (size_t i = 0; i < schedule->n; i++) {
        for (struct refusal *refusal = schedule->picks[i].refused_by, *next; refusal != NULL; refusal = next) {
            next = refusal->next;
            free(refusal);
        }
    }
    free(schedule->picks);
    free(schedule->clients);
    free(schedule->tree);
    schedule->picks = NULL;
    schedule->clients = NULL;
    schedule->tree = NULL;
    schedule->n = schedule->leaves = schedule->n_waiting = 0;
    schedule->work_waiting = 0;
    schedule->leftovers = false;
    schedule->queue_first = schedule->queue_last = no_part;
    schedule->n_heap = 0;
    for (size_t i = 0; i < schedule->n_nodes; i++) {
        struct node *node = &schedule->nodes[i];
        node->heap_at = NONE;
        node->n_parts = 0;
        node->n_given = 0;
        node->given_back = 0;
        node->filling = false;
        node->assigned = node->done = node->delivered = node->before = 0;
        node->open = NONE;
    }
}

static int most_work_first(const void *a, const void *b) {
    const struct pick *x = a, *y = b;
    return x->work != y->work ? (x->work < y->work) - (x->work > y->work) : (x->place > y->place) - (x->place < y->place);
}

static int by_client(const void *a, const void *b) {
    uint64_t x = ((const struct position *)a)->client, y = ((const struct position *)b)->client;
    return (x > y) - (x < y);
}

static void lay_out(struct fed_schedule *schedule, const uint64_t *cohort) {
    const struct fed_schedule_world *world = &schedule->world;
    for (size_t i = 0; i < schedule->n; i++) {
        uint64_t work = world->work(world->context, cohort[i]);
        work = work < WORK_MOST ? work : WORK_MOST;
        schedule->picks[i] = (struct pick){.client = cohort[i], .work = work, .place = (uint32_t)i, .next = NONE};
        schedule->work_waiting += work;
    }
    qsort(schedule->picks, schedule->n, sizeof *schedule->picks, most_work_first);
    for (size_t rank = 0; rank < schedule->n; rank++) {
        schedule->clients[rank] = (struct position){.client = schedule->picks[rank].client, .rank = (uint32_t)rank};
    }
    qsort(schedule->clients, schedule->n, sizeof *schedule->clients, by_client);
    memset(schedule->tree, 0xff, 2 * schedule->leaves * sizeof *schedule->tree);
    for (size_t place = 0; place < schedule->n; place++) {
        uint32_t rank = schedule->clients[place].rank;
        schedule->picks[rank].place = (uint32_t)place;
        schedule->tree[schedule->leaves + place] = rank;
    }
    for (size_t at = schedule->leaves - 1; at >= 1; at--) {
        uint32_t left = schedule->tree[2 * at], right = schedule->tree[2 * at + 1];
        schedule->tree[at] = left < right ? left : right;
    }
}

int fed_schedule_begin(struct fed_schedule *schedule, const uint64_t *cohort, size_t n) {
    assert(n >= 1 && n < NONE / 2);
    fed_schedule_end(schedule);
    size_t leaves = 1;
    while (leaves < n) {
        leaves *= 2;
    }
    schedule->picks = calloc(n, sizeof *schedule->picks);
    schedule->clients = calloc(n, sizeof *schedule->clients);
    schedule->tree = calloc(2 * leaves, sizeof *schedule->tree);
    if (schedule->picks == NULL || schedule->clients == NULL || schedule->tree == NULL) {
        fed_schedule_end(schedule);
        return FED_ENOMEM;
    }
    schedule->n = schedule->n_waiting = n;
    schedule->leaves = leaves;
    lay_out(schedule, cohort);
    wake_all(schedule);
    return 0;
}

int fed_schedule_grow(struct fed_schedule *schedule, size_t n_nodes) {
    assert(n_nodes < NONE);
    if (n_nodes <= schedule->n_nodes) {
        return FED_OK;
    }
    struct node *nodes = reallocarray(schedule->nodes, n_nodes + 1, sizeof *nodes);
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
        nodes[schedule->n_nodes] = (struct node){.open = NONE, .heap_at = NONE, .workers = 1};
    }
    return 0;
}

int fed_schedule_new(struct fed_schedule **out, const struct fed_schedule_world *world, size_t n_nodes, size_t part_max) {
    assert(part_max >= 1 && part_max <= PART_MAX);
    struct fed_schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL) {
        return FED_ENOMEM;
    }
    schedule->world = *world;
    schedule->part_max = part_max;
    schedule->queue_first = schedule->queue_last = no_part;
    schedule->said = calloc(part_max, sizeof *schedule->said);
    if (schedule->said == NULL || fed_schedule_grow(schedule, n_nodes) != 0) {
        fed_schedule_free(schedule);
        return FED_ENOMEM;
    }
    *out = schedule;
    return 0;
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
