/* What a run keeps of its rounds: attempts, models, rows, evaluations, and what computed them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "coordinator/store/store.h"
#include "coordinator/store/store_builds.h"
#include "tests/unit/store/fixture.h"

START_TEST(attempt_is_remembered_until_its_round_commits) {
    const uint64_t cohort[] = {3, 0, UINT64_MAX, (uint64_t)1 << 63};
    struct fed_store *store = run_up_to(0);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, cohort, 1, NULL), FED_OK);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 2, cohort, 4, NULL), FED_OK);
    fed_store_close(store);
    store = open_run();
    struct fed_store_state state = state_of(store);
    ck_assert_uint_eq(state.attempt, 2);
    ck_assert_uint_eq(state.n_cohort, 4);
    ck_assert_mem_eq(state.cohort, cohort, sizeof cohort);
    free(state.cohort);
    commit(store, 1, 3);
    state = state_of(store);
    ck_assert_uint_eq(state.attempt, 0);
    ck_assert_uint_eq(state.n_cohort, 0);
    free(state.cohort);
    fed_store_close(store);
}
END_TEST

START_TEST(attempt_is_opened_once) {
    struct fed_store *store = open_run();
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, NULL, 0, NULL), FED_OK);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, NULL, 0, NULL), FED_EFAILED);
    fed_store_close(store);
}
END_TEST

START_TEST(committed_model_is_on_disk_and_is_the_state) {
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round < 3; round++) {
        commit(store, round, 3);
        check_sound(store);
    }
    fed_store_close(store);
    store = open_run();
    struct fed_store_state state = state_of(store);
    ck_assert_uint_eq(state.round, 2);
    ck_assert(!state.evaluated && isnan(state.accuracy) && isnan(state.loss));
    check_sound(store);
    evaluate(store, 2, 0.75, false);
    state = state_of(store);
    ck_assert(state.evaluated && state.accuracy == 0.75 && state.loss == 0.25);
    ck_assert_int_eq(fed_store_evaluation(store, 2, 0.5, (double)NAN, false, NULL), FED_OK); /* a model without classes */
    state = state_of(store);
    ck_assert(state.evaluated && isnan(state.accuracy) && state.loss == 0.5);
    fed_store_close(store);
}
END_TEST

START_TEST(client_cannot_count_twice_in_a_round) {
    const struct fed_store_update twice[] = {{"ward-7", 0, 7, 600, 0.5, 1}, {"ward-8", 0, 7, 600, 0.5, 1}};
    struct fed_error err = {""};
    struct fed_store *store = run_up_to(0);
    ck_assert_int_eq(commit_updates(store, 1, 3, twice, 2, &err), FED_EFAILED);
    ck_assert_uint_eq(state_of(store).round, 0);
    commit(store, 1, 3);
    check_sound(store);
    fed_store_close(store);
}
END_TEST

static void take_refusal(void *context, const struct fed_store_refusal *refusal) {
    struct rows *rows = context;
    bool first = strcmp(refusal->node, "ward-7") == 0 && strcmp(refusal->reason, "too_large") == 0;
    ck_assert(first || (strcmp(refusal->node, "ward-9") == 0 && strcmp(refusal->reason, "stale") == 0));
    rows->refused[first ? 0 : 1] = refusal->count;
    rows->n++;
}

START_TEST(rows_tell_each_round_and_refusals_in_total) {
    struct fed_store *store = run_up_to(5);
    evaluate(store, 5, 0.5, false);
    struct rows rows = {0};
    ck_assert_int_eq(fed_store_rounds(store, 0, take_round, &rows, NULL), FED_OK);
    ck_assert_uint_eq(rows.n, 6);
    ck_assert_uint_eq(rows.last.clients, 2);
    ck_assert_uint_eq(rows.last.weight, 1000);
    ck_assert_uint_eq(rows.last.bytes_down, 1005);
    ck_assert_uint_eq(rows.last.bytes_up, 2005);
    ck_assert_uint_eq(rows.last.attempt, 1);
    ck_assert(rows.last.accuracy == 0.5 && rows.last.seconds == 1.5 && rows.last.train_seconds == 1.25);
    ck_assert(llabs(rows.last.wall_ms - fed_clock_wall_ms()) < 3600 * 1000);
    rows = (struct rows){0};
    ck_assert_int_eq(fed_store_rounds(store, 4, take_round, &rows, NULL), FED_OK);
    ck_assert_uint_eq(rows.n, 2);
    rows = (struct rows){0};
    ck_assert_int_eq(fed_store_refusals(store, take_refusal, &rows, NULL), FED_OK);
    ck_assert_uint_eq(rows.n, 2);
    ck_assert_uint_eq(rows.refused[0], 10);
    ck_assert_uint_eq(rows.refused[1], 5);
    fed_store_close(store);
}
END_TEST

START_TEST(best_is_the_first_of_the_most_accurate) {
    uint64_t round = 99;
    double accuracy = -1;
    struct fed_store *store = open_run();
    ck_assert_int_eq(fed_store_best(&round, &accuracy, store, NULL), FED_ENOTFOUND);
    ck_assert_uint_eq(round, 99);
    evaluate(store, 0, 0.99, false); /* round 0 is nobody's merit */
    evaluate(store, 1, (double)NAN, false);
    ck_assert_int_eq(fed_store_best(&round, &accuracy, store, NULL), FED_ENOTFOUND);
    evaluate(store, 4, 0.8, false);
    evaluate(store, 3, 0.8, false);
    evaluate(store, 2, 0.7, false);
    ck_assert_int_eq(fed_store_best(&round, &accuracy, store, NULL), FED_OK);
    ck_assert_uint_eq(round, 3);
    ck_assert(accuracy == 0.8);
    fed_store_close(store);
}
END_TEST

START_TEST(without_accuracies_the_least_loss_is_the_best) {
    static const double losses[] = {0.1, 0.5, 0.25, (double)NAN, 0.25, (double)INFINITY};
    uint64_t round = 99;
    double accuracy = -1, loss = -1;
    struct fed_store *store = open_run();
    for (uint64_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        ck_assert_int_eq(fed_store_evaluation(store, i, losses[i], (double)NAN, false, NULL), FED_OK);
    }
    ck_assert_int_eq(fed_store_best(&round, &accuracy, store, NULL), FED_OK);
    ck_assert_uint_eq(round, 2);
    ck_assert(isnan(accuracy));
    ck_assert_int_eq(fed_store_last_evaluated(&round, &loss, &accuracy, store, NULL), FED_OK);
    ck_assert_uint_eq(round, 5);
    ck_assert(isnan(accuracy) && isinf(loss));
    fed_store_close(store);
}
END_TEST

START_TEST(target_is_the_first_round_that_reached_it) {
    struct fed_store *store = open_run();
    evaluate(store, 1, 0.1, false);
    ck_assert_uint_eq(state_of(store).target_round, 0);
    evaluate(store, 3, 0.9, true);
    evaluate(store, 2, 0.9, true);
    evaluate(store, 4, 0.9, true);
    ck_assert_uint_eq(state_of(store).target_round, 2);
    evaluate(store, 3, 0.9, false); /* another round's mark is not touched */
    ck_assert_uint_eq(state_of(store).target_round, 2);
    evaluate(store, 2, 0.9, false); /* judged anew: not reached after all */
    ck_assert_uint_eq(state_of(store).target_round, 0);
    fed_store_close(store);
}
END_TEST

START_TEST(finished_run_says_so_until_it_goes_on) {
    struct fed_store *store = run_up_to(1);
    ck_assert_int_eq(fed_store_finish(store, 1, NULL), FED_OK);
    fed_store_close(store);
    store = open_run();
    struct fed_store_state state = state_of(store);
    ck_assert(state.finished);
    ck_assert_uint_eq(state.result_round, 1);
    commit(store, 2, 3);
    ck_assert(!state_of(store).finished);
    fed_store_close(store);
}
END_TEST

struct builds {
    struct fed_store_build row[4];
    size_t n;
};

static void take_build(void *context, const struct fed_store_build *build) {
    struct builds *builds = context;
    ck_assert_uint_lt(builds->n, 4);
    builds->row[builds->n++] = *build;
}

START_TEST(builds_are_recorded_when_they_change) {
    static const struct fed_store_build starts[] = {{0, 0, "0.1.0", "avx512", "x86_64"},
                                                    {3, 0, "0.1.0", "avx512", "x86_64"},
                                                    {5, 0, "0.2.0", "avx512", "x86_64"},
                                                    {7, 0, "0.2.0", "avx2", "x86_64"},
                                                    {9, 0, "0.2.0", "avx2", "another"}};
    struct builds found = {.n = 0};
    struct fed_store *store = open_run();
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        ck_assert_int_eq(fed_store_record_build(store, &starts[i], NULL), FED_OK);
    }
    fed_store_close(store);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    ck_assert_int_eq(fed_store_builds(store, take_build, &found, NULL), FED_OK);
    fed_store_close(store);
    static const size_t kept[] = {0, 2, 3, 4};
    ck_assert_uint_eq(found.n, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(found.row[i].round, starts[kept[i]].round);
        ck_assert_str_eq(found.row[i].fedavg, starts[kept[i]].fedavg);
        ck_assert_str_eq(found.row[i].kernels, starts[kept[i]].kernels);
        ck_assert_str_eq(found.row[i].cpu, starts[kept[i]].cpu);
        ck_assert(found.row[i].since_ms > 0);
    }
}
END_TEST

TCase *rounds_cases(void) {
    TCase *cases = store_case("rounds");
    tcase_add_test(cases, attempt_is_remembered_until_its_round_commits);
    tcase_add_test(cases, attempt_is_opened_once);
    tcase_add_test(cases, committed_model_is_on_disk_and_is_the_state);
    tcase_add_test(cases, client_cannot_count_twice_in_a_round);
    tcase_add_test(cases, rows_tell_each_round_and_refusals_in_total);
    tcase_add_test(cases, best_is_the_first_of_the_most_accurate);
    tcase_add_test(cases, without_accuracies_the_least_loss_is_the_best);
    tcase_add_test(cases, target_is_the_first_round_that_reached_it);
    tcase_add_test(cases, finished_run_says_so_until_it_goes_on);
    tcase_add_test(cases, builds_are_recorded_when_they_change);
    return cases;
}
