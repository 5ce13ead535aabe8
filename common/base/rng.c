/* The derivation stands in rng.h and is final: every recorded run depends on it. BLAKE2b and ChaCha20 are libsodium's. */
#include "common/base/rng.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PURPOSE_BYTES 16
#define BLOCK_BYTES 64
#define REFILL_BLOCKS (FED_RNG_WORDS * 4 / BLOCK_BYTES)

_Static_assert(FED_RNG_WORDS * 4 % BLOCK_BYTES == 0, "a refill is whole blocks");

/* libsodium picks its implementations here; without it they would still be right, only slow, but the random device
 * would not be open. */
static void setup(void) {
    if (sodium_init() < 0) {
        abort();
    }
}

static void setup_once(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, setup);
}

static void put_le64(uint8_t *out, uint64_t value) {
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

void fed_rng_init(struct fed_rng *rng, uint64_t seed, const char *purpose, uint64_t a, uint64_t b) {
    setup_once();
    uint8_t key[32] = {0};
    uint8_t input[PURPOSE_BYTES + 16] = {0};
    size_t n_purpose = strlen(purpose);
    assert(n_purpose <= PURPOSE_BYTES);
    put_le64(key, seed);
    memcpy(input, purpose, n_purpose);
    put_le64(input + PURPOSE_BYTES, a);
    put_le64(input + PURPOSE_BYTES + 8, b);
    crypto_generichash_blake2b(rng->key, sizeof rng->key, input, sizeof input, key, sizeof key);
    rng->block = 0;
    rng->next = FED_RNG_WORDS;
}

static void refill(struct fed_rng *rng) {
    static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
    uint8_t stream[FED_RNG_WORDS * 4] = {0};
    assert(rng->block <= UINT32_MAX - REFILL_BLOCKS); /* a stream is 2^36 words long */
    crypto_stream_chacha20_ietf_xor_ic(stream, stream, sizeof stream, nonce, rng->block, rng->key);
    for (size_t i = 0; i < FED_RNG_WORDS; i++) {
        const uint8_t *p = stream + 4 * i;
        rng->words[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    rng->block += REFILL_BLOCKS;
    rng->next = 0;
}

uint32_t fed_rng_u32(struct fed_rng *rng) {
    if (rng->next == FED_RNG_WORDS) {
        refill(rng);
    }
    return rng->words[rng->next++];
}

uint32_t fed_rng_below(struct fed_rng *rng, uint32_t bound) {
    assert(bound >= 1);
    uint32_t reject = -bound % bound; /* 2^32 mod bound */
    uint32_t word;
    do {
        word = fed_rng_u32(rng);
    } while (word < reject);
    return word % bound;
}

float fed_rng_f32(struct fed_rng *rng) { return (float)(fed_rng_u32(rng) >> 8) * 0x1p-24f; }

double fed_rng_f64(struct fed_rng *rng) {
    uint64_t high = fed_rng_u32(rng);
    uint64_t low = fed_rng_u32(rng);
    return ((double)((high << 32 | low) >> 12) + 0.5) * 0x1p-52;
}

void fed_rng_shuffle(struct fed_rng *rng, uint32_t *items, size_t n) {
    assert(n <= UINT32_MAX);
    for (size_t i = n; i-- > 1;) {
        size_t j = fed_rng_below(rng, (uint32_t)i + 1);
        uint32_t item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}

void fed_random_bytes(void *out, size_t n) {
    setup_once();
    randombytes_buf(out, n);
}
