/* One mutex guards both queues. Invariant, whenever it is free: the event descriptor is readable if and only if a
 * finished job waits. */
#include "common/base/pool.h"

#include <assert.h>
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "common/base/c_locale.h"

struct queue {
    struct fed_job *head, **tail;
};

struct fed_pool {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct queue waiting, finished;
    bool stop;
    int fd;
    unsigned n_threads; /* started */
    pthread_t threads[];
};

static void queue_init(struct queue *queue) {
    queue->head = NULL;
    queue->tail = &queue->head;
}

static void queue_push(struct queue *queue, struct fed_job *job) {
    job->next = NULL;
    *queue->tail = job;
    queue->tail = &job->next;
}

static struct fed_job *queue_pop(struct queue *queue) {
    struct fed_job *job = queue->head;
    if (job != NULL) {
        queue->head = job->next;
        if (queue->head == NULL) {
            queue->tail = &queue->head;
        }
        job->next = NULL;
    }
    return job;
}

void fed_numeric_mode_set(void) {
    fesetenv(FE_DFL_ENV); /* rounding, and no exception is a signal */
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() & ~0xe040u);
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr & ~(UINT64_C(7) << 22)));
#endif
}

void fed_numeric_mode_assert(void) {
    assert(fegetround() == FE_TONEAREST);
#if defined(__x86_64__)
    assert((_mm_getcsr() & 0xe040) == 0); /* FTZ, rounding control, DAZ */
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__("mrs %0, fpcr" : "=r"(fpcr));
    assert((fpcr & (UINT64_C(7) << 22)) == 0); /* FZ, rounding mode */
#endif
}

static void set_readable(struct fed_pool *pool) {
    uint64_t one = 1;
    ssize_t n = write(pool->fd, &one, sizeof one);
    assert(n == sizeof one);
    (void)n;
}

static void set_quiet(struct fed_pool *pool) {
    uint64_t count;
    ssize_t n = read(pool->fd, &count, sizeof count);
    assert(n == sizeof count);
    (void)n;
}

static void *work(void *arg) {
    struct fed_pool *pool = arg;
    fed_numeric_mode_set();
    fed_c_locale_set(); /* a thread starts with the locale of the process, whatever its creator's is */
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->stop && pool->waiting.head == NULL) {
            pthread_cond_wait(&pool->work, &pool->mutex);
        }
        if (pool->stop) {
            break;
        }
        struct fed_job *job = queue_pop(&pool->waiting);
        pthread_mutex_unlock(&pool->mutex);
        job->run(job);
        pthread_mutex_lock(&pool->mutex);
        if (pool->finished.head == NULL) {
            set_readable(pool);
        }
        queue_push(&pool->finished, job);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* Signals are the owner's business: pool threads start with all of them blocked, but for the one of a failed map, which the
 * faulting thread has to handle (mapped.h). */
static int start_threads(struct fed_pool *pool, const char *name, unsigned n_threads) {
    sigset_t all, before;
    int rc = 0;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (rc == 0 && pool->n_threads < n_threads) {
        pthread_t *thread = &pool->threads[pool->n_threads];
        rc = pthread_create(thread, NULL, work, pool);
        if (rc == 0) {
            pool->n_threads++;
            pthread_setname_np(*thread, name);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int fed_pool_new(struct fed_pool **out, const char *name, unsigned n_threads, struct fed_error *err) {
    assert(n_threads >= 1 && strlen(name) <= 15);
    struct fed_pool *pool = calloc(1, sizeof *pool + n_threads * sizeof pool->threads[0]);
    if (pool == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory for %u threads of %s", n_threads, name);
    }
    queue_init(&pool->waiting);
    queue_init(&pool->finished);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failure = pool->fd < 0 ? errno : start_threads(pool, name, n_threads);
    if (failure != 0) {
        fed_error_set(err, FED_EFAILED, "cannot start %u threads of %s: %s", n_threads, name, strerror(failure));
        fed_pool_free(pool);
        return FED_EFAILED;
    }
    *out = pool;
    return 0;
}

void fed_pool_free(struct fed_pool *pool) {
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->n_threads; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    if (pool->fd >= 0) {
        close(pool->fd);
    }
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void fed_pool_submit(struct fed_pool *pool, struct fed_job *job) {
    pthread_mutex_lock(&pool->mutex);
    queue_push(&pool->waiting, job);
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
}

int fed_pool_fd(const struct fed_pool *pool) { return pool->fd; }

struct fed_job *fed_pool_finished(struct fed_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    struct fed_job *job = queue_pop(&pool->finished);
    if (job != NULL && pool->finished.head == NULL) {
        set_quiet(pool);
    }
    pthread_mutex_unlock(&pool->mutex);
    return job;
}

void fed_pool_step_back(int niceness) {
    int rc = setpriority(PRIO_PROCESS, 0, niceness); /* on Linux: of this thread */
    (void)rc;                                        /* where it is not allowed, it is only slower */
}
