#include "coordinator/http/http_rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/http/http_api.h"

#define CSV_AT_ONCE 64 /* rounds */

/* -- The columns, for many rows and for a single one -- */

static double value_round(const struct fed_curve_row *r) { return (double)r->round.round; }
static double value_accuracy(const struct fed_curve_row *r) { return r->round.accuracy; }
static double value_loss(const struct fed_curve_row *r) { return r->round.loss; }
static double value_seconds(const struct fed_curve_row *r) { return r->round.seconds; }
static double value_train_seconds(const struct fed_curve_row *r) { return r->round.train_seconds; }
static double value_bytes_down(const struct fed_curve_row *r) { return (double)r->round.bytes_down; }
static double value_bytes_up(const struct fed_curve_row *r) { return (double)r->round.bytes_up; }
static double value_clients(const struct fed_curve_row *r) { return (double)r->round.clients; }
static double value_weight(const struct fed_curve_row *r) { return (double)r->round.weight; }
static double value_seconds_total(const struct fed_curve_row *r) { return r->seconds_total; }
static double value_bytes_total(const struct fed_curve_row *r) { return (double)r->bytes_total; }
static double value_rolled_back(const struct fed_curve_row *r) { return r->rolled_back; }

static const struct {
    const char *name;
    double (*value)(const struct fed_curve_row *row); /* whole numbers are below 2^53 */
} columns[] = {
    {"round", value_round},
    {"accuracy", value_accuracy},
    {"loss", value_loss},
    {"seconds", value_seconds},
    {"train_seconds", value_train_seconds},
    {"bytes_down", value_bytes_down},
    {"bytes_up", value_bytes_up},
    {"clients", value_clients},
    {"weight", value_weight},
    {"seconds_total", value_seconds_total},
    {"bytes_total", value_bytes_total},
    {"rolled_back", value_rolled_back},
};
#define N_COLUMNS (sizeof columns / sizeof *columns)

void fed_http_row(struct fed_writer *writer, const struct fed_curve_row *row) {
    for (size_t c = 0; c < N_COLUMNS; c++) {
        fed_writer_addf(writer, "%s\"%s\":", c == 0 ? "{" : ",", columns[c].name);
        fed_writer_json_number(writer, columns[c].value(row));
    }
    fed_writer_add(writer, "}");
}

void fed_http_event(struct fed_writer *writer, const struct fed_news_item *item) {
    fed_writer_add(writer, "{\"at\":");
    fed_writer_number(writer, (double)item->wall_ms / 1000);
    fed_writer_addf(writer, ",\"kind\":\"%s\",\"text\":", fed_news_kind_name(item->kind));
    fed_writer_json_text(writer, item->text);
    fed_writer_add(writer, "}");
}

/* -- JSON -- */

static void write_rounds(struct fed_writer *writer, const struct fed_page_rounds *rounds) {
    if (rounds->n > 0) {
        fed_writer_addf(writer, "{\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"last\":%" PRIu64, rounds->rows[0].round.round,
                        rounds->rows[rounds->n - 1].round.round, rounds->last);
    } else {
        fed_writer_addf(writer, "{\"from\":null,\"to\":null,\"last\":%" PRIu64, rounds->last);
    }
    for (size_t c = 0; c < N_COLUMNS; c++) {
        fed_writer_addf(writer, "%s\"%s\":[", c == 0 ? ",\"columns\":{" : "],", columns[c].name);
        for (size_t i = 0; i < rounds->n; i++) {
            fed_writer_add(writer, i > 0 ? "," : "");
            fed_writer_json_number(writer, columns[c].value(&rounds->rows[i]));
        }
    }
    fed_writer_add(writer, "]}}");
}

void fed_http_rounds(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    struct fed_page_rounds rounds;
    struct fed_writer writer = {0};
    struct fed_error err = {""};
    uint64_t from, to, points;
    if (!fed_http_number(&from, out, ask, "from", 0, 0, INT64_MAX) ||
        !fed_http_number(&to, out, ask, "to", INT64_MAX, 0, INT64_MAX) ||
        !fed_http_number(&points, out, ask, "points", FED_HTTP_POINTS, 2, FED_HTTP_POINTS_MOST)) {
        return;
    }
    int code = fed_page_rounds(&rounds, page, from, to, (size_t)points, &err);
    if (code != FED_OK) {
        fed_http_failed(out, code, &err);
        return;
    }
    write_rounds(&writer, &rounds);
    fed_page_rounds_fini(&rounds);
    fed_answer_written(out, FED_HTTP_JSON, &writer);
}

/* -- CSV, made piece by piece while it is sent -- */

struct fed_csv {
    struct fed_page *page; /* borrowed */
    uint64_t next;         /* round */
    bool over;
    char *piece; /* owned: (n_piece) bytes of which n_sent are out */
    size_t n_piece, n_sent;
};

void fed_http_csv(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    struct fed_csv *csv = calloc(1, sizeof *csv);
    struct fed_writer writer = {0};
    (void)ask;
    fed_writer_add(&writer, fed_curve_csv_head());
    if (csv == NULL || fed_writer_take(&csv->piece, &csv->n_piece, &writer) != FED_OK) {
        fed_writer_fini(&writer);
        fed_csv_free(csv);
        fed_answer_error(out, 500, "out of memory");
        return;
    }
    csv->page = page;
    *out =
        (struct fed_answer){.status = 200, .type = "text/csv; charset=utf-8", .kind = FED_ANSWER_CSV, .csv = csv, .fd = -1};
    strcpy(out->file, "rounds.csv");
}

void fed_csv_free(struct fed_csv *csv) {
    if (csv != NULL) {
        free(csv->piece);
        free(csv);
    }
}

static bool make_piece(struct fed_csv *csv) {
    struct fed_page_rounds rounds;
    struct fed_writer writer = {0};
    free(csv->piece);
    csv->piece = NULL;
    csv->n_piece = csv->n_sent = 0;
    if (csv->over) {
        return true;
    }
    if (fed_page_every_round(&rounds, csv->page, csv->next, CSV_AT_ONCE, NULL) != FED_OK) {
        return false;
    }
    for (size_t i = 0; i < rounds.n; i++) {
        char line[FED_CURVE_CSV_MAX];
        fed_curve_csv_row(line, &rounds.rows[i]);
        fed_writer_add(&writer, line);
    }
    csv->over = rounds.n < CSV_AT_ONCE;
    csv->next = rounds.n > 0 ? rounds.rows[rounds.n - 1].round.round + 1 : csv->next;
    fed_page_rounds_fini(&rounds);
    return fed_writer_take(&csv->piece, &csv->n_piece, &writer) == FED_OK;
}

int fed_csv_next(size_t *n, struct fed_csv *csv, char *bytes, size_t room) {
    if (csv->n_sent == csv->n_piece && !make_piece(csv)) {
        return FED_EFAILED;
    }
    size_t left = csv->n_piece - csv->n_sent;
    *n = left < room ? left : room;
    if (*n > 0) {
        memcpy(bytes, csv->piece + csv->n_sent, *n);
        csv->n_sent += *n;
    }
    return FED_OK;
}
