/* gnuplot's only door: a script goes in, a picture comes out. No shell, no files, none of the user's own settings. */
#ifndef FED_CLI_PLOT_GNUPLOT_H
#define FED_CLI_PLOT_GNUPLOT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/status.h"

/* A text as one quoted word of a script, whatever is in it: control characters and bytes that are not UTF-8 become '?'. */
void fed_gnuplot_quote(FILE *script, const char *text);

/* Runs a script that draws to its standard output. *out is malloc'ed, the caller owns it. What gnuplot complained of
 * although it drew goes to stderr. FED_ECONFIG: gnuplot is not installed, and the sentence says what to install;
 * FED_EFAILED: what gnuplot said; FED_ENOMEM. */
int fed_gnuplot_run(uint8_t **out, size_t *n, const char *script, size_t n_script, struct fed_error *err) FED_MUST_CHECK;

#endif
