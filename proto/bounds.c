#include "proto/bounds.h"

#include <math.h>
#include <string.h>

#include "common/seal/seal.h"

/* Printable ASCII, ended by a zero within its array. */
static bool text_ok(const char *text, size_t size, size_t least) {
    size_t n = strnlen(text, size);
    if (n == size || n < least) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool range_ok(uint64_t first, uint64_t count) { return count >= 1 && first <= UINT64_MAX - count; }

static bool encoding_ok(enum fed_encoding encoding) { return encoding == FED_ENCODING_F32 || encoding == FED_ENCODING_I64; }

static bool hello_ok(const struct fed_msg_hello *hello) {
    if (!text_ok(hello->build, sizeof hello->build, 0) || !text_ok(hello->kernel_family, sizeof hello->kernel_family, 0) ||
        !text_ok(hello->kernels, sizeof hello->kernels, 0) || hello->workers < 1 || hello->workers > FED_WORKERS_MAX ||
        hello->n_hosted > FED_RANGES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < hello->n_hosted; i++) {
        if (!range_ok(hello->hosted[i].first, hello->hosted[i].count)) {
            return false;
        }
    }
    return true;
}

static bool status_ok(const struct fed_msg_status *status) {
    return (unsigned)status->phase <= FED_PHASE_UPLOAD && status->done <= status->total;
}

static bool decline_ok(const struct fed_msg_decline *decline) {
    return decline->reason >= FED_DECLINE_MODEL_TOO_LARGE && decline->reason <= FED_DECLINE_NORM &&
           decline->n_clients <= FED_CLIENTS_MAX;
}

static bool offer_ok(const struct fed_msg_offer *offer) { return offer->n_header >= 1 && offer->n_header <= FED_HEADER_MAX; }

static bool welcome_ok(const struct fed_msg_welcome *welcome) {
    return welcome->n_task >= 1 && welcome->n_task <= FED_TASK_MAX && text_ok(welcome->bulk, sizeof welcome->bulk, 1) &&
           welcome->ping_ms >= 1;
}

static bool terms_ok(const struct fed_terms *terms) {
    return terms->n_params >= 1 && terms->n_params <= FED_PARAMS_MAX && terms->epochs >= 1 &&
           isfinite(terms->learning_rate) && terms->learning_rate > 0;
}

static bool limit_ok(double limit) { return isfinite(limit) && limit >= 0; }

static bool round_ok(const struct fed_msg_round *round) {
    return terms_ok(&round->terms) && encoding_ok(round->encoding) && round->file_bytes >= 1 &&
           round->file_bytes <= FED_OBJECT_MAX && round->n_clients <= FED_CLIENTS_MAX &&
           limit_ok(round->limits.norm_ceiling) && limit_ok(round->limits.clip);
}

static bool refused_ok(const struct fed_msg_refused *refused) {
    return refused->code > FED_REFUSAL_NONE && refused->code < FED_REFUSAL_COUNT;
}

bool fed_bounds_message(const struct fed_message *message) {
    switch (message->kind) {
    case FED_MSG_HELLO: return hello_ok(&message->as.hello);
    case FED_MSG_STATUS: return status_ok(&message->as.status);
    case FED_MSG_DECLINE: return decline_ok(&message->as.decline);
    case FED_MSG_OFFER: return offer_ok(&message->as.offer);
    case FED_MSG_WELCOME: return welcome_ok(&message->as.welcome);
    case FED_MSG_ROUND: return round_ok(&message->as.round);
    case FED_MSG_REFUSED: return refused_ok(&message->as.refused);
    case FED_MSG_ADMITTED:
    case FED_MSG_END:
    case FED_MSG_ENROL:
    case FED_MSG_ENROLLED: return true;
    }
    return false;
}

bool fed_bounds_header(const struct fed_update_header *header) {
    if (!encoding_ok(header->encoding) || header->n_clients < 1 || header->n_clients > FED_CLIENTS_MAX ||
        (header->encoding == FED_ENCODING_F32 && header->n_clients != 1)) {
        return false;
    }
    uint64_t width = header->encoding == FED_ENCODING_F32 ? 4 : 8;
    if (header->n_bytes < width || header->n_bytes > FED_OBJECT_MAX || header->n_bytes % width != 0 ||
        header->n_chunks != fed_chunk_count(header->n_bytes)) {
        return false;
    }
    for (uint32_t i = 1; i < header->n_clients; i++) {
        if (header->clients[i - 1] >= header->clients[i]) {
            return false;
        }
    }
    for (uint32_t i = 0; header->has_norms && i < header->n_clients; i++) {
        if (!limit_ok(header->norms[i])) {
            return false;
        }
    }
    return isfinite(header->train_seconds) && header->train_seconds >= 0;
}

static bool object_ok(const struct fed_object *object) {
    return object->kind == FED_OBJECT_UPDATE || (object->kind == FED_OBJECT_MODEL && object->part == 0);
}

bool fed_bounds_bulk(const struct fed_bulk_head *head) {
    uint32_t most = head->kind == FED_BULK_GET ? FED_GET_MAX : 1;
    return (head->kind == FED_BULK_GET || head->kind == FED_BULK_CHUNK) && object_ok(&head->what) && head->count >= 1 &&
           head->count <= most && (head->kind == FED_BULK_CHUNK || range_ok(head->first, head->count));
}
