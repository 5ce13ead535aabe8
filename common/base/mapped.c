/* A table of fixed size, because a signal handler reads it: a place is filled before its map is published, and is free again
 * once the map is NULL. The descriptor stays open, so that the file that is asked about is the one that was mapped. */
#include "common/base/mapped.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"

#define SHOWN 512 /* bytes of a path that the handler has room for */

struct place {
    _Atomic(const uint8_t *) map;
    size_t n;
    int fd; /* -1: watched only */
    struct timespec changed;
    char path[SHOWN];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct place places[FED_MAPPED_MAX];

static struct place *find(const uint8_t *map) {
    for (size_t i = 0; i < FED_MAPPED_MAX; i++) {
        if (atomic_load(&places[i].map) == map) {
            return &places[i];
        }
    }
    return NULL;
}

/* NULL: no place is left. Takes the descriptor. */
static struct place *enter(const uint8_t *map, size_t n, const char *path, int fd, const struct stat *st) {
    pthread_mutex_lock(&mutex);
    struct place *place = find(NULL);
    if (place != NULL) {
        place->n = n;
        place->fd = fd;
        place->changed = st != NULL ? st->st_mtim : (struct timespec){0};
        snprintf(place->path, sizeof place->path, "%s", path);
        atomic_store(&place->map, map);
    }
    pthread_mutex_unlock(&mutex);
    return place;
}

static void leave(const uint8_t *map) {
    pthread_mutex_lock(&mutex);
    struct place *place = find(map);
    if (place != NULL) {
        if (place->fd >= 0) {
            close(place->fd);
        }
        atomic_store(&place->map, NULL);
    }
    pthread_mutex_unlock(&mutex);
}

int fed_mapped_open(const uint8_t **out, size_t *n_bytes, const char *path, struct fed_error *err) {
    struct stat st;
    size_t n;
    int fd, rc = fed_file_open(&fd, &n, path, err);
    if (rc != 0) {
        return rc;
    }
    if (n == 0) {
        close(fd);
        *out = NULL;
        *n_bytes = 0;
        return 0;
    }
    void *map = fstat(fd, &st) == 0 ? mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (map == MAP_FAILED) {
        rc = fed_error_set(err, FED_EIO, "%s: cannot map: %s", path, strerror(errno));
    } else if (enter(map, n, path, fd, &st) == NULL) {
        munmap(map, n);
        rc = fed_error_set(err, FED_EIO, "%s: cannot map: more than %d files at a time", path, FED_MAPPED_MAX);
    }
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *out = map;
    *n_bytes = n;
    return 0;
}

void fed_mapped_close(const uint8_t *map, size_t n_bytes) {
    if (map != NULL) {
        leave(map);
        munmap((void *)(uintptr_t)map, n_bytes);
    }
}

int fed_mapped_check(const uint8_t *map, struct fed_error *err) {
    const struct place *place = map != NULL ? find(map) : NULL;
    struct stat st;
    if (place == NULL || place->fd < 0) {
        return 0;
    }
    if (fstat(place->fd, &st) == 0 && (size_t)st.st_size == place->n && st.st_mtim.tv_sec == place->changed.tv_sec &&
        st.st_mtim.tv_nsec == place->changed.tv_nsec) {
        return 0;
    }
    return fed_error_set(
        err, FED_EDATA,
        "%s: was changed while it is in use; start this program again when the file is as it should be, and "
        "put new data in place with mv, not cp",
        place->path);
}

int fed_mapped_watch(const void *map, size_t n_bytes, const char *path) {
    return enter(map, n_bytes, path, -1, NULL) != NULL ? 0 : FED_ENOMEM;
}

void fed_mapped_unwatch(const void *map) {
    if (map != NULL) {
        leave(map);
    }
}

/* -- the guard -------------------------------------------------------------------------------------------------------------
 */

static void say(const char *text) {
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n; /* nobody is left to tell */
}

static void on_bus_error(int number, siginfo_t *info, void *context) {
    (void)context;
    const uint8_t *at = info->si_addr;
    for (size_t i = 0; i < FED_MAPPED_MAX; i++) {
        const struct place *place = &places[i];
        const uint8_t *map = atomic_load(&place->map);
        if (map != NULL && at >= map && (size_t)(at - map) < place->n) {
            say(program_invocation_short_name);
            say(": ");
            say(place->path);
            say(": was cut short while it was in use, or its disk fails; put it right and start again\n");
            _exit(fed_status_exit_code(FED_EDATA));
        }
    }
    signal(number, SIG_DFL); /* not a map of ours: the instruction is tried again and ends the program as it would have */
}

void fed_mapped_guard(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
