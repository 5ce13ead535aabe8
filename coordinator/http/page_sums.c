/* What the page says of each node and of all of them, summed up as rounds are committed; a long run takes a few calls. */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "coordinator/http/page_internal.h"

#define SUMS_AT_ONCE 4 /* rounds, of which each may have many thousand rows */
#define SUMS_MS 25     /* of one call */

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
        code = fed_page_no_memory(page, err);
    }
    if (code == FED_OK) {
        page->sums_next = to + 1;
    } else { /* half a round must not be counted twice */
        fed_node_sums_fini(&page->sums);
        page->sums_next = 0;
    }
    return code;
}

int fed_page_count(bool *counted, struct fed_page *page, struct fed_error *err) {
    int code = fed_page_refresh(page, err);
    uint64_t end = fed_clock_ms() + SUMS_MS; /* from here: a disk that is slow to read from must not stop the count */
    const struct fed_samples *samples = &page->samples;
    while (code == FED_OK && samples->has_last && page->sums_next <= samples->last.round.round && fed_clock_ms() <= end) {
        code = count_further(page, samples->last.round.round, err);
    }
    *counted = code == FED_OK && (!samples->has_last || page->sums_next > samples->last.round.round);
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
    bool counted;
    fed_page_lock(page);
    int code = fed_page_count(&counted, page, err);
    if (code == FED_OK) {
        sums.rows = malloc((page->sums.n + 1) * sizeof *sums.rows);
        if (sums.rows == NULL) {
            fed_page_no_memory(page, err);
            code = FED_ENOMEM;
        }
    }
    if (code == FED_OK) {
        sums.n = page->sums.n;
        if (sums.n > 0) {
            memcpy(sums.rows, page->sums.rows, sums.n * sizeof *sums.rows);
        }
        memcpy(sums.refused, page->sums.refused, sizeof sums.refused);
        sums.counted = page->sums_next > 0 ? page->sums_next - 1 : 0;
    }
    fed_page_unlock(page, code);
    if (code != FED_OK) {
        fed_page_sums_fini(&sums);
        return code;
    }
    qsort(sums.rows, sums.n, sizeof *sums.rows, by_name);
    *out = sums;
    return FED_OK;
}

int fed_page_totals(struct fed_page_totals *out, struct fed_page *page, struct fed_error *err) {
    struct fed_page_totals totals = {0};
    fed_page_lock(page);
    int code = fed_page_count(&totals.counted, page, err);
    if (code == FED_OK) {
        code = fed_run_reader_count_quarantines(&totals.quarantines, page->view, err);
    }
    if (code == FED_OK) {
        totals.rounds = page->samples.totals;
        memcpy(totals.refused, page->sums.refused, sizeof totals.refused);
        *out = totals;
    }
    return fed_page_unlock(page, code);
}

int fed_page_each_quarantine(struct fed_page *page, size_t most,
                             void (*row)(void *context, const struct fed_store_quarantine *quarantine), void *context,
                             struct fed_error *err) {
    fed_page_lock(page);
    int code = fed_page_open_anew(page, err);
    return fed_page_unlock(page, code == FED_OK ? fed_run_reader_quarantines(page->view, most, row, context, err) : code);
}
