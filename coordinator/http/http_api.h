/* The paths of the API, and what each of them answers. Every answer is bounded, whatever is asked. */
#ifndef FED_COORDINATOR_HTTP_HTTP_API_H
#define FED_COORDINATOR_HTTP_HTTP_API_H

#include "coordinator/http/http_answer.h"
#include "coordinator/http/page.h"

/* Fills *out; a path that is not served is answered with 404. */
void fed_http_api_answer(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask);

/* A number of the query, or `fallback` if it is not given. False: it is answered with a sentence, *out is filled. */
bool fed_http_number(uint64_t *value, struct fed_answer *out, const struct fed_ask *ask, const char *name, uint64_t fallback,
                     uint64_t least, uint64_t most);
/* What the page could not tell. */
void fed_http_failed(struct fed_answer *out, int code, const struct fed_error *err);

#endif
