#include "cli/plot/curve.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static double x_of(const struct fed_plot *plot, const struct fed_curve_row *row) {
    switch (plot->x) {
    case FED_PLOT_BYTES: return (double)row->bytes_total;
    case FED_PLOT_SECONDS: return row->seconds_total;
    case FED_PLOT_ROUNDS: break;
    }
    return (double)row->round.round;
}

static double y_of(const struct fed_plot *plot, const struct fed_curve_row *row) {
    double value = plot->y == FED_PLOT_LOSS ? row->round.loss : row->round.accuracy;
    if (plot->log && plot->y == FED_PLOT_ACCURACY) {
        value = 1 - value;
    }
    return isfinite(value) && (!plot->log || value > 0) ? value : (double)NAN;
}

/* Of the rounds that were taken back those are shown that were evaluated, and the one whose evaluation, which may be no
 * number at all, was the reason. */
static bool shows_why(const struct fed_run_view *run, size_t i, double y) {
    return !isnan(y) || (i + 1 < run->n_rows && run->rows[i + 1].is_rollback);
}

static void take(struct fed_plot_curve *curve, const struct fed_plot *plot, const struct fed_run_view *run, size_t i) {
    const struct fed_curve_row *row = &run->rows[i];
    struct fed_point point = {x_of(plot, row), y_of(plot, row)};
    if (row->is_rollback) {
        curve->rollbacks[curve->n_rollbacks++] = point.x;
    }
    if (row->rolled_back) {
        if (!row->is_rollback && shows_why(run, i, point.y)) {
            curve->fallen[curve->n_fallen++] = point;
        }
        return;
    }
    if (!isnan(point.y)) {
        curve->points[curve->n++] = point;
    }
    if (row->round.round == run->target_round && run->target_round > 0 && !isnan(point.y)) {
        curve->reached = point;
    }
}

/* A running sum would carry its rounding along; a window is short. */
static void take_means(struct fed_plot_curve *curve, uint32_t smooth) {
    for (size_t i = 0; i < curve->n; i++) {
        size_t first = i + 1 > smooth ? i + 1 - smooth : 0;
        double sum = 0;
        for (size_t k = first; k <= i; k++) {
            sum += curve->points[k].y;
        }
        curve->means[i] = (struct fed_point){curve->points[i].x, sum / (double)(i + 1 - first)};
    }
}

int fed_plot_curve_make(struct fed_plot_curve *out, const struct fed_plot *plot, const struct fed_run_view *run) {
    size_t room = run->n_rows + 1;
    struct fed_plot_curve curve = {.points = calloc(room, sizeof *curve.points),
                                   .means = plot->smooth > 1 ? calloc(room, sizeof *curve.means) : NULL,
                                   .fallen = calloc(room, sizeof *curve.fallen),
                                   .rollbacks = calloc(room, sizeof *curve.rollbacks),
                                   .reached = {(double)NAN, (double)NAN}};
    if (curve.points == NULL || curve.fallen == NULL || curve.rollbacks == NULL ||
        (plot->smooth > 1 && curve.means == NULL)) {
        fed_plot_curve_fini(&curve);
        return FED_ENOMEM;
    }
    for (size_t i = 0; i < run->n_rows; i++) {
        take(&curve, plot, run, i);
    }
    if (curve.means != NULL) {
        take_means(&curve, plot->smooth);
    }
    *out = curve;
    return FED_OK;
}

void fed_plot_curve_fini(struct fed_plot_curve *curve) {
    free(curve->points);
    free(curve->means);
    free(curve->fallen);
    free(curve->rollbacks);
    *curve = (struct fed_plot_curve){0};
}

size_t fed_plot_thin(struct fed_point *points, size_t n, size_t n_buckets) {
    if (n <= 2 * n_buckets + 2) {
        return n;
    }
    size_t kept = 1, inner = n - 2; /* the first stays where it is; what is kept never overtakes what is read */
    for (size_t b = 0; b < n_buckets; b++) {
        size_t first = 1 + (size_t)((double)inner * (double)b / (double)n_buckets);
        size_t after = 1 + (size_t)((double)inner * (double)(b + 1) / (double)n_buckets), low = first, high = first;
        for (size_t i = first; i < after; i++) {
            low = points[i].y < points[low].y ? i : low;
            high = points[i].y > points[high].y ? i : high;
        }
        struct fed_point a = points[low < high ? low : high], z = points[low < high ? high : low];
        points[kept++] = a;
        if (low != high) {
            points[kept++] = z;
        }
    }
    points[kept++] = points[n - 1];
    return kept;
}
