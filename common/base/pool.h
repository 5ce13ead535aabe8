/* Threads that run jobs, and a queue on which finished jobs come back to the one thread that owns them.
 *
 * The owner fills a job, submits it and does not touch it until fed_pool_finished hands it back; the event descriptor
 * turns readable when a job has finished, so a poll loop can wait for it. No other state is shared. */
#ifndef FED_COMMON_BASE_POOL_H
#define FED_COMMON_BASE_POOL_H

#include "common/base/status.h"

struct fed_pool;

/* Embed as the first member of the real job. */
struct fed_job {
    void (*run)(struct fed_job *job); /* on a pool thread */
    struct fed_job *next;             /* the pool's own */
};

/* Every thread computes in the default rounding mode with neither FTZ nor DAZ set, and formats in the locale "C", whatever
 * its creator does. name: at most 15 bytes. FED_EFAILED, FED_ENOMEM. */
int fed_pool_new(struct fed_pool **out, const char *name, unsigned n_threads, struct fed_error *err) FED_MUST_CHECK;
/* Jobs not yet started are dropped (not run, not returned); running ones are waited for. NULL is allowed. */
void fed_pool_free(struct fed_pool *pool);
void fed_pool_submit(struct fed_pool *pool, struct fed_job *job);
int fed_pool_fd(const struct fed_pool *pool);
/* The next finished job, in the order of finishing; NULL if there is none (the descriptor is then quiet again). */
struct fed_job *fed_pool_finished(struct fed_pool *pool);

/* The calling thread steps back behind all others that have something to do (nice 1..19), so that what it computes for
 * long never keeps a message or a write waiting. */
void fed_pool_step_back(int niceness);

/* Sets IEEE round-to-nearest without FTZ and DAZ for the calling thread, which may have inherited something else. */
void fed_numeric_mode_set(void);
/* Asserts IEEE round-to-nearest and no FTZ/DAZ in the calling thread: our numbers depend on it. */
void fed_numeric_mode_assert(void);

#endif
