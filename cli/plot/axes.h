/* The axes of a picture: what they span, in which units, and how they are written. */
#ifndef FED_CLI_PLOT_AXES_H
#define FED_CLI_PLOT_AXES_H

#include <stdio.h>

#include "cli/plot/curve.h"
#include "cli/plot/script.h"

struct fed_plot_unit {
    double divisor;
    const char *name; /* "" for rounds */
};

struct fed_plot_axes {
    const struct fed_plot *plot; /* borrowed */
    struct fed_plot_unit x_unit;
    double x_most, y_low, y_high; /* in the units of the axes */
    double percent;               /* 100 where y is shown in percent, else 1 */
};

/* curves: one a run; one of them at least has a point. */
void fed_plot_axes_choose(struct fed_plot_axes *out, const struct fed_plot *plot, const struct fed_plot_curve *curves);

/* Where a run's target stands on the axis; NaN: nowhere. */
double fed_plot_axes_target(const struct fed_plot_axes *axes, const struct fed_run_view *run);
/* Where a value is marked that may be off the axis, or no number at all. */
double fed_plot_axes_at_edge(const struct fed_plot_axes *axes, double y);

/* "Test accuracy" */
const char *fed_plot_y_words(const struct fed_plot *plot);
/* Ranges, tics, grid and labels, as lines of the script. */
void fed_plot_axes_write(FILE *out, const struct fed_plot_axes *axes);

#endif
