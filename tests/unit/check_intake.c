/* The intake without a socket: what it asks for is written down, sealed chunks are made with the node's side of the seal,
 * and the sum is compared with one that is added up here, number by number. */
#include "coordinator/round/intake.h"

#include <check.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/rng.h"
#include "common/numeric/norm.h"

/* 200,010 parameters: four chunks of floats, seven of integers, the last of each a short one. */
enum { INPUTS = 20000, UNITS = 10, PARAMS = (INPUTS + 1) * UNITS, NODES = 8, MAX_WEIGHT = 600, STALL_MS = 1000 };
enum { FLOATS = 4, INTEGERS = 7 };
enum { SLOTS = 3, LEAST_RATE = 16384, PACE_MS = 20000 };
enum { PATIENCE_MS = 60000 };

struct ask {
    size_t node;
    uint32_t part;
    uint64_t chunk;
};

struct outcome {
    size_t node;
    uint32_t part;
    enum fed_refusal refusal; /* NONE: admitted */
    char why[200];
    double norm; /* admitted: of the first client, NaN = not said */
    uint32_t weight;
};

struct rig {
    struct fed_model model;
    struct fed_fixed fixed;
    struct fed_aggregate aggregate;
    struct fed_attempt attempt;
    struct fed_intake *intake;
    struct fed_identity nodes[NODES];
    char dir[64];
    uint64_t now_ms;
    struct ask asks[4096]; /* what was asked for, and from next_ask on not yet answered */
    size_t n_asks, next_ask, most_in_flight;
    int get_answer;
    unsigned n_gets;
    struct outcome outcomes[256];
    size_t n_outcomes;
    enum fed_refusal claim_answer;
    unsigned n_claims, n_broken;
    bool spoil; /* the next update that is about to be added is damaged on disk */
    int64_t *expected;
};

/* -- the coordinator's side --------------------------------------------------------------------------------------------- */

static int get(void *context, size_t node, uint32_t part, uint64_t first, uint32_t count) {
    struct rig *rig = context;
    rig->n_gets++;
    if (rig->get_answer != FED_OK) {
        return rig->get_answer;
    }
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_lt(rig->n_asks, sizeof rig->asks / sizeof *rig->asks);
        rig->asks[rig->n_asks++] = (struct ask){node, part, first + i};
    }
    if (rig->n_asks - rig->next_ask > rig->most_in_flight) {
        rig->most_in_flight = rig->n_asks - rig->next_ask;
    }
    return FED_OK;
}

static void record(struct rig *rig, size_t node, uint32_t part, enum fed_refusal refusal, const char *why) {
    ck_assert_uint_lt(rig->n_outcomes, sizeof rig->outcomes / sizeof *rig->outcomes);
    struct outcome *outcome = &rig->outcomes[rig->n_outcomes++];
    *outcome = (struct outcome){.node = node, .part = part, .refusal = refusal};
    snprintf(outcome->why, sizeof outcome->why, "%s", why);
}

/* The spool file has no name any more, but it is still a mapping of this process. */
static void damage_spool_file(const struct rig *rig) {
    char line[512];
    bool damaged = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        void *start;
        if (strstr(line, rig->dir) != NULL && sscanf(line, "%p-", &start) == 1) {
            ((uint8_t *)start)[FED_CHUNK_BYTES / 2] ^= 1;
            damaged = true;
        }
    }
    fclose(maps);
    ck_assert(damaged);
}

/* With the connection goes what was in flight on it. */
static void broken(void *context, size_t node, uint32_t part) {
    struct rig *rig = context;
    size_t kept = rig->next_ask;
    (void)part;
    rig->n_broken++;
    for (size_t i = rig->next_ask; i < rig->n_asks; i++) {
        if (rig->asks[i].node != node) {
            rig->asks[kept++] = rig->asks[i];
        }
    }
    rig->n_asks = kept;
}

static enum fed_refusal claim(void *context, size_t node, uint32_t part, const struct fed_update_header *header) {
    struct rig *rig = context;
    (void)node;
    (void)part;
    ck_assert_uint_ge(header->n_clients, 1);
    rig->n_claims++;
    if (rig->spoil) {
        damage_spool_file(rig);
    }
    return rig->claim_answer;
}

static void admitted(void *context, size_t node, uint32_t part, const struct fed_update_header *header) {
    ck_assert_uint_ge(header->n_clients, 1);
    struct rig *rig = context;
    record(rig, node, part, FED_REFUSAL_NONE, "");
    rig->outcomes[rig->n_outcomes - 1].norm = header->has_norms ? header->norms[0] : (double)NAN;
    rig->outcomes[rig->n_outcomes - 1].weight = header->weights[0];
}

static void refused(void *context, size_t node, uint32_t part, enum fed_refusal refusal,
                    const struct fed_update_header *header, const char *why) {
    ck_assert_uint_ge(header->n_clients, 1);
    ck_assert(refusal != FED_REFUSAL_NONE);
    record(context, node, part, refusal, why);
}

static void open_attempt(struct rig *rig, uint32_t number) {
    struct fed_image *image;
    struct fed_terms terms = {.round = 3, .attempt = number, .epochs = 1, .batch_size = 10, .learning_rate = 0.1f};
    uint8_t run_id[16] = {7};
    ck_assert_int_eq(fed_image_new(&image, &rig->model, run_id, 2), FED_OK);
    memset(image->params, 0, PARAMS * sizeof(float));
    ck_assert_int_eq(fed_image_finish(image, &rig->model, run_id), FED_OK);
    ck_assert_int_eq(fed_attempt_init(&rig->attempt, &terms, image, PARAMS), FED_OK);
    fed_image_release(image);
}

static uint64_t stall_ms = STALL_MS; /* of the next rig */

static struct rig *rig_with(uint64_t staging_bytes, const char *spool_dir) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct fed_model_spec spec = {.input = {INPUTS}, .n_layers = 1, .layers = {{UNITS, FED_LINEAR}}};
    ck_assert_ptr_nonnull(rig);
    ck_assert_int_eq(fed_seal_setup(NULL), FED_OK);
    ck_assert_int_eq(fed_model_init(&rig->model, &spec, NULL), FED_OK);
    ck_assert_uint_eq(rig->model.n_params, PARAMS);
    ck_assert_int_eq(fed_fixed_init(&rig->fixed, 4, MAX_WEIGHT, 2048, NULL), FED_OK);
    ck_assert_int_eq(fed_aggregate_init(&rig->aggregate, &rig->fixed, PARAMS), FED_OK);
    for (uint8_t i = 0; i < NODES; i++) {
        uint8_t seed[FED_KEY_BYTES] = {i};
        ck_assert_int_eq(fed_identity_from_seed(&rig->nodes[i], seed), FED_OK);
    }
    snprintf(rig->dir, sizeof rig->dir, "/tmp/check_intake.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->dir));
    rig->expected = calloc(PARAMS, sizeof *rig->expected);
    rig->now_ms = 5000;
    struct fed_intake_config config = {.model = &rig->model,
                                       .fixed = &rig->fixed,
                                       .aggregate = &rig->aggregate,
                                       .threads = 2,
                                       .uploads = SLOTS,
                                       .uploads_per_node = SLOTS,
                                       .least_bytes_per_s = LEAST_RATE,
                                       .staging_bytes = staging_bytes,
                                       .spool_dir = spool_dir != NULL ? spool_dir : rig->dir,
                                       .stall_ms = stall_ms,
                                       .context = rig,
                                       .get = get,
                                       .broken = broken,
                                       .claim = claim,
                                       .admitted = admitted,
                                       .refused = refused};
    ck_assert_int_eq(fed_intake_new(&rig->intake, &config, NULL), FED_OK);
    open_attempt(rig, 1);
    fed_intake_begin(rig->intake, &rig->attempt);
    return rig;
}

static struct rig *new_rig(void) { return rig_with((uint64_t)64 << 20, NULL); }

static void work(struct rig *rig) { fed_intake_work(rig->intake, rig->now_ms); }

/* Until the pool has finished something, and hands it over. */
static void wait_for_pool(struct rig *rig) {
    struct pollfd item = {.fd = fed_intake_fd(rig->intake), .events = POLLIN};
    ck_assert_int_eq(poll(&item, 1, PATIENCE_MS), 1);
    work(rig);
}

static void free_rig(struct rig *rig) {
    fed_intake_end(rig->intake);
    while (!fed_intake_idle(rig->intake)) {
        wait_for_pool(rig);
    }
    fed_intake_free(rig->intake);
    fed_attempt_fini(&rig->attempt);
    fed_aggregate_fini(&rig->aggregate);
    for (int i = 0; i < NODES; i++) {
        fed_identity_fini(&rig->nodes[i]);
    }
    ck_assert_int_eq(rmdir(rig->dir), 0); /* nothing of the spool is left */
    free(rig->expected);
    free(rig);
}

/* -- the node's side ---------------------------------------------------------------------------------------------------- */

struct update {
    size_t node;
    struct fed_update_header header;
    struct fed_msg_offer offer;
    struct fed_seal_pair *e;
    struct fed_seal_key *key;
    union {
        float *delta;
        int64_t *sum;
        uint8_t *bytes;
    } plain;
};

static void seal(struct update *update, const struct rig *rig) {
    ck_assert_int_eq(fed_update_header_encode(update->offer.header, &update->offer.n_header, &update->header), FED_OK);
    ck_assert_int_eq(fed_seal_pair_new(&update->e), FED_OK);
    memcpy(update->offer.e_pk, fed_seal_pair_public(update->e), sizeof update->offer.e_pk);
    ck_assert_int_eq(fed_seal_update_key_node(&update->key, update->e, &rig->nodes[update->node], rig->attempt.terms.r_pk,
                                              rig->attempt.terms_digest, update->offer.header, update->offer.n_header),
                     FED_OK);
}

static struct update *new_update(const struct rig *rig, size_t node, uint32_t part, enum fed_encoding encoding,
                                 uint32_t n_clients, uint32_t weight) {
    struct update *update = calloc(1, sizeof *update);
    ck_assert_ptr_nonnull(update);
    update->node = node;
    update->offer.round = rig->attempt.terms.round;
    update->offer.attempt = rig->attempt.terms.attempt;
    update->offer.part = part;
    struct fed_update_header *header = &update->header;
    header->suite = FED_SUITE_1;
    header->encoding = encoding;
    header->n_bytes = PARAMS * (encoding == FED_ENCODING_I64 ? sizeof(int64_t) : sizeof(float));
    header->n_chunks = fed_chunk_count(header->n_bytes);
    header->n_clients = n_clients;
    for (uint32_t i = 0; i < n_clients; i++) {
        header->clients[i] = node * 1000 + part * 100 + i;
        header->weights[i] = weight;
    }
    update->plain.bytes = malloc(header->n_bytes);
    ck_assert_ptr_nonnull(update->plain.bytes);
    struct fed_rng rng;
    fed_rng_init(&rng, node, "intake", part, weight);
    for (size_t i = 0; i < PARAMS; i++) {
        if (encoding == FED_ENCODING_I64) {
            update->plain.sum[i] = (int64_t)(((uint64_t)fed_rng_u32(&rng) << 5) - ((uint64_t)1 << 36));
        } else {
            update->plain.delta[i] = (fed_rng_f32(&rng) - 0.5f) * 0.01f;
        }
    }
    seal(update, rig);
    return update;
}

static struct update *single(const struct rig *rig, size_t node, uint32_t part, uint32_t weight) {
    struct update *update = new_update(rig, node, part, FED_ENCODING_F32, 1, weight);
    ck_assert_uint_eq(update->header.n_chunks, FLOATS);
    return update;
}

static struct update *partial_sum(const struct rig *rig, size_t node, uint32_t part, uint32_t n_clients, uint32_t weight) {
    struct update *update = new_update(rig, node, part, FED_ENCODING_I64, n_clients, weight);
    ck_assert_uint_eq(update->header.n_chunks, INTEGERS);
    return update;
}

static void free_update(struct update *update) {
    fed_seal_pair_free(update->e);
    fed_seal_key_free(update->key);
    free(update->plain.bytes);
    free(update);
}

/* What the sum must be with this update: every term rounded once to a multiple of the quantum, to nearest even. */
static void expect(struct rig *rig, const struct update *update) {
    for (size_t i = 0; i < PARAMS; i++) {
        rig->expected[i] +=
            update->header.encoding == FED_ENCODING_I64
                ? update->plain.sum[i]
                : llrintl(ldexpl((long double)update->plain.delta[i] * update->header.weights[0], rig->fixed.exponent));
    }
}

static void check_sum(const struct rig *rig) {
    ck_assert_msg(memcmp(rig->aggregate.sum, rig->expected, PARAMS * sizeof *rig->expected) == 0, "another sum");
}

static void offer(struct rig *rig, const struct update *update) {
    ck_assert_int_eq(fed_intake_offer(rig->intake, update->node, rig->nodes[update->node].public_keys.seal, &update->offer),
                     FED_OK);
    work(rig);
}

struct sealed {
    uint8_t bytes[FED_CHUNK_BYTES + FED_TAG_BYTES];
    size_t n;
};

static void seal_chunk(struct sealed *out, const struct update *update, uint64_t i) {
    size_t n = fed_chunk_plain_bytes(update->header.n_bytes, i);
    fed_seal_chunk(out->bytes, update->key, i, update->plain.bytes + i * FED_CHUNK_BYTES, n);
    out->n = n + FED_TAG_BYTES;
}

static int give(struct rig *rig, const struct update *update, uint64_t i, const struct sealed *sealed) {
    return fed_intake_chunk(rig->intake, update->node, update->offer.part, i, sealed->bytes, sealed->n, rig->now_ms);
}

static const struct update *asked_of(const struct ask *ask, struct update *const *updates, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (updates[i]->node == ask->node && updates[i]->offer.part == ask->part) {
            return updates[i];
        }
    }
    ck_abort_msg("asked node %zu for part %u", ask->node, ask->part);
    return NULL;
}

/* Answers everything that was asked for, in a random order where there is a choice, until n outcomes are known. spoil: what
 * to do to a chunk on its way; NULL = nothing. */
static void serve(struct rig *rig, struct update *const *updates, size_t n_updates, size_t n_outcomes,
                  void (*spoil)(struct sealed *sealed, uint64_t chunk, const void *context), const void *context) {
    static struct sealed sealed;
    struct fed_rng rng;
    fed_rng_init(&rng, n_updates, "serve", n_outcomes, 0);
    while (rig->n_outcomes < n_outcomes) {
        if (rig->next_ask == rig->n_asks) {
            wait_for_pool(rig);
            continue;
        }
        size_t open = rig->n_asks - rig->next_ask, chosen = rig->next_ask + fed_rng_below(&rng, (uint32_t)open);
        struct ask ask = rig->asks[chosen];
        rig->asks[chosen] = rig->asks[rig->next_ask];
        rig->asks[rig->next_ask++] = ask;
        const struct update *update = asked_of(&ask, updates, n_updates);
        seal_chunk(&sealed, update, ask.chunk);
        if (spoil != NULL) {
            spoil(&sealed, ask.chunk, context);
        }
        /* EWIRE: the update was refused while this chunk was under way */
        int rc = give(rig, update, ask.chunk, &sealed);
        ck_assert(rc == FED_OK || (rc == FED_EWIRE && rig->n_outcomes > 0));
    }
}

static void serve_one(struct rig *rig, struct update *update, size_t n_outcomes) {
    serve(rig, &update, 1, n_outcomes, NULL, NULL);
}

static void give_chunk(struct rig *rig, const struct update *update, uint64_t i) {
    static struct sealed sealed;
    seal_chunk(&sealed, update, i);
    ck_assert_int_eq(give(rig, update, i, &sealed), FED_OK);
}

static void serve_all_but_last(struct rig *rig, const struct update *update) {
    static struct sealed sealed;
    for (uint64_t i = 0; i + 1 < update->header.n_chunks; i++) {
        seal_chunk(&sealed, update, i);
        ck_assert_int_eq(give(rig, update, i, &sealed), FED_OK);
    }
}

static void check_last(const struct rig *rig, enum fed_refusal refusal, const char *why) {
    ck_assert_uint_ge(rig->n_outcomes, 1);
    const struct outcome *last = &rig->outcomes[rig->n_outcomes - 1];
    ck_assert_str_eq(fed_refusal_name(last->refusal), fed_refusal_name(refusal));
    ck_assert_msg(strstr(last->why, why) != NULL, "%s", last->why);
}

/* It was admitted as it was made, and the sum is what it must be: the end of a test. */
static void ends_admitted(struct rig *rig, struct update *update) {
    check_last(rig, FED_REFUSAL_NONE, "");
    expect(rig, update);
    check_sum(rig);
    free_update(update);
    free_rig(rig);
}

/* -- what is added ------------------------------------------------------------------------------------------------------ */

START_TEST(whole_updates_are_added_exactly) {
    struct rig *rig = new_rig();
    struct update *updates[] = {single(rig, 0, 0, 1), single(rig, 0, 1, MAX_WEIGHT), partial_sum(rig, 1, 0, 5, 77)};
    for (size_t i = 0; i < 3; i++) {
        offer(rig, updates[i]);
        serve(rig, &updates[i], 1, i + 1, NULL, NULL);
        check_last(rig, FED_REFUSAL_NONE, "");
        expect(rig, updates[i]);
        check_sum(rig);
        free_update(updates[i]);
    }
    ck_assert_uint_eq(rig->aggregate.total_weight, 1 + MAX_WEIGHT + 5 * 77);
    ck_assert_uint_eq(rig->aggregate.n_updates, 7);
    free_rig(rig);
}
END_TEST

/* -- the limits of the round -------------------------------------------------------------------------------------------- */

static double norm_of(const struct update *update) {
    long double squares = 0;
    for (size_t i = 0; i < PARAMS; i++) {
        squares += (long double)update->plain.delta[i] * update->plain.delta[i];
    }
    return (double)sqrtl(squares);
}

/* The one before was admitted with this norm and weight. */
static void check_admitted(const struct rig *rig, double norm, uint32_t weight) {
    check_last(rig, FED_REFUSAL_NONE, "");
    const struct outcome *last = &rig->outcomes[rig->n_outcomes - 1];
    ck_assert_double_le(fabs(last->norm - norm), 1e-13 * norm);
    ck_assert_uint_eq(last->weight, weight);
}

START_TEST(a_norm_is_computed_and_what_was_stated_does_not_matter) {
    struct rig *rig = new_rig();
    enum { UPDATES = 12 }; /* chunks come in other orders each time */
    for (int k = 0; k < UPDATES; k++) {
        struct update *update = single(rig, 0, (uint32_t)k, 10);
        update->header.has_norms = k % 3 > 0;
        update->header.norms[0] = k % 3 == 1 ? 1e-3 : 1e9;
        fed_seal_pair_free(update->e);
        fed_seal_key_free(update->key);
        seal(update, rig);
        rig->attempt.limits.norm_ceiling = 2 * norm_of(update);
        offer(rig, update);
        serve_one(rig, update, (size_t)k + 1);
        check_admitted(rig, norm_of(update), 10);
        ck_assert(rig->outcomes[k].norm == fed_norm(update->plain.delta, PARAMS));
        free_update(update);
    }
    struct update *sum = partial_sum(rig, 1, 0, 3, 10); /* but in a sum it is the node's word */
    sum->header.has_norms = true;
    sum->header.norms[0] = 0.125;
    fed_seal_pair_free(sum->e);
    fed_seal_key_free(sum->key);
    seal(sum, rig);
    rig->attempt.limits = (struct fed_update_limits){0};
    offer(rig, sum);
    serve_one(rig, sum, UPDATES + 1);
    ck_assert(rig->outcomes[UPDATES].norm == 0.125);
    free_update(sum);
    free_rig(rig);
}
END_TEST

START_TEST(an_update_over_the_ceiling_is_refused_and_leaves_no_trace) {
    struct rig *rig = new_rig();
    struct update *large = single(rig, 0, 0, 10), *honest = single(rig, 1, 0, 10);
    char why[100];
    for (size_t i = 0; i < PARAMS; i++) {
        large->plain.delta[i] *= 100; /* each of them far below max_delta */
    }
    rig->attempt.limits.norm_ceiling = 10 * norm_of(honest);
    offer(rig, large);
    serve_one(rig, large, 1);
    snprintf(why, sizeof why, "its norm is %.6g, but the ceiling of this round is %.6g", norm_of(large),
             10 * norm_of(honest));
    check_last(rig, FED_REFUSAL_NORM, why);
    ck_assert_uint_eq(rig->n_claims, 0);
    check_sum(rig); /* nothing */
    offer(rig, honest);
    serve_one(rig, honest, 2);
    check_admitted(rig, norm_of(honest), 10);
    expect(rig, honest);
    check_sum(rig);
    free_update(large);
    free_update(honest);
    free_rig(rig);
}
END_TEST

/* In memory, and where it is opened twice. */
START_TEST(a_single_update_is_clipped_and_counts_as_far_as_the_cap) {
    struct rig *rig = _i == 0 ? new_rig() : rig_with(1, NULL);
    struct update *update = single(rig, 0, 0, 500);
    double norm = norm_of(update);
    rig->attempt.limits = (struct fed_update_limits){.clip = norm / 7, .weight_cap = 123};
    float scale = (float)(rig->attempt.limits.clip / norm);
    scale = (long double)scale * norm > rig->attempt.limits.clip ? nextafterf(scale, 0) : scale;
    offer(rig, update);
    serve_one(rig, update, 1);
    check_admitted(rig, norm, 123);
    for (size_t i = 0; i < PARAMS; i++) {
        volatile float scaled = update->plain.delta[i] * scale;
        rig->expected[i] = llrintl(ldexpl((long double)scaled * 123, rig->fixed.exponent));
    }
    check_sum(rig);
    ck_assert_uint_eq(rig->aggregate.total_weight, 123);
    free_update(update);
    free_rig(rig);
}
END_TEST

START_TEST(many_nodes_at_once_come_in_through_few_slots_and_one_window) {
    struct rig *rig = new_rig();
    struct update *updates[3 * NODES];
    size_t n = 0;
    for (size_t node = 0; node < NODES; node++) {
        for (uint32_t part = 0; part < 3; part++) {
            updates[n++] = part == 1 ? partial_sum(rig, node, part, 4, 50) : single(rig, node, part, 3 + part);
        }
    }
    for (size_t i = 0; i < n; i++) {
        offer(rig, updates[i]);
        expect(rig, updates[i]);
    }
    serve(rig, updates, n, n, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_NONE);
    }
    check_sum(rig);
    ck_assert_uint_le(rig->most_in_flight, FED_INTAKE_WINDOW);
    ck_assert_uint_gt(rig->most_in_flight, FED_INTAKE_WINDOW / SLOTS);     /* they did come in at once */
    ck_assert_uint_eq(rig->n_asks, 2 * NODES * FLOATS + NODES * INTEGERS); /* every chunk once */
    for (size_t i = 0; i < n; i++) {
        free_update(updates[i]);
    }
    free_rig(rig);
}
END_TEST

static void add_three(struct rig *rig) {
    struct update *updates[] = {single(rig, 0, 0, 11), partial_sum(rig, 1, 0, 3, 9), single(rig, 2, 0, 13)};
    for (size_t i = 0; i < 3; i++) {
        offer(rig, updates[i]);
        expect(rig, updates[i]);
    }
    serve(rig, updates, 3, 3, NULL, NULL);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_NONE);
        free_update(updates[i]);
    }
}

START_TEST(staging_area_of_any_size_gives_the_same_sum) {
    static const uint64_t sizes[] = {1, PARAMS * sizeof(float), PARAMS * sizeof(int64_t) + 1000, (uint64_t)4 << 20};
    struct rig *rig = rig_with(sizes[_i], NULL);
    add_three(rig);
    check_sum(rig);
    free_rig(rig);
}
END_TEST

START_TEST(update_without_room_on_disk_is_put_off) {
    struct rig *rig = rig_with(1, "/nonexistent");
    struct update *update = single(rig, 0, 0, 1);
    offer(rig, update);
    check_last(rig, FED_REFUSAL_BUSY, "no room");
    check_sum(rig);
    free_update(update);
    free_rig(rig);
}
END_TEST

START_TEST(damage_on_disk_between_check_and_sum_spoils_the_attempt) {
    struct rig *rig = rig_with(1, NULL);
    struct update *update = single(rig, 0, 0, 1);
    rig->spoil = true;
    offer(rig, update);
    for (uint64_t i = 0; i < update->header.n_chunks; i++) {
        static struct sealed sealed;
        seal_chunk(&sealed, update, i);
        ck_assert_int_eq(give(rig, update, i, &sealed), FED_OK);
    }
    while (!fed_intake_spoilt(rig->intake)) {
        wait_for_pool(rig);
    }
    while (!fed_intake_idle(rig->intake)) {
        wait_for_pool(rig);
    }
    ck_assert_uint_eq(rig->n_outcomes, 0); /* it was not admitted */
    fed_intake_end(rig->intake);
    rig->spoil = false;
    fed_aggregate_clear(&rig->aggregate);
    fed_intake_begin(rig->intake, &rig->attempt);
    ck_assert(!fed_intake_spoilt(rig->intake));
    free_update(update);
    free_rig(rig);
}
END_TEST

START_TEST(claim_is_the_last_word_before_the_sum) {
    struct rig *rig = new_rig();
    struct update *first = single(rig, 0, 0, 5), *second = single(rig, 1, 0, 6);
    rig->claim_answer = FED_REFUSAL_COUNTED;
    offer(rig, first);
    serve_one(rig, first, 1);
    check_last(rig, FED_REFUSAL_COUNTED, "another node");
    check_sum(rig);
    rig->claim_answer = FED_REFUSAL_NONE;
    offer(rig, second);
    serve_one(rig, second, 2);
    expect(rig, second);
    check_sum(rig);
    ck_assert_uint_eq(rig->n_claims, 2);
    free_update(first);
    free_update(second);
    free_rig(rig);
}
END_TEST

/* -- what does not open ------------------------------------------------------------------------------------------------- */

struct flip {
    uint64_t chunk;
    size_t bit; /* SIZE_MAX: the last one */
    unsigned *left;
};

static void flip_bit(struct sealed *sealed, uint64_t chunk, const void *context) {
    const struct flip *flip = context;
    if (chunk == flip->chunk && *flip->left > 0) {
        size_t bit = flip->bit == SIZE_MAX ? sealed->n * 8 - 1 : flip->bit;
        sealed->bytes[bit / 8] = (uint8_t)(sealed->bytes[bit / 8] ^ (1u << (bit % 8)));
        --*flip->left;
    }
}

static const size_t flipped_bits[] = {0, 7, 1000 * 8 + 3, SIZE_MAX - 1, SIZE_MAX};

static size_t count_asks(const struct rig *rig, uint64_t chunk) {
    size_t n = 0;
    for (size_t i = 0; i < rig->n_asks; i++) {
        n += rig->asks[i].chunk == chunk;
    }
    return n;
}

/* Bit SIZE_MAX - 1 stands for the last of the values, before the tag. */
static size_t bit_of(size_t bit, const struct update *update, uint64_t chunk) {
    return bit == SIZE_MAX - 1 ? fed_chunk_plain_bytes(update->header.n_bytes, chunk) * 8 - 1 : bit;
}

START_TEST(flipped_bit_in_any_chunk_is_refused_and_nothing_added) {
    struct rig *rig = new_rig();
    bool sums = _i / INTEGERS;
    uint64_t chunk = (uint64_t)_i % INTEGERS;
    struct update *before = single(rig, 1, 0, 9);
    offer(rig, before);
    serve_one(rig, before, 1);
    expect(rig, before);
    for (size_t b = 0; b < sizeof flipped_bits / sizeof *flipped_bits && (sums || chunk < FLOATS); b++) {
        struct update *update = sums ? partial_sum(rig, 0, (uint32_t)b, 3, 4) : single(rig, 0, (uint32_t)b, 4);
        unsigned left = 2;
        struct flip flip = {chunk, bit_of(flipped_bits[b], update, chunk), &left};
        rig->n_asks = rig->next_ask = 0;
        offer(rig, update);
        serve(rig, &update, 1, b + 2, flip_bit, &flip);
        check_last(rig, FED_REFUSAL_SEAL, "does not open");
        ck_assert_uint_eq(left, 0);
        ck_assert_uint_eq(count_asks(rig, chunk), 2);
        ck_assert_uint_eq(rig->n_broken, b + 1); /* the connection paid for the first, the node for the second */
        check_sum(rig);
        free_update(update);
    }
    free_update(before);
    free_rig(rig);
}
END_TEST

START_TEST(chunk_that_opens_the_second_time_is_as_good_as_any) {
    struct rig *rig = new_rig();
    struct update *update = partial_sum(rig, 0, 0, 3, 4);
    for (uint64_t chunk = 0; chunk < INTEGERS; chunk++) {
        unsigned left = 1;
        struct flip flip = {chunk, 99, &left};
        update->offer.part = (uint32_t)chunk;
        offer(rig, update);
        serve(rig, &update, 1, chunk + 1, flip_bit, &flip);
        check_last(rig, FED_REFUSAL_NONE, "");
        ck_assert_uint_eq(rig->n_broken, chunk + 1);
        expect(rig, update);
        check_sum(rig);
    }
    free_update(update);
    free_rig(rig);
}
END_TEST

/* Every field of the header is bound into the key: the sealed update says something else than the offer does. */
static void more_weight(struct fed_update_header *header) { header->weights[0]++; }
static void other_client(struct fed_update_header *header) { header->clients[0]++; }
static void other_loss(struct fed_update_header *header) { header->losses[0] = 0.5f; }
static void other_seconds(struct fed_update_header *header) { header->train_seconds = 1; }
static void (*const header_changes[])(struct fed_update_header *) = {more_weight, other_client, other_loss, other_seconds};

START_TEST(header_that_was_changed_after_sealing_opens_nothing) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    header_changes[_i](&update->header);
    ck_assert_int_eq(fed_update_header_encode(update->offer.header, &update->offer.n_header, &update->header), FED_OK);
    offer(rig, update);
    serve_one(rig, update, 1);
    check_last(rig, FED_REFUSAL_SEAL, "does not open");
    check_sum(rig);
    free_update(update);
    free_rig(rig);
}
END_TEST

START_TEST(update_of_another_node_or_attempt_opens_nothing) {
    struct rig *rig = new_rig();
    struct update *stolen = single(rig, 0, 0, 4), *old = single(rig, 2, 0, 4);
    stolen->node = 1;
    offer(rig, stolen);
    serve_one(rig, stolen, 1);
    check_last(rig, FED_REFUSAL_SEAL, "does not open");
    fed_intake_end(rig->intake);
    while (!fed_intake_idle(rig->intake)) {
        wait_for_pool(rig);
    }
    fed_attempt_fini(&rig->attempt);
    open_attempt(rig, 2);
    fed_intake_begin(rig->intake, &rig->attempt);
    offer(rig, old);
    serve_one(rig, old, 2);
    check_last(rig, FED_REFUSAL_SEAL, "does not open");
    check_sum(rig);
    free_update(stolen);
    free_update(old);
    free_rig(rig);
}
END_TEST

START_TEST(key_of_low_order_is_refused) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    memset(update->offer.e_pk, 0, sizeof update->offer.e_pk);
    offer(rig, update);
    check_last(rig, FED_REFUSAL_SEAL, "low order");
    ck_assert_uint_eq(rig->n_asks, 0);
    free_update(update);
    free_rig(rig);
}
END_TEST

/* -- values ------------------------------------------------------------------------------------------------------------- */

static const struct bad {
    float value;
    enum fed_refusal refusal;
    const char *word;
} bad_values[] = {
    {NAN, FED_REFUSAL_NOT_FINITE, "nan"},          {INFINITY, FED_REFUSAL_NOT_FINITE, "inf"},
    {-INFINITY, FED_REFUSAL_NOT_FINITE, "-inf"},   {4.5f, FED_REFUSAL_DELTA_CAP, "4.5"},
    {-1e30f, FED_REFUSAL_DELTA_CAP, "-1.0000000"},
};

static const size_t bad_places[] = {0, 65535, 65536, 131072 + 9, PARAMS - UNITS - 1, PARAMS - 1};

START_TEST(bad_value_in_any_chunk_is_refused_by_name_and_nothing_added) {
    struct rig *rig = _i == 0 ? new_rig() : rig_with(1, NULL); /* in memory, and spooled */
    size_t n = 0;
    for (size_t v = 0; v < sizeof bad_values / sizeof *bad_values; v++) {
        for (size_t p = 0; p < sizeof bad_places / sizeof *bad_places; p++) {
            size_t place = bad_places[p], weights = PARAMS - UNITS;
            struct update *update = single(rig, 0, (uint32_t)n, 4);
            char expected[100];
            update->plain.delta[place] = bad_values[v].value;
            offer(rig, update);
            serve_one(rig, update, ++n);
            snprintf(expected, sizeof expected, "out.%s[%zu] is %s", place < weights ? "weight" : "bias",
                     place < weights ? place : place - weights, bad_values[v].word);
            check_last(rig, bad_values[v].refusal, expected);
            free_update(update);
        }
    }
    check_sum(rig);
    free_rig(rig);
}
END_TEST

START_TEST(sum_beyond_its_weights_is_refused_and_nothing_added) {
    struct rig *rig = new_rig();
    int64_t most = (int64_t)3 * 4 * 4 * ((int64_t)1 << rig->fixed.exponent) + 6; /* 3 clients of weight 4, cap 4 */
    const int64_t values[] = {most, most + 1, -most - 1, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct update *update = partial_sum(rig, 0, (uint32_t)i, 3, 4);
        update->plain.sum[150000] = values[i];
        offer(rig, update);
        serve_one(rig, update, i + 1);
        check_last(rig, i == 0 ? FED_REFUSAL_NONE : FED_REFUSAL_SUM_BOUND, i == 0 ? "" : "out.weight[150000]");
        if (i == 0) {
            expect(rig, update);
        }
        check_sum(rig);
        free_update(update);
    }
    free_rig(rig);
}
END_TEST

/* -- chunks that nobody asked for --------------------------------------------------------------------------------------- */

START_TEST(chunks_that_were_not_asked_for_change_nothing) {
    static struct sealed sealed, again;
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4), *other = single(rig, 1, 0, 4);
    seal_chunk(&sealed, update, 0);
    ck_assert_int_eq(give(rig, update, 0, &sealed), FED_EWIRE); /* not even offered */
    offer(rig, update);
    seal_chunk(&again, other, 0);
    ck_assert_int_eq(give(rig, other, 0, &again), FED_EWIRE); /* of a node that has offered nothing */
    ck_assert_int_eq(give(rig, update, FLOATS, &sealed), FED_EWIRE);
    ck_assert_int_eq(give(rig, update, UINT64_MAX, &sealed), FED_EWIRE);
    for (size_t n = 0; n < sealed.n; n += n < 32 ? 1 : 40001) { /* short */
        again = sealed;
        again.n = n;
        ck_assert_int_eq(give(rig, update, 0, &again), FED_EWIRE);
    }
    again = sealed;
    again.n = sealed.n - 1;
    ck_assert_int_eq(give(rig, update, 0, &again), FED_EWIRE);
    ck_assert_int_eq(give(rig, update, FLOATS - 1, &sealed), FED_EWIRE); /* longer than the last one */
    ck_assert_int_eq(give(rig, update, 0, &sealed), FED_OK);
    ck_assert_int_eq(give(rig, update, 0, &sealed), FED_EWIRE); /* twice */
    for (uint64_t i = 1; i < FLOATS; i++) {
        seal_chunk(&again, update, i);
        ck_assert_int_eq(give(rig, update, i, &again), FED_OK);
    }
    while (rig->n_outcomes < 1) {
        wait_for_pool(rig);
    }
    ck_assert_int_eq(give(rig, update, 0, &sealed), FED_EWIRE); /* late */
    expect(rig, update);
    check_sum(rig);
    ck_assert_uint_eq(rig->n_outcomes, 1);
    free_update(update);
    free_update(other);
    free_rig(rig);
}
END_TEST

START_TEST(part_that_is_offered_again_is_fetched_once) {
    struct rig *rig = new_rig();
    struct update *updates[SLOTS + 1];
    for (size_t i = 0; i <= SLOTS; i++) { /* the last of them waits for a slot */
        updates[i] = single(rig, i, 0, 4);
        offer(rig, updates[i]);
    }
    for (size_t i = 0; i <= SLOTS; i++) {
        offer(rig, updates[i]);
        expect(rig, updates[i]);
    }
    serve(rig, updates, SLOTS + 1, SLOTS + 1, NULL, NULL);
    work(rig);
    ck_assert(fed_intake_idle(rig->intake));
    ck_assert_uint_eq(rig->n_outcomes, SLOTS + 1);
    ck_assert_uint_eq(rig->n_asks, (SLOTS + 1) * FLOATS);
    check_sum(rig);
    for (size_t i = 0; i <= SLOTS; i++) {
        free_update(updates[i]);
    }
    free_rig(rig);
}
END_TEST

/* A node that was told to begin anew seals anew: what was sealed before will never be whole. */
START_TEST(part_that_was_sealed_anew_takes_the_place_of_the_old_one) {
    struct rig *rig = new_rig();
    struct update *old[SLOTS + 1], *fresh[SLOTS + 1];
    for (size_t i = 0; i <= SLOTS; i++) { /* the last of them waits for a slot */
        old[i] = single(rig, i, 0, 4);
        offer(rig, old[i]);
    }
    serve_all_but_last(rig, old[0]);
    for (size_t i = 0; i <= SLOTS; i++) {
        broken(rig, i, 0); /* what was asked of the old one is never answered */
        fresh[i] = single(rig, i, 0, 4);
        offer(rig, fresh[i]);
        expect(rig, fresh[i]);
    }
    serve(rig, fresh, SLOTS + 1, SLOTS + 1, NULL, NULL);
    for (size_t i = 0; i <= SLOTS; i++) {
        ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_NONE);
        free_update(old[i]);
        free_update(fresh[i]);
    }
    check_sum(rig);
    free_rig(rig);
}
END_TEST

/* -- nodes that go, stall, or keep others out -----------------------------------------------------------------------------
 */

START_TEST(lost_node_leaves_nothing_behind) {
    static struct sealed sealed;
    struct rig *rig = new_rig();
    struct update *lost[SLOTS], *other = single(rig, 1, 0, 5);
    for (uint32_t part = 0; part < SLOTS; part++) { /* the last one waits for a slot */
        lost[part] = single(rig, 0, part, 4);
        offer(rig, lost[part]);
    }
    serve_all_but_last(rig, lost[0]);
    fed_intake_node_lost(rig->intake, 0);
    seal_chunk(&sealed, lost[0], FLOATS - 1);
    ck_assert_int_eq(give(rig, lost[0], FLOATS - 1, &sealed), FED_EWIRE);
    rig->next_ask = rig->n_asks;
    offer(rig, other);
    serve_one(rig, other, 1); /* nothing else is asked for */
    expect(rig, other);
    check_sum(rig);
    offer(rig, lost[0]); /* back again, and from the start */
    serve_one(rig, lost[0], 2);
    expect(rig, lost[0]);
    check_sum(rig);
    for (uint32_t part = 0; part < SLOTS; part++) {
        free_update(lost[part]);
    }
    free_update(other);
    free_rig(rig);
}
END_TEST

/* In a slot, half fetched, and in the queue. */
START_TEST(what_was_declined_holds_no_slot_and_is_not_fetched) {
    struct rig *rig = new_rig();
    struct update *parts[SLOTS], *other = single(rig, 1, 0, 5);
    uint64_t nobodys = 77;
    for (uint32_t part = 0; part < SLOTS; part++) { /* the last one waits for a slot */
        parts[part] = single(rig, 0, part, 4);
        offer(rig, parts[part]);
    }
    serve_all_but_last(rig, parts[0]);
    fed_intake_declined(rig->intake, 0, 0, NULL, 0);
    fed_intake_declined(rig->intake, 0, 1, &nobodys, 1); /* clients that its update does not count */
    fed_intake_declined(rig->intake, 0, 2, parts[2]->header.clients, 1);
    fed_intake_declined(rig->intake, 1, 1, NULL, 0); /* another node's part of that number */
    while (!fed_intake_idle(rig->intake)) {
        wait_for_pool(rig);
    }
    offer(rig, other);
    ck_assert_uint_eq(rig->n_asks, SLOTS * FLOATS); /* parts 0 and 1 and the other's, of part 2 nothing */
    rig->next_ask = FLOATS;
    serve(rig, (struct update *[]){parts[1], other}, 2, 2, NULL, NULL);
    expect(rig, parts[1]);
    expect(rig, other);
    check_sum(rig);
    offer(rig, parts[2]); /* the list is as whole as before */
    serve_one(rig, parts[2], 3);
    expect(rig, parts[2]);
    check_sum(rig);
    for (uint32_t part = 0; part < SLOTS; part++) {
        free_update(parts[part]);
    }
    free_update(other);
    free_rig(rig);
}
END_TEST

START_TEST(another_connection_is_asked_for_what_the_last_one_did_not_bring) {
    static struct sealed sealed;
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    offer(rig, update);
    ck_assert_uint_eq(rig->n_asks, FLOATS);
    seal_chunk(&sealed, update, 2);
    ck_assert_int_eq(give(rig, update, 2, &sealed), FED_OK);
    wait_for_pool(rig);
    rig->now_ms += STALL_MS / 2 - 1;
    work(rig);
    ck_assert_uint_eq(rig->n_asks, FLOATS); /* a slow line is not filled with the same again */
    rig->next_ask = rig->n_asks;
    fed_intake_lane_anew(rig->intake, 1); /* somebody else's */
    work(rig);
    ck_assert_uint_eq(rig->n_asks, FLOATS);
    fed_intake_lane_anew(rig->intake, 0);
    work(rig);
    ck_assert_uint_eq(rig->n_asks, 2 * FLOATS - 1); /* the three that are missing */
    serve_one(rig, update, 1);
    ends_admitted(rig, update);
}
END_TEST

START_TEST(what_does_not_come_is_asked_for_once_more_on_the_same_connection) {
    static struct sealed sealed;
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    offer(rig, update);
    seal_chunk(&sealed, update, 2);
    ck_assert_int_eq(give(rig, update, 2, &sealed), FED_OK);
    wait_for_pool(rig);
    ck_assert_uint_eq(fed_intake_wakeup(rig->intake), rig->now_ms + STALL_MS / 2);
    rig->now_ms += STALL_MS / 2;
    work(rig);
    ck_assert_uint_eq(rig->n_asks, 2 * FLOATS - 1);
    ck_assert_uint_eq(fed_intake_wakeup(rig->intake), rig->now_ms + STALL_MS / 2);
    rig->now_ms += STALL_MS / 2 - 1;
    work(rig);
    ck_assert_uint_eq(rig->n_asks, 2 * FLOATS - 1);
    rig->next_ask = FLOATS;
    serve_one(rig, update, 1);
    ends_admitted(rig, update);
}
END_TEST

START_TEST(lane_that_is_full_is_tried_again) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    rig->get_answer = FED_EAGAIN;
    offer(rig, update);
    for (int i = 0; i < 5; i++) {
        unsigned tried = rig->n_gets;
        ck_assert_uint_gt(fed_intake_wakeup(rig->intake), rig->now_ms);
        ck_assert_uint_lt(fed_intake_wakeup(rig->intake), rig->now_ms + STALL_MS);
        rig->now_ms = fed_intake_wakeup(rig->intake);
        work(rig);
        ck_assert_uint_gt(rig->n_gets, tried);
    }
    ck_assert_uint_eq(rig->n_outcomes, 0);
    rig->get_answer = FED_OK;
    rig->now_ms = fed_intake_wakeup(rig->intake);
    work(rig);
    serve_one(rig, update, 1);
    ends_admitted(rig, update);
}
END_TEST

START_TEST(node_without_a_lane_is_asked_when_it_has_one) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    rig->get_answer = FED_EGONE;
    offer(rig, update);
    ck_assert_uint_ge(fed_intake_wakeup(rig->intake), rig->now_ms + STALL_MS / 2); /* and nobody wakes for it until then */
    rig->get_answer = FED_OK;
    fed_intake_lane_anew(rig->intake, 0);
    work(rig);
    serve_one(rig, update, 1);
    ends_admitted(rig, update);
}
END_TEST

START_TEST(slow_update_is_waited_for_while_it_moves_and_refused_when_it_does_not) {
    static struct sealed sealed;
    struct rig *rig = new_rig();
    struct update *slow = single(rig, 0, 0, 4), *behind = single(rig, 0, 1, 5);
    offer(rig, slow);
    offer(rig, behind); /* by the same connection, so its chunks come after those of the first */
    ck_assert(!fed_intake_holds(rig->intake, 0));
    for (uint64_t i = 0; i + 1 < FLOATS; i++) {
        rig->now_ms += STALL_MS - 1;
        work(rig);
        ck_assert_uint_eq(rig->n_outcomes, 0);
        seal_chunk(&sealed, slow, i);
        ck_assert_int_eq(give(rig, slow, i, &sealed), FED_OK);
        wait_for_pool(rig);
        ck_assert(fed_intake_holds(rig->intake, 0));
    }
    rig->now_ms += STALL_MS;
    work(rig);
    ck_assert_uint_eq(rig->n_outcomes, 2);
    check_last(rig, FED_REFUSAL_RATE, "stalled");
    ck_assert(!fed_intake_holds(rig->intake, 0));
    check_sum(rig); /* nothing was added */
    free_update(slow);
    free_update(behind);
    free_rig(rig);
}
END_TEST

START_TEST(node_that_sends_nothing_does_not_keep_its_slot_from_others) {
    struct rig *rig = new_rig();
    struct update *silent[SLOTS], *honest = single(rig, NODES - 1, 0, 7);
    for (size_t i = 0; i < SLOTS; i++) {
        silent[i] = single(rig, i, 0, 4);
        offer(rig, silent[i]);
    }
    offer(rig, honest);
    ck_assert_uint_eq(rig->n_asks, SLOTS * FLOATS); /* it waits */
    rig->next_ask = rig->n_asks;
    rig->now_ms = fed_intake_wakeup(rig->intake); /* long before they would be refused */
    work(rig);
    ck_assert_uint_eq(rig->n_outcomes, 0);
    while (rig->asks[rig->next_ask].node != NODES - 1) { /* the silent are asked as well, and stay silent */
        rig->next_ask++;
        ck_assert_uint_lt(rig->next_ask, rig->n_asks);
    }
    rig->n_asks = rig->next_ask + FLOATS;
    serve_one(rig, honest, 1);
    expect(rig, honest);
    check_sum(rig);
    for (size_t i = 0; i < SLOTS; i++) {
        free_update(silent[i]);
    }
    free_update(honest);
    free_rig(rig);
}
END_TEST

/* Several dead nodes with several updates each and a live one that offers again and again: there is always somebody who
 * waits, and yet the dead are waited for no longer than stall_ms in a slot. */
START_TEST(node_that_died_is_given_up_however_many_wait_and_however_often_it_gave_way) {
    enum { DEAD = 2, PARTS = 3 };
    stall_ms = 120000;
    struct rig *rig = new_rig();
    struct update *dead[DEAD * PARTS];
    stall_ms = STALL_MS;
    for (size_t i = 0; i < DEAD * PARTS; i++) {
        dead[i] = single(rig, i / PARTS, (uint32_t)(i % PARTS), 4);
        offer(rig, dead[i]);
    }
    give_chunk(rig, dead[0], 0);
    wait_for_pool(rig);
    ck_assert(fed_intake_holds(rig->intake, 0));
    uint64_t began_ms = rig->now_ms;
    for (int i = 0; i < 1000 && rig->n_outcomes < DEAD * PARTS; i++) {
        uint64_t at = fed_intake_wakeup(rig->intake);
        rig->now_ms = at > rig->now_ms ? at : rig->now_ms + 1;
        rig->next_ask = rig->n_asks = 0; /* nobody answers */
        work(rig);
    }
    ck_assert_uint_eq(rig->n_outcomes, DEAD * PARTS);
    for (size_t i = 0; i < rig->n_outcomes; i++) {
        ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_RATE);
    }
    ck_assert_uint_lt(rig->now_ms - began_ms, 3 * (uint64_t)120000);
    ck_assert(!fed_intake_holds(rig->intake, 0));
    for (size_t i = 0; i < DEAD * PARTS; i++) {
        free_update(dead[i]);
    }
    free_rig(rig);
}
END_TEST

START_TEST(own_updates_that_wait_take_no_slot_from_each_other) {
    struct rig *rig = new_rig();
    struct update *updates[SLOTS];
    for (uint32_t i = 0; i < SLOTS; i++) { /* no node holds every slot: the last one waits */
        updates[i] = single(rig, 0, i, 4);
        offer(rig, updates[i]);
    }
    rig->now_ms += STALL_MS / 2 - 1;
    work(rig);
    ck_assert_uint_eq(rig->n_asks, (SLOTS - 1) * FLOATS); /* nothing is asked for a second time */
    for (uint32_t i = 0; i < SLOTS; i++) {
        free_update(updates[i]);
    }
    free_rig(rig);
}
END_TEST

static size_t asks_for(const struct rig *rig, size_t node, uint64_t chunk) {
    size_t n = 0;
    for (size_t i = 0; i < rig->n_asks; i++) {
        n += rig->asks[i].node == node && rig->asks[i].chunk == chunk;
    }
    return n;
}

/* memory: for how many updates beside those of the slots. Returns how often the first chunk of the first one was asked for.
 */
static size_t make_room(unsigned memory) {
    stall_ms = 120000;
    struct rig *rig = rig_with((SLOTS + memory) * fed_sealed_bytes(PARAMS * sizeof(int64_t)), NULL);
    struct update *slow[SLOTS], *quick = single(rig, NODES - 1, 0, 7);
    stall_ms = STALL_MS;
    for (size_t i = 0; i < SLOTS; i++) {
        slow[i] = single(rig, i, 0, 4);
        offer(rig, slow[i]);
    }
    rig->now_ms += PACE_MS - 1;
    for (size_t i = 0; i < SLOTS; i++) { /* 13 KB/s: slow, but moving */
        give_chunk(rig, slow[i], 0);
        wait_for_pool(rig);
    }
    offer(rig, quick);
    ck_assert_uint_eq(asks_for(rig, NODES - 1, 0), 0); /* it waits, until the slow are seen to be slow */
    ck_assert_uint_le(fed_intake_wakeup(rig->intake), ++rig->now_ms);
    while (!fed_intake_idle(rig->intake)) {
        wait_for_pool(rig);
    }
    work(rig);
    ck_assert_uint_eq(asks_for(rig, NODES - 1, 0), 1);
    if (memory > 0) {
        give_chunk(rig, slow[0], 1); /* it was on its way: nothing is sent twice */
        ck_assert(fed_intake_holds(rig->intake, 0));
    }
    for (uint64_t i = 0; i < FLOATS; i++) {
        give_chunk(rig, quick, i);
    }
    while (rig->n_outcomes < 1) {
        wait_for_pool(rig);
    }
    check_last(rig, FED_REFUSAL_NONE, "");
    ck_assert_uint_eq(rig->outcomes[0].node, NODES - 1);
    rig->next_ask = rig->n_asks - (memory > 0 ? 0 : FLOATS);
    for (uint64_t i = memory > 0 ? 2 : 0; i < FLOATS; i++) {
        give_chunk(rig, slow[0], i);
    }
    while (rig->n_outcomes < 2) {
        wait_for_pool(rig);
    }
    check_last(rig, FED_REFUSAL_NONE, "");
    ck_assert_uint_eq(rig->outcomes[1].node, 0);
    expect(rig, quick);
    expect(rig, slow[0]);
    check_sum(rig);
    size_t asks = asks_for(rig, 0, 0);
    for (size_t i = 0; i < SLOTS; i++) {
        free_update(slow[i]);
    }
    free_update(quick);
    free_rig(rig);
    return asks;
}

START_TEST(slow_update_makes_room_for_another_and_goes_on_where_it_was) { ck_assert_uint_eq(make_room(SLOTS), 1); }
END_TEST

START_TEST(slow_update_makes_room_where_there_is_no_memory_to_keep_it_and_begins_anew) {
    ck_assert_uint_eq(make_room(0), 2);
}
END_TEST

/* One chunk in 20 s from each node: the first one in flight. */
static void trickle(struct rig *rig, struct update *const *updates, size_t n) {
    static struct sealed sealed;
    rig->now_ms += PACE_MS - 1;
    for (size_t i = 0; i < n; i++) {
        int rc = FED_EWIRE;
        for (uint64_t chunk = 0; chunk < FLOATS && rc != FED_OK; chunk++) {
            seal_chunk(&sealed, updates[i], chunk);
            rc = give(rig, updates[i], chunk, &sealed);
        }
    }
    while (!fed_intake_idle(rig->intake)) {
        wait_for_pool(rig);
    }
    rig->now_ms += 1;
    work(rig);
}

START_TEST(slow_updates_without_memory_to_keep_them_come_in_all_the_same) {
    stall_ms = 120000;
    struct rig *rig = rig_with(SLOTS * fed_sealed_bytes(PARAMS * sizeof(int64_t)), NULL);
    struct update *slow[SLOTS + 1];
    stall_ms = STALL_MS;
    for (size_t i = 0; i < SLOTS + 1; i++) {
        slow[i] = single(rig, i, 0, 4);
        offer(rig, slow[i]);
        expect(rig, slow[i]);
    }
    for (int i = 0; i < 40 && rig->n_outcomes < SLOTS + 1; i++) {
        trickle(rig, slow, SLOTS + 1);
    }
    ck_assert_uint_eq(rig->n_outcomes, SLOTS + 1);
    check_sum(rig);
    for (size_t i = 0; i < SLOTS + 1; i++) {
        free_update(slow[i]);
    }
    free_rig(rig);
}
END_TEST

START_TEST(slow_update_that_nobody_waits_for_keeps_its_slot) {
    stall_ms = 120000;
    struct rig *rig = new_rig();
    struct update *slow = single(rig, 0, 0, 4);
    stall_ms = STALL_MS;
    offer(rig, slow);
    for (uint64_t i = 0; i < FLOATS; i++) {
        rig->now_ms += PACE_MS + 1;
        work(rig);
        ck_assert_uint_eq(asks_for(rig, 0, i), 1);
        give_chunk(rig, slow, i);
        wait_for_pool(rig);
    }
    while (rig->n_outcomes < 1) {
        wait_for_pool(rig);
    }
    check_last(rig, FED_REFUSAL_NONE, "");
    expect(rig, slow);
    check_sum(rig);
    free_update(slow);
    free_rig(rig);
}
END_TEST

START_TEST(one_node_cannot_hold_every_slot) {
    struct rig *rig = new_rig();
    struct update *greedy[SLOTS + 2], *other = single(rig, 1, 0, 7);
    for (uint32_t i = 0; i < SLOTS + 2; i++) {
        greedy[i] = single(rig, 0, i, 4);
        offer(rig, greedy[i]);
    }
    ck_assert_uint_eq(rig->n_asks, (SLOTS - 1) * FLOATS);
    rig->next_ask = rig->n_asks;
    offer(rig, other);
    serve_one(rig, other, 1);
    ck_assert_uint_eq(rig->outcomes[0].node, 1);
    expect(rig, other);
    check_sum(rig);
    for (uint32_t i = 0; i < SLOTS + 2; i++) {
        free_update(greedy[i]);
    }
    free_update(other);
    free_rig(rig);
}
END_TEST

/* -- the end of an attempt ---------------------------------------------------------------------------------------------- */

START_TEST(end_finishes_what_is_being_added_and_drops_the_rest) {
    static struct sealed sealed;
    struct rig *rig = new_rig();
    struct update *adding = partial_sum(rig, 0, 0, 4, 4), *fetching = single(rig, 1, 0, 5);
    offer(rig, adding);
    offer(rig, fetching);
    serve_all_but_last(rig, fetching);
    for (uint64_t i = 0; i < INTEGERS; i++) {
        seal_chunk(&sealed, adding, i);
        ck_assert_int_eq(give(rig, adding, i, &sealed), FED_OK);
    }
    while (rig->n_claims == 0) {
        wait_for_pool(rig);
    }
    if (_i == 1) {
        fed_intake_node_lost(rig->intake, 0);
    }
    fed_intake_end(rig->intake);
    while (!fed_intake_idle(rig->intake)) {
        wait_for_pool(rig);
    }
    ck_assert_uint_eq(rig->n_outcomes, 1);
    check_last(rig, FED_REFUSAL_NONE, "");
    ck_assert_uint_eq(rig->outcomes[0].node, 0);
    expect(rig, adding);
    check_sum(rig);
    seal_chunk(&sealed, fetching, FLOATS - 1);
    ck_assert_int_eq(give(rig, fetching, FLOATS - 1, &sealed), FED_EWIRE);
    offer(rig, fetching); /* nothing may come in any more */
    ck_assert(fed_intake_idle(rig->intake));
    free_update(adding);
    free_update(fetching);
    free_rig(rig);
}
END_TEST

START_TEST(attempts_that_end_anywhere_leave_no_trace) {
    struct rig *rig = new_rig();
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "attempts", 0, 0);
    for (uint32_t attempt = 2; attempt < 42; attempt++) {
        struct update *updates[6];
        for (size_t i = 0; i < 6; i++) {
            updates[i] = i % 2 == 0 ? single(rig, i, 0, 4) : partial_sum(rig, i, 0, 2, 4);
            offer(rig, updates[i]);
        }
        size_t before = rig->n_outcomes;
        serve(rig, updates, 6, before + fed_rng_below(&rng, 5), NULL, NULL);
        if (fed_rng_below(&rng, 2) == 0) {
            fed_intake_node_lost(rig->intake, fed_rng_below(&rng, 6));
        }
        fed_intake_end(rig->intake);
        while (!fed_intake_idle(rig->intake)) {
            wait_for_pool(rig);
        }
        memset(rig->expected, 0, PARAMS * sizeof *rig->expected);
        for (size_t i = before; i < rig->n_outcomes; i++) {
            ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_NONE);
            expect(rig, updates[rig->outcomes[i].node]);
        }
        check_sum(rig); /* exactly what was reported */
        for (size_t i = 0; i < 6; i++) {
            free_update(updates[i]);
        }
        rig->n_asks = rig->next_ask = 0;
        fed_attempt_fini(&rig->attempt);
        open_attempt(rig, attempt);
        fed_aggregate_clear(&rig->aggregate);
        fed_intake_begin(rig->intake, &rig->attempt);
    }
    free_rig(rig);
}
END_TEST

START_TEST(intake_can_be_freed_at_any_moment) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4), *waiting = single(rig, 0, 1, 4);
    offer(rig, update);
    offer(rig, waiting);
    serve_all_but_last(rig, update);
    fed_intake_free(rig->intake); /* with chunks being opened */
    struct fed_intake_config config = {.threads = 1, .uploads = 1, .uploads_per_node = 1, .aggregate = &rig->aggregate};
    ck_assert_int_eq(fed_intake_new(&rig->intake, &config, NULL), FED_OK);
    free_update(update);
    free_update(waiting);
    free_rig(rig);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("intake");
    TCase *tcase = tcase_create("intake");
    tcase_add_test(tcase, whole_updates_are_added_exactly);
    tcase_add_test(tcase, a_norm_is_computed_and_what_was_stated_does_not_matter);
    tcase_add_test(tcase, an_update_over_the_ceiling_is_refused_and_leaves_no_trace);
    tcase_add_loop_test(tcase, a_single_update_is_clipped_and_counts_as_far_as_the_cap, 0, 2);
    tcase_add_test(tcase, many_nodes_at_once_come_in_through_few_slots_and_one_window);
    tcase_add_loop_test(tcase, staging_area_of_any_size_gives_the_same_sum, 0, 4);
    tcase_add_test(tcase, update_without_room_on_disk_is_put_off);
    tcase_add_test(tcase, damage_on_disk_between_check_and_sum_spoils_the_attempt);
    tcase_add_test(tcase, claim_is_the_last_word_before_the_sum);
    tcase_add_loop_test(tcase, flipped_bit_in_any_chunk_is_refused_and_nothing_added, 0, 2 * INTEGERS);
    tcase_add_test(tcase, chunk_that_opens_the_second_time_is_as_good_as_any);
    tcase_add_loop_test(tcase, header_that_was_changed_after_sealing_opens_nothing, 0,
                        (int)(sizeof header_changes / sizeof *header_changes));
    tcase_add_test(tcase, update_of_another_node_or_attempt_opens_nothing);
    tcase_add_test(tcase, key_of_low_order_is_refused);
    tcase_add_loop_test(tcase, bad_value_in_any_chunk_is_refused_by_name_and_nothing_added, 0, 2);
    tcase_add_test(tcase, sum_beyond_its_weights_is_refused_and_nothing_added);
    tcase_add_test(tcase, chunks_that_were_not_asked_for_change_nothing);
    tcase_add_test(tcase, part_that_is_offered_again_is_fetched_once);
    tcase_add_test(tcase, part_that_was_sealed_anew_takes_the_place_of_the_old_one);
    tcase_add_test(tcase, lost_node_leaves_nothing_behind);
    tcase_add_test(tcase, what_was_declined_holds_no_slot_and_is_not_fetched);
    tcase_add_test(tcase, another_connection_is_asked_for_what_the_last_one_did_not_bring);
    tcase_add_test(tcase, what_does_not_come_is_asked_for_once_more_on_the_same_connection);
    tcase_add_test(tcase, lane_that_is_full_is_tried_again);
    tcase_add_test(tcase, node_without_a_lane_is_asked_when_it_has_one);
    tcase_add_test(tcase, slow_update_is_waited_for_while_it_moves_and_refused_when_it_does_not);
    tcase_add_test(tcase, node_that_sends_nothing_does_not_keep_its_slot_from_others);
    tcase_add_test(tcase, node_that_died_is_given_up_however_many_wait_and_however_often_it_gave_way);
    tcase_add_test(tcase, own_updates_that_wait_take_no_slot_from_each_other);
    tcase_add_test(tcase, slow_update_makes_room_for_another_and_goes_on_where_it_was);
    tcase_add_test(tcase, slow_update_makes_room_where_there_is_no_memory_to_keep_it_and_begins_anew);
    tcase_add_test(tcase, slow_updates_without_memory_to_keep_them_come_in_all_the_same);
    tcase_add_test(tcase, slow_update_that_nobody_waits_for_keeps_its_slot);
    tcase_add_test(tcase, one_node_cannot_hold_every_slot);
    tcase_add_loop_test(tcase, end_finishes_what_is_being_added_and_drops_the_rest, 0, 2);
    tcase_add_test(tcase, attempts_that_end_anywhere_leave_no_trace);
    tcase_add_test(tcase, intake_can_be_freed_at_any_moment);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
