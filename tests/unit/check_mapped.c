/* Files that are read where they lie while their owner changes them. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mapped.h"

static char dir[] = "/tmp/fedavg-mapped.XXXXXX", path[64], other[64];
static struct fed_error err;
static const uint8_t *map;
static size_t n;

static void put(const char *name, const char *text) {
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fputs(text, file) >= 0 && fclose(file) == 0, 1);
}

static void setup(void) {
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/data", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    put(path, "some data");
    ck_assert_int_eq(fed_mapped_open(&map, &n, path, &err), 0);
}

static void teardown(void) {
    fed_mapped_close(map, n);
    unlink(path);
    unlink(other);
    rmdir(dir);
}

/* To another moment than that of the map, whatever the grain of the file system's clock. */
static void touch(time_t seconds) {
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

START_TEST(a_file_that_nobody_touches_is_unchanged) {
    ck_assert_int_eq(fed_mapped_check(map, &err), 0);
    ck_assert_int_eq(fed_mapped_check(NULL, &err), 0);
}
END_TEST

START_TEST(a_file_that_was_written_to_has_changed_and_is_named) {
    put(path, "Some data");
    touch(1000000);
    ck_assert_int_eq(fed_mapped_check(map, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_ptr_nonnull(strstr(err.text, "was changed while it is in use"));
}
END_TEST

START_TEST(a_file_of_another_length_has_changed_whatever_its_time) {
    struct stat before;
    ck_assert_int_eq(stat(path, &before), 0);
    put(path, "some data and more");
    struct timespec times[2] = {before.st_atim, before.st_mtim};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    ck_assert_int_eq(fed_mapped_check(map, &err), FED_EDATA);
}
END_TEST

START_TEST(another_file_under_the_same_name_changes_nothing) {
    put(other, "new");
    ck_assert_int_eq(rename(other, path), 0);
    ck_assert_int_eq(fed_mapped_check(map, &err), 0);
    ck_assert_mem_eq(map, "some data", 9);
}
END_TEST

START_TEST(places_come_back_and_their_end_is_an_error) {
    const uint8_t *maps[FED_MAPPED_MAX], *none = map;
    size_t sizes[FED_MAPPED_MAX], i = 0;
    while (i < FED_MAPPED_MAX - 1) {
        ck_assert_int_eq(fed_mapped_open(&maps[i], &sizes[i], path, &err), 0);
        i++;
    }
    ck_assert_int_eq(fed_mapped_open(&none, &n, path, &err), FED_EIO);
    ck_assert_ptr_eq(none, map);
    ck_assert_int_eq(fed_mapped_watch(path, sizeof path, "spool"), FED_ENOMEM);
    while (i-- > 0) {
        fed_mapped_close(maps[i], sizes[i]);
    }
    ck_assert_int_eq(fed_mapped_open(&maps[0], &sizes[0], path, &err), 0);
    fed_mapped_close(maps[0], sizes[0]);
}
END_TEST

/* What a process says that touches the byte after its file was cut, and how it ends. */
static int touch_after_cut(char said[256], const uint8_t *byte) {
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGBUS, SIG_DFL);
        fed_mapped_guard();
        if (truncate(path, 0) == 0) {
            _exit(*(const volatile uint8_t *)byte == 0 ? 98 : 99);
        }
        _exit(97);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], said, 255);
    size_t length = 0;
    for (; got > 0; got = read(ends[0], said + length, 255 - length)) {
        length += (size_t)got;
    }
    said[length] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

START_TEST(a_file_that_is_cut_short_ends_the_program_with_its_name) {
    char said[256];
    ck_assert_int_eq(touch_after_cut(said, map), fed_status_exit_code(FED_EDATA));
    ck_assert_ptr_nonnull(strstr(said, path));
    ck_assert_ptr_nonnull(strstr(said, "was cut short while it was in use"));
}
END_TEST

START_TEST(memory_that_is_watched_is_named_too_and_other_memory_is_not_hidden) {
    char said[256];
    int fd = open(path, O_RDONLY);
    uint8_t *own = mmap(NULL, 9, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(own, MAP_FAILED);
    close(fd);
    ck_assert_int_eq(touch_after_cut(said, own), -SIGBUS);
    ck_assert_ptr_null(strstr(said, "was cut short")); /* an emulator has a word of its own to say */
    put(path, "some data");
    ck_assert_int_eq(fed_mapped_watch(own, 9, "spool"), 0);
    ck_assert_int_eq(fed_mapped_check(own, &err), 0); /* nothing is known of its file */
    ck_assert_int_eq(touch_after_cut(said, own), fed_status_exit_code(FED_EDATA));
    ck_assert_ptr_nonnull(strstr(said, ": spool: was cut short"));
    fed_mapped_unwatch(own);
    munmap(own, 9);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("mapped");
    TCase *tests = tcase_create("mapped");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_file_that_nobody_touches_is_unchanged);
    tcase_add_test(tests, a_file_that_was_written_to_has_changed_and_is_named);
    tcase_add_test(tests, a_file_of_another_length_has_changed_whatever_its_time);
    tcase_add_test(tests, another_file_under_the_same_name_changes_nothing);
    tcase_add_test(tests, places_come_back_and_their_end_is_an_error);
    tcase_add_test(tests, a_file_that_is_cut_short_ends_the_program_with_its_name);
    tcase_add_test(tests, memory_that_is_watched_is_named_too_and_other_memory_is_not_hidden);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
