/* What is needed before anybody starts. What is wrong with the task, its data or the options is found here, while there is
 * one process that says so. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/simulate/simulate.h"
#include "common/base/file.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/seal/keys.h"

static int check_task(const struct fed_simulation *s, struct fed_error *err) {
    if (s->task.partition.kind == FED_PARTITION_NONE || !fed_data_source_has_train(&s->task.data)) {
        return fed_error_set(err, FED_ECONFIG, "%s: data.train and data.partition are needed to simulate clients",
                             s->task_path);
    }
    return FED_OK;
}

/* With kind: natural the data may say how many clients there are, and the roster has to name them. */
static int count_clients(struct fed_simulation *s, struct fed_error *err) {
    struct fed_dataset data = {0};
    if (s->task.partition.clients > 0) {
        return FED_OK;
    }
    struct fed_busy *wait = fed_wait_begin(s->quiet, "reading %s", fed_data_source_train_path(&s->task.data));
    int rc = fed_dataset_load(&data, &s->task.data, FED_DATA_TRAIN, err);
    if (rc == FED_OK) {
        rc = fed_partition_clients(&s->task.partition.clients, &data, &s->task.partition, err);
    }
    fed_wait_end(wait);
    fed_dataset_fini(&data);
    return rc;
}

static int find_programs(struct fed_simulation *s, struct fed_error *err) {
    ssize_t n = readlink("/proc/self/exe", s->bin, sizeof s->bin - 1);
    char *slash = n > 0 ? memrchr(s->bin, '/', (size_t)n) : NULL;
    if (slash == NULL) {
        return fed_error_set(err, FED_EFAILED, "the programs beside this one cannot be found: %s", strerror(errno));
    }
    *slash = '\0';
    return FED_OK;
}

static int name_run_dir(struct fed_simulation *s, struct fed_error *err) {
    char relative[FED_NAME_MAX + 8];
    snprintf(relative, sizeof relative, "runs/%s", s->task.name);
    const char *dir = s->run_dir_flag != NULL ? s->run_dir_flag : relative;
    s->made_run_dir = access(dir, F_OK) != 0;
    int rc = fed_file_make_dirs(dir, err);
    if (rc != FED_OK) {
        return rc;
    }
    return realpath(dir, s->run_dir) != NULL ? FED_OK : fed_error_set(err, FED_EIO, "%s: %s", dir, strerror(errno));
}

int fed_simulation_prepare(struct fed_simulation *s, struct fed_error *err) {
    int rc = fed_task_load(&s->task, s->task_path, s->sets, s->n_sets, err);
    if (rc == FED_OK) {
        rc = check_task(s, err);
    }
    if (rc == FED_OK) {
        rc = count_clients(s, err);
    }
    if (rc == FED_OK) {
        rc = fed_seal_setup(err);
    }
    if (rc == FED_OK) {
        rc = find_programs(s, err);
    }
    if (rc == FED_OK) {
        rc = name_run_dir(s, err);
    }
    if (rc == FED_OK) {
        rc = fed_sandbox_new(&s->sandbox, s->run_dir, &s->task,
                             &(struct fed_sandbox_nodes){.n = (uint32_t)s->nodes,
                                                         .threads = (uint32_t)s->threads,
                                                         .memory_mb = s->node_memory_mb,
                                                         .address = s->address},
                             err);
    }
    return rc;
}
