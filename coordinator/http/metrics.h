/* The run as Prometheus reads it (text format 0.0.4). Every name has its unit, counters end in _total, and no label has more
 * values than this source has words: what is counted by node stands in /api/v1/nodes alone. */
#ifndef FED_COORDINATOR_HTTP_METRICS_H
#define FED_COORDINATOR_HTTP_METRICS_H

#include "coordinator/http/http_answer.h"
#include "coordinator/http/page.h"

void fed_metrics_answer(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask);

#endif
