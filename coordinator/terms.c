#include "coordinator/terms.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/run_files.h"
#include "coordinator/round/round.h"

#define LEAST_UPDATES 2048u
#define UNKNOWN_SHARD ((uint64_t)1 << 20)

static uint64_t most_updates(const struct fed_task *task, uint64_t population) {
    double picked = ceil(task->round.over_select * (double)fed_round_cohort_size(task->algorithm.fraction, population));
    uint64_t bound = LEAST_UPDATES;
    while ((double)bound < picked) {
        bound *= 2;
    }
    return bound;
}

void fed_terms_from_task(struct fed_task_terms *out, const struct fed_task *task, const uint8_t *partition_digest,
                         uint64_t largest_shard, uint64_t population) {
    const struct fed_algorithm *algorithm = &task->algorithm;
    *out = (struct fed_task_terms){
        .seed = task->seed,
        .model = task->model,
        .has_partition = partition_digest != NULL,
        .fraction = algorithm->fraction,
        .epochs = algorithm->epochs,
        .batch_size = algorithm->batch_size,
        .learning_rate = algorithm->learning_rate,
        .learning_rate_decay = algorithm->learning_rate_decay,
        .sgd = algorithm->sgd,
        .math = algorithm->math,
        .max_delta = algorithm->max_delta,
        .max_weight = algorithm->max_weight > 0 ? algorithm->max_weight
                      : largest_shard > 0       ? largest_shard
                                                : UNKNOWN_SHARD,
        .max_updates = most_updates(task, population),
        .max_share = algorithm->max_share,
    };
    memcpy(out->name, task->name, sizeof out->name);
    if (algorithm->clip.norm > 0) {
        out->clip = algorithm->clip;
    }
    if (partition_digest != NULL) {
        out->partition = task->partition;
        memcpy(out->partition_digest, partition_digest, sizeof out->partition_digest);
    }
}

int fed_terms_check_weights(const struct fed_task *task, uint64_t largest_shard, struct fed_error *err) {
    uint64_t most = task->algorithm.max_weight;
    if (most == 0 || most >= largest_shard) {
        return FED_OK;
    }
    return fed_error_set(err, FED_ECONFIG,
                         "%s: algorithm.max_weight: %" PRIu64 " found, but the largest shard of the split holds %" PRIu64
                         " examples, so that every update made from it would be refused; set %" PRIu64
                         " or more, or leave the key out",
                         task->path, most, largest_shard, largest_shard);
}

int fed_terms_rest(char **out, const struct fed_task *task) {
    const struct fed_run_files files = {.data = task->data, .initial = task->initial};
    json_t *rest = json_pack("{s:I, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:b, s:f, s:I, s:I, s:f}", "rounds",
                             (json_int_t)task->algorithm.rounds, "target_accuracy", task->algorithm.target_accuracy,
                             "over_select", task->round.over_select, "min_reports", task->round.min_reports, "deadline_s",
                             (json_int_t)task->round.deadline_s, "rejoin_s", (json_int_t)task->round.rejoin_s,
                             "evaluate_every", (json_int_t)task->round.evaluate_every, "keep_last",
                             (json_int_t)task->server.keep_last, "partial_sums", (int)task->server.partial_sums,
                             "norm_factor", task->hygiene.norm_factor, "norm_rounds", (json_int_t)task->hygiene.norm_rounds,
                             "stall_s", (json_int_t)task->round.stall_s, "rollback_factor", task->hygiene.rollback_factor);
    char *text = NULL;
    if (json_object_set_new(rest, "files", fed_run_files_encode(&files)) == 0) {
        text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    }
    json_decref(rest);
    if (text == NULL) {
        return FED_ENOMEM;
    }
    *out = text;
    return FED_OK;
}
