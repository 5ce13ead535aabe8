/* What the service manager hears, at a socket of the test's own. */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/notify.h"

static char folder[] = "/tmp/fedavg-notify-XXXXXX", path[64];
static int manager;

static void listen_at(const char *name, socklen_t n) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, n);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)), 0);
}

static void setup(void) {
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    listen_at(path, (socklen_t)strlen(path) + 1);
    setenv("NOTIFY_SOCKET", path, 1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void teardown(void) {
    close(manager);
    unlink(path);
    rmdir(folder);
}

/* The next message, "" if there is none. */
static const char *heard(void) {
    static char text[2048];
    ssize_t n = recv(manager, text, sizeof text - 1, 0);
    ck_assert(n >= 0 || errno == EAGAIN);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

START_TEST(nothing_is_said_where_nobody_asked) {
    struct fed_notify notify;
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "1000", 1);
    fed_notify_open(&notify);
    fed_notify_ready(&notify);
    fed_notify_status(&notify, "%s", "something");
    fed_notify_turn(&notify, 1000);
    fed_notify_reloading(&notify);
    fed_notify_stopping(&notify);
    fed_notify_close(&notify);
    ck_assert_str_eq(heard(), "");
    fed_notify_ready(NULL);
    fed_notify_status(NULL, "%s", "x");
    fed_notify_turn(NULL, 1);
    fed_notify_reloading(NULL);
    fed_notify_stopping(NULL);
    fed_notify_close(NULL);
}
END_TEST

START_TEST(a_start_a_reload_and_an_end_are_told_in_order) {
    struct fed_notify notify;
    unsigned long long us;
    fed_notify_open(&notify);
    fed_notify_turn(&notify, 1);
    ck_assert_str_eq(heard(), ""); /* not ready yet */
    fed_notify_ready(&notify);
    fed_notify_turn(&notify, 2);
    ck_assert_str_eq(heard(), "READY=1\n");
    fed_notify_turn(&notify, 3);
    ck_assert_str_eq(heard(), ""); /* said once */
    fed_notify_reloading(&notify);
    ck_assert_int_eq(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu", &us), 1);
    ck_assert_uint_gt(us, 0);
    fed_notify_ready(&notify);
    fed_notify_turn(&notify, 4);
    ck_assert_str_eq(heard(), "READY=1\n");
    fed_notify_stopping(&notify);
    ck_assert_str_eq(heard(), "STOPPING=1");
    fed_notify_status(&notify, "%s", "a key is missing");
    fed_notify_close(&notify);
    ck_assert_str_eq(heard(), "STATUS=a key is missing\n");
    fed_notify_turn(&notify, 5);
    ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(a_status_is_told_once_a_change_and_at_most_once_a_second) {
    struct fed_notify notify;
    fed_notify_open(&notify);
    fed_notify_status(&notify, "round %d", 1);
    fed_notify_turn(&notify, 10000);
    ck_assert_str_eq(heard(), "STATUS=round 1\n");
    fed_notify_status(&notify, "round %d", 2);
    fed_notify_turn(&notify, 10999);
    ck_assert_str_eq(heard(), "");
    fed_notify_status(&notify, "round %d", 3);
    fed_notify_turn(&notify, 11000);
    ck_assert_str_eq(heard(), "STATUS=round 3\n");
    fed_notify_status(&notify, "round %d", 3);
    fed_notify_turn(&notify, 20000);
    ck_assert_str_eq(heard(), "");
    fed_notify_close(&notify);
}
END_TEST

START_TEST(a_status_cannot_speak_for_the_process) {
    struct fed_notify notify;
    char longest[600];
    fed_notify_open(&notify);
    fed_notify_status(&notify, "%s", "node a\nMAINPID=1\x7f\ttold");
    fed_notify_turn(&notify, 1);
    ck_assert_str_eq(heard(), "STATUS=node a MAINPID=1  told\n");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    fed_notify_status(&notify, "%s", longest);
    fed_notify_turn(&notify, 5000);
    ck_assert_uint_eq(strlen(heard()), strlen("STATUS=\n") + sizeof notify.status - 1);
    fed_notify_close(&notify);
}
END_TEST

START_TEST(signs_of_life_come_four_times_in_the_time_the_manager_waits) {
    struct fed_notify notify;
    unsigned signs = 0;
    setenv("WATCHDOG_USEC", "8000000", 1);
    fed_notify_open(&notify);
    for (uint64_t now = 50000; now < 58000; now += 10) {
        fed_notify_turn(&notify, now);
        signs += strcmp(heard(), "WATCHDOG=1\n") == 0;
    }
    ck_assert_uint_eq(signs, 4);
    fed_notify_close(&notify);
}
END_TEST

START_TEST(a_watchdog_that_waits_for_another_process_is_not_fed) {
    struct fed_notify notify;
    char pid[24];
    setenv("WATCHDOG_USEC", "1000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    fed_notify_open(&notify);
    fed_notify_turn(&notify, 50000);
    ck_assert_str_eq(heard(), "");
    fed_notify_close(&notify);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", path, 1);
    setenv("WATCHDOG_USEC", "1000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    fed_notify_open(&notify);
    fed_notify_turn(&notify, 50000);
    ck_assert_str_eq(heard(), "WATCHDOG=1\n");
    fed_notify_close(&notify);
}
END_TEST

START_TEST(what_the_manager_has_no_room_for_is_told_later) {
    struct fed_notify notify;
    uint64_t now = 0;
    fed_notify_open(&notify);
    for (int i = 0; i < 5000; i++) { /* more than any queue holds */
        fed_notify_status(&notify, "%d", i);
        fed_notify_turn(&notify, now += 1000);
    }
    fed_notify_ready(&notify);
    fed_notify_turn(&notify, now += 1000);
    while (heard()[0] != '\0') {
    }
    fed_notify_turn(&notify, now += 1000);
    ck_assert_str_eq(heard(), "READY=1\nSTATUS=4999\n");
    fed_notify_close(&notify);
}
END_TEST

START_TEST(a_name_of_linux_s_own_is_an_address_too) {
    struct fed_notify notify;
    char name[64], at[64];
    int n = snprintf(at, sizeof at, "@fedavg-notify-%ld", (long)getpid());
    close(manager);
    memcpy(name, at, sizeof name);
    name[0] = '\0';
    listen_at(name, (socklen_t)n);
    setenv("NOTIFY_SOCKET", at, 1);
    fed_notify_open(&notify);
    fed_notify_ready(&notify);
    fed_notify_turn(&notify, 1);
    ck_assert_str_eq(heard(), "READY=1\n");
    fed_notify_close(&notify);
}
END_TEST

START_TEST(an_address_that_cannot_be_used_is_left_alone) {
    char longest[200];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    longest[0] = '/';
    const char *names[] = {"@", "/", "relative", "vsock:2:1234", "/nowhere/at/all", longest};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fed_notify notify;
        setenv("NOTIFY_SOCKET", names[i], 1);
        fed_notify_open(&notify);
        ck_assert_int_eq(notify.fd, -1);
        fed_notify_ready(&notify);
        fed_notify_turn(&notify, 1);
        fed_notify_close(&notify);
    }
}
END_TEST

START_TEST(children_inherit_nothing_of_it) {
    struct fed_notify notify;
    setenv("WATCHDOG_USEC", "1000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    fed_notify_open(&notify);
    ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
    ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
    ck_assert_ptr_null(getenv("WATCHDOG_PID"));
    fed_notify_close(&notify);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("notify");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, nothing_is_said_where_nobody_asked);
    tcase_add_test(tests, a_start_a_reload_and_an_end_are_told_in_order);
    tcase_add_test(tests, a_status_is_told_once_a_change_and_at_most_once_a_second);
    tcase_add_test(tests, a_status_cannot_speak_for_the_process);
    tcase_add_test(tests, signs_of_life_come_four_times_in_the_time_the_manager_waits);
    tcase_add_test(tests, a_watchdog_that_waits_for_another_process_is_not_fed);
    tcase_add_test(tests, what_the_manager_has_no_room_for_is_told_later);
    tcase_add_test(tests, a_name_of_linux_s_own_is_an_address_too);
    tcase_add_test(tests, an_address_that_cannot_be_used_is_left_alone);
    tcase_add_test(tests, children_inherit_nothing_of_it);
    Suite *suite = suite_create("notify");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
