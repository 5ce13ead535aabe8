#include "common/base/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"

#define STATUS_MS 1000
#define SIGNS 4 /* in the time after which the manager gives the process up */

/* A path, or a name of Linux's own behind an @. */
static int connect_to(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof address.sun_path) {
        errno = EINVAL;
        return -1;
    }
    memcpy(address.sun_path, name, n);
    if (name[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* Milliseconds between two signs of life; 0: nobody waits for ours. */
static uint64_t watchdog_wanted(const char *usec, const char *pid) {
    if (usec == NULL || (pid != NULL && strtoull(pid, NULL, 10) != (unsigned long long)getpid())) {
        return 0;
    }
    char *end;
    errno = 0;
    uint64_t us = strtoull(usec, &end, 10);
    if (errno != 0 || end == usec || *end != '\0' || us == 0) {
        FED_WARN("notify", "no watchdog", FED_STR("WATCHDOG_USEC", usec), FED_STR("why", "not a number of microseconds"));
        return 0;
    }
    uint64_t ms = us / 1000 / SIGNS;
    return ms > 0 ? ms : 1;
}

void fed_notify_open(struct fed_notify *out) {
    const char *name = getenv("NOTIFY_SOCKET");
    *out = (struct fed_notify){.fd = -1};
    if (name != NULL && name[0] != '\0') {
        out->fd = connect_to(name);
        if (out->fd < 0) {
            FED_WARN("notify", "the service manager cannot be told", FED_STR("NOTIFY_SOCKET", name),
                     FED_STR("why", strerror(errno)));
        }
        out->watchdog_ms = watchdog_wanted(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static bool tell(const struct fed_notify *notify, const char *text) {
    return send(notify->fd, text, strlen(text), MSG_NOSIGNAL) >= 0;
}

static bool is_told(const struct fed_notify *notify) { return notify != NULL && notify->fd >= 0; }

void fed_notify_ready(struct fed_notify *notify) {
    if (is_told(notify)) {
        notify->ready_due = true;
    }
}

/* Not kept for later: a manager that misses it has seen no reload, and READY then says nothing new. */
void fed_notify_reloading(struct fed_notify *notify) {
    struct timespec now;
    char text[64];
    if (!is_told(notify)) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &now); /* by which the manager tells this reload from an earlier one */
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    tell(notify, text);
}

void fed_notify_stopping(struct fed_notify *notify) {
    if (is_told(notify)) {
        tell(notify, "STOPPING=1");
    }
}

void fed_notify_status(struct fed_notify *notify, const char *format, ...) {
    va_list arguments;
    if (!is_told(notify)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(notify->status, sizeof notify->status, format, arguments);
    va_end(arguments);
    for (char *at = notify->status; *at != '\0'; at++) { /* a line end would begin another message */
        if ((unsigned char)*at < ' ' || *at == 127) {
            *at = ' ';
        }
    }
}

void fed_notify_turn(struct fed_notify *notify, uint64_t now_ms) {
    char text[512];
    if (!is_told(notify)) {
        return;
    }
    bool alive = notify->watchdog_ms > 0 && now_ms >= notify->watchdog_at_ms;
    bool news = strcmp(notify->status, notify->said) != 0 && (notify->ready_due || now_ms >= notify->status_at_ms);
    if (!notify->ready_due && !alive && !news) {
        return;
    }
    snprintf(text, sizeof text, "%s%s%s%s%s", notify->ready_due ? "READY=1\n" : "", alive ? "WATCHDOG=1\n" : "",
             news ? "STATUS=" : "", news ? notify->status : "", news ? "\n" : "");
    if (!tell(notify, text)) {
        return;
    }
    notify->ready_due = false;
    if (alive) {
        notify->watchdog_at_ms = now_ms + notify->watchdog_ms;
    }
    if (news) {
        memcpy(notify->said, notify->status, sizeof notify->said);
        notify->status_at_ms = now_ms + STATUS_MS;
    }
}

void fed_notify_close(struct fed_notify *notify) {
    if (!is_told(notify)) {
        return;
    }
    notify->ready_due = false; /* it was not, and is not to be now */
    fed_notify_turn(notify, UINT64_MAX);
    close(notify->fd);
    notify->fd = -1;
}
