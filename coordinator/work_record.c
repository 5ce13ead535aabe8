/* What is written for the record, and no round waits for: a quarantine, and that the run is finished. */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/work_internal.h"

/* -- a quarantine ------------------------------------------------------------------------------------------------------- */

struct quarantine_work {
    struct fed_work work; /* first */
    struct fed_store_quarantine row;
};

static void run_quarantine(struct fed_job *job) {
    struct quarantine_work *quarantine = (struct quarantine_work *)(void *)job;
    struct fed_work *work = &quarantine->work;
    work->rc = fed_store_quarantine(work->c->store, &quarantine->row, &work->err);
}

static void end_quarantine(struct fed_work *work) {
    if (work->rc != FED_OK) {
        fed_work_try_again(work);
    }
}

void fed_work_quarantine(struct fed_coordinator *c, size_t node) {
    const struct fed_quarantine *q = &c->nodes.nodes[node].quarantine;
    const char *name = fed_nodes_name(&c->nodes, node);
    struct quarantine_work *quarantine = fed_work_new(c, sizeof *quarantine, run_quarantine, end_quarantine, NULL);
    if (quarantine == NULL) { /* it holds all the same, but a restart will not know */
        FED_ERROR("quarantine", "no memory to record it", FED_STR("node", name));
        return;
    }
    struct fed_store_quarantine *row = &quarantine->row;
    row->since_ms = fed_clock_wall_ms();
    row->until_ms = row->since_ms + (int64_t)q->last_ms;
    row->reason = fed_refusal_name(q->reason);
    row->refusals = q->counted;
    snprintf(row->node, sizeof row->node, "%s", name);
    fed_pool_submit(c->store_pool, &quarantine->work.job);
}

/* -- the end of the run ------------------------------------------------------------------------------------------------- */

static void run_finish(struct fed_job *job) {
    struct fed_work *work = (struct fed_work *)(void *)job;
    work->rc = fed_store_finish(work->c->store, work->round, &work->err);
}

static void end_finish(struct fed_work *work) {
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK) {
        fed_work_try_again(work);
        return;
    }
    c->finish_stored = true;
    c->finish_round = work->round;
}

int fed_work_finish(struct fed_coordinator *c, uint64_t round) {
    struct fed_work *work = fed_work_new(c, sizeof *work, run_finish, end_finish, NULL);
    if (work == NULL) {
        return FED_ENOMEM;
    }
    work->round = round;
    fed_pool_submit(c->store_pool, &work->job);
    return FED_OK;
}

void fed_work_say_done(struct fed_coordinator *c) {
    if (c->finish_stored && c->works == NULL) {
        fed_report_done(&c->report, c->finish_round, (double)(fed_clock_ms() - c->started_ms) / 1000.0, c->image->digest);
        fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_FINISHED, "the run is finished: its result is round %llu",
                     (unsigned long long)c->finish_round);
        c->finished = true;
    }
}
