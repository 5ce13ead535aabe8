#include "cli/working.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"

#define SILENT_MS 2000
#define TERMINAL_EVERY_MS 200
#define LOG_EVERY_MS 5000
#define WAIT_MS 100

void fed_working_start(struct fed_working *working, const char *what, bool quiet) {
    uint64_t now = fed_clock_ms();
    *working = (struct fed_working){
        .what = what, .terminal = isatty(STDERR_FILENO) == 1, .quiet = quiet, .started_ms = now, .said_ms = now};
}

void fed_working_at(struct fed_working *working, uint64_t done, uint64_t all) {
    uint64_t now = fed_clock_ms(), passed = now - working->started_ms;
    uint64_t every = working->said_ms == working->started_ms ? SILENT_MS
                     : working->terminal                     ? TERMINAL_EVERY_MS
                                                             : LOG_EVERY_MS;
    if (working->quiet || now - working->said_ms < every) {
        return;
    }
    working->said_ms = now;
    char left[48] = "";
    if (done > 0 && done < all) {
        snprintf(left, sizeof left, ", about %.0f s to go", (double)passed / 1000.0 * (double)(all - done) / (double)done);
    }
    fprintf(stderr, "%s%s %" PRIu64 "/%" PRIu64 "%s%s", working->terminal ? "\r\033[K" : "", working->what, done, all, left,
            working->terminal ? "" : "\n");
    fflush(stderr);
    working->line_open = working->terminal;
}

void fed_working_wait(struct fed_working *working, struct fed_pool *pool, unsigned n_jobs, const atomic_size_t *done,
                      uint64_t before, uint64_t all) {
    while (n_jobs > 0) {
        struct pollfd ready = {.fd = fed_pool_fd(pool), .events = POLLIN};
        poll(&ready, 1, WAIT_MS);
        while (fed_pool_finished(pool) != NULL) {
            n_jobs--;
        }
        uint64_t at = before + atomic_load(done);
        fed_working_at(working, at < all ? at : all, all);
    }
}

void fed_working_end(struct fed_working *working) {
    if (working->line_open) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        working->line_open = false;
    }
}
