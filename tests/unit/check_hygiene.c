/* What updates are held against: the ceiling under honest rounds and under attack, the clip, the share; and that a run which
 * is read back from its directory is held against the same. */
#include "coordinator/round/hygiene.h"

#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/rng.h"
#include "coordinator/store/hygiene_store.h"

static const struct fed_hygiene_config defaults = {.norm_factor = 10, .norm_rounds = 20};

static struct fed_hygiene_past past_of(const struct fed_hygiene_config *config) {
    struct fed_hygiene_past past;
    fed_hygiene_init(&past, config);
    return past;
}

static void commit(struct fed_hygiene_past *past, uint64_t round, const double *norms, size_t n) {
    double copy[1000];
    struct fed_update_limits held = fed_hygiene_limits(past, round);
    ck_assert_uint_le(n, sizeof copy / sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = norms[i];
    }
    fed_hygiene_committed(past, &(struct fed_hygiene_round){.round = round,
                                                            .norms = n > 0 ? copy : NULL,
                                                            .n = n,
                                                            .weight = 100 * n,
                                                            .clip = held.clip,
                                                            .weight_cap = held.weight_cap});
}

static double ceiling(const struct fed_hygiene_past *past, uint64_t round) {
    return fed_hygiene_limits(past, round).norm_ceiling;
}

/* -- the norm ceiling --------------------------------------------------------------------------------------------------- */

/* Of n norms 1, 2, .. n in one round: by hand, the one that less than a quarter of n are above. */
START_TEST(reference_is_the_norm_that_less_than_a_quarter_are_above) {
    static const struct {
        size_t n;
        double quartile;
    } rows[] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 4}, {8, 7}, {9, 7}, {10, 8}, {12, 10}, {13, 10}, {100, 76}};
    double norms[100], none[40] = {0};
    for (size_t i = 0; i < 100; i++) {
        norms[i] = (double)((i * 37) % 100 + 1); /* not ascending */
    }
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct fed_hygiene_past past = past_of(&defaults);
        double some[100];
        size_t n = 0;
        for (size_t i = 0; i < 100; i++) {
            if (norms[i] <= (double)rows[r].n) {
                some[n++] = norms[i];
            }
        }
        ck_assert_uint_eq(n, rows[r].n);
        commit(&past, 1, none, 40); /* enough norms, and no say */
        commit(&past, 2, some, n);
        ck_assert_msg(ceiling(&past, 3) == 10 * rows[r].quartile, "of %zu: %g", n, ceiling(&past, 3));
    }
}
END_TEST

START_TEST(there_is_no_ceiling_before_there_are_32_norms) {
    struct fed_hygiene_past past = past_of(&defaults);
    const double norms[] = {1, 1, 1, 1, (double)NAN, 1, 1, 1, 1};
    ck_assert(ceiling(&past, 1) == 0);
    for (uint64_t round = 1; round <= 4; round++) {
        ck_assert(ceiling(&past, round) == 0);
        commit(&past, round, norms, 9); /* 8 known */
    }
    ck_assert(ceiling(&past, 5) == 10);
}
END_TEST

START_TEST(norms_that_are_not_known_or_zero_make_no_ceiling) {
    struct fed_hygiene_past past = past_of(&defaults);
    double unknown[100], zero[100] = {0};
    for (size_t i = 0; i < 100; i++) {
        unknown[i] = (double)NAN;
    }
    commit(&past, 1, unknown, 100);
    ck_assert(ceiling(&past, 2) == 0);
    commit(&past, 2, zero, 100);
    ck_assert(ceiling(&past, 3) == 0);
}
END_TEST

START_TEST(only_the_last_rounds_count) {
    struct fed_hygiene_config config = {.norm_factor = 2, .norm_rounds = 3};
    struct fed_hygiene_past past = past_of(&config);
    static const double tall[] = {5, 0}, expected[] = {0, 0, 2 * 5, 2 * 5, 2 * 5, 2 * 1};
    for (uint64_t round = 1; round <= 5; round++) {
        double norms[32];
        for (size_t i = 0; i < 32; i++) {
            norms[i] = round == 2 ? tall[0] : 1;
        }
        commit(&past, round, norms, 32);
        if (round >= 2) {
            ck_assert_msg(ceiling(&past, round + 1) == expected[round], "after %lu: %g", (unsigned long)round,
                          ceiling(&past, round + 1));
        }
    }
    ck_assert(ceiling(&past, 8) == 2); /* of rounds 5 to 7 one is known */
    ck_assert(ceiling(&past, 9) == 0);
}
END_TEST

START_TEST(factor_zero_means_none) {
    struct fed_hygiene_config config = {.norm_factor = 0, .norm_rounds = 20};
    struct fed_hygiene_past past = past_of(&config);
    double norms[40];
    for (size_t i = 0; i < 40; i++) {
        norms[i] = 1;
    }
    commit(&past, 1, norms, 40);
    ck_assert(ceiling(&past, 2) == 0);
}
END_TEST

/* A run in which `bad` of n updates a round are as large as they may be. Returns the ceiling after so many rounds. */
static double pushed(size_t n, size_t bad, uint64_t rounds, double largest_honest) {
    struct fed_hygiene_past past = past_of(&defaults);
    struct fed_rng rng;
    fed_rng_init(&rng, n, "push", bad, 0);
    for (uint64_t round = 1; round <= rounds; round++) {
        double norms[100], most = ceiling(&past, round);
        for (size_t i = 0; i < n; i++) {
            double honest = largest_honest * (1 - 0.9 * fed_rng_f64(&rng));
            norms[i] = i < bad ? (most > 0 ? most : 1e6) : honest;
            ck_assert_msg(i < bad || most == 0 || honest <= most, "an honest update was refused in round %lu",
                          (unsigned long)round);
        }
        commit(&past, round, norms, n);
    }
    return ceiling(&past, rounds + 1);
}

START_TEST(less_than_a_quarter_cannot_push_the_ceiling_up) {
    static const size_t sizes[] = {5, 6, 7, 8, 9, 10, 13, 40, 100};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i], most = (n + 3) / 4 - 1;
        for (size_t bad = 0; bad <= most; bad += most > 0 ? most : 1) {
            double pushed_to = pushed(n, bad, 150, 3.0);
            ck_assert_msg(pushed_to > 0 && pushed_to <= 10 * 3.0, "%zu of %zu: %g", bad, n, pushed_to);
        }
        ck_assert_msg(pushed(n, most + 1, 150, 3.0) > 1e100, "a quarter of %zu does not push: this could not fail", n);
    }
}
END_TEST

/* Nor can they bring it down on the honest: updates of norm 0. */
START_TEST(less_than_a_quarter_cannot_pull_the_ceiling_down) {
    struct fed_hygiene_past past = past_of(&defaults);
    for (uint64_t round = 1; round <= 100; round++) {
        double norms[40] = {0};
        for (size_t i = 9; i < 40; i++) {
            norms[i] = 1 + 0.1 * (double)i;
        }
        commit(&past, round, norms, 40);
        ck_assert_double_ge(ceiling(&past, round + 1), 10);
    }
}
END_TEST

/* -- the clip ----------------------------------------------------------------------------------------------------------- */

static const struct fed_hygiene_config clips = {
    .norm_factor = 0, .norm_rounds = 20, .clip_norm = 2, .clip_quantile = 0.5, .clip_rate = 0.2};

START_TEST(clip_moves_as_the_paper_says) {
    struct fed_hygiene_past past = past_of(&clips);
    struct fed_rng rng;
    double expected = 2;
    fed_rng_init(&rng, 1, "clip", 0, 0);
    for (uint64_t round = 1; round <= 200; round++) {
        double norms[30];
        size_t n = 1 + fed_rng_below(&rng, 30), within = 0;
        ck_assert_double_le(fabs(fed_hygiene_limits(&past, round).clip - expected), 1e-12 * expected);
        expected = fed_hygiene_limits(&past, round).clip;
        for (size_t i = 0; i < n; i++) {
            norms[i] = i == 0 ? expected : 8 * fed_rng_f64(&rng); /* one exactly at the clip */
            within += norms[i] <= expected;
        }
        commit(&past, round, norms, n);
        expected *= exp(-0.2 * ((double)within / (double)n - 0.5));
    }
}
END_TEST

START_TEST(clip_comes_to_the_quantile_that_was_asked_for) {
    struct fed_hygiene_config config = clips;
    config.clip_norm = 1000;
    config.clip_quantile = 0.8;
    struct fed_hygiene_past past = past_of(&config);
    double norms[1000];
    for (size_t i = 0; i < 1000; i++) {
        norms[i] = (double)(i + 1) / 1000;
    }
    for (uint64_t round = 1; round <= 400; round++) {
        commit(&past, round, norms, 1000);
    }
    ck_assert_double_le(fabs(fed_hygiene_limits(&past, 401).clip - 0.8), 0.002);
}
END_TEST

START_TEST(clip_stays_where_nothing_is_known_and_within_what_can_be_used) {
    struct fed_hygiene_past past = past_of(&clips);
    const double unknown[] = {(double)NAN}, zero[] = {0};
    commit(&past, 1, unknown, 1);
    ck_assert(fed_hygiene_limits(&past, 2).clip == 2);
    commit(&past, 2, NULL, 0);
    ck_assert(fed_hygiene_limits(&past, 3).clip == 2);
    for (uint64_t round = 3; round < 3000; round++) {
        commit(&past, round, zero, 1);
    }
    ck_assert(fed_hygiene_limits(&past, 3000).clip > 0);
    ck_assert(past_of(&defaults).clip == 0);
}
END_TEST

/* -- the share ---------------------------------------------------------------------------------------------------------- */

/* One client with most of the weight among nine others: where it comes to. */
static double share_of_the_largest(double max_share, uint64_t large, uint64_t small) {
    struct fed_hygiene_config config = {.norm_factor = 0, .norm_rounds = 20, .max_share = max_share};
    struct fed_hygiene_past past = past_of(&config);
    double share = 0;
    for (uint64_t round = 1; round <= 200; round++) {
        uint32_t cap = fed_hygiene_limits(&past, round).weight_cap;
        double norms[10] = {0};
        uint64_t a = cap > 0 && large > cap ? cap : large, b = cap > 0 && small > cap ? cap : small;
        ck_assert(round == 1 ? cap == 0 : cap >= 1);
        share = (double)a / (double)(a + 9 * b);
        fed_hygiene_committed(&past, &(struct fed_hygiene_round){
                                         .round = round, .norms = norms, .n = 10, .weight = a + 9 * b, .weight_cap = cap});
    }
    return share;
}

START_TEST(nobody_keeps_more_than_the_share) {
    ck_assert_double_le(fabs(share_of_the_largest(0.3, 90000, 1000) - 0.3), 1e-3);
    ck_assert_double_le(fabs(share_of_the_largest(0.5, 90000, 1000) - 0.5), 1e-3);
    ck_assert(share_of_the_largest(1, 90000, 1000) == 90000.0 / 99000);
    ck_assert(share_of_the_largest(0.2, 1000, 1000) == 0.1); /* within it: not touched */
}
END_TEST

START_TEST(share_that_cannot_be_kept_makes_all_equal) { ck_assert(share_of_the_largest(0.05, 90000, 1000) == 0.1); }
END_TEST

START_TEST(first_round_is_capped_by_what_is_known_of_the_split) {
    struct fed_hygiene_config config = {.norm_factor = 0, .norm_rounds = 20, .max_share = 0.1, .first_weight_cap = 600};
    struct fed_hygiene_past past = past_of(&config);
    double norms[1] = {0};
    ck_assert_uint_eq(fed_hygiene_limits(&past, 1).weight_cap, 600);
    fed_hygiene_committed(&past, &(struct fed_hygiene_round){.round = 1, .norms = norms, .n = 1, .weight = 5});
    ck_assert_uint_eq(fed_hygiene_limits(&past, 2).weight_cap, 1); /* never 0, which would be none */
    fed_hygiene_committed(&past, &(struct fed_hygiene_round){.round = 2, .norms = norms, .n = 1, .weight = UINT64_MAX});
    ck_assert_uint_eq(fed_hygiene_limits(&past, 3).weight_cap, UINT32_MAX);
    ck_assert_uint_eq(past_of(&defaults).weight_cap, 0);
}
END_TEST

/* -- read back ---------------------------------------------------------------------------------------------------------- */

static char dir[] = "/tmp/check_hygiene.XXXXXX";

static void make_dir(void) {
    strcpy(dir + sizeof dir - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void) {
    char path[512];
    DIR *listing = opendir(dir);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    closedir(listing);
    ck_assert_int_eq(rmdir(dir), 0);
}

enum { CLIENTS = 12 };

static void store_round(struct fed_store *store, uint64_t round, const double *norms, size_t n,
                        const struct fed_update_limits *limits, const struct fed_store_rollback *rollback) {
    struct fed_store_update updates[CLIENTS] = {0};
    for (size_t i = 0; i < n; i++) {
        updates[i] = (struct fed_store_update){.node = "n", .client = i, .weight = 100, .norm = norms[i]};
    }
    struct fed_store_commit commit = {.round = round,
                                      .attempt = round > 0 && rollback == NULL,
                                      .header = "h",
                                      .n_header = 1,
                                      .params = "p",
                                      .n_params_bytes = 1,
                                      .updates = updates,
                                      .n_updates = n,
                                      .norm_ceiling = limits->norm_ceiling,
                                      .clip = limits->clip,
                                      .weight_cap = limits->weight_cap,
                                      .rollback = rollback,
                                      .keep_good = true};
    ck_assert_int_eq(fed_store_commit(store, &commit, 3, NULL), FED_OK);
}

static void same_limits(const struct fed_hygiene_past *a, const struct fed_hygiene_past *b, uint64_t round) {
    struct fed_update_limits x = fed_hygiene_limits(a, round), y = fed_hygiene_limits(b, round);
    ck_assert_msg(x.norm_ceiling == y.norm_ceiling && x.clip == y.clip && x.weight_cap == y.weight_cap,
                  "round %lu: ceiling %a and %a, clip %a and %a, cap %u and %u", (unsigned long)round, x.norm_ceiling,
                  y.norm_ceiling, x.clip, y.clip, x.weight_cap, y.weight_cap);
}

static const struct fed_hygiene_config all = {.norm_factor = 10,
                                              .norm_rounds = 4,
                                              .clip_norm = 1,
                                              .clip_quantile = 0.3,
                                              .clip_rate = 0.5,
                                              .max_share = 0.2,
                                              .first_weight_cap = 90};

static void round_norms(double norms[CLIENTS], uint64_t round) {
    struct fed_rng rng;
    fed_rng_init(&rng, round, "norms", 0, 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        norms[i] = i == 3 ? (double)NAN : fed_rng_f64(&rng);
    }
}

static struct fed_hygiene_past read_back(struct fed_store *store) {
    struct fed_hygiene_past past;
    ck_assert_int_eq(fed_hygiene_read(&past, &all, store, NULL), FED_OK);
    return past;
}

/* After each round, as if the coordinator had been killed then. */
START_TEST(what_is_read_from_the_run_is_what_was_remembered) {
    struct fed_store *store;
    struct fed_hygiene_past past = past_of(&all);
    ck_assert_int_eq(fed_store_open(&store, dir, "{}", "{}", NULL), FED_OK);
    struct fed_hygiene_past again = read_back(store); /* a new run */
    same_limits(&past, &again, 1);
    store_round(store, 0, NULL, 0, &(struct fed_update_limits){0}, NULL);
    for (uint64_t round = 1; round <= 15; round++) {
        struct fed_update_limits held = fed_hygiene_limits(&past, round);
        double norms[CLIENTS];
        round_norms(norms, round);
        store_round(store, round, norms, CLIENTS, &held, NULL);
        fed_hygiene_committed(&past, &(struct fed_hygiene_round){.round = round,
                                                                 .norms = norms,
                                                                 .n = CLIENTS,
                                                                 .weight = 100 * CLIENTS,
                                                                 .clip = held.clip,
                                                                 .weight_cap = held.weight_cap});
        again = read_back(store);
        same_limits(&past, &again, round + 1);
        ck_assert((fed_hygiene_limits(&past, round + 1).norm_ceiling > 0) == (round >= 3)); /* 33 norms */
    }
    fed_store_close(store);
}
END_TEST

/* Rounds 4 and 5 fall, 6 is round 3 again: limits are those that round 3 had left, but that the window has moved on. */
START_TEST(rounds_that_fell_have_no_say) {
    struct fed_store *store;
    struct fed_update_limits held[7] = {{0}};
    ck_assert_int_eq(fed_store_open(&store, dir, "{}", "{}", NULL), FED_OK);
    store_round(store, 0, NULL, 0, &held[0], NULL);
    for (uint64_t round = 1; round <= 5; round++) {
        double norms[CLIENTS];
        struct fed_hygiene_past before = read_back(store);
        held[round] = fed_hygiene_limits(&before, round);
        round_norms(norms, round);
        for (size_t i = 0; round >= 4 && i < CLIENTS; i++) {
            norms[i] = 1e3;
        }
        store_round(store, round, norms, CLIENTS, &held[round], NULL);
        if (round == 3) {
            ck_assert_int_eq(fed_store_evaluation(store, 3, 0.5, 0.5, false, NULL), FED_OK);
        }
    }
    struct fed_hygiene_past blown = read_back(store);
    ck_assert(fed_hygiene_limits(&blown, 6).norm_ceiling == 1e4);
    struct fed_store_rollback rollback = {.round = 6, .to_round = 3, .reason = "exploded", .loss = 9, .reference = 1};
    store_round(store, 6, NULL, 0, &(struct fed_update_limits){0}, &rollback);
    struct fed_hygiene_past past = read_back(store);
    struct fed_update_limits now = fed_hygiene_limits(&past, 7);
    ck_assert(now.norm_ceiling == 0); /* of rounds 3 to 6 only 3 stands: 11 norms */
    ck_assert(now.clip == held[3].clip);
    ck_assert_uint_eq(now.weight_cap, held[3].weight_cap);
    fed_store_close(store);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hygiene");
    TCase *norms = tcase_create("norms"), *clip = tcase_create("clip"), *share = tcase_create("share"),
          *back = tcase_create("back");
    tcase_add_test(norms, reference_is_the_norm_that_less_than_a_quarter_are_above);
    tcase_add_test(norms, there_is_no_ceiling_before_there_are_32_norms);
    tcase_add_test(norms, norms_that_are_not_known_or_zero_make_no_ceiling);
    tcase_add_test(norms, only_the_last_rounds_count);
    tcase_add_test(norms, factor_zero_means_none);
    tcase_add_test(norms, less_than_a_quarter_cannot_push_the_ceiling_up);
    tcase_add_test(norms, less_than_a_quarter_cannot_pull_the_ceiling_down);
    tcase_add_test(clip, clip_moves_as_the_paper_says);
    tcase_add_test(clip, clip_comes_to_the_quantile_that_was_asked_for);
    tcase_add_test(clip, clip_stays_where_nothing_is_known_and_within_what_can_be_used);
    tcase_add_test(share, nobody_keeps_more_than_the_share);
    tcase_add_test(share, share_that_cannot_be_kept_makes_all_equal);
    tcase_add_test(share, first_round_is_capped_by_what_is_known_of_the_split);
    tcase_add_checked_fixture(back, make_dir, remove_dir);
    tcase_add_test(back, what_is_read_from_the_run_is_what_was_remembered);
    tcase_add_test(back, rounds_that_fell_have_no_say);
    suite_add_tcase(suite, norms);
    suite_add_tcase(suite, clip);
    suite_add_tcase(suite, share);
    suite_add_tcase(suite, back);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
