#include "cli/doctor/knock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"

#define PATIENCE_MS 10000 /* more than a handshake may take */
#define CONNECT_MS 3000

/* Whether the connection was taken within CONNECT_MS. */
static bool settles(int fd, int rc) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int why = 0;
    socklen_t n = sizeof why;
    return rc == 0 || ((errno == EINPROGRESS || errno == EAGAIN) && poll(&ready, 1, CONNECT_MS) == 1 &&
                       getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) == 0 && why == 0);
}

static bool takes_tcp(const char *host_port) {
    char host[512];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    const char *colon = strrchr(host_port, ':');
    bool bracketed = host_port[0] == '[';
    bool taken = false;
    if (colon == NULL) {
        return false;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - host_port) - 2 * bracketed, host_port + bracketed);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        return false;
    }
    for (const struct addrinfo *a = found; a != NULL && !taken; a = a->ai_next) {
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        taken = fd >= 0 && settles(fd, connect(fd, a->ai_addr, a->ai_addrlen));
        if (fd >= 0) {
            close(fd);
        }
    }
    freeaddrinfo(found);
    return taken;
}

static bool takes_ipc(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return false;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool taken = fd >= 0 && settles(fd, connect(fd, (struct sockaddr *)&address, sizeof address));
    if (fd >= 0) {
        close(fd);
    }
    return taken;
}

bool fed_knock_is_taken(const char *endpoint) {
    return strncmp(endpoint, "ipc://", 6) == 0 ? takes_ipc(endpoint + 6) : takes_tcp(endpoint + strlen("tcp://"));
}

/* SILENT: it goes on. */
static enum fed_knock hear(struct fed_lane *lane) {
    for (;;) {
        switch (fed_lane_event(lane)) {
        case FED_LINK_UP: return FED_KNOCK_WELCOME;
        case FED_LINK_REFUSED: return FED_KNOCK_REFUSED;
        case FED_LINK_WRONG_PEER: return FED_KNOCK_OTHER;
        case FED_LINK_QUIET: return FED_KNOCK_SILENT;
        case FED_LINK_DOWN: break;
        }
    }
}

int fed_knock(enum fed_knock *out, struct fed_link *link, const char *endpoint, const struct fed_identity *identity,
              const uint8_t curve[FED_KEY_BYTES], struct fed_error *err) {
    struct fed_lane *lane = NULL;
    uint64_t end_ms = fed_clock_ms() + PATIENCE_MS, now_ms;
    enum fed_knock found = FED_KNOCK_SILENT;
    if (!fed_knock_is_taken(endpoint)) {
        *out = FED_KNOCK_NOBODY;
        return FED_OK;
    }
    int rc = fed_lane_connect_control(&lane, link, endpoint, identity, curve, 64 * 1024, err);
    while (rc == FED_OK && found == FED_KNOCK_SILENT && (now_ms = fed_clock_ms()) < end_ms) {
        struct fed_poll_item item = {.lane = lane};
        rc = fed_link_poll(link, &item, 1, (int64_t)(end_ms - now_ms));
        found = hear(lane);
    }
    fed_lane_close(lane);
    if (rc == FED_OK) {
        *out = found;
    }
    return rc;
}
