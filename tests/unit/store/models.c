/* Which model files stay, and which are swept. */
#include <check.h>
#include <inttypes.h>

#include "coordinator/store/store.h"
#include "tests/unit/store/fixture.h"

/* Evaluated every few rounds: what a rollback would return to is older than what keep_last keeps. */
START_TEST(model_that_a_rollback_would_return_to_stays) {
    struct fed_store *store = open_run();
    float params[N_PARAMS] = {0};
    for (uint64_t round = 0; round <= 9; round++) {
        struct fed_store_commit commit = {.round = round,
                                          .attempt = 1,
                                          .header = "",
                                          .params = params,
                                          .n_params_bytes = sizeof params,
                                          .keep_good = true};
        ck_assert_int_eq(fed_store_commit(store, &commit, 2, NULL), FED_OK);
        ck_assert(has_model(0) == (round <= 3)); /* the initial model is the last good one until another is known */
        if (round == 3 || round == 4) {          /* and 4 is better, so 3 is kept for nothing else */
            evaluate(store, round, 0.1 * (double)round, false);
        }
    }
    ck_assert(has_model(4) && !has_model(3) && !has_model(7) && has_model(8) && has_model(9));
    fed_store_close(store);
}
END_TEST

START_TEST(last_models_best_and_target_stay) {
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round <= 9; round++) {
        commit(store, round, 3);
        if (round > 0) {
            evaluate(store, round, round == 4 ? 0.9 : 0.5, round == 2);
        }
    }
    for (uint64_t round = 0; round <= 9; round++) {
        ck_assert_msg(has_model(round) == (round >= 7 || round == 4 || round == 2), "round %" PRIu64, round);
    }
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(evaluation_that_comes_one_round_late_finds_its_model) {
    struct fed_store *store = open_run();
    commit(store, 0, 1);
    commit(store, 1, 1);
    commit(store, 2, 1);
    evaluate(store, 1, 0.9, false);
    commit(store, 3, 1);
    commit(store, 4, 1);
    ck_assert(has_model(1) && !has_model(2) && has_model(3) && has_model(4));
    fed_store_close(store);
}
END_TEST

START_TEST(files_of_others_stay) {
    static const char *const others[] = {"model-007.safetensors",
                                         "model-1.safetensors.bak",
                                         "model-.safetensors",
                                         "model-+1.safetensors",
                                         "model--1.safetensors",
                                         "model- 1.safetensors",
                                         "my-model-1.safetensors",
                                         "model-1.safetensors~",
                                         "model-1",
                                         "model-99999999999999999999.safetensors",
                                         "notes.tmp"};
    fed_store_close(open_run());
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        put_file(others[i], "mine");
    }
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round <= 5; round++) {
        commit(store, round, 1);
    }
    fed_store_close(store);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_msg(exists(others[i]), "%s", others[i]);
    }
}
END_TEST

START_TEST(what_a_crash_left_is_swept) {
    struct fed_store *store = run_up_to(1);
    fed_store_close(store);
    put_file("model-2.safetensors", "committed in no row");
    put_file("model-1.safetensors.tmp.4711", "cut off");
    store = open_run();
    ck_assert(has_model(1) && !has_model(2) && !exists("model-1.safetensors.tmp.4711"));
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(initial_model_without_a_row_is_swept) {
    fed_store_close(open_run());
    put_file("model-0.safetensors", "committed in no row");
    fed_store_close(open_run());
    ck_assert(!has_model(0));
}
END_TEST

TCase *models_cases(void) {
    TCase *cases = store_case("models");
    tcase_add_test(cases, model_that_a_rollback_would_return_to_stays);
    tcase_add_test(cases, last_models_best_and_target_stay);
    tcase_add_test(cases, evaluation_that_comes_one_round_late_finds_its_model);
    tcase_add_test(cases, files_of_others_stay);
    tcase_add_test(cases, what_a_crash_left_is_swept);
    tcase_add_test(cases, initial_model_without_a_row_is_swept);
    return cases;
}
