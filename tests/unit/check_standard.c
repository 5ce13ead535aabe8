/* The standard descriptors, closed by whoever started us. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/standard.h"

/* In a child: 0 if no file gets the number of a descriptor that was closed, and nothing can be read or written there. */
static int open_where_all_three_are_closed(void) {
    struct fed_error err;
    char byte = 'x';
    close(0);
    close(1);
    close(2);
    fed_standard_guard();
    bool above = open("/dev/null", O_RDWR) > 2;
    bool mute = write(1, &byte, 1) == -1 && errno == EBADF && write(2, &byte, 1) == -1 && errno == EBADF;
    bool deaf = read(0, &byte, 1) == -1 && errno == EBADF;
    printf("lost");
    return above && mute && deaf && fed_standard_flush(&err) == FED_EIO ? 0 : 1;
}

START_TEST(no_file_gets_the_number_of_a_standard_descriptor_that_was_closed) {
    int status = -1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(open_where_all_three_are_closed());
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

START_TEST(standard_descriptors_that_are_open_stay_as_they_are) {
    struct stat before[3], after[3];
    for (int fd = 0; fd < 3; fd++) {
        ck_assert_int_eq(fstat(fd, &before[fd]), 0);
    }
    fed_standard_guard();
    for (int fd = 0; fd < 3; fd++) {
        ck_assert_int_eq(fstat(fd, &after[fd]), 0);
        ck_assert(before[fd].st_dev == after[fd].st_dev && before[fd].st_ino == after[fd].st_ino);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("standard");
    TCase *t = tcase_create("standard descriptors");
    tcase_add_test(t, no_file_gets_the_number_of_a_standard_descriptor_that_was_closed);
    tcase_add_test(t, standard_descriptors_that_are_open_stay_as_they_are);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
