/* What the updates of a round are held against, judged from committed rounds alone, so that a restart changes nothing. Pure.
 *
 * The norm ceiling. Of each committed round the upper quartile of its updates' norms is kept: of n norms the one that
 * ceil(n/4) - 1 others are above. The reference is the largest of these over the last norm_rounds rounds, the ceiling
 * norm_factor times that; there is none before those rounds hold FED_HYGIENE_NORMS norms. As long as less than a quarter of
 * every round is hostile, a quartile is at most the norm of an honest update, so the ceiling is at most norm_factor times
 * the largest honest norm of the window, however long the others push: they cannot raise it step by step.
 *
 * The clip (Andrew et al. 2021, arXiv:1905.03871, algorithm 1 without noise): S <- S * exp(-rate * (b - quantile)), b the
 * part of the admitted updates whose norm was at most S. The weight cap: floor(max_share * the weight that the last round
 * counted), at least 1; it comes to rest where nobody has more than max_share, or where all count alike. */
#ifndef FED_COORDINATOR_ROUND_HYGIENE_H
#define FED_COORDINATOR_ROUND_HYGIENE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define FED_HYGIENE_NORMS 32       /* norms that make a reference */
#define FED_HYGIENE_ROUNDS_MAX 100 /* largest norm_rounds */

struct fed_hygiene_config {
    double norm_factor;   /* 0 = no ceiling */
    uint32_t norm_rounds; /* 1..FED_HYGIENE_ROUNDS_MAX */
    double clip_norm;     /* S of the first round; 0 = no clipping */
    double clip_quantile, clip_rate;
    double max_share;          /* 0 = no cap */
    uint64_t first_weight_cap; /* of the first round; 0 = none */
};

/* What is remembered of the rounds committed so far. */
struct fed_hygiene_past {
    struct fed_hygiene_config config;
    struct fed_hygiene_quartile {
        uint64_t round;
        size_t n; /* norms it was taken from */
        double norm;
    } quartiles[FED_HYGIENE_ROUNDS_MAX]; /* (n_quartiles), rounds ascending */
    size_t n_quartiles;
    double clip;         /* of the next round */
    uint32_t weight_cap; /* of the next round */
};

/* A committed round that stands. */
struct fed_hygiene_round {
    uint64_t round;
    double *norms; /* (n) of its updates, any order, NaN = not known; put into another order. NULL where n is 0 */
    size_t n;
    uint64_t weight; /* as counted, of all of them */
    /* That held in it. NaN or 0 = none. */
    double clip;
    uint64_t weight_cap;
};

/* Before the first round. */
void fed_hygiene_init(struct fed_hygiene_past *out, const struct fed_hygiene_config *config);
/* Rounds in ascending order; of those before the last norm_rounds nothing need be told. A rollback is a round without
 * updates: clip and cap go on as they held in the round it returns to. */
void fed_hygiene_committed(struct fed_hygiene_past *past, const struct fed_hygiene_round *round);
/* What holds in this round, the next one to be committed. */
struct fed_update_limits fed_hygiene_limits(const struct fed_hygiene_past *past, uint64_t round);

#endif
