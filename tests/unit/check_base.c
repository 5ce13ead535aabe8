/* status, clock, log and pool. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/pool.h"
#include "common/base/status.h"

#define PATIENCE_MS 30000 /* a bound for events that take microseconds */

/* --- status and clock --- */

START_TEST(error_sentence_takes_a_prefix_and_never_overflows) {
    struct fed_error err;
    char longest[3000];
    ck_assert_int_eq(fed_error_set(&err, FED_EDATA, "%d bytes", 3), FED_EDATA);
    ck_assert_int_eq(fed_error_prefix(&err, FED_ECONFIG, "line %d", 7), FED_ECONFIG);
    ck_assert_str_eq(err.text, "line 7: 3 bytes");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    fed_error_set(&err, FED_EDATA, "%s", longest);
    fed_error_prefix(&err, FED_EDATA, "%s", "p");
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    ck_assert_int_eq(fed_error_set(NULL, FED_EIO, "nobody listens"), FED_EIO);
}
END_TEST

START_TEST(every_status_has_words_of_its_own) {
    const char *seen[40];
    int n = 0;
    const char *unknown = fed_status_text(-12345);
    for (int code = 0; code > -40; code--) {
        const char *text = fed_status_text(code);
        bool is_status = code >= FED_EDIFFERS || (code <= FED_ENOMEM && code >= FED_ENOTFOUND);
        ck_assert_msg((strcmp(text, unknown) != 0) == is_status, "%d: %s", code, text);
        for (int i = 0; is_status && i < n; i++) {
            ck_assert_msg(strcmp(text, seen[i]) != 0, "%d: %s", code, text);
        }
        if (is_status) {
            seen[n++] = text;
        }
    }
    ck_assert_int_eq(n, 13 + 6);
}
END_TEST

START_TEST(exit_codes_are_the_documented_ones) {
    ck_assert_int_eq(fed_status_exit_code(FED_OK), 0);
    ck_assert_int_eq(fed_status_exit_code(FED_EFAILED), 1);
    ck_assert_int_eq(fed_status_exit_code(FED_ECONFIG), 2);
    ck_assert_int_eq(fed_status_exit_code(FED_EINTERRUPTED), 10);
    ck_assert_int_eq(fed_status_exit_code(FED_EGIVENUP), 11);
    ck_assert_int_eq(fed_status_exit_code(FED_EDIFFERS), 12);
    ck_assert_int_eq(fed_status_exit_code(FED_ENOMEM), 1);
    ck_assert_int_eq(fed_status_exit_code(-12345), 1);
}
END_TEST

START_TEST(clocks_agree_and_do_not_run_back) {
    uint64_t us = fed_clock_us(), ms = fed_clock_ms();
    ck_assert_uint_ge(ms, us / 1000);
    ck_assert_uint_ge(fed_clock_us(), us);
    ck_assert_int_gt(fed_clock_wall_ms(), INT64_C(1600000000000)); /* after 2020 */
}
END_TEST

/* --- log --- */

static int kept_stderr = -1;
static FILE *captured;

static void capture_begin(void) {
    captured = tmpfile();
    ck_assert_ptr_nonnull(captured);
    kept_stderr = dup(STDERR_FILENO);
    dup2(fileno(captured), STDERR_FILENO);
}

/* What was written to stderr since capture_begin; a static buffer. */
static const char *capture_end(void) {
    static char text[65536];
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    ssize_t n = pread(fileno(captured), text, sizeof text - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    fclose(captured);
    return text;
}

START_TEST(text_line_is_level_room_event_and_pairs) {
    capture_begin();
    FED_INFO("round", "committed", FED_U64("round", UINT64_MAX), FED_I64("delta", -5), FED_F64("loss", 0.25),
             FED_STR("model", "ab12"));
    FED_WARN("link", "quiet");
    ck_assert_str_eq(capture_end(), "info round committed round=18446744073709551615 delta=-5 loss=0.25 model=ab12\n"
                                    "warn link quiet\n");
}
END_TEST

START_TEST(text_values_cannot_forge_a_field_or_a_line) {
    capture_begin();
    FED_ERROR("admit", "refused", FED_STR("a", "two words"), FED_STR("b", "say \"no\"\\"),
              FED_STR("c", "x\nerror fake\r\x1b"), FED_STR("d", ""), FED_STR("e", NULL), FED_STR("f", "k=v"),
              FED_STR("g", "naïve"));
    ck_assert_str_eq(capture_end(), "error admit refused a=\"two words\" b=\"say \\\"no\\\"\\\\\" "
                                    "c=\"x\\nerror fake\\x0d\\x1b\" d=\"\" e=\"\" f=\"k=v\" g=naïve\n");
}
END_TEST

START_TEST(too_long_a_text_line_is_cut_and_still_a_line) {
    static char value[10000];
    memset(value, 'v', sizeof value - 1);
    capture_begin();
    FED_INFO("log", "long", FED_STR("value", value), FED_STR("lost", "x"));
    const char *line = capture_end();
    ck_assert_uint_eq(strlen(line), 4096);
    ck_assert_str_eq(line + 4096 - 5, "v...\n");
}
END_TEST

START_TEST(level_decides_what_is_written) {
    fed_log_setup(FED_LOG_TEXT, FED_LOG_WARN);
    capture_begin();
    FED_INFO("log", "no");
    FED_DEBUG("log", "no");
    FED_WARN("log", "yes");
    FED_ERROR("log", "yes");
    ck_assert_str_eq(capture_end(), "warn log yes\nerror log yes\n");
}
END_TEST

START_TEST(json_line_is_one_object_with_time_level_room_event) {
    fed_log_setup(FED_LOG_JSON, FED_LOG_INFO);
    capture_begin();
    FED_INFO("round", "committed", FED_U64("round", 3), FED_U64("seed", UINT64_MAX), FED_F64("loss", 0.5),
             FED_F64("bad", NAN), FED_STR("name", "a \"b\"\n\x1b"), FED_STR("bytes", "\xff!"), FED_STR("none", NULL),
             FED_I64("delta", -1));
    const char *line = capture_end();
    ck_assert_uint_eq(strcspn(line, "\n") + 1, strlen(line)); /* one line */
    json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_str_eq(json_string_value(json_object_get(o, "level")), "info");
    ck_assert_str_eq(json_string_value(json_object_get(o, "room")), "round");
    ck_assert_str_eq(json_string_value(json_object_get(o, "event")), "committed");
    ck_assert_int_eq(json_integer_value(json_object_get(o, "round")), 3);
    ck_assert_str_eq(json_string_value(json_object_get(o, "seed")), "18446744073709551615");
    ck_assert(json_real_value(json_object_get(o, "loss")) == 0.5);
    ck_assert(json_is_null(json_object_get(o, "bad")) && json_is_null(json_object_get(o, "none")));
    ck_assert_str_eq(json_string_value(json_object_get(o, "name")), "a \"b\"\n\x1b");
    ck_assert_str_eq(json_string_value(json_object_get(o, "bytes")), "?!");
    ck_assert_int_eq(json_integer_value(json_object_get(o, "delta")), -1);
    int year, month, day, hour, minute, second, ms, end = 0;
    const char *now = json_string_value(json_object_get(o, "time"));
    ck_assert_int_eq(sscanf(now, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute, &second, &ms, &end),
                     7);
    ck_assert_int_eq(end, 24);
    ck_assert_int_ge(year, 2020);
    json_decref(o);
}
END_TEST

/* As a service manager connects it: JOURNAL_STREAM names the file behind stderr, off by so much. */
static void name_the_journal(uint64_t off, const char *behind) {
    struct stat st;
    char stream[64];
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof stream, "%ju:%ju%s", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + off, behind);
    ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
}

START_TEST(lines_for_the_journal_begin_with_their_priority) {
    capture_begin();
    name_the_journal(0, "");
    fed_log_setup(FED_LOG_TEXT, FED_LOG_DEBUG);
    FED_ERROR("disk", "full");
    FED_WARN("link", "quiet");
    FED_INFO("round", "committed", FED_U64("round", 3));
    FED_DEBUG("loop", "woke");
    fed_log_setup(FED_LOG_JSON, FED_LOG_WARN);
    FED_WARN("link", "quiet");
    const char *text = capture_end();
    static const char lines[] = "<3>error disk full\n<4>warn link quiet\n<6>info round committed round=3\n"
                                "<7>debug loop woke\n<4>{\"time\":\"";
    ck_assert_msg(strncmp(text, lines, strlen(lines)) == 0, "%s", text);
    unsetenv("JOURNAL_STREAM");
}
END_TEST

START_TEST(stderr_that_is_not_the_journal_gets_no_priorities) {
    static const struct {
        uint64_t off;
        const char *behind;
    } others[] = {{1, ""}, {0, ":0"}, {0, " "}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        capture_begin();
        name_the_journal(others[i].off, others[i].behind);
        fed_log_setup(FED_LOG_TEXT, FED_LOG_INFO);
        FED_WARN("link", "quiet");
        ck_assert_str_eq(capture_end(), "warn link quiet\n");
    }
    unsetenv("JOURNAL_STREAM");
}
END_TEST

START_TEST(last_sentence_is_an_error_in_every_format) {
    capture_begin();
    fed_log_setup(FED_LOG_TEXT, FED_LOG_ERROR);
    fed_log_failure("fedavg-client", FED_EKEY, "ward-7.key: no such file");
    name_the_journal(0, "");
    fed_log_setup(FED_LOG_TEXT, FED_LOG_ERROR);
    fed_log_failure("fedavg-client", FED_EKEY, "ward-7.key: no such file");
    ck_assert_str_eq(capture_end(), "fedavg-client: ward-7.key: no such file\n<3>fedavg-client: ward-7.key: no such file\n");
    unsetenv("JOURNAL_STREAM");
    capture_begin();
    fed_log_setup(FED_LOG_JSON, FED_LOG_ERROR);
    fed_log_failure("fedavg-client", FED_EKEY, "ward-7.key: no such file");
    json_t *o = json_loads(capture_end(), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(o, "level")), "error");
    ck_assert_str_eq(json_string_value(json_object_get(o, "room")), "fedavg-client");
    ck_assert_str_eq(json_string_value(json_object_get(o, "event")), "failed");
    ck_assert_str_eq(json_string_value(json_object_get(o, "why")), "ward-7.key: no such file");
    json_decref(o);
}
END_TEST

START_TEST(a_stop_that_was_asked_for_is_no_error) {
    capture_begin();
    name_the_journal(0, "");
    fed_log_setup(FED_LOG_TEXT, FED_LOG_ERROR);
    fed_log_failure("fedavg-coordinator", FED_EINTERRUPTED, "stopped in round 3");
    ck_assert_str_eq(capture_end(), "<6>fedavg-coordinator: stopped in round 3\n");
    unsetenv("JOURNAL_STREAM");
    capture_begin();
    fed_log_setup(FED_LOG_JSON, FED_LOG_ERROR);
    fed_log_failure("fedavg-coordinator", FED_EINTERRUPTED, "stopped in round 3");
    json_t *o = json_loads(capture_end(), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(o, "level")), "info");
    ck_assert_str_eq(json_string_value(json_object_get(o, "event")), "stopped");
    json_decref(o);
}
END_TEST

START_TEST(log_words_parse) {
    enum fed_log_level level = FED_LOG_ERROR;
    enum fed_log_format format = FED_LOG_TEXT;
    ck_assert_int_eq(fed_log_parse_level(&level, "debug"), 0);
    ck_assert_int_eq(level, FED_LOG_DEBUG);
    ck_assert_int_eq(fed_log_parse_level(&level, "loud"), FED_ENOTFOUND);
    ck_assert_int_eq(fed_log_parse_format(&format, "json"), 0);
    ck_assert_int_eq(format, FED_LOG_JSON);
    ck_assert_int_eq(fed_log_parse_format(&format, "JSON"), FED_ENOTFOUND);
}
END_TEST

static char taken[64];
static enum fed_log_level taken_level;

static void take_line(void *context, enum fed_log_level level, const char *line) {
    snprintf(taken, sizeof taken, "%s: %s", (const char *)context, line);
    taken_level = level;
}

static void *log_elsewhere(void *unused) {
    FED_WARN("log", "elsewhere");
    return unused;
}

START_TEST(lines_of_a_thread_go_where_it_says_and_no_other_threads_do) {
    static char me[] = "me";
    const struct fed_log_sink sink = {FED_LOG_WARN, take_line, me};
    pthread_t other;
    capture_begin();
    ck_assert_ptr_null(fed_log_redirect(&sink));
    FED_WARN("log", "here", FED_STR("a", "two words"));
    FED_INFO("log", "not this");
    ck_assert_int_eq(pthread_create(&other, NULL, log_elsewhere, NULL), 0);
    pthread_join(other, NULL);
    ck_assert_ptr_eq(fed_log_redirect(NULL), &sink);
    FED_WARN("log", "again");
    ck_assert_str_eq(capture_end(), "warn log elsewhere\nwarn log again\n");
    ck_assert_str_eq(taken, "me: log here a=\"two words\"");
    ck_assert_int_eq(taken_level, FED_LOG_WARN);
}
END_TEST

static void *log_a_hundred(void *arg) {
    for (int i = 0; i < 100; i++) {
        FED_INFO("log", "line", FED_STR("who", arg));
    }
    return NULL;
}

START_TEST(lines_of_many_threads_do_not_mix) {
    static char names[4][9] = {"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"};
    int counts[4] = {0};
    pthread_t threads[4];
    capture_begin();
    fcntl(STDERR_FILENO, F_SETFL, fcntl(STDERR_FILENO, F_GETFL) | O_APPEND); /* as a service's log is */
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_a_hundred, names[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    for (const char *p = capture_end(); *p != '\0'; p += strcspn(p, "\n") + 1) {
        char line[64];
        int who = p[18] - 'a';
        ck_assert(who >= 0 && who < 4);
        snprintf(line, sizeof line, "info log line who=%s\n", names[who]);
        ck_assert(strncmp(p, line, strlen(line)) == 0);
        counts[who]++;
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(counts[i], 100);
    }
}
END_TEST

/* --- pool --- */

struct square {
    struct fed_job job;
    int input, output;
    sem_t *gate, *started; /* NULL: none */
};

static void run_square(struct fed_job *job) {
    struct square *s = (struct square *)job;
    if (s->started != NULL) {
        sem_post(s->started);
    }
    if (s->gate != NULL) {
        sem_wait(s->gate);
    }
    s->output = s->input * s->input;
}

static bool readable(const struct fed_pool *pool, int wait_ms) {
    struct pollfd p = {.fd = fed_pool_fd(pool), .events = POLLIN};
    return poll(&p, 1, wait_ms) == 1;
}

static struct square *await(struct fed_pool *pool) {
    ck_assert(readable(pool, PATIENCE_MS));
    struct fed_job *job = fed_pool_finished(pool);
    ck_assert_ptr_nonnull(job);
    return (struct square *)job;
}

START_TEST(every_job_comes_back_once_with_its_result) {
    enum { N = 2000 };
    static struct square jobs[N];
    struct fed_pool *pool;
    ck_assert_int_eq(fed_pool_new(&pool, "squares", 4, NULL), 0);
    for (int i = 0; i < N; i++) {
        jobs[i] = (struct square){.job.run = run_square, .input = i};
        fed_pool_submit(pool, &jobs[i].job);
    }
    for (int i = 0; i < N; i++) {
        struct square *s = await(pool);
        ck_assert_int_eq(s->output, s->input * s->input);
        ck_assert_int_ge(s->input, 0);
        s->input = -1; /* seen */
    }
    ck_assert_ptr_null(fed_pool_finished(pool));
    ck_assert(!readable(pool, 0));
    fed_pool_free(pool);
}
END_TEST

START_TEST(one_thread_keeps_the_order) {
    struct square jobs[20];
    struct fed_pool *pool;
    ck_assert_int_eq(fed_pool_new(&pool, "order", 1, NULL), 0);
    for (int i = 0; i < 20; i++) {
        jobs[i] = (struct square){.job.run = run_square, .input = i};
        fed_pool_submit(pool, &jobs[i].job);
    }
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(await(pool)->input, i);
    }
    fed_pool_free(pool);
}
END_TEST

START_TEST(descriptor_is_readable_exactly_while_a_job_waits_to_be_fetched) {
    sem_t gate;
    struct square a = {.job.run = run_square, .input = 1, .gate = &gate}, b = a;
    struct fed_pool *pool;
    sem_init(&gate, 0, 0);
    ck_assert_int_eq(fed_pool_new(&pool, "gate", 1, NULL), 0);
    ck_assert_ptr_null(fed_pool_finished(pool));
    fed_pool_submit(pool, &a.job);
    fed_pool_submit(pool, &b.job);
    ck_assert(!readable(pool, 0));
    sem_post(&gate);
    ck_assert_ptr_eq(await(pool), &a);
    ck_assert(!readable(pool, 0));
    sem_post(&gate);
    ck_assert_ptr_eq(await(pool), &b);
    ck_assert(!readable(pool, 0));
    fed_pool_free(pool);
    sem_destroy(&gate);
}
END_TEST

static void *open_gate_later(void *arg) {
    for (int i = 0; i < 1000; i++) {
        sched_yield(); /* let free reach the join first, most times; either order must work */
    }
    sem_post(arg);
    return NULL;
}

START_TEST(free_waits_for_the_running_job_and_never_tears_a_waiting_one) {
    sem_t gate, started;
    struct square running = {.job.run = run_square, .input = 3, .gate = &gate, .started = &started};
    struct square waiting = {.job.run = run_square, .input = 5};
    struct fed_pool *pool;
    pthread_t opener;
    sem_init(&gate, 0, 0);
    sem_init(&started, 0, 0);
    ck_assert_int_eq(fed_pool_new(&pool, "drop", 1, NULL), 0);
    fed_pool_submit(pool, &running.job);
    fed_pool_submit(pool, &waiting.job);
    sem_wait(&started);
    ck_assert_int_eq(pthread_create(&opener, NULL, open_gate_later, &gate), 0);
    fed_pool_free(pool);
    pthread_join(opener, NULL);
    ck_assert_int_eq(running.output, 9);
    ck_assert(waiting.output == 0 || waiting.output == 25);
    fed_pool_free(NULL);
    sem_destroy(&gate);
    sem_destroy(&started);
}
END_TEST

struct inspect {
    struct fed_job job;
    char name[16];
    bool signals_blocked;
};

static void run_inspect(struct fed_job *job) {
    struct inspect *i = (struct inspect *)job;
    sigset_t mask;
    pthread_getname_np(pthread_self(), i->name, sizeof i->name);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    i->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1;
}

START_TEST(pool_threads_have_a_name_and_leave_signals_to_the_owner) {
    struct inspect job = {.job.run = run_inspect};
    struct fed_pool *pool;
    sigset_t mask;
    ck_assert_int_eq(fed_pool_new(&pool, "fifteen-letters", 1, NULL), 0);
    fed_pool_submit(pool, &job.job);
    await(pool);
    ck_assert_str_eq(job.name, "fifteen-letters");
    ck_assert(job.signals_blocked);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
    fed_pool_free(pool);
}
END_TEST

struct computes {
    struct fed_job job;
    int rounding;
    bool usual;
};

/* A third of the least number is a number, but for who flushes to zero. */
static void run_computes(struct fed_job *job) {
    struct computes *c = (struct computes *)job;
    volatile float least = 0x1p-126f, third = least / 3;
    c->rounding = fegetround();
    c->usual = third > 0;
    fed_numeric_mode_assert();
}

START_TEST(pool_threads_compute_as_usual_whatever_their_creator_does) {
    struct computes c = {.job.run = run_computes};
    struct fed_pool *pool;
    fesetround(FE_UPWARD);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
    ck_assert_int_eq(fed_pool_new(&pool, "odd", 1, NULL), 0);
    ck_assert_int_eq(fegetround(), FE_UPWARD);
    fed_pool_submit(pool, &c.job);
    ck_assert_ptr_eq(await(pool), &c);
    ck_assert(c.usual && c.rounding == FE_TONEAREST);
    fed_pool_free(pool);
}
END_TEST

START_TEST(default_numeric_mode_is_accepted) {
    fed_numeric_mode_assert();
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
}
END_TEST

START_TEST(other_rounding_stops_the_program) {
    fesetround(FE_UPWARD);
    fed_numeric_mode_assert();
}
END_TEST

#if defined(__x86_64__)
START_TEST(flush_to_zero_stops_the_program) {
    _mm_setcsr(_mm_getcsr() | 0x8000);
    fed_numeric_mode_assert();
}
END_TEST

START_TEST(denormals_are_zero_stops_the_program) {
    _mm_setcsr(_mm_getcsr() | 0x0040);
    fed_numeric_mode_assert();
}
END_TEST
#endif

static TCase *pool_case(void) {
    TCase *t = tcase_create("pool");
    tcase_add_test(t, every_job_comes_back_once_with_its_result);
    tcase_add_test(t, one_thread_keeps_the_order);
    tcase_add_test(t, descriptor_is_readable_exactly_while_a_job_waits_to_be_fetched);
    tcase_add_test(t, free_waits_for_the_running_job_and_never_tears_a_waiting_one);
    tcase_add_test(t, pool_threads_have_a_name_and_leave_signals_to_the_owner);
    tcase_add_test(t, pool_threads_compute_as_usual_whatever_their_creator_does);
    tcase_add_test(t, default_numeric_mode_is_accepted);
    tcase_add_test_raise_signal(t, other_rounding_stops_the_program, SIGABRT);
    return t;
}

/* Modes that valgrind's processor does not have: deploy/valgrind leaves them out by their tag. */
static TCase *processor_case(void) {
    TCase *t = tcase_create("processor");
    tcase_set_tags(t, "processor");
#if defined(__x86_64__)
    tcase_add_test_raise_signal(t, flush_to_zero_stops_the_program, SIGABRT);
    tcase_add_test_raise_signal(t, denormals_are_zero_stops_the_program, SIGABRT);
#endif
    return t;
}

int main(void) {
    Suite *suite = suite_create("base");
    TCase *t = tcase_create("status, clock, log");
    tcase_add_test(t, error_sentence_takes_a_prefix_and_never_overflows);
    tcase_add_test(t, every_status_has_words_of_its_own);
    tcase_add_test(t, exit_codes_are_the_documented_ones);
    tcase_add_test(t, clocks_agree_and_do_not_run_back);
    tcase_add_test(t, text_line_is_level_room_event_and_pairs);
    tcase_add_test(t, text_values_cannot_forge_a_field_or_a_line);
    tcase_add_test(t, too_long_a_text_line_is_cut_and_still_a_line);
    tcase_add_test(t, level_decides_what_is_written);
    tcase_add_test(t, json_line_is_one_object_with_time_level_room_event);
    tcase_add_test(t, lines_for_the_journal_begin_with_their_priority);
    tcase_add_test(t, stderr_that_is_not_the_journal_gets_no_priorities);
    tcase_add_test(t, last_sentence_is_an_error_in_every_format);
    tcase_add_test(t, a_stop_that_was_asked_for_is_no_error);
    tcase_add_test(t, lines_of_a_thread_go_where_it_says_and_no_other_threads_do);
    tcase_add_test(t, log_words_parse);
    tcase_add_test(t, lines_of_many_threads_do_not_mix);
    suite_add_tcase(suite, t);
    suite_add_tcase(suite, pool_case());
    suite_add_tcase(suite, processor_case());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
