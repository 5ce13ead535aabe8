/* Two runs held against each other, as fedavg compare tells it: found out, and as text. */
#ifndef FED_CLI_COMPARE_COMPARISON_H
#define FED_CLI_COMPARE_COMPARISON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/compare/milestones.h"
#include "cli/compare/parting.h"
#include "cli/run_view.h"
#include "cli/settings_diff.h"
#include "coordinator/store/store_builds.h"

/* Where a run stands; of the last round that stands and was evaluated: NaN = none. */
struct fed_figures {
    const struct fed_curve_row *last; /* newest round; borrowed */
    uint64_t evaluated_round, best_round;
    double accuracy, loss, best; /* best: accuracy, or the least loss where no round has an accuracy */
};

#define FED_COMPARISON_BUILDS 8 /* told one by one; the newest */

/* With what a run was computed, oldest first; n counts all. None is known of rounds before format 3 of run.db. */
struct fed_builds {
    struct fed_store_build rows[FED_COMPARISON_BUILDS];
    size_t n, n_rows;
};

struct fed_comparison {
    const struct fed_run_view *runs; /* two; borrowed */
    struct fed_differences task;     /* owned */
    struct fed_parting models;
    struct fed_builds builds[2];
    struct fed_figures figures[2];
    struct fed_milestones milestones;
};

/* FED_EFAILED: one of them has no committed round yet. FED_EIO, FED_EDATA, FED_ENOMEM. */
int fed_comparison_make(struct fed_comparison *out, const struct fed_run_view runs[2], struct fed_error *err) FED_MUST_CHECK;
void fed_comparison_fini(struct fed_comparison *comparison);

void fed_comparison_print(FILE *out, const struct fed_comparison *comparison);

#endif
