#include "coordinator/http/http_stream.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/http/http_rows.h"
#include "coordinator/http/writer.h"

#define KEPT 1024       /* messages: what is made at one time, twice */
#define ROUNDS_MOST 200 /* rows at one time; who is told of a gap asks for what is in it */
_Static_assert(2 * (ROUNDS_MOST + FED_NEWS_MOST + 1) <= KEPT, "a reader that keeps up loses nothing");

struct message {
    char *text; /* owned */
    size_t n;
};

struct fed_streams {
    struct fed_page *page;
    struct message kept[KEPT]; /* number i at i % KEPT */
    uint64_t n_messages;
    unsigned n_open;
    atomic_bool due;
    uint64_t told_version, told_news;
    bool has_told_round, told_evaluated;
    uint64_t told_round;
};

struct fed_stream {
    struct fed_streams *streams;
    char *piece; /* owned: n_piece bytes of which n_sent are out */
    size_t n_piece, n_sent;
    uint64_t next; /* message */
};

int fed_streams_new(struct fed_streams **out, struct fed_page *page) {
    struct fed_streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL) {
        return FED_ENOMEM;
    }
    streams->page = page;
    *out = streams;
    return FED_OK;
}

void fed_streams_free(struct fed_streams *streams) {
    if (streams != NULL) {
        for (size_t i = 0; i < KEPT; i++) {
            free(streams->kept[i].text);
        }
        free(streams);
    }
}

void fed_streams_due(struct fed_streams *streams) { atomic_store(&streams->due, true); }

/* -- Messages -- */

/* Without memory a message is left out, as one that came too fast would be. */
static void keep(struct fed_streams *streams, struct fed_writer *writer) {
    struct message message;
    if (fed_writer_take(&message.text, &message.n, writer) == FED_OK) {
        struct message *place = &streams->kept[streams->n_messages++ % KEPT];
        free(place->text);
        *place = message;
    }
}

static void write_status(struct fed_writer *writer, struct fed_page *page) {
    struct fed_status_report report;
    char *text = NULL;
    if (fed_page_status(&report, page, NULL) == FED_OK && fed_status_report_encode(&text, &report) == FED_OK) {
        fed_writer_add(writer, "event: status\ndata: ");
        fed_writer_add(writer, text);
        fed_writer_add(writer, "\n\n");
    }
    free(text);
}

static void remember_round(struct fed_streams *streams, const struct fed_curve_row *last) {
    streams->has_told_round = true;
    streams->told_round = last->round.round;
    streams->told_evaluated = !isnan(last->round.loss) || !isnan(last->round.accuracy);
}

/* The rows since the last one that was told, and that one again if its evaluation was not known. */
static void tell_rounds(struct fed_streams *streams) {
    struct fed_page_rounds rounds;
    struct fed_curve_row last;
    bool found = false;
    if (fed_page_last_round(&last, &found, streams->page, NULL) != FED_OK || !found) {
        return;
    }
    bool evaluated = !isnan(last.round.loss) || !isnan(last.round.accuracy);
    if (streams->has_told_round && streams->told_round == last.round.round && streams->told_evaluated == evaluated) {
        return;
    }
    uint64_t to = last.round.round;
    uint64_t from = streams->has_told_round ? streams->told_round + streams->told_evaluated : to;
    if (from > to || to - from >= ROUNDS_MOST) {
        from = to >= ROUNDS_MOST ? to - ROUNDS_MOST + 1 : 0;
    }
    if (fed_page_rounds(&rounds, streams->page, from, to, ROUNDS_MOST, NULL) != FED_OK) {
        return;
    }
    for (size_t i = 0; i < rounds.n; i++) {
        struct fed_writer writer = {0};
        fed_writer_add(&writer, "event: round\ndata: ");
        fed_http_row(&writer, &rounds.rows[i]);
        fed_writer_add(&writer, "\n\n");
        keep(streams, &writer);
    }
    if (rounds.n > 0) {
        remember_round(streams, &rounds.rows[rounds.n - 1]);
    }
    fed_page_rounds_fini(&rounds);
}

static void tell_events(struct fed_streams *streams) {
    static struct fed_news_item items[FED_NEWS_MOST]; /* of the one thread that tells */
    size_t n = fed_news_get(items, FED_NEWS_MOST, fed_page_news(streams->page), streams->told_news);
    for (size_t i = n; i-- > 0;) { /* the oldest first */
        struct fed_writer writer = {0};
        fed_writer_add(&writer, "event: event\ndata: ");
        fed_http_event(&writer, &items[i]);
        fed_writer_add(&writer, "\n\n");
        keep(streams, &writer);
    }
    streams->told_news = n > 0 ? items[0].number : streams->told_news;
}

static void tell(struct fed_streams *streams) {
    struct fed_writer writer = {0};
    uint64_t version = fed_page_version(streams->page);
    if (version == streams->told_version) {
        /* Still here: a reader that is gone is noticed, and so is, by a reader, a line that died without a word. */
        fed_writer_add(&writer, "event: alive\ndata: {}\n\n");
        keep(streams, &writer);
        return;
    }
    streams->told_version = version;
    tell_rounds(streams);
    tell_events(streams);
    write_status(&writer, streams->page);
    keep(streams, &writer);
}

/* -- Readers -- */

/* What happened while nobody listened is no news to the first who does. */
static void begin(struct fed_streams *streams) {
    struct fed_curve_row last;
    bool found = false;
    streams->told_version = fed_page_version(streams->page);
    streams->told_news = fed_news_last(fed_page_news(streams->page));
    streams->has_told_round = false;
    if (fed_page_last_round(&last, &found, streams->page, NULL) == FED_OK && found) {
        remember_round(streams, &last);
    }
}

int fed_stream_open(struct fed_stream **out, struct fed_streams *streams) {
    struct fed_writer writer = {0};
    if (streams->n_open == FED_STREAMS_MOST) {
        return FED_EAGAIN;
    }
    struct fed_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return FED_ENOMEM;
    }
    if (streams->n_open == 0) {
        begin(streams);
    }
    fed_writer_add(&writer, "retry: 2000\n\n");
    write_status(&writer, streams->page);
    if (fed_writer_take(&stream->piece, &stream->n_piece, &writer) != FED_OK) {
        free(stream);
        return FED_ENOMEM;
    }
    stream->streams = streams;
    stream->next = streams->n_messages;
    streams->n_open++;
    *out = stream;
    return FED_OK;
}

void fed_stream_close(struct fed_stream *stream) {
    if (stream != NULL) {
        stream->streams->n_open--;
        free(stream->piece);
        free(stream);
    }
}

/* The next message; a whole one, so that its place may be taken by another meanwhile. */
static void take_message(struct fed_stream *stream) {
    const struct fed_streams *streams = stream->streams;
    uint64_t oldest = streams->n_messages > KEPT ? streams->n_messages - KEPT : 0;
    free(stream->piece);
    stream->piece = NULL;
    stream->n_piece = stream->n_sent = 0;
    stream->next = stream->next < oldest ? oldest : stream->next;
    if (stream->next < streams->n_messages) {
        const struct message *message = &streams->kept[stream->next++ % KEPT];
        stream->piece = malloc(message->n + 1);
        if (stream->piece != NULL) {
            memcpy(stream->piece, message->text, message->n);
            stream->n_piece = message->n;
        }
    }
}

size_t fed_stream_next(struct fed_stream *stream, char *bytes, size_t room) {
    if (atomic_exchange(&stream->streams->due, false)) {
        tell(stream->streams);
    }
    if (stream->n_sent == stream->n_piece) {
        take_message(stream);
    }
    size_t n = stream->n_piece - stream->n_sent;
    n = n < room ? n : room;
    if (n > 0) {
        memcpy(bytes, stream->piece + stream->n_sent, n);
        stream->n_sent += n;
    }
    return n;
}
