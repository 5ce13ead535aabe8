#include "cli/compare/milestones.h"

#include <math.h>
#include <stdlib.h>

static const double accuracies[] = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999};
static const double losses[] = {10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001};

static struct fed_reached first_to(const struct fed_run_view *run, double level, bool of_loss) {
    for (size_t i = 0; i < run->n_rows; i++) {
        const struct fed_curve_row *row = &run->rows[i];
        bool there = of_loss ? row->round.loss <= level : row->round.accuracy >= level; /* NaN: no */
        if (there && !row->rolled_back) {
            return (struct fed_reached){true, row->round.round, row->bytes_total, row->seconds_total};
        }
    }
    return (struct fed_reached){.reached = false};
}

static bool has_accuracy(const struct fed_run_view *run) {
    for (size_t i = 0; i < run->n_rows; i++) {
        if (!isnan(run->rows[i].round.accuracy)) {
            return true;
        }
    }
    return false;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The round figures, with the targets in their places. */
static size_t accuracy_levels(double out[FED_MILESTONES_MOST], const struct fed_run_view *a, const struct fed_run_view *b) {
    size_t n = 0;
    for (; n < sizeof accuracies / sizeof *accuracies; n++) {
        out[n] = accuracies[n];
    }
    const double targets[] = {a->target, b->target};
    for (size_t i = 0; i < 2; i++) {
        bool there = isnan(targets[i]);
        for (size_t k = 0; k < n && !there; k++) {
            there = out[k] == targets[i];
        }
        if (!there) {
            out[n++] = targets[i];
        }
    }
    qsort(out, n, sizeof *out, ascending);
    return n;
}

void fed_milestones_find(struct fed_milestones *out, const struct fed_run_view *a, const struct fed_run_view *b) {
    double levels[FED_MILESTONES_MOST];
    size_t n = 0;
    *out = (struct fed_milestones){.of_loss = !has_accuracy(a) && !has_accuracy(b)};
    if (out->of_loss) {
        for (; n < sizeof losses / sizeof *losses; n++) {
            levels[n] = losses[n];
        }
    } else {
        n = accuracy_levels(levels, a, b);
    }
    for (size_t i = 0; i < n; i++) {
        struct fed_milestone item = {levels[i],
                                     {first_to(a, levels[i], out->of_loss), first_to(b, levels[i], out->of_loss)}};
        if (item.by[0].reached || item.by[1].reached) {
            out->items[out->n++] = item;
        }
    }
}
