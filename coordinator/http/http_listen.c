#include "coordinator/http/http_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"

#define BACKLOG 128

static int cannot(const char *text, struct fed_error *err) {
    return fed_error_set(err, FED_EADDRESS, "cannot listen on %s: %s", text, strerror(errno));
}

static int new_socket(int *fd, int family, const char *text, struct fed_error *err) {
    *fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return *fd >= 0 ? FED_OK : cannot(text, err);
}

/* -- An address -- */

static int listen_on_address(int *out, struct fed_endpoint_http *at, const char *text, struct fed_error *err) {
    struct sockaddr_storage storage = {.ss_family = at->is_v6 ? AF_INET6 : AF_INET};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    socklen_t n = at->is_v6 ? sizeof *v6 : sizeof *v4;
    const int yes = 1;
    int fd = -1;
    if (at->is_v6) {
        v6->sin6_port = htons(at->port);
        memcpy(&v6->sin6_addr, at->address, sizeof v6->sin6_addr);
    } else {
        v4->sin_port = htons(at->port);
        memcpy(&v4->sin_addr, at->address, sizeof v4->sin_addr);
    }
    int code = new_socket(&fd, storage.ss_family, text, err);
    /* SO_REUSEADDR: connections of a coordinator that just ended must not keep the next one from listening. */
    if (code == FED_OK && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
                           bind(fd, (const struct sockaddr *)&storage, n) != 0 || listen(fd, BACKLOG) != 0 ||
                           getsockname(fd, (struct sockaddr *)&storage, &n) != 0)) {
        code = cannot(text, err);
    }
    if (code != FED_OK) {
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    at->port = ntohs(at->is_v6 ? v6->sin6_port : v4->sin_port);
    *out = fd;
    return FED_OK;
}

/* -- A file -- */

static struct sockaddr_un unix_address(const struct fed_endpoint_http *at) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _Static_assert(sizeof address.sun_path >= FED_ENDPOINT_UNIX_MAX, "a path fits");
    memcpy(address.sun_path, at->path, sizeof at->path);
    return address;
}

/* What is left of a process that was killed answers no more. */
static int make_way(const struct fed_endpoint_http *at, const char *text, struct fed_error *err) {
    const struct sockaddr_un address = unix_address(at);
    struct stat file;
    int fd = -1;
    if (lstat(at->path, &file) != 0) {
        return errno == ENOENT ? FED_OK : cannot(text, err);
    }
    if (!S_ISSOCK(file.st_mode)) {
        return fed_error_set(err, FED_EADDRESS, "cannot listen on %s: there is a file that is no socket", text);
    }
    int code = new_socket(&fd, AF_UNIX, text, err);
    if (code != FED_OK) {
        return code;
    }
    bool lives = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno != ECONNREFUSED;
    close(fd);
    if (lives) {
        errno = EADDRINUSE;
        return cannot(text, err);
    }
    return unlink(at->path) == 0 || errno == ENOENT ? FED_OK : cannot(text, err);
}

/* Linux gives the file the mode of the socket: there is no moment in which others could connect. */
static int listen_on_file(int *out, const struct fed_endpoint_http *at, const char *text, struct fed_error *err) {
    const struct sockaddr_un address = unix_address(at);
    struct stat file;
    int fd = -1;
    int code = make_way(at, text, err);
    if (code == FED_OK) {
        code = new_socket(&fd, AF_UNIX, text, err);
    }
    if (code == FED_OK && (fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
                           stat(at->path, &file) != 0 || listen(fd, BACKLOG) != 0)) {
        code = cannot(text, err);
    }
    if (code == FED_OK && (file.st_mode & 077) != 0) {
        code = fed_error_set(err, FED_EADDRESS, "%s: this system lets others use the socket", text);
    }
    if (code != FED_OK) {
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    *out = fd;
    return FED_OK;
}

int fed_http_listen(int *fd, struct fed_endpoint_http *at, const char *text, bool may_move, struct fed_error *err) {
    if (at->path[0] != '\0') {
        return listen_on_file(fd, at, text, err);
    }
    int code = listen_on_address(fd, at, text, err);
    if (code == FED_EADDRESS && may_move && at->port != 0) {
        at->port = 0;
        code = listen_on_address(fd, at, text, err);
        if (code == FED_OK) {
            FED_WARN("http", "another port, for this one is in use", FED_STR("wanted", text), FED_U64("port", at->port));
        }
    }
    return code;
}

void fed_http_unlisten(const struct fed_endpoint_http *at) {
    if (at->path[0] != '\0') {
        unlink(at->path);
    }
}

void fed_http_listen_url(char out[FED_HTTP_URL_MAX], const struct fed_endpoint_http *at) {
    char address[INET6_ADDRSTRLEN] = "";
    if (at->path[0] != '\0') {
        snprintf(out, FED_HTTP_URL_MAX, "unix:%s", at->path);
        return;
    }
    inet_ntop(at->is_v6 ? AF_INET6 : AF_INET, at->address, address, sizeof address);
    snprintf(out, FED_HTTP_URL_MAX, at->is_v6 ? "http://[%s]:%u/" : "http://%s:%u/", address, (unsigned)at->port);
}
