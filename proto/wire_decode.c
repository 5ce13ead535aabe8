/* Bytes -> structs: the only place that looks at what a peer sent. Invariants: no length is believed before it was held
 * against the field it is to fill, a struct leaves this file only after its bounds (bounds.c) were found to hold, and what
 * protobuf-c allocated is freed before the call returns (wire_unpack.c). */
#include "proto/wire.h"

#include <string.h>

#include "proto/bounds.h"
#include "proto/fedavg.pb-c.h"
#include "proto/wire_internal.h"

/* ---- bytes ---- */

static bool take(uint8_t *out, size_t n, const ProtobufCBinaryData *in) {
    if (in->len != n) {
        return false;
    }
    memcpy(out, in->data, n);
    return true;
}

static bool take_optional(bool *has, uint8_t *out, size_t n, const ProtobufCBinaryData *in) {
    *has = in->len != 0;
    return !*has || take(out, n, in);
}

static bool take_up_to(void *out, size_t *n_out, size_t most, const ProtobufCBinaryData *in) {
    if (in->len > most) {
        return false;
    }
    if (in->len > 0) {
        memcpy(out, in->data, in->len);
    }
    *n_out = in->len;
    return true;
}

/* A zero inside would end the text early for us but not for others. */
static bool take_text(char *out, size_t size, const ProtobufCBinaryData *in) {
    size_t n = 0;
    if (!take_up_to(out, &n, size - 1, in) || memchr(out, 0, n) != NULL) {
        return false;
    }
    out[n] = 0;
    return true;
}

static bool take_ids(uint64_t *out, uint32_t *n_out, const ProtobufCBinaryData *in) {
    size_t n = in->len / 8;
    if (in->len % 8 != 0 || n > FED_CLIENTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = fed_wire_load_le(in->data + 8 * i, 8);
    }
    *n_out = (uint32_t)n;
    return true;
}

/* ---- node -> coordinator ---- */

static bool take_hello(struct fed_msg_hello *out, const Fedavg__Hello *in) {
    if (in->n_hosted > FED_RANGES_MAX) {
        return false;
    }
    out->protocol_minor = in->protocol_minor;
    out->workers = in->workers;
    out->instance = in->instance;
    out->n_hosted = (uint32_t)in->n_hosted;
    for (size_t i = 0; i < in->n_hosted; i++) {
        out->hosted[i] = (struct fed_id_range){.first = in->hosted[i]->first, .count = in->hosted[i]->count};
    }
    return take_text(out->build, sizeof out->build, &in->build) &&
           take_text(out->kernel_family, sizeof out->kernel_family, &in->kernel_family) &&
           take_text(out->kernels, sizeof out->kernels, &in->kernels) &&
           take_optional(&out->has_partition, out->partition_digest, sizeof out->partition_digest, &in->partition_digest) &&
           take_optional(&out->has_model, out->model_digest, sizeof out->model_digest, &in->model_digest);
}

static bool take_status(struct fed_msg_status *out, const Fedavg__Status *in) {
    *out = (struct fed_msg_status){
        .round = in->round,
        .attempt = in->attempt,
        .phase = (enum fed_phase)in->phase,
        .done = in->done,
        .total = in->total,
    };
    return true;
}

static bool take_decline(struct fed_msg_decline *out, const Fedavg__Decline *in) {
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    out->reason = (enum fed_decline_reason)in->reason;
    return take_ids(out->clients, &out->n_clients, &in->clients);
}

static bool take_offer(struct fed_msg_offer *out, const Fedavg__Offer *in) {
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    return take(out->e_pk, sizeof out->e_pk, &in->e_pk) &&
           take_up_to(out->header, &out->n_header, sizeof out->header, &in->header);
}

static bool take_enrol(struct fed_msg_enrol *out, const Fedavg__Enrol *in) {
    return take(out->certificate, sizeof out->certificate, &in->certificate) &&
           take(out->signature, sizeof out->signature, &in->signature) &&
           take((uint8_t *)&out->keys, sizeof out->keys, &in->keys) &&
           take(out->seal_mac, sizeof out->seal_mac, &in->seal_mac);
}

/* ---- coordinator -> node ---- */

static bool take_welcome(struct fed_msg_welcome *out, const Fedavg__Welcome *in) {
    out->protocol_minor = in->protocol_minor;
    out->ping_ms = in->ping_ms;
    out->kept = in->kept;
    out->idle_ms = in->idle_ms;
    return take(out->run_id, sizeof out->run_id, &in->run_id) &&
           take(out->task_digest, sizeof out->task_digest, &in->task_digest) &&
           take_up_to(out->task, &out->n_task, sizeof out->task, &in->task) &&
           take_text(out->bulk, sizeof out->bulk, &in->bulk);
}

static bool take_round(struct fed_msg_round *out, const Fedavg__Round *in) {
    out->terms = (struct fed_terms){
        .round = in->round,
        .attempt = in->attempt,
        .n_params = in->n_params,
        .epochs = in->epochs,
        .batch_size = in->batch_size,
        .learning_rate = in->learning_rate,
    };
    out->part = in->part;
    out->closed = in->closed != 0;
    out->encoding = (enum fed_encoding)in->encoding;
    out->file_bytes = in->file_bytes;
    out->deadline_ms = in->deadline_ms;
    out->limits =
        (struct fed_update_limits){.norm_ceiling = in->norm_ceiling, .clip = in->clip, .weight_cap = in->weight_cap};
    return take(out->terms.model_digest, sizeof out->terms.model_digest, &in->model_digest) &&
           take(out->terms.r_pk, sizeof out->terms.r_pk, &in->r_pk) &&
           take(out->model_key, sizeof out->model_key, &in->model_key) &&
           take(out->handle, sizeof out->handle, &in->handle) &&
           take(out->capability, sizeof out->capability, &in->capability) &&
           take_ids(out->clients, &out->n_clients, &in->clients);
}

static bool take_admitted(struct fed_msg_admitted *out, const Fedavg__Admitted *in) {
    *out = (struct fed_msg_admitted){.round = in->round, .attempt = in->attempt, .part = in->part};
    return true;
}

static bool take_refused(struct fed_msg_refused *out, const Fedavg__Refused *in) {
    *out = (struct fed_msg_refused){
        .code = (enum fed_refusal)in->code,
        .round = in->round,
        .attempt = in->attempt,
        .part = in->part,
        .retry_after_ms = in->retry_after_ms,
    };
    return true;
}

static bool take_end(struct fed_msg_end *out, const Fedavg__End *in) {
    *out = (struct fed_msg_end){
        .round = in->round,
        .attempt = in->attempt,
        .committed = in->committed != 0,
        .finished = in->finished != 0,
        .retry_after_ms = in->retry_after_ms,
    };
    return true;
}

static bool take_enrolled(struct fed_msg_enrolled *out, const Fedavg__Enrolled *in) {
    return take(out->certificate_digest, sizeof out->certificate_digest, &in->certificate_digest);
}

/* ---- the envelope ---- */

#define TAKE(KIND, name)                                                                                                    \
    case FEDAVG__ENVELOPE__BODY_##KIND: out->kind = FED_MSG_##KIND; return take_##name(&out->as.name, in->name)

static bool take_envelope(struct fed_message *out, const Fedavg__Envelope *in) {
    out->seq = in->seq;
    switch (in->body_case) {
        TAKE(HELLO, hello);
        TAKE(STATUS, status);
        TAKE(DECLINE, decline);
        TAKE(OFFER, offer);
        TAKE(WELCOME, welcome);
        TAKE(ROUND, round);
        TAKE(ADMITTED, admitted);
        TAKE(REFUSED, refused);
        TAKE(END, end);
        TAKE(ENROL, enrol);
        TAKE(ENROLLED, enrolled);
    default: return false; /* a body of a later version, or none */
    }
}

/* Read by itself first: what another major version says in the rest need not make sense to us. */
static int check_major(const uint8_t *bytes, size_t n_bytes) {
    ProtobufCMessage *message;
    int rc = fed_wire_unpack(&message, &fedavg__preamble__descriptor, bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    uint32_t major = ((const Fedavg__Preamble *)(const void *)message)->protocol_major;
    fed_wire_unpacked_free(message);
    if (major == 0) {
        return FED_EWIRE;
    }
    return major == FED_PROTOCOL_MAJOR ? 0 : FED_EPEER;
}

int fed_message_decode(struct fed_message *out, const uint8_t *bytes, size_t n_bytes) {
    if (n_bytes > FED_CONTROL_MAX) {
        return FED_EWIRE;
    }
    int rc = check_major(bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    ProtobufCMessage *envelope;
    rc = fed_wire_unpack(&envelope, &fedavg__envelope__descriptor, bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    struct fed_message message;
    memset(&message, 0, sizeof message);
    bool ok = take_envelope(&message, (const Fedavg__Envelope *)(const void *)envelope) && fed_bounds_message(&message);
    fed_wire_unpacked_free(envelope);
    if (ok) {
        *out = message;
    }
    explicit_bzero(&message, sizeof message);
    return ok ? 0 : FED_EWIRE;
}

/* ---- the update header ---- */

static bool take_header(struct fed_update_header *out, const Fedavg__UpdateHeader *in) {
    out->suite = in->suite;
    out->encoding = (enum fed_encoding)in->encoding;
    out->n_bytes = in->n_bytes;
    out->n_chunks = in->n_chunks;
    out->train_seconds = in->train_seconds;
    if (!take_ids(out->clients, &out->n_clients, &in->clients) || in->weights.len != 4 * (size_t)out->n_clients ||
        in->losses.len != 4 * (size_t)out->n_clients ||
        (in->norms.len != 0 && in->norms.len != 8 * (size_t)out->n_clients)) {
        return false;
    }
    for (size_t i = 0; i < out->n_clients; i++) {
        out->weights[i] = (uint32_t)fed_wire_load_le(in->weights.data + 4 * i, 4);
        out->losses[i] = fed_wire_float_of((uint32_t)fed_wire_load_le(in->losses.data + 4 * i, 4));
    }
    out->has_norms = in->norms.len != 0;
    for (size_t i = 0; out->has_norms && i < out->n_clients; i++) {
        out->norms[i] = fed_wire_double_of(fed_wire_load_le(in->norms.data + 8 * i, 8));
    }
    return true;
}

int fed_update_header_decode(struct fed_update_header *out, const uint8_t *bytes, size_t n_bytes) {
    if (n_bytes > FED_HEADER_MAX) {
        return FED_EWIRE;
    }
    ProtobufCMessage *message;
    int rc = fed_wire_unpack(&message, &fedavg__update_header__descriptor, bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    struct fed_update_header header;
    memset(&header, 0, sizeof header);
    bool ok = take_header(&header, (const Fedavg__UpdateHeader *)(const void *)message) && fed_bounds_header(&header);
    fed_wire_unpacked_free(message);
    if (ok) {
        *out = header;
    }
    return ok ? 0 : FED_EWIRE;
}

/* ---- the bulk head ---- */

static bool take_object(struct fed_object *out, const Fedavg__Object *in) {
    if (in == NULL) {
        return false;
    }
    *out = (struct fed_object){
        .kind = (enum fed_object_kind)in->kind,
        .round = in->round,
        .attempt = in->attempt,
        .part = in->part,
    };
    return true;
}

static bool take_bulk(struct fed_bulk_head *out, const Fedavg__BulkHead *in) {
    switch (in->body_case) {
    case FEDAVG__BULK_HEAD__BODY_GET:
        out->kind = FED_BULK_GET;
        out->first = in->get->first;
        out->count = in->get->count;
        return take_object(&out->what, in->get->what);
    case FEDAVG__BULK_HEAD__BODY_CHUNK:
        out->kind = FED_BULK_CHUNK;
        out->first = in->chunk->index;
        out->count = 1;
        return take_object(&out->what, in->chunk->what);
    default: return false;
    }
}

int fed_bulk_decode(struct fed_bulk_head *out, const uint8_t *bytes, size_t n_bytes) {
    if (n_bytes > FED_BULK_HEAD_MAX) {
        return FED_EWIRE;
    }
    ProtobufCMessage *message;
    int rc = fed_wire_unpack(&message, &fedavg__bulk_head__descriptor, bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    struct fed_bulk_head head;
    memset(&head, 0, sizeof head);
    bool ok = take_bulk(&head, (const Fedavg__BulkHead *)(const void *)message) && fed_bounds_bulk(&head);
    fed_wire_unpacked_free(message);
    if (ok) {
        *out = head;
    }
    return ok ? 0 : FED_EWIRE;
}
