/* A task, as its coordinator reads it. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/wait.h"
#include "common/base/file.h"
#include "common/config/terms.h"
#include "common/data/dataset.h"
#include "coordinator/terms.h"

#define BYTES_A_PARAMETER 40 /* committed and next model, sum, a mean, three updates on their way */

static bool look_config(struct fed_doctor *d) {
    struct fed_error err = {.text = ""};
    int rc = fed_task_load(&d->task, d->subject, NULL, 0, &err);
    if (rc == FED_OK) {
        rc = fed_model_init(&d->model, &d->task.model, &err);
    }
    if (rc != FED_OK) {
        return fed_doctor_problem(d, rc, NULL, "%s", err.text);
    }
    return fed_doctor_ok(d, "task %s: %zu parameters, %llu rounds", d->task.name, d->model.n_params,
                         (unsigned long long)d->task.algorithm.rounds);
}

static bool look_user(struct fed_doctor *d) {
    const char *user = d->task.server.user;
    if (user == NULL) {
        return true;
    }
    const struct passwd *known = getpwnam(user);
    if (known == NULL) {
        fed_doctor_problem(d, FED_ECONFIG, "make it (useradd --system), or name another", "server.user: there is no user %s",
                           user);
    } else if (geteuid() != 0 && geteuid() != known->pw_uid) {
        fed_doctor_note(d, "start the coordinator as root or as that user; this examination, too, for what follows",
                        "server.user: the coordinator will be %s, whom only root can become", user);
    } else {
        fed_doctor_ok(d, "server.user: %s is there", user);
    }
    return true;
}

static bool look_memory(struct fed_doctor *d) {
    uint64_t need = (uint64_t)d->model.n_params * BYTES_A_PARAMETER, have = fed_doctor_memory();
    char a[32], b[32];
    fed_doctor_bytes(a, need);
    fed_doctor_bytes(b, have);
    if (have > 0 && need > have) {
        return fed_doctor_note(d, "choose a machine with more, or a smaller model",
                               "a coordinator of this model takes about %s and the test data, and %s are free", a, b);
    }
    return fed_doctor_ok(d, "a coordinator of this model takes about %s and the test data", a);
}

static bool look_train(struct fed_doctor *d, uint8_t columns[32], struct fed_error *err) {
    struct fed_dataset data = {0};
    struct fed_partition partition = {0};
    int rc = fed_dataset_load(&data, &d->task.data, FED_DATA_TRAIN, err);
    if (rc == FED_OK) {
        rc = fed_dataset_fit(&data, &d->model, err);
    }
    if (rc == FED_OK && d->task.partition.kind != FED_PARTITION_NONE) {
        rc = fed_partition_make(&partition, &data, &d->task.partition, d->task.seed, err);
    }
    if (rc == FED_OK && d->task.partition.kind != FED_PARTITION_NONE) {
        rc = fed_terms_check_weights(&d->task, fed_partition_largest(&partition), err);
    }
    if (rc == FED_OK) {
        memcpy(columns, data.columns, sizeof data.columns);
        if (d->task.partition.kind != FED_PARTITION_NONE) {
            fed_doctor_ok(d, "training data: %zu examples, split over %u clients", data.n_examples, partition.n_clients);
        } else {
            fed_doctor_ok(d, "training data: %zu examples", data.n_examples);
        }
    } else {
        fed_doctor_problem(d, rc, NULL, "%s", err->text);
    }
    fed_partition_fini(&partition);
    fed_dataset_fini(&data);
    return rc == FED_OK;
}

static bool look_test(struct fed_doctor *d, const uint8_t columns[32], struct fed_error *err) {
    struct fed_dataset data = {0};
    int rc = fed_dataset_load(&data, &d->task.data, FED_DATA_TEST, err);
    if (rc == FED_OK) {
        rc = fed_dataset_check_columns(&data, columns, fed_data_source_train_path(&d->task.data), err);
    }
    if (rc == FED_OK) {
        rc = fed_dataset_fit(&data, &d->model, err);
    }
    bool good = rc == FED_OK ? fed_doctor_ok(d, "test data: %zu examples", data.n_examples)
                             : fed_doctor_problem(d, rc, NULL, "%s", err->text);
    fed_dataset_fini(&data);
    return good;
}

/* Whatever is wrong with the data, keys and addresses are worth a look. */
static bool look_data(struct fed_doctor *d) {
    struct fed_error err = {.text = ""};
    uint8_t columns[32] = {0};
    bool good = true;
    if (fed_data_source_has_train(&d->task.data)) {
        struct fed_busy *busy = fed_wait_begin(false, "reading %s", fed_data_source_train_path(&d->task.data));
        good = look_train(d, columns, &err);
        fed_wait_end(busy);
    }
    if (good && fed_data_source_has_test(&d->task.data)) {
        struct fed_busy *busy = fed_wait_begin(false, "reading %s", fed_data_source_test_path(&d->task.data));
        (void)look_test(d, columns, &err);
        fed_wait_end(busy);
    } else if (good && d->task.algorithm.target_accuracy > 0) {
        fed_doctor_problem(d, FED_ECONFIG, "give data.test, or take the target away",
                           "algorithm.target_accuracy needs data.test to be measured on");
    } else if (good) {
        fed_doctor_note(d, "give data.test where there is any", "no test data: nobody will know how good the model is");
    }
    return true;
}

/* Where there is neither key nor roster, but a split of the data, the task is one for `fedavg simulate`. */
static bool is_for_simulation(const struct fed_doctor *d) {
    return d->task.partition.kind != FED_PARTITION_NONE && access(d->task.server.key, F_OK) != 0 &&
           access(d->task.server.roster, F_OK) != 0;
}

static bool look_key(struct fed_doctor *d) {
    if (is_for_simulation(d)) {
        fed_doctor_note(d, "for real nodes: fedavg keygen coordinator, then fedavg roster add for each node",
                        "neither key nor roster: fine for fedavg simulate, which makes its own");
        return false;
    }
    (void)fed_doctor_key(d, d->task.server.key, "fedavg keygen coordinator --dir DIR makes it");
    return true;
}

/* A run of another task is what the coordinator would refuse; the whole of the terms only it can compare. */
static void look_run_in(struct fed_doctor *d, const char *dir) {
    if (!fed_doctor_store(d, dir)) {
        return;
    }
    const char *text = fed_store_task_terms(d->store);
    struct fed_task_terms terms;
    if (fed_task_terms_decode(&terms, text, strlen(text), NULL) == FED_OK && strcmp(terms.name, d->task.name) != 0) {
        fed_doctor_problem(d, FED_EMISMATCH, "name another directory with --run-dir",
                           "%s holds a run of task %s, and this is task %s", dir, terms.name, d->task.name);
    } else {
        fed_doctor_lock(d, dir);
    }
}

/* Models that are kept, one being written, and the database. */
static bool look_run_dir(struct fed_doctor *d) {
    char own[FED_NAME_MAX + 8], *database = NULL;
    uint64_t files = d->task.server.keep_last + 4;
    snprintf(own, sizeof own, "runs/%s", d->task.name);
    const char *dir = d->run_dir != NULL ? d->run_dir : own;
    bool fit =
        fed_doctor_place(d, dir, d->run_dir != NULL ? "the run directory" : "the run directory, if --run-dir names no other",
                         files * d->model.n_params * sizeof(float) + ((uint64_t)16 << 20));
    if (fed_path_join(&database, dir, "run.db") != FED_OK) {
        d->out_of_memory = true;
    } else if (fit && access(database, F_OK) == 0) {
        look_run_in(d, dir);
    }
    free(database);
    fed_store_close(d->store);
    d->store = NULL;
    return true;
}

static const struct fed_doctor_check checks[] = {
    {"configuration", look_config},  {"user", look_user}, {"memory", look_memory},       {"data", look_data},
    {"run directory", look_run_dir}, {"key", look_key},   {"roster", fed_doctor_roster}, {"addresses", fed_doctor_ports},
};

void fed_doctor_task(struct fed_doctor *doctor, const char *path) {
    doctor->subject = path;
    doctor->has_key = doctor->has_roster = false;
    doctor->n_nodes = 0;
    fed_doctor_run_checks(doctor, checks, sizeof checks / sizeof *checks);
    fed_identity_fini(&doctor->identity);
    doctor->identity = (struct fed_identity){0};
    fed_task_fini(&doctor->task);
    doctor->task = (struct fed_task){0};
}
