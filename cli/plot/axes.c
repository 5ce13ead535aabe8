#include "cli/plot/axes.h"

#include <inttypes.h>
#include <math.h>

static struct fed_plot_unit unit_of_bytes(double most) {
    static const struct fed_plot_unit units[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (most >= 2 * units[i].divisor) {
            return units[i];
        }
    }
    return (struct fed_plot_unit){1, "bytes"};
}

static struct fed_plot_unit unit_of_seconds(double most) {
    static const struct fed_plot_unit units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (most >= 3 * units[i].divisor) {
            return units[i];
        }
    }
    return (struct fed_plot_unit){1, "seconds"};
}

static double most_x(const struct fed_plot *plot, const struct fed_plot_curve *curves) {
    double most = 0;
    for (size_t i = 0; i < plot->n_runs; i++) {
        const struct fed_plot_curve *curve = &curves[i];
        most = curve->n > 0 ? fmax(most, curve->points[curve->n - 1].x) : most;
        most = curve->n_fallen > 0 ? fmax(most, curve->fallen[curve->n_fallen - 1].x) : most;
        most = curve->n_rollbacks > 0 ? fmax(most, curve->rollbacks[curve->n_rollbacks - 1]) : most;
    }
    return most;
}

static void choose_x(struct fed_plot_axes *axes, const struct fed_plot_curve *curves) {
    double most = most_x(axes->plot, curves);
    axes->x_unit = axes->plot->x == FED_PLOT_BYTES     ? unit_of_bytes(most)
                   : axes->plot->x == FED_PLOT_SECONDS ? unit_of_seconds(most)
                                                       : (struct fed_plot_unit){1, ""};
    axes->x_most = most > 0 ? most / axes->x_unit.divisor : 1;
}

double fed_plot_axes_target(const struct fed_plot_axes *axes, const struct fed_run_view *run) {
    const struct fed_plot *plot = axes->plot;
    if (plot->y != FED_PLOT_ACCURACY || isnan(run->target) || (plot->log && run->target >= 1)) {
        return (double)NAN;
    }
    return axes->percent * (plot->log ? 1 - run->target : run->target);
}

/* Of what stands, and of the targets; what was taken back may be far off and is marked at the edge. */
static void choose_y(struct fed_plot_axes *axes, const struct fed_plot_curve *curves) {
    const struct fed_plot *plot = axes->plot;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < plot->n_runs; i++) {
        const struct fed_plot_curve *curve = &curves[i];
        for (size_t k = 0; k < curve->n; k++) {
            low = fmin(low, axes->percent * curve->points[k].y);
            high = fmax(high, axes->percent * curve->points[k].y);
        }
        low = fmin(low, fed_plot_axes_target(axes, &plot->runs[i])); /* a NaN gives way to a number */
        high = fmax(high, fed_plot_axes_target(axes, &plot->runs[i]));
    }
    double room = high > low ? 0.05 * (high - low) : fmax(0.05 * fabs(high), 1e-9);
    axes->y_low = plot->log ? low / 1.25 : low - room;
    axes->y_high = plot->log ? high * 1.25 : high + room;
    if (plot->y == FED_PLOT_ACCURACY && !plot->log) {
        axes->y_low = fmax(axes->y_low, 0);
        axes->y_high = fmin(axes->y_high, axes->percent);
    }
    if (plot->y == FED_PLOT_LOSS && !plot->log && low >= 0) {
        axes->y_low = fmax(axes->y_low, 0);
    }
}

/* A mark is drawn whole a little inside the edge. */
double fed_plot_axes_at_edge(const struct fed_plot_axes *axes, double y) {
    const struct fed_plot *plot = axes->plot;
    double room = 0.015 * (axes->y_high - axes->y_low), factor = pow(axes->y_high / axes->y_low, 0.015);
    double low = plot->log ? axes->y_low * factor : axes->y_low + room;
    double high = plot->log ? axes->y_high / factor : axes->y_high - room;
    double worst = plot->y == FED_PLOT_LOSS || plot->log ? high : low;
    return isnan(y) ? worst : fmin(fmax(axes->percent * y, low), high);
}

void fed_plot_axes_choose(struct fed_plot_axes *out, const struct fed_plot *plot, const struct fed_plot_curve *curves) {
    *out = (struct fed_plot_axes){.plot = plot, .percent = plot->y == FED_PLOT_ACCURACY ? 100 : 1};
    choose_x(out, curves);
    choose_y(out, curves);
}

const char *fed_plot_y_words(const struct fed_plot *plot) {
    return plot->y == FED_PLOT_LOSS ? "Test loss" : plot->log ? "Test error" : "Test accuracy";
}

static const char *x_words(const struct fed_plot *plot) {
    return plot->x == FED_PLOT_BYTES ? "Sent, both ways" : plot->x == FED_PLOT_SECONDS ? "Time" : "Round";
}

/* gnuplot writes at powers of ten alone, which may be one or none. The less it spans the closer they stand. */
static void write_log_tics(FILE *out, const struct fed_plot_axes *axes) {
    static const struct {
        double most; /* decades */
        size_t n;
        double steps[7];
    } choices[] = {{1.2, 7, {1, 1.5, 2, 3, 4, 5, 7}}, {3, 3, {1, 2, 5}}, {INFINITY, 1, {1}}};
    double low = axes->y_low, high = axes->y_high, decades = log10(high / low);
    const char *comma = "";
    fputs("set logscale y\nset ytics (", out);
    if (decades < 0.5) {
        double step = pow(10, floor(log10((high - low) / 3)));
        step *= (high - low) / step > 12 ? 5 : (high - low) / step > 6 ? 2 : 1;
        for (long k = (long)ceil(low / step); (double)k * step <= high; k++) {
            fprintf(out, "%s%.6g", comma, (double)k * step);
            comma = ", ";
        }
        fputs(")\n", out);
        return;
    }
    size_t choice = 0;
    while (decades > choices[choice].most) {
        choice++;
    }
    int first = (int)floor(log10(low)), every = 1 + (int)(decades / 12);
    for (int e = first; e <= first + (int)decades + 2; e += every) {
        for (size_t i = 0; i < choices[choice].n; i++) {
            double at = choices[choice].steps[i] * pow(10, e);
            if (at >= low && at <= high) {
                fprintf(out, "%s%.6g", comma, at);
                comma = ", ";
            }
        }
    }
    fputs(")\n", out);
}

void fed_plot_axes_write(FILE *out, const struct fed_plot_axes *axes) {
    const struct fed_plot *plot = axes->plot;
    const char *unit = axes->x_unit.name;
    fprintf(out,
            "set border 1 lc rgb '#888888' lw 1\n"
            "set tics out nomirror scale 0.5 textcolor rgb '#444444'\n"
            "set ytics scale 0\n"
            "set grid ytics lt 1 lc rgb '#E4E4E4' lw 1, lt 1 lc rgb '#F1F1F1' lw 1\n"
            "set xrange [0:%.17g]\nset yrange [%.17g:%.17g]\n",
            axes->x_most * 1.015, axes->y_low, axes->y_high);
    if (plot->log) {
        write_log_tics(out, axes);
    }
    if (plot->x == FED_PLOT_ROUNDS) { /* there is no round 2.5, nor 1e+06 */
        fprintf(out, "set format x '%%.0f'\n%s", axes->x_most < 10 ? "set xtics 1\n" : "");
    }
    fprintf(out, "set format y '%%g'\nset xlabel '%s%s%s%s' textcolor rgb '#444444' offset 0,0.2\n", x_words(plot),
            *unit != '\0' ? " (" : "", unit, *unit != '\0' ? ")" : "");
    fprintf(out, "set ylabel '%s%s", fed_plot_y_words(plot), axes->percent > 1 ? " (%)" : "");
    if (plot->smooth > 1) {
        fprintf(out, ", mean of %" PRIu32, plot->smooth);
    }
    fprintf(out, "%s' textcolor rgb '#444444' offset 0.6,0\n", plot->log ? ", logarithmic" : "");
}
