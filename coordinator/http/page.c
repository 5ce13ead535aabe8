#include "coordinator/http/page_internal.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "coordinator/http/page_recall.h"
#include "coordinator/http/partition_file.h"
#include "coordinator/store/run_reader.h"

#define ROUNDS_AT_ONCE 4096
#define PARTITION_MAX ((size_t)1 << 20)

void fed_page_lock(struct fed_page *page) { pthread_mutex_lock(&page->lock); }

int fed_page_unlock(struct fed_page *page, int code) {
    pthread_mutex_unlock(&page->lock);
    return code;
}

int fed_page_no_memory(const struct fed_page *page, struct fed_error *err) {
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
        struct fed_page_fall *falls = realloc(page->falls, room * sizeof *falls);
        page->no_memory |= falls == NULL;
        if (falls == NULL) {
            return;
        }
        page->falls = falls;
        page->falls_room = room;
    }
    page->falls[page->n_falls++] = (struct fed_page_fall){rollback->to_round, rollback->round};
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
    return code == FED_OK && page->no_memory ? fed_page_no_memory(page, err) : code;
}

/* Beside a coordinator of its own nobody else replaces the run. */
int fed_page_open_anew(struct fed_page *page, struct fed_error *err) {
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

int fed_page_refresh(struct fed_page *page, struct fed_error *err) {
    int code = fed_page_open_anew(page, err);
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
        code = fed_page_open_anew(page, err);
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

/* Of a long run the refusals are told as far as they are counted: to add all of them up in one request would take seconds,
 * in which nobody else is answered. */
static int read_report(struct fed_status_report *report, struct fed_page *page, struct fed_error *err) {
    bool counted;
    int code = fed_page_count(&counted, page, err);
    if (code == FED_OK) {
        code = fed_status_report_read_rounds(report, fed_run_reader_store(page->view), err);
    }
    for (size_t i = 0; code == FED_OK && i < FED_REFUSAL_COUNT; i++) {
        if (page->sums.refused[i] > 0) {
            const char *reason = i == FED_REFUSAL_NONE ? "other" : fed_refusal_name((enum fed_refusal)i);
            fed_status_report_refused(report, reason, page->sums.refused[i]);
        }
    }
    return code;
}

int fed_page_status(struct fed_status_report *out, struct fed_page *page, struct fed_error *err) {
    struct fed_status_report report;
    fed_page_lock(page);
    int code = fed_page_open_anew(page, err);
    if (code == FED_OK) {
        code = read_report(&report, page, err);
    }
    fed_page_unlock(page, code);
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
    fed_page_lock(page);
    bool had_last = page->samples.has_last;
    struct fed_store_round before = page->samples.last.round;
    if (fed_page_refresh(page, NULL) == FED_OK) {
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
    fed_page_unlock(page, FED_OK);
    return version;
}

/* -- Files -- */

int fed_page_model(int *fd, size_t *n_bytes, uint64_t *round, struct fed_page *page, struct fed_error *err) {
    char *path = NULL;
    uint64_t last = 0;
    fed_page_lock(page);
    int code = fed_page_open_anew(page, err);
    if (code == FED_OK) {
        code = fed_run_reader_last(&last, page->view, err);
    }
    if (code == FED_OK && fed_store_model_path(&path, fed_run_reader_store(page->view), last) != FED_OK) {
        code = fed_page_no_memory(page, err);
    }
    fed_page_unlock(page, code);
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
    if (fed_path_join(&path, page->dir, FED_PARTITION_FILE) != FED_OK) {
        return fed_page_no_memory(page, err);
    }
    int code = fed_file_read(&bytes, &n, path, PARTITION_MAX, err);
    json_t *object = code == FED_OK ? json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (code == FED_OK && !json_is_object(object)) {
        code = fed_error_set(err, FED_EDATA, "%s is damaged; it may be removed", path);
    }
    if (code == FED_OK) {
        char *text = json_dumps(object, JSON_COMPACT);
        code = text != NULL ? FED_OK : fed_page_no_memory(page, err);
        if (text != NULL) {
            *out = text;
        }
    }
    json_decref(object);
    free(bytes);
    free(path);
    return code;
}
