/* Derived randomness: known answers from an independent implementation (tests/vectors/rng.py), then the properties that
 * the rest of the house leans on. */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/base/walk.h"

struct vector {
    char kind[16], purpose[17];
    uint64_t seed, a, b;
    char *values; /* the rest of the line */
};

static bool next_vector(struct vector *out, FILE *file, char *line, int n_line) {
    int end = 0;
    if (fgets(line, n_line, file) == NULL) {
        return false;
    }
    ck_assert_int_eq(sscanf(line, "%15s %lu %16s %lu %lu%n", out->kind, &out->seed, out->purpose, &out->a, &out->b, &end),
                     5);
    out->values = line + end;
    return true;
}

static void follow_words(struct fed_rng *rng, const struct vector *v) {
    char *p = v->values;
    for (int i = 0; i < 1000; i++) {
        uint32_t word = fed_rng_u32(rng);
        if (i < 8 || (i >= 250 && i < 260) || i >= 990) {
            ck_assert_uint_eq(word, strtoul(p, &p, 16));
        }
    }
}

static void follow_bounds(struct fed_rng *rng, const struct vector *v) {
    static const uint32_t bounds[] = {1, 2, 3, 10, 60000, 1u << 31, (1u << 31) + 1, 3221225473u, UINT32_MAX};
    char *p = v->values;
    for (size_t i = 0; i < 8 * 9; i++) {
        ck_assert_uint_eq(fed_rng_below(rng, bounds[i % 9]), strtoul(p, &p, 10));
    }
}

static void follow_floats(struct fed_rng *rng, const struct vector *v, bool wide) {
    char *p = v->values;
    for (int i = 0; i < 12; i++) {
        double expected = strtod(p, &p);
        ck_assert(expected == (wide ? fed_rng_f64(rng) : (double)fed_rng_f32(rng)));
    }
}

static void follow_shuffle(struct fed_rng *rng, const struct vector *v) {
    uint32_t items[40];
    char *p = v->values;
    for (uint32_t i = 0; i < 40; i++) {
        items[i] = i;
    }
    fed_rng_shuffle(rng, items, 40);
    for (int i = 0; i < 40; i++) {
        ck_assert_uint_eq(items[i], strtoul(p, &p, 10));
    }
}

START_TEST(streams_give_the_known_answers) {
    FILE *file = fopen(FED_VECTORS "/rng.txt", "r");
    char line[4096];
    struct vector v;
    int n_vectors = 0;
    ck_assert_ptr_nonnull(file);
    while (next_vector(&v, file, line, sizeof line)) {
        struct fed_rng rng;
        fed_rng_init(&rng, v.seed, v.purpose, v.a, v.b);
        if (strcmp(v.kind, "u32") == 0) {
            follow_words(&rng, &v);
        } else if (strcmp(v.kind, "below") == 0) {
            follow_bounds(&rng, &v);
        } else if (strcmp(v.kind, "shuffle") == 0) {
            follow_shuffle(&rng, &v);
        } else {
            follow_floats(&rng, &v, strcmp(v.kind, "f64") == 0);
        }
        n_vectors++;
    }
    fclose(file);
    ck_assert_int_eq(n_vectors, 25);
}
END_TEST

START_TEST(every_argument_changes_the_stream) {
    struct fed_rng rng;
    uint32_t words[5];
    fed_rng_init(&rng, 1, "train", 2, 3);
    words[0] = fed_rng_u32(&rng);
    fed_rng_init(&rng, 2, "train", 2, 3);
    words[1] = fed_rng_u32(&rng);
    fed_rng_init(&rng, 1, "trains", 2, 3);
    words[2] = fed_rng_u32(&rng);
    fed_rng_init(&rng, 1, "train", 3, 2);
    words[3] = fed_rng_u32(&rng);
    fed_rng_init(&rng, 1, "train", 2, 4);
    words[4] = fed_rng_u32(&rng);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < i; j++) {
            ck_assert_uint_ne(words[i], words[j]);
        }
    }
}
END_TEST

/* The extreme words cannot be waited for, so they are put into the buffer. */
START_TEST(floats_stay_inside_their_interval) {
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "edge", 0, 0);
    rng.next = 0;
    memset(rng.words, 0xff, sizeof rng.words);
    ck_assert(fed_rng_f64(&rng) < 1.0);
    ck_assert(fed_rng_f32(&rng) == 1.0f - 0x1p-24f);
    memset(rng.words, 0, sizeof rng.words);
    ck_assert(fed_rng_f64(&rng) == 0x1p-53);
    ck_assert(fed_rng_f32(&rng) == 0.0f);
}
END_TEST

START_TEST(below_throws_away_the_words_that_would_bias_it) {
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "edge", 0, 0);
    rng.next = 0;
    rng.words[0] = 0; /* 2^32 mod 10 = 6: words 0 .. 5 are refused */
    rng.words[1] = 5;
    rng.words[2] = 6;
    rng.words[3] = UINT32_MAX;
    ck_assert_uint_eq(fed_rng_below(&rng, 10), 6);
    ck_assert_uint_eq(fed_rng_below(&rng, 10), 5);
    ck_assert_uint_eq(rng.next, 4);
}
END_TEST

START_TEST(shuffle_of_none_or_one_draws_nothing) {
    struct fed_rng rng;
    uint32_t one = 42;
    fed_rng_init(&rng, 1, "edge", 0, 0);
    fed_rng_shuffle(&rng, &one, 0);
    fed_rng_shuffle(&rng, &one, 1);
    ck_assert_uint_eq(one, 42);
    ck_assert_uint_eq(rng.next, FED_RNG_WORDS);
}
END_TEST

START_TEST(random_bytes_differ_and_fill_to_the_last_byte) {
    uint8_t a[32] = {0}, b[32] = {0};
    bool last_byte_moved = false;
    fed_random_bytes(b, sizeof b);
    for (int i = 0; i < 64; i++) {
        fed_random_bytes(a, sizeof a);
        last_byte_moved |= a[31] != b[31];
    }
    ck_assert_mem_ne(a, b, sizeof a);
    ck_assert(last_byte_moved);
}
END_TEST

/* The plain form of the same permutation, on a whole array. */
static void permute(uint32_t *a, uint32_t n, struct fed_rng *rng) {
    for (uint32_t i = 0; i < n; i++) {
        a[i] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = i + fed_rng_below(rng, n - i), kept = a[i];
        a[i] = a[j];
        a[j] = kept;
    }
}

START_TEST(walk_is_fisher_yates_on_an_array) {
    static const uint32_t sizes[] = {1, 2, 3, 10, 1000, 20000};
    for (size_t t = 0; t < sizeof sizes / sizeof *sizes; t++) {
        uint32_t n = sizes[t], item;
        uint32_t *expected = malloc(n * sizeof *expected);
        struct fed_rng rng;
        struct fed_walk walk;
        ck_assert_ptr_nonnull(expected);
        fed_rng_init(&rng, t, FED_RNG_COHORT, 1, 2);
        permute(expected, n, &rng);
        fed_rng_init(&rng, t, FED_RNG_COHORT, 1, 2);
        fed_walk_init(&walk, &rng, n);
        for (uint32_t i = 0; i < n; i++) {
            ck_assert_int_eq(fed_walk_next(&item, &walk), 0);
            ck_assert_uint_eq(item, expected[i]);
        }
        ck_assert_int_eq(fed_walk_next(&item, &walk), FED_ENOTFOUND);
        fed_walk_fini(&walk);
        free(expected);
    }
}
END_TEST

START_TEST(walk_of_a_huge_population_costs_only_its_steps) {
    struct fed_rng rng;
    struct fed_walk walk;
    uint32_t seen[100];
    fed_rng_init(&rng, 1, FED_RNG_COHORT, 1, 1);
    fed_walk_init(&walk, &rng, UINT32_MAX);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(fed_walk_next(&seen[i], &walk), 0);
        for (int j = 0; j < i; j++) {
            ck_assert_uint_ne(seen[i], seen[j]);
        }
    }
    ck_assert_uint_le(walk.n_slots, 512);
    fed_walk_fini(&walk);
}
END_TEST

START_TEST(walk_of_nobody_ends_at_once) {
    struct fed_rng rng;
    struct fed_walk walk;
    uint32_t item = 7;
    fed_rng_init(&rng, 1, FED_RNG_COHORT, 1, 1);
    fed_walk_init(&walk, &rng, 0);
    ck_assert_int_eq(fed_walk_next(&item, &walk), FED_ENOTFOUND);
    ck_assert_uint_eq(item, 7);
    fed_walk_fini(&walk);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rng");
    TCase *t = tcase_create("rng");
    tcase_add_test(t, streams_give_the_known_answers);
    tcase_add_test(t, every_argument_changes_the_stream);
    tcase_add_test(t, floats_stay_inside_their_interval);
    tcase_add_test(t, below_throws_away_the_words_that_would_bias_it);
    tcase_add_test(t, shuffle_of_none_or_one_draws_nothing);
    tcase_add_test(t, random_bytes_differ_and_fill_to_the_last_byte);
    tcase_add_test(t, walk_is_fisher_yates_on_an_array);
    tcase_add_test(t, walk_of_a_huge_population_costs_only_its_steps);
    tcase_add_test(t, walk_of_nobody_ends_at_once);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
