/* The workers of a host: each trains one client at a time, on a pool, beside the thread that the host belongs to. */
#include <stdlib.h>

#include "client/host_internal.h"
#include "common/base/clock.h"
#include "common/numeric/norm.h"

#define NICENESS 10 /* of training: the owner's own work comes first, and so do messages */

bool fed_host_training(const struct fed_host *host) {
    for (uint32_t i = 0; i < host->config->workers; i++) {
        if (host->trainings[i].busy) {
            return true;
        }
    }
    return false;
}

void fed_host_stop_training(struct fed_host *host, const struct fed_host_item *u) {
    for (uint32_t i = 0; i < host->config->workers; i++) {
        if (host->trainings[i].busy && host->trainings[i].update == u) {
            atomic_store(&host->trainings[i].cancel, true);
            host->trainings[i].update = NULL;
        }
    }
}

static void run_training(struct fed_job *job) {
    struct fed_host_worker *t = (struct fed_host_worker *)(void *)job;
    const struct fed_host *host = t->host; /* what is read of it does not change while a worker is busy */
    fed_pool_step_back(NICENESS);
    fed_log_redirect(host->log);
    if (host->has_hook) {
        t->rc = host->hook.train(host->hook.context, t->delta, &t->report, t->image->params, host->model.n_params, t->client,
                                 &t->cancel);
    } else {
        uint32_t client = host->config->partition.kind != FED_PARTITION_NONE ? (uint32_t)t->client : 0;
        fed_partition_rows(&host->partition, client, t->shard);
        t->rc = fed_host_check_data(host, NULL);
        if (t->rc == FED_OK) {
            t->rc = fed_local_sgd(t->trainer, t->delta, &t->report, t->image->params, &host->dataset, t->shard,
                                  fed_partition_size(&host->partition, client), &t->terms, &t->cancel);
        }
        if (t->rc == FED_OK) { /* what changed meanwhile may have been trained on */
            t->rc = fed_host_check_data(host, NULL);
        }
    }
    t->norm = t->rc == FED_OK ? fed_norm(t->delta, host->model.n_params) : 0;
    t->seconds = (double)(fed_clock_us() - t->started_us) / 1e6;
}

static int start_training(struct fed_host *host, struct fed_host_worker *t, struct fed_host_item *u) {
    t->delta = aligned_alloc(64, (host->model.n_params * sizeof(float) + 63) / 64 * 64);
    if (t->delta == NULL) {
        return FED_ENOMEM;
    }
    t->busy = true;
    t->update = u;
    t->client = u->client;
    t->image = fed_image_hold(host->image);
    t->terms = (struct fed_sgd_terms){.seed = host->terms.seed,
                                      .round = host->image->round + 1,
                                      .client = u->client,
                                      .epochs = host->terms.epochs,
                                      .batch_size = host->terms.batch_size,
                                      .sgd = {.learning_rate = host->learning_rate,
                                              .momentum = (float)host->terms.sgd.momentum,
                                              .weight_decay = (float)host->terms.sgd.weight_decay}};
    t->started_us = fed_clock_us();
    atomic_store(&t->cancel, false);
    t->job.run = run_training;
    u->training = true;
    fed_pool_submit(host->pool, &t->job);
    return FED_OK;
}

static void start_what_can_start(struct fed_host *host) {
    for (uint32_t i = 0; i < host->config->workers && host->to_train.first != NULL; i++) {
        struct fed_host_worker *t = &host->trainings[i];
        if (t->busy) {
            continue;
        }
        struct fed_host_item *u = fed_host_queue_pop(&host->to_train);
        if (start_training(host, t, u) != FED_OK) {
            u->wanted = false;
            host->failed = (struct fed_host_update){.client = u->client, .rc = FED_ENOMEM};
            return;
        }
    }
}

static void stop_what_takes_too_long(struct fed_host *host) {
    uint64_t now = fed_clock_us(), limit = host->config->limits.max_train_s * 1000000u;
    for (uint32_t i = 0; i < host->config->workers; i++) {
        struct fed_host_worker *t = &host->trainings[i];
        if (t->busy && t->update != NULL && now - t->started_us > limit) {
            atomic_store(&t->cancel, true);
        }
    }
}

/* Moves a finished training into its update, if somebody still wants it. */
static void settle(struct fed_host *host, struct fed_host_worker *t) {
    struct fed_host_item *u = t->update;
    t->busy = false;
    fed_image_release(t->image);
    t->image = NULL;
    if (u != NULL && t->rc == FED_OK) {
        u->training = false;
        u->made = true;
        u->delta = t->delta;
        u->norm = t->norm;
        u->report = t->report;
        u->seconds = t->seconds;
        host->kept_bytes += host->model.n_params * sizeof(float);
        t->delta = NULL;
        if (u->wanted) {
            fed_host_queue_push(&host->to_report, u);
        }
        return;
    }
    free(t->delta);
    t->delta = NULL;
    if (u != NULL) {
        if (u->wanted) { /* a failure of an attempt that has ended is nobody's */
            host->failed = (struct fed_host_update){.client = u->client, .rc = t->rc};
        }
        u->training = u->wanted = false;
    }
}

static bool next_made(struct fed_host *host, struct fed_host_update *out) {
    struct fed_host_item *u = fed_host_queue_pop(&host->to_report);
    if (u == NULL) {
        return false;
    }
    u->wanted = false;
    *out = (struct fed_host_update){
        .client = u->client, .rc = FED_OK, .delta = u->delta, .norm = u->norm, .report = u->report, .seconds = u->seconds};
    return true;
}

bool fed_host_finished(struct fed_host *host, struct fed_host_update *out) {
    for (struct fed_job *job; host->failed.rc == FED_OK && (job = fed_pool_finished(host->pool)) != NULL;) {
        settle(host, (struct fed_host_worker *)(void *)job);
    }
    if (host->image != NULL && host->has_task) {
        stop_what_takes_too_long(host);
        if (host->failed.rc == FED_OK) { /* one failure is reported at a time */
            start_what_can_start(host);
        }
    }
    if (host->failed.rc != FED_OK) {
        *out = host->failed;
        host->failed = (struct fed_host_update){0};
        return true;
    }
    return next_made(host, out);
}
