#include "client/download.h"

#include <stdlib.h>
#include <string.h>

#include "common/seal/seal.h"

#define WINDOW 8
#define AGAIN_MS 60000
#define AGAIN_MOST_MS 480000
#define BROKEN_MOST 16 /* chunks that do not open before the transfer is given up */

struct fed_download {
    struct fed_image *image; /* owned */
    struct fed_seal_key *key;
    uint8_t model_digest[32];
    uint64_t n_chunks, n_opened, n_in_flight, first_missing;
    uint64_t moved_ms, again_ms; /* when something was asked for or came; how long to wait for the next */
    unsigned n_broken;
    enum { MISSING, IN_FLIGHT, OPENED } * chunks; /* (n_chunks) */
};

int fed_download_new(struct fed_download **out, const struct fed_terms *terms, const struct fed_msg_round *round) {
    if (round->file_bytes == 0) {
        return FED_EWIRE;
    }
    struct fed_download *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return FED_ENOMEM;
    }
    memcpy(d->model_digest, terms->model_digest, sizeof d->model_digest);
    d->again_ms = AGAIN_MS;
    d->n_chunks = fed_chunk_count(round->file_bytes);
    d->chunks = calloc(d->n_chunks, sizeof *d->chunks);
    int rc = d->chunks != NULL ? fed_image_alloc(&d->image, round->file_bytes) : FED_ENOMEM;
    if (rc == FED_OK) {
        rc = fed_seal_key_import(&d->key, round->model_key);
    }
    if (rc != FED_OK) {
        fed_download_free(d);
        return rc;
    }
    *out = d;
    return FED_OK;
}

void fed_download_free(struct fed_download *download) {
    if (download == NULL) {
        return;
    }
    fed_image_release(download->image);
    fed_seal_key_free(download->key);
    free(download->chunks);
    free(download);
}

void fed_download_restart(struct fed_download *d) {
    for (uint64_t i = 0; i < d->n_chunks; i++) {
        if (d->chunks[i] == IN_FLIGHT) {
            d->chunks[i] = MISSING;
        }
    }
    d->n_in_flight = 0;
    d->first_missing = 0;
}

bool fed_download_is_late(const struct fed_download *d, uint64_t now_ms) {
    return d->n_in_flight > 0 && now_ms > d->moved_ms + d->again_ms;
}

bool fed_download_wants(struct fed_download *d, uint64_t now_ms, uint64_t *first, uint32_t *count) {
    if (fed_download_is_late(d, now_ms)) {
        fed_download_restart(d);
        d->again_ms = d->again_ms * 2 < AGAIN_MOST_MS ? d->again_ms * 2 : AGAIN_MOST_MS; /* perhaps the line is slow */
    }
    if (d->n_in_flight > WINDOW / 2) {
        return false;
    }
    uint64_t at = d->first_missing, n = 0;
    while (at < d->n_chunks && d->chunks[at] != MISSING) {
        at++;
    }
    d->first_missing = at;
    while (n < WINDOW - d->n_in_flight && at + n < d->n_chunks && d->chunks[at + n] == MISSING) {
        n++;
    }
    *first = at;
    *count = (uint32_t)n;
    return n > 0;
}

void fed_download_asked(struct fed_download *d, uint64_t first, uint32_t count, uint64_t now_ms) {
    for (uint64_t i = first; i < first + count; i++) {
        d->chunks[i] = IN_FLIGHT;
    }
    d->n_in_flight += count;
    d->first_missing = first + count;
    d->moved_ms = now_ms;
}

int fed_download_chunk(struct fed_download *d, uint64_t index, const uint8_t *sealed, size_t n, uint64_t now_ms,
                       const struct fed_model *model, struct fed_error *err) {
    if (index >= d->n_chunks || d->chunks[index] != IN_FLIGHT) {
        return FED_EAGAIN;
    }
    d->moved_ms = now_ms;
    d->n_in_flight--;
    bool opened = n == fed_chunk_plain_bytes(d->image->n_bytes, index) + FED_TAG_BYTES &&
                  fed_open_chunk(d->image->bytes + index * FED_CHUNK_BYTES, d->key, index, sealed, n) == FED_OK;
    if (!opened) {
        d->chunks[index] = MISSING;
        d->first_missing = index < d->first_missing ? index : d->first_missing;
        if (++d->n_broken > BROKEN_MOST) {
            return fed_error_set(err, FED_ESEAL, "%u chunks of the model did not open under the round's key", d->n_broken);
        }
        return FED_EAGAIN;
    }
    d->chunks[index] = OPENED;
    if (++d->n_opened < d->n_chunks) {
        return FED_EAGAIN;
    }
    return fed_image_verify(d->image, model, d->model_digest, err);
}

struct fed_image *fed_download_take(struct fed_download *download) {
    struct fed_image *image = download->image;
    download->image = NULL;
    return image;
}
