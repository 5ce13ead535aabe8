/* How it looks: a light ground, a few horizontal lines, legend and title above the picture where they hide no curve. Each
 * run has a colour, a dash and a mark of its own: the colours are Okabe's and Ito's, which people with any kind of colour
 * vision tell apart, and on paper without colour dashes and marks do. */
#include "cli/plot_script.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/gnuplot.h"
#include "cli/plot_curve.h"

#define WIDTH 900
#define PLOT_HEIGHT 430 /* without title and legend */
#define TITLE_HEIGHT 44
#define ROW_HEIGHT 21
#define BUCKETS 700 /* of points along a curve: more than can be told apart */
#define MARKS 9     /* along a curve */
#define LINES_MOST 24

static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#AA4488",
                                      "#000000", "#B8860B", "#56B4E9", "#7F3C1D"};
static const char *const pale[] = {"#A6CFE6", "#F2C3A3", "#A6DBCC", "#DFBFD3", "#BFBFBF", "#E6D3A3", "#C4E3F6", "#D2BBB0"};
static const char *const dashes[] = {"solid", "(9,4)", "(3,3)", "(12,4,2,4)", "(6,3,2,3,2,3)"};
static const int marks[] = {6, 4, 8, 12, 10, 7, 5}; /* circle, square, triangle, diamond, triangle down, and two filled */
#define OF(list, i) ((list)[(i) % (sizeof(list) / sizeof *(list))])

struct unit {
    double divisor;
    const char *name;
};

struct picture {
    const struct fed_plot *plot;
    struct fed_plot_curve *curves; /* owned, one a run */
    struct unit x_unit;
    double x_most, y_low, y_high; /* y_*: of the axis, scaled */
    double percent;               /* 100 where y is shown in percent, else 1 */
    size_t n_rollbacks;
};

/* -- Axes -- */

static struct unit unit_of_bytes(double most) {
    static const struct unit units[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (most >= 2 * units[i].divisor) {
            return units[i];
        }
    }
    return (struct unit){1, "bytes"};
}

static struct unit unit_of_seconds(double most) {
    static const struct unit units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (most >= 3 * units[i].divisor) {
            return units[i];
        }
    }
    return (struct unit){1, "seconds"};
}

static double most_x(const struct picture *picture) {
    double most = 0;
    for (size_t i = 0; i < picture->plot->n_runs; i++) {
        const struct fed_plot_curve *curve = &picture->curves[i];
        most = curve->n > 0 ? fmax(most, curve->points[curve->n - 1].x) : most;
        most = curve->n_fallen > 0 ? fmax(most, curve->fallen[curve->n_fallen - 1].x) : most;
        most = curve->n_rollbacks > 0 ? fmax(most, curve->rollbacks[curve->n_rollbacks - 1]) : most;
    }
    return most;
}

static void choose_x(struct picture *picture) {
    double most = most_x(picture);
    picture->x_unit = picture->plot->x == FED_PLOT_BYTES     ? unit_of_bytes(most)
                      : picture->plot->x == FED_PLOT_SECONDS ? unit_of_seconds(most)
                                                             : (struct unit){1, ""};
    picture->x_most = most > 0 ? most / picture->x_unit.divisor : 1;
}

static double target_y(const struct picture *picture, const struct fed_run_view *run) {
    const struct fed_plot *plot = picture->plot;
    if (plot->y != FED_PLOT_ACCURACY || isnan(run->target) || (plot->log && run->target >= 1)) {
        return (double)NAN;
    }
    return picture->percent * (plot->log ? 1 - run->target : run->target);
}

/* Of what stands, and of the targets; what was taken back may be far off and is marked at the edge. */
static void choose_y(struct picture *picture) {
    const struct fed_plot *plot = picture->plot;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < plot->n_runs; i++) {
        const struct fed_plot_curve *curve = &picture->curves[i];
        for (size_t k = 0; k < curve->n; k++) {
            low = fmin(low, picture->percent * curve->points[k].y);
            high = fmax(high, picture->percent * curve->points[k].y);
        }
        low = fmin(low, target_y(picture, &plot->runs[i])); /* a NaN gives way to a number */
        high = fmax(high, target_y(picture, &plot->runs[i]));
    }
    double room = high > low ? 0.05 * (high - low) : fmax(0.05 * fabs(high), 1e-9);
    picture->y_low = plot->log ? low / 1.25 : low - room;
    picture->y_high = plot->log ? high * 1.25 : high + room;
    if (plot->y == FED_PLOT_ACCURACY && !plot->log) {
        picture->y_low = fmax(picture->y_low, 0);
        picture->y_high = fmin(picture->y_high, picture->percent);
    }
    if (plot->y == FED_PLOT_LOSS && !plot->log && low >= 0) {
        picture->y_low = fmax(picture->y_low, 0);
    }
}

/* A mark is drawn whole a little inside the edge. */
static double at_edge(const struct picture *picture, double y) {
    const struct fed_plot *plot = picture->plot;
    double room = 0.015 * (picture->y_high - picture->y_low), factor = pow(picture->y_high / picture->y_low, 0.015);
    double low = plot->log ? picture->y_low * factor : picture->y_low + room;
    double high = plot->log ? picture->y_high / factor : picture->y_high - room;
    double worst = plot->y == FED_PLOT_LOSS || plot->log ? high : low;
    return isnan(y) ? worst : fmin(fmax(picture->percent * y, low), high);
}

/* -- The script -- */

static const char *y_words(const struct fed_plot *plot) {
    return plot->y == FED_PLOT_LOSS ? "Test loss" : plot->log ? "Test error" : "Test accuracy";
}

static const char *x_words(const struct fed_plot *plot) {
    return plot->x == FED_PLOT_BYTES ? "Sent, both ways" : plot->x == FED_PLOT_SECONDS ? "Time" : "Round";
}

static void write_terminal(FILE *out, const struct picture *picture) {
    int rows = (int)picture->plot->n_runs + (picture->n_rollbacks > 0);
    int height = PLOT_HEIGHT + TITLE_HEIGHT + rows * ROW_HEIGHT;
    if (picture->plot->file == FED_PLOT_SVG) {
        fprintf(out,
                "set terminal svg size %d,%d dynamic noenhanced name 'fedavg' font 'sans-serif,13' background '#ffffff' "
                "rounded linewidth 1 dashlength 1\n",
                WIDTH, height);
    } else { /* twice the size, for screens with small dots */
        fprintf(out,
                "set terminal pngcairo size %d,%d noenhanced font 'sans-serif,13' background '#ffffff' fontscale 1.6 "
                "linewidth 2 pointscale 2 dashlength 2 rounded\n",
                2 * WIDTH, 2 * height);
    }
    double top = (double)TITLE_HEIGHT / height, legend = (double)(TITLE_HEIGHT + rows * ROW_HEIGHT) / height;
    fprintf(out,
            "set encoding utf8\n"
            "set lmargin at screen 0.085\nset rmargin at screen 0.975\n"
            "set tmargin at screen %.4f\nset bmargin at screen %.4f\n"
            "set key at screen 0.004,%.4f left top vertical maxcols 1 Left reverse samplen 4 spacing 1.15 width 0 "
            "textcolor rgb '#222222'\n",
            1 - legend - 0.012, 58.0 / height, 1 - top + 0.012);
}

static void write_title(FILE *out, const struct picture *picture) {
    const struct fed_plot *plot = picture->plot;
    char fallback[64];
    int rows = (int)plot->n_runs + (picture->n_rollbacks > 0);
    snprintf(fallback, sizeof fallback, "%s by %s", y_words(plot),
             plot->x == FED_PLOT_BYTES     ? "bytes sent"
             : plot->x == FED_PLOT_SECONDS ? "time"
                                           : "round");
    fprintf(out, "set label 1 ");
    fed_gnuplot_quote(out, plot->title != NULL ? plot->title : fallback);
    fprintf(out, " at screen 0.0185,%.4f left font ',17' textcolor rgb '#111111'\n",
            1 - 24.0 / (PLOT_HEIGHT + TITLE_HEIGHT + rows * ROW_HEIGHT));
}

/* gnuplot writes at powers of ten alone, which may be one or none. */
static void write_log_tics(FILE *out, const struct picture *picture) {
    static const double steps[] = {1, 2, 5};
    double decades = log10(picture->y_high / picture->y_low);
    size_t n_steps = decades > 3 ? 1 : 3;
    int first = (int)floor(log10(picture->y_low)), every = 1 + (int)(decades / 12);
    const char *comma = "";
    fputs("set logscale y\nset ytics (", out);
    for (int e = first; e <= first + (int)decades + 2; e += every) {
        for (size_t i = 0; i < n_steps; i++) {
            double at = steps[i] * pow(10, e);
            if (at >= picture->y_low && at <= picture->y_high) {
                fprintf(out, "%s%.6g", comma, at);
                comma = ", ";
            }
        }
    }
    fputs(")\n", out);
}

static void write_axes(FILE *out, const struct picture *picture) {
    const struct fed_plot *plot = picture->plot;
    const char *unit = picture->x_unit.name;
    fprintf(out,
            "set border 1 lc rgb '#888888' lw 1\n"
            "set tics out nomirror scale 0.5 textcolor rgb '#444444'\n"
            "set ytics scale 0\n"
            "set grid ytics lt 1 lc rgb '#E4E4E4' lw 1, lt 1 lc rgb '#F1F1F1' lw 1\n"
            "set xrange [0:%.17g]\nset yrange [%.17g:%.17g]\n",
            picture->x_most * 1.015, picture->y_low, picture->y_high);
    if (plot->log) {
        write_log_tics(out, picture);
    }
    if (plot->x == FED_PLOT_ROUNDS) { /* there is no round 2.5, nor 1e+06 */
        fprintf(out, "set format x '%%.0f'\n%s", picture->x_most < 10 ? "set xtics 1\n" : "");
    }
    fprintf(out, "set format y '%%g'\nset xlabel '%s%s%s%s' textcolor rgb '#444444' offset 0,0.2\n", x_words(plot),
            *unit != '\0' ? " (" : "", unit, *unit != '\0' ? ")" : "");
    fprintf(out, "set ylabel '%s%s", y_words(plot), picture->percent > 1 ? " (%)" : "");
    if (plot->smooth > 1) {
        fprintf(out, ", mean of %" PRIu32, plot->smooth);
    }
    fprintf(out, "%s' textcolor rgb '#444444' offset 0.6,0\n", plot->log ? ", logarithmic" : "");
}

/* One line a target; runs of one task have one. */
static void write_targets(FILE *out, const struct picture *picture) {
    const struct fed_plot *plot = picture->plot;
    for (size_t i = 0; i < plot->n_runs; i++) {
        double y = target_y(picture, &plot->runs[i]);
        bool first = !isnan(y);
        for (size_t k = 0; k < i && first; k++) {
            first = plot->runs[k].target != plot->runs[i].target;
        }
        if (first) {
            fprintf(out,
                    "set arrow from graph 0, first %.17g to graph 1, first %.17g nohead back dashtype (2,4) lw 1.2 lc rgb "
                    "'#555555'\n"
                    "set label 'target %.15g %%' at graph 0, first %.17g left offset 0.6,0.55 font ',11' textcolor rgb "
                    "'#555555'\n",
                    y, y, 100 * plot->runs[i].target, y);
        }
    }
}

static void write_points(FILE *out, const struct picture *picture, const char *name, size_t i, struct fed_point *points,
                         size_t n) {
    fprintf(out, "$%s%zu << EOD\n", name, i);
    n = fed_plot_thin(points, n, BUCKETS);
    for (size_t k = 0; k < n; k++) {
        fprintf(out, "%.9g %.9g\n", points[k].x / picture->x_unit.divisor, picture->percent * points[k].y);
    }
    fprintf(out, "EOD\n");
}

/* A few marks a curve, one at least, at other places than those of the curves beside it. */
static void write_marks(FILE *out, const struct picture *picture, size_t i, const struct fed_point *points, size_t n) {
    fprintf(out, "$mark%zu << EOD\n", i);
    double share = (double)(i % 4) / 4, first = picture->x_most / MARKS * (0.25 + share), next = first;
    for (size_t k = 0; k < n; k++) {
        double x = points[k].x / picture->x_unit.divisor;
        if (x >= next || (k + 1 == n && next == first)) {
            fprintf(out, "%.9g %.9g\n", x, picture->percent * points[k].y);
            while (next <= x) {
                next += picture->x_most / MARKS;
            }
        }
    }
    fprintf(out, "EOD\n");
}

static void write_rollbacks(FILE *out, const struct picture *picture, size_t i) {
    const struct fed_plot_curve *curve = &picture->curves[i];
    fprintf(out, "$fell%zu << EOD\n", i);
    for (size_t k = 0; k < curve->n_fallen; k++) {
        fprintf(out, "%.9g %.9g\n", curve->fallen[k].x / picture->x_unit.divisor, at_edge(picture, curve->fallen[k].y));
    }
    fprintf(out, "EOD\n");
    for (size_t k = 0; k < curve->n_rollbacks && picture->n_rollbacks <= LINES_MOST; k++) {
        double x = curve->rollbacks[k] / picture->x_unit.divisor;
        fprintf(out, "set arrow from %.9g, graph 0 to %.9g, graph 1 nohead back dashtype (1,3) lw 1 lc rgb '%s'\n", x, x,
                OF(colours, i));
    }
}

static void write_data(FILE *out, const struct picture *picture) {
    for (size_t i = 0; i < picture->plot->n_runs; i++) {
        struct fed_plot_curve *curve = &picture->curves[i];
        struct fed_point *line = curve->means != NULL ? curve->means : curve->points;
        write_marks(out, picture, i, line, curve->n); /* before the line is thinned in place */
        write_points(out, picture, "line", i, line, curve->n);
        if (curve->means != NULL) {
            write_points(out, picture, "raw", i, curve->points, curve->n);
        }
        write_rollbacks(out, picture, i);
        fprintf(out, "$goal%zu << EOD\n", i);
        if (!isnan(curve->reached.x)) {
            fprintf(out, "%.9g %.9g %" PRIu64 "\n", curve->reached.x / picture->x_unit.divisor,
                    picture->percent * curve->reached.y, picture->plot->runs[i].target_round);
        }
        fprintf(out, "EOD\n");
    }
}

/* "mnist: 97.13 % in round 156": the last that stands, so that the curves' ends need not be read off. */
static void write_legend(FILE *out, const struct picture *picture, size_t i) {
    const struct fed_plot *plot = picture->plot;
    const struct fed_run_view *run = &plot->runs[i];
    char text[FED_RUN_LABEL + 96], value[64] = "no evaluation yet";
    for (size_t k = run->n_rows; k-- > 0;) {
        const struct fed_curve_row *row = &run->rows[k];
        double y = plot->y == FED_PLOT_LOSS ? row->round.loss : row->round.accuracy;
        if (!row->rolled_back && !isnan(y)) {
            snprintf(value, sizeof value, plot->y == FED_PLOT_LOSS ? "%.4g in round %" PRIu64 : "%.2f %% in round %" PRIu64,
                     plot->y == FED_PLOT_LOSS ? y : 100 * y, row->round.round);
            break;
        }
    }
    snprintf(text, sizeof text, "%s: %s", plot->labels[i], value);
    fed_gnuplot_quote(out, text);
}

/* gnuplot does not draw a block without points, nor its place in the legend. */
static void write_curve(FILE *out, const struct picture *picture, size_t i) {
    const struct fed_plot_curve *curve = &picture->curves[i];
    const char *colour = OF(colours, i), *dash = OF(dashes, i);
    if (curve->means != NULL && curve->n > 0) {
        fprintf(out, "$raw%zu using 1:2 with lines lw 1 lc rgb '%s' notitle, ", i, OF(pale, i));
    }
    if (curve->n > 0) {
        fprintf(out,
                "$line%zu using 1:2 with lines lw 2 dashtype %s lc rgb '%s' notitle, "
                "$mark%zu using 1:2 with points pt 7 ps 0.9 lc rgb '#ffffff' notitle, "
                "$mark%zu using 1:2 with points pt %d ps 0.75 lw 1.6 lc rgb '%s' notitle, ",
                i, dash, colour, i, i, OF(marks, i), colour);
    }
    if (!isnan(curve->reached.x)) {
        fprintf(
            out,
            "$goal%zu using 1:2 with points pt 7 ps 1.1 lc rgb '%s' notitle, "
            "$goal%zu using 1:2:(sprintf('round %%d', $3)) with labels offset 0,0.9 font ',11' textcolor rgb '%s' notitle, ",
            i, colour, i, colour);
    }
    if (curve->n_fallen > 0) {
        fprintf(out, "$fell%zu using 1:2 with points pt 2 ps 0.8 lw 1.6 lc rgb '%s' notitle, ", i, colour);
    }
    fprintf(out, "keyentry with linespoints lw 2 dashtype %s lc rgb '%s' pt %d ps 0.75 title ", dash, colour, OF(marks, i));
    write_legend(out, picture, i);
}

static void write_script(FILE *out, const struct picture *picture) {
    write_terminal(out, picture);
    write_title(out, picture);
    write_axes(out, picture);
    write_targets(out, picture);
    write_data(out, picture);
    for (size_t i = 0; i < picture->plot->n_runs; i++) {
        fputs(i == 0 ? "plot " : ", ", out);
        write_curve(out, picture, i);
    }
    if (picture->n_rollbacks > 0) {
        fputs(", keyentry with points pt 2 ps 0.8 lw 1.6 lc rgb '#555555' title 'taken back by the rollback at the dotted "
              "line'",
              out);
    }
    fputc('\n', out);
}

/* -- All of it -- */

bool fed_plot_has(const struct fed_run_view *runs, size_t n, enum fed_plot_y y) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < runs[i].n_rows; k++) {
            const struct fed_curve_row *row = &runs[i].rows[k];
            if (!row->rolled_back && isfinite(y == FED_PLOT_LOSS ? row->round.loss : row->round.accuracy)) {
                return true;
            }
        }
    }
    return false;
}

static int nothing_to_draw(const struct fed_plot *plot, struct fed_error *err) {
    const char *what = plot->y == FED_PLOT_LOSS ? "loss" : "accuracy";
    enum fed_plot_y other = plot->y == FED_PLOT_LOSS ? FED_PLOT_ACCURACY : FED_PLOT_LOSS;
    if (fed_plot_has(plot->runs, plot->n_runs, plot->y)) {
        return fed_error_set(err, FED_EFAILED, "--log: no %s that a logarithmic axis could show",
                             plot->y == FED_PLOT_LOSS ? "loss" : "error (1 - accuracy)");
    }
    if (fed_plot_has(plot->runs, plot->n_runs, other)) {
        return fed_error_set(err, FED_EFAILED, "no %s in %s: try --y %s", what, plot->runs[0].path,
                             other == FED_PLOT_LOSS ? "loss" : "accuracy");
    }
    return fed_error_set(err, FED_EFAILED, "nothing to draw: no round of %s was evaluated yet", plot->runs[0].path);
}

int fed_plot_script(FILE *out, const struct fed_plot *plot, struct fed_error *err) {
    struct picture picture = {.plot = plot,
                              .curves = calloc(plot->n_runs, sizeof *picture.curves),
                              .percent = plot->y == FED_PLOT_ACCURACY ? 100 : 1};
    size_t n_points = 0;
    int code = picture.curves != NULL ? FED_OK : FED_ENOMEM;
    for (size_t i = 0; code == FED_OK && i < plot->n_runs; i++) {
        code = fed_plot_curve_make(&picture.curves[i], plot, &plot->runs[i]);
        n_points += code == FED_OK ? picture.curves[i].n : 0;
        picture.n_rollbacks += code == FED_OK ? picture.curves[i].n_rollbacks : 0;
    }
    if (code == FED_ENOMEM) {
        fed_error_set(err, code, "out of memory");
    } else if (n_points == 0) {
        code = nothing_to_draw(plot, err);
    } else {
        choose_x(&picture);
        choose_y(&picture);
        write_script(out, &picture);
    }
    for (size_t i = 0; picture.curves != NULL && i < plot->n_runs; i++) {
        fed_plot_curve_fini(&picture.curves[i]);
    }
    free(picture.curves);
    return code;
}
