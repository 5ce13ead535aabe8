#include "coordinator/nodes/refusals.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/nodes/limit.h"
#include "coordinator/nodes/nodes.h"

struct kind {
    uint64_t count;    /* not yet stored */
    uint64_t left_out; /* since its last line */
    uint64_t quiet_until_ms;
};

struct fed_refusals {
    struct kind *kinds; /* (n_rows, FED_REFUSAL_COUNT); row 0 is strangers, row i + 1 node i */
    size_t n_rows;
    size_t n_silent; /* kinds of which something was left out */
    struct fed_limit lines;
};

static const struct fed_rate line_rate = {FED_REFUSALS_LINES, FED_REFUSALS_LINES};

int fed_refusals_new(struct fed_refusals **out, size_t n_nodes) {
    struct fed_refusals *refusals = calloc(1, sizeof *refusals);
    if (refusals == NULL || fed_refusals_grow(refusals, n_nodes) != FED_OK) {
        free(refusals);
        return FED_ENOMEM;
    }
    *out = refusals;
    return FED_OK;
}

void fed_refusals_free(struct fed_refusals *refusals) {
    if (refusals != NULL) {
        free(refusals->kinds);
        free(refusals);
    }
}

int fed_refusals_grow(struct fed_refusals *refusals, size_t n_nodes) {
    size_t n_rows = n_nodes + 1, size = FED_REFUSAL_COUNT * sizeof *refusals->kinds;
    if (n_rows <= refusals->n_rows) {
        return FED_OK;
    }
    struct kind *kinds = n_rows <= SIZE_MAX / size ? realloc(refusals->kinds, n_rows * size) : NULL;
    if (kinds == NULL) {
        return FED_ENOMEM;
    }
    memset(kinds + refusals->n_rows * FED_REFUSAL_COUNT, 0, (n_rows - refusals->n_rows) * size);
    refusals->kinds = kinds;
    refusals->n_rows = n_rows;
    return FED_OK;
}

/* -- lines -------------------------------------------------------------------------------------------------------------- */

static bool may_say(struct fed_refusals *refusals, struct kind *kind, uint64_t now_ms) {
    if (now_ms < kind->quiet_until_ms || !fed_limit_take(&refusals->lines, &line_rate, 1, now_ms)) {
        return false;
    }
    kind->quiet_until_ms = now_ms + FED_REFUSALS_QUIET_MS;
    return true;
}

static uint64_t take_left_out(struct fed_refusals *refusals, struct kind *kind) {
    uint64_t n = kind->left_out;
    refusals->n_silent -= n > 0;
    kind->left_out = 0;
    return n;
}

static struct kind *kind_of(struct fed_refusals *refusals, size_t node, enum fed_refusal reason) {
    size_t row = node == FED_STRANGER ? 0 : node + 1;
    assert(row < refusals->n_rows && (unsigned)reason < FED_REFUSAL_COUNT);
    return &refusals->kinds[row * FED_REFUSAL_COUNT + (size_t)reason];
}

void fed_refusals_count_said(struct fed_refusals *refusals, size_t node, enum fed_refusal reason) {
    kind_of(refusals, node, reason)->count++;
}

bool fed_refusals_count(struct fed_refusals *refusals, size_t node, enum fed_refusal reason, uint64_t now_ms,
                        uint64_t *left_out) {
    struct kind *kind = kind_of(refusals, node, reason);
    kind->count++;
    if (!may_say(refusals, kind, now_ms)) {
        refusals->n_silent += kind->left_out++ == 0;
        return false;
    }
    *left_out = take_left_out(refusals, kind);
    return true;
}

bool fed_refusals_left_out(struct fed_refusals *refusals, uint64_t now_ms, size_t *node, enum fed_refusal *reason,
                           uint64_t *left_out) {
    for (size_t i = 0; refusals->n_silent > 0 && i < refusals->n_rows * FED_REFUSAL_COUNT; i++) {
        struct kind *kind = &refusals->kinds[i];
        if (kind->left_out > 0 && may_say(refusals, kind, now_ms)) {
            size_t row = i / FED_REFUSAL_COUNT;
            *node = row == 0 ? FED_STRANGER : row - 1;
            *reason = (enum fed_refusal)(i % FED_REFUSAL_COUNT);
            *left_out = take_left_out(refusals, kind);
            return true;
        }
    }
    return false;
}

/* -- for the store ------------------------------------------------------------------------------------------------------ */

size_t fed_refusals_cells(const struct fed_refusals *refusals) { return refusals->n_rows * FED_REFUSAL_COUNT; }

void fed_refusals_snapshot(const struct fed_refusals *refusals, uint64_t *counts) {
    for (size_t i = 0; i < fed_refusals_cells(refusals); i++) {
        counts[i] = refusals->kinds[i].count;
    }
}

void fed_refusals_stored(struct fed_refusals *refusals, const uint64_t *counts, size_t n) {
    assert(n <= fed_refusals_cells(refusals));
    for (size_t i = 0; i < n; i++) {
        refusals->kinds[i].count -= counts[i];
    }
}
