/* What hygiene leaves in a run and asks of it: norms, rules, rollbacks, quarantines. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/seal/digest.h"
#include "coordinator/store/store.h"
#include "tests/unit/store/fixture.h"

static void take_norm(void *context, const struct fed_store_norm *norm) {
    struct rows *rows = context;
    bool known = rows->n % 2 == 1; /* as try_commit has them; the client of the other is -1 to SQLite */
    ck_assert(known ? norm->norm == 2.25 && norm->weight == 600 : isnan(norm->norm) && norm->weight == 400);
    rows->last.round = norm->round;
    rows->n++;
}

static size_t count_norms(struct fed_store *store, uint64_t from) {
    struct rows rows = {0};
    ck_assert_int_eq(fed_store_norms(store, from, take_norm, &rows, NULL), FED_OK);
    return rows.n;
}

static int try_rules(struct fed_store *store, uint64_t round, double ceiling, double clip, uint64_t cap) {
    struct fed_store_commit commit = {
        .round = round, .attempt = 1, .header = "", .params = "", .norm_ceiling = ceiling, .clip = clip, .weight_cap = cap};
    return fed_store_commit(store, &commit, 3, NULL);
}

static int try_rollback(struct fed_store *store, uint64_t round, uint64_t to_round, uint64_t keep_last) {
    float params[N_PARAMS];
    params_of(params, to_round);
    struct fed_store_rollback rollback = {round, to_round, "exploded", 900.0, 2.5, 0};
    struct fed_store_commit commit = {.round = round,
                                      .header = "header--",
                                      .n_header = 8,
                                      .params = params,
                                      .n_params_bytes = sizeof params,
                                      .rollback = &rollback,
                                      .keep_good = true};
    fed_digest(commit.model_digest, params, sizeof params);
    return fed_store_commit(store, &commit, keep_last, NULL);
}

START_TEST(norms_are_those_of_committed_rounds) {
    struct fed_store *store = run_up_to(4);
    ck_assert_uint_eq(count_norms(store, 0), 8);
    ck_assert_uint_eq(count_norms(store, 4), 2);
    ck_assert_uint_eq(count_norms(store, 5), 0);
    fed_store_close(store);
}
END_TEST

START_TEST(rules_of_a_round_are_kept_and_none_is_none) {
    struct rows rows = {0};
    struct fed_store *store = open_run();
    ck_assert_int_eq(try_rules(store, 0, 0, (double)NAN, 0), FED_OK);
    struct fed_store_state state = state_of(store);
    ck_assert(isnan(state.norm_ceiling) && isnan(state.clip) && state.weight_cap == 0);
    ck_assert_int_eq(try_rules(store, 1, 12.5, 0.75, 600), FED_OK);
    fed_store_close(store);
    store = open_run();
    state = state_of(store);
    ck_assert(state.norm_ceiling == 12.5 && state.clip == 0.75 && state.weight_cap == 600 && !state.rolled_back);
    ck_assert_int_eq(fed_store_rounds(store, 1, take_round, &rows, NULL), FED_OK);
    ck_assert(rows.last.norm_ceiling == 12.5 && rows.last.clip == 0.75 && rows.last.weight_cap == 600);
    fed_store_close(store);
}
END_TEST

static void take_rollback(void *context, const struct fed_store_rollback *rollback) {
    size_t *n = context;
    ck_assert_uint_eq(rollback->round, 4);
    ck_assert_uint_eq(rollback->to_round, 1);
    ck_assert_str_eq(rollback->reason, "exploded");
    ck_assert(rollback->loss == 900.0 && rollback->reference == 2.5);
    ck_assert(llabs(rollback->wall_ms - fed_clock_wall_ms()) < 3600 * 1000);
    (*n)++;
}

/* Rounds 2 and 3 fall: round 4 is round 1 again, in all that is judged from the store. */
START_TEST(rollback_is_a_round_with_the_model_and_evaluation_of_an_older_one) {
    size_t n = 0;
    uint64_t round = 99;
    double value = 0;
    struct fed_store *store = run_up_to(1);
    evaluate(store, 1, 0.5, false);
    commit(store, 2, 3);
    ck_assert_int_eq(try_rules(store, 3, 9, 9, 9), FED_OK);
    ck_assert_int_eq(fed_store_evaluation(store, 3, 900.0, 0.9, false, NULL), FED_OK); /* wrong, but sure of it */
    ck_assert_int_eq(try_rollback(store, 4, 1, 3), FED_OK);
    struct fed_store_state state = state_of(store);
    ck_assert(state.round == 4 && state.rolled_back && state.evaluated && state.accuracy == 0.5 && state.loss == 0.5);
    ck_assert(isnan(state.norm_ceiling) && isnan(state.clip) && state.weight_cap == 0);
    ck_assert_int_eq(fed_store_best(&round, &value, store, NULL), FED_OK);
    ck_assert(round == 1 && value == 0.5);
    ck_assert_uint_eq(count_norms(store, 0), 2); /* round 2 has no say in what follows */
    ck_assert_int_eq(fed_store_rollbacks(store, 0, take_rollback, &n, NULL), FED_OK);
    ck_assert_int_eq(fed_store_rollbacks(store, 5, take_rollback, &n, NULL), FED_OK);
    ck_assert_uint_eq(n, 1);
    fed_store_close(store);
}
END_TEST

START_TEST(rollback_that_fails_leaves_the_run_as_it_was) {
    struct fed_store *store = run_up_to(1);
    evaluate(store, 1, 0.5, false);
    ck_assert_int_eq(fed_store_evaluation(store, 2, 0.5, 0.5, false, NULL), FED_OK); /* the copy will find its place taken */
    ck_assert_int_eq(try_rollback(store, 2, 1, 3), FED_EFAILED);
    struct fed_store_state state = state_of(store);
    ck_assert(state.round == 1 && !state.rolled_back);
    size_t n = 0;
    ck_assert_int_eq(fed_store_rollbacks(store, 0, take_rollback, &n, NULL), FED_OK);
    ck_assert_uint_eq(n, 0);
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(reference_is_the_first_loss_and_the_recent_ones_that_stand) {
    static const double losses[] = {99, 2.0, 1.0, 3.0, 0.5, 0.25, (double)NAN, (double)INFINITY, 0.125};
    struct fed_store *store = open_run();
    for (uint64_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        commit(store, i, 3);
        ck_assert_int_eq(fed_store_evaluation(store, i, losses[i], (double)NAN, false, NULL), FED_OK);
    }
    ck_assert(isnan(reference(store, 1, 8)));
    ck_assert(reference(store, 2, 8) == 2.0);
    ck_assert(reference(store, 9, 8) == 3.0);
    ck_assert(reference(store, 9, 2) == 2.0); /* the first is always asked */
    ck_assert(reference(store, 4, 1) == 3.0);
    uint64_t good = 99;
    ck_assert_int_eq(fed_store_last_good(&good, store, 8, NULL), FED_OK);
    ck_assert_uint_eq(good, 5);
    ck_assert_int_eq(fed_store_last_good(&good, store, 9, NULL), FED_OK);
    ck_assert_uint_eq(good, 8);
    ck_assert_int_eq(try_rollback(store, 9, 2, 3), FED_OK);
    ck_assert(reference(store, 10, 8) == 2.0); /* 3.0 fell; 2.0, 1.0 and the copy of 1.0 stand */
    ck_assert_int_eq(fed_store_last_good(&good, store, 9, NULL), FED_OK);
    ck_assert_uint_eq(good, 2);
    fed_store_close(store);
}
END_TEST

static void take_quarantine(void *context, const struct fed_store_quarantine *quarantine) {
    int64_t *sum = context;
    ck_assert_str_eq(quarantine->reason, "norm");
    ck_assert_uint_eq(quarantine->refusals, 3);
    ck_assert_str_eq(quarantine->node, quarantine->until_ms == 5000 ? "ward-8" : "ward-7");
    *sum += quarantine->since_ms;
}

START_TEST(quarantines_are_on_record) {
    static const struct fed_store_quarantine rows[] = {
        {"ward-7", 100, 700, "norm", 3}, {"ward-8", 3000, 5000, "norm", 3}, {"ward-7", 2000, 3200, "norm", 3}};
    int64_t sum = 0;
    struct fed_store *store = open_run();
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(fed_store_quarantine(store, &rows[i], NULL), FED_OK);
    }
    fed_store_close(store);
    store = open_run();
    ck_assert_int_eq(fed_store_quarantines(store, 0, take_quarantine, &sum, NULL), FED_OK);
    ck_assert_int_eq(sum, 5100);
    sum = 0;
    ck_assert_int_eq(fed_store_quarantines(store, 3200, take_quarantine, &sum, NULL), FED_OK);
    ck_assert_int_eq(sum, 3000);
    fed_store_close(store);
}
END_TEST

TCase *hygiene_cases(void) {
    TCase *cases = store_case("hygiene");
    tcase_add_test(cases, norms_are_those_of_committed_rounds);
    tcase_add_test(cases, rules_of_a_round_are_kept_and_none_is_none);
    tcase_add_test(cases, rollback_is_a_round_with_the_model_and_evaluation_of_an_older_one);
    tcase_add_test(cases, rollback_that_fails_leaves_the_run_as_it_was);
    tcase_add_test(cases, reference_is_the_first_loss_and_the_recent_ones_that_stand);
    tcase_add_test(cases, quarantines_are_on_record);
    return cases;
}
