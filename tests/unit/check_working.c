/* What takes longer than two seconds is told, and what does not is not. The clock is ours. */
#include "cli/working.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t now_ms;
uint64_t __wrap_fed_clock_ms(void);
uint64_t __wrap_fed_clock_ms(void) { return now_ms; }

static char said[4096];
static int kept_stderr;
static FILE *capture;

static void begin(void) {
    now_ms = 1000000;
    fflush(stderr);
    capture = tmpfile();
    kept_stderr = dup(STDERR_FILENO);
    ck_assert(capture != NULL && kept_stderr >= 0 && dup2(fileno(capture), STDERR_FILENO) >= 0);
}

static void end(void) {
    fflush(stderr);
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    rewind(capture);
    said[fread(said, 1, sizeof said - 1, capture)] = '\0';
    fclose(capture);
}

START_TEST(what_is_over_within_two_seconds_is_not_told) {
    struct fed_working working;
    begin();
    fed_working_start(&working, "counting: sheep", false);
    for (uint64_t i = 0; i < 100; i++, now_ms += 19) {
        fed_working_at(&working, i, 100);
    }
    fed_working_end(&working);
    end();
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(what_takes_longer_is_told_in_a_log_from_two_seconds_on_and_then_every_five) {
    struct fed_working working;
    begin();
    fed_working_start(&working, "counting: sheep", false);
    for (uint64_t i = 0; i <= 100; i++, now_ms += 100) { /* ten seconds */
        fed_working_at(&working, i, 100);
    }
    fed_working_end(&working);
    end();
    ck_assert_str_eq(said, "counting: sheep 20/100, about 8 s to go\ncounting: sheep 70/100, about 3 s to go\n");
}
END_TEST

START_TEST(who_wants_no_progress_gets_none) {
    struct fed_working working;
    begin();
    fed_working_start(&working, "counting: sheep", true);
    now_ms += 60000;
    fed_working_at(&working, 1, 100);
    fed_working_end(&working);
    end();
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(a_terminal_has_one_line_that_is_gone_in_the_end) {
    struct fed_working working;
    begin();
    fed_working_start(&working, "counting: sheep", false);
    working.terminal = true;
    for (uint64_t i = 0; i <= 25; i++, now_ms += 100) {
        fed_working_at(&working, 0, 100); /* nothing is done yet, so nobody knows how long it takes */
    }
    fed_working_end(&working);
    end();
    ck_assert_str_eq(said,
                     "\r\033[Kcounting: sheep 0/100\r\033[Kcounting: sheep 0/100\r\033[Kcounting: sheep 0/100\r\033[K");
}
END_TEST

struct sheep {
    struct fed_job job;
    atomic_size_t *done;
};

static void count_one(struct fed_job *job) { atomic_fetch_add(((struct sheep *)(void *)job)->done, 1); }

START_TEST(waiting_ends_when_every_job_has_come_back) {
    atomic_size_t done = 0;
    struct sheep sheep[8];
    struct fed_working working;
    struct fed_pool *pool;
    ck_assert_int_eq(fed_pool_new(&pool, "sheep", 3, NULL), FED_OK);
    for (size_t i = 0; i < 8; i++) {
        sheep[i] = (struct sheep){.job.run = count_one, .done = &done};
        fed_pool_submit(pool, &sheep[i].job);
    }
    fed_working_start(&working, "counting: sheep", true);
    fed_working_wait(&working, pool, 8, &done, 0, 8);
    ck_assert_uint_eq(atomic_load(&done), 8);
    ck_assert_ptr_null(fed_pool_finished(pool));
    fed_pool_free(pool);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("working");
    TCase *tcase = tcase_create("working");
    tcase_add_test(tcase, what_is_over_within_two_seconds_is_not_told);
    tcase_add_test(tcase, what_takes_longer_is_told_in_a_log_from_two_seconds_on_and_then_every_five);
    tcase_add_test(tcase, who_wants_no_progress_gets_none);
    tcase_add_test(tcase, a_terminal_has_one_line_that_is_gone_in_the_end);
    tcase_add_test(tcase, waiting_ends_when_every_job_has_come_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
