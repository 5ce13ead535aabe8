#include "coordinator/http/http_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "coordinator/http/http_rows.h"

/* Said without memory. */
static const char NO_MEMORY[] = "{\"error\":\"the coordinator is out of memory\"}";

void fed_answer_error(struct fed_answer *out, unsigned status, const char *sentence) {
    struct fed_writer writer = {0};
    fed_writer_add(&writer, "{\"error\":");
    fed_writer_json_text(&writer, sentence);
    fed_writer_add(&writer, "}");
    fed_answer_written(out, FED_HTTP_JSON, &writer);
    out->status = out->status == 200 ? status : out->status;
}

void fed_answer_written(struct fed_answer *out, const char *type, struct fed_writer *writer) {
    *out = (struct fed_answer){.status = 200, .type = type, .kind = FED_ANSWER_TEXT, .fd = -1};
    if (fed_writer_take(&out->text, &out->n, writer) != FED_OK) {
        *out = (struct fed_answer){.status = 500,
                                   .type = FED_HTTP_JSON,
                                   .kind = FED_ANSWER_STATIC,
                                   .bytes = NO_MEMORY,
                                   .n = sizeof NO_MEMORY - 1,
                                   .fd = -1};
    }
}

/* The page loads nothing from elsewhere, runs no script but its own, and is shown in no frame. */
static const char CSP[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void fed_answer_headers(const struct fed_answer *answer, void (*add)(void *context, const char *name, const char *value),
                        void *context) {
    add(context, "Content-Type", answer->type);
    add(context, "Cache-Control", answer->etag != NULL ? "no-cache" : "no-store");
    add(context, "X-Content-Type-Options", "nosniff");
    add(context, "Referrer-Policy", "no-referrer");
    add(context, "Cross-Origin-Resource-Policy", "same-origin");
    add(context, "Content-Security-Policy", CSP);
    if (answer->etag != NULL) {
        add(context, "ETag", answer->etag);
    }
    if (answer->file[0] != '\0') {
        char disposition[sizeof answer->file + 32];
        snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"", answer->file);
        add(context, "Content-Disposition", disposition);
    }
    if (answer->kind == FED_ANSWER_STREAM) {
        add(context, "X-Accel-Buffering", "no"); /* a proxy passes each message on at once */
    }
    if (answer->status == 401) {
        add(context, "WWW-Authenticate", "Bearer");
    }
    if (answer->status == 405) {
        add(context, "Allow", "GET, HEAD");
    }
}

void fed_answer_fini(struct fed_answer *answer) {
    free(answer->text);
    if (answer->fd >= 0) {
        close(answer->fd);
    }
    fed_csv_free(answer->csv);
    *answer = (struct fed_answer){.fd = -1};
}
