/* Derived randomness: whatever is random in a result comes from here.
 *
 * stream(seed, purpose, a, b) = ChaCha20 (IETF, zero nonce, counter from 0) under
 *     key = BLAKE2b-256(key = le64(seed) padded with zeros to 32 bytes, input = purpose padded with zeros to 16 bytes ||
 * le64(a) || le64(b)), read as little-endian 32-bit words. The same arguments give the same words on every machine;
 * tests/vectors/ holds known answers. Not for secrets: those come from fed_random_bytes. */
#ifndef FED_COMMON_BASE_RNG_H
#define FED_COMMON_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#define FED_RNG_COHORT "cohort"       /* a = round, b = attempt */
#define FED_RNG_TRAIN "train"         /* a = round, b = client; never the attempt, so a repeated attempt trains the same */
#define FED_RNG_PARTITION "partition" /* a = b = 0 */
#define FED_RNG_INITIAL "initial"     /* a = b = 0 */

#define FED_RNG_WORDS 256
struct fed_rng {
    uint8_t key[32];
    uint32_t block; /* next ChaCha20 block of 64 bytes */
    unsigned next;  /* index of the next unread word; FED_RNG_WORDS = buffer spent */
    uint32_t words[FED_RNG_WORDS];
};

/* purpose: at most 16 bytes. */
void fed_rng_init(struct fed_rng *rng, uint64_t seed, const char *purpose, uint64_t a, uint64_t b);

uint32_t fed_rng_u32(struct fed_rng *rng);
/* Uniform in [0, bound): word mod bound, where words below 2^32 mod bound are thrown away. bound >= 1. */
uint32_t fed_rng_below(struct fed_rng *rng, uint32_t bound);
/* Uniform in [0, 1): the top 24 bits of one word times 2^-24, exact in float32. */
float fed_rng_f32(struct fed_rng *rng);
/* Uniform in (0, 1): (u + 0.5) * 2^-52 with u = top 52 bits of two words, high word first. Exact, so never 0 or 1. */
double fed_rng_f64(struct fed_rng *rng);
/* Fisher-Yates downwards: for i = n-1 .. 1 swap items[i] with items[below(i + 1)]. n < 2^32. */
void fed_rng_shuffle(struct fed_rng *rng, uint32_t *items, size_t n);

/* n bytes from the operating system, for keys, ids and capabilities. */
void fed_random_bytes(void *out, size_t n);

#endif
