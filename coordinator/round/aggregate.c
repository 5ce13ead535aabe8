#include "coordinator/round/aggregate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/status.h"

int fed_aggregate_init(struct fed_aggregate *out, const struct fed_fixed *fixed, size_t n_params) {
    int64_t *sum = n_params > SIZE_MAX / sizeof *sum ? NULL : calloc(n_params, sizeof *sum);
    if (sum == NULL) {
        return FED_ENOMEM;
    }
    *out = (struct fed_aggregate){.fixed = fixed, .n_params = n_params, .sum = sum};
    return 0;
}

void fed_aggregate_fini(struct fed_aggregate *aggregate) {
    free(aggregate->sum);
    aggregate->sum = NULL;
}

void fed_aggregate_clear(struct fed_aggregate *aggregate) {
    memset(aggregate->sum, 0, aggregate->n_params * sizeof *aggregate->sum);
    aggregate->total_weight = 0;
    aggregate->n_updates = 0;
}

void fed_aggregate_add(struct fed_aggregate *aggregate, const float *delta, size_t first, size_t n, uint64_t weight,
                       float scale) {
    assert(first <= aggregate->n_params && n <= aggregate->n_params - first);
    fed_fixed_add(aggregate->fixed, aggregate->sum + first, delta, n, weight, scale);
}

void fed_aggregate_add_sum(struct fed_aggregate *aggregate, const int64_t *part, size_t first, size_t n) {
    assert(first <= aggregate->n_params && n <= aggregate->n_params - first);
    fed_fixed_add_sum(aggregate->sum + first, part, n);
}

void fed_aggregate_count(struct fed_aggregate *aggregate, uint64_t weight, uint64_t n_clients) {
    aggregate->total_weight += weight;
    aggregate->n_updates += n_clients;
    assert(aggregate->n_updates <= aggregate->fixed->max_updates); /* or the sum could wrap */
}

size_t fed_aggregate_mean(const struct fed_aggregate *aggregate, float *out, const float *w) {
    return fed_fixed_commit(aggregate->fixed, out, w, aggregate->sum, aggregate->n_params, aggregate->total_weight);
}
