#include "tests/unit/wire/fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/seal/keys.h"
#include "common/seal/seal.h"
#include "proto/wire.h"
#include "tests/unit/named_vectors.h"

struct fed_rng rng;

static void setup(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
    fed_rng_init(&rng, 1, "check-wire", 0, 0);
}

TCase *wire_case(const char *name) {
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, setup, NULL);
    return cases;
}

static uint64_t random_u64(void) {
    uint64_t high = fed_rng_u32(&rng);
    uint64_t value = high << 32 | fed_rng_u32(&rng);
    return value >> fed_rng_below(&rng, 64);
}

static uint32_t random_u32(void) { return fed_rng_u32(&rng) >> fed_rng_below(&rng, 32); }

void random_bytes(uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)fed_rng_u32(&rng);
    }
}

static void random_text(char *out, size_t size, size_t least) {
    size_t n = least + fed_rng_below(&rng, (uint32_t)(size - least));
    for (size_t i = 0; i < n; i++) {
        out[i] = (char)(0x20 + fed_rng_below(&rng, 0x5f));
    }
}

/* most: of clients, so that a test that tries every bit can stay small; sometimes exactly most. */
static uint32_t random_ids(uint64_t *out, uint32_t most) {
    uint32_t n = fed_rng_below(&rng, 4) == 0 ? most : fed_rng_below(&rng, most + 1);
    for (uint32_t i = 0; i < n; i++) {
        out[i] = random_u64();
    }
    return n;
}

static void random_hello(struct fed_msg_hello *hello, uint32_t most) {
    hello->protocol_minor = random_u32();
    random_text(hello->build, most < 64 ? 8 : sizeof hello->build, 0);
    random_text(hello->kernel_family, sizeof hello->kernel_family, 0);
    random_text(hello->kernels, sizeof hello->kernels, 0);
    hello->workers = 1 + random_u32() % FED_WORKERS_MAX;
    hello->n_hosted = fed_rng_below(&rng, (most < FED_RANGES_MAX ? most : FED_RANGES_MAX) + 1);
    for (uint32_t i = 0; i < hello->n_hosted; i++) {
        hello->hosted[i] = (struct fed_id_range){.first = random_u64() / 2, .count = 1 + random_u64() / 2};
    }
    hello->has_partition = fed_rng_below(&rng, 2);
    hello->instance = random_u64();
    hello->has_model = fed_rng_below(&rng, 2);
    random_bytes(hello->partition_digest, hello->has_partition ? 32 : 0);
    random_bytes(hello->model_digest, hello->has_model ? 32 : 0);
}

static void random_round(struct fed_msg_round *round, uint32_t most) {
    round->terms.round = random_u64();
    round->terms.attempt = random_u32();
    random_bytes(round->terms.model_digest, 32);
    round->terms.n_params = 1 + random_u64() % FED_PARAMS_MAX;
    random_bytes(round->terms.r_pk, 32);
    round->terms.epochs = 1 + random_u32() / 2;
    round->terms.batch_size = random_u32();
    round->terms.learning_rate = ldexpf(1 + fed_rng_f32(&rng), (int)fed_rng_below(&rng, 250) - 125);
    round->part = random_u32();
    round->closed = fed_rng_below(&rng, 2);
    round->encoding = fed_rng_below(&rng, 2) ? FED_ENCODING_F32 : FED_ENCODING_I64;
    round->file_bytes = 1 + random_u64() % FED_OBJECT_MAX;
    random_bytes(round->model_key, 32);
    random_bytes(round->handle, 16);
    random_bytes(round->capability, 16);
    round->deadline_ms = random_u64();
    round->limits.norm_ceiling = fed_rng_f64(&rng);
    round->limits.clip = fed_rng_f64(&rng);
    round->limits.weight_cap = random_u32();
    round->n_clients = random_ids(round->clients, most);
}

static void random_status(struct fed_msg_status *status) {
    status->round = random_u64();
    status->attempt = random_u32();
    status->phase = (enum fed_phase)fed_rng_below(&rng, 4);
    status->total = random_u32();
    status->done = status->total / 2;
}

static void random_decline(struct fed_msg_decline *decline, uint32_t most) {
    decline->round = random_u64();
    decline->attempt = random_u32();
    decline->part = random_u32();
    decline->reason = (enum fed_decline_reason)(1 + fed_rng_below(&rng, 9));
    decline->n_clients = random_ids(decline->clients, most);
}

static void random_offer(struct fed_msg_offer *offer, uint32_t most) {
    offer->round = random_u64();
    offer->attempt = random_u32();
    offer->part = random_u32();
    random_bytes(offer->e_pk, 32);
    offer->n_header = 1 + fed_rng_below(&rng, most * 40);
    random_bytes(offer->header, offer->n_header);
}

static void random_welcome(struct fed_msg_welcome *welcome, uint32_t most) {
    welcome->protocol_minor = random_u32();
    random_bytes(welcome->run_id, 16);
    random_bytes(welcome->task_digest, 32);
    welcome->n_task = 1 + fed_rng_below(&rng, most * 32);
    random_bytes((uint8_t *)welcome->task, welcome->n_task);
    random_text(welcome->bulk, most < 64 ? 20 : sizeof welcome->bulk, 1);
    welcome->ping_ms = 1 + random_u32() / 2;
    welcome->kept = fed_rng_below(&rng, 2);
    welcome->idle_ms = random_u32();
}

static void random_admitted(struct fed_msg_admitted *admitted) {
    admitted->round = random_u64();
    admitted->attempt = random_u32();
    admitted->part = random_u32();
}

static void random_refused(struct fed_msg_refused *refused) {
    refused->code = (enum fed_refusal)(1 + fed_rng_below(&rng, FED_REFUSAL_COUNT - 1));
    refused->round = random_u64();
    refused->attempt = random_u32();
    refused->part = random_u32();
    refused->retry_after_ms = random_u32();
}

static void random_end(struct fed_msg_end *end) {
    end->round = random_u64();
    end->attempt = random_u32();
    end->committed = fed_rng_below(&rng, 2);
    end->finished = fed_rng_below(&rng, 2);
    end->retry_after_ms = random_u32();
}

static void random_enrol(struct fed_msg_enrol *enrol) {
    random_bytes(enrol->certificate, sizeof enrol->certificate);
    random_bytes(enrol->signature, sizeof enrol->signature);
    random_bytes((uint8_t *)&enrol->keys, sizeof enrol->keys);
    random_bytes(enrol->seal_mac, sizeof enrol->seal_mac);
}

void random_message(struct fed_message *m, enum fed_message_kind kind, uint32_t most) {
    memset(m, 0, sizeof *m);
    m->kind = kind;
    m->seq = random_u64();
    switch (kind) {
    case FED_MSG_HELLO: random_hello(&m->as.hello, most); break;
    case FED_MSG_STATUS: random_status(&m->as.status); break;
    case FED_MSG_DECLINE: random_decline(&m->as.decline, most); break;
    case FED_MSG_OFFER: random_offer(&m->as.offer, most); break;
    case FED_MSG_WELCOME: random_welcome(&m->as.welcome, most); break;
    case FED_MSG_ROUND: random_round(&m->as.round, most); break;
    case FED_MSG_ADMITTED: random_admitted(&m->as.admitted); break;
    case FED_MSG_REFUSED: random_refused(&m->as.refused); break;
    case FED_MSG_END: random_end(&m->as.end); break;
    case FED_MSG_ENROL: random_enrol(&m->as.enrol); break;
    case FED_MSG_ENROLLED: random_bytes(m->as.enrolled.certificate_digest, sizeof m->as.enrolled.certificate_digest); break;
    }
}

void random_header(struct fed_update_header *header, uint32_t most) {
    memset(header, 0, sizeof *header);
    header->suite = random_u32();
    header->encoding = fed_rng_below(&rng, 2) ? FED_ENCODING_F32 : FED_ENCODING_I64;
    bool alone = header->encoding == FED_ENCODING_F32;
    header->n_bytes = (alone ? 4 : 8) * (1 + random_u64() % ((uint64_t)1 << 40));
    header->n_chunks = fed_chunk_count(header->n_bytes);
    header->train_seconds = fed_rng_f64(&rng) * 1000;
    header->n_clients = alone ? 1 : 1 + fed_rng_below(&rng, most);
    header->has_norms = fed_rng_below(&rng, 2);
    uint64_t id = fed_rng_below(&rng, 1000);
    for (uint32_t i = 0; i < header->n_clients; i++) {
        header->clients[i] = id;
        id += 1 + random_u64() / 4096;
        header->weights[i] = random_u32();
        header->losses[i] = fed_rng_f32(&rng) * 10;
        header->norms[i] = header->has_norms ? fed_rng_f64(&rng) : 0;
    }
}

void random_bulk(struct fed_bulk_head *head) {
    memset(head, 0, sizeof *head);
    head->kind = fed_rng_below(&rng, 2) ? FED_BULK_GET : FED_BULK_CHUNK;
    head->what.kind = fed_rng_below(&rng, 2) ? FED_OBJECT_MODEL : FED_OBJECT_UPDATE;
    head->what.round = random_u64();
    head->what.attempt = random_u32();
    head->what.part = head->what.kind == FED_OBJECT_MODEL ? 0 : random_u32();
    head->first = random_u64() / 2;
    head->count = head->kind == FED_BULK_GET ? 1 + fed_rng_below(&rng, FED_GET_MAX) : 1;
}

union decoded decoded;

int decode(enum lane lane, const uint8_t *bytes, size_t n) {
    uint8_t *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, bytes, n);
    int rc = 0;
    switch (lane) {
    case MESSAGE: rc = fed_message_decode(&decoded.message, exact, n); break;
    case HEADER: rc = fed_update_header_decode(&decoded.header, exact, n); break;
    case BULK: rc = fed_bulk_decode(&decoded.bulk, exact, n); break;
    }
    free(exact);
    if (rc == 0) {
        switch (lane) {
        case MESSAGE: message_is_bounded(&decoded.message); break;
        case HEADER: header_is_bounded(&decoded.header); break;
        case BULK: bulk_is_bounded(&decoded.bulk); break;
        }
    }
    return rc;
}

size_t random_encoded(uint8_t out[FED_CONTROL_MAX], enum lane lane, enum fed_message_kind kind, uint32_t most) {
    static struct fed_message message;
    static struct fed_update_header header;
    struct fed_bulk_head bulk;
    size_t n = 0;
    switch (lane) {
    case MESSAGE:
        random_message(&message, kind, most);
        ck_assert_int_eq(fed_message_encode(out, &n, &message), 0);
        break;
    case HEADER:
        random_header(&header, most);
        ck_assert_int_eq(fed_update_header_encode(out, &n, &header), 0);
        break;
    case BULK:
        random_bulk(&bulk);
        ck_assert_int_eq(fed_bulk_encode(out, &n, &bulk), 0);
        break;
    }
    return n;
}

enum fed_message_kind loop_kind(int i) {
    return (enum fed_message_kind)(i < FED_MSG_END ? 1 + i : FED_MSG_ENROL + (i - FED_MSG_END) % 2);
}

const uint8_t status_bytes[17] = {0x08, 0x01, 0x10, 0x07, 0x22, 0x0b, 0x08, 0xac, 0x02,
                                  0x10, 0x01, 0x18, 0x02, 0x20, 0x04, 0x28, 0x0a};

uint8_t *put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    return at;
}
