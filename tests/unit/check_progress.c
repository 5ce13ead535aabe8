/* What a person reads of a simulation, from the coordinator's lines: in a log, in a pipe of JSON, and at the end. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/simulate/progress.h"

#define START                                                                                                               \
    "{\"event\":\"start\",\"name\":\"ward\",\"clients\":100,\"parameters\":199210,\"kernels\":\"avx2\",\"round\":0,"        \
    "\"rounds\":5,\"run_dir\":\"/tmp/r\"}"
#define DONE "{\"event\":\"done\",\"rounds\":5,\"accuracy\":0.9712,\"target_round\":4,\"seconds\":12.34}"

static struct fed_progress progress;
static int saved[2];
static FILE *caught[2];

/* stdout and stderr into files, so that nothing that is printed can block. */
static void catch_output(void) {
    for (int i = 0; i < 2; i++) {
        fflush(i == 0 ? stdout : stderr);
        saved[i] = dup(i + 1);
        caught[i] = tmpfile();
        ck_assert_ptr_nonnull(caught[i]);
        ck_assert_int_ge(dup2(fileno(caught[i]), i + 1), 0);
    }
}

static void release_output(char out[4096], char err[4096]) {
    char *texts[] = {out, err};
    for (int i = 0; i < 2; i++) {
        fflush(i == 0 ? stdout : stderr);
        dup2(saved[i], i + 1);
        close(saved[i]);
        rewind(caught[i]);
        size_t n = fread(texts[i], 1, 4095, caught[i]);
        texts[i][n] = '\0';
        fclose(caught[i]);
    }
}

static void hear(const char *line) { fed_progress_event(&progress, line, strlen(line)); }

static void expect_begins(const char *text, const char *start) {
    ck_assert_msg(strncmp(text, start, strlen(start)) == 0, "\"%s\" does not begin with \"%s\"", text, start);
}

START_TEST(a_log_gets_plain_lines) {
    char out[4096], err[4096];
    catch_output();
    fed_progress_init(&progress, false, false);
    hear(START);
    hear("{\"event\":\"waiting\",\"for\":\"nodes\"}");
    hear("{\"event\":\"round\",\"round\":1,\"accuracy\":0.5,\"loss\":1.25}");
    hear("{\"event\":\"rollback\",\"round\":3,\"to_round\":1,\"reason\":\"exploded\"}");
    hear("{\"event\":\"round\",\"round\":5,\"accuracy\":null,\"loss\":null}"); /* not evaluated: the last known stands */
    hear(DONE);
    fed_progress_summary(&progress);
    release_output(out, err);
    const char *line = err;
    expect_begins(line, "starting ward: 100 clients, 199210 parameters, kernels avx2, round 0 of 5\n");
    line = strchr(line, '\n') + 1;
    expect_begins(line, "nodes\n");
    line = strchr(line, '\n') + 1;
    expect_begins(line, "round 1/5  accuracy 50.00 %  loss 1.2500  ");
    line = strchr(line, '\n') + 1;
    expect_begins(line, "round 3: the model of round 1 again, for the one of round 2 is no good (exploded)\n");
    line = strchr(line, '\n') + 1;
    expect_begins(line, "round 5/5  accuracy 50.00 %  loss 1.2500  ");
    ck_assert_ptr_nonnull(strstr(line, " s a round  at most 0 s to go\n"));
    ck_assert_str_eq(strchr(line, '\n'), "\n");
    ck_assert_ptr_null(strpbrk(err, "\r\033"));
    ck_assert_str_eq(out, "5 rounds, test accuracy 97.12 %, target reached in round 4, 12.3 s\nrun: /tmp/r\n");
}
END_TEST

START_TEST(a_model_without_classes_shows_its_loss) {
    char out[4096], err[4096];
    catch_output();
    fed_progress_init(&progress, false, false);
    hear("{\"event\":\"round\",\"round\":1,\"accuracy\":null,\"loss\":0.03125}");
    hear("{\"event\":\"done\",\"rounds\":1,\"accuracy\":null,\"loss\":0.03125,\"target_round\":null,\"seconds\":2}");
    fed_progress_summary(&progress);
    release_output(out, err);
    expect_begins(err, "round 1/0  loss 0.03125  ");
    ck_assert_str_eq(out, "1 round, test loss 0.03125, 2.0 s\nrun: \n");
}
END_TEST

START_TEST(a_terminal_has_one_line_that_changes) {
    char out[4096], err[4096];
    catch_output();
    fed_progress_init(&progress, false, false);
    progress.terminal = true;
    hear(START);
    hear("{\"event\":\"waiting\",\"for\":\"nodes\"}");
    hear("{\"event\":\"round\",\"round\":1,\"accuracy\":0.5,\"loss\":1.25}");
    hear("{\"event\":\"round\",\"round\":2,\"accuracy\":0.75,\"loss\":1}");
    fed_progress_break(&progress);
    fed_progress_break(&progress);
    release_output(out, err);
    const char *line = strchr(err, '\n') + 1;
    expect_begins(line, "\r\033[Knodes\r\033[Kround 1/5  accuracy 50.00 %");
    const char *second = strstr(line, "\r\033[Kround 2/5  accuracy 75.00 %  loss 1.0000");
    ck_assert_ptr_nonnull(second);
    ck_assert_str_eq(strchr(second, '\n'), "\n"); /* left standing, once */
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(json_passes_every_line_through_and_adds_none) {
    char out[4096], err[4096];
    catch_output();
    fed_progress_init(&progress, true, true);
    hear(START);
    hear("{\"event\":\"tomorrow\",\"x\":[1]}");
    hear(DONE);
    fed_progress_summary(&progress);
    release_output(out, err);
    ck_assert_str_eq(out, START "\n{\"event\":\"tomorrow\",\"x\":[1]}\n" DONE "\n");
    ck_assert_str_eq(err, "");
}
END_TEST

START_TEST(quiet_says_only_the_result) {
    char out[4096], err[4096];
    catch_output();
    fed_progress_init(&progress, true, false);
    hear(START);
    hear("{\"event\":\"round\",\"round\":5,\"accuracy\":0.5,\"loss\":1.25}");
    hear("{\"event\":\"done\",\"rounds\":5,\"accuracy\":null,\"target_round\":null,\"seconds\":2}");
    fed_progress_summary(&progress);
    release_output(out, err);
    ck_assert_str_eq(err, "");
    ck_assert_str_eq(out, "5 rounds, 2.0 s\nrun: /tmp/r\n");
}
END_TEST

START_TEST(what_is_no_event_is_passed_over) {
    char out[4096], err[4096];
    const char *const lines[] = {
        "", "{", "[]", "null", "{\"event\":7}", "{\"event\":\"round\"}", "{\"event\":\"start\"}", "{\"event\":\"waiting\"}"};
    catch_output();
    fed_progress_init(&progress, true, false);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        hear(lines[i]);
    }
    fed_progress_event(&progress, "{\"event\":\"done\"}garbage behind the line", strlen("{\"event\":\"don"));
    fed_progress_summary(&progress); /* it never ended */
    release_output(out, err);
    ck_assert_str_eq(out, "");
    ck_assert_str_eq(err, "");
}
END_TEST

START_TEST(a_resumed_run_counts_from_where_it_is) {
    char out[4096], err[4096];
    catch_output();
    fed_progress_init(&progress, false, false);
    hear("{\"event\":\"resume\",\"name\":\"ward\",\"clients\":1,\"parameters\":2,\"kernels\":\"avx2\",\"round\":3,"
         "\"rounds\":5}");
    release_output(out, err);
    ck_assert_str_eq(err, "resuming ward: 1 clients, 2 parameters, kernels avx2, round 3 of 5\n");
    ck_assert_uint_eq(progress.first_round, 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("progress");
    TCase *tests = tcase_create("progress");
    tcase_add_test(tests, a_log_gets_plain_lines);
    tcase_add_test(tests, a_model_without_classes_shows_its_loss);
    tcase_add_test(tests, a_terminal_has_one_line_that_changes);
    tcase_add_test(tests, json_passes_every_line_through_and_adds_none);
    tcase_add_test(tests, quiet_says_only_the_result);
    tcase_add_test(tests, what_is_no_event_is_passed_over);
    tcase_add_test(tests, a_resumed_run_counts_from_where_it_is);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
