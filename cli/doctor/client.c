/* A client file, as fedavg-client reads it, and its way to the coordinator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/knock.h"
#include "cli/wait.h"
#include "client/host.h"
#include "client/sent_log.h"
#include "client/session.h"
#include "common/data/dataset.h"

#define CHECK_S 20 /* until WELCOME */
#define STATE_BYTES ((uint64_t)16 << 20)

static bool look_config(struct fed_doctor *d) {
    struct fed_error err = {.text = ""};
    const struct fed_client_config *c = &d->client;
    int rc = fed_client_config_load(&d->client, d->subject, NULL, 0, &err);
    if (rc != FED_OK) {
        return fed_doctor_problem(d, rc, NULL, "%s", err.text);
    }
    const char *name = c->name[0] != '\0' ? c->name : "a node";
    if (c->n_clients > 1) {
        return fed_doctor_ok(d, "%s hosts clients %llu-%llu of %s", name, (unsigned long long)c->first_client,
                             (unsigned long long)(c->first_client + c->n_clients - 1), c->coordinator);
    }
    return fed_doctor_ok(d, "%s hosts client %llu of %s", name, (unsigned long long)c->first_client, c->coordinator);
}

/* Whether the data fits is the task's to say, which is known once the coordinator has welcomed us. */
static bool look_data(struct fed_doctor *d) {
    const struct fed_data_source *source = &d->client.data;
    const char *path = fed_data_source_train_path(source);
    struct fed_error err = {.text = ""};
    struct fed_dataset data = {0};
    struct stat info;
    struct fed_busy *busy = fed_wait_begin(false, "reading %s", path);
    int rc = fed_dataset_load(&data, source, FED_DATA_TRAIN, &err);
    fed_wait_end(busy);
    if (rc != FED_OK) {
        return fed_doctor_problem(d, rc, NULL, "%s", err.text) || true;
    }
    fed_doctor_ok(d, "%s: %zu examples of %u numbers", path, data.n_examples, data.n_features);
    fed_dataset_fini(&data);
    if (stat(path, &info) == 0 && (info.st_mode & S_IROTH) != 0) {
        fed_doctor_note(d, "chmod o-r, if they are private", "%s: every user of this machine may read the data", path);
    }
    return true;
}

static bool look_memory(struct fed_doctor *d) {
    uint64_t have = fed_doctor_memory(), may = d->client.limits.memory_mb << 20;
    char a[32], b[32];
    fed_doctor_bytes(a, may);
    fed_doctor_bytes(b, have);
    if (have > 0 && may > have) {
        return fed_doctor_note(d, "lower limits.memory_mb, so that larger work is declined instead",
                               "limits.memory_mb allows %s, and %s are free", a, b);
    }
    return fed_doctor_ok(d, "limits.memory_mb allows %s, and %s are free", a, b);
}

static bool look_state(struct fed_doctor *d) {
    if (d->client.state_dir == NULL) {
        return fed_doctor_note(d, "give state_dir, for the record sent.log",
                               "state_dir is none: nobody records what is sent");
    }
    (void)fed_doctor_place(d, d->client.state_dir, "state_dir", STATE_BYTES);
    return true;
}

static bool look_key(struct fed_doctor *d) {
    return fed_doctor_key(d, d->client.key, "fedavg keygen NAME --dir DIR makes it; NAME.pub goes to the operator");
}

/* What `fedavg-client --check` does, but not for ever, and without a line in sent.log. */
static int say_hello(struct fed_doctor *d, struct fed_error *err) {
    struct fed_client_config config = d->client; /* borrows its texts */
    struct itimerspec patience = {.it_value.tv_sec = CHECK_S};
    struct fed_link *link = NULL;
    struct fed_host *host = NULL;
    struct fed_session *session = NULL;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    config.state_dir = NULL;
    int rc = timer >= 0 && timerfd_settime(timer, 0, &patience, NULL) == 0
                 ? fed_host_new(&host, &config, NULL, err)
                 : fed_error_set(err, FED_EFAILED, "no timer can be had");
    if (rc == FED_OK) {
        rc = fed_link_new(&link, 1, 16, NULL, err);
    }
    if (rc == FED_OK) {
        struct fed_session_options options = {.check = true, .stop_fd = timer};
        rc = fed_session_new(&session, link, host, &d->identity, &config, &options, err);
    }
    if (rc == FED_OK) {
        rc = fed_session_run(session, err);
    }
    if (rc == FED_EINTERRUPTED) {
        rc = fed_error_set(err, FED_EPEER, "%s: the coordinator does not answer within %d s", config.coordinator, CHECK_S);
    }
    fed_session_free(session);
    fed_host_free(host);
    fed_link_free(link);
    if (timer >= 0) {
        close(timer);
    }
    return rc;
}

static bool look_welcome(struct fed_doctor *d) {
    struct fed_error err = {.text = ""};
    if (d->client.state_dir == NULL || fed_sent_log_in_use(d->client.state_dir)) {
        return fed_doctor_ok(d, "%s holds the key that coordinator_key names, and lets this node in%s",
                             d->client.coordinator,
                             d->client.state_dir != NULL ? "; the client is at work, so nothing more was asked" : "");
    }
    int rc = say_hello(d, &err);
    return rc == FED_OK
               ? fed_doctor_ok(d, "%s holds the key that coordinator_key names, and welcomes this node and its data",
                               d->client.coordinator)
               : fed_doctor_problem(d, rc, NULL, "%s", err.text);
}

static bool judge_knock(struct fed_doctor *d, enum fed_knock found, bool as_ourselves) {
    const char *where = d->client.coordinator;
    switch (found) {
    case FED_KNOCK_WELCOME: return look_welcome(d);
    case FED_KNOCK_REFUSED:
        return as_ourselves
                   ? fed_doctor_problem(d, FED_EPEER, "send its operator the public line of this key; fedavg roster add",
                                        "%s: this node's key is not on the coordinator's roster (or not valid now)", where)
                   : fed_doctor_ok(d, "%s holds the key that coordinator_key names", where);
    case FED_KNOCK_OTHER:
        return fed_doctor_problem(d, FED_EPEER, "check the address, then ask its operator for the right public line",
                                  "%s does not hold the key that coordinator_key names in %s", where, d->client.path);
    case FED_KNOCK_SILENT:
        return fed_doctor_problem(d, FED_EPEER, "is that the port of server.control, and is the coordinator well?",
                                  "%s takes the connection and then says nothing", where);
    case FED_KNOCK_NOBODY: break;
    }
    return fed_doctor_problem(d, FED_EPEER,
                              "is the coordinator running, is this its address, does a firewall stand between?",
                              "%s cannot be reached", where);
}

static bool look_coordinator(struct fed_doctor *d) {
    struct fed_error err = {.text = ""};
    struct fed_link *link = NULL;
    struct fed_identity stranger = {0};
    bool opened = d->identity.secret != NULL; /* else its passphrase was not given */
    enum fed_knock found;
    int rc = fed_link_new(&link, 1, 16, NULL, &err);
    if (rc == FED_OK && !opened) {
        rc = fed_identity_generate(&stranger, &err);
    }
    if (rc == FED_OK) {
        struct fed_busy *busy = fed_wait_begin(false, "knocking at %s", d->client.coordinator);
        rc = fed_knock(&found, link, d->client.coordinator, opened ? &d->identity : &stranger,
                       d->client.coordinator_key.curve, &err);
        fed_wait_end(busy);
    }
    fed_link_free(link);
    fed_identity_fini(&stranger);
    return rc == FED_OK ? judge_knock(d, found, opened) : fed_doctor_problem(d, rc, NULL, "%s", err.text);
}

static const struct fed_doctor_check checks[] = {
    {"configuration", look_config}, {"data", look_data}, {"memory", look_memory},
    {"state", look_state},          {"key", look_key},   {"coordinator", look_coordinator},
};

void fed_doctor_client(struct fed_doctor *doctor, const char *path) {
    doctor->subject = path;
    doctor->has_key = false;
    fed_doctor_run_checks(doctor, checks, sizeof checks / sizeof *checks);
    fed_identity_fini(&doctor->identity);
    doctor->identity = (struct fed_identity){0};
    fed_client_config_fini(&doctor->client);
    doctor->client = (struct fed_client_config){0};
}
