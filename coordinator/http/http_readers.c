/* The lock guards who reads and who is suspended; what is said belongs to the thread of HTTP. */
#include "coordinator/http/http_readers.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "coordinator/http/http_stream.h"

#define PIECE_BYTES ((size_t)16 * 1024)
#define POKE_MS 500u    /* between two messages of a kind */
#define GOODBYE_MS 500  /* at most, at the end */
#define ALIVE_MS 15000u /* a reader that is gone is noticed so late */

struct reader {
    struct fed_readers *readers;
    struct MHD_Connection *connection;
    struct fed_stream *stream;
    bool waits; /* suspended */
};

struct fed_readers {
    struct fed_page *page;
    struct fed_streams *streams;
    pthread_mutex_t lock;
    struct reader *all[FED_STREAMS_MOST]; /* NULL: free */
    unsigned n;
    uint64_t pokes; /* so many; one that comes while a reader looks is not lost on it */
    bool closing;
    uint64_t poked_ms, poked_version; /* of who pokes */
};

int fed_readers_new(struct fed_readers **out, struct fed_page *page) {
    struct fed_readers *readers = calloc(1, sizeof *readers);
    if (readers == NULL || fed_streams_new(&readers->streams, page) != FED_OK) {
        free(readers);
        return FED_ENOMEM;
    }
    readers->page = page;
    pthread_mutex_init(&readers->lock, NULL);
    *out = readers;
    return FED_OK;
}

void fed_readers_free(struct fed_readers *readers) {
    if (readers != NULL) {
        fed_streams_free(readers->streams);
        pthread_mutex_destroy(&readers->lock);
        free(readers);
    }
}

/* -- On the thread of HTTP -- */

static ssize_t read_stream(void *context, uint64_t position, char *bytes, size_t room) {
    struct reader *reader = context;
    struct fed_readers *readers = reader->readers;
    (void)position;
    for (;;) {
        pthread_mutex_lock(&readers->lock);
        uint64_t pokes = readers->pokes;
        bool closing = readers->closing;
        pthread_mutex_unlock(&readers->lock);
        size_t n = fed_stream_next(reader->stream, bytes, room);
        if (n > 0 || closing) {
            return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
        }
        pthread_mutex_lock(&readers->lock);
        bool waits = pokes == readers->pokes && !readers->closing;
        if (waits) {
            reader->waits = true;
            MHD_suspend_connection(reader->connection);
        }
        pthread_mutex_unlock(&readers->lock);
        if (waits) {
            return 0;
        }
    }
}

static void free_reader(void *context) {
    struct reader *reader = context;
    struct fed_readers *readers = reader->readers;
    pthread_mutex_lock(&readers->lock);
    for (size_t i = 0; i < FED_STREAMS_MOST; i++) {
        if (readers->all[i] == reader) {
            readers->all[i] = NULL;
            readers->n--;
        }
    }
    pthread_mutex_unlock(&readers->lock);
    fed_stream_close(reader->stream);
    free(reader);
}

static void add_reader(struct fed_readers *readers, struct reader *reader) {
    pthread_mutex_lock(&readers->lock);
    for (size_t i = 0; i < FED_STREAMS_MOST; i++) {
        if (readers->all[i] == NULL) { /* there is room for every stream that opens */
            readers->all[i] = reader;
            readers->n++;
            break;
        }
    }
    pthread_mutex_unlock(&readers->lock);
}

int fed_readers_join(struct MHD_Response **out, struct fed_readers *readers, struct MHD_Connection *connection) {
    struct reader *reader = calloc(1, sizeof *reader);
    int rc = reader != NULL ? fed_stream_open(&reader->stream, readers->streams) : FED_ENOMEM;
    if (rc != FED_OK) {
        free(reader);
        return rc;
    }
    reader->readers = readers;
    reader->connection = connection;
    add_reader(readers, reader);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_stream, reader, free_reader);
    if (response == NULL) {
        free_reader(reader);
        return FED_ENOMEM;
    }
    *out = response;
    return FED_OK;
}

/* -- On the other thread -- */

static void wake_all(struct fed_readers *readers) {
    pthread_mutex_lock(&readers->lock);
    readers->pokes++;
    for (size_t i = 0; i < FED_STREAMS_MOST; i++) {
        if (readers->all[i] != NULL && readers->all[i]->waits) {
            readers->all[i]->waits = false;
            MHD_resume_connection(readers->all[i]->connection);
        }
    }
    pthread_mutex_unlock(&readers->lock);
}

static unsigned count_readers(struct fed_readers *readers) {
    pthread_mutex_lock(&readers->lock);
    unsigned n = readers->n;
    pthread_mutex_unlock(&readers->lock);
    return n;
}

uint64_t fed_readers_poke(struct fed_readers *readers, uint64_t now_ms) {
    if (count_readers(readers) == 0) {
        return UINT64_MAX;
    }
    uint64_t version = fed_page_version(readers->page);
    uint64_t due_ms = readers->poked_ms + (version != readers->poked_version ? POKE_MS : ALIVE_MS);
    if (now_ms < due_ms) {
        return due_ms;
    }
    readers->poked_ms = now_ms;
    readers->poked_version = version;
    fed_streams_due(readers->streams);
    wake_all(readers);
    return now_ms + ALIVE_MS;
}

void fed_readers_dismiss(struct fed_readers *readers) {
    const struct timespec breath = {.tv_nsec = GOODBYE_MS * 1000000L / 100};
    fed_streams_due(readers->streams);
    pthread_mutex_lock(&readers->lock);
    readers->closing = true;
    pthread_mutex_unlock(&readers->lock);
    wake_all(readers);
    for (int i = 0; i < 100 && count_readers(readers) > 0; i++) {
        nanosleep(&breath, NULL);
    }
}
