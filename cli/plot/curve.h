/* One curve of a picture: which rounds are drawn where. Pure. */
#ifndef FED_CLI_PLOT_CURVE_H
#define FED_CLI_PLOT_CURVE_H

#include <stddef.h>
#include <stdint.h>

#include "cli/plot/script.h"

struct fed_point {
    double x, y;
};

struct fed_plot_curve {
    struct fed_point *points; /* of the rounds that stand: as evaluated; owned */
    struct fed_point *means;  /* the same places, means over `smooth` of them; NULL without; owned */
    size_t n;
    struct fed_point *fallen; /* of those that were taken back; y may be NaN; owned */
    size_t n_fallen;
    double *rollbacks; /* x of the rounds that took back; owned */
    size_t n_rollbacks;
    struct fed_point reached; /* where the target was reached; x NaN = not */
};

/* Values are those of the axes before they are scaled: x in rounds, bytes or seconds; y a loss, an accuracy, or with log the
 * error. Points that such an axis cannot show are left out. FED_ENOMEM. */
int fed_plot_curve_make(struct fed_plot_curve *out, const struct fed_plot *plot,
                        const struct fed_run_view *run) FED_MUST_CHECK;
void fed_plot_curve_fini(struct fed_plot_curve *curve);

/* Leaves at most 2 n_buckets + 2 points: the first, the last, and the least and the greatest of each of n_buckets pieces, so
 * that no peak is lost. Returns how many there are. */
size_t fed_plot_thin(struct fed_point *points, size_t n, size_t n_buckets);

#endif
