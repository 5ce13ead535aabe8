#include "coordinator/http/news.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum shelf { ROUNDS, NODES, REFUSALS, TROUBLES, SHELVES };

#define SHELF (FED_NEWS_MOST / SHELVES)

struct ring {
    struct fed_news_item items[SHELF];
    uint64_t n; /* ever added; the last SHELF of them are there */
};

struct fed_news {
    pthread_mutex_t lock;
    uint64_t last;
    struct ring shelves[SHELVES];
};

static const struct {
    const char *name;
    enum shelf shelf;
} kinds[] = {
    [FED_NEWS_COMMITTED] = {"committed", ROUNDS}, [FED_NEWS_ABANDONED] = {"abandoned", ROUNDS},
    [FED_NEWS_ROLLBACK] = {"rollback", TROUBLES}, [FED_NEWS_QUARANTINE] = {"quarantine", TROUBLES},
    [FED_NEWS_JOINED] = {"joined", NODES},        [FED_NEWS_LEFT] = {"left", NODES},
    [FED_NEWS_REFUSED] = {"refused", REFUSALS},   [FED_NEWS_ALARM] = {"alarm", TROUBLES},
    [FED_NEWS_FINISHED] = {"finished", TROUBLES},
};

const char *fed_news_kind_name(enum fed_news_kind kind) { return kinds[kind].name; }

int fed_news_new(struct fed_news **out) {
    struct fed_news *news = calloc(1, sizeof *news);
    if (news == NULL) {
        return FED_ENOMEM;
    }
    pthread_mutex_init(&news->lock, NULL);
    *out = news;
    return FED_OK;
}

void fed_news_free(struct fed_news *news) {
    if (news != NULL) {
        pthread_mutex_destroy(&news->lock);
        free(news);
    }
}

void fed_news_add(struct fed_news *news, int64_t wall_ms, enum fed_news_kind kind, const char *format, ...) {
    va_list arguments;
    if (news == NULL) {
        return;
    }
    pthread_mutex_lock(&news->lock);
    struct ring *ring = &news->shelves[kinds[kind].shelf];
    struct fed_news_item *item = &ring->items[ring->n++ % SHELF];
    item->number = ++news->last;
    item->wall_ms = wall_ms;
    item->kind = kind;
    va_start(arguments, format);
    vsnprintf(item->text, sizeof item->text, format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&news->lock);
}

/* The i-th newest, or NULL. */
static const struct fed_news_item *newest(const struct ring *ring, uint64_t i, uint64_t after) {
    uint64_t kept = ring->n < SHELF ? ring->n : SHELF;
    const struct fed_news_item *item = i < kept ? &ring->items[(ring->n - 1 - i) % SHELF] : NULL;
    return item != NULL && item->number > after ? item : NULL;
}

size_t fed_news_get(struct fed_news_item *out, size_t most, struct fed_news *news, uint64_t after) {
    uint64_t taken[SHELVES] = {0};
    size_t n = 0;
    pthread_mutex_lock(&news->lock);
    for (; n < most; n++) {
        const struct fed_news_item *best = NULL;
        size_t from = 0;
        for (size_t s = 0; s < SHELVES; s++) {
            const struct fed_news_item *item = newest(&news->shelves[s], taken[s], after);
            if (item != NULL && (best == NULL || item->number > best->number)) {
                best = item;
                from = s;
            }
        }
        if (best == NULL) {
            break;
        }
        out[n] = *best;
        taken[from]++;
    }
    pthread_mutex_unlock(&news->lock);
    return n;
}

uint64_t fed_news_last(struct fed_news *news) {
    pthread_mutex_lock(&news->lock);
    uint64_t last = news->last;
    pthread_mutex_unlock(&news->lock);
    return last;
}
