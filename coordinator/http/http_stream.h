/* Server-sent events: what readers of /api/v1/stream are told, made once for all of them. Two messages of a kind are never
 * nearer than who calls fed_streams_due makes them; a reader that is slow loses the oldest ones.
 *
 *     event: status   data: the status, as /api/v1/status
 *     event: round    data: one row of /api/v1/rounds, when it is committed, and again when its evaluation is known
 *     event: event    data: one event, as in /api/v1/events
 *     event: alive    data: {}, where there was nothing to tell for a while
 *
 * All but fed_streams_due belongs to the thread of HTTP. */
#ifndef FED_COORDINATOR_HTTP_HTTP_STREAM_H
#define FED_COORDINATOR_HTTP_HTTP_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "coordinator/http/page.h"

#define FED_STREAMS_MOST 16

struct fed_streams;
struct fed_stream;

/* page: borrowed. FED_ENOMEM. */
int fed_streams_new(struct fed_streams **out, struct fed_page *page) FED_MUST_CHECK;
void fed_streams_free(struct fed_streams *streams);
/* From any thread: there may be news; it is made into messages by the next fed_stream_next. */
void fed_streams_due(struct fed_streams *streams);

/* A reader, which first hears how things stand. FED_EAGAIN: there are FED_STREAMS_MOST; FED_ENOMEM. */
int fed_stream_open(struct fed_stream **out, struct fed_streams *streams) FED_MUST_CHECK;
void fed_stream_close(struct fed_stream *stream);
/* At most room bytes of what this reader was not told yet; 0: nothing. */
size_t fed_stream_next(struct fed_stream *stream, char *bytes, size_t room);

#endif
