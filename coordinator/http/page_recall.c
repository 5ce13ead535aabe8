#include "coordinator/http/page_recall.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 100
#define MOST ((size_t)4 * FED_NEWS_MOST)

struct recalled {
    int64_t wall_ms;
    size_t order; /* among those of one moment */
    enum fed_news_kind kind;
    char text[sizeof((struct fed_news_item *)0)->text];
};

struct recall {
    struct recalled *items; /* (n of MOST) */
    size_t n;
    int64_t after_ms;
    uint64_t first, last; /* rounds */
    int64_t committed_ms[ROUNDS];
};

/* What does not fit is left out: rarer kinds come first. */
static struct recalled *add(struct recall *recall, int64_t wall_ms, enum fed_news_kind kind) {
    if (recall->n == MOST || wall_ms <= recall->after_ms) {
        return NULL;
    }
    struct recalled *item = &recall->items[recall->n];
    item->wall_ms = wall_ms;
    item->kind = kind;
    item->order = recall->n++;
    return item;
}

static void note_time(void *context, const struct fed_store_round *round) {
    struct recall *recall = context;
    recall->committed_ms[(round->round - recall->first) % ROUNDS] = round->wall_ms;
}

static void add_round(void *context, const struct fed_store_round *r) {
    struct recalled *item = add(context, r->wall_ms, FED_NEWS_COMMITTED);
    if (item != NULL && r->attempt > 0) {
        snprintf(item->text, sizeof item->text, "round %" PRIu64 ": %" PRIu64 " clients", r->round, r->clients);
    } else if (item != NULL) {
        snprintf(item->text, sizeof item->text,
                 r->round == 0 ? "the initial model" : "round %" PRIu64 ": an older model again", r->round);
    }
}

static void add_rollback(void *context, const struct fed_store_rollback *rollback) {
    struct recalled *item = add(context, rollback->wall_ms, FED_NEWS_ROLLBACK);
    if (item != NULL) {
        snprintf(item->text, sizeof item->text, "round %" PRIu64 " is the model of round %" PRIu64 " again (%s)",
                 rollback->round, rollback->to_round, rollback->reason);
    }
}

static void add_quarantine(void *context, const struct fed_store_quarantine *quarantine) {
    struct recalled *item = add(context, quarantine->since_ms, FED_NEWS_QUARANTINE);
    if (item != NULL) {
        snprintf(item->text, sizeof item->text, "%s: no work for %" PRId64 " s (%s)", quarantine->node,
                 (quarantine->until_ms - quarantine->since_ms) / 1000, quarantine->reason);
    }
}

static void add_attempt(void *context, const struct fed_view_attempt *attempt) {
    struct recalled *item = add(context, attempt->wall_ms, FED_NEWS_ABANDONED);
    if (item != NULL) {
        snprintf(item->text, sizeof item->text, "attempt %" PRIu32 " at round %" PRIu64 " came to nothing", attempt->attempt,
                 attempt->round);
    }
}

static void add_refusal(void *context, const struct fed_view_refusal *refusal) {
    struct recall *recall = context;
    struct recalled *item = add(recall, recall->committed_ms[(refusal->round - recall->first) % ROUNDS], FED_NEWS_REFUSED);
    if (item != NULL) {
        snprintf(item->text, sizeof item->text, "%s: %s, %" PRIu64 " time%s until round %" PRIu64,
                 refusal->node[0] != '\0' ? refusal->node : "stranger", refusal->reason, refusal->count,
                 refusal->count == 1 ? "" : "s", refusal->round);
    }
}

static int by_time(const void *a, const void *b) {
    const struct recalled *x = a, *y = b;
    int by = (x->wall_ms > y->wall_ms) - (x->wall_ms < y->wall_ms);
    return by != 0 ? by : (x->order > y->order) - (x->order < y->order);
}

static int collect(struct recall *recall, struct fed_run_reader *view, struct fed_error *err) {
    struct fed_store *store = fed_run_reader_store(view);
    int code = fed_run_reader_rounds(view, recall->first, recall->last, ROUNDS, note_time, recall, err);
    if (code == FED_OK) {
        code = fed_store_rollbacks(store, recall->first, add_rollback, recall, err);
    }
    if (code == FED_OK) {
        code = fed_run_reader_quarantines(view, ROUNDS, add_quarantine, recall, err);
    }
    if (code == FED_OK) {
        code = fed_run_reader_abandoned(view, recall->first, ROUNDS, add_attempt, recall, err);
    }
    if (code == FED_OK) {
        code = fed_run_reader_rounds(view, recall->first, recall->last, ROUNDS, add_round, recall, err);
    }
    return code == FED_OK ? fed_run_reader_refusals(view, recall->first, recall->last, add_refusal, recall, err) : code;
}

int fed_page_recall(struct fed_news *news, struct fed_run_reader *view, int64_t after_ms, struct fed_error *err) {
    struct recall recall = {.items = malloc(MOST * sizeof *recall.items), .after_ms = after_ms};
    if (recall.items == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int code = fed_run_reader_last(&recall.last, view, err);
    if (code == FED_OK) {
        recall.first = recall.last >= ROUNDS ? recall.last - ROUNDS + 1 : 0;
        code = collect(&recall, view, err);
    }
    if (code == FED_OK) {
        qsort(recall.items, recall.n, sizeof *recall.items, by_time);
        for (size_t i = 0; i < recall.n; i++) {
            fed_news_add(news, recall.items[i].wall_ms, recall.items[i].kind, "%s", recall.items[i].text);
        }
    }
    free(recall.items);
    return code == FED_ENOTFOUND ? FED_OK : code;
}
