/* The wire: what is said comes back as it was said, and nothing that a peer can send breaks a bound.
 *
 * A small protobuf writer of its own (struct field) makes the messages that our encoder would never make. malloc is wrapped
 * at link time, so that the budget, the lack of memory and the wiping of secrets are seen from outside. */
#include <check.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/seal/keys.h"
#include "common/seal/seal.h"
#include "proto/wire.h"
#include "tests/unit/named_vectors.h"

#define ANSWERS FED_VECTORS "/seal.txt"

static struct fed_rng rng;

static void setup(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
    fed_rng_init(&rng, 1, "check-wire", 0, 0);
}

/* ---- a malloc that counts ---- */

void *__real_malloc(size_t n);
void __real_free(void *memory);
void *__wrap_malloc(size_t n);
void __wrap_free(void *memory);

static struct {
    bool on;
    long allocated, freed, fail_at; /* fail_at: which allocation fails, counted from 1; 0 = none */
    size_t bytes;
    const void *secret; /* must not be in memory that is freed */
    size_t n_secret;
    bool leaked;
} heap;

void *__wrap_malloc(size_t n) {
    if (heap.on) {
        if (++heap.allocated == heap.fail_at) {
            return NULL;
        }
        heap.bytes += n;
    }
    void *memory = __real_malloc(n);
    if (memory != NULL && heap.secret != NULL) {
        memset(memory, 0, malloc_usable_size(memory)); /* it is searched as a whole when it is freed */
    }
    return memory;
}

void __wrap_free(void *memory) {
    if (heap.on && memory != NULL) {
        heap.freed++;
        if (heap.secret != NULL && memmem(memory, malloc_usable_size(memory), heap.secret, heap.n_secret) != NULL) {
            heap.leaked = true;
        }
    }
    __real_free(memory);
}

/* Decodes with counting; whatever happens, nothing outlives the call and the budget holds. */
static int counted_decode(struct fed_message *out, const uint8_t *bytes, size_t n, long fail_at) {
    memset(&heap, 0, offsetof(__typeof__(heap), secret));
    heap.fail_at = fail_at;
    heap.on = true;
    int rc = fed_message_decode(out, bytes, n);
    heap.on = false;
    ck_assert_int_eq(heap.allocated - (fail_at > 0 && heap.allocated >= fail_at ? 1 : 0), heap.freed);
    return rc;
}

/* ---- random messages ---- */

static uint64_t random_u64(void) {
    uint64_t high = fed_rng_u32(&rng);
    uint64_t value = high << 32 | fed_rng_u32(&rng);
    return value >> fed_rng_below(&rng, 64);
}

static uint32_t random_u32(void) { return fed_rng_u32(&rng) >> fed_rng_below(&rng, 32); }

static void random_bytes(uint8_t *out, size_t n) {
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

static void random_message(struct fed_message *m, enum fed_message_kind kind, uint32_t most) {
    memset(m, 0, sizeof *m);
    m->kind = kind;
    m->seq = random_u64();
    switch (kind) {
    case FED_MSG_HELLO: random_hello(&m->as.hello, most); break;
    case FED_MSG_STATUS:
        m->as.status.round = random_u64();
        m->as.status.attempt = random_u32();
        m->as.status.phase = (enum fed_phase)fed_rng_below(&rng, 4);
        m->as.status.total = random_u32();
        m->as.status.done = m->as.status.total / 2;
        break;
    case FED_MSG_DECLINE:
        m->as.decline.round = random_u64();
        m->as.decline.attempt = random_u32();
        m->as.decline.part = random_u32();
        m->as.decline.reason = (enum fed_decline_reason)(1 + fed_rng_below(&rng, 9));
        m->as.decline.n_clients = random_ids(m->as.decline.clients, most);
        break;
    case FED_MSG_OFFER:
        m->as.offer.round = random_u64();
        m->as.offer.attempt = random_u32();
        m->as.offer.part = random_u32();
        random_bytes(m->as.offer.e_pk, 32);
        m->as.offer.n_header = 1 + fed_rng_below(&rng, most * 40);
        random_bytes(m->as.offer.header, m->as.offer.n_header);
        break;
    case FED_MSG_WELCOME:
        m->as.welcome.protocol_minor = random_u32();
        random_bytes(m->as.welcome.run_id, 16);
        random_bytes(m->as.welcome.task_digest, 32);
        m->as.welcome.n_task = 1 + fed_rng_below(&rng, most * 32);
        random_bytes((uint8_t *)m->as.welcome.task, m->as.welcome.n_task);
        random_text(m->as.welcome.bulk, most < 64 ? 20 : sizeof m->as.welcome.bulk, 1);
        m->as.welcome.ping_ms = 1 + random_u32() / 2;
        m->as.welcome.kept = fed_rng_below(&rng, 2);
        m->as.welcome.idle_ms = random_u32();
        break;
    case FED_MSG_ROUND: random_round(&m->as.round, most); break;
    case FED_MSG_ADMITTED:
        m->as.admitted.round = random_u64();
        m->as.admitted.attempt = random_u32();
        m->as.admitted.part = random_u32();
        break;
    case FED_MSG_REFUSED:
        m->as.refused.code = (enum fed_refusal)(1 + fed_rng_below(&rng, FED_REFUSAL_COUNT - 1));
        m->as.refused.round = random_u64();
        m->as.refused.attempt = random_u32();
        m->as.refused.part = random_u32();
        m->as.refused.retry_after_ms = random_u32();
        break;
    case FED_MSG_END:
        m->as.end.round = random_u64();
        m->as.end.attempt = random_u32();
        m->as.end.committed = fed_rng_below(&rng, 2);
        m->as.end.finished = fed_rng_below(&rng, 2);
        m->as.end.retry_after_ms = random_u32();
        break;
    case FED_MSG_ENROL:
        random_bytes(m->as.enrol.certificate, sizeof m->as.enrol.certificate);
        random_bytes(m->as.enrol.signature, sizeof m->as.enrol.signature);
        random_bytes((uint8_t *)&m->as.enrol.keys, sizeof m->as.enrol.keys);
        random_bytes(m->as.enrol.seal_mac, sizeof m->as.enrol.seal_mac);
        break;
    case FED_MSG_ENROLLED: random_bytes(m->as.enrolled.certificate_digest, sizeof m->as.enrolled.certificate_digest); break;
    }
}

static void random_header(struct fed_update_header *header, uint32_t most) {
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

static void random_bulk(struct fed_bulk_head *head) {
    memset(head, 0, sizeof *head);
    head->kind = fed_rng_below(&rng, 2) ? FED_BULK_GET : FED_BULK_CHUNK;
    head->what.kind = fed_rng_below(&rng, 2) ? FED_OBJECT_MODEL : FED_OBJECT_UPDATE;
    head->what.round = random_u64();
    head->what.attempt = random_u32();
    head->what.part = head->what.kind == FED_OBJECT_MODEL ? 0 : random_u32();
    head->first = random_u64() / 2;
    head->count = head->kind == FED_BULK_GET ? 1 + fed_rng_below(&rng, FED_GET_MAX) : 1;
}

/* ---- the same, field by field ---- */

#define SAME(field) ck_assert_uint_eq(a->field, b->field)
#define SAME_BYTES(field) ck_assert_mem_eq(a->field, b->field, sizeof a->field)

static void same_hello(const struct fed_msg_hello *a, const struct fed_msg_hello *b) {
    SAME(protocol_minor);
    ck_assert_str_eq(a->build, b->build);
    ck_assert_str_eq(a->kernel_family, b->kernel_family);
    ck_assert_str_eq(a->kernels, b->kernels);
    SAME(workers);
    SAME(n_hosted);
    ck_assert_mem_eq(a->hosted, b->hosted, a->n_hosted * sizeof *a->hosted);
    SAME(has_partition);
    SAME_BYTES(partition_digest);
    SAME(instance);
    SAME(has_model);
    SAME_BYTES(model_digest);
}

static void same_round(const struct fed_msg_round *a, const struct fed_msg_round *b) {
    SAME_BYTES(terms.run_id);
    SAME(terms.round);
    SAME(terms.attempt);
    SAME_BYTES(terms.task_digest);
    SAME_BYTES(terms.model_digest);
    SAME(terms.n_params);
    SAME_BYTES(terms.r_pk);
    SAME(terms.epochs);
    SAME(terms.batch_size);
    ck_assert(a->terms.learning_rate == b->terms.learning_rate);
    SAME(part);
    SAME(closed);
    SAME(encoding);
    SAME(file_bytes);
    SAME_BYTES(model_key);
    SAME_BYTES(handle);
    SAME_BYTES(capability);
    SAME(deadline_ms);
    ck_assert(a->limits.norm_ceiling == b->limits.norm_ceiling && a->limits.clip == b->limits.clip);
    SAME(limits.weight_cap);
    SAME(n_clients);
    ck_assert_mem_eq(a->clients, b->clients, a->n_clients * sizeof *a->clients);
}

static void same_decline(const struct fed_msg_decline *a, const struct fed_msg_decline *b) {
    SAME(round);
    SAME(attempt);
    SAME(part);
    SAME(reason);
    SAME(n_clients);
    ck_assert_mem_eq(a->clients, b->clients, a->n_clients * sizeof *a->clients);
}

static void same_offer(const struct fed_msg_offer *a, const struct fed_msg_offer *b) {
    SAME(round);
    SAME(attempt);
    SAME(part);
    SAME_BYTES(e_pk);
    SAME(n_header);
    ck_assert_mem_eq(a->header, b->header, a->n_header);
}

static void same_welcome(const struct fed_msg_welcome *a, const struct fed_msg_welcome *b) {
    SAME(protocol_minor);
    SAME_BYTES(run_id);
    SAME_BYTES(task_digest);
    SAME(n_task);
    ck_assert_mem_eq(a->task, b->task, a->n_task);
    ck_assert_str_eq(a->bulk, b->bulk);
    SAME(ping_ms);
    SAME(kept);
    SAME(idle_ms);
}

static void same_message(const struct fed_message *a, const struct fed_message *b) {
    SAME(kind);
    SAME(seq);
    switch (a->kind) {
    case FED_MSG_HELLO: same_hello(&a->as.hello, &b->as.hello); break;
    case FED_MSG_DECLINE: same_decline(&a->as.decline, &b->as.decline); break;
    case FED_MSG_OFFER: same_offer(&a->as.offer, &b->as.offer); break;
    case FED_MSG_WELCOME: same_welcome(&a->as.welcome, &b->as.welcome); break;
    case FED_MSG_ROUND: same_round(&a->as.round, &b->as.round); break;
    case FED_MSG_STATUS:
        SAME(as.status.round);
        SAME(as.status.attempt);
        SAME(as.status.phase);
        SAME(as.status.done);
        SAME(as.status.total);
        break;
    case FED_MSG_ADMITTED:
        SAME(as.admitted.round);
        SAME(as.admitted.attempt);
        SAME(as.admitted.part);
        break;
    case FED_MSG_REFUSED:
        SAME(as.refused.code);
        SAME(as.refused.round);
        SAME(as.refused.attempt);
        SAME(as.refused.part);
        SAME(as.refused.retry_after_ms);
        break;
    case FED_MSG_END:
        SAME(as.end.round);
        SAME(as.end.attempt);
        SAME(as.end.committed);
        SAME(as.end.finished);
        SAME(as.end.retry_after_ms);
        break;
    case FED_MSG_ENROL:
        SAME_BYTES(as.enrol.certificate);
        SAME_BYTES(as.enrol.signature);
        ck_assert_mem_eq(&a->as.enrol.keys, &b->as.enrol.keys, sizeof a->as.enrol.keys);
        SAME_BYTES(as.enrol.seal_mac);
        break;
    case FED_MSG_ENROLLED: SAME_BYTES(as.enrolled.certificate_digest); break;
    }
}

static void same_header(const struct fed_update_header *a, const struct fed_update_header *b) {
    SAME(suite);
    SAME(encoding);
    SAME(n_bytes);
    SAME(n_chunks);
    ck_assert(a->train_seconds == b->train_seconds);
    SAME(n_clients);
    SAME_BYTES(clients);
    SAME_BYTES(weights);
    SAME_BYTES(losses);
    SAME(has_norms);
    SAME_BYTES(norms);
}

static void same_bulk(const struct fed_bulk_head *a, const struct fed_bulk_head *b) {
    SAME(kind);
    SAME(what.kind);
    SAME(what.round);
    SAME(what.attempt);
    SAME(what.part);
    SAME(first);
    SAME(count);
}

/* ---- what other rooms rely on, in words of its own ---- */

static void printable(const char *text, size_t size) {
    const char *end = memchr(text, 0, size);
    ck_assert_ptr_nonnull(end);
    for (const char *c = text; c < end; c++) {
        ck_assert(*c >= ' ' && *c <= '~');
    }
}

static void message_is_bounded(const struct fed_message *m) {
    switch (m->kind) {
    case FED_MSG_HELLO:
        printable(m->as.hello.build, 64);
        printable(m->as.hello.kernel_family, 16);
        printable(m->as.hello.kernels, 16);
        ck_assert(m->as.hello.workers >= 1 && m->as.hello.workers <= FED_WORKERS_MAX);
        ck_assert_uint_le(m->as.hello.n_hosted, 64);
        for (uint32_t i = 0; i < m->as.hello.n_hosted; i++) {
            ck_assert_uint_gt(m->as.hello.hosted[i].first + m->as.hello.hosted[i].count, m->as.hello.hosted[i].first);
        }
        break;
    case FED_MSG_STATUS: ck_assert(m->as.status.phase <= 3 && m->as.status.done <= m->as.status.total); break;
    case FED_MSG_DECLINE:
        ck_assert(m->as.decline.n_clients <= 1024 && m->as.decline.reason >= 1 && m->as.decline.reason <= 9);
        break;
    case FED_MSG_OFFER: ck_assert(m->as.offer.n_header >= 1 && m->as.offer.n_header <= 40960); break;
    case FED_MSG_WELCOME:
        ck_assert(m->as.welcome.n_task >= 1 && m->as.welcome.n_task <= 32768);
        printable(m->as.welcome.bulk, 256);
        ck_assert_uint_gt(m->as.welcome.ping_ms, 0);
        break;
    case FED_MSG_ROUND:
        ck_assert_uint_le(m->as.round.n_clients, 1024);
        ck_assert(m->as.round.terms.n_params >= 1 && m->as.round.terms.n_params <= (uint64_t)1 << 40);
        ck_assert(m->as.round.file_bytes >= 1 && m->as.round.file_bytes <= (uint64_t)1 << 44);
        ck_assert(m->as.round.encoding == 1 || m->as.round.encoding == 2);
        ck_assert(m->as.round.terms.learning_rate > 0 && m->as.round.terms.learning_rate < INFINITY);
        ck_assert_uint_gt(m->as.round.terms.epochs, 0);
        ck_assert(m->as.round.limits.norm_ceiling >= 0 && m->as.round.limits.norm_ceiling < INFINITY);
        ck_assert(m->as.round.limits.clip >= 0 && m->as.round.limits.clip < INFINITY);
        break;
    case FED_MSG_REFUSED: ck_assert(m->as.refused.code >= 1 && m->as.refused.code < FED_REFUSAL_COUNT); break;
    case FED_MSG_ADMITTED:
    case FED_MSG_END:
    case FED_MSG_ENROL:
    case FED_MSG_ENROLLED: break;
    default: ck_abort_msg("a message of kind %d", (int)m->kind);
    }
}

static void header_is_bounded(const struct fed_update_header *h) {
    ck_assert(h->encoding == 1 || h->encoding == 2);
    ck_assert(h->n_clients >= 1 && h->n_clients <= (h->encoding == 1 ? 1 : 1024));
    ck_assert(h->n_bytes >= 4 && h->n_bytes % (h->encoding == 1 ? 4 : 8) == 0);
    ck_assert_uint_eq(h->n_chunks, (h->n_bytes + 262143) / 262144);
    ck_assert(h->train_seconds >= 0 && h->train_seconds < INFINITY);
    for (uint32_t i = 1; i < h->n_clients; i++) {
        ck_assert_uint_lt(h->clients[i - 1], h->clients[i]);
    }
    for (uint32_t i = 0; i < h->n_clients; i++) {
        ck_assert(h->norms[i] >= 0 && h->norms[i] < INFINITY && (h->has_norms || h->norms[i] == 0));
    }
}

static void bulk_is_bounded(const struct fed_bulk_head *head) {
    ck_assert(head->kind == FED_BULK_GET || head->kind == FED_BULK_CHUNK);
    ck_assert(head->what.kind == FED_OBJECT_MODEL || head->what.kind == FED_OBJECT_UPDATE);
    ck_assert(head->count >= 1 && head->count <= (head->kind == FED_BULK_GET ? 32 : 1));
    ck_assert(head->kind == FED_BULK_CHUNK || head->first + head->count > head->first);
}

/* ---- one way to try all three decoders ---- */

enum lane { MESSAGE, HEADER, BULK };

static union {
    struct fed_message message;
    struct fed_update_header header;
    struct fed_bulk_head bulk;
} decoded;

/* From a buffer of exactly n bytes, so that a sanitizer sees any step over its end. Whatever decodes is bounded. */
static int decode(enum lane lane, const uint8_t *bytes, size_t n) {
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

static size_t random_encoded(uint8_t out[FED_CONTROL_MAX], enum lane lane, enum fed_message_kind kind, uint32_t most) {
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

/* Loop tests run over all messages, then header, then bulk. */
#define N_KINDS 11
#define N_LOOPS (N_KINDS + 2)
static enum lane loop_lane(int i) { return i < N_KINDS ? MESSAGE : i == N_KINDS ? HEADER : BULK; }
static enum fed_message_kind loop_kind(int i) {
    return (enum fed_message_kind)(i < FED_MSG_END ? 1 + i : FED_MSG_ENROL + (i - FED_MSG_END) % 2);
}

/* ---- round trips ---- */

START_TEST(every_message_comes_back_as_it_was_said) {
    static struct fed_message m, back;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    for (int i = 0; i < 200; i++) {
        random_message(&m, loop_kind(_i), 1024);
        ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
        ck_assert_int_eq(fed_message_decode(&back, bytes, n), 0);
        same_message(&m, &back);
    }
}
END_TEST

START_TEST(message_of_the_enrolment_lane_fits_it) {
    static struct fed_message m;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    random_message(&m, FED_MSG_ENROL, 1);
    m.seq = UINT64_MAX;
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    ck_assert_uint_le(n, FED_ENROL_MAX);
}
END_TEST

START_TEST(every_header_and_bulk_head_comes_back_as_it_was_said) {
    static struct fed_update_header header, header_back;
    struct fed_bulk_head bulk, bulk_back;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    for (int i = 0; i < 200; i++) {
        random_header(&header, 1024);
        ck_assert_int_eq(fed_update_header_encode(bytes, &n, &header), 0);
        ck_assert_int_eq(fed_update_header_decode(&header_back, bytes, n), 0);
        same_header(&header, &header_back);
        random_bulk(&bulk);
        ck_assert_int_eq(fed_bulk_encode(bytes, &n, &bulk), 0);
        ck_assert_uint_le(n, FED_BULK_HEAD_MAX);
        ck_assert_int_eq(fed_bulk_decode(&bulk_back, bytes, n), 0);
        same_bulk(&bulk, &bulk_back);
    }
}
END_TEST

START_TEST(largest_messages_fit) {
    static struct fed_message m, back;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    random_message(&m, FED_MSG_OFFER, 1024);
    m.as.offer.n_header = FED_HEADER_MAX;
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    ck_assert_int_eq(fed_message_decode(&back, bytes, n), 0);
    same_message(&m, &back);
    random_message(&m, FED_MSG_WELCOME, 1024);
    m.as.welcome.n_task = FED_TASK_MAX;
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    ck_assert_int_eq(fed_message_decode(&back, bytes, n), 0);
    same_message(&m, &back);

    static struct fed_update_header header;
    memset(&header, 0xff, sizeof header);
    header.has_norms = true;
    header.encoding = FED_ENCODING_I64;
    header.n_bytes = FED_OBJECT_MAX;
    header.n_chunks = fed_chunk_count(FED_OBJECT_MAX);
    header.train_seconds = 1e300;
    header.n_clients = FED_CLIENTS_MAX;
    for (uint32_t i = 0; i < FED_CLIENTS_MAX; i++) {
        header.clients[i] = UINT64_MAX - FED_CLIENTS_MAX + i;
        header.norms[i] = 1e300;
    }
    ck_assert_int_eq(fed_update_header_encode(bytes, &n, &header), 0);
    ck_assert_uint_le(n, FED_HEADER_MAX);
}
END_TEST

START_TEST(weights_and_losses_of_any_value_are_kept) {
    static struct fed_update_header header, back;
    uint8_t bytes[FED_HEADER_MAX];
    size_t n;
    random_header(&header, 4);
    header.encoding = FED_ENCODING_I64;
    header.n_bytes = 8;
    header.n_chunks = 1;
    header.n_clients = 4;
    const uint64_t ids[] = {0, 1, 7, UINT64_MAX};
    const uint32_t weights[] = {0, 1, UINT32_MAX, 5};
    const float losses[] = {NAN, INFINITY, -0.0f, -1};
    memcpy(header.clients, ids, sizeof ids);
    memcpy(header.weights, weights, sizeof weights);
    memcpy(header.losses, losses, sizeof losses);
    ck_assert_int_eq(fed_update_header_encode(bytes, &n, &header), 0);
    ck_assert_int_eq(fed_update_header_decode(&back, bytes, n), 0);
    same_header(&header, &back);
}
END_TEST

/* Written by hand from the protobuf encoding rules and fedavg.proto. */
static const uint8_t status_bytes[] = {0x08, 0x01, 0x10, 0x07, 0x22, 0x0b, 0x08, 0xac, 0x02,
                                       0x10, 0x01, 0x18, 0x02, 0x20, 0x04, 0x28, 0x0a};

START_TEST(encoding_is_the_one_that_the_specification_gives) {
    struct fed_message m = {.kind = FED_MSG_STATUS, .seq = 7};
    m.as.status = (struct fed_msg_status){.round = 300, .attempt = 1, .phase = FED_PHASE_TRAIN, .done = 4, .total = 10};
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    ck_assert_uint_eq(n, sizeof status_bytes);
    ck_assert_mem_eq(bytes, status_bytes, n);

    struct fed_update_header header = {
        .suite = FED_SUITE_1, .encoding = FED_ENCODING_F32, .n_bytes = 400, .n_chunks = 1, .train_seconds = 1.5};
    header.n_clients = 1;
    header.clients[0] = 0x0102;
    header.weights[0] = 600;
    header.losses[0] = 0.5f;
    static const uint8_t header_bytes[] = {0x08, 0x01, 0x10, 0x01, 0x18, 0x90, 0x03, 0x20, 0x01, 0x29, 0,    0,   0, 0,
                                           0,    0,    0xf8, 0x3f, 0x32, 0x08, 0x02, 0x01, 0,    0,    0,    0,   0, 0,
                                           0x3a, 0x04, 0x58, 0x02, 0,    0,    0x42, 0x04, 0,    0,    0x00, 0x3f};
    ck_assert_int_eq(fed_update_header_encode(bytes, &n, &header), 0);
    ck_assert_uint_eq(n, sizeof header_bytes);
    ck_assert_mem_eq(bytes, header_bytes, n);
}
END_TEST

/* ---- damage ---- */

/* Without its last field a header is one that a node of minor 0 could have written. */
static bool lost_its_norms(enum lane lane, size_t cut, size_t n) {
    return lane == HEADER && !decoded.header.has_norms && n - cut >= 2 + 8 * (size_t)decoded.header.n_clients;
}

START_TEST(message_cut_anywhere_is_refused) {
    uint8_t bytes[FED_CONTROL_MAX];
    for (int i = 0; i < 2; i++) {
        size_t n = random_encoded(bytes, loop_lane(_i), loop_kind(_i), 5);
        for (size_t cut = 0; cut < n; cut++) {
            int rc = decode(loop_lane(_i), bytes, cut);
            ck_assert(rc == FED_EWIRE || (rc == 0 && lost_its_norms(loop_lane(_i), cut, n)));
        }
        ck_assert_int_eq(decode(loop_lane(_i), bytes, n), 0);
    }
}
END_TEST

START_TEST(message_with_any_bit_flipped_is_refused_or_bounded) {
    uint8_t bytes[FED_CONTROL_MAX];
    for (int i = 0; i < 2; i++) {
        size_t n = random_encoded(bytes, loop_lane(_i), loop_kind(_i), 5);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int rc = decode(loop_lane(_i), bytes, n);
            ck_assert(rc == 0 || rc == FED_EWIRE || rc == FED_EPEER);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}
END_TEST

START_TEST(random_bytes_are_refused_or_bounded) {
    uint8_t bytes[FED_CONTROL_MAX];
    for (int i = 0; i < 3000; i++) {
        size_t n = fed_rng_below(&rng, 300);
        random_bytes(bytes, n);
        int rc = decode(loop_lane(_i), bytes, n);
        ck_assert(rc == 0 || rc == FED_EWIRE || rc == FED_EPEER);
    }
}
END_TEST

START_TEST(failed_decode_leaves_the_output_untouched) {
    static struct fed_message m, before;
    memset(&m, 0x77, sizeof m);
    before = m;
    ck_assert_int_eq(fed_message_decode(&m, status_bytes, sizeof status_bytes - 1), FED_EWIRE);
    uint8_t bad[sizeof status_bytes];
    memcpy(bad, status_bytes, sizeof bad);
    bad[sizeof bad - 1] = 3; /* total 3 under done 4 */
    ck_assert_int_eq(fed_message_decode(&m, bad, sizeof bad), FED_EWIRE);
    bad[1] = 2;
    ck_assert_int_eq(fed_message_decode(&m, bad, sizeof bad), FED_EPEER);
    ck_assert_mem_eq(&m, &before, sizeof m);
}
END_TEST

/* ---- versions ---- */

START_TEST(another_major_version_is_told_from_nonsense) {
    static struct fed_message m;
    uint8_t bytes[sizeof status_bytes];
    memcpy(bytes, status_bytes, sizeof bytes);
    bytes[1] = 2;
    ck_assert_int_eq(fed_message_decode(&m, bytes, sizeof bytes), FED_EPEER);
    bytes[1] = 0;
    ck_assert_int_eq(fed_message_decode(&m, bytes, sizeof bytes), FED_EWIRE);
    ck_assert_int_eq(fed_message_decode(&m, bytes + 2, sizeof bytes - 2), FED_EWIRE); /* none given */
    /* Our field numbers in quite another sense: still recognised. */
    static const uint8_t other[] = {0x08, 0x02, 0x1a, 0x03, 0xff, 0xff, 0xff, 0x22, 0x01, 0x08, 0x2d, 1, 2, 3, 4};
    ck_assert_int_eq(fed_message_decode(&m, other, sizeof other), FED_EPEER);
}
END_TEST

START_TEST(fields_of_a_later_minor_version_are_ignored) {
    static struct fed_message m, later_m;
    uint8_t bytes[64];
    size_t n = sizeof status_bytes;
    ck_assert_int_eq(fed_message_decode(&m, status_bytes, n), 0);
    memcpy(bytes, status_bytes, n);
    static const uint8_t later[] = {0x98, 0x06, 0x05, 0x9a, 0x06, 0x02, 'h', 'i'}; /* fields 99: varint 5, then "hi" */
    memcpy(bytes + n, later, sizeof later);
    bytes[5] = (uint8_t)(bytes[5] + sizeof later); /* inside the body */
    ck_assert_int_eq(fed_message_decode(&later_m, bytes, n + sizeof later), 0);
    same_message(&m, &later_m);
    memcpy(bytes + n + sizeof later, later, sizeof later); /* and in the envelope */
    ck_assert_int_eq(fed_message_decode(&later_m, bytes, n + 2 * sizeof later), 0);
    same_message(&m, &later_m);
}
END_TEST

START_TEST(message_of_a_later_minor_version_is_refused) {
    static struct fed_message m;
    static const uint8_t unknown[] = {0x08, 0x01, 0x62, 0x02, 0x08, 0x01}, none[] = {0x08, 0x01, 0x10, 0x05};
    ck_assert_int_eq(fed_message_decode(&m, unknown, sizeof unknown), FED_EWIRE);
    ck_assert_int_eq(fed_message_decode(&m, none, sizeof none), FED_EWIRE);
    ck_assert_int_eq(decode(BULK, (const uint8_t[]){0x1a, 0x00}, 2), FED_EWIRE);
}
END_TEST

/* ---- messages that our encoder would never make ---- */

enum field_type { VARINT = 0, F64 = 1, BYTES = 2, F32 = 5, ABSENT = 9 };
struct field {
    unsigned number;
    enum field_type type;
    uint64_t value;    /* VARINT: the number; F32, F64: its bits; BYTES: how many */
    const char *bytes; /* BYTES: what; NULL = all 'x' */
};

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        *at++ = (uint8_t)(value | 0x80);
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put_field(uint8_t *at, const struct field *field) {
    if (field->type == ABSENT) {
        return at;
    }
    at = put_varint(at, field->number << 3 | field->type);
    if (field->type == VARINT || field->type == BYTES) {
        at = put_varint(at, field->value);
    }
    if (field->type == BYTES && field->bytes == NULL) {
        memset(at, 'x', field->value);
        at += field->value;
    } else if (field->type == BYTES) {
        memcpy(at, field->bytes, field->value);
        at += field->value;
    } else if (field->type != VARINT) {
        size_t n = field->type == F32 ? 4 : 8;
        memcpy(at, &field->value, n);
        at += n;
    }
    return at;
}

/* The base fields, one of them replaced, wrapped into a body of an envelope (0: not wrapped). */
static size_t build(uint8_t *out, unsigned body, const struct field *base, const struct field *other) {
    static uint8_t inner[2 * FED_CONTROL_MAX];
    uint8_t *at = inner;
    for (; base->number != 0; base++) {
        at = put_field(at, base->number == other->number ? other : base);
    }
    size_t n = (size_t)(at - inner);
    at = out;
    if (body != 0) {
        at = put_varint(put_varint(at, 1 << 3), FED_PROTOCOL_MAJOR);
        at = put_varint(put_varint(at, body << 3 | BYTES), n);
    }
    memcpy(at, inner, n);
    return (size_t)(at - out) + n;
}

#define ONE_RANGE "\x08\x05\x10\x01"
#define ID "\1\0\0\0\0\0\0\0"
static const struct field hello[] = {{1, VARINT, 0}, {2, BYTES, 5},  {3, BYTES, 5},
                                     {4, BYTES, 5},  {5, VARINT, 1}, {6, BYTES, 4, ONE_RANGE},
                                     {7, BYTES, 32}, {8, BYTES, 32}, {0}};
static const struct field status[] = {{1, VARINT, 1}, {2, VARINT, 1}, {3, VARINT, 1}, {4, VARINT, 1}, {5, VARINT, 2}, {0}};
static const struct field decline[] = {{1, VARINT, 1}, {2, VARINT, 1}, {3, VARINT, 1}, {4, VARINT, 1}, {5, BYTES, 16}, {0}};
static const struct field offer[] = {{1, VARINT, 1}, {2, VARINT, 1}, {3, VARINT, 1}, {4, BYTES, 32}, {5, BYTES, 50}, {0}};
static const struct field welcome[] = {
    {1, VARINT, 0}, {2, BYTES, 16}, {3, BYTES, 32}, {4, BYTES, 100}, {5, BYTES, 20}, {6, VARINT, 1}, {0}};
static const struct field round_[] = {{1, VARINT, 1},  {2, VARINT, 1},  {3, BYTES, 32},  {4, VARINT, 10},
                                      {5, BYTES, 32},  {6, VARINT, 1},  {7, VARINT, 0},  {8, F32, 0x3f800000},
                                      {9, VARINT, 1},  {10, VARINT, 1}, {11, VARINT, 1}, {12, VARINT, 100},
                                      {13, BYTES, 32}, {14, BYTES, 16}, {15, BYTES, 16}, {16, VARINT, 5},
                                      {17, BYTES, 16}, {18, F64, 0},    {19, F64, 0},    {0}};
static const struct field refused[] = {{1, VARINT, 1}, {2, VARINT, 1}, {0}};
static const struct field header_[] = {
    {1, VARINT, 1},    {2, VARINT, 1}, {3, VARINT, 262148}, {4, VARINT, 2}, {5, F64, 0x3ff0000000000000},
    {6, BYTES, 8, ID}, {7, BYTES, 4},  {8, BYTES, 4},       {9, BYTES, 0},  {0}};
#define TWO_IDS "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"
static const struct field sum_header[] = {
    {1, VARINT, 1},          {2, VARINT, 2}, {3, VARINT, 8}, {4, VARINT, 1}, {5, F64, 0x3ff0000000000000},
    {6, BYTES, 16, TWO_IDS}, {7, BYTES, 8},  {8, BYTES, 8},  {9, BYTES, 0},  {0}};

#define NO_BODY 0
struct broken {
    unsigned body;
    const struct field *base;
    struct field other; /* replaces the one of its number */
    int expected;
};

#define REFUSED(body, base, ...)                                                                                            \
    { body, base, {__VA_ARGS__}, FED_EWIRE }
#define ALLOWED(body, base, ...)                                                                                            \
    { body, base, {__VA_ARGS__}, 0 }
#define NAN32 0x7fc00000
#define INF32 0x7f800000
#define ONE64 0x3ff0000000000000
#define MINUS64 0xbff0000000000000
#define NAN64 0x7ff8000000000000
#define INF64 0x7ff0000000000000
#define ONE_NORM "\0\0\0\0\0\0\xf0\x3f"
static const struct broken cases[] = {
    ALLOWED(3, hello, 2, BYTES, 63),
    REFUSED(3, hello, 2, BYTES, 64),
    REFUSED(3, hello, 2, BYTES, 3, "a\0b"),
    REFUSED(3, hello, 2, BYTES, 3, "a\nb"),
    REFUSED(3, hello, 2, BYTES, 2, "\xc3\xa9"),
    ALLOWED(3, hello, 3, BYTES, 15),
    REFUSED(3, hello, 3, BYTES, 16),
    REFUSED(3, hello, 3, BYTES, 1, "\x7f"),
    ALLOWED(3, hello, 4, BYTES, 15),
    REFUSED(3, hello, 4, BYTES, 16),
    REFUSED(3, hello, 4, BYTES, 1, "\x1b"),
    REFUSED(3, hello, 5, VARINT, 0),
    REFUSED(3, hello, 5, ABSENT),
    ALLOWED(3, hello, 6, ABSENT),
    REFUSED(3, hello, 6, BYTES, 0),                                                          /* count 0 */
    REFUSED(3, hello, 6, BYTES, 13, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01"), /* ends at 2^64 */
    ALLOWED(3, hello, 6, BYTES, 13, "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01"), /* ends at 2^64 - 1 */
    REFUSED(3, hello, 6, BYTES, 13, "\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* ends at 2^64 */
    ALLOWED(3, hello, 7, ABSENT),
    REFUSED(3, hello, 7, BYTES, 31),
    REFUSED(3, hello, 7, BYTES, 33),
    ALLOWED(3, hello, 8, BYTES, 0),
    REFUSED(3, hello, 8, BYTES, 1),
    REFUSED(3, hello, 8, VARINT, 1), /* wrong wire type */
    REFUSED(4, status, 3, VARINT, 4),
    REFUSED(4, status, 3, VARINT, UINT64_MAX),
    REFUSED(4, status, 4, VARINT, 3),
    REFUSED(5, decline, 4, ABSENT),
    REFUSED(5, decline, 4, VARINT, 10),
    ALLOWED(5, decline, 4, VARINT, 9),
    ALLOWED(5, decline, 5, ABSENT),
    REFUSED(5, decline, 5, BYTES, 15),
    ALLOWED(5, decline, 5, BYTES, 8192),
    REFUSED(5, decline, 5, BYTES, 8200),
    REFUSED(6, offer, 4, BYTES, 31),
    REFUSED(6, offer, 4, BYTES, 64),
    REFUSED(6, offer, 4, ABSENT),
    REFUSED(6, offer, 5, ABSENT),
    ALLOWED(6, offer, 5, BYTES, 40960),
    REFUSED(6, offer, 5, BYTES, 40961),
    REFUSED(7, welcome, 2, BYTES, 15),
    REFUSED(7, welcome, 3, BYTES, 33),
    REFUSED(7, welcome, 4, ABSENT),
    ALLOWED(7, welcome, 4, BYTES, 32768),
    REFUSED(7, welcome, 4, BYTES, 32769),
    REFUSED(7, welcome, 5, ABSENT),
    ALLOWED(7, welcome, 5, BYTES, 255),
    REFUSED(7, welcome, 5, BYTES, 256),
    REFUSED(7, welcome, 5, BYTES, 5, "tcp\0x"),
    REFUSED(7, welcome, 6, VARINT, 0),
    REFUSED(8, round_, 3, BYTES, 31),
    REFUSED(8, round_, 3, ABSENT),
    REFUSED(8, round_, 4, VARINT, 0),
    ALLOWED(8, round_, 4, VARINT, (uint64_t)1 << 40),
    REFUSED(8, round_, 4, VARINT, ((uint64_t)1 << 40) + 1),
    REFUSED(8, round_, 4, VARINT, UINT64_MAX),
    REFUSED(8, round_, 5, BYTES, 33),
    REFUSED(8, round_, 6, VARINT, 0),
    REFUSED(8, round_, 8, ABSENT),
    REFUSED(8, round_, 8, F32, NAN32),
    REFUSED(8, round_, 8, F32, INF32),
    REFUSED(8, round_, 8, F32, 0xbf800000),
    REFUSED(8, round_, 8, F32, 0x80000000),
    ALLOWED(8, round_, 8, F32, 0x00000001),
    REFUSED(8, round_, 9, ABSENT),
    REFUSED(8, round_, 9, VARINT, 3),
    REFUSED(8, round_, 12, VARINT, 0),
    ALLOWED(8, round_, 12, VARINT, (uint64_t)1 << 44),
    REFUSED(8, round_, 12, VARINT, ((uint64_t)1 << 44) + 1),
    REFUSED(8, round_, 13, BYTES, 16),
    REFUSED(8, round_, 14, BYTES, 15),
    REFUSED(8, round_, 14, ABSENT),
    REFUSED(8, round_, 15, BYTES, 17),
    ALLOWED(8, round_, 17, BYTES, 8192),
    REFUSED(8, round_, 17, BYTES, 8200),
    REFUSED(8, round_, 17, BYTES, 9),
    ALLOWED(8, round_, 18, F64, ONE64),
    REFUSED(8, round_, 18, F64, NAN64),
    REFUSED(8, round_, 18, F64, INF64),
    REFUSED(8, round_, 18, F64, MINUS64),
    ALLOWED(8, round_, 19, F64, ONE64),
    REFUSED(8, round_, 19, F64, NAN64),
    REFUSED(8, round_, 19, F64, INF64),
    REFUSED(8, round_, 19, F64, MINUS64),
    REFUSED(10, refused, 1, ABSENT),
    REFUSED(10, refused, 1, VARINT, FED_REFUSAL_COUNT),
    ALLOWED(10, refused, 1, VARINT, FED_REFUSAL_COUNT - 1),
    ALLOWED(NO_BODY, header_, 1, VARINT, 77),
    REFUSED(NO_BODY, header_, 2, ABSENT),
    REFUSED(NO_BODY, header_, 2, VARINT, 3),
    REFUSED(NO_BODY, header_, 3, VARINT, 0),
    REFUSED(NO_BODY, header_, 3, VARINT, 262147),
    ALLOWED(NO_BODY, header_, 3, VARINT, 524288),
    REFUSED(NO_BODY, header_, 3, VARINT, 524292),
    REFUSED(NO_BODY, header_, 4, VARINT, 1),
    REFUSED(NO_BODY, header_, 4, VARINT, 3),
    REFUSED(NO_BODY, header_, 4, VARINT, UINT64_MAX),
    REFUSED(NO_BODY, header_, 5, F64, 0x7ff8000000000000),
    REFUSED(NO_BODY, header_, 5, F64, 0x7ff0000000000000),
    REFUSED(NO_BODY, header_, 5, F64, 0xbff0000000000000),
    ALLOWED(NO_BODY, header_, 5, ABSENT),
    REFUSED(NO_BODY, header_, 6, ABSENT),
    REFUSED(NO_BODY, header_, 6, BYTES, 7),
    REFUSED(NO_BODY, header_, 7, BYTES, 8),
    REFUSED(NO_BODY, header_, 7, ABSENT),
    REFUSED(NO_BODY, header_, 8, BYTES, 3),
    REFUSED(NO_BODY, header_, 8, ABSENT),
    ALLOWED(NO_BODY, header_, 9, BYTES, 8, ONE_NORM),
    REFUSED(NO_BODY, header_, 9, BYTES, 7),
    REFUSED(NO_BODY, header_, 9, BYTES, 16),
    REFUSED(NO_BODY, header_, 9, BYTES, 8, "\0\0\0\0\0\0\xf8\x7f"), /* NaN */
    REFUSED(NO_BODY, header_, 9, BYTES, 8, "\0\0\0\0\0\0\xf0\x7f"), /* infinite */
    REFUSED(NO_BODY, header_, 9, BYTES, 8, "\0\0\0\0\0\0\xf0\xbf"), /* negative */
    REFUSED(NO_BODY, sum_header, 9, BYTES, 8, ONE_NORM),
    REFUSED(NO_BODY, sum_header, 2, VARINT, 1), /* two clients in the encoding for one */
    REFUSED(NO_BODY, sum_header, 3, VARINT, 4),
    REFUSED(NO_BODY, sum_header, 3, VARINT, 12),
    REFUSED(NO_BODY, sum_header, 6, BYTES, 8, ID),
    REFUSED(NO_BODY, sum_header, 6, BYTES, 16),                                     /* the same client twice */
    REFUSED(NO_BODY, sum_header, 6, BYTES, 16, "\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"), /* descending */
    REFUSED(NO_BODY, sum_header, 6, BYTES, 16, "\0\1\0\0\0\0\0\0\2\0\0\0\0\0\0\0"), /* descending in all 8 bytes */
};

START_TEST(message_that_breaks_one_bound_is_refused) {
    static uint8_t bytes[2 * FED_CONTROL_MAX];
    static const struct field nothing = {0};
    const struct broken *c = &cases[_i];
    enum lane lane = c->body == NO_BODY ? HEADER : MESSAGE;
    ck_assert_int_eq(decode(lane, bytes, build(bytes, c->body, c->base, &nothing)), 0);
    ck_assert_int_eq(decode(lane, bytes, build(bytes, c->body, c->base, &c->other)), c->expected);
}
END_TEST

START_TEST(bulk_head_that_breaks_one_bound_is_refused) {
    static const struct {
        const char *bytes;
        size_t n;
        int expected;
    } heads[] = {
        {"\x0a\x0c\x0a\x06\x08\x01\x10\x03\x18\x01\x10\x02\x18\x05", 14, 0},         /* GET model, first 2, count 5 */
        {"\x0a\x0c\x0a\x06\x08\x01\x10\x03\x18\x01\x10\x02\x18\x20", 14, 0},         /* count 32 */
        {"\x0a\x0c\x0a\x06\x08\x01\x10\x03\x18\x01\x10\x02\x18\x21", 14, FED_EWIRE}, /* count 33 */
        {"\x0a\x0a\x0a\x06\x08\x01\x10\x03\x18\x01\x10\x02", 12, FED_EWIRE},         /* count 0 */
        {"\x0a\x0c\x0a\x06\x08\x03\x10\x03\x18\x01\x10\x02\x18\x05", 14, FED_EWIRE}, /* kind 3 */
        {"\x0a\x0a\x0a\x04\x10\x03\x18\x01\x10\x02\x18\x05", 12, FED_EWIRE},         /* kind 0 */
        {"\x0a\x04\x10\x02\x18\x05", 6, FED_EWIRE},                                  /* no object */
        {"\x0a\x0e\x0a\x08\x08\x01\x10\x03\x18\x01\x20\x01\x10\x02\x18\x05", 16, FED_EWIRE}, /* a part of the model */
        {"\x0a\x0e\x0a\x08\x08\x02\x10\x03\x18\x01\x20\x01\x10\x02\x18\x05", 16, 0},         /* a part of an update */
        {"\x0a\x11\x0a\x02\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x18\x01", 19, FED_EWIRE}, /* wraps */
        {"\x12\x0f\x0a\x02\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 17, 0},                 /* CHUNK 2^64 - 1 */
        {"\x12\x02\x10\x01", 4, FED_EWIRE}, /* CHUNK of nothing */
        {"", 0, FED_EWIRE},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        ck_assert_msg(decode(BULK, (const uint8_t *)heads[i].bytes, heads[i].n) == heads[i].expected, "head %zu", i);
    }
}
END_TEST

START_TEST(more_than_64_ranges_are_refused) {
    static struct field fields[80] = {{5, VARINT, 1}};
    static uint8_t bytes[2 * FED_CONTROL_MAX];
    static const struct field nothing = {0};
    for (size_t i = 1; i <= 65; i++) {
        fields[i] = (struct field){6, BYTES, 4, ONE_RANGE};
        fields[i + 1] = nothing;
        ck_assert_int_eq(decode(MESSAGE, bytes, build(bytes, 3, fields, &nothing)), i <= 64 ? 0 : FED_EWIRE);
    }
}
END_TEST

START_TEST(longer_than_the_lane_allows_is_refused) {
    static uint8_t bytes[FED_CONTROL_MAX + 1];
    static const size_t most[] = {FED_CONTROL_MAX, FED_HEADER_MAX, FED_BULK_HEAD_MAX};
    for (int lane = MESSAGE; lane <= BULK; lane++) {
        /* A valid message, filled up with an unknown field to the last byte allowed, then one byte more. */
        for (size_t extra = 0; extra <= 1; extra++) {
            size_t n = random_encoded(bytes, (enum lane)lane, FED_MSG_STATUS, 5);
            size_t fill = most[lane] - n - (lane == BULK ? 4 : 5) + extra;
            uint8_t *at = put_varint(put_varint(bytes + n, 99 << 3 | BYTES), fill);
            memset(at, 0, fill);
            n = (size_t)(at - bytes) + fill;
            ck_assert_uint_eq(n, most[lane] + extra);
            ck_assert_int_eq(decode((enum lane)lane, bytes, n), extra == 0 ? 0 : FED_EWIRE);
        }
    }
}
END_TEST

/* ---- memory ---- */

START_TEST(flood_of_tiny_fields_stays_within_the_budget) {
    static uint8_t bytes[FED_CONTROL_MAX];
    static struct fed_message m;
    static const uint8_t fillers[][2] = {{0x32, 0x00} /* an empty range */,
                                         {0x78, 0x00} /* an unknown number */,
                                         {0x7a, 0x00} /* an unknown text */,
                                         {0x12, 0x00} /* build, again and again */};
    for (size_t f = 0; f < 4; f++) {
        size_t n_body = FED_CONTROL_MAX - 6;
        uint8_t *at = put_varint(put_varint(bytes, 1 << 3), FED_PROTOCOL_MAJOR);
        at = put_varint(put_varint(at, 3 << 3 | BYTES), n_body);
        for (size_t i = 0; i < n_body; i += 2) {
            memcpy(at + i, fillers[f], 2);
        }
        ck_assert_uint_eq((size_t)(at - bytes) + n_body, FED_CONTROL_MAX);
        ck_assert_int_eq(counted_decode(&m, bytes, FED_CONTROL_MAX, 0), FED_EWIRE);
        ck_assert_int_gt(heap.allocated, 0);
        /* Twice: the version is read before the message. */
        ck_assert_uint_le(heap.bytes, 2 * 1024 * 1024);
    }
}
END_TEST

START_TEST(decode_without_memory_says_so_and_keeps_nothing) {
    static struct fed_message m, out;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    random_message(&m, loop_kind(_i), 5);
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    ck_assert_int_eq(counted_decode(&out, bytes, n, 0), 0);
    long needed = heap.allocated;
    ck_assert_int_gt(needed, 2);
    for (long k = 1; k <= needed; k++) {
        ck_assert_int_eq(counted_decode(&out, bytes, n, k), FED_ENOMEM);
    }
    ck_assert_int_eq(counted_decode(&out, bytes, n, needed + 1), 0);
    same_message(&m, &out);
}
END_TEST

START_TEST(keys_in_a_round_are_wiped_from_the_heap) {
    static struct fed_message m, out;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    random_message(&m, FED_MSG_ROUND, 5);
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    heap.secret = m.as.round.model_key;
    heap.n_secret = sizeof m.as.round.model_key;
    ck_assert_int_eq(counted_decode(&out, bytes, n, 0), 0);
    ck_assert(!heap.leaked);
    heap.secret = m.as.round.capability;
    heap.n_secret = sizeof m.as.round.capability;
    ck_assert_int_eq(counted_decode(&out, bytes, n, 0), 0);
    ck_assert(!heap.leaked);
    heap.secret = NULL;
}
END_TEST

/* ---- terms and names ---- */

static struct fed_terms known_terms(void) {
    struct fed_terms terms = {
        .round = 0x0102030405060708,
        .attempt = 0x11121314,
        .n_params = 1663370,
        .epochs = 5,
        .batch_size = 10,
        .learning_rate = 0.1f,
    };
    memset(terms.task_digest, 0xa1, 32);
    memset(terms.model_digest, 0xb2, 32);
    for (uint8_t i = 0; i < 32; i++) {
        terms.run_id[i % 16] = i % 16;
        terms.r_pk[i] = 100 + i;
    }
    return terms;
}

START_TEST(terms_digest_matches_the_known_answer) {
    struct fed_terms terms = known_terms();
    uint8_t digest[32], expected[32];
    ck_assert(vector_bytes(expected, sizeof expected, ANSWERS, "terms_digest"));
    fed_terms_digest(digest, &terms);
    ck_assert_mem_eq(digest, expected, sizeof expected);
}
END_TEST

/* Every field of the terms: where it lies and how many bytes it has. */
#define FIELD(name)                                                                                                         \
    { offsetof(struct fed_terms, name), sizeof((struct fed_terms *)NULL)->name }
static const struct {
    size_t offset, n;
} terms_fields[] = {FIELD(run_id),   FIELD(round), FIELD(attempt), FIELD(task_digest), FIELD(model_digest),
                    FIELD(n_params), FIELD(r_pk),  FIELD(epochs),  FIELD(batch_size),  FIELD(learning_rate)};

START_TEST(update_does_not_open_under_terms_that_differ_in_any_bit) {
    struct fed_terms terms = known_terms(), other;
    struct fed_seal_pair *e, *r;
    struct fed_identity node;
    struct fed_seal_key *key;
    uint8_t digest[32], sealed[24], opened[8];
    ck_assert_int_eq(fed_seal_pair_new(&e), 0);
    ck_assert_int_eq(fed_seal_pair_new(&r), 0);
    ck_assert_int_eq(fed_identity_generate(&node, NULL), 0);
    fed_terms_digest(digest, &terms);
    ck_assert_int_eq(fed_seal_update_key_node(&key, e, &node, fed_seal_pair_public(r), digest, "header", 6), 0);
    fed_seal_chunk(sealed, key, 0, (const uint8_t *)"8 bytes.", 8);
    fed_seal_key_free(key);

    const size_t offset = terms_fields[_i].offset, n_bits = 8 * terms_fields[_i].n;
    for (size_t bit = 0; bit <= n_bits; bit++) {
        other = terms;
        if (bit < n_bits) { /* the last turn leaves them as they are */
            ((uint8_t *)&other)[offset + bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        fed_terms_digest(digest, &other);
        ck_assert_int_eq(
            fed_seal_update_key_coordinator(&key, r, fed_seal_pair_public(e), node.public_keys.seal, digest, "header", 6),
            0);
        ck_assert_int_eq(fed_open_chunk(opened, key, 0, sealed, sizeof sealed), bit < n_bits ? FED_ESEAL : 0);
        fed_seal_key_free(key);
    }
    fed_seal_pair_free(e);
    fed_seal_pair_free(r);
    fed_identity_fini(&node);
}
END_TEST

START_TEST(every_refusal_has_a_name_of_its_own) {
    for (int a = 0; a < FED_REFUSAL_COUNT; a++) {
        const char *name = fed_refusal_name((enum fed_refusal)a);
        ck_assert_ptr_nonnull(name);
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        ck_assert_uint_gt(strlen(name), 0);
        for (int b = 0; b < a; b++) {
            ck_assert_str_ne(name, fed_refusal_name((enum fed_refusal)b));
        }
    }
    ck_assert_str_eq(fed_refusal_name(FED_REFUSAL_WEIGHT_CAP), "weight_cap");
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int main(void) {
    Suite *suite = suite_create("wire");
    TCase *said = tcase_create("round trips");
    tcase_add_checked_fixture(said, setup, NULL);
    tcase_add_loop_test(said, every_message_comes_back_as_it_was_said, 0, N_KINDS);
    tcase_add_test(said, message_of_the_enrolment_lane_fits_it);
    tcase_add_test(said, every_header_and_bulk_head_comes_back_as_it_was_said);
    tcase_add_test(said, largest_messages_fit);
    tcase_add_test(said, weights_and_losses_of_any_value_are_kept);
    tcase_add_test(said, encoding_is_the_one_that_the_specification_gives);
    tcase_add_test(said, another_major_version_is_told_from_nonsense);
    tcase_add_test(said, fields_of_a_later_minor_version_are_ignored);
    tcase_add_test(said, message_of_a_later_minor_version_is_refused);
    suite_add_tcase(suite, said);

    TCase *damage = tcase_create("damage");
    tcase_add_checked_fixture(damage, setup, NULL);
    tcase_add_loop_test(damage, message_cut_anywhere_is_refused, 0, N_LOOPS);
    tcase_add_loop_test(damage, message_with_any_bit_flipped_is_refused_or_bounded, 0, N_LOOPS);
    tcase_add_loop_test(damage, random_bytes_are_refused_or_bounded, N_KINDS - 1, N_LOOPS);
    tcase_add_test(damage, failed_decode_leaves_the_output_untouched);
    tcase_add_loop_test(damage, message_that_breaks_one_bound_is_refused, 0, COUNT(cases));
    tcase_add_test(damage, bulk_head_that_breaks_one_bound_is_refused);
    tcase_add_test(damage, more_than_64_ranges_are_refused);
    tcase_add_test(damage, longer_than_the_lane_allows_is_refused);
    suite_add_tcase(suite, damage);

    TCase *memory = tcase_create("memory");
    tcase_add_checked_fixture(memory, setup, NULL);
    tcase_add_test(memory, flood_of_tiny_fields_stays_within_the_budget);
    tcase_add_loop_test(memory, decode_without_memory_says_so_and_keeps_nothing, 0, N_KINDS);
    tcase_add_test(memory, keys_in_a_round_are_wiped_from_the_heap);
    suite_add_tcase(suite, memory);

    TCase *terms = tcase_create("terms and names");
    tcase_add_checked_fixture(terms, setup, NULL);
    tcase_add_test(terms, terms_digest_matches_the_known_answer);
    tcase_add_loop_test(terms, update_does_not_open_under_terms_that_differ_in_any_bit, 0, COUNT(terms_fields));
    tcase_add_test(terms, every_refusal_has_a_name_of_its_own);
    suite_add_tcase(suite, terms);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
