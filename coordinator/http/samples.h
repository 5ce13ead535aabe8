/* The rounds of a run as the points of curves, in bounded memory: every stride-th round, and the last one. The stride is 1
 * for a run of up to FED_SAMPLES_ROOM rounds and doubles from there on. Totals are running sums over all rounds, also over
 * those that are not kept. Pure. */
#ifndef FED_COORDINATOR_HTTP_SAMPLES_H
#define FED_COORDINATOR_HTTP_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/store/curve.h"

#define FED_SAMPLES_ROOM ((size_t)8192)

/* Of all rounds so far. */
struct fed_samples_totals {
    double seconds, train_seconds;
    uint64_t bytes_down, bytes_up, clients;
};

struct fed_samples {
    struct fed_curve_row *rows; /* (n of FED_SAMPLES_ROOM), owned: rounds that the stride divides, ascending */
    size_t n;
    uint64_t stride;
    bool has_last;
    struct fed_curve_row last;                /* the newest round */
    struct fed_samples_totals totals, before; /* with it and without it */
};

int fed_samples_init(struct fed_samples *out) FED_MUST_CHECK;
void fed_samples_fini(struct fed_samples *samples);
/* Forgets all; the totals in rows begin with those of `start` (NULL: zero). */
void fed_samples_begin(struct fed_samples *samples, const struct fed_curve_row *start);

/* The next round, or the last one anew. Rounds come ascending. */
void fed_samples_add(struct fed_samples *samples, const struct fed_store_round *round);

/* The newest that is kept at or before the round; NULL: there is none. */
const struct fed_curve_row *fed_samples_at(const struct fed_samples *samples, uint64_t round);
/* At most n (2 at least) of the rounds from..to that are kept, evenly, the first and the last among them. Returns how many
 * were written. */
size_t fed_samples_take(struct fed_curve_row *out, size_t n, const struct fed_samples *samples, uint64_t from, uint64_t to);

#endif
