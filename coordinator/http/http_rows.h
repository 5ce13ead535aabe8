/* Rounds as JSON and CSV, and an event as JSON. */
#ifndef FED_COORDINATOR_HTTP_HTTP_ROWS_H
#define FED_COORDINATOR_HTTP_HTTP_ROWS_H

#include "coordinator/http/http_answer.h"
#include "coordinator/http/page.h"

#define FED_HTTP_POINTS 1000u /* if nobody says how many */
#define FED_HTTP_POINTS_MOST 5000u

/* ?from=&to=&points= : columns, down-sampled. */
void fed_http_rounds(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask);
/* Every round, a line each. */
void fed_http_csv(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask);

/* One row as an object whose keys are those of the columns; one event. */
void fed_http_row(struct fed_writer *writer, const struct fed_curve_row *row);
void fed_http_event(struct fed_writer *writer, const struct fed_news_item *item);

/* The next n <= room bytes of the CSV; 0: it is over. FED_EFAILED: what was sent is not all. */
int fed_csv_next(size_t *n, struct fed_csv *csv, char *bytes, size_t room) FED_MUST_CHECK;
void fed_csv_free(struct fed_csv *csv);

#endif
