/* Endpoints before ZeroMQ sees them. libzmq deletes whatever lies at an ipc path and then binds, so a second coordinator
 * would silently take the socket of a running one, and a mistyped path would cost a file: look first. */
#include "common/link/link_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define IPC "ipc://"
#define TCP "tcp://"

bool fed_address_is_ipc(const char *endpoint) { return strncmp(endpoint, IPC, strlen(IPC)) == 0; }

static const char *path_of(const char *endpoint) { return endpoint + strlen(IPC); }

int fed_address_check(const char *endpoint, struct fed_error *err) {
    const size_t path_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (fed_address_is_ipc(endpoint)) {
        size_t n = strlen(path_of(endpoint));
        if (n == 0 || strcmp(path_of(endpoint), "*") == 0) {
            return fed_error_set(err, FED_EADDRESS, "%s: an ipc endpoint needs a path, as in ipc:///run/fedavg/control",
                                 endpoint);
        }
        if (n > path_max) {
            return fed_error_set(err, FED_EADDRESS,
                                 "%.200s: the path has %zu bytes and the system allows at most %zu; use a shorter directory",
                                 endpoint, n, path_max);
        }
        return 0;
    }
    if (strncmp(endpoint, TCP, strlen(TCP)) != 0) {
        return fed_error_set(err, FED_EADDRESS, "%.200s: not an endpoint; allowed are tcp://HOST:PORT and ipc://PATH",
                             endpoint);
    }
    if (strlen(endpoint) >= FED_ENDPOINT_MAX) {
        return fed_error_set(err, FED_EADDRESS, "%.200s...: longer than the %d bytes that an endpoint may have", endpoint,
                             FED_ENDPOINT_MAX - 1);
    }
    return 0;
}

/* Whether somebody listens there: 0 or the errno of connect(2). A full backlog is a listener too (EAGAIN). */
static int knock(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1); /* fed_address_check has measured it */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int failed = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    return failed;
}

int fed_address_free(const char *endpoint, struct fed_error *err) {
    struct stat there;
    /* An abstract name (@) has no file, and the kernel itself refuses a second bind. */
    if (!fed_address_is_ipc(endpoint) || path_of(endpoint)[0] == '@' || lstat(path_of(endpoint), &there) != 0) {
        return 0;
    }
    if (!S_ISSOCK(there.st_mode)) {
        return fed_error_set(err, FED_EADDRESS,
                             "%s: something that is not a socket lies there; move it away or choose another path", endpoint);
    }
    int failed = knock(path_of(endpoint));
    if (failed == ECONNREFUSED) {
        return 0; /* left behind by a process that died; libzmq removes it */
    }
    if (failed == 0 || failed == EAGAIN) {
        return fed_error_set(err, FED_EADDRESS, "%s: another process listens there; stop it or choose another path",
                             endpoint);
    }
    return fed_error_set(err, FED_EADDRESS,
                         "%s: a socket lies there that cannot be tried (%s); remove it or choose another path", endpoint,
                         strerror(failed));
}
