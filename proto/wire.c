/* The only door to protobuf-c. Invariants: what it allocates is counted against a budget, wiped (a ROUND holds keys) and
 * freed before the call returns; a decoded struct leaves this file only after its bounds (bounds.c) were found to hold. */
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/seal/digest.h"
#include "proto/bounds.h"
#include "proto/fedavg.pb-c.h"

#define BUDGET_BYTES ((size_t)1024 * 1024)

/* Enums cross by value. */
_Static_assert((int)FED_PHASE_UPLOAD == FEDAVG__PHASE__PHASE_UPLOAD, "phases");
_Static_assert((int)FED_ENCODING_I64 == FEDAVG__ENCODING__ENCODING_I64, "encodings");
_Static_assert((int)FED_DECLINE_NORM == FEDAVG__DECLINE_REASON__DECLINE_NORM, "reasons to decline");
_Static_assert((int)FED_REFUSAL_TOKEN == FEDAVG__REFUSAL__REFUSED_TOKEN, "refusals");
_Static_assert((int)FED_OBJECT_UPDATE == FEDAVG__OBJECT_KIND__OBJECT_UPDATE, "objects");

/* ---- the counting allocator ---- */

struct budget {
    ProtobufCAllocator allocator;
    size_t left;
    bool starved; /* the system, not the budget, had no memory */
};

struct block {
    _Alignas(16) size_t n; /* bytes that follow */
};

static void *budget_alloc(void *context, size_t n) {
    struct budget *budget = context;
    if (n > BUDGET_BYTES || n + sizeof(struct block) > budget->left) {
        return NULL;
    }
    struct block *block = malloc(sizeof *block + n);
    if (block == NULL) {
        budget->starved = true;
        return NULL;
    }
    budget->left -= sizeof *block + n; /* freeing gives nothing back: the budget bounds the work as well as the memory */
    block->n = n;
    return block + 1;
}

static void budget_free(void *context, void *memory) {
    (void)context;
    if (memory != NULL) {
        struct block *block = (struct block *)memory - 1;
        explicit_bzero(memory, block->n);
        free(block);
    }
}

static void budget_init(struct budget *budget) {
    *budget = (struct budget){
        .allocator = {.alloc = budget_alloc, .free = budget_free, .allocator_data = budget},
        .left = BUDGET_BYTES,
    };
}

static int unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *type, struct budget *budget,
                  const uint8_t *bytes, size_t n_bytes) {
    budget_init(budget);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &budget->allocator, n_bytes, bytes);
    if (message == NULL) {
        return budget->starved ? FED_ENOMEM : FED_EWIRE;
    }
    *out = message;
    return 0;
}

/* ---- numbers and bytes ---- */

static uint8_t *store_le(uint8_t *out, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
    return out + n;
}

static uint64_t load_le(const uint8_t *bytes, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* protobuf-c borrows and does not write: its struct only lacks the const. */
static ProtobufCBinaryData give(const void *bytes, size_t n) {
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)bytes};
}

static ProtobufCBinaryData give_text(const char *text) { return give(text, strlen(text)); }

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

static ProtobufCBinaryData give_ids(uint8_t *scratch, const uint64_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        store_le(scratch + 8 * (size_t)i, ids[i], 8);
    }
    return give(scratch, 8 * (size_t)n);
}

static bool take_ids(uint64_t *out, uint32_t *n_out, const ProtobufCBinaryData *in) {
    size_t n = in->len / 8;
    if (in->len % 8 != 0 || n > FED_CLIENTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = load_le(in->data + 8 * i, 8);
    }
    *n_out = (uint32_t)n;
    return true;
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

static void give_status(Fedavg__Status *out, const struct fed_msg_status *in) {
    fedavg__status__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->phase = (Fedavg__Phase)in->phase;
    out->done = in->done;
    out->total = in->total;
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

static void give_decline(Fedavg__Decline *out, const struct fed_msg_decline *in, struct scratch *scratch) {
    fedavg__decline__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    out->reason = (Fedavg__DeclineReason)in->reason;
    out->clients = give_ids(scratch->clients, in->clients, in->n_clients);
}

static bool take_decline(struct fed_msg_decline *out, const Fedavg__Decline *in) {
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    out->reason = (enum fed_decline_reason)in->reason;
    return take_ids(out->clients, &out->n_clients, &in->clients);
}

static void give_offer(Fedavg__Offer *out, const struct fed_msg_offer *in) {
    fedavg__offer__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    out->e_pk = give(in->e_pk, sizeof in->e_pk);
    out->header = give(in->header, in->n_header);
}

static bool take_offer(struct fed_msg_offer *out, const Fedavg__Offer *in) {
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    return take(out->e_pk, sizeof out->e_pk, &in->e_pk) &&
           take_up_to(out->header, &out->n_header, sizeof out->header, &in->header);
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

static void give_admitted(Fedavg__Admitted *out, const struct fed_msg_admitted *in) {
    fedavg__admitted__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
}

static bool take_admitted(struct fed_msg_admitted *out, const Fedavg__Admitted *in) {
    *out = (struct fed_msg_admitted){.round = in->round, .attempt = in->attempt, .part = in->part};
    return true;
}

static void give_refused(Fedavg__Refused *out, const struct fed_msg_refused *in) {
    fedavg__refused__init(out);
    out->code = (Fedavg__Refusal)in->code;
    out->round = in->round;
    out->attempt = in->attempt;
    out->part = in->part;
    out->retry_after_ms = in->retry_after_ms;
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

static void give_end(Fedavg__End *out, const struct fed_msg_end *in) {
    fedavg__end__init(out);
    out->round = in->round;
    out->attempt = in->attempt;
    out->committed = in->committed;
    out->finished = in->finished;
    out->retry_after_ms = in->retry_after_ms;
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

/* ---- enrolment ---- */

static void give_enrol(Fedavg__Enrol *out, const struct fed_msg_enrol *in) {
    fedavg__enrol__init(out);
    out->certificate = give(in->certificate, sizeof in->certificate);
    out->signature = give(in->signature, sizeof in->signature);
    out->keys = give(&in->keys, sizeof in->keys);
    out->seal_mac = give(in->seal_mac, sizeof in->seal_mac);
}

static bool take_enrol(struct fed_msg_enrol *out, const Fedavg__Enrol *in) {
    return take(out->certificate, sizeof out->certificate, &in->certificate) &&
           take(out->signature, sizeof out->signature, &in->signature) &&
           take((uint8_t *)&out->keys, sizeof out->keys, &in->keys) &&
           take(out->seal_mac, sizeof out->seal_mac, &in->seal_mac);
}

static void give_enrolled(Fedavg__Enrolled *out, const struct fed_msg_enrolled *in) {
    fedavg__enrolled__init(out);
    out->certificate_digest = give(in->certificate_digest, sizeof in->certificate_digest);
}

static bool take_enrolled(struct fed_msg_enrolled *out, const Fedavg__Enrolled *in) {
    return take(out->certificate_digest, sizeof out->certificate_digest, &in->certificate_digest);
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

/* Read by itself first: what another major version says in the rest need not make sense to us. */
static int check_major(const uint8_t *bytes, size_t n_bytes) {
    struct budget budget;
    ProtobufCMessage *message;
    int rc = unpack(&message, &fedavg__preamble__descriptor, &budget, bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    uint32_t major = ((const Fedavg__Preamble *)(const void *)message)->protocol_major;
    protobuf_c_message_free_unpacked(message, &budget.allocator);
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
    struct budget budget;
    ProtobufCMessage *envelope;
    rc = unpack(&envelope, &fedavg__envelope__descriptor, &budget, bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    struct fed_message message;
    memset(&message, 0, sizeof message);
    bool ok = take_envelope(&message, (const Fedavg__Envelope *)(const void *)envelope) && fed_bounds_message(&message);
    protobuf_c_message_free_unpacked(envelope, &budget.allocator);
    if (ok) {
        *out = message;
    }
    explicit_bzero(&message, sizeof message);
    return ok ? 0 : FED_EWIRE;
}

/* ---- the update header ---- */

int fed_update_header_encode(uint8_t out[FED_HEADER_MAX], size_t *n_out, const struct fed_update_header *header) {
    assert(fed_bounds_header(header));
    uint8_t clients[8 * FED_CLIENTS_MAX], weights[4 * FED_CLIENTS_MAX], losses[4 * FED_CLIENTS_MAX],
        norms[8 * FED_CLIENTS_MAX];
    for (size_t i = 0; i < header->n_clients; i++) {
        store_le(weights + 4 * i, header->weights[i], 4);
        store_le(losses + 4 * i, float_bits(header->losses[i]), 4);
        store_le(norms + 8 * i, double_bits(header->norms[i]), 8);
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
        out->weights[i] = (uint32_t)load_le(in->weights.data + 4 * i, 4);
        out->losses[i] = float_of((uint32_t)load_le(in->losses.data + 4 * i, 4));
    }
    out->has_norms = in->norms.len != 0;
    for (size_t i = 0; out->has_norms && i < out->n_clients; i++) {
        out->norms[i] = double_of(load_le(in->norms.data + 8 * i, 8));
    }
    return true;
}

int fed_update_header_decode(struct fed_update_header *out, const uint8_t *bytes, size_t n_bytes) {
    if (n_bytes > FED_HEADER_MAX) {
        return FED_EWIRE;
    }
    struct budget budget;
    ProtobufCMessage *message;
    int rc = unpack(&message, &fedavg__update_header__descriptor, &budget, bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    struct fed_update_header header;
    memset(&header, 0, sizeof header);
    bool ok = take_header(&header, (const Fedavg__UpdateHeader *)(const void *)message) && fed_bounds_header(&header);
    protobuf_c_message_free_unpacked(message, &budget.allocator);
    if (ok) {
        *out = header;
    }
    return ok ? 0 : FED_EWIRE;
}

/* ---- the bulk head ---- */

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
    struct budget budget;
    ProtobufCMessage *message;
    int rc = unpack(&message, &fedavg__bulk_head__descriptor, &budget, bytes, n_bytes);
    if (rc != 0) {
        return rc;
    }
    struct fed_bulk_head head;
    memset(&head, 0, sizeof head);
    bool ok = take_bulk(&head, (const Fedavg__BulkHead *)(const void *)message) && fed_bounds_bulk(&head);
    protobuf_c_message_free_unpacked(message, &budget.allocator);
    if (ok) {
        *out = head;
    }
    return ok ? 0 : FED_EWIRE;
}

/* ---- terms and names ---- */

#define TERMS_LABEL "fedavg/terms/1"
#define TERMS_LABEL_BYTES (sizeof TERMS_LABEL - 1)
#define TERMS_BYTES (TERMS_LABEL_BYTES + 16 + 8 + 4 + 32 + 32 + 8 + 32 + 4 + 4 + 4)

static uint8_t *store(uint8_t *out, const void *bytes, size_t n) {
    memcpy(out, bytes, n);
    return out + n;
}

void fed_terms_digest(uint8_t out[32], const struct fed_terms *terms) {
    uint8_t bytes[TERMS_BYTES], *at = bytes;
    at = store(at, TERMS_LABEL, TERMS_LABEL_BYTES);
    at = store(at, terms->run_id, sizeof terms->run_id);
    at = store_le(at, terms->round, 8);
    at = store_le(at, terms->attempt, 4);
    at = store(at, terms->task_digest, sizeof terms->task_digest);
    at = store(at, terms->model_digest, sizeof terms->model_digest);
    at = store_le(at, terms->n_params, 8);
    at = store(at, terms->r_pk, sizeof terms->r_pk);
    at = store_le(at, terms->epochs, 4);
    at = store_le(at, terms->batch_size, 4);
    at = store_le(at, float_bits(terms->learning_rate), 4);
    assert(at == bytes + sizeof bytes);
    fed_digest(out, bytes, sizeof bytes);
}

const char *fed_decline_name(enum fed_decline_reason reason) {
    switch (reason) {
    case FED_DECLINE_MODEL_TOO_LARGE: return "model_too_large";
    case FED_DECLINE_EPOCHS: return "epochs";
    case FED_DECLINE_TIME: return "time";
    case FED_DECLINE_MEMORY: return "memory";
    case FED_DECLINE_NO_DATA: return "no_data";
    case FED_DECLINE_MATH: return "math";
    case FED_DECLINE_STOPPING: return "stopping";
    case FED_DECLINE_FAILED: return "failed";
    case FED_DECLINE_NORM: return "norm";
    }
    return "failed";
}

const char *fed_refusal_name(enum fed_refusal refusal) {
    static const char *const names[FED_REFUSAL_COUNT] = {
        [FED_REFUSAL_NONE] = "none",
        [FED_REFUSAL_MALFORMED] = "malformed",
        [FED_REFUSAL_PROTOCOL] = "protocol",
        [FED_REFUSAL_NOT_ENROLLED] = "not_enrolled",
        [FED_REFUSAL_HOSTED] = "hosted",
        [FED_REFUSAL_PARTITION] = "partition",
        [FED_REFUSAL_ROUND] = "round",
        [FED_REFUSAL_ATTEMPT] = "attempt",
        [FED_REFUSAL_PART] = "part",
        [FED_REFUSAL_NOT_PICKED] = "not_picked",
        [FED_REFUSAL_COUNTED] = "counted",
        [FED_REFUSAL_SUITE] = "suite",
        [FED_REFUSAL_ENCODING] = "encoding",
        [FED_REFUSAL_LENGTH] = "length",
        [FED_REFUSAL_WEIGHT_ZERO] = "weight_zero",
        [FED_REFUSAL_WEIGHT_CAP] = "weight_cap",
        [FED_REFUSAL_SEAL] = "seal",
        [FED_REFUSAL_NOT_FINITE] = "not_finite",
        [FED_REFUSAL_DELTA_CAP] = "delta_cap",
        [FED_REFUSAL_SUM_BOUND] = "sum_bound",
        [FED_REFUSAL_LATE] = "late",
        [FED_REFUSAL_BUSY] = "busy",
        [FED_REFUSAL_NORM] = "norm",
        [FED_REFUSAL_RATE] = "rate",
        [FED_REFUSAL_QUARANTINED] = "quarantined",
        [FED_REFUSAL_TOKEN] = "token",
    };
    assert((unsigned)refusal < FED_REFUSAL_COUNT);
    return names[refusal];
}

const char *fed_wire_library_version(void) { return protobuf_c_version(); }
