/* Numbers have a point, whatever the program that hosts us has made of its own. */
#include "common/base/c_locale.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/busy.h"
#include "common/base/log.h"
#include "common/base/pool.h"
#include "tests/unit/comma_locale.h"

struct line {
    struct fed_job job; /* first */
    bool own;           /* the thread has a locale of its own */
    char said[64];
};

static void take(void *context, enum fed_log_level level, const char *text) {
    struct line *line = context;
    (void)level;
    snprintf(line->said, sizeof line->said, "%s", text);
}

static void say_half(struct fed_job *job) {
    struct line *line = (struct line *)job;
    const struct fed_log_sink sink = {FED_LOG_INFO, take, line};
    const struct fed_log_sink *before = fed_log_redirect(&sink);
    line->own = uselocale((locale_t)0) != LC_GLOBAL_LOCALE;
    FED_INFO("host", "trained", FED_F64("loss", 0.5));
    fed_log_redirect(before);
}

static void host_writes_commas(void) {
    char half[8];
    bool comma = comma_locale();
    snprintf(half, sizeof half, "%.1f", 0.5);
    ck_assert_str_eq(half, comma ? "0,5" : "0.5");
}

START_TEST(threads_of_ours_write_points) {
    struct line line = {.job.run = say_half};
    struct fed_pool *pool;
    host_writes_commas();
    ck_assert_int_eq(fed_pool_new(&pool, "points", 1, NULL), FED_OK);
    fed_pool_submit(pool, &line.job);
    struct pollfd ready = {.fd = fed_pool_fd(pool), .events = POLLIN};
    while (fed_pool_finished(pool) == NULL) {
        poll(&ready, 1, -1);
    }
    fed_pool_free(pool);
    ck_assert(line.own);
    ck_assert_str_eq(line.said, "host trained loss=0.5");
}
END_TEST

struct ear {
    pthread_mutex_t mutex;
    pthread_cond_t heard;
    struct line line;
};

static void hear(void *context, const char *what, unsigned seconds) {
    struct ear *ear = context;
    (void)what;
    (void)seconds;
    pthread_mutex_lock(&ear->mutex);
    say_half(&ear->line.job);
    pthread_cond_signal(&ear->heard);
    pthread_mutex_unlock(&ear->mutex);
}

START_TEST(who_says_what_is_waited_for_writes_points) {
    struct ear ear = {.mutex = PTHREAD_MUTEX_INITIALIZER, .heard = PTHREAD_COND_INITIALIZER};
    host_writes_commas();
    struct fed_busy *busy = fed_busy_begin(hear, &ear, 1, 1, "x");
    pthread_mutex_lock(&ear.mutex);
    while (ear.line.said[0] == '\0') {
        pthread_cond_wait(&ear.heard, &ear.mutex);
    }
    pthread_mutex_unlock(&ear.mutex);
    fed_busy_end(busy);
    ck_assert(ear.line.own);
    ck_assert_str_eq(ear.line.said, "host trained loss=0.5");
}
END_TEST

START_TEST(a_locale_is_given_back) {
    char half[8];
    bool comma = comma_locale();
    locale_t before = fed_c_locale_set();
    snprintf(half, sizeof half, "%.1f", 0.5);
    ck_assert_str_eq(half, "0.5");
    uselocale(before);
    snprintf(half, sizeof half, "%.1f", 0.5);
    ck_assert_str_eq(half, comma ? "0,5" : "0.5");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("c_locale");
    TCase *tcase = tcase_create("c_locale");
    tcase_add_test(tcase, threads_of_ours_write_points);
    tcase_add_test(tcase, who_says_what_is_waited_for_writes_points);
    tcase_add_test(tcase, a_locale_is_given_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
