/* What a start can check without touching the run directory: the arithmetic, the model, the key, the roster, the data. */
#include <string.h>

#include "common/base/busy.h"
#include "common/base/log.h"
#include "common/config/roster_file.h"
#include "common/numeric/blas.h"
#include "common/numeric/kernels.h"
#include "common/seal/key_file.h"
#include "coordinator/http/partition_file.h"
#include "coordinator/start_internal.h"

/* Without test data there is nothing to compute here, and OpenBLAS is wanted on the nodes alone. */
static int choose_kernels(struct fed_coordinator *c, struct fed_error *err) {
    if (c->task->algorithm.math == FED_MATH_EXACT || !fed_data_source_has_test(&c->task->data)) {
        return fed_kernels_choose(&c->kernels, err);
    }
    int rc = fed_blas_kernels(&c->kernels, err);
    if (rc == FED_OK) {
        FED_INFO("evaluator", "evaluates with OpenBLAS", FED_STR("core", fed_blas_core()));
    }
    return rc;
}

static int load_roster(struct fed_coordinator *c, struct fed_error *err) {
    const struct fed_server *server = &c->task->server;
    struct fed_roster_file file = {0};
    struct fed_roster *roster = NULL;
    int rc =
        fed_roster_live_new(&c->roster_live, server->roster, server->has_enrolment_key ? server->enrolment_key : NULL, err);
    if (rc == FED_OK) {
        rc = fed_roster_live_load(&file, c->roster_live, err);
    }
    if (rc != FED_OK) {
        return rc;
    }
    if (fed_roster_new(&roster, &file) != FED_OK || fed_nodes_init(&c->nodes, &roster) != FED_OK) {
        rc = fed_error_set(err, FED_ENOMEM, "not enough memory for the roster");
    }
    fed_roster_free(roster);
    fed_roster_file_fini(&file);
    if (rc == FED_OK && fed_refusals_new(&c->refusals, c->nodes.n_nodes) != FED_OK) {
        rc = fed_error_set(err, FED_ENOMEM, "not enough memory for the roster");
    }
    return rc;
}

/* columns: zeros, or those of the training data. */
static int load_partition(struct fed_coordinator *c, uint8_t columns[32], struct fed_error *err) {
    const struct fed_task *task = c->task;
    if (task->partition.kind == FED_PARTITION_NONE || !fed_data_source_has_train(&task->data)) {
        return FED_OK;
    }
    struct fed_dataset train = {0};
    struct fed_busy *busy = fed_busy_log("data", "reading and splitting %s", fed_data_source_train_path(&task->data));
    int rc = fed_dataset_load(&train, &task->data, FED_DATA_TRAIN, err);
    if (rc == FED_OK) {
        rc = fed_dataset_fit(&train, &c->model, err);
    }
    if (rc == FED_OK) {
        rc = fed_partition_make(&c->partition, &train, &task->partition, task->seed, err);
    }
    fed_busy_end(busy);
    if (rc == FED_OK && (train.n_dropped > 0 || train.n_too_short > 0)) {
        FED_INFO("data", "left out", FED_U64("characters", train.n_dropped), FED_U64("roles_too_short", train.n_too_short));
    }
    c->has_partition = rc == FED_OK;
    if (rc == FED_OK && fed_partition_text(&c->partition_text, &train, &c->partition) == FED_ENOMEM) {
        rc = fed_error_set(err, FED_ENOMEM, "not enough memory for the partition");
    }
    memcpy(columns, train.columns, sizeof train.columns);
    fed_dataset_fini(&train);
    return rc;
}

static int load_test(struct fed_coordinator *c, const uint8_t columns[32], struct fed_error *err) {
    const struct fed_task *task = c->task;
    if (!fed_data_source_has_test(&task->data)) {
        return task->algorithm.target_accuracy > 0
                   ? fed_error_set(err, FED_ECONFIG, "%s: algorithm.target_accuracy needs data.test to be measured on",
                                   task->path)
                   : FED_OK;
    }
    struct fed_busy *busy = fed_busy_log("data", "reading %s", fed_data_source_test_path(&task->data));
    int rc = fed_dataset_load(&c->test, &task->data, FED_DATA_TEST, err);
    if (rc == FED_OK) {
        rc = fed_dataset_check_columns(&c->test, columns, fed_data_source_train_path(&task->data), err);
    }
    if (rc == FED_OK) {
        rc = fed_dataset_fit(&c->test, &c->model, err);
    }
    fed_busy_end(busy);
    c->has_test = rc == FED_OK;
    return rc;
}

int fed_start_world(struct fed_coordinator *c, struct fed_error *err) {
    uint8_t columns[32] = {0};
    int rc = choose_kernels(c, err);
    if (rc == FED_OK) {
        rc = fed_model_init(&c->model, &c->task->model, err);
    }
    if (rc == FED_OK) {
        rc = fed_identity_unlock(&c->identity, c->task->server.key, c->options.passphrase_file, err);
    }
    if (rc == FED_OK) {
        struct fed_busy *busy = fed_busy_log("roster", "reading and verifying %s", c->task->server.roster);
        rc = load_roster(c, err);
        fed_busy_end(busy);
    }
    if (rc == FED_OK) {
        rc = load_partition(c, columns, err);
    }
    return rc == FED_OK ? load_test(c, columns, err) : rc;
}
