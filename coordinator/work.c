/* The life of jobs of other threads: made, collected when they have run, and tried again where a write failed that nobody
 * else would repeat. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/work_internal.h"

#define RETRY_FIRST_MS 1000 /* after a write that failed */
#define RETRY_MOST_MS 60000

void *fed_work_new(struct fed_coordinator *c, size_t size, void (*run)(struct fed_job *), void (*end)(struct fed_work *),
                   void (*fini)(struct fed_work *)) {
    assert(size >= sizeof(struct fed_work));
    struct fed_work *work = calloc(1, size);
    if (work == NULL) {
        return NULL;
    }
    work->c = c;
    work->job.run = run;
    work->end = end;
    work->fini = fini;
    work->round = fed_round_number(c->round);
    work->attempt = fed_round_attempt(c->round);
    work->older = c->works;
    if (c->works != NULL) {
        c->works->newer = work;
    }
    c->works = work;
    return work;
}

void fed_work_drop(struct fed_work *work) {
    *(work->newer != NULL ? &work->newer->older : &work->c->works) = work->older;
    if (work->older != NULL) {
        work->older->newer = work->newer;
    }
    if (work->fini != NULL) {
        work->fini(work);
    }
    free(work);
}

void fed_work_free(struct fed_coordinator *c) {
    for (struct fed_work *work = c->works, *older; work != NULL; work = older) {
        older = work->older;
        fed_work_drop(work);
    }
}

void fed_work_alarm(const struct fed_work *work) {
    struct fed_coordinator *c = work->c;
    c->n_store_errors++;
    if (c->alarm[0] == '\0') {
        fed_publish_alarm(c, "a write failed: %s", work->err.text);
    }
    snprintf(c->alarm, sizeof c->alarm, "%.*s", (int)sizeof c->alarm - 1, work->err.text);
    FED_ERROR("store", "write failed", FED_STR("why", work->err.text), FED_STR("next", "nothing is lost; trying again"));
}

void fed_work_try_again(struct fed_work *work) {
    fed_work_alarm(work);
    work->pause_ms = work->pause_ms == 0 ? RETRY_FIRST_MS : 2 * work->pause_ms;
    work->pause_ms = work->pause_ms > RETRY_MOST_MS ? RETRY_MOST_MS : work->pause_ms;
    work->retry_ms = fed_clock_ms() + work->pause_ms;
}

void fed_work_tick(struct fed_coordinator *c, uint64_t now_ms) {
    for (struct fed_work *work = c->works; work != NULL; work = work->older) {
        if (work->retry_ms > 0 && now_ms >= work->retry_ms) {
            work->retry_ms = 0;
            fed_pool_submit(c->store_pool, &work->job);
        }
    }
}

static void collect_from(struct fed_coordinator *c, struct fed_pool *pool) {
    for (struct fed_job *job; (job = fed_pool_finished(pool)) != NULL;) {
        struct fed_work *work = (struct fed_work *)(void *)job;
        if (pool == c->store_pool && work->rc == FED_OK) {
            c->alarm[0] = '\0';
        }
        work->end(work);
        if (work->retry_ms == 0) {
            fed_work_drop(work);
        }
    }
}

void fed_work_collect(struct fed_coordinator *c) {
    struct fed_evaluation result;
    if (c->evaluator != NULL && fed_evaluator_finished(c->evaluator, &result)) {
        fed_work_evaluated(c, &result);
    }
    collect_from(c, c->store_pool);
    collect_from(c, c->model_pool);
    fed_work_say_done(c);
}
