/* CLIENT.yaml: one node as its owner describes it (man 5 fedavg-client.yaml). Same manners as task.h.
 *
 *     schema: 1
 *     coordinator: tcp://fl.example.org:5600
 *     coordinator_key: fedavg1:...
 *     key: ward-7.key
 *     data: {format: csv, train: ward-7.csv, label: outcome}
 *     clients: {first: 7, count: 1}
 *     limits: {max_model_mb: 4096, max_epochs: 20, max_train_s: 3600, memory_mb: 2048}
 *     state_dir: state
 *
 * A simulated node reads the whole data and splits it as the task does: data.partition as in the task, and `seed`. */
#ifndef FED_COMMON_CONFIG_CLIENT_CONFIG_H
#define FED_COMMON_CONFIG_CLIENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/task.h"
#include "common/data/given.h"
#include "common/data/partition.h"
#include "common/seal/keys.h"

struct fed_limits {
    uint64_t max_model_mb; /* default 4096 */
    uint64_t max_epochs;   /* default 20 */
    uint64_t max_train_s;  /* default 3600: of one client in one round */
    uint64_t memory_mb;    /* default 2048: model, scratch and updates held, beyond the data */
};

struct fed_client_config {
    char *path;
    char name[FED_NAME_MAX]; /* a label for logs; the coordinator knows the node by its key. "" = not given */
    char *coordinator;       /* tcp:// or ipc:// */
    struct fed_public_keys coordinator_key;
    char *bulk;                          /* NULL: same host, port from WELCOME */
    char *key;                           /* key file; NULL: the program has the key */
    struct fed_data_source data;         /* train only */
    uint64_t seed;                       /* of the partition; only with a partition */
    struct fed_partition_spec partition; /* kind NONE: the file is the shard of the one client */
    uint64_t first_client, n_clients;    /* clients: {first, count}; count is 1 without a partition, and by default */
    uint32_t workers;                    /* default 1 */
    struct fed_limits limits;
    char *state_dir; /* sent.log; default state beside the file; NULL (the word none): no record is kept */
};

int fed_client_config_load(struct fed_client_config *out, const char *path, const char *const *sets, size_t n_sets,
                           struct fed_error *err) FED_MUST_CHECK;

/* What a program that hosts the node brings itself; the file must not name it too. */
struct fed_client_brought {
    const struct fed_given *data; /* borrowed for as long as the configuration lives; NULL: data.train is needed */
    bool key;                     /* false: key is needed */
};
/* The same; path NULL: there is no file, and then state_dir has no default. */
int fed_client_config_read(struct fed_client_config *out, const char *path, const char *const *sets, size_t n_sets,
                           const struct fed_client_brought *brought, struct fed_error *err) FED_MUST_CHECK;
void fed_client_config_fini(struct fed_client_config *config);

/* The table, for whoever documents it. */
const struct fed_settings *fed_client_config_settings(void);

#endif
