/* Chunks of an update: what opens them, and all that does not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/seal/keys.h"
#include "common/seal/seal.h"
#include "tests/unit/named_vectors.h"
#include "tests/unit/seal/fixture.h"

START_TEST(chunks_cover_every_length_exactly) {
    const uint64_t c = FED_CHUNK_BYTES;
    const uint64_t lengths[] = {
        0, 1, c - 1, c, c + 1, 2 * c, 2 * c + 7, 6653480, (uint64_t)4 << 30, ((uint64_t)1 << 44) + 4};
    const uint64_t counts[] = {0, 1, 1, 1, 2, 2, 3, 26, 16384, ((uint64_t)1 << 26) + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        ck_assert_uint_eq(fed_chunk_count(lengths[i]), counts[i]);
        ck_assert_uint_eq(fed_sealed_bytes(lengths[i]), lengths[i] + 16 * counts[i]);
        if (counts[i] > 0) {
            uint64_t last = counts[i] - 1;
            ck_assert_uint_eq(last * c + fed_chunk_plain_bytes(lengths[i], last), lengths[i]);
            ck_assert_uint_eq(fed_chunk_plain_bytes(lengths[i], 0), lengths[i] < c ? lengths[i] : c);
        }
    }
    ck_assert_uint_eq(fed_chunk_count(UINT64_MAX), (uint64_t)1 << 46);
}
END_TEST

#define N_HEADER 48

/* One update as both sides know it. */
struct update {
    struct fed_identity node;
    struct fed_seal_pair *e, *r;
    uint8_t terms[32], header[N_HEADER];
};

static struct fed_seal_pair *known_pair(const char *name) {
    struct fed_seal_pair *pair;
    uint8_t secret[FED_KEY_BYTES];
    known_bytes(secret, sizeof secret, name);
    ck_assert_int_eq(fed_seal_pair_import(&pair, secret), 0);
    return pair;
}

static void update_init(struct update *u) {
    known_identity(&u->node);
    u->e = known_pair("e_secret");
    u->r = known_pair("r_secret");
    known_bytes(u->terms, sizeof u->terms, "terms_digest");
    known_bytes(u->header, sizeof u->header, "header");
}

static void update_fini(struct update *u) {
    fed_identity_fini(&u->node);
    fed_seal_pair_free(u->e);
    fed_seal_pair_free(u->r);
}

static struct fed_seal_key *node_key(const struct update *u) {
    struct fed_seal_key *key;
    ck_assert_int_eq(
        fed_seal_update_key_node(&key, u->e, &u->node, fed_seal_pair_public(u->r), u->terms, u->header, N_HEADER), 0);
    return key;
}

static struct fed_seal_key *coordinator_key(const struct update *u, size_t n_header) {
    struct fed_seal_key *key;
    ck_assert_int_eq(fed_seal_update_key_coordinator(&key, u->r, fed_seal_pair_public(u->e), u->node.public_keys.seal,
                                                     u->terms, u->header, n_header),
                     0);
    return key;
}

START_TEST(update_key_and_chunks_match_the_known_answers_on_both_sides) {
    struct update u;
    update_init(&u);
    uint8_t expected[FED_KEY_BYTES], bytes[FED_KEY_BYTES], plain[100], sealed[116], opened[100], answer[116];
    known_bytes(expected, sizeof expected, "e_public");
    ck_assert_mem_eq(fed_seal_pair_public(u.e), expected, sizeof expected);
    known_bytes(expected, sizeof expected, "r_public");
    ck_assert_mem_eq(fed_seal_pair_public(u.r), expected, sizeof expected);

    struct fed_seal_key *up = node_key(&u), *down = coordinator_key(&u, N_HEADER);
    known_bytes(expected, sizeof expected, "update_key");
    fed_seal_key_export(bytes, up);
    ck_assert_mem_eq(bytes, expected, sizeof expected);
    fed_seal_key_export(bytes, down);
    ck_assert_mem_eq(bytes, expected, sizeof expected);

    known_bytes(plain, sizeof plain, "plain");
    const uint64_t indices[] = {0, 1, 0x1122334455667788};
    for (size_t i = 0; i < 3; i++) {
        char name[40];
        snprintf(name, sizeof name, "chunk_%llu", (unsigned long long)indices[i]);
        known_bytes(answer, sizeof answer, name);
        fed_seal_chunk(sealed, up, indices[i], plain, sizeof plain);
        ck_assert_mem_eq(sealed, answer, sizeof answer);
        ck_assert_int_eq(fed_open_chunk(opened, down, indices[i], sealed, sizeof sealed), 0);
        ck_assert_mem_eq(opened, plain, sizeof plain);
    }
    fed_seal_key_free(up);
    fed_seal_key_free(down);
    update_fini(&u);
}
END_TEST

START_TEST(chunks_of_every_size_open_also_in_place) {
    const size_t sizes[] = {0, 1, 63, 64, 65, 4096, FED_CHUNK_BYTES};
    struct fed_seal_key *key, *copy;
    uint8_t bytes[FED_KEY_BYTES];
    ck_assert_int_eq(fed_seal_key_random(&key), 0);
    fed_seal_key_export(bytes, key);
    ck_assert_int_eq(fed_seal_key_import(&copy, bytes), 0);
    uint8_t *plain = malloc(FED_CHUNK_BYTES), *sealed = malloc(FED_CHUNK_BYTES + FED_TAG_BYTES);
    for (size_t i = 0; i < FED_CHUNK_BYTES; i++) {
        plain[i] = (uint8_t)(i ^ i >> 8);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fed_seal_chunk(sealed, key, i, plain, sizes[i]);
        ck_assert_int_eq(fed_open_chunk(sealed, copy, i, sealed, sizes[i] + FED_TAG_BYTES), 0);
        ck_assert_mem_eq(sealed, plain, sizes[i]);
    }
    free(plain);
    free(sealed);
    fed_seal_key_free(key);
    fed_seal_key_free(copy);
    fed_seal_key_free(NULL);
    fed_seal_pair_free(NULL);
}
END_TEST

#define SMALL 40

static void seal_small(uint8_t sealed[SMALL + 16], const struct fed_seal_key *key, uint64_t i, uint8_t fill) {
    uint8_t plain[SMALL];
    memset(plain, fill, sizeof plain);
    fed_seal_chunk(sealed, key, i, plain, sizeof plain);
}

/* Does not open, and leaves nothing of the plain text behind. */
static void must_not_open(const struct fed_seal_key *key, uint64_t i, const uint8_t *sealed, size_t n) {
    static const uint8_t zero[SMALL + 1], untouched[SMALL + 1] = {[0 ... SMALL] = 0xee};
    uint8_t out[SMALL + 1];
    memcpy(out, untouched, sizeof out);
    ck_assert_int_eq(fed_open_chunk(out, key, i, sealed, n), FED_ESEAL);
    size_t n_plain = n < FED_TAG_BYTES ? 0 : n - FED_TAG_BYTES;
    ck_assert(memcmp(out, zero, n_plain) == 0 || memcmp(out, untouched, n_plain) == 0);
    ck_assert_mem_eq(out + n_plain, untouched, sizeof out - n_plain);
}

START_TEST(chunk_with_any_bit_flipped_does_not_open) {
    struct fed_seal_key *key;
    uint8_t sealed[SMALL + 16];
    ck_assert_int_eq(fed_seal_key_random(&key), 0);
    seal_small(sealed, key, 3, 0x11);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        must_not_open(key, 3, sealed, sizeof sealed);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    uint8_t out[SMALL];
    ck_assert_int_eq(fed_open_chunk(out, key, 3, sealed, sizeof sealed), 0);
    fed_seal_key_free(key);
}
END_TEST

START_TEST(chunk_does_not_open_truncated_extended_or_in_another_place) {
    struct fed_seal_key *key;
    uint8_t first[SMALL + 17] = {0}, second[SMALL + 16];
    ck_assert_int_eq(fed_seal_key_random(&key), 0);
    seal_small(first, key, 0, 0x11);
    seal_small(second, key, 1, 0x22);
    for (size_t n = 0; n < SMALL + 16; n++) {
        must_not_open(key, 0, first, n);
    }
    must_not_open(key, 0, first, SMALL + 17);
    must_not_open(key, 1, first, SMALL + 16);
    must_not_open(key, 0, second, SMALL + 16);
    for (int shift = 0; shift < 64; shift++) {
        must_not_open(key, (uint64_t)1 << shift, first, SMALL + 16);
    }
    uint8_t untouched = 0xee; /* over the largest chunk: refused by its length alone, nothing is read or written */
    ck_assert_int_eq(fed_open_chunk(&untouched, key, 0, first, FED_CHUNK_BYTES + FED_TAG_BYTES + 1), FED_ESEAL);
    ck_assert_uint_eq(untouched, 0xee);
    fed_seal_key_free(key);
}
END_TEST

/* sealed was made under the known update; u is now something else. */
static void must_not_open_as(const struct update *u, size_t n_header, const uint8_t *sealed) {
    struct fed_seal_key *key = coordinator_key(u, n_header);
    must_not_open(key, 0, sealed, SMALL + 16);
    fed_seal_key_free(key);
}

START_TEST(update_opens_only_with_its_own_header_terms_and_keys) {
    struct update u;
    uint8_t sealed[SMALL + 16], opened[SMALL];
    update_init(&u);
    struct fed_seal_key *key = node_key(&u);
    seal_small(sealed, key, 0, 0x33);
    fed_seal_key_free(key);

    for (size_t bit = 0; bit < 8 * N_HEADER; bit++) {
        u.header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        must_not_open_as(&u, N_HEADER, sealed);
        u.header[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    must_not_open_as(&u, N_HEADER - 1, sealed);
    must_not_open_as(&u, 0, sealed);
    for (size_t bit = 0; bit < 8 * sizeof u.terms; bit++) {
        u.terms[bit / 8] ^= (uint8_t)(1 << bit % 8);
        must_not_open_as(&u, N_HEADER, sealed);
        u.terms[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }

    struct fed_seal_pair *e = u.e, *r = u.r, *other;
    struct fed_identity node = u.node, stranger;
    ck_assert_int_eq(fed_seal_pair_new(&other), 0);
    ck_assert_int_eq(fed_identity_generate(&stranger, NULL), 0);
    u.e = other;
    must_not_open_as(&u, N_HEADER, sealed);
    u.e = r; /* the attempt's own key reflected */
    must_not_open_as(&u, N_HEADER, sealed);
    u.e = e;
    u.r = other;
    must_not_open_as(&u, N_HEADER, sealed);
    u.r = r;
    u.node = stranger;
    must_not_open_as(&u, N_HEADER, sealed);
    u.node = node;

    key = coordinator_key(&u, N_HEADER);
    ck_assert_int_eq(fed_open_chunk(opened, key, 0, sealed, sizeof sealed), 0);
    fed_seal_key_free(key);
    fed_seal_pair_free(other);
    fed_identity_fini(&stranger);
    update_fini(&u);
}
END_TEST

START_TEST(node_key_without_the_long_term_secret_is_another_key) {
    struct update u;
    struct fed_identity stranger;
    uint8_t sealed[SMALL + 16];
    update_init(&u);
    ck_assert_int_eq(fed_identity_generate(&stranger, NULL), 0);
    struct fed_public_keys own = stranger.public_keys;
    stranger.public_keys = u.node.public_keys; /* claims to be the node */
    struct fed_seal_key *key;
    ck_assert_int_eq(fed_seal_update_key_node(&key, u.e, &stranger, fed_seal_pair_public(u.r), u.terms, u.header, N_HEADER),
                     0);
    seal_small(sealed, key, 0, 0x44);
    must_not_open_as(&u, N_HEADER, sealed);
    stranger.public_keys = own;
    fed_seal_key_free(key);
    fed_identity_fini(&stranger);
    update_fini(&u);
}
END_TEST

/* Curve25519's points of low order, and their non-canonical forms. */
static const uint8_t low_order[][FED_KEY_BYTES] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    {[0] = 0xec, [1 ... 30] = 0xff, [31] = 0x7f},
    {[0] = 0xed, [1 ... 30] = 0xff, [31] = 0x7f},
    {[0] = 0xee, [1 ... 30] = 0xff, [31] = 0x7f},
};

START_TEST(public_keys_of_low_order_are_refused) {
    struct update u;
    struct fed_seal_key *key = NULL;
    update_init(&u);
    const uint8_t *e_pk = fed_seal_pair_public(u.e), *c_pk = u.node.public_keys.seal, *low = low_order[_i];
    ck_assert_int_eq(fed_seal_update_key_node(&key, u.e, &u.node, low, u.terms, u.header, N_HEADER), FED_ESEAL);
    ck_assert_int_eq(fed_seal_update_key_coordinator(&key, u.r, low, c_pk, u.terms, u.header, N_HEADER), FED_ESEAL);
    ck_assert_int_eq(fed_seal_update_key_coordinator(&key, u.r, e_pk, low, u.terms, u.header, N_HEADER), FED_ESEAL);
    ck_assert_ptr_null(key);
    update_fini(&u);
}
END_TEST

TCase *chunks_cases(void) {
    TCase *cases = seal_case("chunks");
    tcase_add_test(cases, chunks_cover_every_length_exactly);
    tcase_add_test(cases, update_key_and_chunks_match_the_known_answers_on_both_sides);
    tcase_add_test(cases, chunks_of_every_size_open_also_in_place);
    tcase_add_test(cases, chunk_with_any_bit_flipped_does_not_open);
    tcase_add_test(cases, chunk_does_not_open_truncated_extended_or_in_another_place);
    tcase_add_test(cases, update_opens_only_with_its_own_header_terms_and_keys);
    tcase_add_test(cases, node_key_without_the_long_term_secret_is_another_key);
    tcase_add_loop_test(cases, public_keys_of_low_order_are_refused, 0, (int)(sizeof low_order / sizeof *low_order));
    return cases;
}
