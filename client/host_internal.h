/* What the three files of the host share. host.c: its life, its data, its task. host_updates.c: what is wanted and what was
 * made. host_train.c: the workers. */
#ifndef FED_CLIENT_HOST_INTERNAL_H
#define FED_CLIENT_HOST_INTERNAL_H

#include "client/host.h"
#include "common/base/log.h"
#include "common/base/pool.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/numeric/kernels.h"

/* One client's update: wanted, being made, or made. What is wanted and not being made stands in one of two queues: to be
 * trained, or to be reported. */
struct fed_host_item {
    struct fed_host_item *next;      /* of all, in the order asked for */
    struct fed_host_item *in_bucket; /* of the same hash */
    struct fed_host_item *in_queue;
    uint64_t client;
    bool wanted; /* asked for in this attempt and not yet reported */
    bool training;
    bool made;
    float *delta; /* NULL when it was given up to save memory */
    double norm;
    struct fed_sgd_report report;
    double seconds;
};

struct fed_host_queue {
    struct fed_host_item *first, **last; /* last: where the next one goes */
};

/* All updates, found by client in a step or two however many there are. */
struct fed_host_items {
    struct fed_host_item *first, **last;
    struct fed_host_item **buckets; /* (n_buckets, a power of two), owned */
    size_t n, n_buckets;
};

struct fed_host_worker {
    struct fed_job job; /* first */
    struct fed_host *host;
    struct fed_trainer *trainer; /* owned; NULL with a hook */
    uint32_t *shard;             /* owned: room for the largest */
    bool busy;
    struct fed_host_item *update; /* NULL: its result is not wanted any more */
    struct fed_image *image;      /* held while busy */
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
    struct fed_host_worker *trainings; /* (workers) */
    struct fed_image *image;           /* held: what is trained from */
    float learning_rate;
    struct fed_host_items updates;
    struct fed_host_queue to_train, to_report;
    struct fed_host_update failed; /* reported by the next fed_host_finished; client = what failed, rc != 0 */
    size_t kept_bytes;
};

/* -- host_updates.c ----------------------------------------------------------------------------------------------------- */

void fed_host_items_init(struct fed_host *host);
void fed_host_queue_push(struct fed_host_queue *queue, struct fed_host_item *u);
struct fed_host_item *fed_host_queue_pop(struct fed_host_queue *queue); /* NULL: empty */

/* -- host_train.c ------------------------------------------------------------------------------------------------------- */

/* Whoever makes it stops with its next batch; what comes of it is nobody's. */
void fed_host_stop_training(struct fed_host *host, const struct fed_host_item *u);
bool fed_host_training(const struct fed_host *host); /* a worker is at it */

#endif
