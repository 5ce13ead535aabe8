/* What happened lately, for people: the last FED_NEWS_MOST events, a quarter each for rounds, for who comes and goes, for
 * what is refused, and for what somebody should look at, so that a fast run or a flood does not push everything else out.
 * From any thread. */
#ifndef FED_COORDINATOR_HTTP_NEWS_H
#define FED_COORDINATOR_HTTP_NEWS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_NEWS_MOST 200

enum fed_news_kind {
    FED_NEWS_COMMITTED,
    FED_NEWS_ABANDONED,
    FED_NEWS_ROLLBACK,
    FED_NEWS_QUARANTINE,
    FED_NEWS_JOINED,
    FED_NEWS_LEFT,
    FED_NEWS_REFUSED,
    FED_NEWS_ALARM,
    FED_NEWS_FINISHED,
};
/* "committed", "abandoned", ... */
const char *fed_news_kind_name(enum fed_news_kind kind);

struct fed_news_item {
    uint64_t number; /* 1, 2, ... in the order in which they were added */
    int64_t wall_ms;
    enum fed_news_kind kind;
    char text[200];
};

struct fed_news;

int fed_news_new(struct fed_news **out) FED_MUST_CHECK;
void fed_news_free(struct fed_news *news);

/* news NULL: nobody wants to know. */
void fed_news_add(struct fed_news *news, int64_t wall_ms, enum fed_news_kind kind, const char *format, ...) FED_PRINTF(4, 5);
/* Those with a number above `after`, newest first, at most `most`. Returns how many were written. */
size_t fed_news_get(struct fed_news_item *out, size_t most, struct fed_news *news, uint64_t after);
/* Of the last one; 0 = there is none. */
uint64_t fed_news_last(struct fed_news *news);

#endif
