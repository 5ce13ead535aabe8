#include "coordinator/http/samples.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

int fed_samples_init(struct fed_samples *out) {
    struct fed_curve_row *rows = malloc(FED_SAMPLES_ROOM * sizeof *rows);
    if (rows == NULL) {
        return FED_ENOMEM;
    }
    *out = (struct fed_samples){.rows = rows, .stride = 1};
    return FED_OK;
}

void fed_samples_fini(struct fed_samples *samples) {
    free(samples->rows);
    *samples = (struct fed_samples){0};
}

void fed_samples_begin(struct fed_samples *samples, const struct fed_curve_row *start) {
    struct fed_curve_row *rows = samples->rows;
    *samples = (struct fed_samples){.rows = rows, .stride = 1};
    if (start != NULL) {
        samples->totals.seconds = start->seconds_total;
        samples->totals.bytes_down = start->bytes_total; /* both ways together: rows tell no more */
    }
}

/* Keeps every other one. */
static void thin(struct fed_samples *samples) {
    size_t kept = 0;
    samples->stride *= 2;
    for (size_t i = 0; i < samples->n; i++) {
        if (samples->rows[i].round.round % samples->stride == 0) {
            samples->rows[kept++] = samples->rows[i];
        }
    }
    samples->n = kept;
}

static double or_zero(double value) { return isfinite(value) ? value : 0; }

static void add_up(struct fed_samples_totals *out, const struct fed_samples_totals *before,
                   const struct fed_store_round *r) {
    *out = (struct fed_samples_totals){.seconds = before->seconds + or_zero(r->seconds),
                                       .train_seconds = before->train_seconds + or_zero(r->train_seconds),
                                       .bytes_down = before->bytes_down + r->bytes_down,
                                       .bytes_up = before->bytes_up + r->bytes_up,
                                       .clients = before->clients + r->clients};
}

void fed_samples_add(struct fed_samples *samples, const struct fed_store_round *round) {
    struct fed_curve_row *last = &samples->last;
    bool again = samples->has_last && last->round.round == round->round;
    assert(!samples->has_last || round->round >= last->round.round);
    if (!again) {
        samples->before = samples->totals;
    }
    add_up(&samples->totals, &samples->before, round);
    last->round = *round;
    last->seconds_total = samples->totals.seconds;
    last->bytes_total = samples->totals.bytes_down + samples->totals.bytes_up;
    samples->has_last = true;
    if (!again && samples->n == FED_SAMPLES_ROOM) {
        thin(samples);
    }
    if (round->round % samples->stride == 0) {
        bool kept = again && samples->n > 0 && samples->rows[samples->n - 1].round.round == round->round;
        samples->n -= kept;
        samples->rows[samples->n++] = *last;
    }
}

/* The first of a round >= from; n if there is none. */
static size_t lower_bound(const struct fed_samples *samples, uint64_t from) {
    size_t low = 0, high = samples->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (samples->rows[middle].round.round < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t upper_bound(const struct fed_samples *samples, uint64_t to) {
    return to < UINT64_MAX ? lower_bound(samples, to + 1) : samples->n;
}

const struct fed_curve_row *fed_samples_at(const struct fed_samples *samples, uint64_t round) {
    if (samples->has_last && samples->last.round.round <= round) {
        return &samples->last;
    }
    size_t i = upper_bound(samples, round);
    return i > 0 ? &samples->rows[i - 1] : NULL;
}

size_t fed_samples_take(struct fed_curve_row *out, size_t n, const struct fed_samples *samples, uint64_t from, uint64_t to) {
    assert(n >= 2);
    size_t first = lower_bound(samples, from), end = upper_bound(samples, to);
    const struct fed_curve_row *last = &samples->last;
    uint64_t newest = last->round.round;
    bool apart = samples->has_last && newest >= from && newest <= to && newest % samples->stride != 0;
    size_t all = (end > first ? end - first : 0) + apart, taken = all < n ? all : n;
    for (size_t k = 0; k < taken; k++) {
        size_t i = taken > 1 ? k * (all - 1) / (taken - 1) : 0;
        out[k] = first + i < end ? samples->rows[first + i] : *last;
    }
    return taken;
}
