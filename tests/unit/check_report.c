/* The lines that programs read: what was printed is caught in a pipe and parsed back. */
#include "coordinator/report.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

static int pipe_fds[2], real_stdout;
static json_t *lines[16];
static size_t n_lines;

static void catch_output(void) {
    fed_log_setup(FED_LOG_TEXT, FED_LOG_ERROR);
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    fflush(stdout);
    real_stdout = dup(STDOUT_FILENO);
    ck_assert_int_ge(dup2(pipe_fds[1], STDOUT_FILENO), 0);
    n_lines = 0;
}

static void give_output_back(void) {
    ck_assert_int_ge(dup2(real_stdout, STDOUT_FILENO), 0);
    close(real_stdout);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    for (size_t i = 0; i < n_lines; i++) {
        json_decref(lines[i]);
    }
}

/* What has been printed by now, flushed by the report itself: a reader waits for each line. */
static size_t read_lines(void) {
    static char text[16384];
    ssize_t n = read(pipe_fds[0], text, sizeof text - 1);
    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    ck_assert_int_eq(text[n - 1], '\n');
    size_t fresh = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_error_t error;
        lines[n_lines] = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        ck_assert_msg(json_is_object(lines[n_lines]), "%s: %s", line, error.text);
        n_lines++;
        fresh++;
    }
    return fresh;
}

static const char *event(size_t i) { return json_string_value(json_object_get(lines[i], "event")); }
static json_t *key(size_t i, const char *name) { return json_object_get(lines[i], name); }

static void check_keys(size_t i, const char *const *names, size_t n) {
    for (size_t k = 0; k < n; k++) {
        ck_assert_msg(key(i, names[k]) != NULL, "no %s", names[k]);
    }
}
#define CHECK_KEYS(i, ...)                                                                                                  \
    check_keys(i, (const char *const[]){__VA_ARGS__}, sizeof(const char *[]){__VA_ARGS__} / sizeof(char *))

static struct fed_report_round a_round(uint64_t number) {
    struct fed_report_round round = {.round = number,
                                     .attempt = 2,
                                     .clients = 10,
                                     .weight = 6000,
                                     .loss = NAN,
                                     .accuracy = NAN,
                                     .seconds = 1.5,
                                     .train_seconds = 12.25,
                                     .bytes_down = 1000,
                                     .bytes_up = 2000};
    memset(round.model, (int)number, sizeof round.model);
    return round;
}

START_TEST(first_line_says_what_runs_on_what) {
    struct fed_report report;
    uint8_t run_id[16] = {0xab}, digest[32] = {0xcd};
    struct fed_report_start start = {.reproducible = true,
                                     .name = "wards",
                                     .kernels = "avx2",
                                     .run_id = run_id,
                                     .task_digest = digest,
                                     .round = 3,
                                     .rounds = 400,
                                     .clients = 100,
                                     .parameters = 199210,
                                     .quantum = 0x1p-35,
                                     .run_dir = "runs/wards"};
    fed_report_init(&report, true);
    fed_report_start(&report, &start);
    start.resumed = true;
    start.reproducible = false;
    fed_report_start(&report, &start);
    ck_assert_uint_eq(read_lines(), 2);
    ck_assert_str_eq(event(0), "start");
    ck_assert_str_eq(event(1), "resume");
    CHECK_KEYS(0, "build", "libraries", "kernels", "reproducible", "cpu", "run_id", "task_digest");
    ck_assert_str_eq(json_string_value(key(0, "run_id")), "ab000000000000000000000000000000");
    ck_assert_uint_eq(strlen(json_string_value(key(0, "task_digest"))), 64);
    ck_assert_int_eq(json_integer_value(key(0, "clients")), 100);
    ck_assert(json_is_true(key(0, "reproducible")) && json_is_false(key(1, "reproducible")));
    ck_assert(fabs(json_number_value(key(0, "quantum")) - 0x1p-35) < 0x1p-60);
}
END_TEST

START_TEST(round_line_waits_for_its_evaluation) {
    struct fed_report report;
    struct fed_report_round round = a_round(3);
    fed_report_init(&report, true);
    fed_report_round(&report, &round, true);
    ck_assert_uint_eq(read_lines(), 0);
    fed_report_evaluated(&report, 3, 0.25, 0.9375, false);
    ck_assert_uint_eq(read_lines(), 1);
    ck_assert_str_eq(event(0), "round");
    CHECK_KEYS(0, "round", "attempt", "clients", "loss", "accuracy", "seconds", "train_seconds", "bytes_down", "bytes_up",
               "model");
    ck_assert_int_eq(json_integer_value(key(0, "round")), 3);
    ck_assert_int_eq(json_integer_value(key(0, "attempt")), 2);
    ck_assert(json_number_value(key(0, "loss")) == 0.25 && json_number_value(key(0, "accuracy")) == 0.9375);
    ck_assert_str_eq(json_string_value(key(0, "model")), "0303030303030303030303030303030303030303030303030303030303030303");
}
END_TEST

START_TEST(lines_stay_in_order_when_not_every_round_is_evaluated) {
    struct fed_report report;
    struct fed_report_round rounds[] = {a_round(1), a_round(2), a_round(3), a_round(4)};
    fed_report_init(&report, true);
    fed_report_round(&report, &rounds[0], false);
    fed_report_round(&report, &rounds[1], true);
    fed_report_waiting(&report, 3, "waits for 2 more clients to join");
    fed_report_evaluated(&report, 2, 0.5, 0.5, false);
    fed_report_round(&report, &rounds[2], false);
    fed_report_round(&report, &rounds[3], true);
    fed_report_evaluated(&report, 4, 0.25, 0.75, false);
    ck_assert_uint_eq(read_lines(), 5);
    int64_t expected = 1;
    for (size_t i = 0; i < 5; i++) {
        if (strcmp(event(i), "round") == 0) {
            ck_assert_int_eq(json_integer_value(key(i, "round")), expected);
            ck_assert(json_is_null(key(i, "accuracy")) == (expected % 2 == 1));
            ck_assert(json_is_null(key(i, "loss")) == (expected % 2 == 1));
            expected++;
        }
    }
    ck_assert_int_eq(expected, 5);
}
END_TEST

START_TEST(numbers_that_are_none_are_null) {
    struct fed_report report;
    struct fed_report_round round = a_round(1);
    uint8_t model[32] = {0};
    fed_report_init(&report, true);
    fed_report_round(&report, &round, true);
    fed_report_evaluated(&report, 1, (double)INFINITY, 0.1, false); /* a diverged model has no loss to speak of */
    fed_report_done(&report, 1, 2.5, model);
    ck_assert_uint_eq(read_lines(), 2);
    ck_assert(json_is_null(key(0, "loss")));
    ck_assert(json_number_value(key(0, "accuracy")) == 0.1);
    ck_assert(json_number_value(key(1, "accuracy")) == 0.1);
    ck_assert(json_is_null(key(1, "loss")));
    ck_assert(json_is_null(key(1, "target_round")));
}
END_TEST

START_TEST(a_model_without_classes_has_a_loss_alone) {
    struct fed_report report;
    struct fed_report_round round = a_round(1);
    uint8_t model[32] = {0};
    fed_report_init(&report, true);
    fed_report_round(&report, &round, true);
    fed_report_evaluated(&report, 1, 0.125, (double)NAN, false);
    fed_report_evaluated(&report, 1, 0.25, (double)NAN, false); /* once more, of an earlier process */
    fed_report_done(&report, 1, 2.5, model);
    ck_assert_uint_eq(read_lines(), 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert(json_is_null(key(i, "accuracy")));
        ck_assert(json_number_value(key(i, "loss")) == (i == 0 ? 0.125 : 0.25));
    }
}
END_TEST

START_TEST(a_run_that_was_never_evaluated_ends_without_numbers) {
    struct fed_report report;
    uint8_t model[32] = {0};
    fed_report_init(&report, true);
    fed_report_done(&report, 0, 2.5, model);
    ck_assert_uint_eq(read_lines(), 1);
    ck_assert(json_is_null(key(0, "loss")) && json_is_null(key(0, "accuracy")));
}
END_TEST

START_TEST(evaluation_of_an_earlier_process_is_a_line_of_its_own) {
    struct fed_report report;
    fed_report_init(&report, true);
    fed_report_evaluated(&report, 7, 0.5, 0.25, false);
    ck_assert_uint_eq(read_lines(), 1);
    ck_assert_str_eq(event(0), "evaluated");
    ck_assert_int_eq(json_integer_value(key(0, "round")), 7);
    ck_assert(report.last.accuracy == 0.25); /* what the end will say, if nothing follows */
}
END_TEST

START_TEST(last_line_names_the_first_round_that_reached_the_target) {
    struct fed_report report;
    uint8_t model[32];
    memset(model, 0xee, sizeof model);
    fed_report_init(&report, true);
    fed_report_evaluated(&report, 5, 0.1, 0.97, true);
    fed_report_evaluated(&report, 6, 0.1, 0.98, true);
    fed_report_done(&report, 6, 12.5, model);
    ck_assert_uint_eq(read_lines(), 3);
    ck_assert_str_eq(event(2), "done");
    ck_assert(json_number_value(key(2, "accuracy")) == 0.98);
    CHECK_KEYS(2, "rounds", "accuracy", "loss", "target_round", "seconds", "model", "peak_rss_mb");
    ck_assert_int_eq(json_integer_value(key(2, "target_round")), 5);
    ck_assert_int_eq(json_integer_value(key(2, "rounds")), 6);
    ck_assert(json_number_value(key(2, "peak_rss_mb")) > 0.5);
}
END_TEST

static char last_log_line[512];

static void keep_line(void *context, enum fed_log_level level, const char *line) {
    (void)context;
    (void)level;
    snprintf(last_log_line, sizeof last_log_line, "%s", line);
}

START_TEST(log_names_the_target_where_it_was_reached_and_nowhere_else) {
    struct fed_report report;
    const struct fed_log_sink sink = {FED_LOG_INFO, keep_line, NULL};
    const uint8_t model[32] = {0};
    fed_report_init(&report, false);
    const struct fed_log_sink *before = fed_log_redirect(&sink);
    fed_report_done(&report, 6, 12.5, model);
    ck_assert_ptr_nonnull(strstr(last_log_line, "report done rounds=6"));
    ck_assert_msg(strstr(last_log_line, "target") == NULL, "%s", last_log_line);
    report.target_round = 5;
    fed_report_done(&report, 6, 12.5, model);
    fed_log_redirect(before);
    ck_assert_msg(strstr(last_log_line, " target_round=5") != NULL, "%s", last_log_line);
}
END_TEST

START_TEST(waiting_and_abandoned_say_why) {
    struct fed_report report;
    fed_report_init(&report, true);
    fed_report_waiting(&report, 1, "waits for 2 more clients to join");
    fed_report_abandoned(&report, 4, 3, "the mean is not finite");
    ck_assert_uint_eq(read_lines(), 2);
    ck_assert_str_eq(event(0), "waiting");
    ck_assert_str_eq(json_string_value(key(0, "for")), "waits for 2 more clients to join");
    ck_assert_str_eq(event(1), "abandoned");
    ck_assert_str_eq(json_string_value(key(1, "why")), "the mean is not finite");
    ck_assert_int_eq(json_integer_value(key(1, "attempt")), 3);
}
END_TEST

START_TEST(rollback_tells_from_where_to_where_and_the_end_has_the_older_numbers) {
    struct fed_report report;
    uint8_t model[32] = {0xab};
    struct fed_store_rollback rollback = {.round = 7, .to_round = 5, .reason = "not_finite", .loss = NAN, .reference = 2.5};
    fed_report_init(&report, true);
    fed_report_rollback(&report, &rollback, 3, 0.5, 0.875, model);
    fed_report_done(&report, 7, 1, model);
    ck_assert_uint_eq(read_lines(), 2);
    ck_assert_str_eq(event(0), "rollback");
    CHECK_KEYS(0, "round", "to_round", "reason", "loss", "reference", "in_a_row", "model");
    ck_assert_int_eq(json_integer_value(key(0, "round")), 7);
    ck_assert_int_eq(json_integer_value(key(0, "to_round")), 5);
    ck_assert_int_eq(json_integer_value(key(0, "in_a_row")), 3);
    ck_assert_str_eq(json_string_value(key(0, "reason")), "not_finite");
    ck_assert(json_is_null(key(0, "loss")) && json_number_value(key(0, "reference")) == 2.5);
    ck_assert(json_number_value(key(1, "loss")) == 0.5 && json_number_value(key(1, "accuracy")) == 0.875);
}
END_TEST

START_TEST(without_json_nothing_is_printed) {
    struct fed_report report;
    struct fed_report_round round = a_round(1);
    uint8_t model[32] = {0};
    fed_report_init(&report, false);
    fed_report_round(&report, &round, false);
    fed_report_evaluated(&report, 9, 0.5, 0.5, false);
    fed_report_waiting(&report, 1, "why");
    fed_report_abandoned(&report, 1, 1, "why");
    fed_report_rollback(&report, &(struct fed_store_rollback){.reason = "exploded"}, 1, 0.5, 0.5, model);
    fed_report_done(&report, 1, 1, model);
    fflush(stdout);
    ck_assert_uint_eq(read_lines(), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("report");
    TCase *tcase = tcase_create("report");
    tcase_add_checked_fixture(tcase, catch_output, give_output_back);
    tcase_add_test(tcase, first_line_says_what_runs_on_what);
    tcase_add_test(tcase, round_line_waits_for_its_evaluation);
    tcase_add_test(tcase, lines_stay_in_order_when_not_every_round_is_evaluated);
    tcase_add_test(tcase, numbers_that_are_none_are_null);
    tcase_add_test(tcase, a_model_without_classes_has_a_loss_alone);
    tcase_add_test(tcase, a_run_that_was_never_evaluated_ends_without_numbers);
    tcase_add_test(tcase, evaluation_of_an_earlier_process_is_a_line_of_its_own);
    tcase_add_test(tcase, last_line_names_the_first_round_that_reached_the_target);
    tcase_add_test(tcase, log_names_the_target_where_it_was_reached_and_nowhere_else);
    tcase_add_test(tcase, waiting_and_abandoned_say_why);
    tcase_add_test(tcase, rollback_tells_from_where_to_where_and_the_end_has_the_older_numbers);
    tcase_add_test(tcase, without_json_nothing_is_printed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
