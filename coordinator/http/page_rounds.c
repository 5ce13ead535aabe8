/* Rounds of the page: as many as are asked for, evenly, with totals over all of them. */
#include <stdlib.h>

#include "coordinator/http/page_internal.h"

#define DETAIL_MOST 65536 /* rounds that are read anew for a part of a long run */

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
        const struct fed_page_fall *fall = &page->falls[f];
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
        return fed_page_no_memory(page, err);
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
        return fed_page_no_memory(page, err);
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
    fed_page_lock(page);
    int code = fed_page_refresh(page, err);
    if (code == FED_OK) {
        code = sample(&rounds, page, from, to, n, err);
    }
    fed_page_unlock(page, code);
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
    fed_page_lock(page);
    int code = fed_page_refresh(page, err);
    if (code == FED_OK) {
        *found = page->samples.has_last;
        *out = page->samples.last;
    }
    return fed_page_unlock(page, code);
}
