/* What a run is defined by: which fields of a task are in its terms, what is derived, and what may change. */
#include "coordinator/terms.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct fed_task a_task(void) {
    struct fed_task task = {
        .name = "wards",
        .seed = 12,
        .model = {.input = {784}, .n_layers = 1, .layers = {{10, FED_LINEAR}}},
        .partition = {.kind = FED_PARTITION_IID, .clients = 100},
        .algorithm = {.rounds = 400,
                      .fraction = 0.1,
                      .epochs = 5,
                      .batch_size = 10,
                      .learning_rate = 0.2,
                      .learning_rate_decay = 0.99,
                      .target_accuracy = 0.97,
                      .max_delta = 64},
        .round = {.over_select = 1.0, .min_reports = 0.8, .deadline_s = 600, .rejoin_s = 30, .evaluate_every = 1},
        .server = {.keep_last = 3, .partial_sums = true},
    };
    return task;
}

START_TEST(terms_hold_what_defines_the_result) {
    struct fed_task task = a_task();
    struct fed_task_terms terms;
    uint8_t digest[32] = {1, 2, 3};
    fed_terms_from_task(&terms, &task, digest, 600, 100);
    ck_assert_str_eq(terms.name, "wards");
    ck_assert_uint_eq(terms.seed, 12);
    ck_assert_mem_eq(&terms.model, &task.model, sizeof task.model);
    ck_assert(terms.has_partition);
    ck_assert_mem_eq(terms.partition_digest, digest, sizeof digest);
    ck_assert_uint_eq(terms.partition.clients, 100);
    ck_assert_uint_eq(terms.epochs, 5);
    ck_assert_uint_eq(terms.batch_size, 10);
    ck_assert(terms.fraction == 0.1 && terms.learning_rate == 0.2 && terms.learning_rate_decay == 0.99);
    ck_assert(terms.max_delta == 64);
}
END_TEST

START_TEST(without_a_partition_nothing_is_said_of_one) {
    struct fed_task task = a_task();
    struct fed_task_terms terms;
    static const struct fed_partition_spec none;
    fed_terms_from_task(&terms, &task, NULL, 0, 100);
    ck_assert(!terms.has_partition);
    ck_assert_mem_eq(&terms.partition, &none, sizeof none);
}
END_TEST

START_TEST(weights_are_capped_by_the_task_else_by_the_largest_shard_else_by_a_million) {
    static const struct {
        uint64_t said, largest, expected;
    } rows[] = {{0, 600, 600}, {50, 600, 50}, {5000, 600, 5000}, {0, 0, 1 << 20}, {7, 0, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fed_task task = a_task();
        struct fed_task_terms terms;
        task.algorithm.max_weight = rows[i].said;
        fed_terms_from_task(&terms, &task, NULL, rows[i].largest, 100);
        ck_assert_uint_eq(terms.max_weight, rows[i].expected);
    }
}
END_TEST

START_TEST(weights_below_a_known_shard_are_refused_in_one_sentence) {
    static const struct {
        uint64_t said, largest;
        bool wrong;
    } rows[] = {{599, 600, true}, {1, 600, true}, {600, 600, false}, {5000, 600, false}, {0, 600, false}, {7, 0, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fed_task task = a_task();
        struct fed_error err = {""};
        task.path = "wards.yaml";
        task.algorithm.max_weight = rows[i].said;
        ck_assert_int_eq(fed_terms_check_weights(&task, rows[i].largest, &err), rows[i].wrong ? FED_ECONFIG : FED_OK);
        ck_assert_int_eq(err.text[0] != '\0', rows[i].wrong);
    }
    struct fed_task task = a_task();
    struct fed_error err = {""};
    task.path = "wards.yaml";
    task.algorithm.max_weight = 50;
    ck_assert_int_eq(fed_terms_check_weights(&task, 600, &err), FED_ECONFIG);
    ck_assert_msg(strncmp(err.text,
                          "wards.yaml: algorithm.max_weight: 50 found, but the largest shard of the split holds 600",
                          88) == 0,
                  "%s", err.text);
}
END_TEST

/* The number stands in the terms, so a roster that grows must not change it, as long as it does not have to. */
START_TEST(updates_are_bounded_by_a_power_of_two_above_the_cohort) {
    static const struct {
        double fraction, over_select;
        uint64_t population, expected;
    } rows[] = {{0.1, 1.0, 100, 2048},        {1.0, 1.0, 2048, 2048},       {1.0, 1.0, 2049, 4096},
                {0.1, 1.0, 20480, 2048},      {0.1, 1.3, 20480, 4096},      {0, 1.0, 1 << 20, 2048},
                {1.0, 1.3, 1 << 20, 1 << 21}, {1.0, 1.0, 1 << 24, 1 << 24}, {1.0, 2.0, 0, 2048}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fed_task task = a_task();
        struct fed_task_terms terms;
        task.algorithm.fraction = rows[i].fraction;
        task.round.over_select = rows[i].over_select;
        fed_terms_from_task(&terms, &task, NULL, 0, rows[i].population);
        ck_assert_msg(terms.max_updates == rows[i].expected, "row %zu: %lu", i, (unsigned long)terms.max_updates);
    }
}
END_TEST

START_TEST(terms_survive_their_text) {
    struct fed_task task = a_task();
    struct fed_task_terms terms, back;
    struct fed_error difference;
    uint8_t digest[32] = {5};
    char *text, *again;
    fed_terms_from_task(&terms, &task, digest, 600, 100);
    ck_assert_int_eq(fed_task_terms_encode(&text, &terms), FED_OK);
    ck_assert_int_eq(fed_task_terms_decode(&back, text, strlen(text), NULL), FED_OK);
    ck_assert_int_eq(fed_task_terms_encode(&again, &back), FED_OK);
    ck_assert_str_eq(text, again);
    fed_task_terms_difference(&difference, text, again);
    ck_assert_str_eq(difference.text, "");
    free(text);
    free(again);
}
END_TEST

START_TEST(a_learning_rate_decays_and_never_comes_to_nothing) {
    ck_assert(fed_task_learning_rate(0.5, 0.5, 1) == 0.5F && fed_task_learning_rate(0.5, 0.5, 3) == 0.125F);
    ck_assert(fed_task_learning_rate(0.1, 0.5, 400) > 0 && fed_task_learning_rate(1e-60, 1, 1) > 0);
}
END_TEST

START_TEST(what_may_change_changes_the_rest_and_not_the_terms) {
    struct fed_task task = a_task(), other = a_task();
    struct fed_task_terms terms, same;
    char *before, *after;
    other.algorithm.rounds = 500;
    other.algorithm.target_accuracy = 0;
    other.round.min_reports = 0.5;
    other.round.deadline_s = 60;
    other.server.partial_sums = false;
    other.hygiene.norm_factor = 3;
    other.hygiene.norm_rounds = 7;
    fed_terms_from_task(&terms, &task, NULL, 0, 100);
    fed_terms_from_task(&same, &other, NULL, 0, 100);
    ck_assert_int_eq(fed_task_terms_encode(&before, &terms), FED_OK);
    ck_assert_int_eq(fed_task_terms_encode(&after, &same), FED_OK);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    ck_assert_int_eq(fed_terms_rest(&before, &task), FED_OK);
    ck_assert_int_eq(fed_terms_rest(&after, &other), FED_OK);
    ck_assert_str_ne(before, after);
    json_t *rest = json_loads(after, 0, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(rest, "rounds")), 500);
    ck_assert_int_eq(json_integer_value(json_object_get(rest, "deadline_s")), 60);
    ck_assert(json_number_value(json_object_get(rest, "min_reports")) == 0.5);
    ck_assert(json_number_value(json_object_get(rest, "over_select")) == 1.0);
    ck_assert(json_is_false(json_object_get(rest, "partial_sums")));
    ck_assert(json_number_value(json_object_get(rest, "norm_factor")) == 3.0);
    ck_assert_int_eq(json_integer_value(json_object_get(rest, "norm_rounds")), 7);
    json_decref(rest);
    free(before);
    free(after);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("terms");
    TCase *tcase = tcase_create("terms");
    tcase_add_test(tcase, terms_hold_what_defines_the_result);
    tcase_add_test(tcase, without_a_partition_nothing_is_said_of_one);
    tcase_add_test(tcase, weights_are_capped_by_the_task_else_by_the_largest_shard_else_by_a_million);
    tcase_add_test(tcase, weights_below_a_known_shard_are_refused_in_one_sentence);
    tcase_add_test(tcase, updates_are_bounded_by_a_power_of_two_above_the_cohort);
    tcase_add_test(tcase, terms_survive_their_text);
    tcase_add_test(tcase, a_learning_rate_decays_and_never_comes_to_nothing);
    tcase_add_test(tcase, what_may_change_changes_the_rest_and_not_the_terms);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
