/* What happened before anybody kept news, from what the run directory has on record. */
#ifndef FED_COORDINATOR_HTTP_PAGE_RECALL_H
#define FED_COORDINATOR_HTTP_PAGE_RECALL_H

#include "coordinator/http/news.h"
#include "coordinator/store/run_reader.h"

/* Adds, in order of time, what happened after that time: commits, abandoned attempts, rollbacks, quarantines, refusals of
 * the last hundred rounds at most. */
int fed_page_recall(struct fed_news *news, struct fed_run_reader *view, int64_t after_ms,
                    struct fed_error *err) FED_MUST_CHECK;

#endif
