/* The task: model + data + algorithm + round rules, one YAML file (man 5 fedavg-task).
 *
 * One table of keys drives reading, bounds, --set and the JSON below: path, type, bounds, default, target field. Every wrong
 * input is one sentence with file, line, key (or --set), what was found and what is allowed; nothing is started. */
#ifndef FED_COMMON_CONFIG_TASK_H
#define FED_COMMON_CONFIG_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/data/partition.h"
#include "common/model/model.h"

#define FED_NAME_MAX 64

struct fed_data_files { /* absolute or relative to the working directory after loading; NULL = not given */
    char *train_images, *train_labels;
    char *test_images, *test_labels;
};

struct fed_algorithm {
    uint64_t rounds;            /* >= 1 */
    double fraction;            /* C in 0..1; 0 = one client a round */
    uint32_t epochs;            /* E >= 1 */
    uint32_t batch_size;        /* B; 0 = full */
    double learning_rate;       /* eta of round 1, > 0 */
    double learning_rate_decay; /* eta is multiplied by this after each round; in (0, 1], default 1 */
    double target_accuracy;     /* in (0, 1]; 0 = none */
    double max_delta;           /* largest |delta| admitted, default 64 */
    uint64_t max_weight;        /* largest n_k admitted; 0 = the largest shard where the partition is known, else 2^20 */
};

struct fed_round_rules {
    double over_select;      /* >= 1, default 1.0 */
    double min_reports;      /* quorum as a part of m, in (0, 1], default 0.8 (simulate: 1.0) */
    uint64_t deadline_s;     /* >= 1, default 600 */
    uint64_t rejoin_s;       /* default 30 */
    uint64_t evaluate_every; /* >= 1, default 1; the last round is always evaluated */
};

struct fed_server {
    char *control, *bulk; /* endpoints */
    char *http;           /* "127.0.0.1:5680", or NULL */
    char *roster, *key, *user;
    uint64_t keep_last;  /* checkpoints kept besides the best; >= 1, default 3 */
    uint64_t staging_mb; /* memory for updates being received, default 256 */
    bool partial_sums;   /* ask nodes that may for sums over their clients, default true */
};

struct fed_task {
    char *path;              /* of the file */
    char name[FED_NAME_MAX]; /* [a-z0-9-]+ */
    uint64_t seed;
    struct fed_model_spec model;
    struct fed_data_files data;
    struct fed_partition_spec partition;
    struct fed_algorithm algorithm;
    struct fed_round_rules round;
    struct fed_server server;
};

/* sets: "key=value" strings from --set, applied after the file; relative paths in them are relative to the working
 * directory, in the file to the file. FED_ECONFIG. On success the caller owns the contents: fed_task_fini. */
int fed_task_load(struct fed_task *out, const char *path, const char *const *sets, size_t n_sets,
                  struct fed_error *err) FED_MUST_CHECK;
void fed_task_fini(struct fed_task *task);

/* The fields that define the result, as canonical JSON (sorted keys, no spaces, %.17g): the text that is digested, stored,
 * sent in WELCOME and compared on resume. Holds: schema, name, seed, model (inputs, layers), partition (kind and its
 * numbers, with the digest of data and split), algorithm kind, fraction, epochs, batch_size, learning_rate,
 * learning_rate_decay, and the caps max_delta, max_weight, max_updates. */
struct fed_task_terms {
    uint64_t seed;
    struct fed_model_spec model;
    bool has_partition;
    struct fed_partition_spec partition;
    uint8_t partition_digest[32];
    double fraction;
    uint32_t epochs, batch_size;
    double learning_rate, learning_rate_decay;
    double max_delta;
    uint64_t max_weight, max_updates;
    char name[FED_NAME_MAX];
};
/* The caller owns *out (zero-terminated). FED_ENOMEM. */
int fed_task_terms_encode(char **out, const struct fed_task_terms *terms) FED_MUST_CHECK;
/* FED_EWIRE: not canonical JSON of a task (unknown key, missing key, out of range). text need not end in zero. */
int fed_task_terms_decode(struct fed_task_terms *out, const char *text, size_t n, struct fed_error *err) FED_MUST_CHECK;
/* One sentence of what differs between two such texts, "algorithm.epochs: 1 in the run, 5 in the task": for resume. */
void fed_task_terms_difference(struct fed_error *out, const char *in_run, const char *in_task);

#endif
