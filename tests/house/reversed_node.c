/* A node that answers in reverse: reversed_node CLIENT.yaml TASK.yaml. It trains like any node, but lets no client's update
 * go before the update of every higher client of the round was fetched. For tasks in which every client takes part in
 * every round, with a worker a client. It leaves only by a signal.
 *
 * What was fetched is read from the node's own sent.log, which has a line for each update before its first byte leaves. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "client/host.h"
#include "client/session.h"
#include "common/base/file.h"
#include "common/config/task.h"
#include "common/numeric/kernels.h"
#include "common/seal/key_file.h"

#define LOG_MOST ((size_t)1 << 20)

struct reversed {
    const struct fed_client_config *config;
    const struct fed_task *task;
    const struct fed_kernels *kernels;
    struct fed_model model;
    struct fed_dataset dataset;
    struct fed_partition partition;
    int inotify_fd;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t *rounds; /* (clients) that each was trained in */
    uint64_t trained; /* updates of all rounds */
    uint64_t fetched;
};

static uint64_t count_lines(const struct reversed *r) {
    char *path = NULL;
    uint8_t *text = NULL;
    size_t n = 0;
    uint64_t lines = 0;
    if (fed_path_join(&path, r->config->state_dir, "sent.log") == FED_OK &&
        fed_file_read(&text, &n, path, LOG_MOST, NULL) == FED_OK) {
        for (size_t i = 0; i < n; i++) {
            lines += text[i] == '\n';
        }
    }
    free(text);
    free(path);
    return lines;
}

static void *watch(void *context) {
    struct reversed *r = context;
    char events[4096];
    while (read(r->inotify_fd, events, sizeof events) > 0) {
        uint64_t fetched = count_lines(r);
        pthread_mutex_lock(&r->mutex);
        if (fetched > r->fetched && fetched % r->config->n_clients == 0) {
            fprintf(stderr, "reversed %llu rounds\n", (unsigned long long)(fetched / r->config->n_clients));
        }
        r->fetched = fetched > r->fetched ? fetched : r->fetched;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->mutex);
    }
    return NULL;
}

static int train_one(struct reversed *r, float *delta, struct fed_sgd_report *report, const float *params, uint64_t client,
                     const atomic_bool *cancel) {
    const struct fed_algorithm *algorithm = &r->task->algorithm;
    struct fed_sgd_terms terms = {.seed = r->task->seed,
                                  .round = r->rounds[client],
                                  .client = client,
                                  .epochs = algorithm->epochs,
                                  .batch_size = algorithm->batch_size,
                                  .sgd = {.learning_rate = (float)algorithm->learning_rate}};
    size_t n = fed_partition_size(&r->partition, (uint32_t)client), largest = fed_partition_largest(&r->partition);
    uint32_t *shard = calloc(n, sizeof *shard);
    struct fed_trainer *trainer = NULL;
    int rc = shard == NULL ? FED_ENOMEM
                           : fed_trainer_new(&trainer, &r->model, r->kernels, fed_local_sgd_rows(terms.batch_size, largest),
                                             largest, false);
    if (rc == FED_OK) {
        fed_partition_rows(&r->partition, (uint32_t)client, shard);
        rc = fed_local_sgd(trainer, delta, report, params, &r->dataset, shard, n, &terms, cancel);
    }
    fed_trainer_free(trainer);
    free(shard);
    return rc;
}

static int train(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                 uint64_t client, const atomic_bool *cancel) {
    struct reversed *r = context;
    uint64_t clients = r->config->n_clients;
    (void)n_params;
    uint64_t round = ++r->rounds[client];
    int rc = train_one(r, delta, report, params, client, cancel);
    pthread_mutex_lock(&r->mutex);
    r->trained++;
    pthread_cond_broadcast(&r->changed);
    uint64_t before = (round - 1) * clients + (clients - 1 - client);
    while (r->trained < round * clients || r->fetched < before) {
        pthread_cond_wait(&r->changed, &r->mutex);
    }
    pthread_mutex_unlock(&r->mutex);
    return rc;
}

static int prepare(struct reversed *r, struct fed_error *err) {
    const struct fed_task *task = r->task;
    int rc = fed_kernels_choose(&r->kernels, err);
    if (rc == FED_OK) {
        rc = fed_model_init(&r->model, &task->model, err);
    }
    if (rc == FED_OK) {
        rc = fed_dataset_load(&r->dataset, &task->data, FED_DATA_TRAIN, err);
    }
    if (rc == FED_OK) {
        rc = fed_dataset_fit(&r->dataset, &r->model, err);
    }
    if (rc == FED_OK) {
        rc = fed_partition_make(&r->partition, &r->dataset, &task->partition, task->seed, err);
    }
    if (rc == FED_OK) {
        rc = fed_file_make_dirs(r->config->state_dir, err);
    }
    r->rounds = calloc(r->config->n_clients, sizeof *r->rounds);
    r->inotify_fd = inotify_init1(IN_CLOEXEC);
    pthread_t watcher;
    bool watches = rc == FED_OK && r->rounds != NULL && r->inotify_fd >= 0 &&
                   inotify_add_watch(r->inotify_fd, r->config->state_dir, IN_MODIFY) >= 0 &&
                   pthread_create(&watcher, NULL, watch, r) == 0;
    return watches || rc != FED_OK ? rc : fed_error_set(err, FED_EFAILED, "sent.log cannot be watched");
}

static int run(const char *client_path, const char *task_path, struct fed_error *err) {
    struct fed_client_config config = {0};
    struct fed_task task = {0};
    struct fed_identity identity = {0};
    struct reversed r = {
        .config = &config, .task = &task, .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct fed_host_hook hook = {&r, train};
    struct fed_session_options options = {.stop_fd = -1};
    struct fed_link *link = NULL;
    struct fed_host *host = NULL;
    struct fed_session *session = NULL;
    int rc = fed_seal_setup(err);
    if (rc == FED_OK) {
        rc = fed_client_config_load(&config, client_path, NULL, 0, err);
    }
    if (rc == FED_OK) {
        rc = fed_task_load(&task, task_path, NULL, 0, err);
    }
    if (rc == FED_OK) {
        rc = prepare(&r, err);
    }
    if (rc == FED_OK) {
        rc = fed_identity_load(&identity, config.key, err);
    }
    if (rc == FED_OK) {
        rc = fed_host_new(&host, &config, &hook, err);
    }
    if (rc == FED_OK) {
        rc = fed_link_new(&link, 1, 16, NULL, err);
    }
    if (rc == FED_OK) {
        rc = fed_session_new(&session, link, host, &identity, &config, &options, err);
    }
    return rc == FED_OK ? fed_session_run(session, err) : rc;
}

int main(int argc, char **argv) {
    struct fed_error err = {""};
    int rc = argc == 3 ? run(argv[1], argv[2], &err) : fed_error_set(&err, FED_ECONFIG, "usage: CLIENT.yaml TASK.yaml");
    fprintf(stderr, "reversed_node: %s\n", err.text);
    return fed_status_exit_code(rc);
}
