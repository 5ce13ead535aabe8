#include "coordinator/http/http_nodes.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "coordinator/http/http_api.h"

#define LIMIT 50u /* if nobody says how many */
#define LIMIT_MOST 200u
#define QUARANTINES_MOST 10000u

/* One node as it is told. NaN and NULL = not known. */
struct line {
    const char *name, *fingerprint;
    double first_client, clients;
    int online; /* -1 = nobody knows */
    double last_seen_s, seconds_per_update;
    const struct fed_node_sum *sum; /* NULL: it did nothing yet */
    uint64_t refused;
    double quarantined_until; /* since 1970 */
    char reason[24];
};

struct lines {
    struct line *rows; /* (n of room), owned */
    size_t n, room;
    struct fed_board_node *board; /* (n_board), owned; sorted by name */
    size_t n_board;
    struct fed_page_sums sums;
    uint64_t now_ms;
    int64_t wall_ms;
};

/* -- Where they come from -- */

static int by_board_name(const void *a, const void *b) {
    return strcmp(((const struct fed_board_node *)a)->name, ((const struct fed_board_node *)b)->name);
}

static void from_board(struct line *line, const struct fed_board_node *node, const struct lines *lines) {
    bool held = node->quarantine_ms > lines->now_ms;
    line->name = node->name;
    line->fingerprint = node->fingerprint;
    line->first_client = (double)node->first_client;
    line->clients = (double)node->n_clients;
    line->online = node->online;
    line->last_seen_s = node->heard_ms == 0
                            ? (double)NAN
                            : (lines->now_ms > node->heard_ms ? (double)(lines->now_ms - node->heard_ms) / 1000 : 0);
    line->seconds_per_update = node->trained > 0 ? node->train_seconds / (double)node->trained : (double)NAN;
    line->quarantined_until =
        held ? floor((double)(lines->wall_ms + (int64_t)(node->quarantine_ms - lines->now_ms)) / 1000) : (double)NAN;
    snprintf(line->reason, sizeof line->reason, "%s", held ? node->reason : "");
}

static uint64_t sum_refused(const struct fed_node_sum *sum) {
    uint64_t all = 0;
    for (size_t i = 0; i < FED_REFUSAL_COUNT; i++) {
        all += sum->refused[i];
    }
    return all;
}

/* Both lists are sorted by name: of a node that stands in both the roster's word is added to that of the run. */
static int merge(struct lines *lines) {
    const struct fed_page_sums *sums = &lines->sums;
    size_t b = 0, s = 0;
    lines->rows = calloc(lines->n_board + sums->n + 1, sizeof *lines->rows);
    if (lines->rows == NULL) {
        return FED_ENOMEM;
    }
    if (lines->n_board > 0) {
        qsort(lines->board, lines->n_board, sizeof *lines->board, by_board_name);
    }
    while (b < lines->n_board || s < sums->n) {
        int order = b == lines->n_board ? 1 : s == sums->n ? -1 : strcmp(lines->board[b].name, sums->rows[s].name);
        struct line *line = &lines->rows[lines->n];
        *line = (struct line){.online = -1,
                              .first_client = (double)NAN,
                              .clients = (double)NAN,
                              .last_seen_s = (double)NAN,
                              .seconds_per_update = (double)NAN,
                              .quarantined_until = (double)NAN};
        if (order >= 0) {
            line->sum = &sums->rows[s++];
            line->name = line->sum->name;
            line->refused = sum_refused(line->sum);
        }
        if (order <= 0) {
            from_board(line, &lines->board[b++], lines);
        }
        lines->n += line->name[0] != '\0'; /* strangers are no node */
    }
    return FED_OK;
}

static int by_line_name(const void *a, const void *b) {
    return strcmp(((const struct line *)a)->name, ((const struct line *)b)->name);
}

/* From a directory: quarantines that still hold. */
static void take_quarantine(void *context, const struct fed_store_quarantine *quarantine) {
    struct lines *lines = context;
    struct line key = {.name = quarantine->node};
    struct line *line = quarantine->until_ms > lines->wall_ms
                            ? bsearch(&key, lines->rows, lines->n, sizeof *lines->rows, by_line_name)
                            : NULL;
    if (line != NULL && isnan(line->quarantined_until)) {
        line->quarantined_until = floor((double)quarantine->until_ms / 1000);
        snprintf(line->reason, sizeof line->reason, "%s", quarantine->reason);
    }
}

static int collect(struct lines *lines, struct fed_page *page, struct fed_error *err) {
    struct fed_board *board = fed_page_board(page);
    int code = fed_page_sums(&lines->sums, page, err);
    if (code == FED_OK &&
        ((board != NULL && fed_board_nodes(&lines->board, &lines->n_board, board) != FED_OK) || merge(lines) != FED_OK)) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    return code == FED_OK && board == NULL ? fed_page_each_quarantine(page, QUARANTINES_MOST, take_quarantine, lines, err)
                                           : code;
}

static void free_lines(struct lines *lines) {
    free(lines->rows);
    free(lines->board);
    fed_page_sums_fini(&lines->sums);
}

/* -- Which of them, in which order -- */

/* By name as it stands, whether letters are large or small in the question. */
static void keep_found(struct lines *lines, const char *find) {
    size_t kept = 0;
    for (size_t i = 0; i < lines->n; i++) {
        const struct line *line = &lines->rows[i];
        assert(line->name != NULL);
        if (strcasestr(line->name, find) != NULL ||
            (line->fingerprint != NULL && strcasestr(line->fingerprint, find) != NULL)) {
            lines->rows[kept++] = *line;
        }
    }
    lines->n = kept;
}

static int by_name(const struct line *x, const struct line *y) { return strcmp(x->name, y->name); }

/* The one heard of last comes first. */
static int by_last_seen(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    double seen_x = isnan(x->last_seen_s) ? INFINITY : x->last_seen_s,
           seen_y = isnan(y->last_seen_s) ? INFINITY : y->last_seen_s;
    int order = (seen_x > seen_y) - (seen_x < seen_y);
    return order != 0 ? order : by_name(x, y);
}

static int by_refusals(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    int order = (x->refused < y->refused) - (x->refused > y->refused);
    return order != 0 ? order : by_name(x, y);
}

static uint64_t rounds_of(const struct line *line) { return line->sum != NULL ? line->sum->rounds : 0; }

static int by_rounds(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    int order = (rounds_of(x) < rounds_of(y)) - (rounds_of(x) > rounds_of(y));
    return order != 0 ? order : by_name(x, y);
}

static const struct {
    const char *name;
    int (*compare)(const void *a, const void *b); /* NULL: they are in this order */
} orders[] = {{"name", NULL}, {"last_seen", by_last_seen}, {"refusals", by_refusals}, {"rounds", by_rounds}};

/* Numbers that grow and names that do not: the order of two requests is the same where nothing changed. */
static bool sort(struct lines *lines, const char *wanted) {
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        if (strcmp(orders[i].name, wanted) == 0) {
            if (orders[i].compare != NULL && lines->rows != NULL) {
                qsort(lines->rows, lines->n, sizeof *lines->rows, orders[i].compare);
            }
            return true;
        }
    }
    return false;
}

/* -- JSON -- */

static void write_refusals(struct fed_writer *writer, const uint64_t refused[FED_REFUSAL_COUNT]) {
    bool first = true;
    fed_writer_add(writer, "{");
    for (size_t i = 0; i < FED_REFUSAL_COUNT; i++) {
        if (refused[i] > 0) {
            fed_writer_addf(writer, "%s\"%s\":%" PRIu64, first ? "" : ",",
                            i == FED_REFUSAL_NONE ? "other" : fed_refusal_name((enum fed_refusal)i), refused[i]);
            first = false;
        }
    }
    fed_writer_add(writer, "}");
}

static void write_text(struct fed_writer *writer, const char *key, const char *text) {
    fed_writer_addf(writer, ",\"%s\":", key);
    if (text != NULL && text[0] != '\0') {
        fed_writer_json_text(writer, text);
    } else {
        fed_writer_add(writer, "null");
    }
}

static void write_number(struct fed_writer *writer, const char *key, double value) {
    fed_writer_addf(writer, ",\"%s\":", key);
    fed_writer_json_number(writer, value);
}

static void write_line(struct fed_writer *writer, const struct line *line) {
    static const uint64_t nothing[FED_REFUSAL_COUNT];
    const struct fed_node_sum *sum = line->sum;
    fed_writer_add(writer, "{\"name\":");
    fed_writer_json_text(writer, line->name);
    write_text(writer, "fingerprint", line->fingerprint);
    write_number(writer, "first_client", line->first_client);
    write_number(writer, "clients", line->clients);
    fed_writer_addf(writer, ",\"online\":%s", line->online < 0 ? "null" : line->online > 0 ? "true" : "false");
    write_number(writer, "last_seen_s", line->last_seen_s);
    write_number(writer, "examples", sum != NULL && sum->rounds > 0 ? (double)sum->examples : (double)NAN);
    write_number(writer, "rounds_served", (double)rounds_of(line));
    write_number(writer, "last_round", sum != NULL && sum->rounds > 0 ? (double)sum->last_round : (double)NAN);
    write_number(writer, "seconds_per_update", line->seconds_per_update);
    fed_writer_add(writer, ",\"refusals\":");
    write_refusals(writer, sum != NULL ? sum->refused : nothing);
    write_number(writer, "quarantined_until", line->quarantined_until);
    write_text(writer, "reason", line->reason);
    fed_writer_add(writer, "}");
}

static void write_lines(struct fed_answer *out, const struct lines *lines, uint64_t offset, uint64_t limit) {
    struct fed_writer writer = {0};
    uint64_t end = offset < lines->n && limit < lines->n - offset ? offset + limit : lines->n;
    static const uint64_t nothing[FED_REFUSAL_COUNT];
    const struct fed_page_sums *sums = &lines->sums; /* strangers, who have no name, come first there */
    bool strangers = sums->n > 0 && sums->rows[0].name[0] == '\0';
    fed_writer_addf(&writer,
                    "{\"total\":%zu,\"offset\":%" PRIu64 ",\"counted_to_round\":%" PRIu64 ",\"strangers\":", lines->n,
                    offset, sums->counted);
    write_refusals(&writer, strangers ? sums->rows[0].refused : nothing);
    fed_writer_add(&writer, ",\"nodes\":[");
    for (uint64_t i = offset; i < end; i++) {
        fed_writer_add(&writer, i > offset ? "," : "");
        write_line(&writer, &lines->rows[i]);
    }
    fed_writer_add(&writer, "]}");
    fed_answer_written(out, FED_HTTP_JSON, &writer);
}

void fed_http_nodes(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    struct lines lines = {.now_ms = fed_clock_ms(), .wall_ms = fed_clock_wall_ms()};
    const char *find = ask->parameter(ask->context, "find"), *order = ask->parameter(ask->context, "sort");
    struct fed_error err = {""};
    uint64_t offset, limit;
    if (!fed_http_number(&offset, out, ask, "offset", 0, 0, INT64_MAX) ||
        !fed_http_number(&limit, out, ask, "limit", LIMIT, 1, LIMIT_MOST)) {
        return;
    }
    int code = collect(&lines, page, &err);
    if (code == FED_OK && find != NULL && find[0] != '\0') {
        keep_found(&lines, find);
    }
    if (code != FED_OK) {
        fed_http_failed(out, code, &err);
    } else if (!sort(&lines, order != NULL ? order : "name")) {
        fed_answer_error(out, 400, "sort is to be name, last_seen, refusals or rounds");
    } else {
        write_lines(out, &lines, offset, limit);
    }
    free_lines(&lines);
}
