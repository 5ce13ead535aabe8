/* What takes long is said, from the time on that was asked for; what is over before is not. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/busy.h"

struct ear {
    pthread_mutex_t mutex;
    pthread_cond_t heard;
    unsigned n;
    char what[64];
};

static void hear(void *context, const char *what, unsigned seconds) {
    struct ear *ear = context;
    pthread_mutex_lock(&ear->mutex);
    ck_assert_uint_lt(seconds, 100);
    strncpy(ear->what, what, sizeof ear->what - 1);
    ear->n++;
    pthread_cond_signal(&ear->heard);
    pthread_mutex_unlock(&ear->mutex);
}

START_TEST(what_goes_on_is_said_again_and_again) {
    struct ear ear = {.mutex = PTHREAD_MUTEX_INITIALIZER, .heard = PTHREAD_COND_INITIALIZER};
    struct fed_busy *busy = fed_busy_begin(hear, &ear, 1, 1, "reading %s", "a file");
    pthread_mutex_lock(&ear.mutex);
    while (ear.n < 3) { /* an event, not a time */
        pthread_cond_wait(&ear.heard, &ear.mutex);
    }
    pthread_mutex_unlock(&ear.mutex);
    ck_assert_uint_ge(fed_busy_end(busy), 3);
    ck_assert_str_eq(ear.what, "reading a file");
}
END_TEST

START_TEST(what_is_over_before_its_time_is_never_said) {
    struct ear ear = {.mutex = PTHREAD_MUTEX_INITIALIZER, .heard = PTHREAD_COND_INITIALIZER};
    ck_assert_uint_eq(fed_busy_end(fed_busy_begin(hear, &ear, 3600 * 1000, 1, "x")), 0);
    ck_assert_uint_eq(ear.n, 0);
    ck_assert_uint_eq(fed_busy_end(NULL), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("busy");
    TCase *tcase = tcase_create("busy");
    tcase_add_test(tcase, what_goes_on_is_said_again_and_again);
    tcase_add_test(tcase, what_is_over_before_its_time_is_never_said);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
