#include "cli/partition/split_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MOST 10000
#define ROOM_MOST ((size_t)1 << 26) /* counts kept, and rows looked at */

void fed_split_view_fini(struct fed_split_view *view) {
    free(view->everybody);
    free(view->seen);
    free(view->counts);
    free(view->ranked);
    *view = (struct fed_split_view){0};
}

uint32_t fed_split_view_place(uint32_t i, uint32_t n, uint32_t all) { return (uint32_t)((uint64_t)i * all / n); }

double fed_split_view_share(const struct fed_split_view *view, uint32_t place, uint32_t first, uint32_t after) {
    const uint32_t *row = view->counts + (size_t)place * view->n_labels;
    uint64_t sum = 0;
    for (uint32_t l = first; l < after; l++) {
        sum += row[l];
    }
    return (double)sum / (double)fed_partition_size(view->partition, view->seen[place]);
}

unsigned fed_split_view_step(double share) {
    return share <= 0 ? 0 : (unsigned)fmin(FED_SPLIT_STEPS, ceil(FED_SPLIT_STEPS * sqrt(share)));
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the values. */
static struct fed_spread spread_of(uint32_t *values, uint32_t n) {
    qsort(values, n, sizeof *values, ascending);
    return (struct fed_spread){values[0], values[n / 2], values[n - 1]};
}

static int descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* A size, below 2^31, above what is left of 2^32 over the id: one number to sort by. */
static uint64_t key_of(size_t n_k, uint32_t k) { return (uint64_t)n_k << 32 | (UINT32_MAX - k); }

static int rank(struct fed_split_view *view) {
    uint32_t n = view->n_clients;
    if (fed_partition_computed(view->partition)) {
        size_t n_k = fed_partition_size(view->partition, 0);
        view->sizes = (struct fed_spread){n_k, n_k, n_k};
        return FED_OK;
    }
    uint64_t *keys = calloc(n, sizeof *keys);
    view->ranked = calloc(n, sizeof *view->ranked);
    if (keys == NULL || view->ranked == NULL) {
        free(keys);
        return FED_ENOMEM;
    }
    for (uint32_t k = 0; k < n; k++) {
        keys[k] = key_of(fed_partition_size(view->partition, k), k);
    }
    qsort(keys, n, sizeof *keys, descending);
    for (uint32_t i = 0; i < n; i++) {
        view->ranked[i] = UINT32_MAX - (uint32_t)keys[i];
    }
    view->sizes = (struct fed_spread){keys[n - 1] >> 32, keys[(n - 1) / 2] >> 32, keys[0] >> 32};
    free(keys);
    return FED_OK;
}

static int weigh_everybody(struct fed_split_view *view) {
    size_t n = view->data->n_examples;
    view->everybody = calloc(view->n_labels, sizeof *view->everybody);
    if (view->everybody == NULL) {
        return FED_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        view->everybody[fed_dataset_label(view->data, i)] += 1;
    }
    for (uint32_t l = 0; l < view->n_labels; l++) {
        view->everybody[l] /= (double)n;
    }
    return FED_OK;
}

static uint32_t how_many_to_see(const struct fed_split_view *view) {
    size_t largest = fed_partition_largest(view->partition);
    size_t each = largest > view->n_labels ? largest : view->n_labels, most = ROOM_MOST / each;
    most = most < 1 ? 1 : most > SEEN_MOST ? SEEN_MOST : most;
    return most < view->n_clients ? (uint32_t)most : view->n_clients;
}

static int count_labels(struct fed_split_view *view) {
    uint32_t *rows = calloc(fed_partition_largest(view->partition), sizeof *rows);
    view->n_seen = how_many_to_see(view);
    view->seen = calloc(view->n_seen, sizeof *view->seen);
    view->counts = calloc((size_t)view->n_seen * view->n_labels, sizeof *view->counts);
    if (rows == NULL || view->seen == NULL || view->counts == NULL) {
        free(rows);
        return FED_ENOMEM;
    }
    for (uint32_t i = 0; i < view->n_seen; i++) {
        uint32_t *row = view->counts + (size_t)i * view->n_labels,
                 k = fed_split_view_place(i, view->n_seen, view->n_clients);
        size_t n = fed_partition_size(view->partition, k);
        view->seen[i] = k;
        fed_partition_rows(view->partition, k, rows);
        for (size_t r = 0; r < n; r++) {
            row[fed_dataset_label(view->data, rows[r])]++;
        }
    }
    free(rows);
    return FED_OK;
}

/* Total variation: the share of the client's examples that would have to change label to look like everybody's. */
static double distance_of(const struct fed_split_view *view, uint32_t place) {
    double sum = 0;
    for (uint32_t l = 0; l < view->n_labels; l++) {
        sum += fabs(fed_split_view_share(view, place, l, l + 1) - view->everybody[l]);
    }
    return sum / 2;
}

static int compare(struct fed_split_view *view) {
    uint32_t *values = calloc(view->n_seen, sizeof *values);
    if (values == NULL) {
        return FED_ENOMEM;
    }
    for (uint32_t i = 0; i < view->n_seen; i++) {
        for (uint32_t l = 0; l < view->n_labels; l++) {
            values[i] += view->counts[(size_t)i * view->n_labels + l] > 0;
        }
        view->skew += distance_of(view, i) / view->n_seen;
    }
    view->labels = spread_of(values, view->n_seen);
    free(values);
    return FED_OK;
}

int fed_split_view_init(struct fed_split_view *out, const struct fed_task *task, const struct fed_dataset *data,
                        const struct fed_partition *partition) {
    struct fed_split_view view = {.task = task, .data = data, .partition = partition, .n_clients = partition->n_clients};
    view.n_labels = fed_dataset_labels(data);
    int rc = rank(&view);
    if (rc == FED_OK && view.n_labels > 0) {
        rc = weigh_everybody(&view);
        rc = rc == FED_OK ? count_labels(&view) : rc;
        rc = rc == FED_OK ? compare(&view) : rc;
    }
    if (rc != FED_OK) {
        fed_split_view_fini(&view);
        return rc;
    }
    *out = view;
    return FED_OK;
}
