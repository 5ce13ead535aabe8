/* The owner's record of what left the machine: its format, its permissions, and what happens when it cannot be kept. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/sent_log.h"
#include "common/base/file.h"

static char dir[40], state[48], path[64];

static const char line_one[] =
    "2026-01-31T12:00:00Z run=0102030000000000000000000000ffee round=3 attempt=1 "
    "model=aa000000000000000000000000000000000000000000000000000000000000bb clients=1 examples=600 bytes=796840\n";

static struct fed_sent sent_one(void) {
    return (struct fed_sent){.run_id = {1, 2, 3, [14] = 0xff, [15] = 0xee},
                             .round = 3,
                             .attempt = 1,
                             .model_digest = {[0] = 0xaa, [31] = 0xbb},
                             .n_clients = 1,
                             .n_examples = 600,
                             .n_bytes = 796840};
}
#define NOON INT64_C(1769860800999) /* 2026-01-31T12:00:00.999Z */

static void setup(void) {
    strcpy(dir, "/tmp/fed-sent-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(state, sizeof state, "%s/state", dir);
    snprintf(path, sizeof path, "%s/sent.log", state);
}

static void teardown(void) {
    unlink(path);
    rmdir(state);
    ck_assert_int_eq(rmdir(dir), 0);
}

static int open_log(void) {
    struct fed_error err = {""};
    int fd = -1;
    ck_assert_msg(fed_sent_log_open(&fd, state, &err) == FED_OK, "%s", err.text);
    return fd;
}

static void expect_content(const char *expected) {
    uint8_t *text = NULL;
    size_t n;
    ck_assert_int_eq(fed_file_read(&text, &n, path, 100000, NULL), FED_OK);
    ck_assert_str_eq((const char *)text, expected);
    free(text);
}

START_TEST(a_line_is_as_documented) {
    struct fed_sent sent = sent_one();
    int fd = open_log();
    ck_assert_int_eq(fed_sent_log_write(fd, &sent, NOON, NULL), FED_OK);
    close(fd);
    expect_content(line_one);
}
END_TEST

START_TEST(the_largest_numbers_fit_in_a_line) {
    struct fed_sent sent = {{0}, UINT64_MAX, UINT32_MAX, {0}, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    int fd = open_log();
    ck_assert_int_eq(fed_sent_log_write(fd, &sent, NOON, NULL), FED_OK);
    close(fd);
    expect_content("2026-01-31T12:00:00Z run=00000000000000000000000000000000 round=18446744073709551615 attempt=4294967295 "
                   "model=0000000000000000000000000000000000000000000000000000000000000000 clients=18446744073709551615 "
                   "examples=18446744073709551615 bytes=18446744073709551615\n");
}
END_TEST

START_TEST(what_was_written_stays) {
    struct fed_sent sent = sent_one();
    char twice[2 * sizeof line_one];
    for (int i = 0; i < 2; i++) {
        int fd = open_log();
        ck_assert_int_eq(fed_sent_log_write(fd, &sent, NOON, NULL), FED_OK);
        close(fd);
    }
    snprintf(twice, sizeof twice, "%s%s", line_one, line_one);
    expect_content(twice);
}
END_TEST

START_TEST(only_the_owner_may_read_it) {
    struct stat file, folder;
    mode_t before = umask(0);
    int fd = open_log();
    umask(before);
    ck_assert_int_eq(fstat(fd, &file), 0);
    ck_assert_int_eq(stat(state, &folder), 0);
    ck_assert_int_eq(file.st_mode & 07777, 0600);
    ck_assert_int_eq(folder.st_mode & 07777, 0700);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    close(fd);
}
END_TEST

START_TEST(a_symbolic_link_is_not_followed) {
    struct fed_error err = {""};
    char target[64];
    int fd = -1;
    snprintf(target, sizeof target, "%s/target", dir);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_eq(fed_sent_log_open(&fd, state, &err), FED_EIO);
    ck_assert_int_eq(fd, -1);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

/* check runs every test in a process of its own, so that the limit harms nobody else. */
START_TEST(a_full_disk_is_an_error_and_leaves_no_half_line) {
    struct fed_sent sent = sent_one();
    struct fed_error err = {""};
    struct rlimit limit;
    int fd = open_log();
    ck_assert_int_eq(fed_sent_log_write(fd, &sent, NOON, NULL), FED_OK);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {sizeof line_one - 1 + 20, limit.rlim_max}; /* room for 20 bytes of the next line */
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(fed_sent_log_write(fd, &sent, NOON, &err), FED_EIO);
    ck_assert_msg(strstr(err.text, "sent.log") != NULL && strstr(err.text, "nothing is sent") != NULL, "%s", err.text);
    expect_content(line_one);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(fed_sent_log_write(fd, &sent, NOON, NULL), FED_OK); /* there is room again */
    close(fd);
    char twice[2 * sizeof line_one];
    snprintf(twice, sizeof twice, "%s%s", line_one, line_one);
    expect_content(twice);
}
END_TEST

START_TEST(half_a_line_of_a_crash_does_not_spoil_the_next) {
    struct fed_sent sent = sent_one();
    char both[sizeof line_one + 32];
    int fd = open_log();
    ck_assert_int_eq(write(fd, "2026-01-3", 9), 9);
    close(fd);
    fd = open_log();
    ck_assert_int_eq(fed_sent_log_write(fd, &sent, NOON, NULL), FED_OK);
    close(fd);
    snprintf(both, sizeof both, "2026-01-3\n%s", line_one);
    expect_content(both);
}
END_TEST

START_TEST(whoever_has_it_open_is_noticed) {
    ck_assert(!fed_sent_log_in_use(state)); /* nothing there yet */
    int fd = open_log();
    ck_assert(fed_sent_log_in_use(state));
    int second = open_log(); /* which is nobody's business */
    close(fd);
    ck_assert(fed_sent_log_in_use(state));
    close(second);
    ck_assert(!fed_sent_log_in_use(state));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sent_log");
    TCase *tests = tcase_create("sent_log");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, whoever_has_it_open_is_noticed);
    tcase_add_test(tests, a_line_is_as_documented);
    tcase_add_test(tests, the_largest_numbers_fit_in_a_line);
    tcase_add_test(tests, what_was_written_stays);
    tcase_add_test(tests, only_the_owner_may_read_it);
    tcase_add_test(tests, a_symbolic_link_is_not_followed);
    tcase_add_test(tests, a_full_disk_is_an_error_and_leaves_no_half_line);
    tcase_add_test(tests, half_a_line_of_a_crash_does_not_spoil_the_next);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
