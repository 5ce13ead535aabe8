#include "tests/unit/intake/fixture.h"

#include <check.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/rng.h"
#include "coordinator/round/intake.h"

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

void broken(void *context, size_t node, uint32_t part) {
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

/* The rig but for its intake. */
static struct rig *bare_rig(void) {
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
    ck_assert_ptr_nonnull(rig->expected);
    rig->now_ms = 5000;
    return rig;
}

struct rig *rig_of(uint64_t staging_bytes, const char *spool_dir, uint64_t stall_ms) {
    struct rig *rig = bare_rig();
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

struct rig *rig_with(uint64_t staging_bytes) {
    return rig_of(staging_bytes, NULL, STALL_MS);
}

struct rig *new_rig(void) {
    return rig_with(AMPLE);
}

void work(struct rig *rig) { fed_intake_work(rig->intake, rig->now_ms); }

void wait_for_pool(struct rig *rig) {
    struct pollfd item = {.fd = fed_intake_fd(rig->intake), .events = POLLIN};
    ck_assert_int_eq(poll(&item, 1, PATIENCE_MS), 1);
    work(rig);
}

void begin_attempt(struct rig *rig, uint32_t number) {
    fed_attempt_fini(&rig->attempt);
    open_attempt(rig, number);
    fed_intake_begin(rig->intake, &rig->attempt);
}

void wait_until_idle(struct rig *rig) {
    while (!fed_intake_idle(rig->intake)) {
        wait_for_pool(rig);
    }
}

void wait_for_outcomes(struct rig *rig, size_t n) {
    while (rig->n_outcomes < n) {
        wait_for_pool(rig);
    }
}

void free_rig(struct rig *rig) {
    fed_intake_end(rig->intake);
    wait_until_idle(rig);
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

void seal(struct update *update, const struct rig *rig) {
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

struct update *single(const struct rig *rig, size_t node, uint32_t part, uint32_t weight) {
    struct update *update = new_update(rig, node, part, FED_ENCODING_F32, 1, weight);
    ck_assert_uint_eq(update->header.n_chunks, FLOATS);
    return update;
}

struct update *partial_sum(const struct rig *rig, size_t node, uint32_t part, uint32_t n_clients, uint32_t weight) {
    struct update *update = new_update(rig, node, part, FED_ENCODING_I64, n_clients, weight);
    ck_assert_uint_eq(update->header.n_chunks, INTEGERS);
    return update;
}

void free_update(struct update *update) {
    fed_seal_pair_free(update->e);
    fed_seal_key_free(update->key);
    free(update->plain.bytes);
    free(update);
}

void free_updates(struct update *const *updates, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free_update(updates[i]);
    }
}

void expect(struct rig *rig, const struct update *update) {
    for (size_t i = 0; i < PARAMS; i++) {
        rig->expected[i] +=
            update->header.encoding == FED_ENCODING_I64
                ? update->plain.sum[i]
                : llrintl(ldexpl((long double)update->plain.delta[i] * update->header.weights[0], rig->fixed.exponent));
    }
}

void check_sum(const struct rig *rig) {
    ck_assert_msg(memcmp(rig->aggregate.sum, rig->expected, PARAMS * sizeof *rig->expected) == 0, "another sum");
}

void offer(struct rig *rig, const struct update *update) {
    ck_assert_int_eq(fed_intake_offer(rig->intake, update->node, rig->nodes[update->node].public_keys.seal, &update->offer),
                     FED_OK);
    work(rig);
}

void seal_chunk(struct sealed *out, const struct update *update, uint64_t i) {
    size_t n = fed_chunk_plain_bytes(update->header.n_bytes, i);
    fed_seal_chunk(out->bytes, update->key, i, update->plain.bytes + i * FED_CHUNK_BYTES, n);
    out->n = n + FED_TAG_BYTES;
}

int give(struct rig *rig, const struct update *update, uint64_t i, const struct sealed *sealed) {
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

void serve(struct rig *rig, struct update *const *updates, size_t n_updates, size_t n_outcomes,
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

void serve_one(struct rig *rig, struct update *update, size_t n_outcomes) { serve(rig, &update, 1, n_outcomes, NULL, NULL); }

void give_chunk(struct rig *rig, const struct update *update, uint64_t i) {
    static struct sealed sealed;
    seal_chunk(&sealed, update, i);
    ck_assert_int_eq(give(rig, update, i, &sealed), FED_OK);
}

void give_chunks(struct rig *rig, const struct update *update, uint64_t first, uint64_t end) {
    for (uint64_t i = first; i < end; i++) {
        give_chunk(rig, update, i);
    }
}

void give_all_but_last(struct rig *rig, const struct update *update) {
    give_chunks(rig, update, 0, update->header.n_chunks - 1);
}

void check_last(const struct rig *rig, enum fed_refusal refusal, const char *why) {
    ck_assert_uint_ge(rig->n_outcomes, 1);
    const struct outcome *last = &rig->outcomes[rig->n_outcomes - 1];
    ck_assert_str_eq(fed_refusal_name(last->refusal), fed_refusal_name(refusal));
    ck_assert_msg(strstr(last->why, why) != NULL, "%s", last->why);
}

void ends_admitted(struct rig *rig, struct update *update) {
    check_last(rig, FED_REFUSAL_NONE, "");
    expect(rig, update);
    check_sum(rig);
    free_update(update);
    free_rig(rig);
}
