/* A disk that fails: preloaded (LD_PRELOAD), it lets calls on the files of one directory fail, from the k-th on.
 *
 *     FED_FAIL_DIR=PATH       the directory; what lies outside is not looked at
 *     FED_FAIL_CALLS=a,b      which calls: write (also truncations), sync, name (files made, renamed, removed), read
 *     FED_FAIL_AT=k           the first that fails, counted over all of these, from 1 on
 *     FED_FAIL_COUNT=n        how many fail (default: all of them)
 *     FED_FAIL_UNTIL=PATH     none fails any more once this file is there: the disk was mended
 *     FED_FAIL_ERROR=ENOSPC   or EIO, EROFS, EDQUOT. The first write that fails with ENOSPC is half done, as on a disk that
 *                             fills up
 *     FED_FAIL_LOG=PATH       gets a byte for each failure
 *     FED_FAIL_PROGRAM=name   only this program (default fedavg-coordinator) */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/preload.h"

static bool active;
static char dir[PATH_MAX];
static long fail_at, fail_count;
static int fail_error;
static atomic_long calls;

static int error_number(const char *name) {
    static const struct {
        const char *name;
        int number;
    } known[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return known[i].number;
        }
    }
    abort();
}

__attribute__((constructor)) static void read_environment(void) {
    active = strcmp(program_invocation_short_name, value_of("FED_FAIL_PROGRAM", "fedavg-coordinator")) == 0 &&
             realpath(value_of("FED_FAIL_DIR", ""), dir) != NULL;
    fail_at = atol(value_of("FED_FAIL_AT", "1"));
    fail_count = atol(value_of("FED_FAIL_COUNT", "0"));
    fail_error = error_number(value_of("FED_FAIL_ERROR", "EIO"));
}

static bool is_inside(int fd) {
    char link[64], path[PATH_MAX];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) != 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
        return false;
    }
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return is_under(dir, path);
}

/* Not only by its text: a path may lead through the working directory or a link. */
static bool name_is_inside(int at, const char *path) {
    char folder[PATH_MAX], resolved[PATH_MAX];
    if (path[0] != '/' && at != AT_FDCWD) {
        return is_inside(at);
    }
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1, slash == NULL ? "." : path);
    return realpath(folder, resolved) != NULL && is_under(dir, resolved);
}

static bool is_counted(const char *class) {
    const char *wanted = value_of("FED_FAIL_CALLS", "write"), *found = strstr(wanted, class);
    size_t n = strlen(class);
    return found != NULL && (found[n] == ',' || found[n] == '\0');
}

/* The number of this failure, from 1 on; 0: the call succeeds. */
static long fails(const char *class) {
    struct stat st;
    if (!is_counted(class)) {
        return 0;
    }
    long n = atomic_fetch_add(&calls, 1) + 1 - fail_at;
    if (n < 0 || (fail_count > 0 && n >= fail_count) || stat(value_of("FED_FAIL_UNTIL", ""), &st) == 0) {
        return 0;
    }
    int fd = REAL(open)(value_of("FED_FAIL_LOG", ""), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || REAL(write)(fd, "x", 1) != 1) {
        abort();
    }
    close(fd);
    errno = fail_error;
    return n + 1;
}

static size_t half(long failure, size_t n) { return failure == 1 && fail_error == ENOSPC ? n / 2 : 0; }

ssize_t write(int fd, const void *bytes, size_t n) {
    long failure = active && is_inside(fd) ? fails("write") : 0;
    if (failure > 0 && half(failure, n) == 0) {
        return -1;
    }
    return REAL(write)(fd, bytes, failure > 0 ? half(failure, n) : n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    long failure = active && is_inside(fd) ? fails("write") : 0;
    if (failure > 0 && half(failure, n) == 0) {
        return -1;
    }
    return REAL(pwrite)(fd, bytes, failure > 0 ? half(failure, n) : n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) { return pwrite(fd, bytes, n, at); }

#define ON_DESCRIPTOR(class, type, name, parameters, arguments)                                                             \
    type name parameters { return active && is_inside(fd) && fails(class) > 0 ? -1 : REAL(name) arguments; }

ON_DESCRIPTOR("write", int, ftruncate, (int fd, off_t n), (fd, n))
ON_DESCRIPTOR("write", int, ftruncate64, (int fd, off64_t n), (fd, n))
ON_DESCRIPTOR("sync", int, fsync, (int fd), (fd))
ON_DESCRIPTOR("sync", int, fdatasync, (int fd), (fd))
ON_DESCRIPTOR("read", ssize_t, read, (int fd, void *bytes, size_t n), (fd, bytes, n))
ON_DESCRIPTOR("read", ssize_t, pread, (int fd, void *bytes, size_t n, off_t at), (fd, bytes, n, at))
ON_DESCRIPTOR("read", ssize_t, pread64, (int fd, void *bytes, size_t n, off64_t at), (fd, bytes, n, at))

#define ON_NAME(name, where, path, parameters, arguments)                                                                   \
    int name parameters { return active && name_is_inside(where, path) && fails("name") > 0 ? -1 : REAL(name) arguments; }

ON_NAME(mkdir, AT_FDCWD, path, (const char *path, mode_t permissions), (path, permissions))
ON_NAME(rename, AT_FDCWD, from, (const char *from, const char *to), (from, to))
ON_NAME(unlink, AT_FDCWD, path, (const char *path), (path))
ON_NAME(unlinkat, fd, path, (int fd, const char *path, int flags), (fd, path, flags))

static int open_or_fail(const char *path, int flags, mode_t permissions) {
    struct stat st;
    bool makes = (flags & O_TMPFILE) == O_TMPFILE || ((flags & O_CREAT) != 0 && stat(path, &st) != 0);
    errno = 0;
    return active && makes && name_is_inside(AT_FDCWD, path) && fails("name") > 0 ? -1
                                                                                  : REAL(open)(path, flags, permissions);
}

int open(const char *path, int flags, ...) {
    PERMISSIONS_OF(flags)
    return open_or_fail(path, flags, permissions);
}

int open64(const char *path, int flags, ...) {
    PERMISSIONS_OF(flags)
    return open_or_fail(path, flags, permissions);
}
