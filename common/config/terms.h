/* The terms of a task: the fields that define its result, as JSON with sorted keys, no spaces and 17 digits. This text is
 * digested, stored, sent in WELCOME and compared on resume. Keys stand under the paths they have in the task file:
 *
 *     {"algorithm":{"batch_size":10,"epochs":1,"fraction":0.10000000000000001,"kind":"fedavg","learning_rate":...,
 *      "learning_rate_decay":1.0,"math":"exact","max_delta":64.0,"max_updates":10,"max_weight":600},
 *      "data":{"partition":{"clients":100,"digest":"<64 hex digits>","kind":"shards","shards_per_client":2}},
 *      "model":{"input":{"channels":784,"height":1,"steps":1,"width":1},
 *       "layers":[{"activation":"relu","kind":"dense","units":200},...],"loss":"softmax_cross_entropy"},
 *      "name":"...","schema":1,"seed":1}
 *
 * "data" is null where the coordinator does not know the data. The digest covers the examples and their split. A model is
 * written out, preset or not: its input always in four dimensions, a layer with the keys of its kind and no others, and
 * "vocabulary" (a string) and "classes" (a list) where it has them. In "algorithm" stand "clip_norm", "clip_quantile" and
 * "clip_rate" where updates are clipped, and "max_share" where there is one; in "model" stands "initial", the digest of the
 * parameters that a run was given to start from, where it was. */
#ifndef FED_COMMON_CONFIG_TERMS_H
#define FED_COMMON_CONFIG_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/name.h"
#include "common/data/partition.h"
#include "common/model/model.h"
#include "common/numeric/kernels.h"

/* Bytes of such a text, as many as a message holds. Ours stay below: names of classes, escaped and quoted, take 15 KiB at
 * most, 32 layers 4, all the rest 2. */
#define FED_TERMS_MAX ((size_t)32 * 1024)

struct fed_sgd_options {
    double momentum;     /* in 0..1, 1 excluded; default 0. Starts anew with each round */
    double weight_decay; /* >= 0, default 0 */
};

/* Adaptive clipping: Andrew et al. 2021 (arXiv:1905.03871), algorithm 1 without noise. */
struct fed_clip_options {
    double norm;     /* S of the first round; 0 = none (default) */
    double quantile; /* of the norms that S is to come to, in 0..1, default 0.5 */
    double rate;     /* eta_C, in 0..10, default 0.2 */
};

struct fed_task_terms {
    uint64_t seed;               /* < 2^63 */
    struct fed_model_spec model; /* the preset's label does not travel */
    bool has_initial;            /* false: drawn from the seed */
    uint8_t initial_digest[32];
    bool has_partition;
    struct fed_partition_spec partition;
    uint8_t partition_digest[32];
    double fraction;
    uint32_t epochs, batch_size;
    double learning_rate, learning_rate_decay;
    struct fed_sgd_options sgd;
    enum fed_math math;
    double max_delta;
    uint64_t max_weight, max_updates; /* resolved: >= 1 */
    struct fed_clip_options clip;
    double max_share; /* 0 = any */
    char name[FED_NAME_MAX];
};

/* The learning rate of a round (from 1 on): first * decay^(round - 1), by repeated multiplication in double, rounded once.
 * Never 0, however far it decays: the least number that a float has. */
float fed_task_learning_rate(double first, double decay, uint64_t round);

/* The caller owns *out (zero-terminated). Asserts that every field is within the bounds of the task file. FED_ENOMEM. */
int fed_task_terms_encode(char **out, const struct fed_task_terms *terms) FED_MUST_CHECK;
/* FED_EWIRE with a sentence: not the terms of a task (not JSON, spaces, a key unknown, twice or missing, a value of another
 * type or out of range). text need not end in zero. FED_ENOMEM. */
int fed_task_terms_decode(struct fed_task_terms *out, const char *text, size_t n, struct fed_error *err) FED_MUST_CHECK;
/* One sentence of what differs between two such texts, "algorithm.epochs: 1 in the run, 5 in the task": for resume.
 * Empty when the values are the same. */
void fed_task_terms_difference(struct fed_error *out, const char *in_run, const char *in_task);

#endif
