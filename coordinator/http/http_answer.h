/* What is answered to a request, before any library of HTTP sees it. */
#ifndef FED_COORDINATOR_HTTP_HTTP_ANSWER_H
#define FED_COORDINATOR_HTTP_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/http/writer.h"

#define FED_HTTP_JSON "application/json"
#define FED_HTTP_TEXT "text/plain; charset=utf-8"

struct fed_csv;

enum fed_answer_kind {
    FED_ANSWER_TEXT,   /* text, owned */
    FED_ANSWER_STATIC, /* bytes, which stay for ever, with their etag */
    FED_ANSWER_FILE,   /* fd, owned, of n bytes */
    FED_ANSWER_CSV,    /* csv, owned: text in pieces, until there is no more */
    FED_ANSWER_STREAM, /* server-sent events */
};

struct fed_answer {
    unsigned status;
    const char *type; /* Content-Type */
    enum fed_answer_kind kind;
    char *text;
    const void *bytes;
    const char *etag;
    int fd;
    size_t n;
    struct fed_csv *csv;
    char file[128]; /* a name to save it under; "" = to be shown */
};

/* The request, as far as it matters. */
struct fed_ask {
    const char *path;
    void *context;
    const char *(*parameter)(void *context, const char *name); /* of the query; NULL: not given */
};

/* {"error": sentence} */
void fed_answer_error(struct fed_answer *out, unsigned status, const char *sentence);
/* Takes what was written. */
void fed_answer_written(struct fed_answer *out, const char *type, struct fed_writer *writer);
/* The headers that go with it, one by one. */
void fed_answer_headers(const struct fed_answer *answer, void (*add)(void *context, const char *name, const char *value),
                        void *context);
/* For what an answer owns and nobody took. */
void fed_answer_fini(struct fed_answer *answer);

#endif
