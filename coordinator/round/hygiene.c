#include "coordinator/round/hygiene.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/numeric/poly.h"

/* A clip that nothing ever reaches, or that everything does, moves without end. */
#define CLIP_LEAST 0x1p-100
#define CLIP_MOST 0x1p100

static uint32_t within_u32(double value) {
    return value < 1 ? 1 : value > (double)UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

void fed_hygiene_init(struct fed_hygiene_past *out, const struct fed_hygiene_config *config) {
    assert(config->norm_rounds >= 1 && config->norm_rounds <= FED_HYGIENE_ROUNDS_MAX);
    *out = (struct fed_hygiene_past){.config = *config,
                                     .clip = config->clip_norm,
                                     .weight_cap =
                                         config->first_weight_cap > 0 ? within_u32((double)config->first_weight_cap) : 0};
}

static int by_norm(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Those that are known, ascending, to the front. */
static size_t sort_known(double *norms, size_t n) {
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(norms[i])) {
            norms[known++] = norms[i];
        }
    }
    if (known > 1) { /* norms may be NULL where there are none */
        qsort(norms, known, sizeof *norms, by_norm);
    }
    return known;
}

static void keep_quartile(struct fed_hygiene_past *past, uint64_t round, const double *norms, size_t n) {
    size_t most = past->config.norm_rounds;
    assert(past->n_quartiles == 0 || past->quartiles[past->n_quartiles - 1].round < round);
    if (past->n_quartiles == most) {
        memmove(past->quartiles, past->quartiles + 1, (most - 1) * sizeof *past->quartiles);
        past->n_quartiles--;
    }
    past->quartiles[past->n_quartiles++] =
        (struct fed_hygiene_quartile){.round = round, .n = n, .norm = norms[n - (n + 3) / 4]};
}

static double next_clip(const struct fed_hygiene_config *config, double clip, const double *norms, size_t n) {
    size_t within = 0;
    while (within < n && norms[within] <= clip) {
        within++;
    }
    double b = n > 0 ? (double)within / (double)n : config->clip_quantile;
    double next = clip * fed_exp(-config->clip_rate * (b - config->clip_quantile));
    return fmin(fmax(next, CLIP_LEAST), CLIP_MOST);
}

void fed_hygiene_committed(struct fed_hygiene_past *past, const struct fed_hygiene_round *round) {
    const struct fed_hygiene_config *config = &past->config;
    size_t known = sort_known(round->norms, round->n);
    if (known > 0) {
        keep_quartile(past, round->round, round->norms, known);
    }
    if (config->clip_norm > 0) {
        past->clip = round->clip > 0 ? next_clip(config, round->clip, round->norms, known) : config->clip_norm;
    }
    if (config->max_share > 0 && round->n > 0) {
        past->weight_cap = within_u32(floor(config->max_share * (double)round->weight));
    } else if (config->max_share > 0 && round->weight_cap > 0) {
        past->weight_cap = within_u32((double)round->weight_cap);
    }
}

static double norm_ceiling(const struct fed_hygiene_past *past, uint64_t round) {
    size_t n = 0;
    double reference = 0;
    for (size_t i = 0; i < past->n_quartiles; i++) {
        const struct fed_hygiene_quartile *quartile = &past->quartiles[i];
        if (quartile->round < round && round - quartile->round <= past->config.norm_rounds) {
            reference = fmax(reference, quartile->norm);
            n += quartile->n;
        }
    }
    double ceiling = n >= FED_HYGIENE_NORMS ? past->config.norm_factor * reference : 0;
    return isfinite(ceiling) ? ceiling : 0;
}

struct fed_update_limits fed_hygiene_limits(const struct fed_hygiene_past *past, uint64_t round) {
    return (struct fed_update_limits){
        .norm_ceiling = norm_ceiling(past, round), .clip = past->clip, .weight_cap = past->weight_cap};
}
