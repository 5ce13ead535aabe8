/* What it cost a run to come so far: rounds, bytes and seconds to an accuracy, or to a loss where there is no accuracy. */
#ifndef FED_CLI_COMPARE_MILESTONES_H
#define FED_CLI_COMPARE_MILESTONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/run_view.h"

#define FED_MILESTONES_MOST 16

struct fed_reached {
    bool reached;
    uint64_t round, bytes;
    double seconds;
};

struct fed_milestone {
    double level; /* at least this accuracy, or at most this loss */
    struct fed_reached by[2];
};

struct fed_milestones {
    bool of_loss;
    struct fed_milestone items[FED_MILESTONES_MOST]; /* ever harder */
    size_t n;
};

/* Round figures and the runs' targets, as far as one of the two came. Only rounds that stand count. */
void fed_milestones_find(struct fed_milestones *out, const struct fed_run_view *a, const struct fed_run_view *b);

#endif
