#include "coordinator/http/node_sums.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64u

void fed_node_sums_fini(struct fed_node_sums *sums) {
    free(sums->rows);
    free(sums->slots);
    *sums = (struct fed_node_sums){0};
}

/* FNV-1a. Names are the operator's, not a stranger's. */
static size_t hash_of(const char *name) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    }
    return (size_t)hash;
}

/* Where the name is, or would be. */
static size_t slot_of(const struct fed_node_sums *sums, const char *name) {
    size_t slot = hash_of(name) & (sums->n_slots - 1);
    while (sums->slots[slot] != 0 && strcmp(sums->rows[sums->slots[slot] - 1].name, name) != 0) {
        slot = (slot + 1) & (sums->n_slots - 1);
    }
    return slot;
}

const struct fed_node_sum *fed_node_sums_find(const struct fed_node_sums *sums, const char *name) {
    uint32_t found = sums->n_slots > 0 ? sums->slots[slot_of(sums, name)] : 0;
    return found > 0 ? &sums->rows[found - 1] : NULL;
}

/* Twice the room; half of the slots stay free. */
static int grow(struct fed_node_sums *sums) {
    size_t room = sums->room > 0 ? 2 * sums->room : FIRST_ROOM;
    if (room > UINT32_MAX / 2 || room > SIZE_MAX / sizeof *sums->rows) {
        return FED_ENOMEM;
    }
    struct fed_node_sum *rows = realloc(sums->rows, room * sizeof *rows);
    if (rows == NULL) {
        return FED_ENOMEM;
    }
    sums->rows = rows;
    uint32_t *slots = calloc(2 * room, sizeof *slots);
    if (slots == NULL) {
        return FED_ENOMEM;
    }
    free(sums->slots);
    sums->slots = slots;
    sums->n_slots = 2 * room;
    sums->room = room;
    for (size_t i = 0; i < sums->n; i++) {
        slots[slot_of(sums, rows[i].name)] = (uint32_t)i + 1;
    }
    return FED_OK;
}

/* NULL without memory. */
static struct fed_node_sum *find_or_add(struct fed_node_sums *sums, const char *name) {
    char cut[sizeof sums->rows->name];
    snprintf(cut, sizeof cut, "%s", name);
    struct fed_node_sum *found = (struct fed_node_sum *)(uintptr_t)fed_node_sums_find(sums, cut);
    if (found != NULL) {
        return found;
    }
    if (sums->n == sums->room && grow(sums) != FED_OK) {
        return NULL;
    }
    assert(sums->rows != NULL);
    struct fed_node_sum *row = &sums->rows[sums->n];
    *row = (struct fed_node_sum){0};
    memcpy(row->name, cut, sizeof row->name);
    sums->slots[slot_of(sums, cut)] = (uint32_t)++sums->n;
    return row;
}

int fed_node_sums_share(struct fed_node_sums *sums, const char *name, uint64_t round, uint64_t clients, uint64_t weight) {
    struct fed_node_sum *row = find_or_add(sums, name);
    if (row == NULL) {
        return FED_ENOMEM;
    }
    row->rounds++;
    row->last_round = round;
    row->clients += clients;
    row->examples = weight;
    return FED_OK;
}

static size_t reason_of(const char *name) {
    for (size_t i = 1; i < FED_REFUSAL_COUNT; i++) {
        if (strcmp(fed_refusal_name((enum fed_refusal)i), name) == 0) {
            return i;
        }
    }
    return FED_REFUSAL_NONE;
}

int fed_node_sums_refusal(struct fed_node_sums *sums, const char *name, const char *reason, uint64_t count) {
    struct fed_node_sum *row = find_or_add(sums, name);
    size_t which = reason_of(reason);
    if (row == NULL) {
        return FED_ENOMEM;
    }
    row->refused[which] += count;
    sums->refused[which] += count;
    return FED_OK;
}
