/* The life of a host and its task; its updates are in host_updates.c, its training in host_train.c. */
#include "client/host_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/busy.h"
#include "common/base/log.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/numeric/blas.h"
#include "common/numeric/kernels.h"

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
    fed_host_items_init(host);
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

int fed_host_check_data(const struct fed_host *host, struct fed_error *err) {
    return host->has_data ? fed_dataset_check_unchanged(&host->dataset, err) : FED_OK;
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

static void stop_everything(struct fed_host *host) {
    fed_host_end(host, false);
    fed_image_release(host->image);
    host->image = NULL;
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
    while (fed_host_training(host)) { /* another run's task: its training has been told to stop */
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

int fed_host_fd(const struct fed_host *host) { return fed_pool_fd(host->pool); }

void fed_host_free(struct fed_host *host) {
    if (host == NULL) {
        return;
    }
    for (uint32_t i = 0; host->trainings != NULL && i < host->config->workers; i++) {
        atomic_store(&host->trainings[i].cancel, true);
    }
    fed_pool_free(host->pool);
    fed_host_end(host, false);
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
