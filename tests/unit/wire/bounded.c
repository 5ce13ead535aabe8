/* What other rooms rely on in what was decoded, in words of its own. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/unit/wire/fixture.h"

static void printable(const char *text, size_t size) {
    const char *end = memchr(text, 0, size);
    ck_assert_ptr_nonnull(end);
    for (const char *c = text; c < end; c++) {
        ck_assert(*c >= ' ' && *c <= '~');
    }
}

void message_is_bounded(const struct fed_message *m) {
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

void header_is_bounded(const struct fed_update_header *h) {
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

void bulk_is_bounded(const struct fed_bulk_head *head) {
    ck_assert(head->kind == FED_BULK_GET || head->kind == FED_BULK_CHUNK);
    ck_assert(head->what.kind == FED_OBJECT_MODEL || head->what.kind == FED_OBJECT_UPDATE);
    ck_assert(head->count >= 1 && head->count <= (head->kind == FED_BULK_GET ? 32 : 1));
    ck_assert(head->kind == FED_BULK_CHUNK || head->first + head->count > head->first);
}
