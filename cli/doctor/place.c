/* A directory that is written to, as what is written there would meet it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "common/base/clock.h"
#include "common/base/file.h"

#define SLOW_SYNC_MS 200
#define PROBE "/.fedavg-doctor.XXXXXX"
#define TMPFS 0x01021994
#define RAMFS 0x858458f6

/* The directory itself, or the nearest one above it that is there. The caller owns *out. */
static int find_standing(char **out, const char *dir) {
    struct stat info;
    char *at = strdup(dir);
    while (at != NULL && (stat(at, &info) != 0 && errno == ENOENT)) {
        char *above = NULL;
        int rc = fed_path_dir(&above, at);
        free(at);
        at = rc == FED_OK ? above : NULL;
    }
    *out = at;
    return at != NULL ? FED_OK : FED_ENOMEM;
}

/* Two openings of one file: the second must not get the lock of the first. */
static bool locks_hold(const char *path) {
    int first = open(path, O_RDWR | O_CLOEXEC), second = open(path, O_RDWR | O_CLOEXEC);
    bool hold = first >= 0 && second >= 0 && flock(first, LOCK_EX | LOCK_NB) == 0 && flock(second, LOCK_EX | LOCK_NB) != 0 &&
                errno == EWOULDBLOCK;
    close(first);
    close(second);
    return hold;
}

static bool sync_dir(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

static bool try_to_write(struct fed_doctor *d, const char *dir, const char *what) {
    static const char bytes[4096];
    char *path = NULL;
    if (asprintf(&path, "%s" PROBE, dir) < 0) {
        d->out_of_memory = true;
        return true;
    }
    int fd = mkstemp(path);
    if (fd < 0) {
        fed_doctor_problem(d, FED_EIO, "give it to the user that the daemon runs as, or choose another",
                           "%s: nothing can be written there (%s): %s", dir, what, strerror(errno));
        free(path);
        return false;
    }
    uint64_t began_ms = fed_clock_ms();
    bool good = write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes && fsync(fd) == 0 && sync_dir(dir);
    int why = errno;
    uint64_t took_ms = fed_clock_ms() - began_ms;
    if (!good) {
        fed_doctor_problem(d, FED_EIO, "mend the disk, or choose another",
                           "%s: what is written there does not last (%s): %s", dir, what, strerror(why));
    } else if (!locks_hold(path)) {
        good = fed_doctor_problem(d, FED_EIO, "choose a directory on a disk of this machine",
                                  "%s: locks do not hold there (%s): two coordinators could write one run", dir, what);
    } else if (took_ms > SLOW_SYNC_MS) {
        fed_doctor_note(d, "a disk of this machine is faster; each round waits for a few of these",
                        "%s: %llu ms until 4 kB lasted (%s)", dir, (unsigned long long)took_ms, what);
    }
    close(fd);
    unlink(path);
    free(path);
    return good;
}

static void look_at_kind(struct fed_doctor *d, const char *dir, const char *what) {
    struct statfs info;
    if (fed_file_is_shared(dir)) {
        fed_doctor_note(d, "better a disk of this machine; if it must be, only one machine may use the run",
                        "%s lies on a file system that machines share (%s)", dir, what);
    } else if (statfs(dir, &info) == 0 && ((uint32_t)info.f_type == TMPFS || (uint32_t)info.f_type == RAMFS)) {
        fed_doctor_note(d, "fine for a trial; else choose a directory on a disk",
                        "%s lies in memory (%s): all of it is gone when the machine stops", dir, what);
    }
}

static bool has_room(struct fed_doctor *d, const char *dir, const char *what, uint64_t need) {
    struct statvfs info;
    char have[32], want[32];
    if (statvfs(dir, &info) != 0) {
        return fed_doctor_note(d, NULL, "%s: how much room is left cannot be told: %s", dir, strerror(errno));
    }
    uint64_t bytes = (uint64_t)info.f_bavail * info.f_frsize;
    fed_doctor_bytes(have, bytes);
    if (bytes < need) {
        return fed_doctor_problem(d, FED_EIO, "make room, or choose another directory",
                                  "%s: %s are free, and %s are needed (%s)", dir, have, fed_doctor_bytes(want, need), what);
    }
    return fed_doctor_ok(d, "%s: can be written, lasts, can be locked, %s are free (%s)", dir, have, what);
}

bool fed_doctor_place(struct fed_doctor *d, const char *dir, const char *what, uint64_t need) {
    char *standing = NULL;
    struct stat info;
    if (find_standing(&standing, dir) != FED_OK) {
        d->out_of_memory = true;
        return true;
    }
    bool good;
    if (stat(standing, &info) != 0 || !S_ISDIR(info.st_mode)) {
        good = fed_doctor_problem(d, FED_EIO, "choose another directory", "%s: is no directory (%s)", standing, what);
    } else {
        good = try_to_write(d, standing, what) && has_room(d, standing, what, need);
        if (good) {
            look_at_kind(d, standing, what);
        }
    }
    free(standing);
    return good;
}
