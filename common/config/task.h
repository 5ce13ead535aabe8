/* The task: model + data + algorithm + round rules, one YAML file (man 5 fedavg-task).
 *
 * One table of keys (setting.h) drives reading, bounds, --set and the terms (terms.h). Every wrong input is one sentence
 * with file, line, key (or --set), what was found and what is allowed; nothing is started. `data` may be missing altogether:
 * a coordinator of real nodes has no data to split, and without data.test it does not evaluate. Data files are not opened.
 */
#ifndef FED_COMMON_CONFIG_TASK_H
#define FED_COMMON_CONFIG_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/data_section.h"
#include "common/config/name.h"
#include "common/config/terms.h"
#include "common/data/partition.h"
#include "common/model/model.h"
#include "common/numeric/kernels.h"
#include "common/seal/sign.h"

struct fed_algorithm {
    uint64_t rounds;            /* >= 1 */
    double fraction;            /* C in 0..1; 0 = one client a round */
    uint32_t epochs;            /* E >= 1 */
    uint32_t batch_size;        /* B; 0 = full */
    double learning_rate;       /* eta of round 1, > 0 */
    double learning_rate_decay; /* eta is multiplied by this after each round; in (0, 1], default 1 */
    struct fed_sgd_options sgd; /* of the clients */
    enum fed_math math;         /* of the nodes and of evaluation, default exact */
    double target_accuracy;     /* in (0, 1]; 0 = none */
    double max_delta;           /* largest |delta| admitted, default 64 */
    uint64_t max_weight;        /* largest n_k admitted; 0 = the largest shard where the partition is known, else 2^20 */
    struct fed_clip_options clip;
    double max_share; /* of the weight, for one client, in (0, 1]; 0 = any (default) */
};

struct fed_round_rules {
    double over_select;      /* >= 1, default 1.0 */
    double min_reports;      /* quorum as a part of m, in (0, 1], default 0.8 */
    bool min_reports_given;  /* false: simulate, where nobody is far away, waits for all (1.0) */
    uint64_t deadline_s;     /* >= 1, default 600 */
    uint64_t rejoin_s;       /* >= 0, default 30 */
    uint64_t stall_s;        /* an upload of which no chunk came for so long is given up; >= 1, default 120 */
    uint64_t evaluate_every; /* >= 1, default 1; the last round is always evaluated */
    uint64_t max_attempts;   /* of one round that fail before the run is given up; 0 = never (default) */
    bool max_attempts_given; /* false: simulate, where nobody mends anything meanwhile, gives up after 10 */
};

/* What is done about bad updates, bad nodes and bad models. */
struct fed_hygiene {
    double norm_factor;   /* times what norms of earlier rounds come to is the ceiling; 0 = none, else >= 1; default 10 */
    uint32_t norm_rounds; /* how many earlier rounds, 1..100, default 20 */
    uint64_t quarantine_after;    /* refusals that only a faulty or hostile node earns, default 3; 0 = no quarantine */
    bool quarantine_after_given;  /* false: simulate, whose nodes are its own, has none */
    uint64_t quarantine_window_s; /* within so long, >= 1, default 3600 */
    uint64_t quarantine_s;        /* for so long at first, >= 1, default 600; doubles up to a day */
    double rollback_factor;       /* a loss this many times the reference is taken back; 0 = none is, else > 1; default 10 */
};

#define FED_HTTP_HOSTS_MOST 8

struct fed_server {
    char *control, *bulk;                  /* endpoints; default port 5600 and 5601 of every address */
    char *http;                            /* "127.0.0.1:5680", "unix:/run/fedavg/page", or NULL (default): no page */
    char *http_hosts[FED_HTTP_HOSTS_MOST]; /* (n_http_hosts) names under which a proxy passes requests on */
    size_t n_http_hosts;
    char *http_token; /* file of what they must bear; given exactly where there are http_hosts */
    char *enrol;      /* endpoint, or NULL (default): tokens are not taken */
    bool has_enrolment_key;
    uint8_t enrolment_key[FED_SIGN_KEY_BYTES]; /* has_enrolment_key: every entry of the roster is signed by it */
    char *roster, *key;                        /* files, default roster and coordinator.key beside the task */
    char *user;                                /* NULL: stay who we are */
    uint64_t keep_last;                        /* checkpoints kept besides the best; >= 1, default 3 */
    uint64_t staging_mb;                       /* memory for updates being received, default 256 */
    bool partial_sums;                         /* ask nodes that may for sums over their clients, default true */
};

/* What one peer may cost, in the long run; for a moment it may have four seconds' worth. Of a node, what it was asked for
 * comes on top. Operational: may change on resume, and changes no model. */
struct fed_peer_limits {
    uint64_t messages_per_s;      /* of a node on the control lane, default 50 */
    uint64_t bulk_messages_per_s; /* of a node on the bulk lane, default 50 */
    uint64_t bytes_per_s;         /* of a node on either lane, default 1 MiB */
    uint64_t connections_per_10s; /* of a node on either lane, default 10 */
    uint64_t handshakes_per_s;    /* of strangers on either lane, default 20; more are turned away unheard */
    uint32_t uploads;             /* received at a time, 1..4, default 3 */
    uint32_t uploads_per_node;    /* of one node among them, default 2; never all where there are several */
    uint64_t upload_bytes_per_s;  /* an upload slower than this makes room for one that waits, default 16 KiB */
};

struct fed_task {
    char *path;              /* of the file */
    char name[FED_NAME_MAX]; /* [a-z0-9-]+ */
    uint64_t seed;
    struct fed_model_spec model;
    char *initial; /* file of the parameters to start from; NULL: drawn from the seed */
    struct fed_data_source data;
    struct fed_partition_spec partition;
    struct fed_algorithm algorithm;
    struct fed_round_rules round;
    struct fed_hygiene hygiene;
    struct fed_server server;
    struct fed_peer_limits limits;
};

/* sets: "key=value" strings from --set, applied after the file; relative paths in them are relative to the working
 * directory, in the file to the file. FED_ECONFIG. On success the caller owns the contents: fed_task_fini. */
int fed_task_load(struct fed_task *out, const char *path, const char *const *sets, size_t n_sets,
                  struct fed_error *err) FED_MUST_CHECK;
void fed_task_fini(struct fed_task *task);

/* The table, for the terms and for whoever documents it. */
const struct fed_settings *fed_task_settings(void);

#endif
