/* What a client is told before it is opened: taken note of here, judged by fedavg_client_open. */
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "common/base/utf8.h"

static int no_memory(struct fedavg_client *client) { return fed_error_set(&client->err, FEDAVG_ENOMEM, "out of memory"); }

int fedavg_client_load(struct fedavg_client *client, const char *path) {
    int rc = fed_handle_enter_closed(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    char *copy = path != NULL ? strdup(path) : NULL;
    if (path != NULL && copy == NULL) {
        return fed_handle_leave(client, no_memory(client));
    }
    free(client->path);
    client->path = copy;
    return fed_handle_leave(client, FEDAVG_OK);
}

static int add_set(struct fedavg_client *client, const char *name, const char *value) {
    if (name == NULL || name[0] == '\0' || strchr(name, '=') != NULL || !fed_utf8_one_line(name)) {
        return fed_error_set(&client->err, FEDAVG_EINVAL, "a setting has a name, such as limits.max_epochs");
    }
    if (value == NULL) {
        value = "null"; /* as --set takes a value back */
    }
    size_t n_name = strlen(name), n = n_name + 1 + strlen(value) + 1;
    char *set = malloc(n);
    char **grown = realloc(client->sets, (client->n_sets + 1) * sizeof *grown);
    if (grown != NULL) {
        client->sets = grown;
    }
    if (set == NULL || grown == NULL) {
        free(set);
        return no_memory(client);
    }
    memcpy(set, name, n_name);
    set[n_name] = '=';
    memcpy(set + n_name + 1, value, n - n_name - 1);
    client->sets[client->n_sets++] = set;
    return FEDAVG_OK;
}

int fedavg_client_set(struct fedavg_client *client, const char *name, const char *value) {
    int rc = fed_handle_enter_closed(client);
    return rc != FEDAVG_OK ? rc : fed_handle_leave(client, add_set(client, name, value));
}

int fedavg_client_set_seed(struct fedavg_client *client, const uint8_t seed[FEDAVG_SEED_BYTES]) {
    int rc = fed_handle_enter_closed(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    struct fed_identity identity = {0};
    if (seed == NULL) {
        rc = fed_error_set(&client->err, FEDAVG_EINVAL, "a seed is %d random bytes", FEDAVG_SEED_BYTES);
    } else {
        rc = fed_seal_setup(&client->err);
    }
    if (rc == FEDAVG_OK && fed_identity_from_seed(&identity, seed) != FED_OK) {
        rc = fed_error_set(&client->err, FEDAVG_ENOMEM, "no memory for a secret key");
    }
    if (rc == FEDAVG_OK) {
        fed_identity_fini(&client->identity);
        client->identity = identity;
        client->has_seed = true;
    }
    return fed_handle_leave(client, rc);
}

int fedavg_client_set_passphrase(struct fedavg_client *client,
                                 int (*ask)(void *context, const char *key_file, char *passphrase, size_t size),
                                 void *context) {
    int rc = fed_handle_enter_closed(client);
    if (rc == FEDAVG_OK) {
        client->ask = ask;
        client->ask_context = context;
        fed_handle_leave(client, rc);
    }
    return rc;
}

/* -- data -------------------------------------------------------------------------------------------------------------- */

/* The struct as it was first published; what was added since is zero in older programs. */
#define DATA_FIRST_SIZE (offsetof(struct fedavg_data, context) + sizeof(void *))

/* A newer program may know members that are unknown here, and must not mean anything by them. */
static int read_sized(struct fedavg_data *out, const struct fedavg_data *data, struct fed_error *err) {
    size_t size = data->size;
    if (size < DATA_FIRST_SIZE || size > 4096) {
        return fed_error_set(err, FEDAVG_EINVAL,
                             "struct fedavg_data: its size is %zu, expected sizeof(struct fedavg_data), %zu", size,
                             sizeof *data);
    }
    *out = (struct fedavg_data){.size = sizeof *out};
    for (size_t i = sizeof *out; i < size; i++) {
        if (((const uint8_t *)data)[i] != 0) {
            return fed_error_set(err, FEDAVG_EINVAL,
                                 "struct fedavg_data: holds something that libfedavg-client %s does not know", FED_VERSION);
        }
    }
    memcpy(out, data, size < sizeof *out ? size : sizeof *out);
    return FEDAVG_OK;
}

static int take_data(struct fed_given *out, const struct fedavg_data *given, struct fed_error *err) {
    struct fedavg_data data;
    int rc = read_sized(&data, given, err);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    if (data.feature_type != FEDAVG_U8 && data.feature_type != FEDAVG_F32) {
        return fed_error_set(err, FEDAVG_EINVAL, "struct fedavg_data: feature_type is %d, expected FEDAVG_U8 or FEDAVG_F32",
                             data.feature_type);
    }
    if (data.label_type < FEDAVG_U8 || data.label_type > FEDAVG_F32) {
        return fed_error_set(err, FEDAVG_EINVAL, "struct fedavg_data: label_type is %d, expected one of enum fedavg_type",
                             data.label_type);
    }
    if (data.labels == NULL) {
        return fed_error_set(err, FEDAVG_EINVAL, "struct fedavg_data: there are no labels");
    }
    if ((data.features == NULL) == (data.read == NULL)) {
        return fed_error_set(err, FEDAVG_EINVAL, "struct fedavg_data: either features or read has to be there, %s found",
                             data.read == NULL ? "none" : "both");
    }
    uint64_t bytes;
    if (data.n_examples > SIZE_MAX || __builtin_mul_overflow(data.n_examples, (uint64_t)data.n_features * 8, &bytes) ||
        __builtin_mul_overflow(data.n_examples, (uint64_t)data.n_labels * 8, &bytes)) {
        return fed_error_set(err, FEDAVG_EINVAL, "struct fedavg_data: more than memory can hold");
    }
    *out = (struct fed_given){.name = "the application's data",
                              .n_examples = (size_t)data.n_examples,
                              .n_features = data.n_features,
                              .n_labels = data.n_labels,
                              .feature_type = (enum fed_given_type)data.feature_type,
                              .label_type = (enum fed_given_type)data.label_type,
                              .features = data.features,
                              .labels = data.labels,
                              .read = data.read,
                              .context = data.context};
    return FEDAVG_OK;
}

_Static_assert((int)FEDAVG_U8 == (int)FED_GIVEN_U8 && (int)FEDAVG_I32 == (int)FED_GIVEN_I32 &&
                   (int)FEDAVG_U32 == (int)FED_GIVEN_U32 && (int)FEDAVG_I64 == (int)FED_GIVEN_I64 &&
                   (int)FEDAVG_F32 == (int)FED_GIVEN_F32,
               "a public type is the one inside");

int fedavg_client_set_data(struct fedavg_client *client, const struct fedavg_data *data) {
    int rc = fed_handle_enter_closed(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    if (data != NULL) {
        rc = take_data(&client->data, data, &client->err);
    }
    if (rc == FEDAVG_OK) {
        client->has_data = data != NULL;
    }
    return fed_handle_leave(client, rc);
}

/* -- who hears ---------------------------------------------------------------------------------------------------------- */

int fedavg_client_set_events(struct fedavg_client *client, void (*hear)(void *context, const struct fedavg_event *event),
                             void *context) {
    int rc = fed_handle_enter_closed(client);
    if (rc == FEDAVG_OK) {
        client->hear = hear;
        client->hear_context = context;
        fed_handle_leave(client, rc);
    }
    return rc;
}

int fedavg_client_set_log(struct fedavg_client *client, int level, void (*take)(void *context, int level, const char *line),
                          void *context) {
    int rc = fed_handle_enter_closed(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    if (level < FEDAVG_LOG_ERROR || level > FEDAVG_LOG_DEBUG) {
        rc = fed_error_set(&client->err, FEDAVG_EINVAL, "log level %d, expected one of enum fedavg_log_level", level);
    } else {
        client->take = take;
        client->take_context = context;
        client->own_log.least = client->training_log.least = (enum fed_log_level)level;
    }
    return fed_handle_leave(client, rc);
}

int fedavg_client_allow(struct fedavg_client *client, unsigned permissions) {
    int rc = fed_handle_enter_closed(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    if ((permissions & ~(unsigned)FEDAVG_ALLOW_OPENBLAS) != 0) {
        rc = fed_error_set(&client->err, FEDAVG_EINVAL, "permissions %#x, expected a sum of enum fedavg_permission",
                           permissions);
    } else {
        client->permissions = permissions;
    }
    return fed_handle_leave(client, rc);
}
