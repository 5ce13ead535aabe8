#include "cli/replay/admitted.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "coordinator/store/store_view.h"

/* -- reading ----------------------------------------------------------------------------------------------------------- */

struct reader {
    struct fed_admitted *admitted;
    int rc;
};

/* False without memory. */
static bool grow(struct fed_admitted *a) {
    size_t room = 2 * a->room + 64;
    struct fed_admitted_update *updates = reallocarray(a->updates, room, sizeof *updates);
    if (updates == NULL) {
        return false;
    }
    a->updates = updates;
    size_t *order = reallocarray(a->order, room, sizeof *order);
    if (order == NULL) {
        return false;
    }
    a->order = order;
    a->room = room;
    return true;
}

static void take_update(void *context, const struct fed_store_update *update) {
    struct reader *reader = context;
    struct fed_admitted *a = reader->admitted;
    if (a->n == a->room && !grow(a)) {
        reader->rc = FED_ENOMEM;
        return;
    }
    a->order[a->n] = a->n;
    a->updates[a->n++] =
        (struct fed_admitted_update){.client = update->client, .weight = update->weight, .recorded_norm = update->norm};
}

static int by_weight(const void *a, const void *b, void *context) {
    const struct fed_admitted_update *updates = context;
    uint64_t x = updates[*(const size_t *)a].weight, y = updates[*(const size_t *)b].weight;
    return (y > x) - (y < x);
}

int fed_admitted_read(struct fed_admitted *admitted, struct fed_store *store, uint64_t round, struct fed_error *err) {
    struct reader reader = {.admitted = admitted};
    admitted->n = 0;
    int code = fed_store_admitted(store, round, take_update, &reader, err);
    if (code == FED_OK && reader.rc != FED_OK) {
        code = fed_error_set(err, reader.rc, "not enough memory for an admitted set");
    }
    if (code == FED_OK && admitted->n > 0) {
        qsort_r(admitted->order, admitted->n, sizeof *admitted->order, by_weight, admitted->updates);
    }
    return code;
}

void fed_admitted_fini(struct fed_admitted *admitted) {
    free(admitted->updates);
    free(admitted->order);
    *admitted = (struct fed_admitted){0};
}

/* -- checking ---------------------------------------------------------------------------------------------------------- */

static int remember(struct fed_hygiene_past *past, const struct fed_admitted *set, const struct fed_store_round *row,
                    struct fed_error *err) {
    double *norms = calloc(set->n + 1, sizeof *norms);
    if (norms == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for norms");
    }
    for (size_t i = 0; i < set->n; i++) {
        norms[i] = set->updates[i].recorded_norm;
    }
    fed_hygiene_committed(past, &(struct fed_hygiene_round){.round = row->round,
                                                            .norms = norms,
                                                            .n = set->n,
                                                            .weight = row->weight,
                                                            .clip = row->clip,
                                                            .weight_cap = row->weight_cap});
    free(norms);
    return FED_OK;
}

int fed_admitted_check_rules(struct fed_admitted *scratch, struct fed_store *store, const struct fed_hygiene_config *rules,
                             const struct fed_store_round *row, const struct fed_store_round *before,
                             struct fed_error *err) {
    struct fed_hygiene_past past;
    int code = FED_OK;
    fed_hygiene_init(&past, rules);
    if (before->round > 0) {
        code = fed_admitted_read(scratch, store, before->round, err);
    }
    if (code == FED_OK && before->round > 0) {
        code = remember(&past, scratch, before, err);
    }
    if (code != FED_OK) {
        return code;
    }
    struct fed_update_limits limits = fed_hygiene_limits(&past, row->round);
    double clip = fed_admitted_or_0(row->clip);
    if (limits.clip == clip && limits.weight_cap == row->weight_cap) {
        return FED_OK;
    }
    return fed_error_set(err, FED_EDIFFERS,
                         "round %" PRIu64 ": a clip of %.17g and a weight cap of %" PRIu32
                         " follow from the round before, but %.17g and %" PRIu64 " are recorded",
                         row->round, limits.clip, limits.weight_cap, clip, row->weight_cap);
}

/* What a client counts: all its examples, as far as the round's cap. */
static uint64_t weight_of(const struct fed_partition *partition, const struct fed_store_round *row, uint64_t client) {
    uint64_t examples = client < partition->n_clients ? fed_partition_size(partition, (uint32_t)client) : 0;
    return row->weight_cap > 0 && examples > row->weight_cap ? row->weight_cap : examples;
}

int fed_admitted_check(const struct fed_admitted *admitted, const struct fed_partition *partition,
                       const struct fed_store_round *row, struct fed_error *err) {
    uint64_t total = 0;
    for (size_t i = 0; i < admitted->n; i++) {
        const struct fed_admitted_update *update = &admitted->updates[i];
        uint64_t weight = weight_of(partition, row, update->client);
        if (update->weight != weight || weight == 0) {
            return fed_error_set(err, FED_EDIFFERS,
                                 "round %" PRIu64 ": client %" PRIu64 " counts %" PRIu64 ", but %" PRIu64 " is recorded",
                                 row->round, update->client, weight, update->weight);
        }
        total += weight;
    }
    if (admitted->n != row->clients || total != row->weight || total == 0) {
        return fed_error_set(err, FED_EDIFFERS,
                             "round %" PRIu64 ": %zu updates of weight %" PRIu64 " were admitted, but %" PRIu64
                             " of weight %" PRIu64 " are recorded",
                             row->round, admitted->n, total, row->clients, row->weight);
    }
    return FED_OK;
}

int fed_admitted_check_trained(const struct fed_admitted *admitted, const struct fed_store_round *row,
                               struct fed_error *err) {
    for (size_t i = 0; i < admitted->n; i++) {
        const struct fed_admitted_update *update = &admitted->updates[i];
        if (update->beyond) {
            return fed_error_set(err, FED_EDIFFERS,
                                 "round %" PRIu64 ": the update of client %" PRIu64 " goes beyond algorithm.max_delta",
                                 row->round, update->client);
        }
        if (!isnan(update->recorded_norm) && update->recorded_norm != update->norm) {
            return fed_error_set(err, FED_EDIFFERS,
                                 "round %" PRIu64 ": the update of client %" PRIu64 " has norm %.17g, but %.17g is recorded",
                                 row->round, update->client, update->norm, update->recorded_norm);
        }
        if (row->norm_ceiling > 0 && update->norm > row->norm_ceiling) {
            return fed_error_set(err, FED_EDIFFERS,
                                 "round %" PRIu64 ": the update of client %" PRIu64
                                 " has norm %.17g, above the ceiling of %.17g that is recorded",
                                 row->round, update->client, update->norm, row->norm_ceiling);
        }
    }
    return FED_OK;
}
