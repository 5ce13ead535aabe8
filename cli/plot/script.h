/* The picture of some runs as a script for gnuplot: what is drawn and how it looks. The same runs and options give the
 * same bytes. */
#ifndef FED_CLI_PLOT_SCRIPT_H
#define FED_CLI_PLOT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/run_label.h"
#include "cli/run_view.h"

#define FED_PLOT_RUNS_MOST 16

enum fed_plot_x { FED_PLOT_ROUNDS, FED_PLOT_BYTES, FED_PLOT_SECONDS };
enum fed_plot_y { FED_PLOT_ACCURACY, FED_PLOT_LOSS };
enum fed_plot_file { FED_PLOT_SVG, FED_PLOT_PNG };

struct fed_plot {
    enum fed_plot_x x;
    enum fed_plot_y y;
    enum fed_plot_file file;
    bool log;          /* loss, or the error (1 - accuracy), on a logarithmic axis */
    uint32_t smooth;   /* mean over so many evaluations, the one at hand and those before; 1 = none */
    const char *title; /* NULL = what is drawn */
    const struct fed_run_view *runs;
    const char (*labels)[FED_RUN_LABEL];
    size_t n_runs; /* 1..FED_PLOT_RUNS_MOST */
};

/* Whether any run has a point for that axis. */
bool fed_plot_has(const struct fed_run_view *runs, size_t n, enum fed_plot_y y);

/* FED_EFAILED: there is nothing to draw, and the sentence says why. FED_ENOMEM. */
int fed_plot_script(FILE *out, const struct fed_plot *plot, struct fed_error *err) FED_MUST_CHECK;

#endif
