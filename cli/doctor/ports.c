/* The addresses that a task's coordinator binds: free, or held by a coordinator with this task's key, or by somebody else.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/knock.h"
#include "cli/fetch.h"
#include "common/link/link.h"
#include "coordinator/coordinator.h"
#include "coordinator/store/status_report.h"

#define FRAME_MAX 65536

struct ports {
    struct fed_doctor *d;
    struct fed_link *link;
    struct fed_identity stranger; /* nobody knows this one */
    bool at_work;                 /* our coordinator holds the control lane */
};

/* The address at which this machine reaches what it binds: "tcp://127.0.0.1:5600" for "tcp://" and any address. */
static void reach(char out[512], const char *endpoint) {
    static const char *const any[] = {"tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"};
    snprintf(out, 512, "%s", endpoint);
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        if (strncmp(endpoint, any[i], strlen(any[i])) == 0) {
            snprintf(out, 512, "tcp://127.0.0.1:%s", endpoint + strlen(any[i]));
        }
    }
}

/* Somebody holds the address of a lane whose peers prove who they are. */
static bool look_who(struct ports *p, const char *key, const char *endpoint) {
    enum fed_knock who = FED_KNOCK_OTHER;
    struct fed_error err = {.text = ""};
    char target[512];
    reach(target, endpoint);
    if (!p->d->has_key) {
        return fed_doctor_problem(p->d, FED_EADDRESS, "with the coordinator's key at hand this could be told",
                                  "%s: %s is in use, by whom cannot be told", key, endpoint);
    }
    int rc = fed_knock(&who, p->link, target, &p->stranger, p->d->identity.public_keys.curve, &err);
    if (rc != FED_OK) {
        return fed_doctor_problem(p->d, rc, NULL, "%s: %s", key, err.text);
    }
    if (who == FED_KNOCK_REFUSED || who == FED_KNOCK_WELCOME) {
        return fed_doctor_ok(p->d, "%s: a coordinator with this task's key is at work on %s", key, endpoint);
    }
    return fed_doctor_problem(p->d, FED_EADDRESS, "end it, or choose another port (ss -ltnp tells who it is)",
                              "%s: somebody else holds %s%s", key, endpoint,
                              who == FED_KNOCK_OTHER ? ": it does not have this task's key" : "");
}

static bool look_at_lane(struct ports *p, const char *key, const char *endpoint, bool proves) {
    struct fed_lane *lane = NULL;
    struct fed_error err = {.text = ""};
    int rc = proves ? fed_lane_bind_control(&lane, p->link, endpoint, &p->stranger, FRAME_MAX, &err)
                    : fed_lane_bind_bulk(&lane, p->link, endpoint, FRAME_MAX, &err);
    fed_lane_close(lane);
    if (rc == FED_OK) {
        return fed_doctor_ok(p->d, "%s: %s is free", key, endpoint) && false;
    }
    if (rc != FED_EADDRESS || strstr(err.text, "in use") == NULL) {
        return fed_doctor_problem(p->d, rc, NULL, "%s: %s", key, err.text);
    }
    if (proves) {
        return look_who(p, key, endpoint);
    }
    if (p->at_work) {
        return fed_doctor_ok(p->d, "%s: %s is in use, as it is while the coordinator works", key, endpoint);
    }
    return fed_doctor_problem(p->d, FED_EADDRESS, "end it, or choose another port (ss -ltnp tells who it is)",
                              "%s: somebody else holds %s", key, endpoint);
}

/* 0: it can be bound. */
static int try_http(const char *address) {
    char host[256];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    const char *colon = strrchr(address, ':');
    bool bracketed = address[0] == '[';
    const int on = 1;
    if (colon == NULL) {
        return EINVAL;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - address) - 2 * bracketed, address + bracketed);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        return EADDRNOTAVAIL;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), why = 0;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0) {
        why = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    freeaddrinfo(found);
    return why;
}

/* Another version than ours may be at work since before an upgrade. */
static void look_at_version(struct fed_doctor *d, const char *base) {
    static const char label[] = "fedavg_build_info{version=\"";
    char *bytes = NULL, *text;
    size_t n;
    if (fed_fetch(&bytes, &n, base, "/metrics", NULL) != FED_OK) {
        return;
    }
    const char *at = memmem(bytes, n, label, strlen(label));
    const char *begin = at != NULL ? at + strlen(label) : NULL;
    const char *end = begin != NULL ? memchr(begin, '"', n - (size_t)(begin - bytes)) : NULL;
    text = end != NULL ? strndup(begin, (size_t)(end - begin)) : NULL;
    if (text != NULL && strcmp(text, FED_VERSION) == 0) {
        fed_doctor_ok(d, "the coordinator at work is of version %s, as this program", text);
    } else if (text != NULL) {
        fed_doctor_note(d, "restart it at the next occasion: it goes on where it was",
                        "the coordinator at work is of version %.32s, this program of " FED_VERSION, text);
    }
    free(text);
    free(bytes);
}

/* A page that is in use is ours where it tells of this task. */
static bool look_at_page(struct fed_doctor *d, const char *address) {
    struct fed_status_report report;
    struct fed_error err = {.text = ""};
    char base[512], *bytes = NULL;
    size_t n;
    snprintf(base, sizeof base, "http://%s", address);
    int rc = fed_fetch(&bytes, &n, base, "/api/v1/status", &err);
    if (rc == FED_OK) {
        rc = fed_status_report_decode(&report, bytes, n, &err);
        free(bytes);
    }
    if (rc == FED_OK && strcmp(report.name, d->task.name) == 0) {
        look_at_version(d, base);
        return fed_doctor_ok(d, "server.http: the coordinator of this task answers at http://%s: %s, round %llu", address,
                             report.state, (unsigned long long)report.round);
    }
    return rc == FED_OK ? fed_doctor_problem(d, FED_EADDRESS, "choose another port", "server.http: %s is held by the run %s",
                                             address, report.name)
                        : fed_doctor_problem(d, FED_EADDRESS, "end it, or choose another port (ss -ltnp tells who it is)",
                                             "server.http: somebody else holds %s", address);
}

static void look_at_http(const struct ports *p) {
    struct fed_doctor *d = p->d;
    const char *address = d->task.server.http;
    char endpoint[512];
    if (address == NULL) {
        fed_doctor_note(d, "http: \"127.0.0.1:5680\" in section server", "server.http is not given: no page, no metrics");
        return;
    }
    bool is_path = strncmp(address, "unix:", 5) == 0;
    snprintf(endpoint, sizeof endpoint, "ipc://%s", address + 5 * is_path);
    int why = !is_path ? try_http(address) : fed_knock_is_taken(endpoint) ? EADDRINUSE : 0;
    if (why == 0) {
        fed_doctor_ok(d, "server.http: %s is free", address);
    } else if (why == EADDRINUSE && is_path && p->at_work) {
        fed_doctor_ok(d, "server.http: %s is in use, as it is while the coordinator works", address);
    } else if (why == EADDRINUSE && !is_path) {
        (void)look_at_page(d, address);
    } else {
        fed_doctor_problem(d, FED_EADDRESS, "name an address of this machine that nobody uses, and a port above 1023",
                           "server.http: %s: %s", address, strerror(why));
    }
}

bool fed_doctor_ports(struct fed_doctor *d) {
    const struct fed_server *server = &d->task.server;
    struct ports ports = {.d = d};
    struct fed_error err = {.text = ""};
    int rc = fed_link_new(&ports.link, 1, (int)d->n_nodes + FED_SPARE_PEERS, NULL, &err);
    if (rc == FED_OK) {
        rc = fed_identity_generate(&ports.stranger, &err);
    }
    if (rc != FED_OK) {
        fed_doctor_problem(d, rc, NULL, "%s", err.text);
        fed_link_free(ports.link);
        return true;
    }
    ports.at_work = look_at_lane(&ports, "server.control", server->control, true);
    (void)look_at_lane(&ports, "server.bulk", server->bulk, false);
    if (server->enrol != NULL) {
        (void)look_at_lane(&ports, "server.enrol", server->enrol, true);
    }
    look_at_http(&ports);
    fed_identity_fini(&ports.stranger);
    fed_link_free(ports.link);
    return true;
}
