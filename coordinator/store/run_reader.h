/* The run directory for readers beside the writer: a connection of its own, read-only, and queries that each touch a bounded
 * number of rows by an index. The writer is not held up where it has a write-ahead log. Calls from one thread at a time. */
#ifndef FED_COORDINATOR_STORE_RUN_READER_H
#define FED_COORDINATOR_STORE_RUN_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/store/store.h"

struct fed_run_reader;

/* As fed_store_open_readonly, with its codes. */
int fed_run_reader_open(struct fed_run_reader **out, const char *dir, struct fed_error *err) FED_MUST_CHECK;
void fed_run_reader_close(struct fed_run_reader *view);
/* The run was at rest when it was opened, and is not any more; or its database is another file now. What is read from here
 * on may be old: open it anew. Not for a process that writes the run. */
bool fed_run_reader_is_stale(const struct fed_run_reader *view);

/* Borrowed: for everything that store.h reads. */
struct fed_store *fed_run_reader_store(const struct fed_run_reader *view);
const char *fed_run_reader_dir(const struct fed_run_reader *view);

/* The newest committed round, and how many rounds were evaluated last (the newest of them). FED_ENOTFOUND: none yet. */
int fed_run_reader_last(uint64_t *round, struct fed_run_reader *view, struct fed_error *err) FED_MUST_CHECK;

/* Rounds from..to, ascending, at most `most`; without their ceilings, clips and caps. */
int fed_run_reader_rounds(struct fed_run_reader *view, uint64_t from, uint64_t to, size_t most,
                          void (*row)(void *context, const struct fed_store_round *round), void *context,
                          struct fed_error *err) FED_MUST_CHECK;

/* What one node gave to one round: rounds ascending. */
struct fed_view_share {
    const char *node;
    uint64_t round, clients, weight;
};
int fed_run_reader_shares(struct fed_run_reader *view, uint64_t from, uint64_t to,
                          void (*row)(void *context, const struct fed_view_share *share), void *context,
                          struct fed_error *err) FED_MUST_CHECK;
/* What was refused until the commits of rounds from..to; node "" = strangers. */
struct fed_view_refusal {
    const char *node, *reason;
    uint64_t round, count;
};
int fed_run_reader_refusals(struct fed_run_reader *view, uint64_t from, uint64_t to,
                            void (*row)(void *context, const struct fed_view_refusal *refusal), void *context,
                            struct fed_error *err) FED_MUST_CHECK;

/* Attempts at rounds from `from` on that came to nothing, as far as later ones show; at most `most`, newest first. */
struct fed_view_attempt {
    uint64_t round;
    uint32_t attempt;
    int64_t wall_ms; /* when it was opened */
};
int fed_run_reader_abandoned(struct fed_run_reader *view, uint64_t from, size_t most,
                             void (*row)(void *context, const struct fed_view_attempt *attempt), void *context,
                             struct fed_error *err) FED_MUST_CHECK;
/* The newest, newest first. */
int fed_run_reader_quarantines(struct fed_run_reader *view, size_t most,
                               void (*row)(void *context, const struct fed_store_quarantine *quarantine), void *context,
                               struct fed_error *err) FED_MUST_CHECK;
/* How many there are in all. */
int fed_run_reader_count_quarantines(uint64_t *out, struct fed_run_reader *view, struct fed_error *err) FED_MUST_CHECK;

#endif
