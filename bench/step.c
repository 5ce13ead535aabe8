/* One step of SGD of each model, per kernel set: microseconds, GFLOP/s, and the share of what a loop of nothing but fused
 * multiply-adds reached on the same core between the steps.
 *
 * Shared machines are noisy in stretches, so steps and calibration take turns every few milliseconds; the share is that of
 * the shortest step in the best calibration. The work counted is the model's, whether or not a kernel finds a way around
 * some of it: mnist_2nn_zeros has inputs as MNIST has them, 52 % of them zero in all ten rows. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/calibration.h"
#include "common/base/rng.h"
#include "common/model/network.h"

#define STRETCH_S 3e-3 /* of steps between two calibrations */
#define LEAST_S 0.3    /* of steps in all */
#define MOST_STEPS 100000
#define QUIET_AVX512_GFLOPS 140.0

static const struct subject {
    const char *name, *preset;
    bool zeros;
} subjects[] = {
    {"mnist_2nn", "mnist_2nn", false}, {"mnist_2nn_zeros", "mnist_2nn", true}, {"mnist_cnn", "mnist_cnn", false},
    {"char_lstm", "char_lstm", false}, {"logistic", "logistic", false},
};

struct options {
    const char *model, *kernels; /* NULL: all */
    int batch, steps;
    bool json;
};

struct figures {
    double us_min, us_median, gflops, calibration_gflops;
    int steps;
};

static void fail(const char *what) {
    fprintf(stderr, "bench_step: %s\n", what);
    exit(1);
}

/* Multiply-adds of one layer's product, for one example. */
static double layer_products(const struct fed_model *model, uint32_t l) {
    const struct fed_layer_spec *spec = &model->spec.layers[l];
    struct fed_shape in = model->layers[l].in, out = model->layers[l].out;
    switch (spec->kind) {
    case FED_DENSE: return (double)in.channels * out.channels * out.steps;
    case FED_CONV2D:
        return (double)spec->kernel * spec->kernel * in.channels * out.channels * out.height * out.width * out.steps;
    case FED_LSTM: return 4.0 * spec->units * ((double)in.channels + spec->units) * out.steps;
    default: return 0;
    }
}

/* Forward and update of every layer, gradient of the inputs of all but the first: two each. */
static double step_flops(const struct fed_model *model, size_t rows) {
    double sum = 0;
    for (uint32_t l = 0; l < model->spec.n_layers; l++) {
        sum += (l == 0 ? 4 : 6) * layer_products(model, l) * (double)rows;
    }
    return sum;
}

/* Pixels that are not zero somewhere in ten digits: 380 of 784, in the middle. */
static bool lives(size_t pixel) { return pixel / 28 >= 4 && pixel / 28 < 24 && pixel % 28 >= 4 && pixel % 28 < 23; }

static void fill(const struct fed_batch *batch, const struct fed_model *model, bool zeros) {
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "bench", 0, 0);
    for (size_t i = 0; batch->features != NULL && i < batch->max_rows * batch->n_features; i++) {
        float value = fed_rng_f32(&rng);
        size_t feature = i % batch->n_features;
        batch->features[i / batch->n_features * batch->stride + feature] = zeros && !lives(feature) ? 0.0f : value;
    }
    for (size_t i = 0; batch->symbols != NULL && i < batch->max_rows * batch->n_symbols; i++) {
        batch->symbols[i] = fed_rng_below(&rng, model->spec.n_symbols);
    }
    for (size_t i = 0; i < batch->max_rows * batch->n_targets; i++) {
        batch->labels[i] = fed_rng_below(&rng, model->n_classes);
    }
}

static struct fed_network *network_of(const struct fed_model *model, const struct fed_kernels *kernels, size_t rows) {
    struct fed_network *net;
    float *params = calloc(model->n_params, sizeof *params);
    if (params == NULL || fed_network_new(&net, model, rows, FED_NETWORK_TRAIN, kernels) != FED_OK) {
        fail("out of memory");
    }
    fed_model_initial(params, model, 1);
    fed_network_load(net, params);
    free(params);
    return net;
}

static struct figures time_steps(struct fed_network *net, const char *kernels, int rows, int least) {
    static double seconds[MOST_STEPS];
    const struct fed_sgd sgd = {.learning_rate = 0.01f};
    struct figures f = {0};
    double sum = 0;
    fed_network_step(net, (size_t)rows, &sgd); /* brings code and weights in */
    while (f.steps < MOST_STEPS && (f.steps < least || sum < LEAST_S)) {
        double gflops = calibration_fma(kernels), stretch = 0;
        f.calibration_gflops = gflops > f.calibration_gflops ? gflops : f.calibration_gflops;
        while (f.steps < MOST_STEPS && stretch < STRETCH_S) {
            double start = seconds_now();
            fed_network_step(net, (size_t)rows, &sgd);
            seconds[f.steps] = seconds_now() - start;
            stretch += seconds[f.steps++];
        }
        sum += stretch;
    }
    f.us_median = 1e6 * median_of(seconds, f.steps);
    f.us_min = 1e6 * seconds[0];
    return f;
}

static void print(const struct options *options, const char *model, const char *kernels, const struct figures *f) {
    double share = f->calibration_gflops > 0 ? f->gflops / f->calibration_gflops : 0;
    if (options->json) {
        printf("{\"model\":\"%s\",\"kernels\":\"%s\",\"batch\":%d,\"steps\":%d,\"us_min\":%.2f,\"us_median\":%.2f,"
               "\"gflops\":%.1f,\"calibration_gflops\":%.1f,\"share\":%.3f}\n",
               model, kernels, options->batch, f->steps, f->us_min, f->us_median, f->gflops, f->calibration_gflops, share);
    } else {
        printf("%-16s %-9s B=%-4d %10.1f us (median %10.1f) %8.1f GFLOP/s of %6.1f: %5.1f %%\n", model, kernels,
               options->batch, f->us_min, f->us_median, f->gflops, f->calibration_gflops, 100 * share);
    }
    fflush(stdout);
    if (strcmp(kernels, "avx512") == 0 && f->calibration_gflops < QUIET_AVX512_GFLOPS) {
        fprintf(stderr,
                "bench_step: multiply-adds alone reached %.0f GFLOP/s: the machine is busy, or slow; think little "
                "of these figures\n",
                f->calibration_gflops);
    }
}

static void measure(const struct options *options, const struct subject *subject, const struct fed_kernels *kernels) {
    struct fed_model_spec spec;
    struct fed_model model;
    struct fed_error err;
    if (fed_model_preset(&spec, subject->preset) != FED_OK || fed_model_init(&model, &spec, &err) != FED_OK) {
        fail("no such preset");
    }
    struct fed_network *net = network_of(&model, kernels, (size_t)options->batch);
    fill(fed_network_batch(net), &model, subject->zeros);
    struct figures f = time_steps(net, kernels->name, options->batch, options->steps);
    f.gflops = 1e-3 * step_flops(&model, (size_t)options->batch) / f.us_min;
    print(options, subject->name, kernels->name, &f);
    fed_network_free(net);
}

static int usage(void) {
    fprintf(stderr, "usage: bench_step [--model mnist_2nn|mnist_2nn_zeros|mnist_cnn|char_lstm|logistic]\n"
                    "                  [--kernels avx512|avx2|neon|portable] [--batch 10] [--steps 200] [--json]\n"
                    "all models and all sets of vectors unless told otherwise; at least so many steps of each\n");
    return 2;
}

int main(int argc, char **argv) {
    static const struct option known[] = {{"model", required_argument, NULL, 'm'}, {"kernels", required_argument, NULL, 'k'},
                                          {"batch", required_argument, NULL, 'b'}, {"steps", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},        {0}};
    static const char *const vector_sets[] = {"avx512", "avx2", "neon"};
    struct options options = {.batch = 10, .steps = 200};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'm': options.model = optarg; break;
        case 'k': options.kernels = optarg; break;
        case 'b': options.batch = atoi(optarg); break;
        case 's': options.steps = atoi(optarg); break;
        case 'j': options.json = true; break;
        default: return usage();
        }
    }
    if (optind < argc || options.batch < 1 || options.batch > 1 << 16 || options.steps < 1 || options.steps > MOST_STEPS) {
        return usage();
    }
    int measured = 0;
    for (size_t s = 0; s < sizeof subjects / sizeof *subjects; s++) {
        for (size_t k = 0; k < (options.kernels != NULL ? 1 : sizeof vector_sets / sizeof *vector_sets); k++) {
            const struct fed_kernels *kernels =
                fed_kernels_by_name(options.kernels != NULL ? options.kernels : vector_sets[k]);
            if (kernels != NULL && (options.model == NULL || strcmp(options.model, subjects[s].name) == 0)) {
                measure(&options, &subjects[s], kernels);
                measured++;
            }
        }
    }
    return measured > 0 ? 0 : usage();
}
