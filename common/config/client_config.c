#include "common/config/client_config.h"

#include <stdlib.h>
#include <string.h>

#include "common/config/endpoint.h"
#include "common/config/kind.h"
#include "common/config/setting.h"

struct draft {
    struct fed_client_config config; /* first: fini of the config is fini of the draft */
    uint32_t schema;
};

static int parse_public_key(void *field, const char *text, struct fed_error *why) {
    return fed_public_parse(field, text, why);
}

#define MOST_CLIENTS ((uint64_t)1 << 31) /* ids stay below 2^32: a cohort is drawn from them by 32-bit numbers */
#define MOST_MB ((uint64_t)1 << 30)
#define YEAR_S 31536000
#define FIELD(name) offsetof(struct draft, config.name)

static const struct fed_setting rows[] = {
    {"schema", FED_SETTING_U32, offsetof(struct draft, schema), .required = true, .min = 1, .max = 1,
     .expected = "1, the only schema this version knows"},
    {"name", FED_SETTING_NAME, FIELD(name)},
    {"coordinator", FED_SETTING_TEXT, FIELD(coordinator), .required = true, .check = fed_endpoint_connect_valid,
     .expected = FED_ENDPOINT_CONNECT},
    {"coordinator_key", FED_SETTING_CUSTOM, FIELD(coordinator_key), .required = true, .parse = parse_public_key,
     .expected = "the coordinator's public line, fedavg1:..."},
    {"bulk", FED_SETTING_TEXT, FIELD(bulk), .check = fed_endpoint_connect_valid, .expected = FED_ENDPOINT_CONNECT},
    {"key", FED_SETTING_PATH, FIELD(key), .expected = "the node's key file, made by fedavg keygen"},

    FED_DATA_TRAIN_ROWS(struct draft, config.data),
    FED_DATA_PARTITION_ROWS(struct draft, config.partition),
    {"seed", FED_SETTING_U64, FIELD(seed), .max = INT64_MAX},

    {"clients.first", FED_SETTING_U64, FIELD(first_client), .required = true, .max = MOST_CLIENTS},
    {"clients.count", FED_SETTING_U64, FIELD(n_clients), .fallback = "1", .min = 1, .max = MOST_CLIENTS},
    {"workers", FED_SETTING_U32, FIELD(workers), .fallback = "1", .min = 1, .max = 1024},

    {"limits.max_model_mb", FED_SETTING_U64, FIELD(limits.max_model_mb), .fallback = "4096", .min = 1, .max = MOST_MB},
    {"limits.max_epochs", FED_SETTING_U64, FIELD(limits.max_epochs), .fallback = "20", .min = 1, .max = 1000000},
    {"limits.max_train_s", FED_SETTING_U64, FIELD(limits.max_train_s), .fallback = "3600", .min = 1, .max = YEAR_S},
    {"limits.memory_mb", FED_SETTING_U64, FIELD(limits.memory_mb), .fallback = "2048", .min = 1, .max = MOST_MB},
    {"state_dir", FED_SETTING_PATH, FIELD(state_dir), .fallback = "state", .zero_word = "none",
     .expected = "the path of a directory, or the word none"},
};

static const struct fed_settings settings = {rows, sizeof rows / sizeof *rows};

const struct fed_settings *fed_client_config_settings(void) { return &settings; }

static int check_clients(const struct fed_client_config *config, const struct fed_settings_source *source,
                         struct fed_error *err) {
    static const char count[] = "clients.count";
    bool split = config->partition.kind != FED_PARTITION_NONE;
    if (split != fed_settings_given(source, "seed")) {
        return fed_settings_refuse(
            source, "seed", err, split ? "missing, data.partition needs the task's seed" : "goes only with data.partition");
    }
    if (!split && config->n_clients > 1) {
        return fed_settings_refuse(source, count, err,
                                   "found %llu, expected 1: without data.partition the file is the shard of one client",
                                   (unsigned long long)config->n_clients);
    }
    bool counted = split && config->partition.clients > 0; /* else the groups in the data will be counted */
    if (counted && config->first_client + config->n_clients > config->partition.clients) {
        return fed_settings_refuse(source, count, err, "found %llu from client %llu on, expected at most %u clients in all",
                                   (unsigned long long)config->n_clients, (unsigned long long)config->first_client,
                                   config->partition.clients);
    }
    return 0;
}

/* What the program brings must not come from the file as well, and what it does not bring has to. */
static int check_brought(const struct fed_client_config *config, const struct fed_client_brought *brought,
                         const struct fed_settings_source *source, struct fed_error *err) {
    if (config->key == NULL && !brought->key) {
        return fed_settings_refuse(source, "key", err, "missing, expected the node's key file, made by fedavg keygen");
    }
    if (config->key != NULL && brought->key) {
        return fed_settings_refuse(source, "key", err, "not expected here, the program brings the key itself");
    }
    if (fed_data_source_has_train(&config->data) && brought->data != NULL) {
        return fed_settings_refuse(source, "data.train", err, "not expected here, the program brings the data itself");
    }
    return 0;
}

static int read_config(struct draft *draft, const struct fed_client_brought *brought,
                       const struct fed_settings_source *source, struct fed_error *err) {
    struct fed_client_config *config = &draft->config;
    int code = fed_settings_read(draft, &settings, source, err);
    if (code == 0) {
        code = check_brought(config, brought, source, err);
    }
    if (code == 0) {
        config->data.given = brought->data;
        code = fed_data_section_check(&config->data, &config->partition, source, err);
    }
    if (code == 0 && !fed_data_source_has_train(&config->data)) {
        code = fed_settings_refuse(source, "data.train", err, "missing, expected %s",
                                   fed_data_section_expected(config->data.format));
    }
    if (code == 0 && source->dir == NULL && !fed_settings_given(source, "state_dir")) {
        code = fed_settings_refuse(source, "state_dir", err, "missing, expected the path of a directory, or the word none");
    }
    return code == 0 ? check_clients(config, source, err) : code;
}

int fed_client_config_read(struct fed_client_config *out, const char *path, const char *const *sets, size_t n_sets,
                           const struct fed_client_brought *brought, struct fed_error *err) {
    struct draft draft = {0};
    struct fed_settings_source source = {.file = path != NULL ? path : "settings"};
    char *dir = NULL;
    int code = fed_settings_open(&source.yaml, &dir, path, sets, n_sets, err);
    if (code != 0) {
        return code;
    }
    source.dir = dir;
    code = path != NULL ? fed_config_expect(&source.yaml, path, FED_CONFIG_CLIENT, err) : FED_OK;
    if (code == 0) {
        code = read_config(&draft, brought, &source, err);
    }
    if (code == 0 && (draft.config.path = strdup(source.file)) == NULL) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (code == 0) {
        *out = draft.config;
    } else {
        fed_client_config_fini(&draft.config);
    }
    fed_yaml_fini(&source.yaml);
    free(dir);
    return code;
}

int fed_client_config_load(struct fed_client_config *out, const char *path, const char *const *sets, size_t n_sets,
                           struct fed_error *err) {
    const struct fed_client_brought nothing = {.data = NULL};
    return fed_client_config_read(out, path, sets, n_sets, &nothing, err);
}

void fed_client_config_fini(struct fed_client_config *config) {
    free(config->path);
    free(config->coordinator);
    free(config->bulk);
    free(config->key);
    fed_data_source_fini(&config->data);
    free(config->state_dir);
    *config = (struct fed_client_config){0};
}
