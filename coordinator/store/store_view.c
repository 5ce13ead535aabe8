#include "coordinator/store/store_view.h"

#include <assert.h>
#include <stdio.h>

#include "coordinator/store/store_internal.h"

int fed_store_end(struct fed_store_end *out, struct fed_store *store, struct fed_error *err) {
    struct fed_store_state state = {0};
    int code = fed_store_read_end(&state, store, err);
    if (code == FED_OK) {
        *out = (struct fed_store_end){state.finished, state.result_round, state.target_round};
    }
    return code;
}

int fed_store_admitted(struct fed_store *store, uint64_t round,
                       void (*row)(void *context, const struct fed_store_update *update), void *context,
                       struct fed_error *err) {
    assert(round <= INT64_MAX);
    struct fed_query q = fed_sql_query(store->sql, SELECT_ADMITTED);
    fed_query_put_u64(&q, round);
    while (fed_query_row(&q)) {
        const char *node = fed_query_text(&q, 0);
        struct fed_store_update update = {.part = (uint32_t)fed_query_u64(&q, 1),
                                          .client = fed_query_u64(&q, 2),
                                          .weight = fed_query_u64(&q, 3),
                                          .loss = fed_query_f64(&q, 4),
                                          .norm = fed_query_f64(&q, 5)};
        snprintf(update.node, sizeof update.node, "%s", node != NULL ? node : "");
        row(context, &update);
    }
    return fed_query_finish(&q, FED_OK, "read the admitted set", err);
}

int fed_store_newest(bool *any, uint64_t *round, struct fed_store *store, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_NEWEST);
    bool found = fed_query_row(&q);
    uint64_t newest = found ? fed_query_u64(&q, 0) : 0;
    int code = fed_query_finish(&q, FED_OK, "read the last round", err);
    if (code == FED_OK) {
        *any = found;
        *round = newest;
    }
    return code;
}

int fed_store_copy(struct fed_store *store, const char *path, struct fed_error *err) {
    return fed_sql_backup(store->sql, path, err);
}
