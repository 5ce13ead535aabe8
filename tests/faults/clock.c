/* A wall clock that cannot be trusted: preloaded (LD_PRELOAD), it changes what the programs named in FED_CLOCK_PROGRAMS
 * (a,b) read as the time of day, and nothing else: CLOCK_MONOTONIC and CLOCK_BOOTTIME go on as they do.
 *
 *     FED_CLOCK=jump      every other reading is a day late, every other a day early
 *               back      goes backwards
 *               frozen    always the same moment
 *     FED_CLOCK_LOG=PATH  gets a byte at the first reading of each process */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400
#define MOMENT 1700000000

static atomic_long readings;

static bool is_wanted(void) {
    const char *programs = getenv("FED_CLOCK_PROGRAMS");
    return programs != NULL && strstr(programs, program_invocation_short_name) != NULL;
}

static void note(void) {
    const char *path = getenv("FED_CLOCK_LOG");
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        ssize_t n = write(fd, "x", 1);
        (void)n;
        close(fd);
    }
}

static time_t twisted(time_t now) {
    const char *how = getenv("FED_CLOCK");
    long n = atomic_fetch_add(&readings, 1);
    if (how == NULL || !is_wanted()) {
        return now;
    }
    if (n == 0) {
        note();
    }
    return strcmp(how, "frozen") == 0 ? MOMENT : strcmp(how, "back") == 0 ? MOMENT - n : now + (n % 2 == 0 ? DAY : -DAY);
}

int clock_gettime(clockid_t id, struct timespec *out) {
    static int (*next)(clockid_t, struct timespec *);
    if (next == NULL) {
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int rc = next(id, out);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        out->tv_sec = twisted(out->tv_sec);
    }
    return rc;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    (void)zone;
    int rc = clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return rc;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
