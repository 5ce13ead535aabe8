#include "client/host.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/busy.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/pool.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/numeric/blas.h"
#include "common/numeric/kernels.h"
#include "common/numeric/norm.h"

#define NICENESS 10 /* of training: the owner's own work comes first, and so do messages */

/* One client's update: wanted, being made, or made. What is wanted and not being made stands in one of two queues: to be
 * trained, or to be reported. */
struct update {
    struct update *next;      /* of all, in the order asked for */
    struct update *in_bucket; /* of the same hash */
    struct update *in_queue;
    uint64_t client;
    bool wanted; /* asked for in this attempt and not yet reported */
    bool training;
    bool made;
    float *delta; /* NULL when it was given up to save memory */
    double norm;
    struct fed_sgd_report report;
    double seconds;
};

struct queue {
    struct update *first, **last; /* last: where the next one goes */
};

/* All updates, found by client in a step or two however many there are. */
struct updates {
    struct update *first, **last;
    struct update **buckets; /* (n_buckets, a power of two), owned */
    size_t n, n_buckets;
};

struct training {
    struct fed_job job; /* first */
    struct fed_host *host;
    struct fed_trainer *trainer; /* owned; NULL with a hook */
    uint32_t *shard;             /* owned: room for the largest */
    bool busy;
    struct update *update;   /* NULL: its result is not wanted any more */
    struct fed_image *image; /* held while busy */
    uint64_t client;
    float *delta; /* owned while busy */
    double norm;
    struct fed_sgd_terms terms;
    struct fed_sgd_report report;
    uint64_t started_us;
    double seconds;
    atomic_bool cancel;
    int rc;
};

struct fed_host {
    const struct fed_client_config *config;
    struct fed_host_hook hook;
    bool has_hook, no_blas;
    const struct fed_log_sink *log; /* borrowed: of the thread that made it */
    const struct fed_kernels *kernels;
    struct fed_dataset dataset;
    bool has_data;
    struct fed_partition partition;
    bool has_task;
    struct fed_task_terms terms;
    struct fed_model model;
    struct fed_pool *pool;
    struct training *trainings; /* (workers) */
    struct fed_image *image;    /* held: what is trained from */
    float learning_rate;
    struct updates updates;
    struct queue to_train, to_report;
    struct fed_host_update failed; /* reported by the next fed_host_finished; client = what failed, rc != 0 */
    size_t kept_bytes;
};

/* -- queues ------------------------------------------------------------------------------------------------------------ */

static void queue_clear(struct queue *queue) { *queue = (struct queue){.first = NULL, .last = &queue->first}; }

static void queue_push(struct queue *queue, struct update *u) {
    u->in_queue = NULL;
    *queue->last = u;
    queue->last = &u->in_queue;
}

static struct update *queue_pop(struct queue *queue) {
    struct update *u = queue->first;
    if (u != NULL && (queue->first = u->in_queue) == NULL) {
        queue->last = &queue->first;
    }
    return u;
}

/* -- start ------------------------------------------------------------------------------------------------------------- */

static int load_data(struct fed_host *host, struct fed_error *err) {
    const struct fed_client_config *config = host->config;
    int rc = fed_dataset_load(&host->dataset, &config->data, FED_DATA_TRAIN, err);
    if (rc != FED_OK) {
        return rc;
    }
    host->has_data = true;
    if (host->dataset.n_dropped > 0 || host->dataset.n_too_short > 0) {
        FED_INFO("data", "left out", FED_U64("characters", host->dataset.n_dropped),
                 FED_U64("roles_too_short", host->dataset.n_too_short));
    }
    rc = fed_partition_make(&host->partition, &host->dataset, &config->partition, config->seed, err);
    if (rc != FED_OK) {
        return rc;
    }
    bool split = config->partition.kind != FED_PARTITION_NONE;
    uint32_t n_clients = host->partition.n_clients;
    if (split && config->first_client + config->n_clients > n_clients) {
        return fed_error_set(err, FED_ECONFIG, "%s: clients: hosts up to client %llu, but data.partition has %u clients",
                             config->path, (unsigned long long)(config->first_client + config->n_clients - 1), n_clients);
    }
    if (!split && config->n_clients != 1) {
        return fed_error_set(err, FED_ECONFIG,
                             "%s: clients.count: found %llu, but without data.partition the file is one client's",
                             config->path, (unsigned long long)config->n_clients);
    }
    return FED_OK;
}

/* Who waits is told what for. */
static int wait_for_data(struct fed_host *host, struct fed_error *err) {
    const struct fed_client_config *config = host->config;
    if (!fed_data_source_has_train(&config->data)) {
        return host->has_hook
                   ? FED_OK
                   : fed_error_set(err, FED_ECONFIG, "%s: data.train: a client needs data to train on", config->path);
    }
    struct fed_busy *busy = fed_busy_log("data", "reading %s", fed_data_source_train_path(&config->data));
    int rc = load_data(host, err);
    fed_busy_end(busy);
    return rc;
}

int fed_host_new(struct fed_host **out, const struct fed_client_config *config, const struct fed_host_hook *hook,
                 struct fed_error *err) {
    struct fed_host *host = calloc(1, sizeof *host);
    if (host == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    host->config = config;
    host->log = fed_log_redirect(NULL);
    fed_log_redirect(host->log);
    host->updates.last = &host->updates.first;
    queue_clear(&host->to_train);
    queue_clear(&host->to_report);
    host->has_hook = hook != NULL;
    if (hook != NULL) {
        host->hook = *hook;
    }
    int rc = fed_kernels_choose(&host->kernels, err);
    if (rc == FED_OK) {
        rc = wait_for_data(host, err);
    }
    if (rc == FED_OK && (host->trainings = calloc(config->workers, sizeof *host->trainings)) == NULL) {
        rc = fed_error_set(err, FED_ENOMEM, "not enough memory for %u workers", config->workers);
    }
    if (rc == FED_OK) {
        rc = fed_pool_new(&host->pool, "fed-train", config->workers, err);
    }
    if (rc != FED_OK) {
        fed_host_free(host);
        return rc;
    }
    for (uint32_t i = 0; i < config->workers; i++) {
        host->trainings[i].host = host;
    }
    *out = host;
    return FED_OK;
}

const uint8_t *fed_host_partition_digest(const struct fed_host *host) {
    return host->has_data && host->config->partition.kind != FED_PARTITION_NONE ? host->partition.digest : NULL;
}

void fed_host_forbid_blas(struct fed_host *host) { host->no_blas = true; }

const char *fed_host_kernels(const struct fed_host *host) { return host->kernels->name; }

const char *fed_host_family(const struct fed_host *host) {
    return !host->has_task ? "" : fed_math_name(strcmp(host->kernels->name, "blas") == 0 ? FED_MATH_BLAS : FED_MATH_EXACT);
}

const struct fed_model *fed_host_model(const struct fed_host *host) { return &host->model; }

struct fed_image *fed_host_image(const struct fed_host *host) {
    return host->image;
}

/* -- the task ---------------------------------------------------------------------------------------------------------- */

static enum fed_limit check_limits(const struct fed_host *host, const struct fed_task_terms *terms,
                                   const struct fed_model *model, size_t rows, struct fed_error *err) {
    const struct fed_limits *limits = &host->config->limits;
    uint64_t model_bytes = (uint64_t)model->n_params * sizeof(float);
    enum fed_network_use use = terms->sgd.momentum > 0 ? FED_NETWORK_MOMENTUM : FED_NETWORK_TRAIN;
    /* Per worker: a network and an update; and once: the model file, a sum. A model has at most 2^37 bytes, a client file at
     * most 1024 workers, so only the network can wrap. */
    uint64_t need;
    if (__builtin_mul_overflow((uint64_t)host->config->workers, fed_network_bytes(model, rows, use), &need) ||
        need > UINT64_MAX / 2) {
        need = UINT64_MAX / 2;
    }
    need += (3 + host->config->workers) * model_bytes;
    if (model_bytes > limits->max_model_mb << 20) {
        fed_error_set(err, FED_ECONFIG, "the task's model has %llu bytes, more than limits.max_model_mb: %llu",
                      (unsigned long long)model_bytes, (unsigned long long)limits->max_model_mb);
        return FED_LIMIT_MODEL;
    }
    if (terms->epochs > limits->max_epochs) {
        fed_error_set(err, FED_ECONFIG, "the task asks for %u epochs, more than limits.max_epochs: %llu", terms->epochs,
                      (unsigned long long)limits->max_epochs);
        return FED_LIMIT_EPOCHS;
    }
    if (need > limits->memory_mb << 20) {
        fed_error_set(err, FED_ECONFIG, "the task needs about %llu MB, more than limits.memory_mb: %llu",
                      (unsigned long long)(need >> 20) + 1, (unsigned long long)limits->memory_mb);
        return FED_LIMIT_MEMORY;
    }
    return FED_LIMIT_NONE;
}

static void stop_everything(struct fed_host *host);

static int choose_kernels(struct fed_host *host, enum fed_math math, struct fed_error *err) {
    struct fed_error why = {"this program does not allow it"};
    if (math == FED_MATH_BLAS && !host->no_blas && fed_blas_kernels(&host->kernels, &why) == FED_OK) {
        FED_INFO("host", "trains with OpenBLAS", FED_STR("core", fed_blas_core()));
        return FED_OK;
    }
    if (math == FED_MATH_BLAS) {
        FED_WARN("host", "trains in exact arithmetic, not with OpenBLAS as the task asks", FED_STR("why", why.text));
    }
    return fed_kernels_choose(&host->kernels, err);
}

static int make_trainers(struct fed_host *host, size_t rows, size_t largest, bool momentum, struct fed_error *err) {
    for (uint32_t i = 0; i < host->config->workers && !host->has_hook; i++) {
        fed_trainer_free(host->trainings[i].trainer);
        free(host->trainings[i].shard);
        host->trainings[i].trainer = NULL;
        host->trainings[i].shard = calloc(largest, sizeof *host->trainings[i].shard);
        if (host->trainings[i].shard == NULL ||
            fed_trainer_new(&host->trainings[i].trainer, &host->model, host->kernels, rows, largest, momentum) != FED_OK) {
            return fed_error_set(err, FED_ENOMEM, "not enough memory to train this model");
        }
    }
    return FED_OK;
}

static bool any_busy(const struct fed_host *host) {
    for (uint32_t i = 0; i < host->config->workers; i++) {
        if (host->trainings[i].busy) {
            return true;
        }
    }
    return false;
}

/* By their text: the bytes of a struct also say what lies between its members. */
static bool same_terms(const struct fed_task_terms *a, const struct fed_task_terms *b) {
    char *text_a = NULL, *text_b = NULL;
    bool same = fed_task_terms_encode(&text_a, a) == FED_OK && fed_task_terms_encode(&text_b, b) == FED_OK &&
                strcmp(text_a, text_b) == 0;
    free(text_a);
    free(text_b);
    return same;
}

int fed_host_set_task(struct fed_host *host, const struct fed_task_terms *terms, enum fed_limit *broken,
                      struct fed_error *err) {
    if (host->has_task && same_terms(&host->terms, terms)) {
        return FED_OK;
    }
    struct fed_model model;
    int rc = fed_model_init(&model, &terms->model, err);
    size_t largest = host->has_data ? fed_partition_largest(&host->partition) : 1;
    size_t rows = fed_local_sgd_rows(terms->batch_size, largest);
    if (rc == FED_OK) {
        enum fed_limit limit = check_limits(host, terms, &model, rows, err);
        if (broken != NULL) {
            *broken = limit;
        }
        rc = limit == FED_LIMIT_NONE ? FED_OK : FED_ECONFIG;
    }
    if (rc != FED_OK) {
        return rc;
    }
    stop_everything(host);
    while (any_busy(host)) { /* another run's task: its training has been told to stop */
        struct pollfd ready = {.fd = fed_pool_fd(host->pool), .events = POLLIN};
        struct fed_host_update ignored;
        poll(&ready, 1, 100);
        fed_host_finished(host, &ignored);
    }
    host->model = model;
    host->has_task = false;
    rc = host->has_data ? fed_dataset_fit(&host->dataset, &model, err) : FED_OK; /* nobody reads the data now */
    if (rc == FED_OK) {
        rc = choose_kernels(host, terms->math, err);
    }
    if (rc == FED_OK) {
        rc = make_trainers(host, rows, largest, terms->sgd.momentum > 0, err);
    }
    if (rc == FED_OK) {
        host->terms = *terms;
        host->has_task = true;
    }
    return rc;
}

/* -- updates ----------------------------------------------------------------------------------------------------------- */

static struct update **bucket_of(const struct updates *all, uint64_t client) {
    return &all->buckets[(client * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (all->n_buckets - 1)];
}

static struct update *find_update(const struct fed_host *host, uint64_t client) {
    const struct updates *all = &host->updates;
    struct update *u = all->n == 0 ? NULL : *bucket_of(all, client);
    while (u != NULL && u->client != client) {
        u = u->in_bucket;
    }
    return u;
}

static void put_in_bucket(struct updates *all, struct update *u) {
    struct update **bucket = bucket_of(all, u->client);
    u->in_bucket = *bucket;
    *bucket = u;
}

static int reserve_buckets(struct updates *all) {
    if (all->n < all->n_buckets) {
        return FED_OK;
    }
    size_t n = all->n_buckets == 0 ? 16 : 2 * all->n_buckets;
    struct update **buckets = calloc(n, sizeof *buckets);
    if (buckets == NULL) {
        return FED_ENOMEM;
    }
    free(all->buckets);
    all->buckets = buckets;
    all->n_buckets = n;
    for (struct update *u = all->first; u != NULL; u = u->next) {
        put_in_bucket(all, u);
    }
    return FED_OK;
}

/* There is a bucket for it. */
static void append(struct updates *all, struct update *u) {
    put_in_bucket(all, u);
    *all->last = u;
    all->last = &u->next;
    u->next = NULL;
    all->n++;
}

static int add_update(struct update **out, struct updates *all, uint64_t client) {
    struct update *u = reserve_buckets(all) == FED_OK ? calloc(1, sizeof *u) : NULL;
    if (u == NULL) {
        return FED_ENOMEM;
    }
    u->client = client;
    append(all, u);
    *out = u;
    return FED_OK;
}

static void forget_delta(struct fed_host *host, struct update *u) {
    if (u->delta != NULL) {
        host->kept_bytes -= host->model.n_params * sizeof(float);
        free(u->delta);
        u->delta = NULL;
    }
    u->made = false;
}

static void stop_training_of(struct fed_host *host, const struct update *u) {
    for (uint32_t i = 0; i < host->config->workers; i++) {
        if (host->trainings[i].busy && host->trainings[i].update == u) {
            atomic_store(&host->trainings[i].cancel, true);
            host->trainings[i].update = NULL;
        }
    }
}

/* Nothing is wanted afterwards, so both queues are empty. */
static void drop_updates(struct fed_host *host, bool keep) {
    struct updates *all = &host->updates;
    struct update *u = all->first;
    queue_clear(&host->to_train);
    queue_clear(&host->to_report);
    *all = (struct updates){.last = &all->first, .buckets = all->buckets, .n_buckets = all->n_buckets};
    if (all->buckets != NULL) {
        memset(all->buckets, 0, all->n_buckets * sizeof *all->buckets);
    }
    for (struct update *next; u != NULL; u = next) {
        next = u->next;
        u->wanted = false;
        if (keep && (u->made || u->training)) {
            append(all, u);
        } else {
            stop_training_of(host, u);
            forget_delta(host, u);
            free(u);
        }
    }
}

static void stop_everything(struct fed_host *host) {
    drop_updates(host, false);
    fed_image_release(host->image);
    host->image = NULL;
}

void fed_host_begin(struct fed_host *host, struct fed_image *image, float learning_rate) {
    bool same = host->image != NULL && host->image->round == image->round && host->learning_rate == learning_rate &&
                memcmp(host->image->digest, image->digest, sizeof image->digest) == 0;
    drop_updates(host, same);
    if (host->image != image) {
        fed_image_release(host->image);
        host->image = fed_image_hold(image);
    }
    host->learning_rate = learning_rate;
}

void fed_host_end(struct fed_host *host, bool keep) { drop_updates(host, keep); }

int fed_host_train(struct fed_host *host, uint64_t client) {
    if (client < host->config->first_client || client - host->config->first_client >= host->config->n_clients) {
        return FED_ENOTFOUND;
    }
    struct update *u = find_update(host, client);
    if (u == NULL && add_update(&u, &host->updates, client) != FED_OK) {
        return FED_ENOMEM;
    }
    if (!u->wanted && !u->training) {
        queue_push(u->made ? &host->to_report : &host->to_train, u);
    }
    u->wanted = true;
    return FED_OK;
}

void fed_host_release(struct fed_host *host, uint64_t client) {
    struct update *u = find_update(host, client);
    if (u != NULL && !u->wanted && host->kept_bytes > (host->config->limits.memory_mb << 20) / 2) {
        forget_delta(host, u);
    }
}

int fed_host_check_data(const struct fed_host *host, struct fed_error *err) {
    return host->has_data ? fed_dataset_check_unchanged(&host->dataset, err) : FED_OK;
}

/* -- training ---------------------------------------------------------------------------------------------------------- */

static void run_training(struct fed_job *job) {
    struct training *t = (struct training *)(void *)job;
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

static int start_training(struct fed_host *host, struct training *t, struct update *u) {
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
        struct training *t = &host->trainings[i];
        if (t->busy) {
            continue;
        }
        struct update *u = queue_pop(&host->to_train);
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
        struct training *t = &host->trainings[i];
        if (t->busy && t->update != NULL && now - t->started_us > limit) {
            atomic_store(&t->cancel, true);
        }
    }
}

/* Moves a finished training into its update, if somebody still wants it. */
static void settle(struct fed_host *host, struct training *t) {
    struct update *u = t->update;
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
            queue_push(&host->to_report, u);
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
    struct update *u = queue_pop(&host->to_report);
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
        settle(host, (struct training *)(void *)job);
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

int fed_host_fd(const struct fed_host *host) { return fed_pool_fd(host->pool); }

void fed_host_free(struct fed_host *host) {
    if (host == NULL) {
        return;
    }
    for (uint32_t i = 0; host->trainings != NULL && i < host->config->workers; i++) {
        atomic_store(&host->trainings[i].cancel, true);
    }
    fed_pool_free(host->pool);
    drop_updates(host, false);
    free(host->updates.buckets);
    for (uint32_t i = 0; host->trainings != NULL && i < host->config->workers; i++) {
        fed_trainer_free(host->trainings[i].trainer);
        free(host->trainings[i].shard);
        fed_image_release(host->trainings[i].image);
        free(host->trainings[i].delta);
    }
    free(host->trainings);
    fed_image_release(host->image);
    fed_partition_fini(&host->partition);
    fed_dataset_fini(&host->dataset);
    free(host);
}
