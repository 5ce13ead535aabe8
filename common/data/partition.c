#include "common/data/partition.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/data/partition_internal.h"
#include "common/seal/digest.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the digest reads numbers as they stand in memory");

#define MAX_EXAMPLES ((size_t)INT32_MAX) /* so that counts plus one stay 32-bit */
#define MIN_ALPHA 1e-6
#define MAX_ALPHA 1e6

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

bool fed_partition_takes_alpha(enum fed_partition_kind kind) {
    return kind == FED_PARTITION_DIRICHLET || kind == FED_PARTITION_QUANTITY;
}

bool fed_partition_can_compute(enum fed_partition_kind kind) {
    return kind == FED_PARTITION_DIRICHLET || kind == FED_PARTITION_IID;
}

/* -- what is allowed --------------------------------------------------------------------------------------------------- */

static int check_natural(const struct fed_partition_spec *spec, const struct fed_dataset *dataset, struct fed_error *err) {
    if (dataset->n_groups == 0) {
        return fed_error_set(err, FED_ECONFIG,
                             "data.partition.kind: natural makes one client of each group, but the data names no groups; it "
                             "needs data.group (csv) or format: roles");
    }
    if (spec->clients != 0 && spec->clients != dataset->n_groups) {
        return fed_error_set(err, FED_ECONFIG,
                             "data.partition.clients: %" PRIu32 " found, but the data has %" PRIu32
                             " groups, and natural makes one client of each; leave clients out, or say %" PRIu32,
                             spec->clients, dataset->n_groups, dataset->n_groups);
    }
    return 0;
}

static int check_listed(const struct fed_partition_spec *spec, size_t n, struct fed_error *err) {
    if (spec->clients < 1 || spec->clients > n) {
        return fed_error_set(
            err, FED_ECONFIG,
            "data.partition.clients: %" PRIu32 " found, 1 to %zu is allowed: every client needs an example%s", spec->clients,
            n, fed_partition_can_compute(spec->kind) ? " of its own, unless examples_per_client is given" : "");
    }
    uint64_t n_shards = (uint64_t)spec->clients * spec->shards_per_client;
    if (spec->kind == FED_PARTITION_SHARDS && (n_shards < 1 || n_shards > n)) {
        return fed_error_set(err, FED_ECONFIG,
                             "data.partition.shards_per_client: %" PRIu32 " found, which for %" PRIu32
                             " clients makes %" PRIu64 " shards; 1 to %zu, the number of examples, is allowed",
                             spec->shards_per_client, spec->clients, n_shards, n);
    }
    return 0;
}

static int check_computed(const struct fed_partition_spec *spec, size_t n, struct fed_error *err) {
    size_t most = spec->kind == FED_PARTITION_IID ? n : MAX_EXAMPLES;
    if (spec->clients < 1) {
        return fed_error_set(err, FED_ECONFIG, "data.partition.clients: 0 found, 1 to %" PRIu32 " is allowed", UINT32_MAX);
    }
    if (spec->examples_per_client > most) {
        return fed_error_set(
            err, FED_ECONFIG, "data.partition.examples_per_client: %" PRIu32 " found, 1 to %zu%s is allowed",
            spec->examples_per_client, most, spec->kind == FED_PARTITION_IID ? ", the number of examples," : "");
    }
    return 0;
}

static int check_spec(const struct fed_partition_spec *spec, const struct fed_dataset *dataset, struct fed_error *err) {
    size_t n = dataset->n_examples;
    assert(spec->examples_per_client == 0 || fed_partition_can_compute(spec->kind));
    if (n < 1 || n > MAX_EXAMPLES) {
        return fed_error_set(err, FED_ECONFIG, "data: %zu examples found, 1 to %zu can be parted", n, MAX_EXAMPLES);
    }
    if ((spec->kind == FED_PARTITION_SHARDS || spec->kind == FED_PARTITION_DIRICHLET) && fed_dataset_labels(dataset) == 0) {
        return fed_error_set(
            err, FED_ECONFIG,
            "data.partition.kind: %s goes by labels, words or whole numbers from 0 on, one an example, which this data "
            "does not have; iid, quantity or natural is allowed",
            fed_partition_kind_name(spec->kind));
    }
    if (fed_partition_takes_alpha(spec->kind) && !(spec->alpha >= MIN_ALPHA && spec->alpha <= MAX_ALPHA)) {
        return fed_error_set(err, FED_ECONFIG, "data.partition.alpha: %g found, %g to %g is allowed", spec->alpha, MIN_ALPHA,
                             MAX_ALPHA);
    }
    if (spec->kind == FED_PARTITION_NONE) {
        return 0;
    }
    if (spec->kind == FED_PARTITION_NATURAL) {
        return check_natural(spec, dataset, err);
    }
    return spec->examples_per_client > 0 ? check_computed(spec, n, err) : check_listed(spec, n, err);
}

int fed_partition_clients(uint32_t *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                          struct fed_error *err) {
    int rc = check_spec(spec, dataset, err);
    if (rc == 0) {
        *out = spec->kind == FED_PARTITION_NONE      ? 1
               : spec->kind == FED_PARTITION_NATURAL ? dataset->n_groups
                                                     : spec->clients;
    }
    return rc;
}

/* -- rows in groups ---------------------------------------------------------------------------------------------------- */

uint32_t *fed_partition_items(size_t n) { return n > SIZE_MAX / sizeof(uint32_t) ? NULL : malloc(n * sizeof(uint32_t)); }

void fed_partition_count_up(uint32_t *items, size_t n) {
    for (size_t i = 0; i < n; i++) {
        items[i] = (uint32_t)i;
    }
}

int fed_row_groups_init(struct fed_row_groups *groups, uint32_t n_groups, size_t n_rows) {
    *groups = (struct fed_row_groups){n_groups, fed_partition_items((size_t)n_groups + 1), fed_partition_items(n_rows)};
    return groups->first == NULL || groups->rows == NULL ? FED_ENOMEM : 0;
}

void fed_row_groups_fini(struct fed_row_groups *groups) {
    free(groups->first);
    free(groups->rows);
    *groups = (struct fed_row_groups){0};
}

void fed_row_groups_fill(struct fed_row_groups *groups, const uint32_t *items, const uint32_t *keys, size_t n) {
    uint32_t *first = groups->first;
    memset(first, 0, ((size_t)groups->n_groups + 1) * sizeof *first);
    for (size_t i = 0; i < n; i++) {
        first[keys[i] + 1]++;
    }
    for (uint32_t g = 0; g < groups->n_groups; g++) {
        first[g + 1] += first[g];
    }
    for (size_t i = 0; i < n; i++) {
        groups->rows[first[keys[i]]++] = items != NULL ? items[i] : (uint32_t)i;
    }
    memmove(first + 1, first, groups->n_groups * sizeof *first); /* each had moved on to the next one's place */
    first[0] = 0;
}

int fed_row_groups_by_label(struct fed_row_groups *groups, const struct fed_dataset *dataset) {
    size_t n = dataset->n_examples;
    uint32_t *keys = fed_partition_items(n);
    int rc = keys == NULL ? FED_ENOMEM : fed_row_groups_init(groups, fed_dataset_labels(dataset), n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        keys[i] = fed_dataset_label(dataset, i);
    }
    if (rc == 0) {
        fed_row_groups_fill(groups, NULL, keys, n);
    }
    free(keys);
    return rc;
}

/* -- digests ----------------------------------------------------------------------------------------------------------- */

static void digest_listed(struct fed_partition *p, const struct fed_dataset *dataset) {
    const struct fed_row_groups *of = &p->storage->of;
    struct fed_digest_state state;
    fed_digest_init(&state);
    fed_digest_update(&state, dataset->digest, sizeof dataset->digest);
    fed_digest_update(&state, &p->n_clients, sizeof p->n_clients);
    fed_digest_update(&state, of->first, ((size_t)p->n_clients + 1) * sizeof *of->first);
    fed_digest_update(&state, of->rows, dataset->n_examples * sizeof *of->rows);
    fed_digest_final(p->digest, &state);
}

/* The 0 stands where a listed split has its number of clients. */
static int digest_computed(struct fed_partition *p, const struct fed_dataset *dataset) {
    const struct fed_partition_spec *spec = &p->storage->spec;
    const double alpha = spec->kind == FED_PARTITION_DIRICHLET ? spec->alpha : 0;
    const uint32_t numbers[] = {0, (uint32_t)spec->kind, spec->clients, spec->examples_per_client};
    uint32_t *rows = fed_partition_items(spec->examples_per_client);
    if (rows == NULL) {
        return FED_ENOMEM;
    }
    fed_partition_compute(p->storage, 0, rows);
    struct fed_digest_state state;
    fed_digest_init(&state);
    fed_digest_update(&state, dataset->digest, sizeof dataset->digest);
    fed_digest_update(&state, numbers, sizeof numbers);
    fed_digest_update(&state, &alpha, sizeof alpha);
    fed_digest_update(&state, &p->storage->seed, sizeof p->storage->seed);
    fed_digest_update(&state, rows, spec->examples_per_client * sizeof *rows);
    fed_digest_final(p->digest, &state);
    free(rows);
    return 0;
}

/* -- the contract ------------------------------------------------------------------------------------------------------ */

int fed_partition_make(struct fed_partition *out, const struct fed_dataset *dataset, const struct fed_partition_spec *spec,
                       uint64_t seed, struct fed_error *err) {
    struct fed_partition p = {0};
    int rc = fed_partition_clients(&p.n_clients, dataset, spec, err);
    if (rc != 0) {
        return rc;
    }
    p.storage = calloc(1, sizeof *p.storage);
    if (p.storage == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (spec->examples_per_client == 0) {
        rc = fed_partition_list(&p, dataset, spec, seed, err);
    } else if (fed_partition_prepare(&p, dataset, spec, seed) != 0 || digest_computed(&p, dataset) != 0) {
        rc = fed_error_set(err, FED_ENOMEM, "out of memory to sort %zu examples", dataset->n_examples);
    }
    if (rc != 0) {
        fed_partition_fini(&p);
        return rc;
    }
    if (!p.storage->computed) {
        digest_listed(&p, dataset);
    }
    *out = p;
    return 0;
}

void fed_partition_fini(struct fed_partition *partition) {
    if (partition->storage != NULL) {
        fed_row_groups_fini(&partition->storage->of);
        free(partition->storage);
        partition->storage = NULL;
    }
}

bool fed_partition_computed(const struct fed_partition *partition) { return partition->storage->computed; }

size_t fed_partition_size(const struct fed_partition *partition, uint32_t k) {
    const struct fed_partition_storage *s = partition->storage;
    assert(k < partition->n_clients);
    return s->computed ? s->spec.examples_per_client : s->of.first[k + 1] - s->of.first[k];
}

void fed_partition_rows(const struct fed_partition *partition, uint32_t k, uint32_t *rows) {
    const struct fed_partition_storage *s = partition->storage;
    assert(k < partition->n_clients);
    if (s->computed) {
        fed_partition_compute(s, k, rows);
    } else {
        memcpy(rows, s->of.rows + s->of.first[k], fed_partition_size(partition, k) * sizeof *rows);
    }
}

size_t fed_partition_largest(const struct fed_partition *partition) {
    size_t most = 0;
    uint32_t n = partition->storage->computed ? 1 : partition->n_clients; /* computed: all alike */
    for (uint32_t k = 0; k < n; k++) {
        size_t n_k = fed_partition_size(partition, k);
        most = n_k > most ? n_k : most;
    }
    return most;
}

size_t fed_partition_smallest(const struct fed_partition *partition) {
    size_t least = SIZE_MAX;
    uint32_t n = partition->storage->computed ? 1 : partition->n_clients;
    for (uint32_t k = 0; k < n; k++) {
        size_t n_k = fed_partition_size(partition, k);
        least = n_k < least ? n_k : least;
    }
    return least;
}
