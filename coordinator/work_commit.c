/* A round is stored: its model, who was in it, what was refused meanwhile. Only this, and a rollback, changes the model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "coordinator/work_internal.h"

/* -- what a rollback does as well --------------------------------------------------------------------------------------- */

int fed_work_refusals_take(struct fed_work_refusals *out, const struct fed_coordinator *c) {
    size_t n = fed_refusals_cells(c->refusals);
    out->counted = malloc(n * sizeof *out->counted);
    out->rows = calloc(n, sizeof *out->rows);
    if (out->counted == NULL || out->rows == NULL) {
        return FED_ENOMEM;
    }
    fed_refusals_snapshot(c->refusals, out->counted);
    out->n_counted = n;
    for (size_t i = 0; i < n; i++) {
        if (out->counted[i] == 0) {
            continue;
        }
        struct fed_store_refusal *row = &out->rows[out->n_rows++];
        size_t node = i / FED_REFUSAL_COUNT; /* 0: nobody's */
        if (node > 0) {
            memcpy(row->node, fed_roster_entry(c->nodes.roster, node - 1)->name, sizeof row->node);
        }
        row->reason = fed_refusal_name((enum fed_refusal)(i % FED_REFUSAL_COUNT));
        row->count = out->counted[i];
    }
    return FED_OK;
}

void fed_work_refusals_free(struct fed_work_refusals *refusals) {
    free(refusals->counted);
    free(refusals->rows);
}

double fed_work_round_seconds(const struct fed_coordinator *c, uint64_t began_us) {
    return (double)(began_us - c->commit_began_us) / 1e6;
}

void fed_work_install(struct fed_coordinator *c, struct fed_image *image, uint64_t began_us) {
    c->commit_began_us = began_us;
    fed_image_release(c->image);
    c->image = fed_image_hold(image);
    fed_image_release(c->next_image);
    c->next_image = NULL;
}

/* -- the commit --------------------------------------------------------------------------------------------------------- */

struct commit_work {
    struct fed_work work;    /* first */
    struct fed_image *image; /* held */
    struct fed_work_refusals refusals;
    struct fed_update_limits limits; /* that held in the round */
    double *norms;                   /* (n_updates), owned */
    uint64_t began_us;
    double seconds;
};

/* A run that judges its models keeps the one that it would go back to. */
static bool keeps_good(const struct fed_coordinator *c) { return c->has_test && c->task->hygiene.rollback_factor > 0; }

static void run_commit(struct fed_job *job) {
    struct commit_work *commit = (struct commit_work *)(void *)job;
    struct fed_work *work = &commit->work;
    struct fed_coordinator *c = work->c;
    const struct fed_image *image = commit->image;
    /* The admitted set does not change between AGGREGATE and the end of the commit: the intake is closed. */
    struct fed_store_commit stored = {
        .round = work->round,
        .attempt = work->attempt,
        .header = image->bytes,
        .n_header = image->n_header,
        .params = image->params,
        .n_params_bytes = c->model.n_params * sizeof(float),
        .updates = c->updates,
        .n_updates = c->n_updates,
        .refusals = commit->refusals.rows,
        .n_refusals = commit->refusals.n_rows,
        .bytes_down = c->bytes_down,
        .bytes_up = c->bytes_up,
        .seconds = commit->seconds,
        .train_seconds = c->train_seconds,
        .norm_ceiling = commit->limits.norm_ceiling,
        .clip = commit->limits.clip,
        .weight_cap = commit->limits.weight_cap,
        .keep_good = keeps_good(c),
    };
    memcpy(stored.model_digest, image->digest, sizeof stored.model_digest);
    work->rc = fed_store_commit(c->store, &stored, c->task->server.keep_last, &work->err);
}

/* What later rounds are held against. */
static void remember(struct fed_coordinator *c, const struct commit_work *commit) {
    fed_hygiene_committed(&c->past, &(struct fed_hygiene_round){.round = commit->work.round,
                                                                .norms = commit->norms,
                                                                .n = c->n_updates,
                                                                .weight = c->aggregate.total_weight,
                                                                .clip = commit->limits.clip,
                                                                .weight_cap = commit->limits.weight_cap});
}

static void report(struct fed_coordinator *c, const struct commit_work *commit) {
    struct fed_report_round line = {.round = commit->work.round,
                                    .attempt = commit->work.attempt,
                                    .clients = c->n_updates,
                                    .weight = c->aggregate.total_weight,
                                    .loss = NAN,
                                    .accuracy = NAN,
                                    .seconds = commit->seconds,
                                    .train_seconds = c->train_seconds,
                                    .bytes_down = c->bytes_down,
                                    .bytes_up = c->bytes_up};
    memcpy(line.model, commit->image->digest, sizeof line.model);
    fed_report_round(&c->report, &line, fed_round_evaluates(c->round, line.round));
    fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_COMMITTED, "round %llu: %zu clients", (unsigned long long)line.round,
                 c->n_updates);
}

static void end_commit(struct fed_work *work) {
    struct commit_work *commit = (struct commit_work *)(void *)work;
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK) {
        fed_work_alarm(work);
        fed_loop_post_kind(c, FED_EVENT_STORE_FAILED);
        return;
    }
    fed_refusals_stored(c->refusals, commit->refusals.counted, commit->refusals.n_counted);
    remember(c, commit);
    fed_work_install(c, commit->image, commit->began_us);
    report(c, commit);
    fed_loop_post_kind(c, FED_EVENT_COMMITTED);
}

static void fini_commit(struct fed_work *work) {
    struct commit_work *commit = (struct commit_work *)(void *)work;
    fed_image_release(commit->image);
    fed_work_refusals_free(&commit->refusals);
    free(commit->norms);
}

static int copy_norms(struct commit_work *commit, const struct fed_coordinator *c) {
    commit->norms = calloc(c->n_updates + 1, sizeof *commit->norms);
    if (commit->norms == NULL) {
        return FED_ENOMEM;
    }
    for (size_t i = 0; i < c->n_updates; i++) {
        commit->norms[i] = c->updates[i].norm;
    }
    return FED_OK;
}

int fed_work_commit(struct fed_coordinator *c) {
    struct commit_work *commit = fed_work_new(c, sizeof *commit, run_commit, end_commit, fini_commit);
    if (commit == NULL) {
        return FED_ENOMEM;
    }
    if (fed_work_refusals_take(&commit->refusals, c) != FED_OK || copy_norms(commit, c) != FED_OK) {
        fed_work_drop(&commit->work);
        return FED_ENOMEM;
    }
    commit->image = fed_image_hold(c->next_image);
    commit->limits = fed_hygiene_limits(&c->past, commit->work.round);
    commit->began_us = fed_clock_us();
    commit->seconds = fed_work_round_seconds(c, commit->began_us);
    fed_pool_submit(c->store_pool, &commit->work.job);
    return FED_OK;
}
