#include "coordinator/page.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "coordinator/page_recall.h"
#include "coordinator/run_reader.h"

#define ROUNDS_AT_ONCE 4096
#define SUMS_AT_ONCE 16   /* rounds */
#define SUMS_MS 25        /* of one call */
#define DETAIL_MOST 65536 /* rounds that are read anew for a part of a long run */
#define PARTITION_MAX ((size_t)1 << 20)

struct fall {
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
    struct fall *falls; /* (n_falls of falls_room), ascending, owned */
    size_t n_falls, falls_room;
    bool no_memory; /* inside a callback */
    struct fed_node_sums sums;
    uint64_t sums_next; /* the first round that they lack */
    uint64_t version;   /* of a directory */
};

static int out_of_memory(const struct fed_page *page, struct fed_error *err) {
    return fed_error_set(err, FED_ENOMEM, "%s: out of memory", page->dir);
}

/* -- What was read before, up to date -- */

static void forget(struct fed_page *page) {
    fed_samples_begin(&page->samples, NULL);
    page->n_falls = 0;
    fed_node_sums_fini(&page->sums);
    page->sums_next = 0;
}

static void take_round(void *context, const struct fed_store_round *round) {
    fed_samples_add(&((struct fed_page *)context)->samples, round);
}

static void take_fall(void *context, const struct fed_store_rollback *rollback) {
    struct fed_page *page = context;
    if (page->n_falls == page->falls_room) {
        size_t room = page->falls_room > 0 ? 2 * page->falls_room : 16;
        struct fall *falls = realloc(page->falls, room * sizeof *falls);
        page->no_memory |= falls == NULL;
        if (falls == NULL) {
            return;
        }
        page->falls = falls;
        page->falls_room = room;
    }
    page->falls[page->n_falls++] = (struct fall){rollback->to_round, rollback->round};
}

/* The last round is read again each time: its evaluation comes later than its commit. */
static int read_rounds(struct fed_page *page, struct fed_error *err) {
    uint64_t before;
    int code;
    do {
        before = page->samples.has_last ? page->samples.last.round.round : 0;
        code = fed_run_reader_rounds(page->view, before, UINT64_MAX, ROUNDS_AT_ONCE, take_round, page, err);
    } while (code == FED_OK && page->samples.has_last && page->samples.last.round.round >= before + ROUNDS_AT_ONCE - 1);
    if (code == FED_OK) {
        uint64_t known = page->n_falls > 0 ? page->falls[page->n_falls - 1].round + 1 : 0;
        page->no_memory = false;
        code = fed_store_rollbacks(fed_run_reader_store(page->view), known, take_fall, page, err);
    }
    return code == FED_OK && page->no_memory ? out_of_memory(page, err) : code;
}

/* Beside a coordinator of its own nobody else replaces the run. */
static int refresh_view(struct fed_page *page, struct fed_error *err) {
    struct fed_run_reader *view = NULL;
    if (page->view != NULL && (page->board != NULL || !fed_run_reader_is_stale(page->view))) {
        return FED_OK;
    }
    int code = fed_run_reader_open(&view, page->dir, err);
    if (code == FED_OK) {
        uint8_t old[16] = {0};
        if (page->view != NULL) {
            memcpy(old, fed_store_run_id(fed_run_reader_store(page->view)), sizeof old);
            fed_run_reader_close(page->view);
        }
        page->view = view;
        uint64_t last = 0;
        bool shorter = fed_run_reader_last(&last, view, NULL) == FED_OK && page->samples.has_last &&
                       last < page->samples.last.round.round;
        if (shorter || memcmp(old, fed_store_run_id(fed_run_reader_store(view)), sizeof old) != 0) {
            forget(page); /* another run, or this one from a backup */
        }
    }
    return code;
}

static int refresh(struct fed_page *page, struct fed_error *err) {
    int code = refresh_view(page, err);
    return code == FED_OK ? read_rounds(page, err) : code;
}

/* -- Start and end -- */

int fed_page_new(struct fed_page **out, const char *dir, struct fed_board *board, struct fed_news *news,
                 struct fed_error *err) {
    struct fed_page *page = calloc(1, sizeof *page);
    if (page == NULL) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", dir);
    }
    pthread_mutex_init(&page->lock, NULL);
    page->board = board;
    page->news = news;
    page->owns_news = news == NULL;
    page->dir = strdup(dir);
    int code = page->dir == NULL || fed_samples_init(&page->samples) != FED_OK ||
                       (news == NULL && fed_news_new(&page->news) != FED_OK)
                   ? fed_error_set(err, FED_ENOMEM, "%s: out of memory", dir)
                   : FED_OK;
    if (code == FED_OK) {
        code = refresh_view(page, err);
    }
    if (code == FED_OK) {
        code = fed_page_recall(page->news, page->view, 0, err);
    }
    if (code == FED_OK) {
        *out = page;
        page = NULL;
    }
    fed_page_free(page);
    return code;
}

void fed_page_free(struct fed_page *page) {
    if (page == NULL) {
        return;
    }
    fed_run_reader_close(page->view);
    fed_samples_fini(&page->samples);
    fed_node_sums_fini(&page->sums);
    if (page->owns_news) {
        fed_news_free(page->news);
    }
    pthread_mutex_destroy(&page->lock);
    free(page->falls);
    free(page->dir);
    free(page);
}

struct fed_board *fed_page_board(const struct fed_page *page) {
    return page->board;
}
struct fed_news *fed_page_news(const struct fed_page *page) {
    return page->news;
}

static void lock(struct fed_page *page) { pthread_mutex_lock(&page->lock); }

static int unlock(struct fed_page *page, int code) {
    pthread_mutex_unlock(&page->lock);
    return code;
}

/* -- Status -- */

static void tell_board(struct fed_status_report *report, struct fed_board *board) {
    struct fed_board_now now;
    uint64_t now_ms = fed_clock_ms();
    fed_board_get(board, &now, NULL);
    report->has_live = true;
    report->live = now.live;
    report->live.deadline_s =
        now.deadline_ms > 0 ? (now.deadline_ms > now_ms ? (double)(now.deadline_ms - now_ms) / 1000 : 0) : (double)NAN;
    memcpy(report->state, now.live.phase, sizeof report->state);
    memcpy(report->alarm, now.alarm, sizeof report->alarm);
    report->attempt = now.live.attempt;
    report->attempts_failed = now.attempts_failed;
    report->rounds = now.rounds;
    report->reproducible = now.reproducible;
}

int fed_page_status(struct fed_status_report *out, struct fed_page *page, struct fed_error *err) {
    struct fed_status_report report;
    lock(page);
    int code = refresh_view(page, err);
    if (code == FED_OK) {
        code = fed_status_report_read(&report, fed_run_reader_store(page->view), err);
    }
    unlock(page, code);
    if (code != FED_OK) {
        return code;
    }
    if (page->board != NULL) {
        tell_board(&report, page->board);
    }
    *out = report;
    return FED_OK;
}

/* A directory is looked at: another round, another evaluation of it, another file. */
uint64_t fed_page_version(struct fed_page *page) {
    uint64_t version = fed_news_last(page->news);
    if (page->board != NULL) {
        return version + fed_board_get(page->board, NULL, NULL);
    }
    lock(page);
    bool had_last = page->samples.has_last;
    struct fed_store_round before = page->samples.last.round;
    if (refresh(page, NULL) == FED_OK) {
        const struct fed_store_round *last = &page->samples.last.round;
        bool same = had_last == page->samples.has_last && before.round == last->round &&
                    isnan(before.loss) == isnan(last->loss) && page->version > 0;
        page->version += !same;
        if (!same) {
            int64_t after = had_last ? before.wall_ms : last->wall_ms;
            (void)(fed_page_recall(page->news, page->view, after, NULL) == FED_OK); /* told with the next change */
        }
    }
    version = fed_news_last(page->news) + page->version;
    unlock(page, FED_OK);
    return version;
}

/* -- Rounds -- */

void fed_page_rounds_fini(struct fed_page_rounds *rounds) {
    free(rounds->rows);
    *rounds = (struct fed_page_rounds){0};
}

/* The first row of a round above this one. */
static size_t row_above(const struct fed_page_rounds *rounds, uint64_t round) {
    size_t low = 0, high = rounds->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rounds->rows[middle].round.round <= round) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What a rollback took back lies between its two rounds. */
static void mark_falls(struct fed_page_rounds *rounds, const struct fed_page *page) {
    for (size_t f = 0; f < page->n_falls; f++) {
        const struct fall *fall = &page->falls[f];
        size_t i = row_above(rounds, fall->to_round);
        for (; i < rounds->n && rounds->rows[i].round.round < fall->round; i++) {
            rounds->rows[i].rolled_back = true;
        }
        if (i < rounds->n && rounds->rows[i].round.round == fall->round) {
            rounds->rows[i].is_rollback = true;
            rounds->rows[i].rollback_to = fall->to_round;
        }
    }
}

static void add_detail(void *context, const struct fed_store_round *round) { fed_samples_add(context, round); }

/* What was thinned out is read again, with totals that start at the kept row before it. */
static int take_detail(struct fed_page_rounds *out, struct fed_page *page, uint64_t from, uint64_t to, size_t n,
                       struct fed_error *err) {
    struct fed_samples detail;
    const struct fed_curve_row *start = from > 0 ? fed_samples_at(&page->samples, from - 1) : NULL;
    if (fed_samples_init(&detail) != FED_OK) {
        return out_of_memory(page, err);
    }
    fed_samples_begin(&detail, start);
    uint64_t first = start != NULL ? start->round.round + 1 : 0;
    int code = fed_run_reader_rounds(page->view, first, to, SIZE_MAX, add_detail, &detail, err);
    if (code == FED_OK) {
        out->n = fed_samples_take(out->rows, n, &detail, from, to);
    }
    fed_samples_fini(&detail);
    return code;
}

static int sample(struct fed_page_rounds *out, struct fed_page *page, uint64_t from, uint64_t to, size_t n,
                  struct fed_error *err) {
    uint64_t last = page->samples.has_last ? page->samples.last.round.round : 0;
    int code = FED_OK;
    out->last = last;
    out->rows = calloc(n, sizeof *out->rows);
    if (out->rows == NULL) {
        return out_of_memory(page, err);
    }
    to = to < last ? to : last;
    if (page->samples.stride > 1 && from <= to && to - from < DETAIL_MOST) {
        code = take_detail(out, page, from, to, n, err);
    } else {
        out->n = fed_samples_take(out->rows, n, &page->samples, from, to);
    }
    if (code == FED_OK) {
        mark_falls(out, page);
    }
    return code;
}

int fed_page_rounds(struct fed_page_rounds *out, struct fed_page *page, uint64_t from, uint64_t to, size_t n,
                    struct fed_error *err) {
    struct fed_page_rounds rounds = {0};
    lock(page);
    int code = refresh(page, err);
    if (code == FED_OK) {
        code = sample(&rounds, page, from, to, n, err);
    }
    unlock(page, code);
    if (code != FED_OK) {
        fed_page_rounds_fini(&rounds);
        return code;
    }
    *out = rounds;
    return FED_OK;
}

int fed_page_every_round(struct fed_page_rounds *out, struct fed_page *page, uint64_t from, size_t most,
                         struct fed_error *err) {
    return fed_page_rounds(out, page, from, from + most - 1, most, err);
}

int fed_page_last_round(struct fed_curve_row *out, bool *found, struct fed_page *page, struct fed_error *err) {
    lock(page);
    int code = refresh(page, err);
    if (code == FED_OK) {
        *found = page->samples.has_last;
        *out = page->samples.last;
    }
    return unlock(page, code);
}

/* -- Sums by node -- */

static void take_share(void *context, const struct fed_view_share *share) {
    struct fed_page *page = context;
    page->no_memory |= fed_node_sums_share(&page->sums, share->node, share->round, share->clients, share->weight) != FED_OK;
}

static void take_refusal(void *context, const struct fed_view_refusal *refusal) {
    struct fed_page *page = context;
    page->no_memory |= fed_node_sums_refusal(&page->sums, refusal->node, refusal->reason, refusal->count) != FED_OK;
}

/* Some rounds further: rows of a committed round do not change any more. */
static int count_further(struct fed_page *page, uint64_t last, struct fed_error *err) {
    uint64_t from = page->sums_next, to = from + SUMS_AT_ONCE - 1 < last ? from + SUMS_AT_ONCE - 1 : last;
    page->no_memory = false;
    int code = fed_run_reader_shares(page->view, from, to, take_share, page, err);
    if (code == FED_OK) {
        code = fed_run_reader_refusals(page->view, from, to, take_refusal, page, err);
    }
    if (code == FED_OK && page->no_memory) {
        code = out_of_memory(page, err);
    }
    if (code == FED_OK) {
        page->sums_next = to + 1;
    } else { /* half a round must not be counted twice */
        fed_node_sums_fini(&page->sums);
        page->sums_next = 0;
    }
    return code;
}

static int read_sums(struct fed_page *page, struct fed_error *err) {
    uint64_t end = fed_clock_ms() + SUMS_MS;
    int code = refresh(page, err);
    while (code == FED_OK && page->samples.has_last && page->sums_next <= page->samples.last.round.round &&
           fed_clock_ms() <= end) {
        code = count_further(page, page->samples.last.round.round, err);
    }
    return code;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct fed_node_sum *)a)->name, ((const struct fed_node_sum *)b)->name);
}

void fed_page_sums_fini(struct fed_page_sums *sums) {
    free(sums->rows);
    *sums = (struct fed_page_sums){0};
}

int fed_page_sums(struct fed_page_sums *out, struct fed_page *page, struct fed_error *err) {
    struct fed_page_sums sums = {0};
    lock(page);
    int code = read_sums(page, err);
    if (code == FED_OK) {
        sums.rows = malloc((page->sums.n + 1) * sizeof *sums.rows);
        code = sums.rows != NULL ? FED_OK : out_of_memory(page, err);
    }
    if (code == FED_OK) {
        sums.n = page->sums.n;
        if (sums.n > 0) {
            memcpy(sums.rows, page->sums.rows, sums.n * sizeof *sums.rows);
        }
        memcpy(sums.refused, page->sums.refused, sizeof sums.refused);
        sums.counted = page->sums_next > 0 ? page->sums_next - 1 : 0;
    }
    unlock(page, code);
    if (code != FED_OK) {
        return code;
    }
    qsort(sums.rows, sums.n, sizeof *sums.rows, by_name);
    *out = sums;
    return FED_OK;
}

int fed_page_quarantines(uint64_t *n, struct fed_page *page, struct fed_error *err) {
    lock(page);
    int code = refresh_view(page, err);
    return unlock(page, code == FED_OK ? fed_run_reader_count_quarantines(n, page->view, err) : code);
}

int fed_page_each_quarantine(struct fed_page *page, size_t most,
                             void (*row)(void *context, const struct fed_store_quarantine *quarantine), void *context,
                             struct fed_error *err) {
    lock(page);
    int code = refresh_view(page, err);
    return unlock(page, code == FED_OK ? fed_run_reader_quarantines(page->view, most, row, context, err) : code);
}

/* -- Files -- */

int fed_page_model(int *fd, size_t *n_bytes, uint64_t *round, struct fed_page *page, struct fed_error *err) {
    char *path = NULL;
    uint64_t last = 0;
    lock(page);
    int code = refresh_view(page, err);
    if (code == FED_OK) {
        code = fed_run_reader_last(&last, page->view, err);
    }
    if (code == FED_OK && fed_store_model_path(&path, fed_run_reader_store(page->view), last) != FED_OK) {
        code = out_of_memory(page, err);
    }
    unlock(page, code);
    if (code == FED_OK) {
        code = fed_file_open(fd, n_bytes, path, err);
    }
    if (code == FED_OK) {
        *round = last;
    }
    free(path);
    return code;
}

int fed_page_partition(char **out, struct fed_page *page, struct fed_error *err) {
    char *path = NULL;
    uint8_t *bytes = NULL;
    size_t n;
    if (fed_path_join(&path, page->dir, "partition.json") != FED_OK) {
        return out_of_memory(page, err);
    }
    int code = fed_file_read(&bytes, &n, path, PARTITION_MAX, err);
    json_t *object = code == FED_OK ? json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (code == FED_OK && !json_is_object(object)) {
        code = fed_error_set(err, FED_EDATA, "%s is damaged; it may be removed", path);
    }
    if (code == FED_OK) {
        char *text = json_dumps(object, JSON_COMPACT);
        code = text != NULL ? FED_OK : out_of_memory(page, err);
        if (text != NULL) {
            *out = text;
        }
    }
    json_decref(object);
    free(bytes);
    free(path);
    return code;
}
