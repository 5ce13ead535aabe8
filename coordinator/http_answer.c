#include "coordinator/http_answer.h"

#include <stdlib.h>
#include <unistd.h>

#include "coordinator/http_rows.h"

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

void fed_answer_fini(struct fed_answer *answer) {
    free(answer->text);
    if (answer->fd >= 0) {
        close(answer->fd);
    }
    fed_csv_free(answer->csv);
    *answer = (struct fed_answer){.fd = -1};
}
