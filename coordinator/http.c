/* libmicrohttpd's only door. Its one thread answers from the page; the lock guards who reads the stream, and nothing else is
 * shared. A reader to whom there is nothing to say is suspended until it is poked. */
#include "coordinator/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinator/http_api.h"
#include "coordinator/http_rows.h"
#include "coordinator/http_stream.h"

#define BACKLOG 16
#define CONNECTIONS_MAX 64u
#define IDLE_S 10u
#define CONNECTION_BYTES ((size_t)16 * 1024) /* of one request's line and headers */
#define HOST_MAX 64                          /* "localhost" or an address in text */
#define PIECE_BYTES ((size_t)16 * 1024)      /* of a text that is made while it is sent */
#define POKE_MS 500u                         /* between two messages of a kind */
#define ALIVE_MS 15000u                      /* a reader that is gone is noticed so late */

struct address {
    int family;            /* AF_INET, AF_INET6 */
    struct in6_addr bytes; /* an IPv4 address fills the first four */
};

struct reader {
    struct fed_http *http;
    struct MHD_Connection *connection;
    struct fed_stream *stream;
    bool waits; /* suspended */
};

struct fed_http {
    struct MHD_Daemon *daemon;
    struct address bound;
    uint16_t port;
    char url[80];
    struct fed_page *page;
    struct fed_streams *streams;
    pthread_mutex_t lock;
    struct reader *readers[FED_STREAMS_MOST]; /* NULL: free */
    unsigned n_readers;
    uint64_t pokes; /* so many; one that comes while a reader looks is not lost on it */
    bool closing;
    uint64_t poked_ms, poked_version; /* of who pokes */
};

/* -- Addresses -- */

/* An address in text: IPv4, or IPv6 in brackets. */
static bool address_parse(struct address *out, const char *text, size_t n) {
    char plain[HOST_MAX];
    struct address address = {.family = AF_INET};
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        address.family = AF_INET6;
        text++;
        n -= 2;
    }
    if (n >= sizeof plain) {
        return false;
    }
    memcpy(plain, text, n);
    plain[n] = '\0';
    if (inet_pton(address.family, plain, &address.bytes) != 1) {
        return false;
    }
    *out = address;
    return true;
}

static size_t address_bytes(const struct address *address) { return address->family == AF_INET ? 4 : 16; }

static bool address_equal(const struct address *a, const struct address *b) {
    return a->family == b->family && memcmp(&a->bytes, &b->bytes, address_bytes(a)) == 0;
}

static bool address_is_any(const struct address *address) {
    static const uint8_t zeros[16];
    return memcmp(&address->bytes, zeros, address_bytes(address)) == 0;
}

static bool address_is_loopback(const struct address *address) {
    static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    return address->family == AF_INET ? address->bytes.s6_addr[0] == 127
                                      : memcmp(&address->bytes, &loopback, sizeof loopback) == 0;
}

/* Names can be made to point anywhere, addresses cannot: of names only localhost passes. On every address of the machine
 * any address will do, for the connection could not have come by another one. */
static bool is_our_host(const struct fed_http *http, const char *host) {
    struct address address;
    const char *port = strrchr(host, ':');
    size_t n = port != NULL && strchr(port, ']') == NULL ? (size_t)(port - host) : strlen(host);
    if (n == strlen("localhost") && strncasecmp(host, "localhost", n) == 0) {
        return true;
    }
    return address_parse(&address, host, n) &&
           (address_is_loopback(&address) || address_equal(&address, &http->bound) || address_is_any(&http->bound));
}

static int bind_parse(struct address *address, uint16_t *port, const char *bind, struct fed_error *err) {
    const char *colon = strrchr(bind, ':');
    char *end = NULL;
    unsigned long number = colon != NULL && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : ULONG_MAX;
    const char *text = colon == bind ? "127.0.0.1" : bind;
    size_t n = colon == bind || colon == NULL ? strlen(text) : (size_t)(colon - bind);
    if (number > UINT16_MAX || *end != '\0' || !address_parse(address, text, n)) {
        return fed_error_set(err, FED_ECONFIG,
                             "server.http is \"%s\": wanted is ADDRESS:PORT, as in 127.0.0.1:5680 or [::1]:5680", bind);
    }
    *port = (uint16_t)number;
    return FED_OK;
}

static int listen_on(int *out, struct fed_http *http, const char *bind_text, struct fed_error *err) {
    struct sockaddr_storage storage = {.ss_family = (sa_family_t)http->bound.family};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    bool is_v4 = http->bound.family == AF_INET;
    socklen_t n = is_v4 ? sizeof *v4 : sizeof *v6;
    const int yes = 1;
    if (is_v4) {
        v4->sin_port = htons(http->port);
        memcpy(&v4->sin_addr, &http->bound.bytes, sizeof v4->sin_addr);
    } else {
        v6->sin6_port = htons(http->port);
        v6->sin6_addr = http->bound.bytes;
    }
    /* SO_REUSEADDR: connections of a coordinator that just ended must not keep the next one from listening. */
    int fd = socket(http->bound.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (const struct sockaddr *)&storage, n) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&storage, &n) != 0) {
        int code = fed_error_set(err, FED_EADDRESS, "server.http: cannot listen on %s: %s", bind_text, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    http->port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
    *out = fd;
    return FED_OK;
}

/* -- Answers -- */

static const char CSP[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static bool add_header(struct MHD_Response *response, const char *name, const char *value) {
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_headers(struct MHD_Response *response, const struct fed_answer *answer) {
    char disposition[sizeof answer->file + 32];
    bool fine = add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type) &&
                add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, answer->etag != NULL ? "no-cache" : "no-store") &&
                add_header(response, "X-Content-Type-Options", "nosniff") &&
                add_header(response, "Referrer-Policy", "no-referrer") &&
                add_header(response, "Cross-Origin-Resource-Policy", "same-origin") &&
                add_header(response, "Content-Security-Policy", CSP);
    if (fine && answer->etag != NULL) {
        fine = add_header(response, MHD_HTTP_HEADER_ETAG, answer->etag);
    }
    if (fine && answer->file[0] != '\0') {
        snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"", answer->file);
        fine = add_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, disposition);
    }
    if (fine && answer->kind == FED_ANSWER_STREAM) {
        fine = add_header(response, "X-Accel-Buffering", "no"); /* a proxy passes each message on at once */
    }
    if (fine && answer->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        fine = add_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    return fine;
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
        size_t n = closing ? 0 : fed_stream_next(reader->stream, bytes, room);
        if (closing) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        if (n > 0) {
            return (ssize_t)n;
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

uint64_t fed_http_poke(struct fed_http *http, uint64_t now_ms) {
    pthread_mutex_lock(&http->lock);
    unsigned n = http->n_readers;
    pthread_mutex_unlock(&http->lock);
    if (n == 0) {
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

static void find_answer(struct fed_answer *out, struct fed_http *http, struct MHD_Connection *connection, const char *path,
                        const char *method) {
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *known = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
    if (host == NULL || !is_our_host(http, host)) {
        fed_answer_error(out, MHD_HTTP_FORBIDDEN, "ask by the address this coordinator listens on, or by localhost");
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
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, http->port, NULL, NULL, handle, http,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static void name_url(struct fed_http *http) {
    char address[INET6_ADDRSTRLEN];
    bool is_v4 = http->bound.family == AF_INET;
    inet_ntop(http->bound.family, &http->bound.bytes, address, sizeof address);
    snprintf(http->url, sizeof http->url, is_v4 ? "http://%s:%u/" : "http://[%s]:%u/", address, http->port);
}

int fed_http_new(struct fed_http **out, const struct fed_http_config *config, struct fed_error *err) {
    struct fed_http *http = calloc(1, sizeof *http);
    int fd = -1;
    if (http == NULL) {
        return fed_error_set(err, FED_ENOMEM, "server.http: out of memory");
    }
    pthread_mutex_init(&http->lock, NULL);
    http->page = config->page;
    int code = bind_parse(&http->bound, &http->port, config->bind, err);
    if (code == FED_OK && (code = fed_streams_new(&http->streams, config->page)) != FED_OK) {
        fed_error_set(err, code, "server.http: out of memory");
    }
    if (code == FED_OK) {
        code = listen_on(&fd, http, config->bind, err);
    }
    if (code == FED_OK) {
        name_url(http);
        http->daemon = start_daemon(http, fd); /* which owns fd from here on, also if it fails */
        code = http->daemon != NULL ? FED_OK : fed_error_set(err, FED_ENOMEM, "server.http: cannot start its thread");
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
    pthread_mutex_lock(&http->lock);
    http->closing = true;
    pthread_mutex_unlock(&http->lock);
    if (http->daemon != NULL) {
        wake_all(http); /* nothing may be suspended when it ends */
        MHD_stop_daemon(http->daemon);
    }
    fed_streams_free(http->streams);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

uint16_t fed_http_port(const struct fed_http *http) { return http->port; }
const char *fed_http_url(const struct fed_http *http) { return http->url; }

const char *fed_http_library_version(void) { return MHD_get_version(); }
