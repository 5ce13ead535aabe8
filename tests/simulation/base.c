/* Clock, threads, random bytes and log, made up. A job takes a while of simulated time; it runs when that is over, unless
 * the process died meanwhile. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/pool.h"
#include "tests/simulation/base.h"
#include "tests/simulation/world.h"

#define WALL_MS INT64_C(1790000000000)
enum { THREADS = 8, JOBS = 64 };

/* -- clock ---------------------------------------------------------------------------------------------------------- */

uint64_t fed_clock_us(void) { return sim_now_us(); }
uint64_t fed_clock_ms(void) { return sim_now_us() / 1000; }
int64_t fed_clock_wall_ms(void) { return WALL_MS + (int64_t)(sim_now_us() / 1000); }

/* -- random bytes: passes and jitter; keys are libsodium's own and decide nothing ----------------------------------- */

void __wrap_fed_random_bytes(void *out, size_t n);
void __wrap_fed_random_bytes(void *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)out)[i] = (uint8_t)sim_dice(256);
    }
}

/* -- pools ---------------------------------------------------------------------------------------------------------- */

struct task {
    struct fed_job *job;
    uint64_t serial, starts_us;
};

struct fed_pool {
    struct fed_pool *older; /* of all of this run: events may still name it when it is gone */
    struct sim_process *owner;
    int fd;
    bool stopped;
    const char *name;
    unsigned n_threads;
    uint64_t free_us[THREADS]; /* when each thread has nothing to do any more */
    struct task tasks[JOBS];
    size_t n_tasks;
    uint64_t serial;
    struct fed_job *first, **last; /* finished */
};

static struct {
    struct fed_pool *newest;
    int n;
} pools;

static uint64_t longest_of(const char *name) {
    if (strcmp(name, "fed-train") == 0) {
        return (sim.trouble ? 4000 : 300) * (uint64_t)SIM_MS;
    }
    if (strcmp(name, "fed-store") == 0) {
        return (sim.trouble ? sim.write_ms : 30) * SIM_MS;
    }
    return (sim.trouble ? sim.job_ms : 5) * SIM_MS;
}

int fed_pool_new(struct fed_pool **out, const char *name, unsigned n_threads, struct fed_error *err) {
    struct fed_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return fed_error_set(err, FED_ENOMEM, "no memory for a pool");
    }
    *pool = (struct fed_pool){.older = pools.newest,
                              .owner = sim_self(),
                              .fd = SIM_FD_POOL + pools.n++,
                              .name = name,
                              .n_threads = n_threads < THREADS ? n_threads : THREADS};
    pool->last = &pool->first;
    pools.newest = pool;
    *out = pool;
    return FED_OK;
}

static void finish_task(struct fed_pool *pool, size_t i) {
    struct fed_job *job = pool->tasks[i].job;
    pool->tasks[i] = pool->tasks[--pool->n_tasks];
    struct sim_process *before = sim_act_for(pool->owner);
    job->run(job);
    sim_act_for(before);
    job->next = NULL;
    *pool->last = job;
    pool->last = &job->next;
}

static void job_ends(void *context, uint64_t serial) {
    struct fed_pool *pool = context;
    for (size_t i = 0; !pool->stopped && !sim_dying(pool->owner) && i < pool->n_tasks; i++) {
        if (pool->tasks[i].serial == serial) {
            finish_task(pool, i);
            sim_wake(pool->owner);
            return;
        }
    }
}

/* Running jobs are waited for; in the order in which they began. */
void fed_pool_free(struct fed_pool *pool) {
    if (pool == NULL) {
        return;
    }
    for (bool any = !sim_dying(pool->owner); any;) {
        size_t next = pool->n_tasks;
        for (size_t i = 0; i < pool->n_tasks; i++) {
            bool running = pool->tasks[i].starts_us <= sim_now_us();
            if (running && (next == pool->n_tasks || pool->tasks[i].serial < pool->tasks[next].serial)) {
                next = i;
            }
        }
        any = next < pool->n_tasks;
        if (any) {
            finish_task(pool, next);
        }
    }
    pool->stopped = true;
}

void fed_pool_submit(struct fed_pool *pool, struct fed_job *job) {
    if (sim_dies_here(pool->owner)) {
        return;
    }
    sim_require(pool->n_tasks < JOBS, "%s hands out more and more jobs", sim_process_name(pool->owner));
    unsigned thread = 0;
    for (unsigned i = 1; i < pool->n_threads; i++) {
        thread = pool->free_us[i] < pool->free_us[thread] ? i : thread;
    }
    uint64_t now = sim_now_us(), starts = pool->free_us[thread] > now ? pool->free_us[thread] : now;
    uint64_t ends = starts + 50 + sim_dice(longest_of(pool->name));
    pool->free_us[thread] = ends;
    pool->tasks[pool->n_tasks++] = (struct task){job, ++pool->serial, starts};
    sim_after(ends - now, job_ends, pool, pool->serial);
}

int fed_pool_fd(const struct fed_pool *pool) { return pool->fd; }

struct fed_job *fed_pool_finished(struct fed_pool *pool) {
    struct fed_job *job = pool->first;
    if (job != NULL && (pool->first = job->next) == NULL) {
        pool->last = &pool->first;
    }
    return job;
}

void fed_pool_step_back(int niceness) { (void)niceness; }
void fed_numeric_mode_assert(void) {}

bool sim_fd_readable(int fd) {
    if (fd == SIM_FD_EVALUATOR) {
        return sim_evaluator_done();
    }
    if (fd >= SIM_FD_STOP) {
        return sim.closing || sim.nodes[fd - SIM_FD_STOP].stops;
    }
    for (const struct fed_pool *pool = pools.newest; pool != NULL; pool = pool->older) {
        if (pool->fd == fd) {
            return pool->first != NULL;
        }
    }
    return false;
}

void sim_pools_end(void) {
    for (struct fed_pool *older, *pool = pools.newest; pool != NULL; pool = older) {
        older = pool->older;
        free(pool);
    }
    pools.newest = NULL;
    pools.n = 0;
}

/* -- log: only for people ------------------------------------------------------------------------------------------- */

void fed_log_setup(enum fed_log_format format, enum fed_log_level least) {
    (void)format;
    (void)least;
}

const struct fed_log_sink *fed_log_redirect(const struct fed_log_sink *sink) {
    (void)sink;
    return NULL;
}

int fed_log_parse_format(enum fed_log_format *out, const char *text) {
    *out = FED_LOG_TEXT;
    return text[0] != '\0' ? FED_OK : FED_ENOTFOUND;
}

int fed_log_parse_level(enum fed_log_level *out, const char *text) {
    *out = FED_LOG_INFO;
    return text[0] != '\0' ? FED_OK : FED_ENOTFOUND;
}

void fed_log_write(enum fed_log_level level, const char *room, const char *event, const struct fed_field *fields) {
    if (!sim_told()) {
        return;
    }
    printf("%9.3f     %s: %s%s: %s", (double)sim_now_us() / 1e6,
           sim_self() != NULL ? sim_process_name(sim_self()) : "(a thread)", level <= FED_LOG_WARN ? "! " : "", room, event);
    for (const struct fed_field *field = fields; field->key != NULL; field++) {
        switch (field->kind) {
        case FED_FIELD_STR: printf(" %s=%s", field->key, field->as.str); break;
        case FED_FIELD_U64: printf(" %s=%" PRIu64, field->key, field->as.u64); break;
        case FED_FIELD_I64: printf(" %s=%" PRId64, field->key, field->as.i64); break;
        case FED_FIELD_F64: printf(" %s=%g", field->key, field->as.f64); break;
        }
    }
    putchar('\n');
}
