/* What the coordinator says, and what it makes of the answers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/numeric/fixed.h"
#include "common/seal/digest.h"
#include "common/seal/seal.h"
#include "proto/wire.h"
#include "tests/unit/session/fixture.h"

void tell(struct fed_message *message) {
    uint8_t *bytes = malloc(FED_CONTROL_MAX);
    size_t n;
    ck_assert_int_eq(fed_message_encode(bytes, &n, message), FED_OK);
    ck_assert_int_eq(fed_lane_send(w.control, &w.node_route, bytes, n, NULL, 0, 0), FED_OK);
    free(bytes);
}

void welcome_back(bool kept) {
    struct fed_message *message = calloc(1, sizeof *message);
    struct fed_msg_welcome *say = &message->as.welcome;
    char *text = NULL;
    message->kind = FED_MSG_WELCOME;
    ck_assert_int_eq(fed_task_terms_encode(&text, &w.task), FED_OK);
    say->n_task = strlen(text);
    memcpy(say->task, text, say->n_task);
    fed_digest(w.task_digest, text, strlen(text));
    memcpy(say->task_digest, w.task_digest, 32);
    memcpy(say->run_id, w.run_id, 16);
    strcpy(say->bulk, w.bulk_endpoint);
    say->ping_ms = w.ping_ms;
    say->kept = kept;
    tell(message);
    free(text);
    free(message);
}

void welcome(void) { welcome_back(false); }

void greet(void) {
    free(await(FED_MSG_HELLO));
    welcome();
}

void give_pass(struct attempt *a) {
    fed_random_bytes(a->handle, sizeof a->handle);
    fed_random_bytes(a->capability, sizeof a->capability);
    fed_hex(w.handle, a->handle, sizeof a->handle);
    fed_hex(w.capability, a->capability, sizeof a->capability);
}

void open_attempt(struct attempt *a, uint64_t round, uint32_t attempt) {
    *a = (struct attempt){.terms = {.round = round,
                                    .attempt = attempt,
                                    .n_params = w.model.n_params,
                                    .epochs = 2,
                                    .batch_size = 10,
                                    .learning_rate = 0.5f}};
    ck_assert_int_eq(fed_seal_pair_new(&a->r), FED_OK);
    ck_assert_int_eq(fed_seal_key_random(&a->key), FED_OK);
    ck_assert_int_eq(fed_image_new(&a->image, &w.model, w.run_id, round - 1), FED_OK);
    fed_model_initial(a->image->params, &w.model, round);
    ck_assert_int_eq(fed_image_finish(a->image, &w.model, w.run_id), FED_OK);
    memcpy(a->terms.run_id, w.run_id, 16);
    memcpy(a->terms.task_digest, w.task_digest, 32);
    memcpy(a->terms.model_digest, a->image->digest, 32);
    memcpy(a->terms.r_pk, fed_seal_pair_public(a->r), 32);
    w.attempt = a;
    give_pass(a);
}

void begin(struct attempt *a, uint64_t round, uint32_t attempt) {
    start_node(false);
    greet();
    open_attempt(a, round, attempt);
}

void close_attempt(struct attempt *a) {
    fed_seal_pair_free(a->r);
    fed_seal_key_free(a->key);
    fed_image_release(a->image);
    w.attempt = NULL;
}

void say_round(const struct attempt *a, uint32_t part, enum fed_encoding encoding, bool closed, const uint64_t *clients) {
    struct fed_message *message = calloc(1, sizeof *message);
    struct fed_msg_round *round = &message->as.round;
    message->kind = FED_MSG_ROUND;
    round->terms = a->terms;
    round->part = part;
    round->closed = closed;
    round->encoding = encoding;
    round->file_bytes = a->image->n_bytes;
    round->limits = a->limits;
    fed_seal_key_export(round->model_key, a->key);
    memcpy(round->handle, a->handle, sizeof round->handle);
    memcpy(round->capability, a->capability, sizeof round->capability);
    while (clients[round->n_clients] != 0) {
        round->clients[round->n_clients] = clients[round->n_clients];
        round->n_clients++;
    }
    tell(message);
    free(message);
}

void say_admitted(const struct attempt *a, uint32_t part) {
    struct fed_message message = {.kind = FED_MSG_ADMITTED, .as.admitted = {a->terms.round, a->terms.attempt, part}};
    tell(&message);
}

void say_end(const struct attempt *a, bool committed) {
    struct fed_message message = {.kind = FED_MSG_END, .as.end = {a->terms.round, a->terms.attempt, committed, false, 0}};
    tell(&message);
}

struct fed_message *await_offer(const struct attempt *a, uint32_t part) {
    for (;;) {
        struct fed_message *offer = await(FED_MSG_OFFER);
        if (offer->as.offer.round == a->terms.round && offer->as.offer.attempt == a->terms.attempt &&
            offer->as.offer.part == part) {
            return offer;
        }
        free(offer);
    }
}

/* False where the lane that we know has just been given up for another. */
static bool ask(const struct attempt *a, uint32_t part, uint64_t first, uint32_t count) {
    struct fed_bulk_head head = {.kind = FED_BULK_GET,
                                 .what = {FED_OBJECT_UPDATE, a->terms.round, a->terms.attempt, part},
                                 .first = first,
                                 .count = count};
    uint8_t bytes[FED_BULK_HEAD_MAX];
    size_t n;
    ck_assert_int_eq(fed_bulk_encode(bytes, &n, &head), FED_OK);
    return w.has_bulk && fed_lane_send(w.bulk, &w.bulk_route, bytes, n, NULL, 0, 0) == FED_OK;
}

void fetch(const struct attempt *a, uint32_t part, uint64_t n_chunks) {
    unsigned before[CHUNKS_MOST];
    uint64_t end = fed_clock_ms() + BOUND_MS, again = 0;
    ck_assert_uint_le(n_chunks, CHUNKS_MOST);
    memcpy(before, w.arrived, sizeof before);
    for (uint64_t missing = 0; missing < n_chunks;) {
        ck_assert_msg(fed_clock_ms() < end, "chunk %u did not come", (unsigned)missing);
        bool asked = fed_clock_ms() < again;
        for (uint64_t first = missing; !asked && first < n_chunks; first += 2) { /* the last perhaps alone */
            again = ask(a, part, first, 2) ? fed_clock_ms() + 2000 : 0;
        }
        turn();
        while (missing < n_chunks && w.arrived[missing] != before[missing]) {
            missing++;
        }
    }
}

int open_chunks(uint8_t *plain, const struct attempt *with, const struct fed_msg_offer *offer, uint64_t n_chunks) {
    struct fed_seal_key *key = NULL;
    uint8_t digest[32];
    fed_terms_digest(digest, &with->terms);
    ck_assert_int_eq(fed_seal_update_key_coordinator(&key, with->r, offer->e_pk, w.node.public_keys.seal, digest,
                                                     offer->header, offer->n_header),
                     FED_OK);
    int rc = FED_OK;
    for (uint64_t i = 0; rc == FED_OK && i < n_chunks; i++) {
        rc = fed_open_chunk(plain + i * FED_CHUNK_BYTES, key, i, w.chunks[i], w.n_chunk[i]);
    }
    fed_seal_key_free(key);
    return rc;
}

/* The update of these clients as they must have made it: exactly, as integers, or the only one as it is. The caller frees
 * it. */
static void *made_by(const struct fed_update_header *header, const uint64_t *clients) {
    size_t n = w.model.n_params;
    int64_t *sum = calloc(n, sizeof *sum);
    float *delta = malloc(n * sizeof *delta);
    for (size_t k = 0; clients[k] != 0; k++) {
        ck_assert_uint_lt(k, header->n_clients);
        ck_assert_uint_eq(header->clients[k], clients[k]);
        ck_assert_uint_eq(header->weights[k], 10 * clients[k]);
        ck_assert_float_eq(header->losses[k], 0.25f * (float)clients[k]);
        ck_assert(clients[k + 1] != 0 || header->n_clients == k + 1);
        for (size_t i = 0; i < n; i++) {
            delta[i] = delta_of(clients[k], i);
        }
        fed_fixed_add(&w.fixed, sum, delta, n, 10 * clients[k], 1);
    }
    bool single = header->encoding == FED_ENCODING_F32;
    free(single ? (void *)sum : (void *)delta);
    return single ? (void *)delta : (void *)sum;
}

void fetch_and_open(const struct attempt *a, const struct fed_message *offered, const uint64_t *clients) {
    const struct fed_msg_offer *offer = &offered->as.offer;
    struct fed_update_header *header = malloc(sizeof *header);
    ck_assert_int_eq(fed_update_header_decode(header, offer->header, offer->n_header), FED_OK);
    ck_assert_uint_eq(header->n_bytes, w.model.n_params * (header->encoding == FED_ENCODING_I64 ? 8 : 4));
    void *expected = made_by(header, clients);
    uint8_t *plain = malloc(header->n_chunks * FED_CHUNK_BYTES);
    fetch(a, offer->part, header->n_chunks);
    ck_assert_int_eq(open_chunks(plain, a, offer, header->n_chunks), FED_OK);
    ck_assert_mem_eq(plain, expected, header->n_bytes);
    free(plain);
    free(expected);
    free(header);
}

void brings(const struct attempt *a, uint32_t part, const uint64_t *clients) {
    struct fed_message *offer = await_offer(a, part);
    fetch_and_open(a, offer, clients);
    free(offer);
}

int calls(uint64_t client) { return atomic_load(&w.counter.calls[client - FIRST]); }
