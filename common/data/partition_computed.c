/* Shards that are computed when they are wanted, each from its client's own stream: O(n_k + labels) time, no memory but the
 * rows themselves, so that any thread may ask for any client's at any time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/data/gamma.h"
#include "common/data/partition_internal.h"
#include "common/numeric/poly.h"

int fed_partition_prepare(struct fed_partition *out, const struct fed_dataset *dataset,
                          const struct fed_partition_spec *spec, uint64_t seed) {
    struct fed_partition_storage *s = out->storage;
    s->computed = true;
    s->spec = *spec;
    s->seed = seed;
    s->n_examples = (uint32_t)dataset->n_examples;
    return spec->kind == FED_PARTITION_DIRICHLET ? fed_row_groups_by_label(&s->of, dataset) : 0;
}

/* -- iid: the first images of a permutation ---------------------------------------------------------------------------- */

#define ROUNDS 8

/* A keyed permutation of the numbers of 2 * half bits: a Feistel network. */
struct permutation {
    unsigned half;
    uint32_t keys[ROUNDS];
};

/* Appleby's finalizer of MurmurHash3: every bit of x reaches every bit of the result. */
static uint32_t mix(uint32_t x) {
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

static uint32_t permute(const struct permutation *p, uint32_t x) {
    uint32_t mask = (UINT32_C(1) << p->half) - 1, left = x >> p->half, right = x & mask;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t next = left ^ (mix(right + p->keys[i]) & mask);
        left = right;
        right = next;
    }
    return left << p->half | right;
}

/* Numbers from n on are permuted again until one below n comes (Black and Rogaway 2002): the walk cannot miss, because it
 * goes round a cycle that began below n; and with less than 4 n numbers in all it takes under four steps on average. */
static void compute_iid(const struct fed_partition_storage *s, struct fed_rng *rng, uint32_t *rows) {
    struct permutation p = {.half = 1};
    while (UINT64_C(1) << 2 * p.half < s->n_examples) {
        p.half++;
    }
    for (int i = 0; i < ROUNDS; i++) {
        p.keys[i] = fed_rng_u32(rng);
    }
    for (uint32_t i = 0; i < s->spec.examples_per_client; i++) {
        uint32_t row = i;
        do {
            row = permute(&p, row);
        } while (row >= s->n_examples);
        rows[i] = row;
    }
}

/* -- dirichlet: labels from proportions of the client's own ------------------------------------------------------------- */

static uint32_t count_of(const struct fed_partition_storage *s, uint32_t label) {
    return s->of.first[label + 1] - s->of.first[label];
}

/* ln of the weight of a label in the client's proportions, not normalised. */
static double draw_log_weight(const struct fed_partition_storage *s, uint32_t label, struct fed_rng *rng) {
    return fed_gamma_draw_log(s->spec.alpha * ((double)count_of(s, label) / s->n_examples), rng);
}

/* The first label from `from` on that has an example; n_groups if there is none. */
static uint32_t next_label(const struct fed_partition_storage *s, uint32_t from) {
    while (from < s->of.n_groups && count_of(s, from) == 0) {
        from++;
    }
    return from;
}

/* Sum of exp(l - most) over all l drawn so far, whatever their size. */
struct sum_of_exp {
    double most, sum;
};

static void add_exp(struct sum_of_exp *to, double l) {
    if (l > to->most) {
        to->sum = to->sum * fed_exp(to->most - l) + 1;
        to->most = l;
    } else {
        to->sum += fed_exp(l - to->most);
    }
}

/* Weights are drawn twice, from two copies of the stream, because there is no room to keep them: once for their sum, and
 * again while the labels are walked. The walk meets n uniform numbers in ascending order: 1 - U1^(1/n), and so on; each
 * picks the label into whose share of [0, 1) it falls. */
static void compute_dirichlet(const struct fed_partition_storage *s, struct fed_rng *rng, uint32_t *rows) {
    struct fed_rng again = *rng;
    struct sum_of_exp all = {-INFINITY, 0};
    for (uint32_t c = next_label(s, 0); c < s->of.n_groups; c = next_label(s, c + 1)) {
        add_exp(&all, draw_log_weight(s, c, rng));
    }
    uint32_t label = next_label(s, 0), after = next_label(s, label + 1), n = s->spec.examples_per_client;
    double reached = fed_exp(draw_log_weight(s, label, &again) - all.most), log_rest = 0;
    for (uint32_t i = 0; i < n; i++) {
        log_rest += fed_log(fed_rng_f64(rng)) / (n - i);
        double at = 1 - fed_exp(log_rest);
        while (after < s->of.n_groups && at * all.sum >= reached) {
            label = after;
            after = next_label(s, label + 1);
            reached += fed_exp(draw_log_weight(s, label, &again) - all.most);
        }
        rows[i] = s->of.rows[s->of.first[label] + fed_rng_below(rng, count_of(s, label))];
    }
}

void fed_partition_compute(const struct fed_partition_storage *storage, uint32_t k, uint32_t *rows) {
    struct fed_rng rng;
    fed_rng_init(&rng, storage->seed, FED_RNG_PARTITION, (uint64_t)k + 1, 0);
    if (storage->spec.kind == FED_PARTITION_IID) {
        compute_iid(storage, &rng, rows);
    } else {
        compute_dirichlet(storage, &rng, rows);
    }
}
