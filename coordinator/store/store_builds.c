#include "coordinator/store/store_builds.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "coordinator/store/store_internal.h"

int fed_store_record_build(struct fed_store *store, const struct fed_store_build *build, struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, INSERT_BUILD); /* one statement is a transaction */
    fed_query_put_u64(&q, build->round);
    fed_query_put_i64(&q, fed_clock_wall_ms());
    fed_query_put_text(&q, build->fedavg);
    fed_query_put_text(&q, build->kernels);
    fed_query_put_text(&q, build->cpu);
    return fed_query_execute(&q, "record what computes", err);
}

static void copy_text(char *out, size_t n, const struct fed_query *q, int column) {
    const char *text = fed_query_text(q, column);
    snprintf(out, n, "%s", text != NULL ? text : "");
}

int fed_store_builds(struct fed_store *store, void (*row)(void *context, const struct fed_store_build *build), void *context,
                     struct fed_error *err) {
    struct fed_query q = fed_sql_query(store->sql, SELECT_BUILDS);
    while (fed_query_row(&q)) {
        struct fed_store_build build = {.round = fed_query_u64(&q, 0), .since_ms = fed_query_i64(&q, 1)};
        copy_text(build.fedavg, sizeof build.fedavg, &q, 2);
        copy_text(build.kernels, sizeof build.kernels, &q, 3);
        copy_text(build.cpu, sizeof build.cpu, &q, 4);
        row(context, &build);
    }
    return fed_query_finish(&q, FED_OK, "read what computed", err);
}
