/* The same message, field by field. */
#include <check.h>

#include "proto/wire.h"
#include "tests/unit/wire/fixture.h"

#define SAME(member) ck_assert_uint_eq(a->member, b->member)
#define SAME_BYTES(member) ck_assert_mem_eq(a->member, b->member, sizeof a->member)

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

static void same_status(const struct fed_msg_status *a, const struct fed_msg_status *b) {
    SAME(round);
    SAME(attempt);
    SAME(phase);
    SAME(done);
    SAME(total);
}

static void same_admitted(const struct fed_msg_admitted *a, const struct fed_msg_admitted *b) {
    SAME(round);
    SAME(attempt);
    SAME(part);
}

static void same_refused(const struct fed_msg_refused *a, const struct fed_msg_refused *b) {
    SAME(code);
    SAME(round);
    SAME(attempt);
    SAME(part);
    SAME(retry_after_ms);
}

static void same_end(const struct fed_msg_end *a, const struct fed_msg_end *b) {
    SAME(round);
    SAME(attempt);
    SAME(committed);
    SAME(finished);
    SAME(retry_after_ms);
}

static void same_enrol(const struct fed_msg_enrol *a, const struct fed_msg_enrol *b) {
    SAME_BYTES(certificate);
    SAME_BYTES(signature);
    ck_assert_mem_eq(&a->keys, &b->keys, sizeof a->keys);
    SAME_BYTES(seal_mac);
}

void same_message(const struct fed_message *a, const struct fed_message *b) {
    SAME(kind);
    SAME(seq);
    switch (a->kind) {
    case FED_MSG_HELLO: same_hello(&a->as.hello, &b->as.hello); break;
    case FED_MSG_DECLINE: same_decline(&a->as.decline, &b->as.decline); break;
    case FED_MSG_OFFER: same_offer(&a->as.offer, &b->as.offer); break;
    case FED_MSG_WELCOME: same_welcome(&a->as.welcome, &b->as.welcome); break;
    case FED_MSG_ROUND: same_round(&a->as.round, &b->as.round); break;
    case FED_MSG_STATUS: same_status(&a->as.status, &b->as.status); break;
    case FED_MSG_ADMITTED: same_admitted(&a->as.admitted, &b->as.admitted); break;
    case FED_MSG_REFUSED: same_refused(&a->as.refused, &b->as.refused); break;
    case FED_MSG_END: same_end(&a->as.end, &b->as.end); break;
    case FED_MSG_ENROL: same_enrol(&a->as.enrol, &b->as.enrol); break;
    case FED_MSG_ENROLLED: SAME_BYTES(as.enrolled.certificate_digest); break;
    }
}

void comes_back(const struct fed_message *m) {
    static struct fed_message back;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    ck_assert_int_eq(fed_message_encode(bytes, &n, m), 0);
    ck_assert_int_eq(fed_message_decode(&back, bytes, n), 0);
    same_message(m, &back);
}

void same_header(const struct fed_update_header *a, const struct fed_update_header *b) {
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

void same_bulk(const struct fed_bulk_head *a, const struct fed_bulk_head *b) {
    SAME(kind);
    SAME(what.kind);
    SAME(what.round);
    SAME(what.attempt);
    SAME(what.part);
    SAME(first);
    SAME(count);
}
