/* The weighted mean of one attempt, exact: an int64 sum that updates are added to in any order. Pure.
 *
 * McMahan et al. 2017, algorithm 1: w <- sum_k (n_k / n) w_k, written with delta_k = w_k - w. */
#ifndef FED_COORDINATOR_ROUND_AGGREGATE_H
#define FED_COORDINATOR_ROUND_AGGREGATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/numeric/fixed.h"

struct fed_aggregate {
    const struct fed_fixed *fixed; /* borrowed */
    size_t n_params;
    int64_t *sum;          /* (n_params), owned */
    uint64_t total_weight; /* N = sum of n_k */
    uint64_t n_updates;    /* clients counted */
};

/* n_params >= 1. FED_ENOMEM. */
int fed_aggregate_init(struct fed_aggregate *out, const struct fed_fixed *fixed, size_t n_params) FED_MUST_CHECK;
void fed_aggregate_fini(struct fed_aggregate *aggregate);
void fed_aggregate_clear(struct fed_aggregate *aggregate);

/* Adds elements [first, first + n) of one client's checked update, or of a checked partial sum; delta and part point to
 * the first of these n; scale: 1, or less where it is clipped. Ranges of one update may be added by different threads at
 * once; two updates may not touch the same range at once. */
void fed_aggregate_add(struct fed_aggregate *aggregate, const float *delta, size_t first, size_t n, uint64_t weight,
                       float scale);
void fed_aggregate_add_sum(struct fed_aggregate *aggregate, const int64_t *part, size_t first, size_t n);
/* Counts the update once all of its ranges were added. weight: the total of its n_clients clients. At most max_updates
 * clients in one sum. */
void fed_aggregate_count(struct fed_aggregate *aggregate, uint64_t weight, uint64_t n_clients);

/* out (n_params) = the new model. Returns n_params, or the index of the first parameter that is not finite: then the round
 * must be refused. total_weight >= 1. */
size_t fed_aggregate_mean(const struct fed_aggregate *aggregate, float *out, const float *w);

#endif
