/* Recomputes a run from what its database says of it, and nothing else: for each committed round the clients that were
 * admitted are trained from the model before it, their updates are added, and the mean must have the digest that stands in
 * the database. Whatever was killed, lost, repeated or refused on the way, a run that passes is what its admitted sets say.
 *
 *     replay_run TASK.yaml RUN_DIR
 *
 * The task is that of a simulation: it names the training data and their split. Prints the last round and its digest; exit
 * status 1 and a sentence where the run is not what it says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/local_sgd.h"
#include "common/base/file.h"
#include "common/config/task.h"
#include "common/config/terms.h"
#include "common/data/partition.h"
#include "common/numeric/kernels.h"
#include "common/numeric/norm.h"
#include "common/seal/digest.h"
#include "coordinator/aggregate.h"
#include "coordinator/sql.h"

enum statement { SELECT_TERMS, SELECT_ROUNDS, SELECT_UPDATES, N_STATEMENTS };
static const char *const SQL[N_STATEMENTS] = {
    [SELECT_TERMS] = "SELECT task_terms FROM meta",
    [SELECT_ROUNDS] = "SELECT round, model, clients, weight, clip, weight_cap FROM rounds ORDER BY round",
    [SELECT_UPDATES] = "SELECT client, weight, norm FROM updates WHERE round = ? ORDER BY client DESC",
};

struct replay {
    struct fed_task task;
    struct fed_task_terms terms; /* as the run has them */
    struct fed_sql *sql;
    struct fed_model model;
    struct fed_dataset train;
    struct fed_partition partition;
    struct fed_fixed fixed;
    struct fed_aggregate aggregate;
    struct fed_trainer *trainer;
    uint32_t *shard;
    float *params, *next, *delta; /* (n_params) */
    uint64_t rounds, clients;     /* replayed */
    double clip;                  /* of the round at hand; 0 = none */
    uint64_t weight_cap;
    struct fed_error err;
};

static void fail(const struct replay *r) {
    fprintf(stderr, "replay_run: %s\n", r->err.text);
    exit(1);
}

static void must(struct replay *r, int rc, const char *what) {
    if (rc != FED_OK) {
        if (r->err.text[0] == '\0') {
            fed_error_set(&r->err, rc, "%s: %s", what, fed_status_text(rc));
        }
        fail(r);
    }
}

static void open_run(struct replay *r, const char *dir) {
    char *path = NULL;
    must(r, fed_path_join(&path, dir, "run.db"), "path");
    must(r, fed_sql_open_readonly(&r->sql, path, SQL, N_STATEMENTS, &r->err), "run.db");
    free(path);
    struct fed_query q = fed_sql_query(r->sql, SELECT_TERMS);
    const char *text = fed_query_row(&q) ? fed_query_text(&q, 0) : NULL;
    int rc = text != NULL ? fed_task_terms_decode(&r->terms, text, strlen(text), &r->err) : FED_ENOTFOUND;
    must(r, rc, "the terms of the run");
    must(r, fed_query_finish(&q, FED_OK, "read the terms", &r->err), "terms");
}

static void load_data(struct replay *r) {
    must(r, fed_model_init(&r->model, &r->terms.model, &r->err), "model");
    must(r, fed_dataset_load(&r->train, &r->task.data, FED_DATA_TRAIN, &r->err), "data");
    must(r, fed_dataset_fit(&r->train, &r->model, &r->err), "data");
    must(r, fed_partition_make(&r->partition, &r->train, &r->task.partition, r->terms.seed, &r->err), "partition");
    if (memcmp(r->partition.digest, r->terms.partition_digest, sizeof r->terms.partition_digest) != 0) {
        fed_error_set(&r->err, FED_EDATA, "the data or their split are not those of the run");
        fail(r);
    }
}

static void make_rooms(struct replay *r) {
    const struct fed_task_terms *terms = &r->terms;
    const struct fed_kernels *kernels = NULL;
    size_t largest = fed_partition_largest(&r->partition), n = r->model.n_params;
    must(r, fed_kernels_choose(&kernels, &r->err), "kernels");
    must(r, fed_fixed_init(&r->fixed, terms->max_delta, terms->max_weight, terms->max_updates, &r->err), "caps");
    must(r, fed_aggregate_init(&r->aggregate, &r->fixed, n), "sum");
    must(r,
         fed_trainer_new(&r->trainer, &r->model, kernels, fed_local_sgd_rows(terms->batch_size, largest), largest,
                         terms->sgd.momentum > 0),
         "trainer");
    r->shard = calloc(largest, sizeof *r->shard);
    r->params = calloc(n, sizeof *r->params);
    r->next = calloc(n, sizeof *r->next);
    r->delta = calloc(n, sizeof *r->delta);
    must(r, r->shard != NULL && r->params != NULL && r->next != NULL && r->delta != NULL ? FED_OK : FED_ENOMEM, "memory");
}

static float rate_of(const struct fed_task_terms *terms, uint64_t round) {
    double rate = terms->learning_rate;
    for (uint64_t r = 1; r < round; r++) {
        rate *= terms->learning_rate_decay;
    }
    return (float)rate;
}

/* What a client counts: all its examples, as far as the round's cap. */
static bool counts(const struct replay *r, uint64_t client, uint64_t weight) {
    uint64_t examples = client < r->partition.n_clients ? fed_partition_size(&r->partition, (uint32_t)client) : 0;
    return weight == (r->weight_cap > 0 && examples > r->weight_cap ? r->weight_cap : examples);
}

static void add_client(struct replay *r, uint64_t round, uint64_t client, uint64_t weight, double recorded_norm) {
    const struct fed_task_terms *task = &r->terms;
    const struct fed_sgd_terms terms = {.seed = task->seed,
                                        .round = round,
                                        .client = client,
                                        .epochs = task->epochs,
                                        .batch_size = task->batch_size,
                                        .sgd = {.learning_rate = rate_of(task, round),
                                                .momentum = (float)task->sgd.momentum,
                                                .weight_decay = (float)task->sgd.weight_decay}};
    struct fed_sgd_report report;
    if (!counts(r, client, weight)) {
        fed_error_set(&r->err, FED_EDATA, "round %" PRIu64 ": client %" PRIu64 " does not count %" PRIu64, round, client,
                      weight);
        fail(r);
    }
    fed_partition_rows(&r->partition, (uint32_t)client, r->shard);
    must(r,
         fed_local_sgd(r->trainer, r->delta, &report, r->params, &r->train, r->shard,
                       fed_partition_size(&r->partition, (uint32_t)client), &terms, NULL),
         "training");
    double norm = fed_norm(r->delta, r->model.n_params);
    if (norm != recorded_norm) {
        fed_error_set(&r->err, FED_EDATA, "round %" PRIu64 ": client %" PRIu64 " has norm %.17g, but %.17g is recorded",
                      round, client, norm, recorded_norm);
        fail(r);
    }
    fed_aggregate_add(&r->aggregate, r->delta, 0, r->model.n_params, weight, fed_norm_clip_scale(norm, r->clip));
    fed_aggregate_count(&r->aggregate, weight, 1);
    r->clients++;
}

/* The model of the round into r->next. */
static void replay_round(struct replay *r, uint64_t round, uint64_t n_clients, uint64_t total) {
    fed_aggregate_clear(&r->aggregate);
    struct fed_query q = fed_sql_query(r->sql, SELECT_UPDATES);
    fed_query_put_u64(&q, round);
    while (fed_query_row(&q)) {
        add_client(r, round, fed_query_u64(&q, 0), fed_query_u64(&q, 1), fed_query_f64(&q, 2));
    }
    must(r, fed_query_finish(&q, FED_OK, "read the admitted sets", &r->err), "updates");
    if (n_clients != r->aggregate.n_updates || total != r->aggregate.total_weight || total == 0) {
        fed_error_set(&r->err, FED_EDATA,
                      "round %" PRIu64 ": %" PRIu64 " clients of weight %" PRIu64 " were counted, but %" PRIu64
                      " of weight %" PRIu64 " are recorded",
                      round, n_clients, total, r->aggregate.n_updates, r->aggregate.total_weight);
        fail(r);
    }
    must(r, fed_aggregate_mean(&r->aggregate, r->next, r->params) == r->model.n_params ? FED_OK : FED_EDATA, "mean");
}

static void compare(struct replay *r, uint64_t round, const void *recorded, size_t n, char hex[FED_DIGEST_HEX]) {
    uint8_t digest[32];
    fed_model_digest(digest, &r->model, r->next);
    fed_hex(hex, digest, sizeof digest);
    if (n != sizeof digest || memcmp(recorded, digest, sizeof digest) != 0) {
        fed_error_set(&r->err, FED_EDATA, "round %" PRIu64 ": its admitted set gives model %s, not the one committed", round,
                      hex);
        fail(r);
    }
}

static void replay_all(struct replay *r) {
    char hex[FED_DIGEST_HEX] = "";
    uint64_t next = 0;
    struct fed_query q = fed_sql_query(r->sql, SELECT_ROUNDS);
    for (; fed_query_row(&q); next++) {
        uint64_t round = fed_query_u64(&q, 0);
        size_t n;
        const void *digest = fed_query_bytes(&n, &q, 1);
        must(r, round == next ? FED_OK : FED_EDATA, "a round is missing");
        if (round == 0) {
            fed_model_initial(r->next, &r->model, r->terms.seed);
        } else {
            double clip = fed_query_f64(&q, 4);
            r->clip = clip > 0 ? clip : 0;
            r->weight_cap = fed_query_u64(&q, 5);
            replay_round(r, round, fed_query_u64(&q, 2), fed_query_u64(&q, 3));
        }
        compare(r, round, digest, n, hex);
        memcpy(r->params, r->next, r->model.n_params * sizeof *r->params);
        r->rounds = round;
    }
    must(r, fed_query_finish(&q, FED_OK, "read the rounds", &r->err), "rounds");
    must(r, next > 0 ? FED_OK : FED_ENOTFOUND, "no round was committed");
    printf("%" PRIu64 " rounds, %" PRIu64 " updates, model %s\n", r->rounds, r->clients, hex);
}

int main(int argc, char **argv) {
    static struct replay r;
    if (argc != 3) {
        fprintf(stderr, "usage: replay_run TASK.yaml RUN_DIR\n");
        return 2;
    }
    must(&r, fed_task_load(&r.task, argv[1], NULL, 0, &r.err), "task");
    open_run(&r, argv[2]);
    load_data(&r);
    make_rooms(&r);
    replay_all(&r);
    fed_sql_close(r.sql);
    fed_aggregate_fini(&r.aggregate);
    fed_trainer_free(r.trainer);
    fed_partition_fini(&r.partition);
    fed_dataset_fini(&r.train);
    fed_task_fini(&r.task);
    free(r.shard);
    free(r.params);
    free(r.next);
    free(r.delta);
    return 0;
}
