/* Splits that stand in memory. Every kind ends by filling first[] and rows[] with each example once; none has a loop that
 * waits for luck, so every split of every size comes to an end. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/data/gamma.h"
#include "common/data/partition_internal.h"
#include "common/numeric/poly.h"

/* Where part i of n items cut into parts begins; the first n mod parts are one longer. */
static uint32_t cut(uint32_t n, uint32_t parts, uint32_t i) { return i * (n / parts) + (i < n % parts ? i : n % parts); }

/* Where part i of n items begins whose shares have the running sums: the last quotient is 1, so nothing is left over. */
static uint32_t cut_by_shares(uint32_t n, const double *sums, uint32_t parts, uint32_t i) {
    return (uint32_t)(sums[i] / sums[parts - 1] * n);
}

static void part_iid(struct fed_row_groups *of, uint32_t n, struct fed_rng *rng) {
    fed_partition_count_up(of->rows, n);
    fed_rng_shuffle(rng, of->rows, n);
    for (uint32_t k = 0; k <= of->n_groups; k++) {
        of->first[k] = cut(n, of->n_groups, k);
    }
}

static int part_shards(struct fed_row_groups *of, const struct fed_dataset *dataset, uint32_t per_client,
                       struct fed_rng *rng) {
    uint32_t n = (uint32_t)dataset->n_examples, n_shards = of->n_groups * per_client, filled = 0;
    struct fed_row_groups sorted = {0};
    uint32_t *order = fed_partition_items(n_shards);
    int rc = order == NULL ? FED_ENOMEM : fed_row_groups_by_label(&sorted, dataset);
    if (rc != 0) {
        goto out;
    }
    fed_partition_count_up(order, n_shards);
    fed_rng_shuffle(rng, order, n_shards);
    for (uint32_t i = 0; i < n_shards; i++) {
        uint32_t begin = cut(n, n_shards, order[i]), end = cut(n, n_shards, order[i] + 1);
        if (i % per_client == 0) {
            of->first[i / per_client] = filled;
        }
        memcpy(of->rows + filled, sorted.rows + begin, (end - begin) * sizeof *sorted.rows);
        filled += end - begin;
    }
    of->first[of->n_groups] = filled;
out:
    fed_row_groups_fini(&sorted);
    free(order);
    return rc;
}

/* -- nobody stays empty ------------------------------------------------------------------------------------------------ */

/* Clients as a heap: the largest on top, of equals the lowest id. */
struct givers {
    uint32_t n;
    uint32_t *heap; /* owned */
    uint32_t *size; /* (n), borrowed */
};

static void sift_down(struct givers *givers, uint32_t at) {
    uint32_t *heap = givers->heap;
    const uint32_t *size = givers->size;
    for (;;) {
        size_t best = at;
        for (size_t child = 2 * (size_t)at + 1; child <= 2 * (size_t)at + 2 && child < givers->n; child++) {
            uint32_t a = heap[child], b = heap[best];
            if (size[a] > size[b] || (size[a] == size[b] && a < b)) {
                best = child;
            }
        }
        if (best == at) {
            return;
        }
        uint32_t moved = heap[at];
        heap[at] = heap[best];
        heap[best] = moved;
        at = (uint32_t)best;
    }
}

static int givers_init(struct givers *givers, uint32_t *size, uint32_t n) {
    *givers = (struct givers){.n = n, .heap = fed_partition_items(n), .size = size};
    if (givers->heap == NULL) {
        return FED_ENOMEM;
    }
    fed_partition_count_up(givers->heap, n);
    for (uint32_t i = n / 2; i-- > 0;) {
        sift_down(givers, i);
    }
    return 0;
}

/* The largest becomes one smaller. While a client is empty another holds two or more, because there are at least as many
 * examples as clients: so a giver never empties. Whoever is given one may stand in the heap as empty: it would not be on
 * top while it matters. */
static uint32_t take_from_largest(struct givers *givers) {
    uint32_t giver = givers->heap[0];
    assert(givers->size[giver] >= 2);
    givers->size[giver]--;
    sift_down(givers, 0);
    return giver;
}

/* Each empty client is given the last row of the largest. */
static int fill_empty(struct fed_row_groups *of, size_t n) {
    uint32_t k = of->n_groups, filled = 0;
    uint32_t *size = fed_partition_items(k), *gift = fed_partition_items(k), *rows = fed_partition_items(n);
    struct givers givers = {0};
    int rc = size == NULL || gift == NULL || rows == NULL ? FED_ENOMEM : 0;
    for (uint32_t i = 0; rc == 0 && i < k; i++) {
        size[i] = of->first[i + 1] - of->first[i];
    }
    if (rc == 0) {
        rc = givers_init(&givers, size, k);
    }
    if (rc != 0) {
        goto out;
    }
    for (uint32_t i = 0; i < k; i++) {
        if (size[i] == 0) {
            uint32_t giver = take_from_largest(&givers);
            gift[i] = of->rows[of->first[giver] + size[giver]];
        }
    }
    for (uint32_t i = 0; i < k; i++) {
        const uint32_t *from = size[i] == 0 ? &gift[i] : of->rows + of->first[i];
        uint32_t n_rows = size[i] == 0 ? 1 : size[i];
        memcpy(rows + filled, from, n_rows * sizeof *rows);
        of->first[i] = filled;
        filled += n_rows;
    }
    memcpy(of->rows, rows, n * sizeof *rows);
out:
    free(size);
    free(gift);
    free(rows);
    free(givers.heap);
    return rc;
}

/* -- dirichlet --------------------------------------------------------------------------------------------------------- */

/* sums (k): running sums of weights ~ Dir(alpha) times a constant. */
static void draw_shares(double *sums, uint32_t k, double alpha, struct fed_rng *rng) {
    double most = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < k; i++) {
        sums[i] = fed_gamma_draw_log(alpha, rng);
        most = sums[i] > most ? sums[i] : most;
    }
    for (uint32_t i = 0; i < k; i++) {
        sum += fed_exp(sums[i] - most);
        sums[i] = sum;
    }
}

/* labels: each label's rows, which are shuffled here; owner[i]: who is dealt labels->rows[i]. */
static int deal(uint32_t *owner, struct fed_row_groups *labels, uint32_t k, double alpha, struct fed_rng *rng) {
    double *sums = calloc(k, sizeof *sums);
    if (sums == NULL) {
        return FED_ENOMEM;
    }
    for (uint32_t c = 0; c < labels->n_groups; c++) {
        uint32_t begin = labels->first[c], at = begin, n = labels->first[c + 1] - begin;
        if (n == 0) {
            continue;
        }
        fed_rng_shuffle(rng, labels->rows + begin, n);
        draw_shares(sums, k, alpha, rng);
        for (uint32_t i = 0; i < k; i++) {
            uint32_t end = begin + cut_by_shares(n, sums, k, i);
            while (at < end) {
                owner[at++] = i;
            }
        }
    }
    free(sums);
    return 0;
}

static int part_dirichlet(struct fed_row_groups *of, const struct fed_dataset *dataset, double alpha, struct fed_rng *rng) {
    size_t n = dataset->n_examples;
    struct fed_row_groups labels = {0};
    uint32_t *owner = fed_partition_items(n);
    int rc = owner == NULL ? FED_ENOMEM : fed_row_groups_by_label(&labels, dataset);
    if (rc == 0) {
        rc = deal(owner, &labels, of->n_groups, alpha, rng);
    }
    if (rc == 0) {
        fed_row_groups_fill(of, labels.rows, owner, n);
        rc = fill_empty(of, n);
    }
    fed_row_groups_fini(&labels);
    free(owner);
    return rc;
}

/* -- quantity ---------------------------------------------------------------------------------------------------------- */

/* size (k): a power law's, largest first up to rounding; each at least 1, in all n. */
static int power_law_sizes(uint32_t *size, uint32_t k, uint32_t n, double alpha) {
    struct givers givers = {0};
    double sum = 0, *sums = calloc(k, sizeof *sums);
    if (sums == NULL) {
        return FED_ENOMEM;
    }
    for (uint32_t i = 0; i < k; i++) {
        sum += fed_exp(-alpha * fed_log((double)i + 1));
        sums[i] = sum;
    }
    for (uint32_t i = 0, at = 0; i < k; i++) {
        uint32_t end = cut_by_shares(n, sums, k, i);
        size[i] = end - at;
        at = end;
    }
    free(sums);
    int rc = givers_init(&givers, size, k);
    for (uint32_t i = 0; rc == 0 && i < k; i++) {
        if (size[i] == 0) {
            take_from_largest(&givers);
            size[i] = 1;
        }
    }
    free(givers.heap);
    return rc;
}

static int part_quantity(struct fed_row_groups *of, uint32_t n, double alpha, struct fed_rng *rng) {
    uint32_t k = of->n_groups, *size = of->first + 1;
    int rc = power_law_sizes(size, k, n, alpha);
    if (rc != 0) {
        return rc;
    }
    fed_partition_count_up(of->rows, n);
    fed_rng_shuffle(rng, of->rows, n);
    fed_rng_shuffle(rng, size, k);
    of->first[0] = 0;
    for (uint32_t i = 0; i < k; i++) {
        of->first[i + 1] += of->first[i];
    }
    return 0;
}

/* -- natural ----------------------------------------------------------------------------------------------------------- */

static int part_natural(struct fed_row_groups *of, const struct fed_dataset *dataset) {
    uint32_t *keys = fed_partition_items(dataset->n_examples);
    if (keys == NULL) {
        return FED_ENOMEM;
    }
    for (size_t i = 0; i < dataset->n_examples; i++) {
        keys[i] = fed_dataset_group(dataset, i);
    }
    fed_row_groups_fill(of, NULL, keys, dataset->n_examples);
    free(keys);
    return 0;
}

/* -- all of them ------------------------------------------------------------------------------------------------------- */

static int part(struct fed_row_groups *of, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                uint64_t seed) {
    uint32_t n = (uint32_t)dataset->n_examples;
    struct fed_rng rng;
    fed_rng_init(&rng, seed, FED_RNG_PARTITION, 0, 0);
    switch (spec->kind) {
    case FED_PARTITION_IID: part_iid(of, n, &rng); return 0;
    case FED_PARTITION_SHARDS: return part_shards(of, dataset, spec->shards_per_client, &rng);
    case FED_PARTITION_DIRICHLET: return part_dirichlet(of, dataset, spec->alpha, &rng);
    case FED_PARTITION_QUANTITY: return part_quantity(of, n, spec->alpha, &rng);
    case FED_PARTITION_NATURAL: return part_natural(of, dataset);
    case FED_PARTITION_NONE: break;
    }
    fed_partition_count_up(of->rows, n);
    of->first[0] = 0;
    of->first[1] = n;
    return 0;
}

int fed_partition_list(struct fed_partition *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                       uint64_t seed, struct fed_error *err) {
    struct fed_row_groups *of = &out->storage->of;
    int rc = fed_row_groups_init(of, out->n_clients, dataset->n_examples);
    if (rc == 0) {
        rc = part(of, dataset, spec, seed);
    }
    if (rc != 0) {
        return fed_error_set(err, rc, "out of memory to part %zu examples among %" PRIu32 " clients", dataset->n_examples,
                             out->n_clients);
    }
    for (uint32_t k = 0; k < out->n_clients; k++) {
        if (of->first[k] == of->first[k + 1]) {
            return fed_error_set(err, FED_EDATA, "the data names a group \"%s\" that has no example; leave it out",
                                 fed_dataset_group_name(dataset, k));
        }
    }
    return 0;
}
