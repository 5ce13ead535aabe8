#include "common/data/partition.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/data/dataset.h"
#include "common/numeric/poly.h"
#include "common/seal/digest.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the digest reads rows as they stand in memory");

#define LABELS 256                       /* a label is one byte */
#define MAX_EXAMPLES ((size_t)INT32_MAX) /* so that counts plus one stay 32-bit */
#define MIN_ALPHA 1e-6
#define MAX_ALPHA 1e6

struct fed_partition_storage {
    uint32_t *first; /* (n_clients + 1): client k owns rows[first[k]] .. rows[first[k + 1] - 1] */
    uint32_t *rows;  /* (n_examples) */
};

static const char *const kind_names[] = {"none", "iid", "shards", "dirichlet", "quantity", "natural"};
#define N_KINDS (sizeof kind_names / sizeof *kind_names)

const char *fed_partition_kind_name(enum fed_partition_kind kind) {
    assert((size_t)kind < N_KINDS);
    return kind_names[kind];
}

int fed_partition_kind_parse(enum fed_partition_kind *out, const char *name) {
    for (size_t i = 0; i < N_KINDS; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *out = (enum fed_partition_kind)i;
            return 0;
        }
    }
    return FED_ENOTFOUND;
}

static int check_spec(const struct fed_partition_spec *spec, size_t n, struct fed_error *err) {
    if (n < 1 || n > MAX_EXAMPLES) {
        return fed_error_set(err, FED_ECONFIG, "data: %zu examples found, 1 to %zu can be parted", n, MAX_EXAMPLES);
    }
    if (spec->kind == FED_PARTITION_NONE) {
        return 0;
    }
    if (spec->clients < 1 || spec->clients > n) {
        return fed_error_set(err, FED_ECONFIG,
                             "data.partition.clients: %" PRIu32 " found, 1 to %zu is allowed: every client needs an example",
                             spec->clients, n);
    }
    uint64_t n_shards = (uint64_t)spec->clients * spec->shards_per_client;
    if (spec->kind == FED_PARTITION_SHARDS && (n_shards < 1 || n_shards > n)) {
        return fed_error_set(err, FED_ECONFIG,
                             "data.partition.shards_per_client: %" PRIu32 " found, which for %" PRIu32
                             " clients makes %" PRIu64 " shards; 1 to %zu, the number of examples, is allowed",
                             spec->shards_per_client, spec->clients, n_shards, n);
    }
    if (spec->kind == FED_PARTITION_DIRICHLET && !(spec->alpha >= MIN_ALPHA && spec->alpha <= MAX_ALPHA)) {
        return fed_error_set(err, FED_ECONFIG, "data.partition.alpha: %g found, %g to %g is allowed", spec->alpha, MIN_ALPHA,
                             MAX_ALPHA);
    }
    return 0;
}

static uint32_t *new_items(size_t n) { return n > SIZE_MAX / sizeof(uint32_t) ? NULL : malloc(n * sizeof(uint32_t)); }

static void count_up(uint32_t *items, size_t n) {
    for (size_t i = 0; i < n; i++) {
        items[i] = (uint32_t)i;
    }
}

/* Where part i of n items cut into parts begins; the first n mod parts are one longer. */
static uint32_t cut(uint32_t n, uint32_t parts, uint32_t i) { return i * (n / parts) + (i < n % parts ? i : n % parts); }

/* rows sorted by label, equal labels in the order of the file; label c begins at starts[c]. */
static void sort_by_label(uint32_t *rows, uint32_t starts[LABELS + 1], const struct fed_dataset *dataset) {
    uint32_t next[LABELS];
    memset(starts, 0, (LABELS + 1) * sizeof *starts);
    for (size_t i = 0; i < dataset->n_examples; i++) {
        starts[fed_dataset_label(dataset, i) + 1]++;
    }
    for (size_t c = 0; c < LABELS; c++) {
        next[c] = starts[c];
        starts[c + 1] += starts[c];
    }
    for (size_t i = 0; i < dataset->n_examples; i++) {
        rows[next[fed_dataset_label(dataset, i)]++] = (uint32_t)i;
    }
}

static void part_iid(struct fed_partition *p, uint32_t n, struct fed_rng *rng) {
    count_up(p->storage->rows, n);
    fed_rng_shuffle(rng, p->storage->rows, n);
    for (uint32_t k = 0; k <= p->n_clients; k++) {
        p->storage->first[k] = cut(n, p->n_clients, k);
    }
}

static int part_shards(struct fed_partition *p, const struct fed_dataset *dataset, uint32_t per_client,
                       struct fed_rng *rng) {
    uint32_t n = (uint32_t)dataset->n_examples, n_shards = p->n_clients * per_client, filled = 0;
    uint32_t starts[LABELS + 1];
    uint32_t *sorted = new_items(n), *order = new_items(n_shards);
    int rc = sorted == NULL || order == NULL ? FED_ENOMEM : 0;
    if (rc != 0) {
        goto out;
    }
    sort_by_label(sorted, starts, dataset);
    count_up(order, n_shards);
    fed_rng_shuffle(rng, order, n_shards);
    for (uint32_t i = 0; i < n_shards; i++) {
        uint32_t begin = cut(n, n_shards, order[i]), end = cut(n, n_shards, order[i] + 1);
        if (i % per_client == 0) {
            p->storage->first[i / per_client] = filled;
        }
        memcpy(p->storage->rows + filled, sorted + begin, (end - begin) * sizeof *sorted);
        filled += end - begin;
    }
    p->storage->first[p->n_clients] = filled;
out:
    free(sorted);
    free(order);
    return rc;
}

/* Marsaglia's polar method; its second value is not kept. */
static double draw_normal(struct fed_rng *rng) {
    double x, y, s;
    do {
        x = 2 * fed_rng_f64(rng) - 1;
        y = 2 * fed_rng_f64(rng) - 1;
        s = x * x + y * y;
    } while (s >= 1 || s == 0);
    return x * sqrt(-2 * fed_log(s) / s);
}

/* The logarithm of a Gamma(alpha) variate (Marsaglia and Tsang 2000): for a small alpha the variate itself is far below
 * the smallest double. G(a) = G(a + 1) * U^(1/a) for a < 1. */
static double draw_log_gamma(double alpha, struct fed_rng *rng) {
    double boost = alpha < 1 ? fed_log(fed_rng_f64(rng)) / alpha : 0;
    double d = (alpha < 1 ? alpha + 1 : alpha) - 1.0 / 3.0, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = draw_normal(rng), root = 1 + c * x;
        if (root <= 0) {
            continue;
        }
        double log_v = 3 * fed_log(root), v = root * root * root;
        if (fed_log(fed_rng_f64(rng)) < 0.5 * x * x + d - d * v + d * log_v) {
            return fed_log(d) + log_v + boost;
        }
    }
}

/* shares (k): running sums of weights ~ Dir(alpha) times a constant; the last is their total. */
static void draw_shares(double *shares, uint32_t k, double alpha, struct fed_rng *rng) {
    double most = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < k; i++) {
        shares[i] = draw_log_gamma(alpha, rng);
        most = shares[i] > most ? shares[i] : most;
    }
    for (uint32_t i = 0; i < k; i++) {
        sum += fed_exp(shares[i] - most);
        shares[i] = sum;
    }
}

/* rows: label by label, each label shuffled; owner[i]: who is dealt rows[i]. */
static int deal(uint32_t *rows, uint32_t *owner, const struct fed_dataset *dataset, uint32_t k, double alpha,
                struct fed_rng *rng) {
    uint32_t starts[LABELS + 1];
    double *shares = calloc(k, sizeof *shares);
    if (shares == NULL) {
        return FED_ENOMEM;
    }
    sort_by_label(rows, starts, dataset);
    for (size_t c = 0; c < LABELS; c++) {
        uint32_t at = starts[c], n = starts[c + 1] - starts[c];
        if (n == 0) {
            continue;
        }
        fed_rng_shuffle(rng, rows + at, n);
        draw_shares(shares, k, alpha, rng);
        for (uint32_t i = 0; i < k; i++) { /* the last quotient is 1, so nothing is left over */
            uint32_t end = starts[c] + (uint32_t)(shares[i] / shares[k - 1] * n);
            while (at < end) {
                owner[at++] = i;
            }
        }
    }
    free(shares);
    return 0;
}

/* p->storage->rows = dealt rows by owner, each owner's in the order of the deal. */
static void group_by_owner(struct fed_partition *p, const uint32_t *dealt, const uint32_t *owner, size_t n) {
    memset(p->storage->first, 0, ((size_t)p->n_clients + 1) * sizeof *p->storage->first);
    for (size_t i = 0; i < n; i++) {
        p->storage->first[owner[i] + 1]++;
    }
    for (uint32_t k = 0; k < p->n_clients; k++) {
        p->storage->first[k + 1] += p->storage->first[k];
    }
    for (size_t i = 0; i < n; i++) {
        p->storage->rows[p->storage->first[owner[i]]++] = dealt[i];
    }
    memmove(p->storage->first + 1, p->storage->first,
            p->n_clients * sizeof *p->storage->first); /* each had moved on to the next one's place */
    p->storage->first[0] = 0;
}

/* Clients as a heap: the largest on top, of equals the lowest id. */
static void sift_down(uint32_t *heap, const uint32_t *size, uint32_t n, uint32_t at) {
    for (;;) {
        size_t best = at;
        for (size_t child = 2 * (size_t)at + 1; child <= 2 * (size_t)at + 2 && child < n; child++) {
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

/* While a client is empty another holds two or more, because there are at least as many examples as clients: so a giver
 * never empties, and whoever was given one is never on top while it matters. */
static int fill_empty(struct fed_partition *p, size_t n) {
    uint32_t k = p->n_clients, filled = 0;
    uint32_t *size = new_items(k), *heap = new_items(k), *gift = new_items(k), *rows = new_items(n);
    int rc = size == NULL || heap == NULL || gift == NULL || rows == NULL ? FED_ENOMEM : 0;
    if (rc != 0) {
        goto out;
    }
    for (uint32_t i = 0; i < k; i++) {
        size[i] = p->storage->first[i + 1] - p->storage->first[i];
    }
    count_up(heap, k);
    for (uint32_t i = k / 2; i-- > 0;) {
        sift_down(heap, size, k, i);
    }
    for (uint32_t i = 0; i < k; i++) {
        if (size[i] == 0) {
            uint32_t giver = heap[0];
            assert(size[giver] >= 2);
            gift[i] = p->storage->rows[p->storage->first[giver] + --size[giver]];
            sift_down(heap, size, k, 0);
        }
    }
    for (uint32_t i = 0; i < k; i++) {
        const uint32_t *from = size[i] == 0 ? &gift[i] : p->storage->rows + p->storage->first[i];
        uint32_t n_rows = size[i] == 0 ? 1 : size[i];
        memcpy(rows + filled, from, n_rows * sizeof *rows);
        p->storage->first[i] = filled;
        filled += n_rows;
    }
    memcpy(p->storage->rows, rows, n * sizeof *rows);
out:
    free(size);
    free(heap);
    free(gift);
    free(rows);
    return rc;
}

static int part_dirichlet(struct fed_partition *p, const struct fed_dataset *dataset, double alpha, struct fed_rng *rng) {
    size_t n = dataset->n_examples;
    uint32_t *dealt = new_items(n), *owner = new_items(n);
    int rc = dealt == NULL || owner == NULL ? FED_ENOMEM : deal(dealt, owner, dataset, p->n_clients, alpha, rng);
    if (rc == 0) {
        group_by_owner(p, dealt, owner, n);
        rc = fill_empty(p, n);
    }
    free(dealt);
    free(owner);
    return rc;
}

static int part(struct fed_partition *p, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                uint64_t seed) {
    uint32_t n = (uint32_t)dataset->n_examples;
    struct fed_rng rng;
    fed_rng_init(&rng, seed, FED_RNG_PARTITION, 0, 0);
    switch (spec->kind) {
    case FED_PARTITION_IID: part_iid(p, n, &rng); return 0;
    case FED_PARTITION_SHARDS: return part_shards(p, dataset, spec->shards_per_client, &rng);
    case FED_PARTITION_DIRICHLET: return part_dirichlet(p, dataset, spec->alpha, &rng);
    default: break;
    }
    count_up(p->storage->rows, n);
    p->storage->first[0] = 0;
    p->storage->first[1] = n;
    return 0;
}

static void digest_parts(struct fed_partition *p, const struct fed_dataset *dataset) {
    struct fed_digest_state state;
    fed_digest_init(&state);
    fed_digest_update(&state, dataset->digest, sizeof dataset->digest);
    fed_digest_update(&state, &p->n_clients, sizeof p->n_clients);
    fed_digest_update(&state, p->storage->first, ((size_t)p->n_clients + 1) * sizeof *p->storage->first);
    fed_digest_update(&state, p->storage->rows, dataset->n_examples * sizeof *p->storage->rows);
    fed_digest_final(p->digest, &state);
}

int fed_partition_make(struct fed_partition *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                       uint64_t seed, struct fed_error *err) {
    int rc = check_spec(spec, dataset->n_examples, err);
    if (rc != 0) {
        return rc;
    }
    struct fed_partition p = {.n_clients = spec->kind == FED_PARTITION_NONE ? 1 : spec->clients};
    p.storage = calloc(1, sizeof *p.storage);
    if (p.storage == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    p.storage->first = new_items((size_t)p.n_clients + 1);
    p.storage->rows = new_items(dataset->n_examples);
    rc = p.storage->first == NULL || p.storage->rows == NULL ? FED_ENOMEM : part(&p, dataset, spec, seed);
    if (rc != 0) {
        fed_partition_fini(&p);
        return fed_error_set(err, rc, "out of memory to part %zu examples among %" PRIu32 " clients", dataset->n_examples,
                             p.n_clients);
    }
    digest_parts(&p, dataset);
    *out = p;
    return 0;
}

void fed_partition_fini(struct fed_partition *partition) {
    if (partition->storage != NULL) {
        free(partition->storage->first);
        free(partition->storage->rows);
        free(partition->storage);
        partition->storage = NULL;
    }
}

size_t fed_partition_size(const struct fed_partition *partition, uint32_t k) {
    assert(k < partition->n_clients);
    return partition->storage->first[k + 1] - partition->storage->first[k];
}

void fed_partition_rows(const struct fed_partition *partition, uint32_t k, uint32_t *rows) {
    const struct fed_partition_storage *s = partition->storage;
    memcpy(rows, s->rows + s->first[k], fed_partition_size(partition, k) * sizeof *rows);
}

size_t fed_partition_largest(const struct fed_partition *partition) {
    size_t most = 0;
    for (uint32_t k = 0; k < partition->n_clients; k++) {
        size_t n = fed_partition_size(partition, k);
        most = n > most ? n : most;
    }
    return most;
}

size_t fed_partition_smallest(const struct fed_partition *partition) {
    size_t least = SIZE_MAX;
    for (uint32_t k = 0; k < partition->n_clients; k++) {
        size_t n = fed_partition_size(partition, k);
        least = n < least ? n : least;
    }
    return least;
}
