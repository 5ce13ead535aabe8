/* What the files of the page share: the handle and its lock. Opening, status and files are in page.c, rounds in
 * page_rounds.c, sums by node in page_sums.c. */
#ifndef FED_COORDINATOR_HTTP_PAGE_INTERNAL_H
#define FED_COORDINATOR_HTTP_PAGE_INTERNAL_H

#include <pthread.h>

#include "coordinator/http/page.h"
#include "coordinator/store/run_reader.h"

struct fed_page_fall {
    uint64_t to_round, round; /* the models in between were taken back */
};

struct fed_page {
    pthread_mutex_t lock;
    char *dir;
    struct fed_board *board;
    struct fed_news *news;
    bool owns_news;
    struct fed_run_reader *view;
    struct fed_samples samples;
    struct fed_page_fall *falls; /* (n_falls of falls_room), ascending, owned */
    size_t n_falls, falls_room;
    bool no_memory; /* inside a callback */
    struct fed_node_sums sums;
    uint64_t sums_next; /* the first round that they lack */
    uint64_t version;   /* of a directory */
};

void fed_page_lock(struct fed_page *page);
/* Returns the code. */
int fed_page_unlock(struct fed_page *page, int code);

/* With the lock held: opens the directory anew where that is due, and reads the rounds since. */
int fed_page_open_anew(struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;
int fed_page_refresh(struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;
/* The same for the sums, some of the way; counted: they are up to the newest round. */
int fed_page_count(bool *counted, struct fed_page *page, struct fed_error *err) FED_MUST_CHECK;
int fed_page_no_memory(const struct fed_page *page, struct fed_error *err);

#endif
