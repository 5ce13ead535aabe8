#include "common/base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int failed(struct fed_error *err, const char *path, const char *what) {
    return fed_error_set(err, FED_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* O_NONBLOCK: a pipe in the place of a file must not make us wait for its writer. */
int fed_file_open(int *fd, size_t *n_bytes, const char *path, struct fed_error *err) {
    struct stat st;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return errno == ENOENT || errno == ENOTDIR ? fed_error_set(err, FED_ENOTFOUND, "%s: no such file", path)
                                                   : failed(err, path, "open");
    }
    if (fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
        bool directory = S_ISDIR(st.st_mode);
        close(file);
        return fed_error_set(err, FED_EIO, "%s: %s", path,
                             directory ? "is a directory, expected a file" : "not a regular file");
    }
    *fd = file;
    *n_bytes = (size_t)st.st_size;
    return 0;
}

/* Reads until the end or until n bytes are there. */
static int read_up_to(size_t *n_read, int fd, uint8_t *out, size_t n) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = read(fd, out + done, n - done);
        if (got < 0 && errno != EINTR) {
            return FED_EIO;
        }
        if (got == 0) {
            break;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    *n_read = done;
    return 0;
}

int fed_file_read(uint8_t **out, size_t *n_bytes, const char *path, size_t max, struct fed_error *err) {
    uint8_t *bytes = NULL;
    size_t size = 0, n = 0;
    int fd = -1;
    assert(max < SIZE_MAX);
    int rc = fed_file_open(&fd, &size, path, err);
    if (rc != 0) {
        return rc;
    }
    if (size > max) {
        rc = fed_error_set(err, FED_EDATA, "%s: %zu bytes found, at most %zu are allowed", path, size, max);
        goto out;
    }
    bytes = malloc(size + 1);
    if (bytes == NULL) {
        rc = fed_error_set(err, FED_ENOMEM, "%s: out of memory for %zu bytes", path, size);
        goto out;
    }
    if (read_up_to(&n, fd, bytes, size + 1) != 0) {
        rc = failed(err, path, "read");
        goto out;
    }
    if (n > size) {
        rc = fed_error_set(err, FED_EIO, "%s: grew while it was read; read it again when its writer has finished", path);
        goto out;
    }
    bytes[n] = 0;
    *out = bytes;
    *n_bytes = n;
    bytes = NULL;
out:
    free(bytes);
    close(fd);
    return rc;
}

int fed_file_write_all(int fd, const void *bytes, size_t n) {
    const uint8_t *at = bytes;
    while (n > 0) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno != EINTR) {
            return FED_EIO;
        }
        if (done > 0) {
            at += done;
            n -= (size_t)done;
        }
    }
    return FED_OK;
}

/* A crash may have left a temporary file of the same pid behind (in a container every daemon is pid 1). */
static int create_temporary(const char *temporary, mode_t mode) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = open(temporary, flags, mode);
    if (fd < 0 && errno == EEXIST && unlink(temporary) == 0) {
        fd = open(temporary, flags, mode);
    }
    return fd;
}

static int write_parts(int fd, const struct iovec *parts, int n_parts) {
    for (int i = 0; i < n_parts; i++) {
        if (fed_file_write_all(fd, parts[i].iov_base, parts[i].iov_len) != 0) {
            return FED_EIO;
        }
    }
    return fsync(fd) == 0 ? 0 : FED_EIO;
}

int fed_file_sync_name(const char *path, struct fed_error *err) {
    char *dir;
    if (fed_path_dir(&dir, path) != 0) {
        return fed_error_set(err, FED_EIO, "%s: out of memory", path);
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Some network file systems cannot sync a directory (EINVAL) and need not. */
    int rc = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL) ? 0 : failed(err, path, "sync the directory of");
    if (fd >= 0) {
        close(fd);
    }
    free(dir);
    return rc;
}

int fed_file_replace(const char *path, const struct iovec *parts, int n_parts, mode_t mode, struct fed_error *err) {
    char *temporary = NULL;
    bool created = false;
    int fd = -1, rc = 0;
    if (asprintf(&temporary, "%s.tmp.%ld", path, (long)getpid()) < 0) {
        return fed_error_set(err, FED_EIO, "%s: out of memory", path);
    }
    fd = create_temporary(temporary, mode);
    if (fd < 0) {
        rc = errno == ENOENT ? fed_error_set(err, FED_EIO, "%s: the directory in which it is to lie is not there", path)
                             : failed(err, temporary, "create");
        goto out;
    }
    created = true;
    if (write_parts(fd, parts, n_parts) != 0) {
        rc = failed(err, temporary, "write");
        goto out;
    }
    rc = close(fd);
    fd = -1;
    if (rc != 0) {
        rc = failed(err, temporary, "close");
        goto out;
    }
    if (rename(temporary, path) != 0) {
        rc = failed(err, path, "replace");
        goto out;
    }
    created = false;
    rc = fed_file_sync_name(path, err);
out:
    if (fd >= 0) {
        close(fd);
    }
    if (created) {
        unlink(temporary);
    }
    free(temporary);
    return rc;
}

int fed_file_settle(const char *temporary, const char *path, struct fed_error *err) {
    int rc = 0, fd = open(temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        rc = failed(err, temporary, "sync");
    } else if (rename(temporary, path) != 0) {
        rc = failed(err, path, "replace");
    } else {
        rc = fed_file_sync_name(path, err);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (rc != 0) {
        unlink(temporary);
    }
    return rc;
}

static int make_dir(const char *path, struct fed_error *err) {
    struct stat st;
    if (mkdir(path, 0700) == 0) {
        return fed_file_sync_name(path, err);
    }
    int cause = errno;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return 0;
    }
    errno = cause;
    return fed_error_set(err, FED_EIO, "%s: cannot make the directory: %s", path,
                         cause == EEXIST ? "something else has that name" : strerror(cause));
}

int fed_file_make_dirs(const char *path, struct fed_error *err) {
    char *prefix = strdup(path);
    int rc = 0;
    if (prefix == NULL) {
        return fed_error_set(err, FED_EIO, "%s: out of memory", path);
    }
    for (char *slash = strchr(prefix + (*prefix == '/'), '/'); slash != NULL && rc == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = make_dir(prefix, err);
        *slash = '/';
    }
    if (rc == 0) {
        rc = make_dir(prefix, err);
    }
    free(prefix);
    return rc;
}

/* Says who holds the lock, if the holder had the time to write it down. */
static int locked_by(int fd, const char *path, struct fed_error *err) {
    char text[24] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    if (pid <= 0) {
        return fed_error_set(err, FED_ELOCKED, "%s: held by another process; stop it first", path);
    }
    return fed_error_set(err, FED_ELOCKED, "%s: held by process %ld; stop it first", path, pid);
}

int fed_file_lock(int *fd, const char *path, struct fed_error *err) {
    char pid[24];
    int rc = 0;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return failed(err, path, "open the lock file");
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK ? locked_by(file, path, err) : failed(err, path, "lock");
        goto out;
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(file, 0) != 0 || pwrite(file, pid, (size_t)n, 0) != n) {
        rc = failed(err, path, "write our process id into");
        goto out;
    }
    *fd = file;
    file = -1;
out:
    if (file >= 0) {
        close(file);
    }
    return rc;
}

int fed_path_join(char **out, const char *dir, const char *name) {
    size_t n_dir = strlen(dir);
    char *path = NULL;
    int n;
    if (*name == '/' || n_dir == 0) {
        n = asprintf(&path, "%s", name);
    } else {
        n = asprintf(&path, "%s%s%s", dir, dir[n_dir - 1] == '/' ? "" : "/", name);
    }
    if (n < 0) {
        return FED_ENOMEM;
    }
    *out = path;
    return 0;
}

int fed_path_dir(char **out, const char *path) {
    char *copy = strdup(path);
    char *dir = copy == NULL ? NULL : strdup(dirname(copy));
    free(copy);
    if (dir == NULL) {
        return FED_ENOMEM;
    }
    *out = dir;
    return 0;
}

bool fed_file_is_shared(const char *path) {
    static const uint32_t shared[] = {
        0x6969,     /* NFS */
        0x517b,     /* SMB */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB 2 */
        0x65735546, /* FUSE: sshfs and its kin */
        0x01021997, /* 9p */
        0x00c36400, /* Ceph */
        0x0bd00bd0, /* Lustre */
        0x47504653, /* GPFS */
        0x19830326, /* BeeGFS */
        0x5346414f, /* AFS */
        0x01161970, /* GFS2 */
        0x7461636f, /* OCFS2 */
    };
    struct statfs info;
    if (statfs(path, &info) != 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        if ((uint32_t)info.f_type == shared[i]) {
            return true;
        }
    }
    return false;
}
