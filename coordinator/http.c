/* libmicrohttpd's only door. Its one thread answers from `text`, which the lock guards; nothing else is shared. */
#include "coordinator/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"

#define BACKLOG 16
#define CONNECTIONS_MAX 32u
#define IDLE_S 10u
#define CONNECTION_BYTES ((size_t)16 * 1024) /* of one request's line and headers */
#define HOST_MAX 64                          /* "localhost" or an address in text */

struct address {
    int family;            /* AF_INET, AF_INET6 */
    struct in6_addr bytes; /* an IPv4 address fills the first four */
};

struct fed_http {
    struct MHD_Daemon *daemon;
    struct address bound;
    uint16_t port;
    pthread_mutex_t lock;
    char *text; /* NULL: nothing published yet */
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

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, const char *text) {
    static const struct {
        const char *name, *value;
    } headers[] = {
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    };
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO; /* closes the connection */
    }
    enum MHD_Result result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; result == MHD_YES && i < sizeof headers / sizeof *headers; i++) {
        result = MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    if (result == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        result = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    if (result == MHD_YES) {
        result = MHD_queue_response(connection, status, response);
    }
    MHD_destroy_response(response);
    return result;
}

static const char JSON[] = "application/json";

static enum MHD_Result answer_status(struct fed_http *http, struct MHD_Connection *connection) {
    pthread_mutex_lock(&http->lock);
    enum MHD_Result result = http->text != NULL ? answer(connection, MHD_HTTP_OK, JSON, http->text)
                                                : answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, JSON,
                                                         "{\"error\":\"the run has not started yet\"}");
    pthread_mutex_unlock(&http->lock);
    return result;
}

static enum MHD_Result answer_request(struct fed_http *http, struct MHD_Connection *connection, const char *path,
                                      const char *method) {
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    if (host == NULL || !is_our_host(http, host)) {
        return answer(connection, MHD_HTTP_FORBIDDEN, JSON,
                      "{\"error\":\"ask by the address this coordinator listens on, or by localhost\"}");
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, JSON, "{\"error\":\"only GET and HEAD\"}");
    }
    if (strcmp(path, "/api/v1/status") == 0) {
        return answer_status(http, connection);
    }
    if (strcmp(path, "/healthz") == 0) {
        return answer(connection, MHD_HTTP_OK, "text/plain; charset=utf-8", "ok\n");
    }
    return answer(connection, MHD_HTTP_NOT_FOUND, JSON, "{\"error\":\"there are /api/v1/status and /healthz\"}");
}

/* Called once when the headers are there, again for pieces of a body (which are dropped), and once more at the end. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *body, size_t *n_body, void **request) {
    static char seen;
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
    return answer_request(context, connection, path, method);
}

/* -- Life -- */

/* Signals are the main loop's: the thread starts with all of them blocked. */
static struct MHD_Daemon *start_daemon(struct fed_http *http, int fd) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, http->port, NULL, NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

int fed_http_new(struct fed_http **out, const char *bind, struct fed_error *err) {
    struct fed_http *http = calloc(1, sizeof *http);
    int fd = -1;
    if (http == NULL) {
        return fed_error_set(err, FED_ENOMEM, "server.http: out of memory");
    }
    pthread_mutex_init(&http->lock, NULL);
    int code = bind_parse(&http->bound, &http->port, bind, err);
    if (code == FED_OK) {
        code = listen_on(&fd, http, bind, err);
    }
    if (code == FED_OK) {
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
    if (http->daemon != NULL) {
        MHD_stop_daemon(http->daemon);
    }
    pthread_mutex_destroy(&http->lock);
    free(http->text);
    free(http);
}

void fed_http_publish(struct fed_http *http, const char *text) {
    char *copy = strdup(text);
    if (copy == NULL) {
        FED_WARN("http", "status not published", FED_STR("why", "out of memory"));
        return;
    }
    pthread_mutex_lock(&http->lock);
    char *old = http->text;
    http->text = copy;
    pthread_mutex_unlock(&http->lock);
    free(old);
}

uint16_t fed_http_port(const struct fed_http *http) { return http->port; }

const char *fed_http_library_version(void) { return MHD_get_version(); }
