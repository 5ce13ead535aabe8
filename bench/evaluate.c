/* Evaluation as the coordinator does it: 10,000 examples of each model, on one thread and on one a core; examples a second.
 * Usage: bench_evaluate [seconds] [DIR]. DIR: of MNIST's test images; default data/mnist.
 *
 * The threads of an evaluator step back behind whatever else the machine has to do, so a busy machine shows here first. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/calibration.h"
#include "common/base/rng.h"
#include "common/seal/seal.h"
#include "coordinator/round/evaluator.h"

#define EXAMPLES 10000
#define PATH_BYTES 4096

static void fail(const char *what) {
    fprintf(stderr, "bench_evaluate: %s\n", what);
    exit(1);
}

static void load(struct fed_dataset *test, const struct fed_model *model, const struct fed_data_source *source) {
    struct fed_error err;
    if (fed_dataset_load(test, source, FED_DATA_TEST, &err) != FED_OK || fed_dataset_fit(test, model, &err) != FED_OK) {
        fail(err.text);
    }
}

static void load_images(struct fed_dataset *test, const struct fed_model *model, const char *folder) {
    char images[PATH_BYTES], labels[PATH_BYTES];
    snprintf(images, sizeof images, "%s/t10k-images-idx3-ubyte", folder);
    snprintf(labels, sizeof labels, "%s/t10k-labels-idx1-ubyte", folder);
    load(test, model, &(struct fed_data_source){.format = FED_DATA_IDX, .test_images = images, .test_labels = labels});
}

/* Which characters a text has makes no difference to the time that it takes. */
static void load_text(struct fed_dataset *test, const struct fed_model *model) {
    char path[] = "/tmp/bench_evaluate.XXXXXX";
    uint32_t steps = model->spec.input.steps;
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "bench", 0, 0);
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        fail("no temporary file");
    }
    for (size_t i = 0; i < (size_t)EXAMPLES * steps + 1; i++) {
        putc(model->spec.symbols[fed_rng_below(&rng, model->spec.n_symbols)], file);
    }
    if (fclose(file) != 0) {
        fail("the temporary file could not be written");
    }
    load(test, model, &(struct fed_data_source){.format = FED_DATA_TEXT, .test = path, .unroll = steps});
    unlink(path); /* the text stays mapped */
}

static double evaluate_once(struct fed_evaluator *evaluator, struct fed_image *image) {
    struct fed_evaluation ignored;
    struct pollfd ready = {.fd = fed_evaluator_fd(evaluator), .events = POLLIN};
    double start = seconds_now();
    fed_evaluator_start(evaluator, image);
    while (!fed_evaluator_finished(evaluator, &ignored)) {
        poll(&ready, 1, -1);
    }
    return seconds_now() - start;
}

static void measure(const struct fed_model *model, const struct fed_dataset *test, const struct fed_kernels *kernels,
                    unsigned threads, double duration) {
    static const uint8_t run_id[16];
    struct fed_evaluator *evaluator;
    struct fed_image *image;
    struct fed_error err;
    if (fed_image_new(&image, model, run_id, 1) != FED_OK) {
        fail("out of memory");
    }
    fed_model_initial(image->params, model, 1);
    if (fed_image_finish(image, model, run_id) != FED_OK) {
        fail("out of memory");
    }
    if (fed_evaluator_new(&evaluator, model, test, threads, kernels, &err) != FED_OK) {
        fail(err.text);
    }
    double best = 1e9, end = seconds_now() + duration;
    do {
        double seconds = evaluate_once(evaluator, image);
        best = seconds < best ? seconds : best;
    } while (seconds_now() < end);
    printf("%-10s %-8s %u %s  %9.2f ms  %9.0f examples/s\n", model->spec.preset, kernels->name, threads,
           threads == 1 ? "thread " : "threads", 1e3 * best, (double)test->n_examples / best);
    fflush(stdout);
    fed_evaluator_free(evaluator);
    fed_image_release(image);
}

int main(int argc, char **argv) {
    static const char *const presets[] = {"logistic", "mnist_2nn", "mnist_cnn", "char_lstm"};
    double duration = argc > 1 ? atof(argv[1]) : 1.0;
    const char *folder = argc > 2 ? argv[2] : "data/mnist";
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const struct fed_kernels *kernels;
    struct fed_error err;
    if (fed_seal_setup(&err) != FED_OK || fed_kernels_choose(&kernels, &err) != FED_OK) {
        fail(err.text);
    }
    calibration_print();
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        struct fed_model_spec spec;
        struct fed_model model;
        struct fed_dataset test;
        if (fed_model_preset(&spec, presets[i]) != FED_OK || fed_model_init(&model, &spec, &err) != FED_OK) {
            fail(presets[i]);
        }
        if (model.spec.n_symbols > 0) {
            load_text(&test, &model);
        } else {
            load_images(&test, &model, folder);
        }
        measure(&model, &test, kernels, 1, duration);
        if (cores > 1) {
            measure(&model, &test, kernels, (unsigned)cores, duration);
        }
        fed_dataset_fini(&test);
    }
    return 0;
}
