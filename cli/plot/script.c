/* How it looks: a light ground, a few horizontal lines, legend and title above the picture where they hide no curve. Each
 * run has a colour, a dash and a mark of its own: the colours are Okabe's and Ito's, which people with any kind of colour
 * vision tell apart, and on paper without colour dashes and marks do. */
#include "cli/plot/script.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plot/axes.h"
#include "cli/plot/curve.h"
#include "cli/plot/gnuplot.h"

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

struct picture {
    const struct fed_plot *plot;
    struct fed_plot_curve *curves; /* owned, one a run */
    struct fed_plot_axes axes;
    size_t n_rollbacks;
};

/* -- The script -- */

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
    snprintf(fallback, sizeof fallback, "%s by %s", fed_plot_y_words(plot),
             plot->x == FED_PLOT_BYTES     ? "bytes sent"
             : plot->x == FED_PLOT_SECONDS ? "time"
                                           : "round");
    fprintf(out, "set label 1 ");
    fed_gnuplot_quote(out, plot->title != NULL ? plot->title : fallback);
    fprintf(out, " at screen 0.0185,%.4f left font ',17' textcolor rgb '#111111'\n",
            1 - 24.0 / (PLOT_HEIGHT + TITLE_HEIGHT + rows * ROW_HEIGHT));
}

/* One line a target; runs of one task have one. */
static void write_targets(FILE *out, const struct picture *picture) {
    const struct fed_plot *plot = picture->plot;
    for (size_t i = 0; i < plot->n_runs; i++) {
        double y = fed_plot_axes_target(&picture->axes, &plot->runs[i]);
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
        fprintf(out, "%.9g %.9g\n", points[k].x / picture->axes.x_unit.divisor, picture->axes.percent * points[k].y);
    }
    fprintf(out, "EOD\n");
}

/* A few marks a curve, one at least, at other places than those of the curves beside it. */
static void write_marks(FILE *out, const struct picture *picture, size_t i, const struct fed_point *points, size_t n) {
    fprintf(out, "$mark%zu << EOD\n", i);
    double share = (double)(i % 4) / 4, first = picture->axes.x_most / MARKS * (0.25 + share), next = first;
    for (size_t k = 0; k < n; k++) {
        double x = points[k].x / picture->axes.x_unit.divisor;
        if (x >= next || (k + 1 == n && next == first)) {
            fprintf(out, "%.9g %.9g\n", x, picture->axes.percent * points[k].y);
            while (next <= x) {
                next += picture->axes.x_most / MARKS;
            }
        }
    }
    fprintf(out, "EOD\n");
}

static void write_rollbacks(FILE *out, const struct picture *picture, size_t i) {
    const struct fed_plot_curve *curve = &picture->curves[i];
    fprintf(out, "$fell%zu << EOD\n", i);
    for (size_t k = 0; k < curve->n_fallen; k++) {
        fprintf(out, "%.9g %.9g\n", curve->fallen[k].x / picture->axes.x_unit.divisor,
                fed_plot_axes_at_edge(&picture->axes, curve->fallen[k].y));
    }
    fprintf(out, "EOD\n");
    for (size_t k = 0; k < curve->n_rollbacks && picture->n_rollbacks <= LINES_MOST; k++) {
        double x = curve->rollbacks[k] / picture->axes.x_unit.divisor;
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
            fprintf(out, "%.9g %.9g %" PRIu64 "\n", curve->reached.x / picture->axes.x_unit.divisor,
                    picture->axes.percent * curve->reached.y, picture->plot->runs[i].target_round);
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
    fed_plot_axes_write(out, &picture->axes);
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
    struct picture picture = {.plot = plot, .curves = calloc(plot->n_runs, sizeof *picture.curves)};
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
        fed_plot_axes_choose(&picture.axes, plot, picture.curves);
        write_script(out, &picture);
    }
    for (size_t i = 0; picture.curves != NULL && i < plot->n_runs; i++) {
        fed_plot_curve_fini(&picture.curves[i]);
    }
    free(picture.curves);
    return code;
}
