/* Where everything that HTTP tells comes from: the run directory, read through a connection of its own and summed up as
 * rounds are committed; and, beside a live coordinator, its board and its news. Nothing is computed before somebody asks.
 *
 * One lock: a call reads a few rows, at most some tens of milliseconds after a long silence. The loop never takes it. */
#ifndef FED_COORDINATOR_HTTP_PAGE_H
#define FED_COORDINATOR_HTTP_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/http/board.h"
#include "coordinator/http/news.h"
#include "coordinator/http/node_sums.h"
#include "coordinator/http/samples.h"
#include "coordinator/store/status_report.h"

struct fed_page;

/* board and news: borrowed; NULL both: the run is told from its directory alone, also while another process writes it.
 * Codes of fed_run_reader_open. */
int fed_page_new(struct fed_page **out, const char *dir, struct fed_board *board, struct fed_news *news,
                 struct fed_error *err) FED_MUST_CHECK;
void fed_page_free(struct fed_page *page);

/* NULL: told from a directory. */
struct fed_board *fed_page_board(const struct fed_page *page);
struct fed_news *fed_page_news(const struct fed_page *page);

/* What changes whenever there is something new to tell. From a directory it is found by looking at the files, here. */
uint64_t fed_page_version(struct fed_page *page);

int fed_page_status(struct fed_status_report *out, struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;

/* Of the rounds from..to at most n (2 at least), evenly; the totals are those of the whole run. */
struct fed_page_rounds {
    struct fed_curve_row *rows; /* (n), owned */
    size_t n;
    uint64_t last; /* the newest round; 0 also if there is none */
};
int fed_page_rounds(struct fed_page_rounds *out, struct fed_page *page, uint64_t from, uint64_t to, size_t n,
                    struct fed_error *err) FED_MUST_CHECK;
void fed_page_rounds_fini(struct fed_page_rounds *rounds);
/* The next rounds, every one, from the round on; fewer than most: these were the last. */
int fed_page_every_round(struct fed_page_rounds *out, struct fed_page *page, uint64_t from, size_t most,
                         struct fed_error *err) FED_MUST_CHECK;
/* The newest round of all, with its totals: false if there is none. */
int fed_page_last_round(struct fed_curve_row *out, bool *found, struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;

/* Sums by node, those that were refused without a name, too. counted: up to which round; it may take a few calls to come to
 * the newest one of a long run. */
struct fed_page_sums {
    struct fed_node_sum *rows; /* (n), owned; sorted by name */
    size_t n;
    uint64_t refused[FED_REFUSAL_COUNT]; /* of all together */
    uint64_t counted;
};
int fed_page_sums(struct fed_page_sums *out, struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;
void fed_page_sums_fini(struct fed_page_sums *sums);

/* What counters count, over the whole run. */
struct fed_page_totals {
    struct fed_samples_totals rounds;
    uint64_t refused[FED_REFUSAL_COUNT]; /* as in fed_page_sums */
    bool counted;                        /* up to the newest round; a long run takes a few calls */
    uint64_t quarantines;                /* that ever began */
};
int fed_page_totals(struct fed_page_totals *out, struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;

/* Quarantines that are on record, newest first. */
int fed_page_each_quarantine(struct fed_page *page, size_t most,
                             void (*row)(void *context, const struct fed_store_quarantine *quarantine), void *context,
                             struct fed_error *err) FED_MUST_CHECK;

/* The newest committed model, opened for reading: FED_ENOTFOUND before there is one. */
int fed_page_model(int *fd, size_t *n_bytes, uint64_t *round, struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;
/* The text of partition.json, the caller's. FED_ENOTFOUND: the run has none; FED_EDATA. */
int fed_page_partition(char **out, struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;

#endif
