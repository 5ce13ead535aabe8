#include "bench/calibration.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define COPY_BYTES ((size_t)64 << 20)
#define COPY_BLOCK ((size_t)256 << 10)
#define CHAIN_LINKS 1000000
#define FMA_LINKS 20000
#define FMA_CHAINS 12 /* enough to hide the latency of one fused multiply-add behind the others */
#define PASSES 3

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, ascending);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double copy_pass(uint8_t *to, const uint8_t *from) {
    double start = seconds_now();
    for (size_t at = 0; at < COPY_BYTES; at += COPY_BLOCK) {
        memcpy(to + at, from + at, COPY_BLOCK);
        __asm__ volatile("" : : "r"(to + at) : "memory");
    }
    return 1e-9 * (double)COPY_BYTES / (seconds_now() - start);
}

static double chain_pass(void) {
    uint64_t x = 1;
    double start = seconds_now();
    for (int i = 0; i < CHAIN_LINKS; i++) {
        x = x * UINT64_C(6364136223846793005) + 1;
        __asm__ volatile("" : "+r"(x));
    }
    return 1e9 * (seconds_now() - start) / CHAIN_LINKS;
}

#define DEFINE_FMA_PASS(name, attributes, vec, constraint, set1, fma)                                                       \
    attributes static void name(void) {                                                                                     \
        vec chain[FMA_CHAINS], factor = set1(0.999f), term = set1(1e-3f);                                                   \
        _Pragma("GCC unroll 16") for (int c = 0; c < FMA_CHAINS; c++) { chain[c] = set1((float)c); }                        \
        for (int i = 0; i < FMA_LINKS; i++) {                                                                               \
            _Pragma("GCC unroll 16") for (int c = 0; c < FMA_CHAINS; c++) {                                                 \
                chain[c] = fma(chain[c], factor, term);                                                                     \
                __asm__ volatile("" : constraint(chain[c]));                                                                \
            }                                                                                                               \
        }                                                                                                                   \
    }
#if defined(__x86_64__)
DEFINE_FMA_PASS(fma_avx512, __attribute__((target("avx512f"))), __m512, "+v", _mm512_set1_ps, _mm512_fmadd_ps)
DEFINE_FMA_PASS(fma_avx2, __attribute__((target("avx2,fma"))), __m256, "+v", _mm256_set1_ps, _mm256_fmadd_ps)
#elif defined(__aarch64__)
#define neon_fma(a, factor, term) vfmaq_f32(term, a, factor)
DEFINE_FMA_PASS(fma_neon, , float32x4_t, "+w", vdupq_n_f32, neon_fma)
#endif

static const struct fma_pass {
    const char *kernel_set;
    double lanes;
    void (*run)(void);
} fma_passes[] = {
/* widest first */
#if defined(__x86_64__)
    {"avx512", 16, fma_avx512},
    {"avx2", 8, fma_avx2},
#elif defined(__aarch64__)
    {"neon", 4, fma_neon},
#endif
    {NULL, 0, NULL},
};

static bool runnable(const struct fma_pass *pass) {
#if defined(__x86_64__)
    return pass->lanes == 16 ? __builtin_cpu_supports("avx512f")
                             : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return pass->run != NULL;
#endif
}

static double fma_pass(const struct fma_pass *pass) {
    double start = seconds_now();
    pass->run();
    return 2e-9 * pass->lanes * FMA_CHAINS * FMA_LINKS / (seconds_now() - start);
}

double calibration_fma(const char *kernel_set) {
    for (const struct fma_pass *pass = fma_passes; pass->run != NULL; pass++) {
        if (strcmp(pass->kernel_set, kernel_set) == 0 && runnable(pass)) {
            return fma_pass(pass);
        }
    }
    return 0;
}

struct calibration calibrate(void) {
    const struct fma_pass *widest = fma_passes;
    while (widest->run != NULL && !runnable(widest)) {
        widest++;
    }
    uint8_t *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
    if (from == NULL || to == NULL) {
        fprintf(stderr, "calibration: out of memory\n");
        exit(1);
    }
    memset(from, 1, COPY_BYTES);
    memset(to, 2, COPY_BYTES);
    struct calibration best = {.chain_ns = 1e9};
    for (int i = 0; i < PASSES; i++) {
        double copy = copy_pass(to, from), chain = chain_pass(), fma = widest->run != NULL ? fma_pass(widest) : 0;
        best.copy_gb_s = copy > best.copy_gb_s ? copy : best.copy_gb_s;
        best.fma_gflops = fma > best.fma_gflops ? fma : best.fma_gflops;
        best.chain_ns = chain < best.chain_ns ? chain : best.chain_ns;
    }
    free(from);
    free(to);
    return best;
}

void calibration_print(void) {
    struct calibration now = calibrate();
    double load = 0;
    if (getloadavg(&load, 1) != 1) {
        load = 0;
    }
    printf("calibration: fma %.1f GFLOP/s, copy %.1f GB/s, chain %.2f ns, load %.2f\n", now.fma_gflops, now.copy_gb_s,
           now.chain_ns, load);
}
