/* Two runs held against each other: where models part, why, and what each cost. The runs are made row by row, so that what
 * may differ does. */
#include "cli/compare/comparison.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/scratch_dir.h"

enum { CLIENTS = 3 };

static const char TERMS[] = "{\"algorithm\":{\"epochs\":1,\"math\":\"exact\"},\"data\":{\"partition\":{\"kind\":\"iid\"}},"
                            "\"model\":{\"layers\":[{\"units\":10},{\"units\":5}]},\"name\":\"ward\",\"seed\":1}";
static const char REST[] = "{\"rounds\":10,\"target_accuracy\":0.75}";

static char root[] = "/tmp/check_compare.XXXXXX";
static char dirs[2][64];
static struct fed_store *stores[2];
static struct fed_run_view runs[2];
static struct fed_comparison comparison;

static void make_root(void) {
    strcpy(root + sizeof root - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void) {
    fed_comparison_fini(&comparison);
    for (int i = 0; i < 2; i++) {
        fed_run_view_fini(&runs[i]);
        fed_store_close(stores[i]);
        stores[i] = NULL;
        remove_dir(dirs[i]);
    }
    ck_assert_int_eq(rmdir(root), 0);
}

static void open_run(int i, const char *terms, const char *rest) {
    struct fed_error err = {""};
    snprintf(dirs[i], sizeof dirs[i], "%s/%c", root, 'a' + i);
    ck_assert_msg(fed_store_open(&stores[i], dirs[i], terms, rest, &err) == FED_OK, "%s", err.text);
}

/* Of one task. */
static void open_two(void) {
    open_run(0, TERMS, REST);
    open_run(1, TERMS, REST);
}

struct round {
    uint8_t model;         /* first byte of the digest */
    double loss, accuracy; /* of its evaluation */
    int back_to;           /* 0: an ordinary round */
    uint64_t first_client; /* of CLIENTS in a row */
    uint64_t weight;       /* of each; 0: 600 */
};

static void commit(int i, uint64_t round, struct round how) {
    struct fed_store_update updates[CLIENTS];
    const struct fed_store_rollback back = {.round = round, .to_round = (uint64_t)how.back_to, .reason = "loss"};
    size_t n = round > 0 && how.back_to == 0 ? CLIENTS : 0;
    for (uint64_t k = 0; k < CLIENTS; k++) {
        updates[k] = (struct fed_store_update){"node", 0, how.first_client + k, how.weight > 0 ? how.weight : 600, 0.5, 1};
    }
    struct fed_store_commit row = {.round = round,
                                   .attempt = n > 0,
                                   .header = "h",
                                   .n_header = 1,
                                   .params = "p",
                                   .n_params_bytes = 1,
                                   .model_digest = {how.model},
                                   .updates = updates,
                                   .n_updates = n,
                                   .seconds = i + 1,
                                   .bytes_down = 100,
                                   .bytes_up = 200,
                                   .rollback = how.back_to > 0 ? &back : NULL};
    ck_assert_int_eq(fed_store_commit(stores[i], &row, 100, NULL), FED_OK);
    if (how.back_to == 0 && !(isnan(how.loss) && isnan(how.accuracy))) {
        ck_assert_int_eq(fed_store_evaluation(stores[i], round, how.loss, how.accuracy, how.accuracy >= 0.75, NULL), FED_OK);
    }
}

/* Rounds 0..n of run i: round r has model r and accuracy r / 8. */
static void commit_plain(int i, uint64_t n) {
    for (uint64_t round = 0; round <= n; round++) {
        commit(i, round, (struct round){(uint8_t)round, 1.0 / (double)(round + 1), (double)round / 8, 0, 0, 0});
    }
}

static const struct fed_parting *compare(void) {
    struct fed_error err = {""};
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(fed_run_view_read(&runs[i], dirs[i], &err) == FED_OK, "%s", err.text);
    }
    ck_assert_msg(fed_comparison_make(&comparison, runs, &err) == FED_OK, "%s", err.text);
    return &comparison.models;
}

static const char *text_of(void) {
    static char text[8192];
    FILE *out = fmemopen(text, sizeof text, "w");
    fed_comparison_print(out, &comparison);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

/* -- Where they part -- */

START_TEST(runs_of_one_task_are_the_same_as_far_as_both_go) {
    open_two();
    commit_plain(0, 6);
    commit_plain(1, 4);
    const struct fed_parting *models = compare();
    ck_assert_int_eq(models->why, FED_PARTING_NOT);
    ck_assert_uint_eq(models->compared, 4);
    ck_assert(!models->judged_otherwise);
    ck_assert_ptr_nonnull(strstr(text_of(), "the same, bit for bit, in rounds 0 to 4, all that both have"));
}
END_TEST

START_TEST(other_admitted_set_is_a_reason_and_names_the_clients) {
    open_two();
    commit_plain(0, 3);
    commit_plain(1, 2);
    commit(1, 3, (struct round){99, 1, 0.25, 0, 2, 0}); /* clients 2, 3, 4 and not 0, 1, 2 */
    const struct fed_parting *models = compare();
    ck_assert_int_eq(models->why, FED_PARTING_ADMITTED);
    ck_assert_uint_eq(models->round, 3);
    ck_assert_uint_eq(models->only[0].n, 2);
    ck_assert_uint_eq(models->only[0].ids[1], 1);
    ck_assert_uint_eq(models->only[1].n, 2);
    ck_assert_uint_eq(models->only[1].ids[0], 3);
    ck_assert_uint_eq(models->reweighed.n, 0);
    ck_assert_ptr_nonnull(strstr(text_of(), "only in B: clients 3, 4\n"));
}
END_TEST

START_TEST(other_weight_of_one_client_is_a_reason) {
    open_two();
    commit_plain(0, 1);
    commit_plain(1, 0);
    commit(1, 1, (struct round){99, 1, 0.125, 0, 0, 599});
    ck_assert_int_eq(compare()->why, FED_PARTING_ADMITTED);
    ck_assert_uint_eq(comparison.models.reweighed.n, CLIENTS);
}
END_TEST

START_TEST(same_set_with_another_model_is_said_loudly) {
    open_two();
    commit_plain(0, 3);
    commit_plain(1, 1);
    commit(1, 2, (struct round){99, 1, 0.25, 0, 0, 0});
    commit(1, 3, (struct round){3, 1, 0.25, 0, 0, 0}); /* that they meet again does not mend it */
    ck_assert_int_eq(compare()->why, FED_PARTING_NOT_REPRODUCIBLE);
    ck_assert_uint_eq(comparison.models.round, 2);
    ck_assert_ptr_nonnull(strstr(text_of(), "NOT REPRODUCIBLE"));
}
END_TEST

START_TEST(other_initial_model_of_one_task_is_not_reproducible) {
    open_two();
    commit_plain(0, 0);
    commit(1, 0, (struct round){99, (double)NAN, (double)NAN, 0, 0, 0});
    ck_assert_int_eq(compare()->why, FED_PARTING_NOT_REPRODUCIBLE);
    ck_assert_ptr_nonnull(strstr(text_of(), "they part in round 0, the initial model"));
}
END_TEST

START_TEST(other_task_is_the_reason_whoever_was_admitted) {
    open_run(0, TERMS, REST);
    open_run(1, "{\"algorithm\":{\"epochs\":1,\"math\":\"exact\"},\"name\":\"ward\",\"seed\":2}", REST);
    commit_plain(0, 1);
    commit(1, 0, (struct round){99, (double)NAN, (double)NAN, 0, 0, 0});
    ck_assert_int_eq(compare()->why, FED_PARTING_TASK);
}
END_TEST

START_TEST(name_and_what_may_change_are_no_reason) {
    open_run(0, TERMS, REST);
    open_run(1,
             "{\"algorithm\":{\"epochs\":1,\"math\":\"exact\"},\"data\":{\"partition\":{\"kind\":\"iid\"}},"
             "\"model\":{\"layers\":[{\"units\":10},{\"units\":5}]},\"name\":\"other\",\"seed\":1}",
             "{\"rounds\":20}");
    commit_plain(0, 0);
    commit(1, 0, (struct round){99, (double)NAN, (double)NAN, 0, 0, 0});
    ck_assert_int_eq(compare()->why, FED_PARTING_NOT_REPRODUCIBLE);
}
END_TEST

START_TEST(arithmetic_that_promises_no_bits_is_a_reason) {
    static const char blas[] = "{\"algorithm\":{\"math\":\"blas\"},\"name\":\"ward\",\"seed\":1}";
    open_run(0, blas, REST);
    open_run(1, blas, REST);
    commit_plain(0, 1);
    commit_plain(1, 0);
    commit(1, 1, (struct round){99, 1, 0.125, 0, 0, 0});
    ck_assert_int_eq(compare()->why, FED_PARTING_ARITHMETIC);
}
END_TEST

START_TEST(other_rollback_is_a_reason) {
    open_two();
    commit_plain(0, 3);
    commit_plain(1, 2);
    commit(1, 3, (struct round){1, 1, 0.125, 1, 0, 0});
    ck_assert_int_eq(compare()->why, FED_PARTING_ROLLBACK);
}
END_TEST

START_TEST(one_model_with_two_evaluations_is_noticed) {
    open_two();
    commit_plain(0, 2);
    commit_plain(1, 1);
    commit(1, 2, (struct round){2, 1.0 / 3, 0.3, 0, 0, 0});
    ck_assert_int_eq(compare()->why, FED_PARTING_NOT);
    ck_assert(comparison.models.judged_otherwise);
    ck_assert_uint_eq(comparison.models.judged_round, 2);
}
END_TEST

/* -- Tasks -- */

START_TEST(tasks_differ_key_by_key) {
    open_run(0, TERMS, REST);
    open_run(1,
             "{\"algorithm\":{\"epochs\":0.1,\"math\":\"exact\"},\"data\":null,"
             "\"model\":{\"layers\":[{\"units\":10},{\"units\":6}]},\"name\":\"ward\",\"seed\":1}",
             "{\"files\":{\"data.train\":\"/srv/x\"},\"rounds\":20,\"target_accuracy\":0.75}");
    commit_plain(0, 0);
    commit_plain(1, 0);
    compare();
    const struct fed_differences *task = &comparison.task;
    static const char *const keys[] = {"algorithm.epochs",    "algorithm.rounds", "data",
                                       "data.partition.kind", "data.train",       "model.layers[1].units"};
    ck_assert_uint_eq(task->n, 6);
    for (size_t i = 0; i < 6; i++) {
        ck_assert_str_eq(task->items[i].key, keys[i]);
        ck_assert_int_eq(task->items[i].defines, i != 1 && i != 4);
    }
    ck_assert_str_eq(task->items[0].values[0], "1");
    ck_assert_str_eq(task->items[0].values[1], "0.1");
    ck_assert_ptr_null(task->items[2].values[0]);
    ck_assert_str_eq(task->items[2].values[1], "null");
    ck_assert_str_eq(task->items[3].values[0], "\"iid\"");
    ck_assert_ptr_null(task->items[3].values[1]);
    ck_assert_ptr_nonnull(strstr(text_of(), "algorithm.rounds *"));
}
END_TEST

START_TEST(builds_are_told_oldest_first_and_not_without_end) {
    open_two();
    commit_plain(0, 1);
    commit_plain(1, 1);
    for (uint64_t i = 0; i < 10; i++) {
        struct fed_store_build build = {.round = i, .kernels = "avx2", .cpu = "x86_64"};
        snprintf(build.fedavg, sizeof build.fedavg, "0.%d", (int)i);
        ck_assert_int_eq(fed_store_record_build(stores[0], &build, NULL), FED_OK);
    }
    compare();
    ck_assert_uint_eq(comparison.builds[0].n, 10);
    ck_assert_uint_eq(comparison.builds[0].n_rows, FED_COMPARISON_BUILDS);
    ck_assert_str_eq(comparison.builds[0].rows[0].fedavg, "0.2");
    ck_assert_str_eq(comparison.builds[0].rows[7].fedavg, "0.9");
    ck_assert_ptr_nonnull(strstr(text_of(), "  A  2 older ones\n  A  from round 2: fedavg 0.2, avx2 on x86_64\n"));
    ck_assert_ptr_nonnull(strstr(text_of(), "  B  not recorded\n"));
}
END_TEST

START_TEST(shown_values_are_printable_and_short) {
    char out[12];
    fed_difference_show(out, sizeof out, "\"iid\"");
    ck_assert_str_eq(out, "iid");
    fed_difference_show(out, sizeof out, NULL);
    ck_assert_str_eq(out, "-");
    fed_difference_show(out, sizeof out, "a\x1b[1m");
    ck_assert_str_eq(out, "a?[1m");
    fed_difference_show(out, sizeof out, "0123456789abcdef");
    ck_assert_str_eq(out, "01234567...");
}
END_TEST

/* -- Figures -- */

START_TEST(milestones_tell_what_each_cost) {
    open_two();
    commit_plain(0, 7);
    commit_plain(1, 5);
    compare();
    const struct fed_milestones *m = &comparison.milestones;
    static const double levels[] = {0.5, 0.6, 0.7, 0.75, 0.8}; /* 0.75 is the target */
    ck_assert(!m->of_loss);
    ck_assert_uint_eq(m->n, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert(m->items[i].level == levels[i]);
    }
    ck_assert_uint_eq(m->items[0].by[1].round, 4);
    ck_assert_uint_eq(m->items[0].by[1].bytes, 5 * 300); /* rounds 0 to 4 */
    ck_assert(m->items[0].by[1].seconds == 10 && m->items[0].by[0].seconds == 5);
    ck_assert(m->items[3].by[0].reached && m->items[3].by[0].round == 6 && !m->items[3].by[1].reached);
    ck_assert_uint_eq(comparison.figures[0].best_round, 7);
    ck_assert(comparison.figures[0].best == 0.875 && comparison.figures[0].accuracy == 0.875);
}
END_TEST

START_TEST(without_accuracies_the_loss_counts_and_what_was_taken_back_does_not) {
    open_two();
    for (int i = 0; i < 2; i++) {
        commit(i, 0, (struct round){0, (double)NAN, (double)NAN, 0, 0, 0});
        commit(i, 1, (struct round){1, 0.9, (double)NAN, 0, 0, 0});
        commit(i, 2, (struct round){2, 0.001, (double)NAN, 0, 0, 0});
        commit(i, 3, (struct round){1, 0, 0, 1, 0, 0});
        commit(i, 4, (struct round){4, 0.15, (double)NAN, 0, 0, 0});
        commit(i, 5, (struct round){5, 0.16, (double)NAN, 0, 0, 0});
    }
    compare();
    const struct fed_milestones *m = &comparison.milestones;
    ck_assert(m->of_loss);
    ck_assert(m->items[m->n - 1].level == 0.2);
    ck_assert_uint_eq(m->items[m->n - 1].by[0].round, 4);
    ck_assert_uint_eq(comparison.figures[0].best_round, 4);
    ck_assert(comparison.figures[0].best == 0.15 && comparison.figures[0].loss == 0.16);
}
END_TEST

START_TEST(a_loss_is_no_accuracy) {
    open_two();
    commit_plain(0, 2);
    commit(1, 0, (struct round){9, (double)NAN, (double)NAN, 0, 0, 0});
    commit(1, 1, (struct round){9, 0.0625, (double)NAN, 0, 0, 0});
    compare();
    ck_assert_msg(strstr(text_of(), "25.00 % in round 2") != NULL && strstr(text_of(), "6.25 %") == NULL, "%s", text_of());
}
END_TEST

START_TEST(run_without_a_round_is_said) {
    struct fed_error err = {""};
    open_two();
    commit_plain(0, 1);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(fed_run_view_read(&runs[i], dirs[i], &err), FED_OK);
    }
    ck_assert_int_eq(fed_comparison_make(&comparison, runs, &err), FED_EFAILED);
    ck_assert_ptr_nonnull(strstr(err.text, "/b has no committed round yet"));
}
END_TEST

int main(void) {
    Suite *s = suite_create("compare");
    TCase *t = tcase_create("compare");
    tcase_add_checked_fixture(t, make_root, remove_root);
    tcase_add_test(t, runs_of_one_task_are_the_same_as_far_as_both_go);
    tcase_add_test(t, other_admitted_set_is_a_reason_and_names_the_clients);
    tcase_add_test(t, other_weight_of_one_client_is_a_reason);
    tcase_add_test(t, same_set_with_another_model_is_said_loudly);
    tcase_add_test(t, other_initial_model_of_one_task_is_not_reproducible);
    tcase_add_test(t, other_task_is_the_reason_whoever_was_admitted);
    tcase_add_test(t, name_and_what_may_change_are_no_reason);
    tcase_add_test(t, arithmetic_that_promises_no_bits_is_a_reason);
    tcase_add_test(t, other_rollback_is_a_reason);
    tcase_add_test(t, one_model_with_two_evaluations_is_noticed);
    tcase_add_test(t, tasks_differ_key_by_key);
    tcase_add_test(t, builds_are_told_oldest_first_and_not_without_end);
    tcase_add_test(t, milestones_tell_what_each_cost);
    tcase_add_test(t, without_accuracies_the_loss_counts_and_what_was_taken_back_does_not);
    tcase_add_test(t, a_loss_is_no_accuracy);
    tcase_add_test(t, run_without_a_round_is_said);
    suite_add_tcase(s, t);
    t = tcase_create("text");
    tcase_add_test(t, shown_values_are_printable_and_short);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
