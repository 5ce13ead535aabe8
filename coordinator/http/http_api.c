#include "coordinator/http/http_api.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "coordinator/http/assets.h"
#include "coordinator/http/http_nodes.h"
#include "coordinator/http/http_rows.h"
#include "coordinator/http/metrics.h"
#include "coordinator/http/openapi.h"

#define LOOP_PATIENCE_MS 10000 /* a loop that did not turn for so long hangs: it ticks every second */

bool fed_http_number(uint64_t *value, struct fed_answer *out, const struct fed_ask *ask, const char *name, uint64_t fallback,
                     uint64_t least, uint64_t most) {
    const char *text = ask->parameter(ask->context, name);
    char why[160];
    *value = fallback;
    if (text == NULL) {
        return true;
    }
    size_t n = strspn(text, "0123456789");
    bool good = n > 0 && n <= 18 && text[n] == '\0';
    uint64_t found = good ? strtoull(text, NULL, 10) : 0;
    if (good && found >= least && found <= most) {
        *value = found;
        return true;
    }
    snprintf(why, sizeof why, "%s is to be a number from %" PRIu64 " to %" PRIu64, name, least, most);
    fed_answer_error(out, 400, why);
    return false;
}

void fed_http_failed(struct fed_answer *out, int code, const struct fed_error *err) {
    fed_answer_error(out, code == FED_ENOTFOUND ? 404 : 500, err->text);
}

/* -- status, files -------------------------------------------------------------------------------------------------------
 */

static void answer_status(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    struct fed_status_report report;
    struct fed_error err = {""};
    char *text = NULL;
    (void)ask;
    int code = fed_page_status(&report, page, &err);
    if (code == FED_OK && (code = fed_status_report_encode(&text, &report)) != FED_OK) {
        fed_error_set(&err, code, "out of memory");
    }
    if (code != FED_OK) {
        fed_http_failed(out, code, &err);
        return;
    }
    *out = (struct fed_answer){.status = 200, .type = FED_HTTP_JSON, .text = text, .n = strlen(text), .fd = -1};
}

/* null where nobody knows it, which only a simulation does; a browser would call 404 an error of the page. */
static void answer_partition(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    struct fed_error err = {""};
    char *text = NULL;
    (void)ask;
    int code = fed_page_partition(&text, page, &err);
    if (code == FED_ENOTFOUND) {
        struct fed_writer writer = {0};
        fed_writer_add(&writer, "null");
        fed_answer_written(out, FED_HTTP_JSON, &writer);
    } else if (code != FED_OK) {
        fed_http_failed(out, code, &err);
    } else {
        *out = (struct fed_answer){.status = 200, .type = FED_HTTP_JSON, .text = text, .n = strlen(text), .fd = -1};
    }
}

static void answer_model(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    struct fed_error err = {""};
    uint64_t round = 0;
    size_t n = 0;
    int fd = -1;
    (void)ask;
    int code = fed_page_model(&fd, &n, &round, page, &err);
    if (code != FED_OK) {
        fed_http_failed(out, code, &err);
        return;
    }
    *out = (struct fed_answer){.status = 200, .type = "application/octet-stream", .kind = FED_ANSWER_FILE, .fd = fd, .n = n};
    snprintf(out->file, sizeof out->file, "model-%" PRIu64 ".safetensors", round);
}

/* -- events --------------------------------------------------------------------------------------------------------------
 */

static void answer_events(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    static struct fed_news_item items[FED_NEWS_MOST]; /* of the one thread that answers */
    struct fed_writer writer = {0};
    uint64_t limit;
    if (!fed_http_number(&limit, out, ask, "limit", FED_NEWS_MOST, 1, FED_NEWS_MOST)) {
        return;
    }
    (void)fed_page_version(page); /* a directory is looked at anew */
    size_t n = fed_news_get(items, (size_t)limit, fed_page_news(page), 0);
    fed_writer_add(&writer, "{\"events\":[");
    for (size_t i = 0; i < n; i++) {
        fed_writer_add(&writer, i > 0 ? "," : "");
        fed_http_event(&writer, &items[i]);
    }
    fed_writer_add(&writer, "]}");
    fed_answer_written(out, FED_HTTP_JSON, &writer);
}

/* -- health --------------------------------------------------------------------------------------------------------------
 */

static void say(struct fed_answer *out, unsigned status, const char *text) {
    struct fed_writer writer = {0};
    fed_writer_addf(&writer, "%s\n", text);
    fed_answer_written(out, FED_HTTP_TEXT, &writer);
    out->status = out->status == 200 ? status : out->status;
}

/* The process answers, and its loop turns. */
static void answer_health(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    struct fed_board *board = fed_page_board(page);
    uint64_t turned_ms = 0, now_ms = fed_clock_ms();
    (void)ask;
    if (board != NULL) {
        fed_board_get(board, NULL, &turned_ms);
    }
    bool hangs = board != NULL && now_ms > turned_ms + LOOP_PATIENCE_MS;
    say(out, hangs ? 503 : 200, hangs ? "the loop does not turn" : "ok");
}

/* Nodes may come, and what they bring can be stored. */
static void answer_ready(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    struct fed_board *board = fed_page_board(page);
    struct fed_board_now now = {0};
    (void)ask;
    if (board != NULL) {
        fed_board_get(board, &now, NULL);
    }
    say(out, now.store_fails ? 503 : 200, now.store_fails ? now.alarm : "ok");
}

/* -- dispatch ------------------------------------------------------------------------------------------------------------
 */

static void answer_stream(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    (void)page;
    (void)ask;
    *out = (struct fed_answer){.status = 200, .type = "text/event-stream", .kind = FED_ANSWER_STREAM, .fd = -1};
}

static void answer_openapi(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    (void)page;
    (void)ask;
    *out = (struct fed_answer){.status = 200,
                               .type = FED_HTTP_JSON,
                               .kind = FED_ANSWER_STATIC,
                               .bytes = FED_OPENAPI,
                               .n = FED_OPENAPI_BYTES,
                               .fd = -1};
}

static const struct {
    const char *path;
    void (*answer)(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask);
} routes[] = {
    {"/api/v1/status", answer_status},
    {"/api/v1/rounds", fed_http_rounds},
    {"/api/v1/rounds.csv", fed_http_csv},
    {"/api/v1/nodes", fed_http_nodes},
    {"/api/v1/events", answer_events},
    {"/api/v1/stream", answer_stream},
    {"/api/v1/partition", answer_partition},
    {"/api/v1/model", answer_model},
    {"/api/v1/openapi.json", answer_openapi},
    {"/healthz", answer_health},
    {"/readyz", answer_ready},
    {"/metrics", fed_metrics_answer},
};

void fed_http_api_answer(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(ask->path, routes[i].path) == 0) {
            routes[i].answer(out, page, ask);
            return;
        }
    }
    const struct fed_asset *asset = fed_asset_find(ask->path);
    if (asset == NULL) {
        fed_answer_error(out, 404,
                         "nothing is served under this path; / is the page, /api/v1/status says how the run stands");
        return;
    }
    *out = (struct fed_answer){.status = 200,
                               .type = asset->type,
                               .kind = FED_ANSWER_STATIC,
                               .bytes = asset->bytes,
                               .n = asset->n,
                               .etag = asset->etag,
                               .fd = -1};
}
