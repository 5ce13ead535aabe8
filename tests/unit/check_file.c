/* Files that are whole or absent. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/mapped.h"

static char dir[64];
static struct fed_error err;

static void make_sandbox(void) {
    strcpy(dir, "/tmp/check_file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    err.text[0] = '\0';
}

static void drop_sandbox(void) {
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwX '%s' && rm -rf '%s'", dir, dir);
    ck_assert_int_eq(system(command), 0);
}

/* Owned by a small ring, so that a test may hold a few at a time. */
static const char *in(const char *name) {
    static char ring[4][256];
    static int next;
    char *path = ring[next++ % 4];
    snprintf(path, sizeof ring[0], "%s/%s", dir, name);
    return path;
}

static void replace(const char *path, const char *text) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    ck_assert_int_eq(fed_file_replace(path, &part, 1, 0640, &err), 0);
}

static void expect(const char *path, const char *text) {
    uint8_t *bytes;
    size_t n;
    ck_assert_int_eq(fed_file_read(&bytes, &n, path, 1 << 20, &err), 0);
    ck_assert_uint_eq(n, strlen(text));
    ck_assert_str_eq((char *)bytes, text); /* the zero after the end is part of the contract */
    free(bytes);
}

static int files_in_sandbox(void) {
    DIR *d = opendir(dir);
    int n = -2; /* . and .. */
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

START_TEST(replaced_file_holds_its_parts_in_order) {
    struct iovec parts[] = {{"one ", 4}, {NULL, 0}, {"two ", 4}, {"three", 5}};
    struct stat st;
    umask(022);
    ck_assert_int_eq(fed_file_replace(in("f"), parts, 4, 0640, &err), 0);
    expect(in("f"), "one two three");
    ck_assert_int_eq(stat(in("f"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    replace(in("f"), "new");
    expect(in("f"), "new");
    ck_assert_int_eq(files_in_sandbox(), 1);
}
END_TEST

START_TEST(replace_survives_what_a_crash_of_the_same_pid_left) {
    char stale[64];
    snprintf(stale, sizeof stale, "f.tmp.%ld", (long)getpid());
    int fd = open(in(stale), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "half", 4), 4);
    close(fd);
    replace(in("f"), "whole");
    expect(in("f"), "whole");
    ck_assert_int_eq(files_in_sandbox(), 1);
}
END_TEST

START_TEST(failed_replace_keeps_the_old_bytes_and_leaves_nothing_behind) {
    struct rlimit limit;
    static char big[100000];
    struct iovec part = {.iov_base = big, .iov_len = sizeof big};
    replace(in("f"), "old");
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 5000; /* a disk that fills up in the middle */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(fed_file_replace(in("f"), &part, 1, 0600, &err), FED_EIO);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_ptr_nonnull(strstr(err.text, in("f")));
    expect(in("f"), "old");
    ck_assert_int_eq(files_in_sandbox(), 1);
}
END_TEST

START_TEST(replace_into_a_missing_directory_is_an_io_error) {
    struct iovec part = {"x", 1};
    ck_assert_int_eq(fed_file_replace(in("no/f"), &part, 1, 0600, &err), FED_EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "no/f"));
}
END_TEST

START_TEST(replace_over_a_directory_leaves_no_temporary_file) {
    struct iovec part = {"x", 1};
    ck_assert_int_eq(mkdir(in("d"), 0700), 0);
    ck_assert_int_eq(fed_file_replace(in("d"), &part, 1, 0600, &err), FED_EIO);
    ck_assert_int_eq(files_in_sandbox(), 1);
}
END_TEST

START_TEST(read_refuses_missing_large_and_special_files) {
    uint8_t *bytes = (uint8_t *)&err;
    size_t n = 77;
    ck_assert_int_eq(fed_file_read(&bytes, &n, in("missing"), 10, &err), FED_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "missing: no such file"));
    ck_assert_int_eq(fed_file_read(&bytes, &n, dir, 10, &err), FED_EIO);
    ck_assert_int_eq(mkfifo(in("fifo"), 0600), 0);
    ck_assert_int_eq(fed_file_read(&bytes, &n, in("fifo"), 10, &err), FED_EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    replace(in("f"), "12345678901");
    ck_assert_int_eq(fed_file_read(&bytes, &n, in("f"), 10, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "11 bytes found, at most 10"));
    ck_assert_ptr_eq(bytes, (uint8_t *)&err); /* outputs untouched on failure */
    ck_assert_uint_eq(n, 77);
    ck_assert_int_eq(fed_file_read(&bytes, &n, in("f"), 11, &err), 0);
    free(bytes);
}
END_TEST

START_TEST(empty_file_reads_and_maps_as_nothing) {
    uint8_t *bytes;
    const uint8_t *map = (const uint8_t *)&err;
    size_t n = 77;
    replace(in("f"), "");
    ck_assert_int_eq(fed_mapped_open(&map, &n, in("f"), &err), 0);
    ck_assert_ptr_null(map);
    ck_assert_uint_eq(n, 0);
    fed_mapped_close(map, n);
    ck_assert_int_eq(fed_file_read(&bytes, &n, in("f"), 0, &err), 0);
    ck_assert_uint_eq(n, 0);
    free(bytes);
}
END_TEST

START_TEST(map_shows_the_bytes_and_refuses_what_is_not_a_file) {
    const uint8_t *map;
    size_t n;
    replace(in("f"), "mapped");
    ck_assert_int_eq(fed_mapped_open(&map, &n, in("f"), &err), 0);
    ck_assert_uint_eq(n, 6);
    ck_assert_mem_eq(map, "mapped", 6);
    fed_mapped_close(map, n);
    ck_assert_int_eq(fed_mapped_open(&map, &n, in("missing"), &err), FED_ENOTFOUND);
    ck_assert_int_eq(fed_mapped_open(&map, &n, dir, &err), FED_EIO);
}
END_TEST

START_TEST(directories_are_made_with_their_parents) {
    struct stat st;
    ck_assert_int_eq(fed_file_make_dirs(in("a/b//c/"), &err), 0);
    ck_assert_int_eq(stat(in("a/b/c"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, S_ISDIR(st.st_mode) ? 0700 : 0);
    ck_assert_int_eq(fed_file_make_dirs(in("a/b/c"), &err), 0);
    replace(in("f"), "in the way");
    ck_assert_int_eq(fed_file_make_dirs(in("f/g"), &err), FED_EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "/f: cannot make the directory"));
    ck_assert_int_eq(fed_file_make_dirs(in("f"), &err), FED_EIO);
}
END_TEST

/* A child holds the lock until its pipe is closed. */
START_TEST(lock_is_exclusive_and_names_its_holder) {
    int ready[2], leave[2], fd = -1;
    char byte, held[64];
    ck_assert_int_eq(pipe(ready) | pipe(leave), 0);
    pid_t child = fork();
    if (child == 0) {
        close(leave[1]);
        int ok = fed_file_lock(&fd, in("run.lock"), NULL) == 0;
        _exit(ok && write(ready[1], "r", 1) == 1 && read(leave[0], &byte, 1) == 0 ? 0 : 1);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(fed_file_lock(&fd, in("run.lock"), &err), FED_ELOCKED);
    ck_assert_int_eq(fd, -1);
    snprintf(held, sizeof held, "held by process %ld", (long)child);
    ck_assert_ptr_nonnull(strstr(err.text, held));
    close(leave[1]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(fed_file_lock(&fd, in("run.lock"), &err), 0); /* the holder's death frees it */
    close(fd);
}
END_TEST

START_TEST(lock_file_holds_the_pid_alone) {
    int fd;
    char pid[32];
    replace(in("run.lock"), "4194304999 and a long rest from somebody else\n");
    ck_assert_int_eq(fed_file_lock(&fd, in("run.lock"), &err), 0);
    snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    expect(in("run.lock"), pid);
    close(fd);
}
END_TEST

START_TEST(lock_in_a_missing_directory_is_an_io_error) {
    int fd = -1;
    ck_assert_int_eq(fed_file_lock(&fd, in("no/run.lock"), &err), FED_EIO);
    ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(paths_join_and_split) {
    static const char *const joins[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"},
                                           {"a", "/b", "/b"}, {"", "b", "b"},     {".", "b", "./b"}};
    static const char *const dirs[][2] = {{"a/b", "a"}, {"/a", "/"}, {"a", "."}, {"/a/b/c", "/a/b"}, {"a/b/", "a"}};
    char *path;
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        ck_assert_int_eq(fed_path_join(&path, joins[i][0], joins[i][1]), 0);
        ck_assert_str_eq(path, joins[i][2]);
        free(path);
    }
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        ck_assert_int_eq(fed_path_dir(&path, dirs[i][0]), 0);
        ck_assert_str_eq(path, dirs[i][1]);
        free(path);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file");
    TCase *t = tcase_create("file");
    tcase_add_checked_fixture(t, make_sandbox, drop_sandbox);
    tcase_add_test(t, replaced_file_holds_its_parts_in_order);
    tcase_add_test(t, replace_survives_what_a_crash_of_the_same_pid_left);
    tcase_add_test(t, failed_replace_keeps_the_old_bytes_and_leaves_nothing_behind);
    tcase_add_test(t, replace_into_a_missing_directory_is_an_io_error);
    tcase_add_test(t, replace_over_a_directory_leaves_no_temporary_file);
    tcase_add_test(t, read_refuses_missing_large_and_special_files);
    tcase_add_test(t, empty_file_reads_and_maps_as_nothing);
    tcase_add_test(t, map_shows_the_bytes_and_refuses_what_is_not_a_file);
    tcase_add_test(t, directories_are_made_with_their_parents);
    tcase_add_test(t, lock_is_exclusive_and_names_its_holder);
    tcase_add_test(t, lock_file_holds_the_pid_alone);
    tcase_add_test(t, lock_in_a_missing_directory_is_an_io_error);
    tcase_add_test(t, paths_join_and_split);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
