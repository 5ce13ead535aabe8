/* Which updates are wanted, and which were made: a table by client and two queues. Belongs to the host's thread. */
#include <stdlib.h>
#include <string.h>

#include "client/host_internal.h"

/* -- queues ------------------------------------------------------------------------------------------------------------ */

static void queue_clear(struct fed_host_queue *queue) {
    *queue = (struct fed_host_queue){.first = NULL, .last = &queue->first};
}

void fed_host_queue_push(struct fed_host_queue *queue, struct fed_host_item *u) {
    u->in_queue = NULL;
    *queue->last = u;
    queue->last = &u->in_queue;
}

struct fed_host_item *fed_host_queue_pop(struct fed_host_queue *queue) {
    struct fed_host_item *u = queue->first;
    if (u != NULL && (queue->first = u->in_queue) == NULL) {
        queue->last = &queue->first;
    }
    return u;
}

/* -- updates ----------------------------------------------------------------------------------------------------------- */

static struct fed_host_item **bucket_of(const struct fed_host_items *all, uint64_t client) {
    return &all->buckets[(client * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (all->n_buckets - 1)];
}

static struct fed_host_item *find_update(const struct fed_host *host, uint64_t client) {
    const struct fed_host_items *all = &host->updates;
    struct fed_host_item *u = all->n == 0 ? NULL : *bucket_of(all, client);
    while (u != NULL && u->client != client) {
        u = u->in_bucket;
    }
    return u;
}

static void put_in_bucket(struct fed_host_items *all, struct fed_host_item *u) {
    struct fed_host_item **bucket = bucket_of(all, u->client);
    u->in_bucket = *bucket;
    *bucket = u;
}

static int reserve_buckets(struct fed_host_items *all) {
    if (all->n < all->n_buckets) {
        return FED_OK;
    }
    size_t n = all->n_buckets == 0 ? 16 : 2 * all->n_buckets;
    struct fed_host_item **buckets = calloc(n, sizeof *buckets);
    if (buckets == NULL) {
        return FED_ENOMEM;
    }
    free(all->buckets);
    all->buckets = buckets;
    all->n_buckets = n;
    for (struct fed_host_item *u = all->first; u != NULL; u = u->next) {
        put_in_bucket(all, u);
    }
    return FED_OK;
}

/* There is a bucket for it. */
static void append(struct fed_host_items *all, struct fed_host_item *u) {
    put_in_bucket(all, u);
    *all->last = u;
    all->last = &u->next;
    u->next = NULL;
    all->n++;
}

static int add_update(struct fed_host_item **out, struct fed_host_items *all, uint64_t client) {
    struct fed_host_item *u = reserve_buckets(all) == FED_OK ? calloc(1, sizeof *u) : NULL;
    if (u == NULL) {
        return FED_ENOMEM;
    }
    u->client = client;
    append(all, u);
    *out = u;
    return FED_OK;
}

static void forget_delta(struct fed_host *host, struct fed_host_item *u) {
    if (u->delta != NULL) {
        host->kept_bytes -= host->model.n_params * sizeof(float);
        free(u->delta);
        u->delta = NULL;
    }
    u->made = false;
}

/* Nothing is wanted afterwards, so both queues are empty. */
static void drop_updates(struct fed_host *host, bool keep) {
    struct fed_host_items *all = &host->updates;
    struct fed_host_item *u = all->first;
    queue_clear(&host->to_train);
    queue_clear(&host->to_report);
    *all = (struct fed_host_items){.last = &all->first, .buckets = all->buckets, .n_buckets = all->n_buckets};
    if (all->buckets != NULL) {
        memset(all->buckets, 0, all->n_buckets * sizeof *all->buckets);
    }
    for (struct fed_host_item *next; u != NULL; u = next) {
        next = u->next;
        u->wanted = false;
        if (keep && (u->made || u->training)) {
            append(all, u);
        } else {
            fed_host_stop_training(host, u);
            forget_delta(host, u);
            free(u);
        }
    }
}

void fed_host_items_init(struct fed_host *host) {
    host->updates.last = &host->updates.first;
    queue_clear(&host->to_train);
    queue_clear(&host->to_report);
}

/* -- what is wanted ----------------------------------------------------------------------------------------------------- */

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
    struct fed_host_item *u = find_update(host, client);
    if (u == NULL && add_update(&u, &host->updates, client) != FED_OK) {
        return FED_ENOMEM;
    }
    if (!u->wanted && !u->training) {
        fed_host_queue_push(u->made ? &host->to_report : &host->to_train, u);
    }
    u->wanted = true;
    return FED_OK;
}

void fed_host_release(struct fed_host *host, uint64_t client) {
    struct fed_host_item *u = find_update(host, client);
    if (u != NULL && !u->wanted && host->kept_bytes > (host->config->limits.memory_mb << 20) / 2) {
        forget_delta(host, u);
    }
}
