/* The nodes, a page of them at a time: those of the roster beside a live coordinator, those that the run knows from a
 * directory. */
#ifndef FED_COORDINATOR_HTTP_HTTP_NODES_H
#define FED_COORDINATOR_HTTP_HTTP_NODES_H

#include "coordinator/http/http_answer.h"
#include "coordinator/http/page.h"

/* ?offset=&limit=&sort=name|last_seen|refusals|rounds&find=TEXT */
void fed_http_nodes(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask);

#endif
