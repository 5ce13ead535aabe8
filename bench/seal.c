/* Sealing and opening whole updates, chunk by chunk as they travel: GB/s of one core. Usage: bench_seal [seconds]. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/calibration.h"
#include "common/base/rng.h"
#include "common/seal/seal.h"

static void fail(const char *what) {
    fprintf(stderr, "bench_seal: %s\n", what);
    exit(1);
}

static void seal_all(uint8_t *sealed, const struct fed_seal_key *key, const uint8_t *plain, uint64_t n) {
    for (uint64_t i = 0; i < fed_chunk_count(n); i++) {
        fed_seal_chunk(sealed + i * (FED_CHUNK_BYTES + FED_TAG_BYTES), key, i, plain + i * FED_CHUNK_BYTES,
                       fed_chunk_plain_bytes(n, i));
    }
}

static void open_all(uint8_t *plain, const struct fed_seal_key *key, const uint8_t *sealed, uint64_t n) {
    for (uint64_t i = 0; i < fed_chunk_count(n); i++) {
        if (fed_open_chunk(plain + i * FED_CHUNK_BYTES, key, i, sealed + i * (FED_CHUNK_BYTES + FED_TAG_BYTES),
                           fed_chunk_plain_bytes(n, i) + FED_TAG_BYTES) != FED_OK) {
            fail("a chunk that was just sealed did not open");
        }
    }
}

static void measure(uint64_t n_params, double duration) {
    uint64_t n = n_params * sizeof(float);
    uint8_t *plain = malloc(n), *sealed = malloc(fed_sealed_bytes(n));
    struct fed_seal_key *key;
    if (plain == NULL || sealed == NULL || fed_seal_key_random(&key) != FED_OK) {
        fail("out of memory");
    }
    fed_random_bytes(plain, n);
    double seal = 1e9, open = 1e9, end = seconds_now() + duration;
    while (seconds_now() < end) {
        double start = seconds_now();
        seal_all(sealed, key, plain, n);
        double sealed_at = seconds_now();
        open_all(plain, key, sealed, n);
        double opened_at = seconds_now();
        seal = sealed_at - start < seal ? sealed_at - start : seal;
        open = opened_at - sealed_at < open ? opened_at - sealed_at : open;
    }
    printf("%9llu parameters  seal %6.2f ms %5.2f GB/s   open %6.2f ms %5.2f GB/s\n", (unsigned long long)n_params,
           1e3 * seal, 1e-9 * (double)n / seal, 1e3 * open, 1e-9 * (double)n / open);
    fed_seal_key_free(key);
    free(plain);
    free(sealed);
}

int main(int argc, char **argv) {
    double duration = argc > 1 ? atof(argv[1]) : 1.0;
    struct fed_error err;
    if (fed_seal_setup(&err) != FED_OK) {
        fail(err.text);
    }
    calibration_print();
    measure(199210, duration);
    measure(1663370, duration);
    return 0;
}
