#include "cli/simulate/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/config/endpoint.h"
#include "common/config/roster_file.h"
#include "common/seal/key_file.h"

#define SOCKET_PATH_MAX 107
#define DIR_PREFIX "simulate."
#define LOCK_NAME "lock"
#define MEMORY_LEAST_MB 256
#define SOCKET_NAME_MAX sizeof "/control"

void fed_sandbox_path(char out[FED_SANDBOX_PATH], const struct fed_sandbox *sandbox, const char *name) {
    snprintf(out, FED_SANDBOX_PATH, "%s/%s", sandbox->dir, name);
}

void fed_sandbox_client_path(char out[FED_SANDBOX_PATH], const struct fed_sandbox *sandbox, uint32_t node) {
    char name[32];
    snprintf(name, sizeof name, "node-%u.yaml", node);
    fed_sandbox_path(out, sandbox, name);
}

static void remove_dir(const char *path) {
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(path);
}

void fed_sandbox_remove(struct fed_sandbox *sandbox) {
    if (sandbox->dir[0] == '\0') {
        return;
    }
    remove_dir(sandbox->dir);
    close(sandbox->lock);
    sandbox->dir[0] = '\0';
}

/* One whose lock nobody holds is left over from a simulation that was killed, with keys in it. */
static void remove_left_over(const char *path) {
    char lock[PATH_MAX + sizeof LOCK_NAME + 1];
    int fd = -1;
    snprintf(lock, sizeof lock, "%s/%s", path, LOCK_NAME);
    if (access(lock, F_OK) == 0 && fed_file_lock(&fd, lock, NULL) == FED_OK) {
        remove_dir(path);
        close(fd);
    }
}

static void remove_all_left_over(const char *run_dir) {
    char path[PATH_MAX];
    DIR *dir = opendir(run_dir);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int n = snprintf(path, sizeof path, "%s/%s", run_dir, entry->d_name);
        if (strncmp(entry->d_name, DIR_PREFIX, strlen(DIR_PREFIX)) == 0 && n > 0 && (size_t)n < sizeof path) {
            remove_left_over(path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static int make_dir(struct fed_sandbox *sandbox, const char *run_dir, bool sockets, struct fed_error *err) {
    const char *tmp = getenv("TMPDIR");
    size_t most = sockets ? SOCKET_PATH_MAX - SOCKET_NAME_MAX : sizeof sandbox->dir - 1;
    int n = snprintf(sandbox->dir, sizeof sandbox->dir, "%s/" DIR_PREFIX "XXXXXX", run_dir);
    if (sockets && (n < 0 || (size_t)n > most)) {
        n = snprintf(sandbox->dir, sizeof sandbox->dir, "%s/fedavg.XXXXXX", tmp != NULL ? tmp : "/tmp");
    }
    errno = ENAMETOOLONG;
    if (n < 0 || (size_t)n > most || mkdtemp(sandbox->dir) == NULL) {
        int rc = fed_error_set(err, FED_EIO, "%s: a temporary directory cannot be made: %s", sandbox->dir, strerror(errno));
        sandbox->dir[0] = '\0';
        return rc;
    }
    char lock[FED_SANDBOX_PATH];
    fed_sandbox_path(lock, sandbox, LOCK_NAME);
    int rc = fed_file_lock(&sandbox->lock, lock, err);
    if (rc != FED_OK) {
        remove_dir(sandbox->dir);
        sandbox->dir[0] = '\0';
    }
    return rc;
}

/* An address is this host's own name, which it cannot listen on: it listens on all. */
static int place_lanes(struct fed_sandbox *sandbox, const char *address, struct fed_error *err) {
    if (address == NULL) {
        snprintf(sandbox->control, sizeof sandbox->control, "ipc://%s/control", sandbox->dir);
        snprintf(sandbox->bulk, sizeof sandbox->bulk, "ipc://%s/bulk", sandbox->dir);
        return FED_OK;
    }
    bool tcp = strncmp(address, "tcp://", 6) == 0 && fed_endpoint_connect_valid(address);
    unsigned long port = tcp ? strtoul(strrchr(address, ':') + 1, NULL, 10) : 0;
    if (port < 1 || port > 65534) {
        return fed_error_set(
            err, FED_ECONFIG,
            "--address: found \"%.200s\", expected tcp://HOST:PORT with a port from 1 to 65534 (the next one "
            "is used too)",
            address);
    }
    snprintf(sandbox->control, sizeof sandbox->control, "tcp://*:%lu", port);
    snprintf(sandbox->bulk, sizeof sandbox->bulk, "tcp://*:%lu", port + 1);
    return FED_OK;
}

static json_t *partition_json(const struct fed_task *task) {
    const struct fed_partition_spec *spec = &task->partition;
    json_t *partition =
        json_pack("{s:s, s:I}", "kind", fed_partition_kind_name(spec->kind), "clients", (json_int_t)spec->clients);
    if (spec->kind == FED_PARTITION_SHARDS) {
        json_object_set_new(partition, "shards_per_client", json_integer((json_int_t)spec->shards_per_client));
    }
    if (fed_partition_takes_alpha(spec->kind)) {
        json_object_set_new(partition, "alpha", json_real(spec->alpha));
    }
    if (spec->examples_per_client > 0) {
        json_object_set_new(partition, "examples_per_client", json_integer((json_int_t)spec->examples_per_client));
    }
    return partition;
}

/* A path in a client file would be relative to that file. */
static int absolute(char out[PATH_MAX], const char *path, struct fed_error *err) {
    return realpath(path, out) != NULL ? FED_OK : fed_error_set(err, FED_EDATA, "%s: %s", path, strerror(errno));
}

/* NULL: not given. */
static int add_text(json_t *section, const char *key, const char *text, struct fed_error *err) {
    return text == NULL || json_object_set_new(section, key, json_string(text)) == 0
               ? FED_OK
               : fed_error_set(err, FED_EDATA, "%s: a simulation needs paths and names of columns in UTF-8", text);
}

static int add_path(json_t *section, const char *key, const char *path, struct fed_error *err) {
    char whole[PATH_MAX];
    int rc = path != NULL ? absolute(whole, path, err) : FED_OK;
    return rc == FED_OK && path != NULL ? add_text(section, key, whole, err) : rc;
}

/* Where the training data lies: a file, or a section of two. */
static int add_files(json_t *data, const struct fed_data_source *source, struct fed_error *err) {
    if (source->train != NULL) {
        return add_path(data, "train", source->train, err);
    }
    json_t *train = json_object();
    int rc = add_path(train, "images", source->train_images, err);
    if (rc == FED_OK) {
        rc = add_path(train, "features", source->train_features, err);
    }
    if (rc == FED_OK) {
        rc = add_path(train, "labels", source->train_labels, err);
    }
    json_object_set_new(data, "train", train);
    return rc;
}

/* The whole section `data`, without the test data. */
static int data_json(json_t **out, const struct fed_task *task, struct fed_error *err) {
    const struct fed_data_source *source = &task->data;
    json_t *data =
        json_pack("{s:s, s:o}", "format", fed_data_format_name(source->format), "partition", partition_json(task));
    if (data == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    if (source->format == FED_DATA_CSV) {
        json_object_set_new(data, "header", json_string(source->header ? "yes" : "no"));
    } else if (source->format == FED_DATA_TEXT || source->format == FED_DATA_ROLES) {
        json_object_set_new(data, "unroll", json_integer(source->unroll));
    }
    int rc = add_text(data, "label", source->label, err);
    if (rc == FED_OK) {
        rc = add_text(data, "group", source->group, err);
    }
    if (rc == FED_OK) {
        rc = add_files(data, source, err);
    }
    if (rc != FED_OK) {
        json_decref(data);
        return rc;
    }
    *out = data;
    return FED_OK;
}

/* An equal share of this machine: nodes keep the updates of a round in case that it is repeated, half of this at most, and a
 * cohort of many large updates must not fill the machine. */
static json_int_t memory_mb(const struct fed_sandbox_nodes *nodes) {
    if (nodes->memory_mb > 0) {
        return (json_int_t)nodes->memory_mb;
    }
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    json_int_t all = pages > 0 && page > 0 ? (json_int_t)pages / 1024 * page / 1024 : 0, share = all / nodes->n;
    return share > MEMORY_LEAST_MB ? share : MEMORY_LEAST_MB;
}

/* JSON is YAML, and quotes every path as it must be quoted. */
static int write_client(const struct fed_sandbox *sandbox, const struct fed_task *task, uint32_t node,
                        const struct fed_sandbox_nodes *nodes, const char *coordinator_line, struct fed_error *err) {
    char path[FED_SANDBOX_PATH], key[FED_SANDBOX_PATH], name[32];
    json_t *data = NULL;
    int rc = data_json(&data, task, err);
    if (rc != FED_OK) {
        return rc;
    }
    snprintf(name, sizeof name, "node-%u.key", node);
    fed_sandbox_path(key, sandbox, name);
    json_t *client = json_pack(
        "{s:i, s:s, s:s, s:s, s:I, s:I, s:o, s:{s:i, s:I}, s:{s:I, s:I, s:I, s:I}, s:s}", "schema", 1, "coordinator",
        nodes->address != NULL ? nodes->address : sandbox->control, "coordinator_key", coordinator_line, "key", key,
        "workers", (json_int_t)nodes->threads, "seed", (json_int_t)task->seed, "data", data, "clients", "first", 0, "count",
        (json_int_t)task->partition.clients, "limits", "max_epochs", (json_int_t)1000000, "max_model_mb",
        (json_int_t)1048576, "max_train_s", (json_int_t)86400, "memory_mb", memory_mb(nodes), "state_dir", "none");
    char *text = client != NULL ? json_dumps(client, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(client);
    if (text == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    fed_sandbox_client_path(path, sandbox, node);
    const struct iovec part = {text, strlen(text)};
    rc = fed_file_replace(path, &part, 1, 0600, err);
    free(text);
    return rc;
}

static int create_identity(char line[FED_PUBLIC_LINE_MAX], struct fed_public_keys *keys, const struct fed_sandbox *sandbox,
                           const char *name, struct fed_error *err) {
    char path[FED_SANDBOX_PATH];
    struct fed_identity identity = {0};
    fed_sandbox_path(path, sandbox, name);
    int rc = fed_identity_create(&identity, path, NULL, err);
    if (rc == FED_OK) {
        *keys = identity.public_keys;
        fed_public_line(line, keys);
    }
    fed_identity_fini(&identity);
    return rc;
}

static int fill(struct fed_sandbox *sandbox, const struct fed_task *task, const struct fed_sandbox_nodes *nodes,
                struct fed_error *err) {
    char line[FED_PUBLIC_LINE_MAX], ignored[FED_PUBLIC_LINE_MAX], path[FED_SANDBOX_PATH], name[32];
    struct fed_public_keys keys;
    struct fed_roster_file roster = {calloc(sandbox->n_nodes, sizeof *roster.entries), sandbox->n_nodes};
    int rc = roster.entries != NULL ? create_identity(line, &keys, sandbox, "coordinator.key", err)
                                    : fed_error_set(err, FED_ENOMEM, "not enough memory");
    for (uint32_t i = 0; rc == FED_OK && i < sandbox->n_nodes; i++) {
        struct fed_roster_entry *entry = &roster.entries[i];
        snprintf(entry->name, sizeof entry->name, "node-%u", i);
        entry->n_clients = task->partition.clients;
        entry->partial_sums = true;
        snprintf(name, sizeof name, "node-%u.key", i);
        rc = create_identity(ignored, &entry->keys, sandbox, name, err);
        if (rc == FED_OK) {
            rc = write_client(sandbox, task, i, nodes, line, err);
        }
    }
    if (rc == FED_OK) {
        fed_sandbox_path(path, sandbox, "roster");
        rc = fed_roster_file_save(&roster, path, err);
    }
    fed_roster_file_fini(&roster);
    return rc;
}

int fed_sandbox_new(struct fed_sandbox *out, const char *run_dir, const struct fed_task *task,
                    const struct fed_sandbox_nodes *nodes, struct fed_error *err) {
    struct fed_sandbox sandbox = {.n_nodes = nodes->n};
    int rc = fed_file_make_dirs(run_dir, err);
    if (rc == FED_OK) {
        remove_all_left_over(run_dir);
        rc = make_dir(&sandbox, run_dir, nodes->address == NULL, err);
    }
    if (rc == FED_OK) {
        rc = place_lanes(&sandbox, nodes->address, err);
    }
    if (rc == FED_OK) {
        rc = fill(&sandbox, task, nodes, err);
    }
    if (rc != FED_OK) {
        fed_sandbox_remove(&sandbox);
        return rc;
    }
    *out = sandbox;
    return FED_OK;
}
