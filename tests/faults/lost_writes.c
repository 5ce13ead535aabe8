/* A power cut for a program of ours: preloaded (LD_PRELOAD), it keeps what the files of one directory would hold if the
 * power failed, and at a chosen call makes that true and raises SIGKILL. What counts as written is what POSIX promises and
 * no more: bytes after fsync or fdatasync of their file; names (made, renamed, removed) after fsync of their directory.
 *
 *     FED_LOST_DIR=PATH       the directory; what lies outside is not looked at
 *     FED_LOST_STASH=PATH     a directory beside it, on the same file system, for files that may have to come back
 *     FED_LOST_AT=k           the power fails before the k-th call that changes the directory or syncs; 0: at the end
 *     FED_LOST_MODE=all       everything that was not synced is lost
 *                   suffix    what came after a random moment is
 *                   sectors   a random half of the sectors of 512 bytes that were written, and names after another moment
 *     FED_LOST_SEED=n         of the dice
 *     FED_LOST_IGNORE=db      such syncs do nothing: of *.db and its log, of other files, of directories. A test that does
 *                     file    not fail then would not see a sync that is missing
 *                     dir
 *     FED_LOST_SYNC_FAILS=k   the k-th sync of a file fails with EIO and, as Linux has it, what it was to write is never
 *                             tried again unless it is written anew
 *     FED_LOST_LOG=PATH       gets a byte for each power cut; with one in it, nothing happens any more
 *     FED_LOST_PROGRAM=name   only this program
 *
 * SQLite's shared memory (*-shm) survives as garbage: nothing ever promises anything about it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/preload.h"

#define SECTOR 512

enum mode { LOSE_ALL, LOSE_SUFFIX, LOSE_SECTORS };
enum kind { WRITTEN, CUT, MADE, MADE_DIR, RENAMED, REMOVED };

/* A file that was changed, and what of it is safe. The handle stays open: closing it would drop the program's own locks. */
struct file {
    struct file *next;
    dev_t dev;
    ino_t ino;
    int handle;
    uint8_t *safe;
    size_t n_safe;
    bool is_db;
};

/* A change that is not safe yet. */
struct change {
    struct change *next;
    unsigned long number;
    enum kind kind;
    struct file *file; /* WRITTEN, CUT */
    off_t at;          /* CUT: the new size */
    size_t n;
    uint8_t *bytes;
    dev_t dev; /* names: of the directory */
    ino_t ino;
    char *from, *to, *stashed; /* stashed: what had the name before, or NULL */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool active;
static char dir[PATH_MAX], shm[PATH_MAX];
static struct file *files;
static struct change *first_change, **last_change = &first_change;
static unsigned long n_calls, n_syncs, n_changes;
static unsigned int dice;

static void give_up(int line) {
    char text[96];
    int n = snprintf(text, sizeof text, "lost_writes.c:%d: a call of its own failed: %s\n", line, strerror(errno));
    (void)!REAL(write)(2, text, (size_t)n);
    abort();
}
#define must(holds) ((holds) ? (void)0 : give_up(__LINE__))

__attribute__((constructor)) static void read_environment(void) {
    struct stat st;
    if (strcmp(program_invocation_short_name, value_of("FED_LOST_PROGRAM", "fedavg-coordinator")) == 0 &&
        (stat(value_of("FED_LOST_LOG", ""), &st) != 0 || st.st_size == 0)) {
        must(realpath(value_of("FED_LOST_DIR", ""), dir) != NULL);
        dice = (unsigned)atoi(value_of("FED_LOST_SEED", "1"));
        active = true;
    }
}

static enum mode mode(void) {
    const char *name = value_of("FED_LOST_MODE", "all");
    return strcmp(name, "suffix") == 0 ? LOSE_SUFFIX : strcmp(name, "sectors") == 0 ? LOSE_SECTORS : LOSE_ALL;
}

/* -- which files ----------------------------------------------------------------------------------------------------------
 */

static bool ends_with(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

static bool path_of(char out[PATH_MAX], int fd) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 && is_under(dir, out);
}

/* The path with its directory resolved; the last name need not exist. */
static bool absolute(char out[PATH_MAX], int at, const char *path) {
    char joined[PATH_MAX], folder[PATH_MAX];
    if (path[0] == '/' || at == AT_FDCWD) {
        snprintf(joined, sizeof joined, "%s", path);
    } else {
        char base[PATH_MAX];
        path_of(base, at);
        must((size_t)snprintf(joined, sizeof joined, "%s/%s", base, path) < sizeof joined);
    }
    const char *slash = strrchr(joined, '/'), *name = slash != NULL ? slash + 1 : joined;
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - joined), slash == NULL ? "." : joined);
    char resolved[PATH_MAX];
    if (realpath(folder[0] != '\0' ? folder : "/", resolved) == NULL) {
        return false;
    }
    must((size_t)snprintf(out, PATH_MAX, "%s/%s", resolved, name) < PATH_MAX);
    return is_under(dir, out);
}

/* Regular files of the directory that have a name; NULL: not ours to look at. */
static struct file *find_file(int fd) {
    char path[PATH_MAX], link[64];
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink == 0 || !path_of(path, fd) || ends_with(path, "-shm")) {
        return NULL;
    }
    for (struct file *file = files; file != NULL; file = file->next) {
        if (file->dev == st.st_dev && file->ino == st.st_ino) {
            return file;
        }
    }
    struct file *file = calloc(1, sizeof *file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    must(file != NULL && (file->handle = REAL(open)(link, O_RDWR | O_CLOEXEC)) >= 0);
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    file->n_safe = (size_t)st.st_size;
    file->safe = malloc(file->n_safe + 1);
    file->is_db = strstr(path, ".db") != NULL;
    must(file->safe != NULL && pread(file->handle, file->safe, file->n_safe, 0) == (ssize_t)file->n_safe);
    file->next = files;
    files = file;
    return file;
}

/* -- changes --------------------------------------------------------------------------------------------------------------
 */

static struct change *new_change(enum kind kind) {
    struct change *change = calloc(1, sizeof *change);
    must(change != NULL);
    change->kind = kind;
    change->number = n_changes++;
    *last_change = change;
    last_change = &change->next;
    return change;
}

static void free_change(struct change *change) {
    free(change->bytes);
    free(change->from);
    free(change->to);
    free(change->stashed);
    free(change);
}

static void note_written(struct file *file, const void *bytes, size_t n, off_t at) {
    struct change *change = new_change(WRITTEN);
    change->file = file;
    change->at = at;
    change->n = n;
    must((change->bytes = malloc(n + 1)) != NULL);
    memcpy(change->bytes, bytes, n);
}

static void note_cut(struct file *file, off_t size) {
    struct change *change = new_change(CUT);
    change->file = file;
    change->at = size;
}

static void note_name(enum kind kind, const char *from, const char *to, char *stashed) {
    struct change *change = new_change(kind);
    char folder[PATH_MAX];
    struct stat st;
    snprintf(folder, sizeof folder, "%s", to);
    *strrchr(folder, '/') = '\0';
    must(stat(folder, &st) == 0);
    change->dev = st.st_dev;
    change->ino = st.st_ino;
    change->from = from != NULL ? strdup(from) : NULL;
    change->to = strdup(to);
    change->stashed = stashed;
}

/* A second name for what stands there, so that it can come back; NULL: nothing does. */
static char *stash(const char *path) {
    static unsigned n;
    char *to = NULL;
    must(asprintf(&to, "%s/%ld-%u", value_of("FED_LOST_STASH", ""), (long)getpid(), n++) > 0);
    if (link(path, to) != 0) {
        must(errno == ENOENT || errno == ENOTDIR);
        free(to);
        return NULL;
    }
    return to;
}

/* The bytes as they are when the change has come through. */
static void apply(uint8_t **bytes, size_t *n, const struct change *change, bool half) {
    size_t end = change->kind == CUT ? (size_t)change->at : (size_t)change->at + change->n;
    if (change->kind == CUT && half && rand_r(&dice) % 2 == 0) {
        return;
    }
    if (end > *n || change->kind == CUT) {
        must((*bytes = realloc(*bytes, end + 1)) != NULL);
        if (end > *n) {
            memset(*bytes + *n, 0, end - *n);
        }
        *n = end;
    }
    for (size_t i = 0; i < change->n;) { /* whole sectors of the file */
        size_t offset = (size_t)change->at + i, piece = SECTOR - offset % SECTOR;
        piece = piece < change->n - i ? piece : change->n - i;
        if (!half || rand_r(&dice) % 2 == 0) {
            memcpy(*bytes + offset, change->bytes + i, piece);
        }
        i += piece;
    }
}

static bool is_name(const struct change *change) { return change->kind >= MADE; }

/* What belongs to the file, or to the directory, is safe from now on; or, dropped, will never be. */
static void settle(const struct file *file, const struct stat *folder, bool dropped) {
    struct change **at = &first_change;
    while (*at != NULL) {
        struct change *change = *at;
        bool mine = folder != NULL ? is_name(change) && change->dev == folder->st_dev && change->ino == folder->st_ino
                                   : change->file == file;
        if (!mine) {
            at = &change->next;
            continue;
        }
        if (folder == NULL && !dropped) {
            apply(&change->file->safe, &change->file->n_safe, change, false);
        }
        *at = change->next;
        free_change(change);
    }
    last_change = at;
}

/* -- the power fails ------------------------------------------------------------------------------------------------------
 */

static void restore_file(const struct file *file, unsigned long moment) {
    size_t n = file->n_safe;
    uint8_t *bytes = malloc(n + 1);
    must(bytes != NULL);
    memcpy(bytes, file->safe, n);
    for (const struct change *change = first_change; change != NULL; change = change->next) {
        if (change->file == file && (mode() == LOSE_SECTORS || (mode() == LOSE_SUFFIX && change->number < moment))) {
            apply(&bytes, &n, change, mode() == LOSE_SECTORS);
        }
    }
    must(REAL(ftruncate)(file->handle, (off_t)n) == 0);
    must(REAL(pwrite)(file->handle, bytes, n, 0) == (ssize_t)n);
    free(bytes);
}

static void undo_name(const struct change *change) {
    char *away = NULL;
    switch (change->kind) {
    case MADE: must(REAL(unlink)(change->to) == 0 || errno == ENOENT); break;
    case MADE_DIR:
        must(asprintf(&away, "%s/lost-%lu", value_of("FED_LOST_STASH", ""), change->number) > 0);
        must(REAL(rename)(change->to, away) == 0);
        break;
    case RENAMED: must(REAL(rename)(change->to, change->from) == 0 || errno == ENOENT); break;
    default: break;
    }
    if (change->stashed != NULL) {
        must(link(change->stashed, change->to) == 0);
    }
    free(away);
}

/* Latest first. */
static void undo_names(const struct change *change, unsigned long moment) {
    if (change != NULL) {
        undo_names(change->next, moment);
        if (is_name(change) && change->number >= moment) {
            undo_name(change);
        }
    }
}

static void spoil_shared_memory(void) {
    struct stat st;
    int fd = shm[0] != '\0' ? REAL(open)(shm, O_RDWR | O_CLOEXEC) : -1;
    for (off_t i = 0; fd >= 0 && fstat(fd, &st) == 0 && i < st.st_size; i++) {
        uint8_t byte = (uint8_t)rand_r(&dice);
        must(REAL(pwrite)(fd, &byte, 1, i) == 1);
    }
}

/* Holds the mutex for ever: no other thread changes anything any more. */
static void lose_power(void) {
    unsigned long oldest = first_change != NULL ? first_change->number : n_changes;
    unsigned long span = n_changes - oldest + 1;
    unsigned long moment = mode() == LOSE_ALL ? 0 : oldest + (unsigned long)rand_r(&dice) % span;
    for (const struct file *file = files; file != NULL; file = file->next) {
        restore_file(file, moment);
    }
    spoil_shared_memory();
    undo_names(first_change, mode() == LOSE_SECTORS ? oldest + (unsigned long)rand_r(&dice) % span : moment);
    int fd = REAL(open)(value_of("FED_LOST_LOG", ""), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    must(fd >= 0 && REAL(write)(fd, "x", 1) == 1);
    raise(SIGKILL);
}

static void count_call(void) {
    if (++n_calls == strtoul(value_of("FED_LOST_AT", "0"), NULL, 10)) {
        lose_power();
    }
}

__attribute__((destructor)) static void lose_power_at_the_end(void) {
    if (active && strcmp(value_of("FED_LOST_AT", "1"), "0") == 0) {
        pthread_mutex_lock(&mutex);
        lose_power();
    }
}

/* -- calls ----------------------------------------------------------------------------------------------------------------
 */

static void lock(void) { pthread_mutex_lock(&mutex); }
static void unlock(void) {
    int before = errno;
    pthread_mutex_unlock(&mutex);
    errno = before;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    lock();
    struct file *file = active ? find_file(fd) : NULL;
    if (file != NULL) {
        count_call();
    }
    ssize_t done = REAL(pwrite)(fd, bytes, n, at);
    if (file != NULL && done > 0) {
        note_written(file, bytes, (size_t)done, at);
    }
    unlock();
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) { return pwrite(fd, bytes, n, at); }

ssize_t write(int fd, const void *bytes, size_t n) {
    lock();
    struct file *file = active ? find_file(fd) : NULL;
    if (file != NULL) {
        count_call();
    }
    ssize_t done = REAL(write)(fd, bytes, n);
    if (file != NULL && done > 0) {
        note_written(file, bytes, (size_t)done, lseek(fd, 0, SEEK_CUR) - done);
    }
    unlock();
    return done;
}

int ftruncate(int fd, off_t size) {
    lock();
    struct file *file = active ? find_file(fd) : NULL;
    if (file != NULL) {
        count_call();
    }
    int rc = REAL(ftruncate)(fd, size);
    if (file != NULL && rc == 0) {
        note_cut(file, size);
    }
    unlock();
    return rc;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* The power that is cut is not the machine's, so that nothing has to reach the real disk. */
static int sync_file(struct file *file) {
    count_call();
    if (++n_syncs == strtoul(value_of("FED_LOST_SYNC_FAILS", "0"), NULL, 10)) {
        settle(file, NULL, true);
        errno = EIO;
        return -1;
    }
    if (strcmp(value_of("FED_LOST_IGNORE", ""), file->is_db ? "db" : "file") != 0) {
        settle(file, NULL, false);
    }
    return 0;
}

static int sync_folder(const struct stat *folder) {
    count_call();
    if (strcmp(value_of("FED_LOST_IGNORE", ""), "dir") != 0) {
        settle(NULL, folder, false);
    }
    return 0;
}

int fsync(int fd) {
    char path[PATH_MAX];
    struct stat st;
    lock();
    struct file *file = active ? find_file(fd) : NULL;
    bool folder = active && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && path_of(path, fd);
    int rc = file != NULL ? sync_file(file) : folder ? sync_folder(&st) : REAL(fsync)(fd);
    unlock();
    return rc;
}

int fdatasync(int fd) { return fsync(fd); }

/* The real call, which may have made the file. */
static int open_noting(int at, const char *path, int flags, mode_t permissions) {
    char where[PATH_MAX];
    struct stat st;
    lock();
    bool makes = active && (flags & O_CREAT) != 0 && absolute(where, at, path);
    bool there = makes && lstat(where, &st) == 0;
    if (makes && ends_with(where, "-shm")) {
        snprintf(shm, sizeof shm, "%s", where);
        makes = false;
    }
    if (makes && !there) {
        count_call();
    }
    int fd = REAL(openat)(at, path, flags, permissions);
    if (fd >= 0 && makes && !there) {
        note_name(MADE, NULL, where, NULL);
    }
    if (fd >= 0 && active && (flags & O_TRUNC) != 0) {
        must(find_file(fd) == NULL); /* none of ours is written like that */
    }
    unlock();
    return fd;
}

int open(const char *path, int flags, ...) {
    PERMISSIONS_OF(flags)
    return open_noting(AT_FDCWD, path, flags, permissions);
}

int open64(const char *path, int flags, ...) {
    PERMISSIONS_OF(flags)
    return open_noting(AT_FDCWD, path, flags, permissions);
}

int mkdir(const char *path, mode_t permissions) {
    char where[PATH_MAX];
    lock();
    bool ours = active && absolute(where, AT_FDCWD, path);
    if (ours) {
        count_call();
    }
    int rc = REAL(mkdir)(path, permissions);
    if (ours && rc == 0) {
        note_name(MADE_DIR, NULL, where, NULL);
    }
    unlock();
    return rc;
}

int rename(const char *from, const char *to) {
    char where[2][PATH_MAX];
    lock();
    bool ours = active && absolute(where[0], AT_FDCWD, from) && absolute(where[1], AT_FDCWD, to);
    char *before = NULL;
    if (ours) {
        count_call();
        before = stash(where[1]);
    }
    int rc = REAL(rename)(from, to);
    if (ours && rc == 0) {
        note_name(RENAMED, where[0], where[1], before);
    }
    unlock();
    return rc;
}

static int unlink_noting(int at, const char *path, int flags) {
    char where[PATH_MAX];
    lock();
    bool ours = active && (flags & AT_REMOVEDIR) == 0 && absolute(where, at, path) && !ends_with(where, "-shm");
    char *before = NULL;
    if (ours) {
        count_call();
        before = stash(where);
    }
    int rc = REAL(unlinkat)(at, path, flags);
    if (ours && rc == 0) {
        note_name(REMOVED, NULL, where, before);
    }
    unlock();
    return rc;
}

int unlink(const char *path) { return unlink_noting(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlink_noting(at, path, flags); }
