/* What a split looks like, in numbers: sizes, labels, and how far clients are from each other. Of many clients only a sample
 * is looked into, evenly spaced over their ids, so that a split of a million clients costs no more than one of ten thousand.
 */
#ifndef FED_CLI_PARTITION_SPLIT_VIEW_H
#define FED_CLI_PARTITION_SPLIT_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/task.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"

struct fed_spread {
    size_t least, median, most;
};

struct fed_split_view {
    const struct fed_task *task; /* borrowed, as the two below */
    const struct fed_dataset *data;
    const struct fed_partition *partition;
    uint32_t n_clients, n_labels; /* n_labels 0: there are none to sort by */
    double *everybody;            /* (n_labels) each label's share of the data */
    uint32_t n_seen;
    uint32_t *seen;                  /* (n_seen) clients that were looked into, ascending */
    uint32_t *counts;                /* (n_seen, n_labels) */
    uint32_t *ranked;                /* (n_clients) largest first, of equals the lowest id; NULL: all sizes are equal */
    struct fed_spread sizes, labels; /* sizes: of all clients; labels that a client has: of those seen */
    double skew; /* mean over those seen of the total variation between a client's labels and everybody's: 0 to 1 */
};

int fed_split_view_init(struct fed_split_view *out, const struct fed_task *task, const struct fed_dataset *data,
                        const struct fed_partition *partition) FED_MUST_CHECK; /* FED_ENOMEM */
void fed_split_view_fini(struct fed_split_view *view);

/* The client of place i < n of those seen, or ranked, when n of all are shown, evenly spaced: its place. */
uint32_t fed_split_view_place(uint32_t i, uint32_t n, uint32_t all);
/* Part of the examples of the client in place `place` of those seen that have labels first .. after - 1. */
double fed_split_view_share(const struct fed_split_view *view, uint32_t place, uint32_t first, uint32_t after);
/* Nine steps of a share, finer below, so that a tenth shows: 0 only for none. */
unsigned fed_split_view_step(double share);
#define FED_SPLIT_STEPS 9

#endif
