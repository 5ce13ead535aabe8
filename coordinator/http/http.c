/* libmicrohttpd's door, with http_readers. Its one thread answers from the page, and shares nothing but the readers.
 *
 * libmicrohttpd takes no connection while all its places are held, so that who holds them and says nothing, or a byte now
 * and then, would keep everybody else out. Places are kept free instead: http_places says who has to go, and its socket is
 * shut, which the library sees as a peer that has gone. */
#include "coordinator/http/http.h"

#include <microhttpd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "coordinator/http/http_api.h"
#include "coordinator/http/http_guard.h"
#include "coordinator/http/http_listen.h"
#include "coordinator/http/http_places.h"
#include "coordinator/http/http_readers.h"
#include "coordinator/http/http_rows.h"

#define IDLE_S 10u
#define CONNECTION_BYTES ((size_t)16 * 1024) /* of one request's line and headers */
#define FORWARDED_PROTO "X-Forwarded-Proto"
#define SINGLE 3                        /* headers that may be given once */
#define PIECE_BYTES ((size_t)16 * 1024) /* of a text that is made while it is sent */

struct fed_http {
    struct MHD_Daemon *daemon;
    struct fed_guard guard;
    bool listens; /* the socket is to be removed at the end */
    char url[FED_HTTP_URL_MAX];
    struct fed_page *page;
    struct fed_readers *readers;
    struct fed_places places;
};

/* -- Places -- */

static void connection_changed(void *context, struct MHD_Connection *connection, void **place,
                               enum MHD_ConnectionNotificationCode code) {
    struct fed_http *http = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) { /* its socket is still its own */
        if (*place != NULL) {
            fed_places_free(&http->places, *place);
        }
        return;
    }
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct fed_place *leaves = NULL;
    *place = fed_places_take(&http->places, fd, &leaves);
    if (leaves != NULL) {
        shutdown(leaves->fd, SHUT_RDWR);
    }
}

static void change_place(struct fed_http *http, struct MHD_Connection *connection, enum fed_place_state state) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info->socket_context != NULL) {
        fed_places_change(&http->places, info->socket_context, state);
    }
}

static void request_completed(void *context, struct MHD_Connection *connection, void **request,
                              enum MHD_RequestTerminationCode code) {
    (void)request;
    (void)code;
    change_place(context, connection, FED_PLACE_WAITS);
}

/* -- Answers -- */

struct headers {
    struct MHD_Response *response;
    bool fine;
};

static void add_header(void *context, const char *name, const char *value) {
    struct headers *headers = context;
    headers->fine = headers->fine && MHD_add_response_header(headers->response, name, value) == MHD_YES;
}

static bool add_headers(struct MHD_Response *response, const struct fed_answer *answer) {
    struct headers headers = {response, true};
    fed_answer_headers(answer, add_header, &headers);
    return headers.fine;
}

static ssize_t read_csv(void *context, uint64_t position, char *bytes, size_t room) {
    size_t n;
    (void)position;
    if (fed_csv_next(&n, context, bytes, room) != FED_OK) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_csv(void *context) { fed_csv_free(context); }

/* -- Requests -- */

/* Takes what the answer owns; NULL without memory. */
static struct MHD_Response *make_response(struct fed_answer *answer, struct fed_http *http,
                                          struct MHD_Connection *connection) {
    struct MHD_Response *response = NULL;
    if (answer->kind == FED_ANSWER_STREAM) {
        int rc = fed_readers_join(&response, http->readers, connection);
        if (rc != FED_OK) {
            fed_answer_error(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                             rc == FED_EAGAIN ? "too many read the stream already" : "out of memory");
        }
    }
    switch (answer->kind) {
    case FED_ANSWER_TEXT:
        response = MHD_create_response_from_buffer(answer->n, answer->text, MHD_RESPMEM_MUST_FREE);
        answer->text = response != NULL ? NULL : answer->text;
        break;
    case FED_ANSWER_STATIC:
        response = MHD_create_response_from_buffer(answer->n, (void *)(uintptr_t)answer->bytes, MHD_RESPMEM_PERSISTENT);
        break;
    case FED_ANSWER_FILE:
        response = MHD_create_response_from_fd64(answer->n, answer->fd);
        answer->fd = response != NULL ? -1 : answer->fd;
        break;
    case FED_ANSWER_CSV:
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_csv, answer->csv, free_csv);
        answer->csv = response != NULL ? NULL : answer->csv;
        break;
    case FED_ANSWER_STREAM: break;
    }
    return response;
}

/* Takes the answer. */
static enum MHD_Result send_answer(struct fed_http *http, struct MHD_Connection *connection, struct fed_answer *answer) {
    struct MHD_Response *response = make_response(answer, http, connection);
    enum MHD_Result result = MHD_NO; /* closes the connection */
    if (response != NULL && add_headers(response, answer)) {
        result = MHD_queue_response(connection, answer->status, response);
        if (answer->kind == FED_ANSWER_STREAM) {
            change_place(http, connection, FED_PLACE_STAYS);
        }
    }
    if (response != NULL) {
        MHD_destroy_response(response);
    }
    fed_answer_fini(answer);
    return result;
}

static const char *parameter(void *context, const char *name) {
    return MHD_lookup_connection_value(context, MHD_GET_ARGUMENT_KIND, name);
}

static const char *header(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Of headers that decide something there may be one each. */
static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    static const char *const single[] = {MHD_HTTP_HEADER_HOST, MHD_HTTP_HEADER_AUTHORIZATION, FORWARDED_PROTO};
    unsigned *counts = context;
    (void)kind;
    (void)value;
    for (size_t i = 0; i < SINGLE; i++) {
        counts[i] += strcasecmp(name, single[i]) == 0;
    }
    return MHD_YES;
}

static unsigned judge(const char **why, struct fed_http *http, struct MHD_Connection *connection) {
    static const char *const passed_on[] = {FORWARDED_PROTO,      "X-Forwarded-For", "X-Forwarded-Host",
                                            "X-Forwarded-Server", "X-Real-IP",       MHD_HTTP_HEADER_FORWARDED,
                                            MHD_HTTP_HEADER_VIA};
    unsigned counts[SINGLE] = {0};
    struct fed_guard_ask ask = {.host = header(connection, MHD_HTTP_HEADER_HOST),
                                .authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION),
                                .proto = header(connection, FORWARDED_PROTO)};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, counts);
    for (size_t i = 0; i < SINGLE; i++) {
        ask.twice = ask.twice || counts[i] > 1;
    }
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        ask.forwarded = ask.forwarded || header(connection, passed_on[i]) != NULL;
    }
    return fed_guard_judge(why, &http->guard, &ask);
}

static void find_answer(struct fed_answer *out, struct fed_http *http, struct MHD_Connection *connection, const char *path,
                        const char *method) {
    const char *known = header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH), *why = "";
    unsigned refused = judge(&why, http, connection);
    if (refused != 0) {
        fed_answer_error(out, refused, why);
        return;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        fed_answer_error(out, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
        return;
    }
    struct fed_ask ask = {path, connection, parameter};
    fed_http_api_answer(out, http->page, &ask);
    if (out->etag != NULL && known != NULL && strcmp(known, out->etag) == 0) {
        out->status = MHD_HTTP_NOT_MODIFIED;
        out->n = 0;
    }
}

/* Called once when the headers are there, again for pieces of a body (which are dropped), and once more at the end. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *body, size_t *n_body, void **request) {
    static char seen;
    struct fed_answer answer = {.fd = -1};
    (void)version;
    (void)body;
    if (*request == NULL) {
        *request = &seen;
        return MHD_YES;
    }
    if (*n_body > 0) {
        *n_body = 0;
        return MHD_YES;
    }
    find_answer(&answer, context, connection, path, method);
    change_place(context, connection, FED_PLACE_ANSWERED);
    return send_answer(context, connection, &answer);
}

/* -- Life -- */

/* Signals are the main loop's: the thread starts with all of them blocked. */
static struct MHD_Daemon *start_daemon(struct fed_http *http, int fd) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, http->guard.bound.port, NULL, NULL,
        handle, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, FED_PLACES_ROOM,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http, MHD_OPTION_NOTIFY_COMPLETED, request_completed, http,
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static int prepare(struct fed_http *http, const struct fed_http_config *config, struct fed_error *err) {
    struct fed_guard *guard = &http->guard;
    http->page = config->page;
    guard->hosts = config->hosts;
    guard->n_hosts = config->n_hosts;
    if (fed_endpoint_http_parse(&guard->bound, config->bind) != FED_OK) {
        return fed_error_set(err, FED_ECONFIG, "%s: found \"%s\", expected " FED_ENDPOINT_HTTP, config->what, config->bind);
    }
    int code = guard->n_hosts > 0 ? fed_bearer_load(&guard->bearer, config->token, err) : FED_OK;
    if (code == FED_OK && (code = fed_readers_new(&http->readers, config->page)) != FED_OK) {
        fed_error_set(err, code, "%s: out of memory", config->what);
    }
    return code;
}

int fed_http_new(struct fed_http **out, const struct fed_http_config *config, struct fed_error *err) {
    struct fed_http *http = calloc(1, sizeof *http);
    int fd = -1;
    if (http == NULL) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", config->what);
    }
    int code = prepare(http, config, err);
    if (code == FED_OK) {
        code = fed_http_listen(&fd, &http->guard.bound, config->bind, config->may_move, err);
        code = code == FED_OK ? code : fed_error_prefix(err, code, "%s", config->what);
    }
    if (code == FED_OK) {
        http->listens = true;
        fed_http_listen_url(http->url, &http->guard.bound);
        http->daemon = start_daemon(http, fd); /* which owns fd from here on, also if it fails */
        code = http->daemon != NULL ? FED_OK : fed_error_set(err, FED_ENOMEM, "%s: cannot start its thread", config->what);
    }
    if (code == FED_OK) {
        *out = http;
        http = NULL;
    }
    fed_http_free(http);
    return code;
}

void fed_http_free(struct fed_http *http) {
    if (http == NULL) {
        return;
    }
    if (http->listens) { /* before it is closed: who comes next replaces a socket that nobody listens on */
        fed_http_unlisten(&http->guard.bound);
    }
    if (http->daemon != NULL) {
        fed_readers_dismiss(http->readers);
        MHD_stop_daemon(http->daemon);
    }
    fed_readers_free(http->readers);
    free(http);
}

uint64_t fed_http_poke(struct fed_http *http, uint64_t now_ms) { return fed_readers_poke(http->readers, now_ms); }

uint16_t fed_http_port(const struct fed_http *http) { return http->guard.bound.port; }
const char *fed_http_url(const struct fed_http *http) { return http->url; }

const char *fed_http_library_version(void) { return MHD_get_version(); }
