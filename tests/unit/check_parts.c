/* From ROUND to the sealed answer: which clients a part has, what their sum is, and under which key it opens. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/parts.h"
#include "common/numeric/norm.h"

enum { N = 70001 }; /* two chunks of f32, three of i64 */

static struct fed_part *list;
static struct fed_fixed fixed;
static struct fed_identity node;
static struct fed_seal_pair *r;
static struct fed_terms terms;
static float *delta[3];                 /* (N) each */
static struct fed_update_limits limits; /* none, unless a test sets some */

static void setup(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), FED_OK);
    ck_assert_int_eq(fed_fixed_init(&fixed, 4.0, 1000, 16, NULL), FED_OK);
    ck_assert_int_eq(fed_identity_generate(&node, NULL), FED_OK);
    ck_assert_int_eq(fed_seal_pair_new(&r), FED_OK);
    terms = (struct fed_terms){.run_id = {1},
                               .round = 5,
                               .attempt = 2,
                               .task_digest = {2},
                               .model_digest = {3},
                               .n_params = N,
                               .epochs = 1,
                               .batch_size = 10,
                               .learning_rate = 0.1f};
    memcpy(terms.r_pk, fed_seal_pair_public(r), sizeof terms.r_pk);
    for (size_t k = 0; k < 3; k++) {
        delta[k] = malloc(N * sizeof(float));
        for (size_t i = 0; i < N; i++) {
            delta[k][i] = (float)((double)((i * 2654435761u + k * 40503u) % 100003) / 100003.0 * 8.0 - 4.0);
        }
    }
}

static void teardown(void) {
    limits = (struct fed_update_limits){0};
    fed_parts_free(&list);
    ck_assert_ptr_null(list);
    for (size_t k = 0; k < 3; k++) {
        free(delta[k]);
    }
    fed_seal_pair_free(r);
    fed_identity_fini(&node);
}

/* ROUND for this part; the clients, ended by 0. Returns the status of fed_parts_update. */
static int tell(struct fed_part **part, uint32_t id, enum fed_encoding encoding, bool closed, const uint64_t *clients,
                size_t *fresh) {
    struct fed_msg_round *round = calloc(1, sizeof *round);
    round->terms = terms;
    round->part = id;
    round->encoding = encoding;
    round->closed = closed;
    while (clients[round->n_clients] != 0) {
        round->clients[round->n_clients] = clients[round->n_clients];
        round->n_clients++;
    }
    int rc = fed_parts_update(part, &list, round, fresh);
    free(round);
    return rc;
}
#define IDS(...) ((const uint64_t[]){__VA_ARGS__, 0})

static struct fed_part *take(uint32_t id, enum fed_encoding encoding, bool closed, const uint64_t *clients, size_t expect) {
    struct fed_part *part = NULL;
    size_t fresh = 999;
    ck_assert_int_eq(tell(&part, id, encoding, closed, clients, &fresh), FED_OK);
    ck_assert_uint_eq(fresh, expect);
    ck_assert_ptr_eq(part, fed_parts_find(list, id));
    return part;
}

static int join(uint64_t client, size_t k, uint64_t examples, size_t *n) {
    struct fed_host_update update = {.client = client,
                                     .delta = delta[k],
                                     .norm = fed_norm(delta[k], N),
                                     .report = {.n_examples = examples, .mean_loss = 0.5 * (double)client},
                                     .seconds = 1.5};
    return fed_parts_join(n, list, &fixed, &limits, N, &update);
}

static void join_one(uint64_t client, size_t k, uint64_t examples) {
    size_t n = 0;
    ck_assert_int_eq(join(client, k, examples, &n), FED_OK);
    ck_assert_uint_eq(n, 1);
}

static void expect_clients(const struct fed_part *part, const uint64_t *clients) {
    size_t n = 0;
    for (; clients[n] != 0; n++) {
        ck_assert_uint_lt(n, part->n_clients);
        ck_assert_uint_eq(part->clients[n], clients[n]);
    }
    ck_assert_uint_eq(part->n_clients, n);
}

/* -- which clients ------------------------------------------------------------------------------------------------------ */

START_TEST(a_part_grows_until_it_is_closed) {
    struct fed_part *part = take(4, FED_ENCODING_I64, false, IDS(7, 3), 0);
    expect_clients(part, IDS(7, 3));
    ck_assert(!part->closed);
    ck_assert_ptr_eq(take(4, FED_ENCODING_I64, false, IDS(7, 3, 11), 2), part);
    expect_clients(part, IDS(7, 3, 11));
    ck_assert_ptr_eq(take(4, FED_ENCODING_I64, true, IDS(7, 3, 11, 2), 3), part);
    expect_clients(part, IDS(7, 3, 11, 2));
    ck_assert(part->closed);
    take(4, FED_ENCODING_I64, false, IDS(7, 3, 11, 2), 4); /* an old message: closed it stays */
    ck_assert(part->closed);
    struct fed_part *other = take(5, FED_ENCODING_I64, false, IDS(20), 0);
    ck_assert_ptr_ne(other, part);
    ck_assert_ptr_eq(list, part); /* in the order in which they came */
    ck_assert_ptr_null(fed_parts_find(list, 6));
}
END_TEST

/* The coordinator takes a declined client out of its list; what is new still has to be found. */
START_TEST(a_list_that_lost_clients_adds_only_new_ones) {
    struct fed_part *part = take(1, FED_ENCODING_I64, false, IDS(7, 3, 11), 0);
    ck_assert_ptr_eq(fed_parts_drop_client(list, 3), part);
    take(1, FED_ENCODING_I64, true, IDS(7, 11, 8), 3);
    expect_clients(part, IDS(7, 3, 11, 8));
    take(1, FED_ENCODING_I64, true, IDS(8), 4);
    expect_clients(part, IDS(7, 3, 11, 8));
}
END_TEST

START_TEST(a_client_named_twice_is_one_client) {
    struct fed_part *part = take(1, FED_ENCODING_I64, true, IDS(7, 7, 3, 7), 0);
    expect_clients(part, IDS(7, 3));
    join_one(7, 0, 10);
    join_one(3, 1, 10);
    ck_assert(fed_part_complete(part));
}
END_TEST

START_TEST(a_part_keeps_its_encoding_and_its_bounds) {
    struct fed_part *part = take(1, FED_ENCODING_I64, false, IDS(7), 0);
    size_t fresh;
    ck_assert_int_eq(tell(&part, 1, FED_ENCODING_F32, false, IDS(7), &fresh), FED_EWIRE);
    ck_assert_int_eq(tell(&part, 2, FED_ENCODING_F32, true, IDS(7, 8), &fresh), FED_EWIRE); /* f32 is one client's */
    uint64_t many[FED_CLIENTS_MAX + 1] = {0};
    for (uint64_t i = 0; i < FED_CLIENTS_MAX; i++) {
        many[i] = 1000 + i;
    }
    part = take(3, FED_ENCODING_I64, false, many, 0);
    ck_assert_uint_eq(part->n_clients, FED_CLIENTS_MAX);
    ck_assert_int_eq(tell(&part, 3, FED_ENCODING_I64, true, IDS(5), &fresh), FED_EWIRE);
    part = fed_parts_find(list, 3);
    ck_assert_uint_eq(part->n_clients, FED_CLIENTS_MAX);
    ck_assert(!part->closed);
}
END_TEST

START_TEST(an_offered_part_does_not_change) {
    struct fed_part *part = take(1, FED_ENCODING_I64, true, IDS(7), 0);
    join_one(7, 0, 10);
    ck_assert_int_eq(fed_part_seal(part, N, &node, &terms), FED_OK);
    take(1, FED_ENCODING_I64, true, IDS(7, 8), 1);
    expect_clients(part, IDS(7));
    size_t n = 9;
    ck_assert_int_eq(join(7, 1, 10, &n), FED_OK);
    ck_assert_uint_eq(n, 0);
    ck_assert_ptr_null(fed_parts_drop_client(list, 7));
    ck_assert(!fed_part_complete(part)); /* nothing left to do */
}
END_TEST

/* -- joining ------------------------------------------------------------------------------------------------------------ */

START_TEST(a_sum_is_the_exact_fixed_point_sum) {
    struct fed_part *part = take(1, FED_ENCODING_I64, true, IDS(9, 4, 6), 0);
    const uint64_t weights[] = {600, 1, 1000};
    join_one(4, 0, weights[0]);
    join_one(9, 1, weights[1]);
    ck_assert(!fed_part_complete(part));
    join_one(6, 2, weights[2]);
    ck_assert(fed_part_complete(part));
    for (size_t i = 0; i < N; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < 3; k++) { /* each product is exact in long double, and rint is to nearest even */
            sum += (int64_t)rintl(ldexpl((long double)delta[k][i] * (long double)weights[k], fixed.exponent));
        }
        ck_assert_int_eq(part->sum[i], sum);
    }
    ck_assert_uint_eq(fed_part_examples(part), 1601);
    ck_assert_double_eq(part->train_seconds, 4.5);
    uint32_t done, total;
    take(2, FED_ENCODING_I64, false, IDS(30, 31), 0);
    fed_parts_progress(list, &done, &total);
    ck_assert_uint_eq(done, 3);
    ck_assert_uint_eq(total, 5);
}
END_TEST

START_TEST(who_was_declined_is_not_waited_for) {
    uint32_t done, total;
    take(1, FED_ENCODING_I64, true, IDS(9, 4, 6), 0);
    join_one(4, 0, 10);
    ck_assert_ptr_nonnull(fed_parts_drop_client(list, 9));
    fed_parts_progress(list, &done, &total);
    ck_assert_uint_eq(done, 1);
    ck_assert_uint_eq(total, 2);
}
END_TEST

START_TEST(a_single_update_is_borrowed_as_it_is) {
    struct fed_part *part = take(1, FED_ENCODING_F32, true, IDS(9), 0);
    ck_assert(!fed_parts_borrow(list, delta[2]));
    delta[2][5] = NAN; /* judged where it arrives */
    join_one(9, 2, 600);
    ck_assert_ptr_eq(part->delta, delta[2]);
    ck_assert_ptr_null(part->sum);
    ck_assert(fed_part_complete(part));
    ck_assert(fed_parts_borrow(list, delta[2]));
    ck_assert(!fed_parts_borrow(list, delta[1]));
}
END_TEST

START_TEST(a_client_joins_every_part_that_waits_for_it_and_each_once) {
    struct fed_part *one = take(1, FED_ENCODING_I64, true, IDS(9, 4), 0), *two = take(2, FED_ENCODING_F32, true, IDS(9), 0);
    size_t n = 0;
    ck_assert_int_eq(join(9, 0, 10, &n), FED_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(one->n_trained, 1);
    ck_assert(fed_part_complete(two));
    ck_assert_int_eq(join(9, 0, 10, &n), FED_OK);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(join(77, 0, 10, &n), FED_OK);
    ck_assert_uint_eq(n, 0);
    ck_assert_uint_eq(one->n_trained, 1);
}
END_TEST

START_TEST(what_is_beyond_the_caps_goes_into_no_sum) {
    struct fed_part *part = take(1, FED_ENCODING_I64, true, IDS(9, 4), 0);
    const float wrong[] = {NAN, INFINITY, -INFINITY, 4.0001f, -4.0001f};
    size_t n;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        float right = delta[0][N - 1];
        delta[0][N - 1] = wrong[i];
        ck_assert_int_eq(join(9, 0, 10, &n), FED_EDATA);
        delta[0][N - 1] = right;
    }
    ck_assert_int_eq(join(9, 0, 0, &n), FED_EDATA);
    ck_assert_int_eq(join(9, 0, 1001, &n), FED_EDATA);
    ck_assert_uint_eq(part->n_trained, 0);
    delta[1][0] = 4.0f;
    join_one(9, 1, 1000); /* at both caps */
}
END_TEST

/* -- the limits of a round ---------------------------------------------------------------------------------------------- */

START_TEST(what_is_over_the_ceiling_goes_into_no_sum_but_out_alone) {
    struct fed_part *sum = take(1, FED_ENCODING_I64, true, IDS(9, 4), 0);
    double norm = fed_norm(delta[0], N);
    size_t n = 0;
    limits.norm_ceiling = nextafter(norm, 0);
    ck_assert_int_eq(join(9, 0, 10, &n), FED_EPEER);
    ck_assert_uint_eq(sum->n_trained, 0);
    ck_assert_ptr_null(sum->sum);
    limits.norm_ceiling = norm;
    join_one(9, 0, 10);
    limits.norm_ceiling = norm / 2;
    struct fed_part *single = take(2, FED_ENCODING_F32, true, IDS(6), 0); /* the coordinator will judge */
    join_one(6, 0, 10);
    ck_assert(fed_part_complete(single));
}
END_TEST

/* The largest float with scale * norm <= clip, in the 64 bits of long double. */
static float scale_of(const float *values, double clip) {
    long double squares = 0;
    for (size_t i = 0; i < N; i++) {
        squares += (long double)values[i] * values[i];
    }
    long double norm = sqrtl(squares);
    float scale = (float)(clip / norm);
    return norm <= clip ? 1 : (long double)scale * norm > clip ? nextafterf(scale, 0) : scale;
}

START_TEST(what_goes_into_a_sum_is_clipped_and_counts_as_far_as_the_cap) {
    double norm = fed_norm(delta[1], N);
    limits = (struct fed_update_limits){.norm_ceiling = 2 * norm, .clip = norm / 3, .weight_cap = 50};
    for (size_t i = 0; i < N; i++) {
        delta[2][i] *= 0.01f; /* within the clip */
    }
    struct fed_part *part = take(1, FED_ENCODING_I64, true, IDS(9, 2, 6), 0);
    join_one(9, 0, 90);
    join_one(6, 1, 60);
    join_one(2, 2, 20);
    const uint32_t counted[3] = {50, 50, 20};
    const float scale[3] = {scale_of(delta[0], limits.clip), scale_of(delta[1], limits.clip),
                            scale_of(delta[2], limits.clip)};
    for (size_t i = 0; i < N; i++) {
        int64_t expected = 0;
        for (size_t k = 0; k < 3; k++) {
            volatile float scaled = delta[k][i] * scale[k];
            expected += llrintl(ldexpl((long double)scaled * counted[k], fixed.exponent));
        }
        ck_assert_int_eq(part->sum[i], expected);
    }
    ck_assert(scale[0] < 1 && scale[1] < 1 && scale[2] == 1);
    ck_assert_uint_eq(fed_part_examples(part), 170); /* which is what sent.log says: all that were learnt from */
}
END_TEST

START_TEST(header_states_norms_before_clipping_and_weights_as_counted) {
    limits = (struct fed_update_limits){.clip = 1, .weight_cap = 50};
    struct fed_part *part = take(1, FED_ENCODING_I64, true, IDS(9, 2), 0);
    struct fed_update_header *header = malloc(sizeof *header);
    join_one(9, 0, 90);
    join_one(2, 1, 20);
    ck_assert_int_eq(fed_part_seal(part, N, &node, &terms), FED_OK);
    ck_assert_int_eq(fed_update_header_decode(header, part->header, part->n_header), FED_OK);
    ck_assert(header->has_norms);
    ck_assert(header->norms[0] == fed_norm(delta[1], N) && header->norms[1] == fed_norm(delta[0], N));
    ck_assert_uint_eq(header->weights[0], 20);
    ck_assert_uint_eq(header->weights[1], 50);
    free(header);
}
END_TEST

/* The coordinator clips and caps a single update; what is not finite has no norm to state. */
START_TEST(a_single_update_goes_out_as_it_is) {
    limits = (struct fed_update_limits){.norm_ceiling = 1, .clip = 1, .weight_cap = 50};
    struct fed_part *part = take(1, FED_ENCODING_F32, true, IDS(9), 0);
    struct fed_update_header *header = malloc(sizeof *header);
    delta[0][7] = NAN;
    join_one(9, 0, 90);
    ck_assert_ptr_eq(part->delta, delta[0]);
    ck_assert_int_eq(fed_part_seal(part, N, &node, &terms), FED_OK);
    ck_assert_int_eq(fed_update_header_decode(header, part->header, part->n_header), FED_OK);
    ck_assert(!header->has_norms);
    ck_assert_uint_eq(header->weights[0], 90);
    free(header);
}
END_TEST

START_TEST(declined_clients_are_not_waited_for_nor_named) {
    struct fed_part *part = take(1, FED_ENCODING_I64, true, IDS(9, 4, 6), 0);
    ck_assert_ptr_eq(fed_parts_drop_client(list, 4), part);
    ck_assert_ptr_null(fed_parts_drop_client(list, 4));
    ck_assert_ptr_null(fed_parts_drop_client(list, 77));
    size_t n;
    ck_assert_int_eq(join(4, 0, 10, &n), FED_OK); /* too late */
    ck_assert_uint_eq(n, 0);
    join_one(9, 0, 10);
    ck_assert(!fed_part_complete(part));
    ck_assert_ptr_eq(fed_parts_drop_client(list, 6), part);
    ck_assert(fed_part_complete(part));
    ck_assert_int_eq(fed_part_seal(part, N, &node, &terms), FED_OK);
    struct fed_update_header *header = malloc(sizeof *header);
    ck_assert_int_eq(fed_update_header_decode(header, part->header, part->n_header), FED_OK);
    ck_assert_uint_eq(header->n_clients, 1);
    ck_assert_uint_eq(header->clients[0], 9);
    free(header);
    struct fed_part *none = take(2, FED_ENCODING_I64, true, IDS(1), 0);
    fed_parts_drop_client(list, 1);
    ck_assert(!fed_part_complete(none)); /* there is nothing to offer */
}
END_TEST

START_TEST(an_open_part_is_not_complete) {
    struct fed_part *part = take(1, FED_ENCODING_I64, false, IDS(9), 0);
    join_one(9, 0, 10);
    ck_assert(!fed_part_complete(part));
    take(1, FED_ENCODING_I64, true, IDS(9), 1);
    ck_assert(fed_part_complete(part));
}
END_TEST

/* -- sealing ------------------------------------------------------------------------------------------------------------ */

static struct fed_part *sealed_part(void) {
    struct fed_part *part = take(1, FED_ENCODING_I64, true, IDS(9, 2, 6), 0);
    join_one(9, 0, 90);
    join_one(6, 1, 60);
    join_one(2, 2, 20);
    ck_assert_int_eq(fed_part_seal(part, N, &node, &terms), FED_OK);
    ck_assert_int_eq(part->state, FED_PART_OFFERED);
    return part;
}

START_TEST(header_is_sorted_with_every_client_its_own_weight) {
    struct fed_part *part = sealed_part();
    struct fed_update_header *header = malloc(sizeof *header);
    ck_assert_int_eq(fed_update_header_decode(header, part->header, part->n_header), FED_OK);
    ck_assert_uint_eq(header->suite, FED_SUITE_1);
    ck_assert_int_eq(header->encoding, FED_ENCODING_I64);
    ck_assert_uint_eq(header->n_bytes, 8 * (uint64_t)N);
    ck_assert_uint_eq(header->n_chunks, 3);
    ck_assert_uint_eq(header->n_clients, 3);
    const uint64_t clients[] = {2, 6, 9};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(header->clients[i], clients[i]);
        ck_assert_uint_eq(header->weights[i], 10 * clients[i]);
        ck_assert_float_eq(header->losses[i], 0.5f * (float)clients[i]);
    }
    ck_assert_double_eq(header->train_seconds, 4.5);
    free(header);
}
END_TEST

/* What the coordinator makes of the offer under these terms, with its own half of the secrets. */
static int open_as_coordinator(const struct fed_part *part, const struct fed_seal_pair *pair, const struct fed_terms *with,
                               const uint8_t *seal_pk, const uint8_t *header, size_t n_header) {
    struct fed_seal_key *key = NULL;
    uint8_t digest[32], *plain = malloc(FED_CHUNK_BYTES), *sealed = NULL;
    size_t n;
    const uint8_t *expected = part->sum != NULL ? (const uint8_t *)part->sum : (const uint8_t *)part->delta;
    fed_terms_digest(digest, with);
    ck_assert_int_eq(
        fed_seal_update_key_coordinator(&key, pair, fed_seal_pair_public(part->e), seal_pk, digest, header, n_header),
        FED_OK);
    int rc = FED_OK;
    for (uint64_t i = 0; rc == FED_OK && i < fed_chunk_count(part->n_bytes); i++) {
        ck_assert_int_eq(fed_part_chunk(&sealed, &n, part, i), FED_OK);
        ck_assert_uint_eq(n, fed_chunk_plain_bytes(part->n_bytes, i) + FED_TAG_BYTES);
        rc = fed_open_chunk(plain, key, i, sealed, n);
        if (rc == FED_OK) {
            ck_assert_mem_eq(plain, expected + i * FED_CHUNK_BYTES, n - FED_TAG_BYTES);
        }
        free(sealed);
    }
    free(plain);
    fed_seal_key_free(key);
    return rc;
}

START_TEST(chunks_open_under_exactly_these_terms) {
    struct fed_part *part = sealed_part();
    const uint8_t *seal_pk = node.public_keys.seal;
    ck_assert_int_eq(open_as_coordinator(part, r, &terms, seal_pk, part->header, part->n_header), FED_OK);
    struct fed_terms other[10];
    for (size_t i = 0; i < 10; i++) {
        other[i] = terms;
    }
    other[0].run_id[15] ^= 1;
    other[1].round++;
    other[2].attempt++;
    other[3].task_digest[0] ^= 1;
    other[4].model_digest[31] ^= 1;
    other[5].n_params++;
    other[6].r_pk[0] ^= 1;
    other[7].epochs++;
    other[8].batch_size++;
    other[9].learning_rate = nextafterf(terms.learning_rate, 1.0f);
    for (size_t i = 0; i < 10; i++) {
        ck_assert_int_eq(open_as_coordinator(part, r, &other[i], seal_pk, part->header, part->n_header), FED_ESEAL);
    }
}
END_TEST

START_TEST(chunks_open_with_exactly_these_keys_and_header) {
    struct fed_part *part = sealed_part();
    struct fed_identity stranger;
    struct fed_seal_pair *later;
    ck_assert_int_eq(fed_identity_generate(&stranger, NULL), FED_OK);
    ck_assert_int_eq(fed_seal_pair_new(&later), FED_OK);
    ck_assert_int_eq(open_as_coordinator(part, later, &terms, node.public_keys.seal, part->header, part->n_header),
                     FED_ESEAL);
    ck_assert_int_eq(open_as_coordinator(part, r, &terms, stranger.public_keys.seal, part->header, part->n_header),
                     FED_ESEAL);
    uint8_t *header = malloc(part->n_header);
    memcpy(header, part->header, part->n_header);
    header[part->n_header - 1] ^= 1;
    ck_assert_int_eq(open_as_coordinator(part, r, &terms, node.public_keys.seal, header, part->n_header), FED_ESEAL);
    free(header);
    fed_seal_pair_free(later);
    fed_identity_fini(&stranger);
}
END_TEST

START_TEST(a_chunk_asked_for_twice_is_the_same_bytes) {
    struct fed_part *part = sealed_part();
    uint8_t *once = NULL, *twice = NULL;
    size_t n, m;
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_int_eq(fed_part_chunk(&once, &n, part, i), FED_OK);
        ck_assert_int_eq(fed_part_chunk(&twice, &m, part, i), FED_OK);
        ck_assert_uint_eq(n, m);
        ck_assert_mem_eq(once, twice, n);
        free(once);
        free(twice);
    }
}
END_TEST

START_TEST(every_sealing_has_a_key_of_its_own) {
    struct fed_part *part = take(1, FED_ENCODING_F32, true, IDS(9), 0), *same = take(2, FED_ENCODING_F32, true, IDS(9), 0);
    size_t n, m;
    ck_assert_int_eq(join(9, 0, 90, &n), FED_OK);
    ck_assert_int_eq(fed_part_seal(part, N, &node, &terms), FED_OK);
    ck_assert_int_eq(fed_part_seal(same, N, &node, &terms), FED_OK);
    ck_assert_mem_eq(part->header, same->header, part->n_header);
    ck_assert_mem_ne(fed_seal_pair_public(part->e), fed_seal_pair_public(same->e), 32);
    uint8_t *one = NULL, *two = NULL;
    ck_assert_int_eq(fed_part_chunk(&one, &n, part, 1), FED_OK);
    ck_assert_int_eq(fed_part_chunk(&two, &m, same, 1), FED_OK);
    ck_assert_uint_eq(n, 4 * (size_t)N - FED_CHUNK_BYTES + FED_TAG_BYTES);
    ck_assert_mem_ne(one, two, n);
    free(one);
    free(two);
    ck_assert_int_eq(open_as_coordinator(part, r, &terms, node.public_keys.seal, part->header, part->n_header), FED_OK);
    ck_assert_int_eq(open_as_coordinator(same, r, &terms, node.public_keys.seal, same->header, same->n_header), FED_OK);
}
END_TEST

START_TEST(a_low_order_key_of_the_attempt_is_refused) {
    struct fed_part *part = take(1, FED_ENCODING_F32, true, IDS(9), 0);
    join_one(9, 0, 90);
    memset(terms.r_pk, 0, sizeof terms.r_pk);
    ck_assert_int_eq(fed_part_seal(part, N, &node, &terms), FED_ESEAL);
    ck_assert_int_eq(part->state, FED_PART_TRAINING);
    ck_assert_ptr_null(part->key);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("parts");
    TCase *tests = tcase_create("parts");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_part_grows_until_it_is_closed);
    tcase_add_test(tests, a_list_that_lost_clients_adds_only_new_ones);
    tcase_add_test(tests, a_client_named_twice_is_one_client);
    tcase_add_test(tests, a_part_keeps_its_encoding_and_its_bounds);
    tcase_add_test(tests, an_offered_part_does_not_change);
    tcase_add_test(tests, a_sum_is_the_exact_fixed_point_sum);
    tcase_add_test(tests, who_was_declined_is_not_waited_for);
    tcase_add_test(tests, a_single_update_is_borrowed_as_it_is);
    tcase_add_test(tests, a_client_joins_every_part_that_waits_for_it_and_each_once);
    tcase_add_test(tests, what_is_beyond_the_caps_goes_into_no_sum);
    tcase_add_test(tests, what_is_over_the_ceiling_goes_into_no_sum_but_out_alone);
    tcase_add_test(tests, what_goes_into_a_sum_is_clipped_and_counts_as_far_as_the_cap);
    tcase_add_test(tests, header_states_norms_before_clipping_and_weights_as_counted);
    tcase_add_test(tests, a_single_update_goes_out_as_it_is);
    tcase_add_test(tests, declined_clients_are_not_waited_for_nor_named);
    tcase_add_test(tests, an_open_part_is_not_complete);
    tcase_add_test(tests, header_is_sorted_with_every_client_its_own_weight);
    tcase_add_test(tests, chunks_open_under_exactly_these_terms);
    tcase_add_test(tests, chunks_open_with_exactly_these_keys_and_header);
    tcase_add_test(tests, a_chunk_asked_for_twice_is_the_same_bytes);
    tcase_add_test(tests, every_sealing_has_a_key_of_its_own);
    tcase_add_test(tests, a_low_order_key_of_the_attempt_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
