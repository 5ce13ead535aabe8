/* What the service manager that started this process is told (sd_notify(3)): that it is ready, what it is at, that its loop
 * still turns. Nobody is told where nobody asked: without NOTIFY_SOCKET in the environment every call does nothing.
 *
 * The protocol is a few lines of text in a datagram and is promised not to change; systemd's own manual shows how to speak
 * it without its library, which edge machines and containers without systemd need not have then.
 *
 * Nothing here waits: what the manager has no room for now is said with the next turn. Belongs to one thread. */
#ifndef FED_COMMON_BASE_NOTIFY_H
#define FED_COMMON_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_notify {
    int fd;                      /* -1: nobody asked */
    bool ready_due;              /* to be said with the next turn */
    char status[256], said[256]; /* now; as last said */
    uint64_t status_at_ms;       /* a status is not said before */
    uint64_t watchdog_ms;        /* how often a sign of life is sent; 0 = it is not wanted */
    uint64_t watchdog_at_ms;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: they speak of this process and
 * not of its children. An address that cannot be used is a warning in the log. */
void fed_notify_open(struct fed_notify *out);
/* NULL is allowed here and below. The last status goes out, whenever the one before did: it says why the process ends. */
void fed_notify_close(struct fed_notify *notify);

/* The start, or a reload, is over. */
void fed_notify_ready(struct fed_notify *notify);
/* A reload has begun. */
void fed_notify_reloading(struct fed_notify *notify);
/* The loop has ended and the process is about to: no more signs of life are waited for. */
void fed_notify_stopping(struct fed_notify *notify);
/* One line for people; control characters become spaces. Said once a change, and at most once a second. */
void fed_notify_status(struct fed_notify *notify, const char *format, ...) FED_PRINTF(2, 3);
/* For every turn of the loop whose life the signs are to be: no other thread may call it. */
void fed_notify_turn(struct fed_notify *notify, uint64_t now_ms);

#endif
