/* The clients of the cohort: who waits, and who may train whom.
 *
 * They stand by client id, so that a range that a node hosts is a slice of them; over the same positions a tree has the
 * lowest rank among the picks that wait, so that "the longest shard in this slice" costs a few steps. */
#include <stdlib.h>
#include <string.h>

#include "coordinator/round/schedule_internal.h"

#define WORK_MOST ((uint64_t)1 << 26) /* of one client; sums stay far below 2^64 for 2^24 clients and 1024 workers */

struct fed_pick_refusal {
    struct fed_pick_refusal *next;
    size_t node;
};

/* --- The tree of what waits --------------------------------------------------------------------------------------- */

static uint32_t lower(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void tree_set(struct fed_schedule *schedule, uint32_t place, uint32_t rank) {
    uint32_t *tree = schedule->tree;
    size_t at = schedule->leaves + place;
    tree[at] = rank;
    for (at /= 2; at >= 1; at /= 2) {
        tree[at] = lower(tree[2 * at], tree[2 * at + 1]);
    }
}

/* The lowest rank that waits in positions [low, high), or NONE. */
static uint32_t tree_lowest(const struct fed_schedule *schedule, size_t low, size_t high) {
    const uint32_t *tree = schedule->tree;
    uint32_t best = NONE;
    for (low += schedule->leaves, high += schedule->leaves; low < high; low /= 2, high /= 2) {
        if (low & 1) {
            best = lower(best, tree[low++]);
        }
        if (high & 1) {
            best = lower(best, tree[--high]);
        }
    }
    return best;
}

void fed_schedule_wait(struct fed_schedule *schedule, uint32_t rank) {
    struct fed_pick *pick = &schedule->picks[rank];
    pick->state = PICK_WAITS;
    schedule->n_waiting++;
    schedule->work_waiting += pick->work;
    tree_set(schedule, pick->place, rank);
}

void fed_schedule_take_out(struct fed_schedule *schedule, uint32_t rank) {
    const struct fed_pick *pick = &schedule->picks[rank];
    schedule->n_waiting--;
    schedule->work_waiting -= pick->work;
    tree_set(schedule, pick->place, NONE);
}

/* --- Who may train whom ------------------------------------------------------------------------------------------- */

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

uint32_t fed_schedule_rank_of(const struct fed_schedule *schedule, uint64_t client) {
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
        best = lower(best, tree_lowest(schedule, low, high));
    }
    return best;
}

static bool refused_by(const struct fed_pick *pick, size_t node) {
    const struct fed_pick_refusal *refusal = pick->refused_by;
    while (refusal != NULL && refusal->node != node) {
        refusal = refusal->next;
    }
    return refusal != NULL;
}

/* What it refused is taken out of the tree for the search and put back after it. */
uint32_t fed_schedule_longest_for(struct fed_schedule *schedule, size_t node) {
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

bool fed_schedule_refuse(struct fed_schedule *schedule, uint32_t rank, size_t node) {
    struct fed_pick *pick = &schedule->picks[rank];
    struct fed_pick_refusal *refusal = malloc(sizeof *refusal);
    if (refusal == NULL) { /* who refused could not be remembered: better no other try than the same one for ever */
        return false;
    }
    *refusal = (struct fed_pick_refusal){.next = pick->refused_by, .node = node};
    pick->refused_by = refusal;
    for (size_t i = 0; i < schedule->n_nodes; i++) {
        if (schedule->nodes[i].ready && hosts(schedule, i, pick->client) && !refused_by(pick, i)) {
            return true;
        }
    }
    return false;
}

/* --- From cohort to cohort ---------------------------------------------------------------------------------------- */

static int most_work_first(const void *a, const void *b) {
    const struct fed_pick *x = a, *y = b;
    return x->work != y->work ? (x->work < y->work) - (x->work > y->work) : (x->place > y->place) - (x->place < y->place);
}

static int by_client(const void *a, const void *b) {
    uint64_t x = ((const struct fed_pick_position *)a)->client, y = ((const struct fed_pick_position *)b)->client;
    return (x > y) - (x < y);
}

static void rank_picks(struct fed_schedule *schedule, const uint64_t *cohort) {
    const struct fed_schedule_world *world = &schedule->world;
    for (size_t i = 0; i < schedule->n; i++) {
        uint64_t work = world->work(world->context, cohort[i]);
        work = work < WORK_MOST ? work : WORK_MOST;
        schedule->picks[i] = (struct fed_pick){.client = cohort[i], .work = work, .place = (uint32_t)i, .next = NONE};
        schedule->work_waiting += work;
    }
    qsort(schedule->picks, schedule->n, sizeof *schedule->picks, most_work_first);
}

static void place_clients(struct fed_schedule *schedule) {
    for (size_t rank = 0; rank < schedule->n; rank++) {
        schedule->clients[rank] = (struct fed_pick_position){.client = schedule->picks[rank].client, .rank = (uint32_t)rank};
    }
    qsort(schedule->clients, schedule->n, sizeof *schedule->clients, by_client);
}

/* At once, because picks one by one would cost a logarithm more. */
static void grow_tree(struct fed_schedule *schedule) {
    uint32_t *tree = schedule->tree;
    memset(tree, 0xff, 2 * schedule->leaves * sizeof *tree); /* NONE */
    for (size_t place = 0; place < schedule->n; place++) {
        uint32_t rank = schedule->clients[place].rank;
        schedule->picks[rank].place = (uint32_t)place;
        tree[schedule->leaves + place] = rank;
    }
    for (size_t at = schedule->leaves - 1; at >= 1; at--) {
        tree[at] = lower(tree[2 * at], tree[2 * at + 1]);
    }
}

int fed_schedule_lay_out(struct fed_schedule *schedule, const uint64_t *cohort, size_t n) {
    size_t leaves = 1;
    while (leaves < n) {
        leaves *= 2;
    }
    schedule->picks = calloc(n, sizeof *schedule->picks);
    schedule->clients = calloc(n, sizeof *schedule->clients);
    schedule->tree = calloc(2 * leaves, sizeof *schedule->tree);
    if (schedule->picks == NULL || schedule->clients == NULL || schedule->tree == NULL) {
        return FED_ENOMEM;
    }
    schedule->n = schedule->n_waiting = n;
    schedule->leaves = leaves;
    rank_picks(schedule, cohort);
    place_clients(schedule);
    grow_tree(schedule);
    return FED_OK;
}

void fed_schedule_clear_picks(struct fed_schedule *schedule) {
    for (size_t i = 0; i < schedule->n; i++) {
        for (struct fed_pick_refusal *refusal = schedule->picks[i].refused_by, *next; refusal != NULL; refusal = next) {
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
}
