/* Who reads the stream over HTTP: connections to which there is nothing to say are suspended until they are poked. */
#ifndef FED_COORDINATOR_HTTP_HTTP_READERS_H
#define FED_COORDINATOR_HTTP_HTTP_READERS_H

#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/http/page.h"

struct MHD_Connection;
struct MHD_Response;
struct fed_readers;

/* page: borrowed. FED_ENOMEM. */
int fed_readers_new(struct fed_readers **out, struct fed_page *page) FED_MUST_CHECK;
/* After the thread of HTTP has ended. NULL is allowed. */
void fed_readers_free(struct fed_readers *readers);

/* On the thread of HTTP: the answer to a connection that reads from now on. FED_EAGAIN: FED_STREAMS_MOST do; FED_ENOMEM. */
int fed_readers_join(struct MHD_Response **out, struct fed_readers *readers,
                     struct MHD_Connection *connection) FED_MUST_CHECK;

/* From one other thread, as fed_http_poke. */
uint64_t fed_readers_poke(struct fed_readers *readers, uint64_t now_ms);
/* All hear how it ended; one who does not listen is waited for half a second. Leaves nobody suspended. */
void fed_readers_dismiss(struct fed_readers *readers);

#endif
