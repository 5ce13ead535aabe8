/* libmicrohttpd's only door. Its one thread answers from the page; the lock guards who reads the stream, and nothing else is
 * shared. A reader to whom there is nothing to say is suspended until it is poked. */
#include "coordinator/http/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "coordinator/http/http_api.h"
#include "coordinator/http/http_guard.h"
#include "coordinator/http/http_listen.h"
#include "coordinator/http/http_rows.h"
#include "coordinator/http/http_stream.h"

#define CONNECTIONS_MAX 64u
#define IDLE_S 10u
#define CONNECTION_BYTES ((size_t)16 * 1024) /* of one request's line and headers */
#define FORWARDED_PROTO "X-Forwarded-Proto"
#define SINGLE 3                        /* headers that may be given once */
#define PIECE_BYTES ((size_t)16 * 1024) /* of a text that is made while it is sent */
#define POKE_MS 500u                    /* between two messages of a kind */
#define GOODBYE_MS 500                  /* at most, at the end */
#define ALIVE_MS 15000u                 /* a reader that is gone is noticed so late */

struct reader {
    struct fed_http *http;
    struct MHD_Connection *connection;
    struct fed_stream *stream;
    bool waits; /* suspended */
};

struct fed_http {
    struct MHD_Daemon *daemon;
    struct fed_guard guard;
    bool listens; /* the socket is to be removed at the end */
    char url[FED_HTTP_URL_MAX];
    struct fed_page *page;
    struct fed_streams *streams;
    pthread_mutex_t lock;
    struct reader *readers[FED_STREAMS_MOST]; /* NULL: free */
    unsigned n_readers;
    uint64_t pokes; /* so many; one that comes while a reader looks is not lost on it */
    bool closing;
    uint64_t poked_ms, poked_version; /* of who pokes */
};

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

/* -- The stream -- */

static ssize_t read_stream(void *context, uint64_t position, char *bytes, size_t room) {
    struct reader *reader = context;
    struct fed_http *http = reader->http;
    (void)position;
    for (;;) {
        pthread_mutex_lock(&http->lock);
        uint64_t pokes = http->pokes;
        bool closing = http->closing;
        pthread_mutex_unlock(&http->lock);
        size_t n = fed_stream_next(reader->stream, bytes, room);
        if (n > 0 || closing) {
            return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
        }
        pthread_mutex_lock(&http->lock);
        bool waits = pokes == http->pokes && !http->closing;
        if (waits) {
            reader->waits = true;
            MHD_suspend_connection(reader->connection);
        }
        pthread_mutex_unlock(&http->lock);
        if (waits) {
            return 0;
        }
    }
}

static void free_reader(void *context) {
    struct reader *reader = context;
    struct fed_http *http = reader->http;
    pthread_mutex_lock(&http->lock);
    for (size_t i = 0; i < FED_STREAMS_MOST; i++) {
        if (http->readers[i] == reader) {
            http->readers[i] = NULL;
            http->n_readers--;
        }
    }
    pthread_mutex_unlock(&http->lock);
    fed_stream_close(reader->stream);
    free(reader);
}

/* NULL: *answer says why. */
static struct reader *new_reader(struct fed_answer *answer, struct fed_http *http, struct MHD_Connection *connection) {
    struct reader *reader = calloc(1, sizeof *reader);
    int rc = reader != NULL ? fed_stream_open(&reader->stream, http->streams) : FED_ENOMEM;
    if (rc != FED_OK) {
        free(reader);
        fed_answer_error(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                         rc == FED_EAGAIN ? "too many read the stream already" : "out of memory");
        return NULL;
    }
    reader->http = http;
    reader->connection = connection;
    pthread_mutex_lock(&http->lock);
    for (size_t i = 0; i < FED_STREAMS_MOST; i++) {
        if (http->readers[i] == NULL) { /* there is room for every stream that opens */
            http->readers[i] = reader;
            http->n_readers++;
            break;
        }
    }
    pthread_mutex_unlock(&http->lock);
    return reader;
}

static void wake_all(struct fed_http *http) {
    pthread_mutex_lock(&http->lock);
    http->pokes++;
    for (size_t i = 0; i < FED_STREAMS_MOST; i++) {
        if (http->readers[i] != NULL && http->readers[i]->waits) {
            http->readers[i]->waits = false;
            MHD_resume_connection(http->readers[i]->connection);
        }
    }
    pthread_mutex_unlock(&http->lock);
}

static unsigned count_readers(struct fed_http *http) {
    pthread_mutex_lock(&http->lock);
    unsigned n = http->n_readers;
    pthread_mutex_unlock(&http->lock);
    return n;
}

uint64_t fed_http_poke(struct fed_http *http, uint64_t now_ms) {
    if (count_readers(http) == 0) {
        return UINT64_MAX;
    }
    uint64_t version = fed_page_version(http->page);
    uint64_t due_ms = http->poked_ms + (version != http->poked_version ? POKE_MS : ALIVE_MS);
    if (now_ms < due_ms) {
        return due_ms;
    }
    http->poked_ms = now_ms;
    http->poked_version = version;
    fed_streams_due(http->streams);
    wake_all(http);
    return now_ms + ALIVE_MS;
}

/* -- Requests -- */

/* Takes what the answer owns; NULL without memory. */
static struct MHD_Response *make_response(struct fed_answer *answer, struct fed_http *http,
                                          struct MHD_Connection *connection) {
    struct MHD_Response *response = NULL;
    struct reader *reader = answer->kind == FED_ANSWER_STREAM ? new_reader(answer, http, connection) : NULL;
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
    case FED_ANSWER_STREAM:
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_stream, reader, free_reader);
        if (response == NULL) {
            free_reader(reader);
        }
        break;
    }
    return response;
}

/* Takes the answer. */
static enum MHD_Result send_answer(struct fed_http *http, struct MHD_Connection *connection, struct fed_answer *answer) {
    struct MHD_Response *response = make_response(answer, http, connection);
    enum MHD_Result result = MHD_NO; /* closes the connection */
    if (response != NULL && add_headers(response, answer)) {
        result = MHD_queue_response(connection, answer->status, response);
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
    return send_answer(context, connection, &answer);
}

/* -- Life -- */

/* Signals are the main loop's: the thread starts with all of them blocked. */
static struct MHD_Daemon *start_daemon(struct fed_http *http, int fd) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, http->guard.bound.port,
                         NULL, NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
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
    if (code == FED_OK && (code = fed_streams_new(&http->streams, config->page)) != FED_OK) {
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
    pthread_mutex_init(&http->lock, NULL);
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

/* Who reads the stream hears how it ended; one who does not listen is not waited for. Leaves nobody suspended. */
static void say_goodbye(struct fed_http *http) {
    const struct timespec breath = {.tv_nsec = GOODBYE_MS * 1000000L / 100};
    fed_streams_due(http->streams);
    pthread_mutex_lock(&http->lock);
    http->closing = true;
    pthread_mutex_unlock(&http->lock);
    wake_all(http);
    for (int i = 0; i < 100 && count_readers(http) > 0; i++) {
        nanosleep(&breath, NULL);
    }
}

void fed_http_free(struct fed_http *http) {
    if (http == NULL) {
        return;
    }
    if (http->listens) { /* before it is closed: who comes next replaces a socket that nobody listens on */
        fed_http_unlisten(&http->guard.bound);
    }
    if (http->daemon != NULL) {
        say_goodbye(http);
        MHD_stop_daemon(http->daemon);
    }
    fed_streams_free(http->streams);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

uint16_t fed_http_port(const struct fed_http *http) { return http->guard.bound.port; }
const char *fed_http_url(const struct fed_http *http) { return http->url; }

const char *fed_http_library_version(void) { return MHD_get_version(); }
