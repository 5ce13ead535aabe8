/* What a person sees of work that takes longer than two seconds: one line that changes on a terminal, a line every five
 * seconds in a log, nothing where it is over sooner or was not wanted. Goes to standard error. */
#ifndef FED_CLI_WORKING_H
#define FED_CLI_WORKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/pool.h"

struct fed_working {
    const char *what; /* "replaying round": before "3/100"; borrowed */
    bool terminal, quiet;
    bool line_open; /* the terminal's cursor stands behind a line of ours */
    uint64_t started_ms, said_ms;
};

void fed_working_start(struct fed_working *working, const char *what, bool quiet);
/* `done` of `all` are done; to be called as often as one likes. */
void fed_working_at(struct fed_working *working, uint64_t done, uint64_t all);
/* Waits until n_jobs of the pool have come back, telling meanwhile: *done of them, after `before` others, of `all`. */
void fed_working_wait(struct fed_working *working, struct fed_pool *pool, unsigned n_jobs, const atomic_size_t *done,
                      uint64_t before, uint64_t all);
/* Before anything else is printed: takes the line away. */
void fed_working_end(struct fed_working *working);

#endif
