#include "bench/calibration.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COPY_BYTES ((size_t)64 << 20)
#define COPY_BLOCK ((size_t)256 << 10)
#define CHAIN_LINKS 1000000
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

struct calibration calibrate(void) {
    uint8_t *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
    if (from == NULL || to == NULL) {
        fprintf(stderr, "calibration: out of memory\n");
        exit(1);
    }
    memset(from, 1, COPY_BYTES);
    memset(to, 2, COPY_BYTES);
    struct calibration best = {.chain_ns = 1e9};
    for (int i = 0; i < PASSES; i++) {
        double copy = copy_pass(to, from), chain = chain_pass();
        best.copy_gb_s = copy > best.copy_gb_s ? copy : best.copy_gb_s;
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
    printf("calibration: copy %.1f GB/s, chain %.2f ns, load %.2f\n", now.copy_gb_s, now.chain_ns, load);
}
