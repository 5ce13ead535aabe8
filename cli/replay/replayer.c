/* A round: its clients are shared out among threads, largest first, each of which adds to a sum of its own; the sums are
 * exact, so their sum is that of the run whoever trained whom. What differs is looked for afterwards in the order of
 * clients, so that the sentence does not depend on threads either. */
#include "cli/replay/replayer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/replay/admitted.h"
#include "client/local_sgd.h"
#include "common/base/pool.h"
#include "common/data/partition.h"
#include "common/model/import.h"
#include "common/numeric/norm.h"
#include "common/seal/digest.h"
#include "coordinator/round/aggregate.h"
#include "coordinator/round/hygiene_rules.h"

struct worker {
    struct fed_job job; /* first */
    struct fed_replayer *replayer;
    struct fed_trainer *trainer; /* owned, as are those below */
    struct fed_aggregate sum;
    float *delta;    /* (n_params) */
    uint32_t *shard; /* (largest) */
};

struct fed_replayer {
    const struct fed_trained *run;
    struct fed_working *working;
    uint64_t all, n_computed; /* updates */
    struct fed_dataset train;
    struct fed_partition partition;
    struct fed_fixed fixed;
    struct fed_hygiene_config hygiene;
    struct fed_pool *pool;
    unsigned threads;
    struct worker *workers; /* (threads) */
    float *params, *next;   /* (n_params) */

    const struct fed_store_round *row; /* the round at hand */
    struct fed_admitted admitted;
    atomic_size_t taken; /* of them */
};

/* -- start and end ----------------------------------------------------------------------------------------------------- */

static int load_data(struct fed_replayer *r, struct fed_error *err) {
    const struct fed_task_terms *terms = &r->run->terms;
    if (!terms->has_partition) {
        return fed_error_set(
            err, FED_ECONFIG,
            "%s: its coordinator knew no training data (data.partition), so only their owners could compute "
            "it again",
            r->run->path);
    }
    int code = fed_trained_load_data(&r->train, r->run, FED_DATA_TRAIN, r->working->quiet, err);
    if (code == FED_OK) {
        code = fed_partition_make(&r->partition, &r->train, &terms->partition, terms->seed, err);
    }
    if (code == FED_OK && memcmp(r->partition.digest, terms->partition_digest, sizeof terms->partition_digest) != 0) {
        code = fed_error_set(err, FED_EDATA, "%s: the training data, or their split, are not those of the run",
                             fed_data_source_train_path(&r->run->files.data));
    }
    return code;
}

static int make_worker(struct worker *worker, struct fed_replayer *r, const struct fed_kernels *kernels) {
    const struct fed_task_terms *terms = &r->run->terms;
    size_t largest = fed_partition_largest(&r->partition), n = r->run->model.n_params;
    worker->replayer = r;
    worker->delta = calloc(n, sizeof *worker->delta);
    worker->shard = calloc(largest, sizeof *worker->shard);
    if (worker->delta == NULL || worker->shard == NULL || fed_aggregate_init(&worker->sum, &r->fixed, n) != FED_OK) {
        return FED_ENOMEM;
    }
    return fed_trainer_new(&worker->trainer, &r->run->model, kernels, fed_local_sgd_rows(terms->batch_size, largest),
                           largest, terms->sgd.momentum > 0);
}

static int make_rooms(struct fed_replayer *r, struct fed_error *err) {
    const struct fed_task_terms *terms = &r->run->terms;
    const struct fed_hygiene no_ceiling = {.norm_rounds = 1}; /* what may change with the task is taken as recorded */
    const struct fed_kernels *kernels = NULL;
    size_t n = r->run->model.n_params;
    int code = fed_trained_kernels(&kernels, r->run, err);
    if (code == FED_OK) {
        code = fed_fixed_init(&r->fixed, terms->max_delta, terms->max_weight, terms->max_updates, err);
    }
    if (code != FED_OK) {
        return code;
    }
    r->hygiene = fed_hygiene_rules(terms, &r->partition, &no_ceiling);
    r->params = calloc(n, sizeof *r->params);
    r->next = calloc(n, sizeof *r->next);
    r->workers = calloc(r->threads, sizeof *r->workers);
    code = r->params != NULL && r->next != NULL && r->workers != NULL ? FED_OK : FED_ENOMEM;
    for (unsigned i = 0; code == FED_OK && i < r->threads; i++) {
        code = make_worker(&r->workers[i], r, kernels);
    }
    if (code != FED_OK) {
        return fed_error_set(err, code, "not enough memory to train a model of %zu parameters with %u threads", n,
                             r->threads);
    }
    return fed_pool_new(&r->pool, "fed-replay", r->threads, err);
}

int fed_replayer_new(struct fed_replayer **out, const struct fed_trained *run, unsigned threads, struct fed_working *working,
                     uint64_t all, struct fed_error *err) {
    struct fed_replayer *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    r->run = run;
    r->threads = threads;
    r->working = working;
    r->all = all;
    int code = load_data(r, err);
    if (code == FED_OK) {
        code = make_rooms(r, err);
    }
    if (code != FED_OK) {
        fed_replayer_free(r);
        return code;
    }
    *out = r;
    return FED_OK;
}

void fed_replayer_free(struct fed_replayer *r) {
    if (r == NULL) {
        return;
    }
    fed_pool_free(r->pool);
    for (unsigned i = 0; r->workers != NULL && i < r->threads; i++) {
        fed_trainer_free(r->workers[i].trainer);
        fed_aggregate_fini(&r->workers[i].sum);
        free(r->workers[i].delta);
        free(r->workers[i].shard);
    }
    free(r->workers);
    free(r->params);
    free(r->next);
    fed_admitted_fini(&r->admitted);
    fed_partition_fini(&r->partition);
    fed_dataset_fini(&r->train);
    free(r);
}

const float *fed_replayer_model(const struct fed_replayer *r) { return r->params; }

void fed_replayer_set(struct fed_replayer *r, const float *params) {
    memcpy(r->params, params, r->run->model.n_params * sizeof *params);
}

uint64_t fed_replayer_updates(const struct fed_replayer *r) { return r->n_computed; }

/* -- training ---------------------------------------------------------------------------------------------------------- */

static void train(struct worker *worker, struct fed_admitted_update *update) {
    struct fed_replayer *r = worker->replayer;
    const struct fed_task_terms *task = &r->run->terms;
    size_t n = r->run->model.n_params;
    uint32_t client = (uint32_t)update->client;
    uint64_t round = r->row->round;
    float rate = fed_task_learning_rate(task->learning_rate, task->learning_rate_decay, round);
    const struct fed_sgd_terms terms = {.seed = task->seed,
                                        .round = round,
                                        .client = client,
                                        .epochs = task->epochs,
                                        .batch_size = task->batch_size,
                                        .sgd = {.learning_rate = rate,
                                                .momentum = (float)task->sgd.momentum,
                                                .weight_decay = (float)task->sgd.weight_decay}};
    struct fed_sgd_report report;
    fed_partition_rows(&r->partition, client, worker->shard);
    int code = fed_local_sgd(worker->trainer, worker->delta, &report, r->params, &r->train, worker->shard,
                             fed_partition_size(&r->partition, client), &terms, NULL);
    update->norm = fed_norm(worker->delta, n);
    update->beyond = code != FED_OK || fed_fixed_check(&r->fixed, worker->delta, n) < n;
    if (!update->beyond) {
        float scale = fed_norm_clip_scale(update->norm, fed_admitted_or_0(r->row->clip));
        fed_aggregate_add(&worker->sum, worker->delta, 0, n, update->weight, scale);
        fed_aggregate_count(&worker->sum, update->weight, 1);
    }
}

static void take_updates(struct fed_job *job) {
    struct worker *worker = (struct worker *)(void *)job;
    struct fed_replayer *r = worker->replayer;
    fed_aggregate_clear(&worker->sum);
    for (size_t i; (i = atomic_fetch_add(&r->taken, 1)) < r->admitted.n;) {
        train(worker, &r->admitted.updates[r->admitted.order[i]]);
    }
}

static void train_all(struct fed_replayer *r) {
    atomic_store(&r->taken, 0);
    for (unsigned i = 0; i < r->threads; i++) {
        r->workers[i].job.run = take_updates;
        fed_pool_submit(r->pool, &r->workers[i].job);
    }
    fed_working_wait(r->working, r->pool, r->threads, &r->taken, r->n_computed, r->all);
    r->n_computed += r->admitted.n;
}

/* -- a round ----------------------------------------------------------------------------------------------------------- */

static int take_mean(struct fed_replayer *r, struct fed_error *err) {
    struct fed_aggregate *sum = &r->workers[0].sum;
    for (unsigned i = 1; i < r->threads; i++) {
        const struct fed_aggregate *part = &r->workers[i].sum;
        if (part->n_updates > 0) {
            fed_aggregate_add_sum(sum, part->sum, 0, part->n_params);
            fed_aggregate_count(sum, part->total_weight, part->n_updates);
        }
    }
    if (fed_aggregate_mean(sum, r->next, r->params) < sum->n_params) {
        return fed_error_set(err, FED_EDIFFERS, "round %" PRIu64 ": the mean of its admitted set is not finite",
                             r->row->round);
    }
    float *old = r->params;
    r->params = r->next;
    r->next = old;
    return FED_OK;
}

int fed_replayer_initial(struct fed_replayer *r, struct fed_error *err) {
    const struct fed_task_terms *terms = &r->run->terms;
    const char *path = r->run->files.initial;
    if (!terms->has_initial) {
        fed_model_initial(r->params, &r->run->model, terms->seed);
        return FED_OK;
    }
    if (path == NULL) {
        return fed_error_set(err, FED_ECONFIG, "%s: it began from a file: --set model.initial=FILE, or --task",
                             r->run->path);
    }
    int code = fed_import_read(r->params, path, &r->run->model, err);
    uint8_t digest[FED_DIGEST_BYTES];
    if (code == FED_OK) {
        fed_model_digest(digest, &r->run->model, r->params);
    }
    if (code == FED_OK && memcmp(digest, terms->initial_digest, sizeof digest) != 0) {
        code = fed_error_set(err, FED_EDATA, "%s: not the parameters that the run began from", path);
    }
    return code;
}

int fed_replayer_round(struct fed_replayer *r, const struct fed_store_round *row, const struct fed_store_round *before,
                       struct fed_error *err) {
    r->row = row;
    int code = fed_admitted_check_rules(&r->admitted, r->run->store, &r->hygiene, row, before, err);
    if (code == FED_OK) {
        code = fed_admitted_read(&r->admitted, r->run->store, row->round, err);
    }
    if (code == FED_OK) {
        code = fed_admitted_check(&r->admitted, &r->partition, row, err);
    }
    if (code == FED_OK && r->admitted.n > r->fixed.max_updates) {
        code = fed_error_set(err, FED_EDIFFERS, "round %" PRIu64 ": more updates than the run can add", row->round);
    }
    if (code != FED_OK) {
        return code;
    }
    train_all(r);
    code = fed_dataset_check_unchanged(&r->train, err);
    if (code == FED_OK) {
        code = fed_admitted_check_trained(&r->admitted, row, err);
    }
    if (code == FED_OK) {
        code = take_mean(r, err);
    }
    return code == FED_OK ? fed_replayer_compare(r, row, err) : code;
}

int fed_replayer_compare(const struct fed_replayer *r, const struct fed_store_round *row, struct fed_error *err) {
    uint8_t digest[FED_DIGEST_BYTES];
    char found[FED_DIGEST_HEX], recorded[FED_DIGEST_HEX];
    fed_model_digest(digest, &r->run->model, r->params);
    if (memcmp(digest, row->model_digest, sizeof digest) == 0) {
        return FED_OK;
    }
    fed_hex(found, digest, sizeof digest);
    fed_hex(recorded, row->model_digest, sizeof row->model_digest);
    return fed_error_set(err, FED_EDIFFERS, "round %" PRIu64 ": it comes out as model %.16s, but %.16s is recorded",
                         row->round, found, recorded);
}
