/* Structs -> bytes. protobuf's structs borrow from ours and from the stack of the call: nothing is allocated and nothing can
 * fail. A struct that breaks its bounds (bounds.c) is a mistake in this program, hence an assert. */
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

#include "proto/bounds.h"
#include "proto/fedavg.pb-c.h"
#include "proto/wire_internal.h"

/* Enums cross by value, both ways. */
_Static_assert((int)FED_PHASE_UPLOAD == FEDAVG__PHASE__PHASE_UPLOAD, "phases");
_Static_assert((int)FED_ENCODING_I64 == FEDAVG__ENCODING__ENCODING_I64, "encodings");
_Static_assert((int)FED_DECLINE_NORM == FEDAVG__DECLINE_REASON__DECLINE_NORM, "reasons to decline");
_Static_assert((int)FED_REFUSAL_TOKEN == FEDAVG__REFUSAL__REFUSED_TOKEN, "refusals");
_Static_assert((int)FED_OBJECT_UPDATE == FEDAVG__OBJECT_KIND__OBJECT_UPDATE, "objects");

/* ---- bytes ---- */

/* protobuf-c borrows and does not write: its struct only lacks the const. */
static ProtobufCBinaryData give(const void *bytes, size_t n) {
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)bytes};
}

static ProtobufCBinaryData give_text(const char *text) { return give(text, strlen(text)); }

static ProtobufCBinaryData give_ids(uint8_t *scratch, const uint64_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        fed_wire_store_le(scratch + 8 * (size_t)i, ids[i], 8);
    }
    return give(scratch, 8 * (size_t)n);
}

/* ---- node -> coordinator ---- */

/* What the protobuf structs of one message borrow while it is encoded. */
struct scratch {
    uint8_t clients[8 * FED_CLIENTS_MAX];
    Fedavg__IdRange ranges[FED_RANGES_MAX];
    Fedavg__IdRange *hosted[FED_RANGES_MAX];
};

static void give_hello(Fedavg__Hello *out, const struct fed_msg_hello *in, struct scratch *scratch) {
    fedavg__hello__init(out);
    out->protocol_minor = in->protocol_minor;
    out->build = give_text(in->build);
    out->kernel_family = give_text(in->kernel_family);
    out->kernels = give_text(in->kernels);
    out->workers = in->workers;
    for (uint32_t i = 0; i < in->n_hosted; i++) {
        fedavg__id_range__init(&scratch->ranges[i]);
        scratch->ranges[i].first = in->hosted[i].first;
        scratch->ranges[i].count = in->hosted[i].count;
        scratch->hosted[i] = &scratch->ranges[i];
    }
    out->n_hosted = in->n_hosted;
    out->hosted = scratch->hosted;
    out->partition_digest = give(in->partition_digest, in->has_partition ? sizeof in->partition_digest : 0);
    out->model_digest = give(in->model_digest, in->has_model ? sizeof in->model_digest : 0);
    out->instance = in->instance;
}

static void give_status(Fedavg__Status *out, const struct fed_msg_status *in) {
    fedavg__status__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->phase = (Fedavg__Phase)in->phase;
    out->done = in->done;
    out->total = in->total;
}

static void give_decline(Fedavg__Decline *out, const struct fed_msg_decline *in, struct scratch *scratch) {
    fedavg__decline__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    out->reason = (Fedavg__DeclineReason)in->reason;
    out->clients = give_ids(scratch->clients, in->clients, in->n_clients);
}

static void give_offer(Fedavg__Offer *out, const struct fed_msg_offer *in) {
    fedavg__offer__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    out->e_pk = give(in->e_pk, sizeof in->e_pk);
    out->header = give(in->header, in->n_header);
}

static void give_enrol(Fedavg__Enrol *out, const struct fed_msg_enrol *in) {
    fedavg__enrol__init(out);
    out->certificate = give(in->certificate, sizeof in->certificate);
    out->signature = give(in->signature, sizeof in->signature);
    out->keys = give(&in->keys, sizeof in->keys);
    out->seal_mac = give(in->seal_mac, sizeof in->seal_mac);
}

/* ---- coordinator -> node ---- */

static void give_welcome(Fedavg__Welcome *out, const struct fed_msg_welcome *in) {
    fedavg__welcome__init(out);
    out->protocol_minor = in->protocol_minor;
    out->run_id = give(in->run_id, sizeof in->run_id);
    out->task_digest = give(in->task_digest, sizeof in->task_digest);
    out->task = give(in->task, in->n_task);
    out->bulk = give_text(in->bulk);
    out->ping_ms = in->ping_ms;
    out->kept = in->kept;
    out->idle_ms = in->idle_ms;
}

static void give_round(Fedavg__Round *out, const struct fed_msg_round *in, struct scratch *scratch) {
    fedavg__round__init(out);
    out->round = in->terms.round;
    out->attempt = in->terms.attempt;
    out->model_digest = give(in->terms.model_digest, sizeof in->terms.model_digest);
    out->n_params = in->terms.n_params;
    out->r_pk = give(in->terms.r_pk, sizeof in->terms.r_pk);
    out->epochs = in->terms.epochs;
    out->batch_size = in->terms.batch_size;
    out->learning_rate = in->terms.learning_rate;
    out->encoding = (Fedavg__Encoding)in->encoding;
    out->part = in->part;
    out->closed = in->closed;
    out->file_bytes = in->file_bytes;
    out->model_key = give(in->model_key, sizeof in->model_key);
    out->handle = give(in->handle, sizeof in->handle);
    out->capability = give(in->capability, sizeof in->capability);
    out->deadline_ms = in->deadline_ms;
    out->clients = give_ids(scratch->clients, in->clients, in->n_clients);
    out->norm_ceiling = in->limits.norm_ceiling;
    out->clip = in->limits.clip;
    out->weight_cap = in->limits.weight_cap;
}

static void give_admitted(Fedavg__Admitted *out, const struct fed_msg_admitted *in) {
    fedavg__admitted__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
}

static void give_refused(Fedavg__Refused *out, const struct fed_msg_refused *in) {
    fedavg__refused__init(out);
    out->code = (Fedavg__Refusal)in->code;
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    out->retry_after_ms = in->retry_after_ms;
}

static void give_end(Fedavg__End *out, const struct fed_msg_end *in) {
    fedavg__end__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->committed = in->committed;
    out->finished = in->finished;
    out->retry_after_ms = in->retry_after_ms;
}

static void give_enrolled(Fedavg__Enrolled *out, const struct fed_msg_enrolled *in) {
    fedavg__enrolled__init(out);
    out->certificate_digest = give(in->certificate_digest, sizeof in->certificate_digest);
}

/* ---- the envelope ---- */

union body {
    Fedavg__Hello hello;
    Fedavg__Status status;
    Fedavg__Decline decline;
    Fedavg__Offer offer;
    Fedavg__Welcome welcome;
    Fedavg__Round round;
    Fedavg__Admitted admitted;
    Fedavg__Refused refused;
    Fedavg__End end;
    Fedavg__Enrol enrol;
    Fedavg__Enrolled enrolled;
};

/* One line a message: fills its protobuf struct and hangs it into the envelope. */
#define GIVE(KIND, name, ...)                                                                                               \
    case FED_MSG_##KIND:                                                                                                    \
        give_##name(&body->name, &in->as.name, ##__VA_ARGS__);                                                              \
        out->body_case = FEDAVG__ENVELOPE__BODY_##KIND;                                                                     \
        out->name = &body->name;                                                                                            \
        break

static void give_envelope(Fedavg__Envelope *out, union body *body, struct scratch *scratch, const struct fed_message *in) {
    fedavg__envelope__init(out);
    out->protocol_major = FED_PROTOCOL_MAJOR;
    out->seq = in->seq;
    switch (in->kind) {
        GIVE(HELLO, hello, scratch);
        GIVE(STATUS, status);
        GIVE(DECLINE, decline, scratch);
        GIVE(OFFER, offer);
        GIVE(WELCOME, welcome);
        GIVE(ROUND, round, scratch);
        GIVE(ADMITTED, admitted);
        GIVE(REFUSED, refused);
        GIVE(END, end);
        GIVE(ENROL, enrol);
        GIVE(ENROLLED, enrolled);
    }
}

int fed_message_encode(uint8_t out[FED_CONTROL_MAX], size_t *n_out, const struct fed_message *message) {
    assert(fed_bounds_message(message));
    Fedavg__Envelope envelope;
    union body body;
    struct scratch scratch;
    give_envelope(&envelope, &body, &scratch, message);
    size_t n = fedavg__envelope__get_packed_size(&envelope);
    assert(n <= FED_CONTROL_MAX);
    *n_out = fedavg__envelope__pack(&envelope, out);
    assert(*n_out == n);
    return 0;
}

/* ---- the update header, the bulk head ---- */

int fed_update_header_encode(uint8_t out[FED_HEADER_MAX], size_t *n_out, const struct fed_update_header *header) {
    assert(fed_bounds_header(header));
    uint8_t clients[8 * FED_CLIENTS_MAX], weights[4 * FED_CLIENTS_MAX], losses[4 * FED_CLIENTS_MAX],
        norms[8 * FED_CLIENTS_MAX];
    for (size_t i = 0; i < header->n_clients; i++) {
        fed_wire_store_le(weights + 4 * i, header->weights[i], 4);
        fed_wire_store_le(losses + 4 * i, fed_wire_float_bits(header->losses[i]), 4);
        fed_wire_store_le(norms + 8 * i, fed_wire_double_bits(header->norms[i]), 8);
    }
    Fedavg__UpdateHeader message = FEDAVG__UPDATE_HEADER__INIT;
    message.suite = header->suite;
    message.encoding = (Fedavg__Encoding)header->encoding;
    message.n_bytes = header->n_bytes;
    message.n_chunks = header->n_chunks;
    message.train_seconds = header->train_seconds;
    message.clients = give_ids(clients, header->clients, header->n_clients);
    message.weights = give(weights, 4 * (size_t)header->n_clients);
    message.losses = give(losses, 4 * (size_t)header->n_clients);
    message.norms = give(norms, header->has_norms ? 8 * (size_t)header->n_clients : 0);
    assert(fedavg__update_header__get_packed_size(&message) <= FED_HEADER_MAX);
    *n_out = fedavg__update_header__pack(&message, out);
    return 0;
}

int fed_bulk_encode(uint8_t out[FED_BULK_HEAD_MAX], size_t *n_out, const struct fed_bulk_head *head) {
    assert(fed_bounds_bulk(head));
    Fedavg__Object what = FEDAVG__OBJECT__INIT;
    what.kind = (Fedavg__ObjectKind)head->what.kind;
    what.round = head->what.round;
    what.attempt = head->what.attempt;
    what.part = head->what.part;

    Fedavg__Get get = FEDAVG__GET__INIT;
    Fedavg__Chunk chunk = FEDAVG__CHUNK__INIT;
    Fedavg__BulkHead message = FEDAVG__BULK_HEAD__INIT;
    if (head->kind == FED_BULK_GET) {
        get.what = &what;
        get.first = head->first;
        get.count = head->count;
        message.body_case = FEDAVG__BULK_HEAD__BODY_GET;
        message.get = &get;
    } else {
        chunk.what = &what;
        chunk.index = head->first;
        message.body_case = FEDAVG__BULK_HEAD__BODY_CHUNK;
        message.chunk = &chunk;
    }
    assert(fedavg__bulk_head__get_packed_size(&message) <= FED_BULK_HEAD_MAX);
    *n_out = fedavg__bulk_head__pack(&message, out);
    return 0;
}
