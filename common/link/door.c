/* A door that can be shut while those inside stay. zmq_unbind would not do: in libzmq connections belong to their listener
 * and end with it. So the listening socket gets a filter that drops every packet, as if the line were cut there: connections
 * that stand have sockets of their own, and who knocks knocks again, as TCP does. A listener of ipc has no packets and stays
 * open: who gets at it is a matter of file modes. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/link/link_internal.h"

#define QUEUE_MOST 4096        /* more than any listener of ours holds */
#define DESCRIPTORS_MOST 65536 /* looked at; lanes are bound early in a process */

static bool listens(int fd) {
    int yes = 0, domain = 0;
    socklen_t n = sizeof yes;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) == 0 && yes != 0 &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && (domain == AF_INET || domain == AF_INET6);
}

static void put_by(struct fed_door *door) {
    if (door->spare < 0) {
        door->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

void fed_door_fini(struct fed_door *door) {
    if (door->spare >= 0) {
        close(door->spare);
    }
    door->fd = door->spare = -1;
}

/* libzmq does not tell which descriptor listens: it is the one that did not before. */
void fed_door_look(struct fed_door *door, struct fed_listeners *seen) {
    struct rlimit files;
    bool known = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < DESCRIPTORS_MOST;
    int end = known ? (int)files.rlim_cur : DESCRIPTORS_MOST;
    struct fed_listeners now = {.n = 0};
    door->fd = -1;
    for (int fd = 0; fd < end && now.n < FED_LISTENERS_MOST; fd++) {
        if (!listens(fd)) {
            continue;
        }
        bool old = false;
        for (size_t i = 0; i < seen->n; i++) {
            old = old || seen->fds[i] == fd;
        }
        door->fd = old ? door->fd : fd;
        now.fds[now.n++] = fd;
    }
    *seen = now;
    if (door->fd >= 0) {
        fcntl(door->fd, F_SETFL, fcntl(door->fd, F_GETFL) | O_NONBLOCK); /* two threads take from its queue */
        put_by(door);
    }
}

static int accept_one(const struct fed_door *door) {
    struct sockaddr_storage who;
    socklen_t n = sizeof who;
    return accept4(door->fd, (struct sockaddr *)&who, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Who had got as far as the queue of the listener is shown out. At the limit of descriptors libzmq cannot take them from it,
 * and would try without end: one descriptor that was put by makes room to take them one by one. What cannot be taken now may
 * be when the door is shut again. */
static void empty_queue(struct fed_door *door) {
    int fd = 0;
    for (int i = 0; i < QUEUE_MOST && fd >= 0; i++) {
        fd = accept_one(door);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE) && door->spare >= 0) {
            close(door->spare);
            door->spare = -1;
            fd = accept_one(door);
        }
        if (fd >= 0) {
            close(fd);
        }
        put_by(door);
    }
}

static bool let_through(const struct fed_door *door, uint32_t bytes_of_a_packet) {
    struct sock_filter filter = BPF_STMT(BPF_RET | BPF_K, bytes_of_a_packet);
    struct sock_fprog program = {.len = 1, .filter = &filter};
    return setsockopt(door->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

void fed_lane_shut(struct fed_lane *lane) {
    assert(lane->bound);
    if (lane->door.fd >= 0) {
        lane->door.shut = lane->door.shut || let_through(&lane->door, 0);
        empty_queue(&lane->door);
    }
}

void fed_lane_reopen(struct fed_lane *lane) {
    if (lane->door.shut) { /* another filter, not none: emulators cannot take one off */
        lane->door.shut = !let_through(&lane->door, UINT32_MAX);
    }
}

bool fed_lane_is_shut(const struct fed_lane *lane) { return lane->door.shut; }
