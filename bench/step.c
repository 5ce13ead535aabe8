/* One step of SGD of the 2NN (784-200-200-10), per kernel set: microseconds, GFLOP/s, and the share of what a loop of
 * nothing but fused multiply-adds reached on the same core in the same moment. Usage: bench_step [batch] [seconds].
 *
 * Shared machines are noisy in stretches, so calibration and step alternate and minima are compared. "half" input has
 * every second column zero in the whole batch, about as MNIST has; its GFLOP/s count the work that was left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "common/base/rng.h"
#include "common/model/network.h"

#define STEPS 50 /* per sample; about 4 ms */
#define CALIBRATION_LOOPS 20000
#define CALIBRATION_CHAINS 12

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(__x86_64__)
#define DEFINE_CALIBRATION(name, isa, vec, set1, fma)                                                                       \
    __attribute__((target(isa))) static void name(void) {                                                                   \
        vec chain[CALIBRATION_CHAINS], factor = set1(0.999f), term = set1(1e-3f);                                           \
        _Pragma("GCC unroll 16") for (int c = 0; c < CALIBRATION_CHAINS; c++) { chain[c] = set1((float)c); }                \
        for (int i = 0; i < CALIBRATION_LOOPS; i++) {                                                                       \
            _Pragma("GCC unroll 16") for (int c = 0; c < CALIBRATION_CHAINS; c++) {                                         \
                chain[c] = fma(chain[c], factor, term);                                                                     \
                __asm__ volatile("" : "+v"(chain[c]));                                                                      \
            }                                                                                                               \
        }                                                                                                                   \
    }
DEFINE_CALIBRATION(calibrate_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
DEFINE_CALIBRATION(calibrate_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
#endif

/* GFLOP/s of the fused multiply-adds of a kernel set's vectors; 0 if there is no such loop. */
static double calibrate(const char *set) {
    double start = seconds_now(), lanes = 0;
#if defined(__x86_64__)
    if (strcmp(set, "avx512") == 0) {
        calibrate_avx512();
        lanes = 16;
    } else if (strcmp(set, "avx2") == 0) {
        calibrate_avx2();
        lanes = 8;
    }
#endif
    return 2e-9 * lanes * CALIBRATION_CHAINS * CALIBRATION_LOOPS / (seconds_now() - start);
}

static void fill_input(struct fed_network *net, size_t rows, size_t width, bool half) {
    size_t stride;
    float *x = fed_network_input(net, &stride);
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "bench", 0, 0);
    for (size_t b = 0; b < rows; b++) {
        for (size_t k = 0; k < width; k++) {
            float value = fed_rng_f32(&rng);
            x[b * stride + k] = half && k % 2 == 1 ? 0.0f : value;
        }
    }
}

/* Forward and update of every layer, input gradient of all but the first. */
static double step_flops(const struct fed_model *model, size_t rows) {
    double sum = 0, n_in = model->spec.inputs;
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        double n_out = model->spec.layers[l].units;
        sum += (l == 0 ? 4 : 6) * n_in * n_out * (double)rows;
        n_in = n_out;
    }
    return sum;
}

static void measure(const struct fed_model *model, const float *params, const struct fed_kernels *kernels, size_t rows,
                    bool half, double duration) {
    struct fed_network *net;
    uint32_t *labels = calloc(rows, sizeof *labels);
    if (labels == NULL || fed_network_new(&net, model, rows, kernels) != FED_OK) {
        fprintf(stderr, "bench_step: out of memory\n");
        exit(1);
    }
    for (size_t b = 0; b < rows; b++) {
        labels[b] = (uint32_t)b % model->n_classes;
    }
    fed_network_load(net, params);
    fill_input(net, rows, model->spec.inputs, half);
    double best = 1e9, peak = 0, end = seconds_now() + duration;
    while (seconds_now() < end) {
        double gflops = calibrate(kernels->name), start = seconds_now();
        for (int i = 0; i < STEPS; i++) {
            fed_network_step(net, labels, rows, 0.01f);
        }
        double seconds = (seconds_now() - start) / STEPS;
        best = seconds < best ? seconds : best;
        peak = gflops > peak ? gflops : peak;
    }
    double rate = 1e-9 * step_flops(model, rows) / best;
    printf("%-9s %5zu  %-5s %10.1f us %8.1f GFLOP/s", kernels->name, rows, half ? "half" : "dense", 1e6 * best, rate);
    if (peak > 0) {
        printf("   of %6.1f: %5.1f %%", peak, 100 * rate / peak);
    }
    putchar('\n');
    fed_network_free(net);
    free(labels);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"avx512", "avx2", "portable"};
    int rows = argc > 1 ? atoi(argv[1]) : 10;
    double duration = argc > 2 ? atof(argv[2]) : 1.0;
    struct fed_model_spec spec;
    struct fed_model model;
    if (rows < 1 || fed_model_preset(&spec, "mnist_2nn") != FED_OK || fed_model_init(&model, &spec, NULL) != FED_OK) {
        fprintf(stderr, "usage: bench_step [batch] [seconds]\n");
        return 2;
    }
    float *params = calloc(model.n_params, sizeof *params);
    if (params == NULL) {
        return 1;
    }
    fed_model_initial(params, &model, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(names[i]);
        for (int half = 0; kernels != NULL && half < 2; half++) {
            measure(&model, params, kernels, (size_t)rows, half, duration);
        }
    }
    free(params);
    return 0;
}
