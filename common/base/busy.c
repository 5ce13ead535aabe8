#include "common/base/busy.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/c_locale.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#define LOG_EVERY_MS 10000

struct fed_busy {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool ended;
    void (*say)(void *context, const char *what, unsigned seconds);
    void *context;
    uint32_t first_ms, every_ms;
    unsigned said;
    const struct fed_log_sink *log; /* of the thread that waits: a library's lines go where its owner wants them */
    char what[512];
};

static void after(struct timespec *at, uint32_t ms) {
    at->tv_sec += ms / 1000;
    at->tv_nsec += (long)(ms % 1000) * 1000000;
    if (at->tv_nsec >= 1000000000) {
        at->tv_nsec -= 1000000000;
        at->tv_sec++;
    }
}

static void *watch(void *argument) {
    struct fed_busy *busy = argument;
    uint64_t since_ms = fed_clock_ms();
    struct timespec at;
    fed_log_redirect(busy->log);
    fed_c_locale_set();
    clock_gettime(CLOCK_MONOTONIC, &at);
    after(&at, busy->first_ms);
    pthread_mutex_lock(&busy->mutex);
    while (!busy->ended) {
        if (pthread_cond_timedwait(&busy->over, &busy->mutex, &at) == 0) {
            continue;
        }
        if (!busy->ended) {
            busy->say(busy->context, busy->what, (unsigned)((fed_clock_ms() - since_ms) / 1000));
            busy->said++;
            after(&at, busy->every_ms);
        }
    }
    pthread_mutex_unlock(&busy->mutex);
    return NULL;
}

/* Signals are the caller's: the new thread takes none. */
static int start(struct fed_busy *busy) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&busy->thread, NULL, watch, busy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static struct fed_busy *begin(void (*say)(void *, const char *, unsigned), void *context, uint32_t first_ms,
                              uint32_t every_ms, const char *format, va_list args) {
    struct fed_busy *busy = calloc(1, sizeof *busy);
    pthread_condattr_t monotonic;
    if (busy == NULL) {
        return NULL;
    }
    busy->say = say;
    busy->context = context;
    busy->first_ms = first_ms;
    busy->every_ms = every_ms;
    busy->log = fed_log_redirect(NULL);
    fed_log_redirect(busy->log);
    vsnprintf(busy->what, sizeof busy->what, format, args);
    pthread_mutex_init(&busy->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&busy->over, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (start(busy) != 0) {
        pthread_cond_destroy(&busy->over);
        pthread_mutex_destroy(&busy->mutex);
        free(busy);
        return NULL;
    }
    return busy;
}

struct fed_busy *fed_busy_begin(void (*say)(void *, const char *, unsigned), void *context, uint32_t first_ms,
                                uint32_t every_ms, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct fed_busy *busy = begin(say, context, first_ms, every_ms, format, args);
    va_end(args);
    return busy;
}

unsigned fed_busy_end(struct fed_busy *busy) {
    if (busy == NULL) {
        return 0;
    }
    pthread_mutex_lock(&busy->mutex);
    busy->ended = true;
    pthread_cond_signal(&busy->over);
    pthread_mutex_unlock(&busy->mutex);
    pthread_join(busy->thread, NULL);
    unsigned said = busy->said;
    pthread_cond_destroy(&busy->over);
    pthread_mutex_destroy(&busy->mutex);
    free(busy);
    return said;
}

static void say_in_log(void *context, const char *what, unsigned seconds) {
    FED_INFO((const char *)context, "at work", FED_STR("on", what), FED_U64("seconds", seconds));
}

struct fed_busy *fed_busy_log(const char *room, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct fed_busy *busy = begin(say_in_log, (void *)room, FED_BUSY_FIRST_MS, LOG_EVERY_MS, format, args);
    va_end(args);
    return busy;
}
