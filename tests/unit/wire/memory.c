/* What a decode allocates: malloc is wrapped at link time, so that the budget, the lack of memory and the wiping of secrets
 * are seen from outside. */
#include <check.h>
#include <malloc.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/unit/named_vectors.h"
#include "tests/unit/wire/fixture.h"

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

/* Whether a secret is seen in what is freed, which shows that the search finds what is there to be found. */
static bool leaks(const void *secret, size_t n) {
    static void (*volatile give_back)(void *) = free; /* what a compiler knows of free would not hold of the wrapped one */
    uint8_t *copy = malloc(n + 7);
    memcpy(copy + 7, secret, n);
    heap.secret = secret;
    heap.n_secret = n;
    heap.leaked = false;
    heap.on = true;
    give_back(copy);
    heap.on = false;
    return heap.leaked;
}

static void is_wiped(const void *secret, size_t n_secret, const uint8_t *bytes, size_t n) {
    static struct fed_message out;
    ck_assert(leaks(secret, n_secret));
    heap.leaked = false;
    ck_assert_int_eq(counted_decode(&out, bytes, n, 0), 0);
    ck_assert(heap.freed > 0 && !heap.leaked);
    heap.secret = NULL;
}

START_TEST(keys_in_a_round_are_wiped_from_the_heap) {
    static struct fed_message m;
    uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    random_message(&m, FED_MSG_ROUND, 5);
    ck_assert_int_eq(fed_message_encode(bytes, &n, &m), 0);
    is_wiped(m.as.round.model_key, sizeof m.as.round.model_key, bytes, n);
    is_wiped(m.as.round.capability, sizeof m.as.round.capability, bytes, n);
}
END_TEST

TCase *memory_cases(void) {
    TCase *cases = wire_case("memory");
    tcase_add_test(cases, flood_of_tiny_fields_stays_within_the_budget);
    tcase_add_loop_test(cases, decode_without_memory_says_so_and_keeps_nothing, 0, N_KINDS);
    tcase_add_test(cases, keys_in_a_round_are_wiped_from_the_heap);
    return cases;
}
