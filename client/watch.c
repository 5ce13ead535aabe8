/* An epoll descriptor over what the session waits for, and a timer for all that no descriptor tells: ticks, and messages
 * that are there already though ZeroMQ's descriptors, which speak up once for each change, are quiet. */
#include "client/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/session_internal.h"

struct fed_watch {
    const struct fed_session *session;
    int epoll, timer;
};

static int failed(const char *what, struct fed_error *err) {
    return fed_error_set(err, FED_EFAILED, "cannot %s: %s", what, strerror(errno));
}

/* What is closed leaves by itself; what is there already stays. */
static int add(const struct fed_watch *watch, int fd, struct fed_error *err) {
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) == 0 || errno == EEXIST ? FED_OK
                                                                                      : failed("watch a descriptor", err);
}

static int add_all(const struct fed_watch *watch, const struct fed_poll_item *items, size_t n, struct fed_error *err) {
    int rc = FED_OK;
    for (size_t i = 0; rc == FED_OK && i < n; i++) {
        int fds[FED_LANE_FDS] = {items[i].fd, items[i].fd};
        if (items[i].lane != NULL && fed_lane_fds(items[i].lane, fds) != FED_OK) {
            return fed_error_set(err, FED_EFAILED, "cannot watch a connection");
        }
        for (size_t k = 0; rc == FED_OK && k < (items[i].lane != NULL ? FED_LANE_FDS : 1); k++) {
            rc = add(watch, fds[k], err);
        }
    }
    return rc;
}

static int set_timer(const struct fed_watch *watch, long ms, struct fed_error *err) {
    struct itimerspec when = {.it_value = {ms / 1000, ms > 0 ? ms % 1000 * 1000000 : 1}};
    return timerfd_settime(watch->timer, 0, &when, NULL) == 0 ? FED_OK : failed("set a timer", err);
}

int fed_watch_renew(struct fed_watch *watch, struct fed_error *err) {
    const struct fed_session *s = watch->session;
    struct fed_poll_item items[FED_SESSION_ITEMS];
    size_t n = fed_session_items(items, s);
    int rc = add_all(watch, items, n, err);
    if (rc == FED_OK && fed_link_poll(s->link, items, n, 0) != FED_OK) {
        rc = fed_error_set(err, FED_EFAILED, "cannot look for messages");
    }
    bool ready = false;
    for (size_t i = 0; rc == FED_OK && i < n; i++) {
        ready = ready || items[i].readable || items[i].event;
    }
    return rc != FED_OK ? rc
                        : set_timer(watch,
                                    ready        ? 0
                                    : s->waiting ? FED_SESSION_SEND_AGAIN_MS
                                                 : FED_SESSION_TICK_MS,
                                    err);
}

int fed_watch_new(struct fed_watch **out, const struct fed_session *session, struct fed_error *err) {
    struct fed_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    watch->session = session;
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    int rc = watch->epoll >= 0 && watch->timer >= 0 ? add(watch, watch->timer, err)
                                                    : failed("make a descriptor to wait for", err);
    if (rc == FED_OK) {
        rc = fed_watch_renew(watch, err);
    }
    if (rc == FED_OK) {
        rc = set_timer(watch, 0, err); /* the first step is due */
    }
    if (rc != FED_OK) {
        fed_watch_free(watch);
        return rc;
    }
    *out = watch;
    return FED_OK;
}

void fed_watch_free(struct fed_watch *watch) {
    if (watch == NULL) {
        return;
    }
    if (watch->timer >= 0) {
        close(watch->timer);
    }
    if (watch->epoll >= 0) {
        close(watch->epoll);
    }
    free(watch);
}

int fed_watch_fd(const struct fed_watch *watch) { return watch->epoll; }
