#include "common/config/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/config/endpoint.h"
#include "common/config/kind.h"
#include "common/config/model_section.h"
#include "common/config/setting.h"
#include "common/numeric/fixed.h"

/* What the rows fill: the task, and words that only have to be right. */
struct draft {
    struct fed_task task;
    struct fed_model_section model;
    uint32_t schema;
    unsigned algorithm;
};

static const char *algorithm_word(unsigned algorithm) {
    (void)algorithm; /* the only one */
    return "fedavg";
}

static const char *math_word(unsigned math) { return fed_math_name((enum fed_math)math); }

static int parse_sign_line(void *field, const char *text, struct fed_error *why) {
    return fed_sign_line_parse(field, text, why);
}

static bool enrol_valid(const char *text) { return strcmp(text, "none") == 0 || fed_endpoint_bind_valid(text); }

#define HOST_NAME_MOST 253

/* A name, and no address: a letter comes first. */
/* localhost is who is here: a request by that name is let in without a token. */
static bool host_name_valid(const char *text) {
    size_t n = strlen(text);
    bool begins = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
    return begins && n <= HOST_NAME_MOST && strcasecmp(text, "localhost") != 0 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n;
}

#define MOST_ROUNDS 1000000000
#define YEAR_S 31536000
#define FIELD(name) offsetof(struct draft, task.name)

static const struct fed_setting rows[] = {
    {"schema", FED_SETTING_U32, offsetof(struct draft, schema), .required = true, .min = 1, .max = 1,
     .expected = "1, the only schema this version knows"},
    {"name", FED_SETTING_NAME, FIELD(name), .required = true},
    {"seed", FED_SETTING_U64, FIELD(seed), .required = true, .max = INT64_MAX},

    FED_MODEL_ROWS(struct draft, model),
    {"model.initial", FED_SETTING_PATH, FIELD(initial), .expected = "the path of a safetensors file"},

    FED_DATA_TRAIN_ROWS(struct draft, task.data),
    FED_DATA_TEST_ROWS(struct draft, task.data),
    FED_DATA_PARTITION_ROWS(struct draft, task.partition),

    {"algorithm.kind", FED_SETTING_WORD, offsetof(struct draft, algorithm), .fallback = "fedavg", .word = algorithm_word},
    {"algorithm.rounds", FED_SETTING_U64, FIELD(algorithm.rounds), .required = true, .min = 1, .max = MOST_ROUNDS},
    {"algorithm.fraction", FED_SETTING_REAL, FIELD(algorithm.fraction), .required = true, .low = 0, .high = 1},
    {"algorithm.epochs", FED_SETTING_U32, FIELD(algorithm.epochs), .required = true, .min = 1, .max = 1000000},
    {"algorithm.batch_size", FED_SETTING_U32, FIELD(algorithm.batch_size), .required = true, .min = 1, .max = 1 << 24,
     .zero_word = "full"},
    {"algorithm.learning_rate", FED_SETTING_REAL, FIELD(algorithm.learning_rate), .required = true, .open = true, .low = 0,
     .high = 1e6},
    {"algorithm.learning_rate_decay", FED_SETTING_REAL, FIELD(algorithm.learning_rate_decay), .fallback = "1", .open = true,
     .low = 0, .high = 1},
    {"algorithm.momentum", FED_SETTING_REAL, FIELD(algorithm.sgd.momentum), .fallback = "0", .low = 0, .high = 0.9999},
    {"algorithm.weight_decay", FED_SETTING_REAL, FIELD(algorithm.sgd.weight_decay), .fallback = "0", .low = 0, .high = 1e3},
    {"algorithm.math", FED_SETTING_WORD, FIELD(algorithm.math), .fallback = "exact", .max = FED_MATH_BLAS,
     .word = math_word},
    {"algorithm.target_accuracy", FED_SETTING_REAL, FIELD(algorithm.target_accuracy), .open = true, .low = 0, .high = 1},
    {"algorithm.max_delta", FED_SETTING_REAL, FIELD(algorithm.max_delta), .fallback = "64", .open = true, .low = 0,
     .high = 1 << 20},
    {"algorithm.max_weight", FED_SETTING_U64, FIELD(algorithm.max_weight), .min = 1, .max = FED_FIXED_MAX_WEIGHT},

    {"algorithm.clip_norm", FED_SETTING_REAL, FIELD(algorithm.clip.norm), .open = true, .low = 0, .high = 1e9},
    {"algorithm.clip_quantile", FED_SETTING_REAL, FIELD(algorithm.clip.quantile), .fallback = "0.5", .low = 0, .high = 1},
    {"algorithm.clip_rate", FED_SETTING_REAL, FIELD(algorithm.clip.rate), .fallback = "0.2", .low = 0, .high = 10},
    {"algorithm.max_share", FED_SETTING_REAL, FIELD(algorithm.max_share), .open = true, .low = 0, .high = 1},

    {"round.over_select", FED_SETTING_REAL, FIELD(round.over_select), .fallback = "1", .low = 1, .high = 100},
    {"round.min_reports", FED_SETTING_REAL, FIELD(round.min_reports), .fallback = "0.8", .open = true, .low = 0, .high = 1},
    {"round.deadline_s", FED_SETTING_U64, FIELD(round.deadline_s), .fallback = "600", .min = 1, .max = YEAR_S},
    {"round.rejoin_s", FED_SETTING_U64, FIELD(round.rejoin_s), .fallback = "30", .max = YEAR_S},
    {"round.stall_s", FED_SETTING_U64, FIELD(round.stall_s), .fallback = "120", .min = 1, .max = YEAR_S},
    {"round.evaluate_every", FED_SETTING_U64, FIELD(round.evaluate_every), .fallback = "1", .min = 1, .max = MOST_ROUNDS},
    {"round.max_attempts", FED_SETTING_U64, FIELD(round.max_attempts), .fallback = "0", .max = 1000000},

    {"hygiene.quarantine_after", FED_SETTING_U64, FIELD(hygiene.quarantine_after), .fallback = "3", .max = 1000000},
    {"hygiene.quarantine_window_s", FED_SETTING_U64, FIELD(hygiene.quarantine_window_s), .fallback = "3600", .min = 1,
     .max = YEAR_S},
    {"hygiene.quarantine_s", FED_SETTING_U64, FIELD(hygiene.quarantine_s), .fallback = "600", .min = 1, .max = YEAR_S},
    {"hygiene.rollback_factor", FED_SETTING_REAL, FIELD(hygiene.rollback_factor), .fallback = "10", .low = 0, .high = 1e9},

    {"hygiene.norm_factor", FED_SETTING_REAL, FIELD(hygiene.norm_factor), .fallback = "10", .low = 0, .high = 1e9},
    {"hygiene.norm_rounds", FED_SETTING_U32, FIELD(hygiene.norm_rounds), .fallback = "20", .min = 1, .max = 100},

    {"server.control", FED_SETTING_TEXT, FIELD(server.control), .fallback = "tcp://*:5600", .check = fed_endpoint_bind_valid,
     .expected = FED_ENDPOINT_BIND},
    {"server.bulk", FED_SETTING_TEXT, FIELD(server.bulk), .fallback = "tcp://*:5601", .check = fed_endpoint_bind_valid,
     .expected = FED_ENDPOINT_BIND},
    {"server.http", FED_SETTING_TEXT, FIELD(server.http), .check = fed_endpoint_http_valid, .expected = FED_ENDPOINT_HTTP},
    {"server.http_hosts[]", FED_SETTING_TEXT, 0, .required = true, .check = host_name_valid,
     .expected = "the name of a host, such as fl.example.org, not localhost"},
    {"server.http_token", FED_SETTING_PATH, FIELD(server.http_token)},
    {"server.enrol", FED_SETTING_TEXT, FIELD(server.enrol), .zero_word = "none", .check = enrol_valid,
     .expected = FED_ENDPOINT_BIND ", or the word none"},
    {"server.enrolment_key", FED_SETTING_CUSTOM, FIELD(server.enrolment_key), .parse = parse_sign_line,
     .expected = "the line of an enrolment key, fedavg-sign1:..."},
    {"server.roster", FED_SETTING_PATH, FIELD(server.roster), .fallback = "roster"},
    {"server.key", FED_SETTING_PATH, FIELD(server.key), .fallback = "coordinator.key"},
    {"server.user", FED_SETTING_TEXT, FIELD(server.user), .expected = "the name of a user of this machine"},
    {"server.keep_last", FED_SETTING_U64, FIELD(server.keep_last), .fallback = "3", .min = 1, .max = 1000000},
    {"server.staging_mb", FED_SETTING_U64, FIELD(server.staging_mb), .fallback = "256", .min = 1, .max = 1 << 20},
    {"server.partial_sums", FED_SETTING_BOOL, FIELD(server.partial_sums), .fallback = "yes"},

    {"limits.messages_per_s", FED_SETTING_U64, FIELD(limits.messages_per_s), .fallback = "50", .min = 1, .max = 1000000},
    {"limits.bulk_messages_per_s", FED_SETTING_U64, FIELD(limits.bulk_messages_per_s), .fallback = "50", .min = 1,
     .max = 1000000},
    {"limits.bytes_per_s", FED_SETTING_U64, FIELD(limits.bytes_per_s), .fallback = "1048576", .min = 65536,
     .max = UINT64_C(1) << 36},
    {"limits.connections_per_10s", FED_SETTING_U64, FIELD(limits.connections_per_10s), .fallback = "10", .min = 1,
     .max = 1000000},
    {"limits.handshakes_per_s", FED_SETTING_U64, FIELD(limits.handshakes_per_s), .fallback = "20", .min = 1, .max = 1000000},
    {"limits.uploads", FED_SETTING_U32, FIELD(limits.uploads), .fallback = "3", .min = 1, .max = 4},
    {"limits.uploads_per_node", FED_SETTING_U32, FIELD(limits.uploads_per_node), .fallback = "2", .min = 1, .max = 4},
    {"limits.upload_bytes_per_s", FED_SETTING_U64, FIELD(limits.upload_bytes_per_s), .fallback = "16384", .min = 1,
     .max = UINT64_C(1) << 36},
};

static const struct fed_settings settings = {rows, sizeof rows / sizeof *rows};

const struct fed_settings *fed_task_settings(void) { return &settings; }

/* -- the task ---------------------------------------------------------------------------------------------------------- */

static int check_target(const struct fed_task *task, const struct fed_settings_source *source, struct fed_error *err) {
    static const char key[] = "algorithm.target_accuracy";
    if (task->model.loss == FED_MEAN_SQUARED_ERROR) {
        return fed_settings_refuse(source, key, err, "goes not with model.loss: mean_squared_error, which has no accuracy");
    }
    return fed_data_source_has_test(&task->data)
               ? 0
               : fed_settings_refuse(source, key, err, "needs data.test to measure it, not given here");
}

static int check_norm_factor(const struct fed_task *task, const struct fed_settings_source *source, struct fed_error *err) {
    double factor = task->hygiene.norm_factor;
    return factor == 0 || factor >= 1
               ? 0
               : fed_settings_refuse(source, "hygiene.norm_factor", err,
                                     "found %g, expected 0 (no ceiling) or a number from 1 on: below that, updates as they "
                                     "were in earlier rounds would be refused",
                                     factor);
}

/* How a clip moves says nothing where there is none. */
static int check_clip(const struct fed_task *task, const struct fed_settings_source *source, struct fed_error *err) {
    static const char *const keys[] = {"algorithm.clip_quantile", "algorithm.clip_rate"};
    for (size_t i = 0; task->algorithm.clip.norm == 0 && i < sizeof keys / sizeof *keys; i++) {
        if (fed_settings_given(source, keys[i])) {
            return fed_settings_refuse(source, keys[i], err, "goes with algorithm.clip_norm, not given here");
        }
    }
    return 0;
}

static int check_rollback(const struct fed_task *task, const struct fed_settings_source *source, struct fed_error *err) {
    double factor = task->hygiene.rollback_factor;
    return factor == 0 || factor > 1
               ? 0
               : fed_settings_refuse(source, "hygiene.rollback_factor", err,
                                     "found %g, expected 0 (never) or a number over 1: a loss may well rise a little",
                                     factor);
}

static int check_enrol(const struct fed_task *task, const struct fed_settings_source *source, struct fed_error *err) {
    return task->server.enrol == NULL || task->server.has_enrolment_key
               ? 0
               : fed_settings_refuse(source, "server.enrol", err,
                                     "needs server.enrolment_key, the key that signs the tokens it takes");
}

static int read_hosts(struct fed_server *server, const struct fed_settings_source *source, struct fed_error *err) {
    static const char key[] = "server.http_hosts";
    size_t n = fed_settings_count(&source->yaml, key);
    if (n > FED_HTTP_HOSTS_MOST) {
        return fed_settings_refuse(source, key, err, "found %zu names, expected at most %d", n, FED_HTTP_HOSTS_MOST);
    }
    int code = 0;
    for (size_t i = 0; i < n && code == 0; i++) {
        char *name = NULL;
        code = fed_settings_read_item(&name, &settings, source, key, i, err);
        server->http_hosts[server->n_http_hosts] = name;
        server->n_http_hosts += name != NULL;
    }
    if (code == 0 && server->n_http_hosts > 0 && server->http_token == NULL) {
        code = fed_settings_refuse(source, key, err, "needs server.http_token, what whoever comes by such a name must bear");
    }
    if (code == 0 && server->http_token != NULL && server->n_http_hosts == 0) {
        code = fed_settings_refuse(source, "server.http_token", err, "goes with server.http_hosts, not given here");
    }
    return code;
}

static int read_task(struct draft *draft, const struct fed_settings_source *source, struct fed_error *err) {
    struct fed_task *task = &draft->task;
    int code = fed_settings_read(draft, &settings, source, err);
    if (code == 0) {
        code = fed_model_section_read(&task->model, &draft->model, &settings, source, err);
    }
    if (code == 0) {
        code = fed_data_section_check(&task->data, &task->partition, source, err);
    }
    if (code == 0 && task->algorithm.target_accuracy > 0) {
        code = check_target(task, source, err);
    }
    if (code == 0) {
        code = check_norm_factor(task, source, err);
    }
    if (code == 0) {
        code = check_clip(task, source, err);
    }
    if (code == 0) {
        code = check_rollback(task, source, err);
    }
    task->server.has_enrolment_key = fed_settings_given(source, "server.enrolment_key");
    if (code == 0) {
        code = check_enrol(task, source, err);
    }
    if (code == 0) {
        code = read_hosts(&task->server, source, err);
    }
    task->round.min_reports_given = fed_settings_given(source, "round.min_reports");
    task->hygiene.quarantine_after_given = fed_settings_given(source, "hygiene.quarantine_after");
    task->round.max_attempts_given = fed_settings_given(source, "round.max_attempts");
    return code;
}

int fed_task_load(struct fed_task *out, const char *path, const char *const *sets, size_t n_sets, struct fed_error *err) {
    struct draft draft = {0};
    struct fed_settings_source source = {.file = path};
    char *dir = NULL;
    int code = fed_settings_open(&source.yaml, &dir, path, sets, n_sets, err);
    if (code != 0) {
        return code;
    }
    source.dir = dir;
    code = fed_config_expect(&source.yaml, path, FED_CONFIG_TASK, err);
    if (code == 0) {
        code = read_task(&draft, &source, err);
    }
    if (code == 0 && (draft.task.path = strdup(path)) == NULL) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (code == 0) {
        *out = draft.task;
    } else {
        fed_task_fini(&draft.task);
    }
    fed_model_section_fini(&draft.model);
    fed_yaml_fini(&source.yaml);
    free(dir);
    return code;
}

void fed_task_fini(struct fed_task *task) {
    free(task->path);
    free(task->initial);
    fed_data_source_fini(&task->data);
    free(task->server.control);
    free(task->server.bulk);
    free(task->server.http);
    for (size_t i = 0; i < task->server.n_http_hosts; i++) {
        free(task->server.http_hosts[i]);
    }
    free(task->server.http_token);
    free(task->server.enrol);
    free(task->server.roster);
    free(task->server.key);
    free(task->server.user);
    *task = (struct fed_task){0};
}
