/* A run directory: its database, its models, and who is at work in it. */
#include <stdlib.h>

#include "cli/doctor/doctor.h"
#include "cli/wait.h"
#include "coordinator/store/store_check.h"

bool fed_doctor_store(struct fed_doctor *d, const char *dir) {
    struct fed_error err = {.text = ""};
    int rc = fed_store_open_readonly(&d->store, dir, &err);
    if (rc != FED_OK) {
        return fed_doctor_problem(d, rc == FED_ENOTFOUND ? FED_ECONFIG : rc, NULL, "%s", err.text);
    }
    struct fed_store_state state;
    rc = fed_store_state(&state, d->store, &err);
    if (rc != FED_OK) {
        return fed_doctor_problem(d, rc, NULL, "%s", err.text);
    }
    free(state.cohort);
    if (!state.has_model) {
        return fed_doctor_ok(d, "a run that has no model yet");
    }
    return fed_doctor_ok(d, "a run %s round %llu", state.finished ? "that is finished with" : "that stands at",
                         (unsigned long long)state.round);
}

bool fed_doctor_lock(struct fed_doctor *d, const char *dir) {
    long pid;
    if (!fed_store_is_locked(&pid, dir)) {
        return fed_doctor_ok(d, "no coordinator is at work in it");
    }
    return pid > 0 ? fed_doctor_ok(d, "a coordinator is at work in it, process %ld", pid)
                   : fed_doctor_ok(d, "a coordinator is at work in it");
}

static bool look_open(struct fed_doctor *d) { return fed_doctor_store(d, d->subject); }

static bool look_lock(struct fed_doctor *d) { return fed_doctor_lock(d, d->subject); }

static bool look_database(struct fed_doctor *d) {
    struct fed_error err = {.text = ""};
    struct fed_busy *busy = fed_wait_begin(false, "reading every page of the database of %s", d->subject);
    int rc = fed_store_check_database(d->store, &err);
    fed_wait_end(busy);
    return rc == FED_OK ? fed_doctor_ok(d, "run.db is whole, every page of it")
                        : fed_doctor_problem(d, rc, "restore the directory from a backup", "%s", err.text);
}

static bool look_models(struct fed_doctor *d) {
    struct fed_error err = {.text = ""};
    size_t n = 0;
    struct fed_busy *busy = fed_wait_begin(false, "digesting the models of %s", d->subject);
    int rc = fed_store_check_models(&n, d->store, &err);
    fed_wait_end(busy);
    return rc == FED_OK ? fed_doctor_ok(d,
                                        n == 1 ? "%zu model is there, and is what run.db names"
                                               : "%zu models are there, and are those that run.db names",
                                        n)
                        : fed_doctor_problem(d, rc, "restore the file from a backup", "%s", err.text);
}

static bool look_place(struct fed_doctor *d) { return fed_doctor_place(d, d->subject, "the run directory", 0); }

static const struct fed_doctor_check checks[] = {
    {"run", look_open}, {"at work", look_lock}, {"database", look_database}, {"models", look_models}, {"place", look_place},
};

void fed_doctor_run(struct fed_doctor *doctor, const char *dir) {
    doctor->subject = dir;
    fed_doctor_run_checks(doctor, checks, sizeof checks / sizeof *checks);
    fed_store_close(doctor->store);
    doctor->store = NULL;
}
