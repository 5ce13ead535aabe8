/* The bulk lane: model chunks in, update chunks out, each sealed when it is asked for. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/sent_log.h"
#include "client/session_internal.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/seal/digest.h"

#define BULK_FRAME_MAX (FED_CHUNK_BYTES + FED_TAG_BYTES + 256)
#define BULK_IDLE_MS 60000
#define LOG_AGAIN_MS 1000     /* a full disk may be mended */
#define LOG_PATIENCE_MS 60000 /* then others may train these clients, or the attempt goes on without them */

void fed_session_close_bulk(struct fed_session *s) {
    fed_lane_close(s->bulk);
    s->bulk = NULL;
}

void fed_session_open_bulk(struct fed_session *s) {
    struct fed_error err;
    fed_session_close_bulk(s);
    int rc = fed_lane_connect_bulk(&s->bulk, s->link, s->bulk_endpoint, s->handle, s->capability, BULK_FRAME_MAX, &err);
    if (rc != FED_OK) {
        FED_ERROR("session", "bulk lane not opened", FED_STR("why", err.text));
    }
    s->bulk_down = false;
    s->bulk_used_ms = fed_clock_ms();
}

/* The bulk lane's door. Another pass means that the coordinator has given up the connection that stands. */
void fed_session_take_pass(struct fed_session *s, const struct fed_msg_round *round) {
    char handle[sizeof s->handle], capability[sizeof s->capability];
    fed_hex(handle, round->handle, sizeof round->handle);
    fed_hex(capability, round->capability, sizeof round->capability);
    if (s->bulk == NULL || strcmp(handle, s->handle) != 0 || strcmp(capability, s->capability) != 0) {
        memcpy(s->handle, handle, sizeof handle);
        memcpy(s->capability, capability, sizeof capability);
        fed_session_open_bulk(s);
        if (s->download != NULL) {
            fed_download_restart(s->download);
        }
    }
    explicit_bzero(capability, sizeof capability);
}

static void free_bytes(void *bytes, void *context) {
    (void)context;
    free(bytes);
}

static int send_chunk(struct fed_session *s, const struct fed_part *part, uint64_t i) {
    struct fed_bulk_head head = {.kind = FED_BULK_CHUNK,
                                 .what = {FED_OBJECT_UPDATE, s->terms.round, s->terms.attempt, part->id},
                                 .first = i,
                                 .count = 1};
    uint8_t bytes[FED_BULK_HEAD_MAX], *sealed = NULL;
    size_t n_head, n;
    struct fed_shared *shared = NULL;
    int rc = fed_bulk_encode(bytes, &n_head, &head);
    if (rc == FED_OK) {
        rc = fed_part_chunk(&sealed, &n, part, i);
    }
    if (rc == FED_OK) {
        rc = fed_shared_new(&shared, sealed, n, free_bytes, NULL);
    }
    if (rc != FED_OK) {
        free(sealed);
        return rc;
    }
    rc = fed_lane_send(s->bulk, NULL, bytes, n_head, shared, 0, n);
    s->bytes_sent += rc == FED_OK ? n_head + n : 0;
    fed_shared_release(shared);
    return rc;
}

static void log_failed(struct fed_session *s, struct fed_part *part, const struct fed_error *err, uint64_t now) {
    if (part->log_failed_ms == 0) {
        part->log_failed_ms = now;
        FED_ERROR("session", "nothing is sent until it can be recorded", FED_U64("part", part->id),
                  FED_STR("why", err->text));
    }
    part->log_again_ms = now + LOG_AGAIN_MS;
    if (now >= part->log_failed_ms + LOG_PATIENCE_MS) {
        FED_ERROR("session", "update declined", FED_U64("part", part->id), FED_STR("why", "sent.log cannot be written"));
        fed_session_decline_part(s, part);
    }
}

/* The owner's record comes before the first byte. */
static bool record_sending(struct fed_session *s, struct fed_part *part) {
    uint64_t now = fed_clock_ms();
    struct fed_error err;
    if (part->logged || s->sent_log < 0) {
        return true;
    }
    if (now < part->log_again_ms) {
        return false;
    }
    struct fed_sent sent = {.round = s->terms.round,
                            .attempt = s->terms.attempt,
                            .n_clients = part->n_trained,
                            .n_examples = fed_part_examples(part),
                            .n_bytes = part->n_bytes};
    memcpy(sent.run_id, s->run_id, sizeof sent.run_id);
    memcpy(sent.model_digest, s->terms.model_digest, sizeof sent.model_digest);
    int rc = fed_sent_log_write(s->sent_log, &sent, fed_clock_wall_ms(), &err);
    if (rc != FED_OK) {
        log_failed(s, part, &err, now);
    } else if (part->log_failed_ms > 0) {
        FED_INFO("session", "sent.log can be written again", FED_U64("part", part->id));
    }
    part->logged = rc == FED_OK;
    return part->logged;
}

static void hear_get(struct fed_session *s, const struct fed_bulk_head *head) {
    struct fed_part *part = fed_parts_find(s->parts, head->what.part);
    if (part == NULL || part->key == NULL || part->state == FED_PART_DONE || head->first >= fed_chunk_count(part->n_bytes)) {
        return;
    }
    part->said_ms = fed_clock_ms(); /* it is being fetched: no need to offer again */
    for (uint64_t i = head->first; i < head->first + head->count && i < fed_chunk_count(part->n_bytes); i++) {
        part->n_wanted += part->wanted[i] == 0;
        part->wanted[i] = 1;
    }
}

/* What the lane has no room for waits as a mark, not as a message. */
static bool send_wanted(struct fed_session *s, struct fed_part *part) {
    if (part->n_wanted > 0 && !record_sending(s, part)) {
        return false; /* tried again with the session's next tick */
    }
    for (uint64_t i = 0; s->bulk != NULL && part->n_wanted > 0 && i < fed_chunk_count(part->n_bytes); i++) {
        if (part->wanted[i] == 0) {
            continue;
        }
        int rc = send_chunk(s, part, i);
        if (rc == FED_EAGAIN || rc == FED_ENOMEM) {
            return true;
        }
        part->wanted[i] = 0; /* gone, or to a lane that is gone: then it is asked for again */
        part->n_wanted--;
    }
    return false;
}

bool fed_session_send_wanted(struct fed_session *s) {
    bool waiting = false;
    for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
        waiting = send_wanted(s, part) || waiting;
    }
    return waiting;
}

static void download_ended(struct fed_session *s, int rc, struct fed_error *err) {
    struct fed_image *image = fed_download_take(s->download);
    fed_download_free(s->download);
    s->download = NULL;
    if (rc == FED_OK && image->round + 1 != s->terms.round) { /* it selects the training streams */
        rc = fed_error_set(err, FED_EDATA, "the file says it is the model of round %" PRIu64, image->round);
    }
    if (rc == FED_OK) {
        fed_session_model_is_here(s, image);
        fed_session_collect_updates(s);
        fed_session_say_status(s);
    } else {
        FED_ERROR("session", "model refused", FED_U64("round", s->terms.round), FED_STR("why", err->text));
        for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
            fed_session_say_decline(s, part->id, NULL, FED_DECLINE_FAILED);
        }
        fed_session_end_attempt(s, true, FED_OUTCOME_UNKNOWN);
    }
    fed_image_release(image);
}

static void hear_chunk(struct fed_session *s, const struct fed_bulk_head *head, const struct fed_frame *body) {
    struct fed_error err;
    if (s->download == NULL) {
        return;
    }
    int rc =
        fed_download_chunk(s->download, head->first, body->bytes, body->n, fed_clock_ms(), fed_host_model(s->host), &err);
    if (rc != FED_EAGAIN) {
        download_ended(s, rc, &err);
    }
}

void fed_session_hear_bulk(struct fed_session *s) {
    struct fed_bulk_head head;
    for (struct fed_incoming in = {0}; s->bulk != NULL && fed_lane_recv(&in, s->bulk) == FED_OK; memset(&in, 0, sizeof in)) {
        s->bulk_used_ms = fed_clock_ms();
        s->bytes_received += in.head.n + in.body.n;
        if (in.head.n > 0 && fed_bulk_decode(&head, in.head.bytes, in.head.n) == FED_OK &&
            fed_session_same_attempt(s, head.what.round, head.what.attempt)) {
            if (head.kind == FED_BULK_GET && head.what.kind == FED_OBJECT_UPDATE) {
                hear_get(s, &head);
            } else if (head.kind == FED_BULK_CHUNK && head.what.kind == FED_OBJECT_MODEL) {
                hear_chunk(s, &head, &in.body);
            }
        }
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

/* What has to be repeated, an offer or a GET, may have found a coordinator that took another connection for this node's lane
 * because the empty message with which every lane begins was lost, or metered away: it shows the way again. */
void fed_session_say_where_bulk_is(struct fed_session *s) {
    if (s->bulk != NULL) {
        int rc = fed_lane_send(s->bulk, NULL, "", 0, NULL, 0, 0); /* with the next repetition, said again */
        (void)rc;
    }
}

void fed_session_ask_chunks(struct fed_session *s, uint64_t now) {
    uint64_t first;
    uint32_t count;
    if (s->download != NULL && fed_download_is_late(s->download, now)) {
        fed_session_say_where_bulk_is(s);
    }
    while (s->download != NULL && s->bulk != NULL && fed_download_wants(s->download, now, &first, &count)) {
        struct fed_bulk_head head = {.kind = FED_BULK_GET,
                                     .what = {FED_OBJECT_MODEL, s->terms.round, s->terms.attempt, 0},
                                     .first = first,
                                     .count = count};
        uint8_t bytes[FED_BULK_HEAD_MAX];
        size_t n;
        if (fed_bulk_encode(bytes, &n, &head) != FED_OK || fed_lane_send(s->bulk, NULL, bytes, n, NULL, 0, 0) != FED_OK) {
            return; /* not connected yet: asked again at the next event or tick */
        }
        s->bytes_sent += n;
        fed_download_asked(s->download, first, count, now);
    }
}

/* Where both are down the coordinator is: another one would not know our pass. */
void fed_session_hear_down(struct fed_session *s) {
    if (s->bulk_down) {
        fed_session_close_bulk(s);
    }
}

void fed_session_hear_bulk_link(struct fed_session *s, uint64_t now) {
    enum fed_link_event event;
    while (s->bulk != NULL && (event = fed_lane_event(s->bulk)) != FED_LINK_QUIET) {
        if (event == FED_LINK_REFUSED || event == FED_LINK_WRONG_PEER) {
            fed_session_close_bulk(s);
            explicit_bzero(s->capability, sizeof s->capability); /* the pass is spent; the next ROUND brings another */
        } else if (event == FED_LINK_DOWN && s->state != FED_SESSION_READY) {
            fed_session_close_bulk(s);
        } else {
            s->bulk_down = event == FED_LINK_DOWN;
            if (event == FED_LINK_UP && s->download != NULL) {
                fed_download_restart(s->download);
            }
        }
    }
    if (s->bulk != NULL && !s->working && now > s->bulk_used_ms + BULK_IDLE_MS) {
        fed_session_close_bulk(s);
    }
}
