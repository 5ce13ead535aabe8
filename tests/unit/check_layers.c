/* Stacks of every kind of layer against the same stack in double, whose gradients are held against finite differences. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/model/network.h"
#include "tests/unit/double_network.h"

static const char *const set_names[] = {"portable", "avx2", "avx512", "neon"};
#define N_SETS (sizeof set_names / sizeof *set_names)
enum { ROWS = 4, STEPS = 6 };

/* clang-format off */
#define CONV(units, activation, kernel, stride, padding) {units, activation, FED_CONV2D, kernel, stride, padding}
#define POOL(kernel, stride, padding) {0, FED_LINEAR, FED_MAX_POOL, kernel, stride, padding}
#define FLATTEN {.kind = FED_FLATTEN}
#define IMAGE(h, w, c) {.height = h, .width = w, .channels = c}

static const struct {
    const char *what;
    struct fed_model_spec spec;
} stacks[] = {
    {"a filter of 3, same", {.input = IMAGE(8, 7, 2), .n_layers = 3, .layers = {CONV(5, FED_RELU, 3, 1, FED_SAME), FLATTEN, {4}}}},
    {"filters of 5 and pools, as the CNN of the paper", {.input = IMAGE(9, 6, 1), .n_layers = 7, .layers = {
        CONV(3, FED_RELU, 5, 1, FED_SAME), POOL(2, 2, FED_VALID), CONV(6, FED_RELU, 5, 1, FED_SAME), POOL(2, 2, FED_VALID),
        FLATTEN, {11, FED_RELU}, {3}}}},
    {"filters of 1, one of them with a stride", {.input = IMAGE(5, 6, 3), .n_layers = 4, .layers = {
        CONV(4, FED_TANH, 1, 1, FED_VALID), CONV(7, FED_SIGMOID, 1, 2, FED_SAME), FLATTEN, {2}}}},
    {"strides of 2 and 3 with and without padding", {.input = IMAGE(13, 16, 2), .n_layers = 4, .layers = {
        CONV(3, FED_TANH, 3, 2, FED_SAME), CONV(5, FED_TANH, 3, 3, FED_VALID), FLATTEN, {3}}}},
    {"wide filters and strides over narrow images", {.input = IMAGE(15, 4, 1), .n_layers = 5, .layers = {
        CONV(4, FED_TANH, 5, 3, FED_SAME), CONV(3, FED_TANH, 5, 2, FED_SAME), CONV(2, FED_LINEAR, 3, 1, FED_SAME), FLATTEN, {3}}}},
    {"valid filters of 5 and 3", {.input = IMAGE(11, 12, 3), .n_layers = 4, .layers = {
        CONV(4, FED_TANH, 5, 2, FED_VALID), CONV(3, FED_RELU, 3, 1, FED_VALID), FLATTEN, {5}}}},
    {"pools that overlap", {.input = IMAGE(9, 8, 1), .n_layers = 6, .layers = {
        CONV(3, FED_TANH, 3, 1, FED_SAME), POOL(3, 2, FED_SAME), CONV(4, FED_TANH, 3, 1, FED_SAME), POOL(3, 1, FED_SAME), FLATTEN, {4}}}},
    {"a pool that leaves pixels out, and one of even size with padding", {.input = IMAGE(11, 10, 1), .n_layers = 6, .layers = {
        CONV(3, FED_TANH, 3, 1, FED_SAME), POOL(2, 3, FED_VALID), CONV(2, FED_TANH, 1, 1, FED_SAME), POOL(2, 2, FED_SAME), FLATTEN, {4}}}},
    {"a pool before anything that learns", {.input = IMAGE(7, 9, 3), .n_layers = 5, .layers = {
        POOL(3, 2, FED_SAME), CONV(3, FED_TANH, 3, 1, FED_SAME), POOL(2, 2, FED_VALID), FLATTEN, {3}}}},
    {"an image flattened at once", {.input = IMAGE(4, 5, 3), .n_layers = 3, .layers = {FLATTEN, {9, FED_TANH}, {3}}}},
    {"more channels than a panel", {.input = IMAGE(3, 3, 1), .n_layers = 5, .layers = {
        CONV(40, FED_TANH, 1, 1, FED_SAME), CONV(34, FED_TANH, 3, 1, FED_SAME), POOL(2, 2, FED_SAME), FLATTEN, {3}}}},
    {"whole panels, read where they lie", {.input = IMAGE(6, 7, 1), .n_layers = 5, .layers = {
        CONV(32, FED_TANH, 3, 1, FED_SAME), CONV(3, FED_TANH, 3, 1, FED_VALID), CONV(3, FED_TANH, 3, 2, FED_VALID), FLATTEN, {3}}}},
    {"the logit of one class", {.loss = FED_BINARY_CROSS_ENTROPY, .input = {7}, .n_layers = 2, .layers = {{6, FED_SIGMOID}, {1}}}},
    {"numbers to be met", {.loss = FED_MEAN_SQUARED_ERROR, .input = {5}, .n_layers = 2, .layers = {{6, FED_TANH}, {3}}}},
    {"a class at every step", {.input = {.channels = 5, .steps = 6}, .n_layers = 3, .layers = {{7, FED_TANH}, {35, FED_RELU}, {4}}}},
    {"a logit at every step", {.loss = FED_BINARY_CROSS_ENTROPY, .input = {.channels = 5, .steps = 3}, .n_layers = 1, .layers = {{1}}}},
    {"numbers at every step", {.loss = FED_MEAN_SQUARED_ERROR, .input = {.channels = 2, .steps = 3}, .n_layers = 2, .layers = {{4, FED_TANH}, {2}}}},
    {"blocks of wide weights", {.input = {2}, .n_layers = 3, .layers = {{4200, FED_TANH}, {33, FED_TANH}, {2}}}},
    {"images at every step flattened", {.input = {.channels = 2, .steps = 3, .height = 2, .width = 4}, .n_layers = 3, .layers = {FLATTEN, {6, FED_TANH}, {3}}}},
    {"a sequence flattened", {.input = {.channels = 3, .steps = 5}, .n_layers = 4, .layers = {{4, FED_TANH}, FLATTEN, {6, FED_TANH}, {3}}}},
};
/* clang-format on */
#define N_STACKS ((int)(sizeof stacks / sizeof *stacks))

/* A stack with parameters and examples, the same numbers in float and in double. */
static struct fed_model model;
static size_t n_inputs, n_examples;
static float *params, *features, *numbers;     /* (n_params), (examples, inputs), (examples, targets) */
static double *dparams, *dfeatures, *dtargets; /* the same; labels as numbers */
static const struct fed_kernels *kernels;

static float *floats(size_t n) {
    float *a = calloc(n, sizeof *a);
    ck_assert_ptr_nonnull(a);
    return a;
}

static double *doubles(const float *from, size_t n) {
    double *a = calloc(n, sizeof *a);
    ck_assert_ptr_nonnull(a);
    for (size_t i = 0; from != NULL && i < n; i++) {
        a[i] = (double)from[i];
    }
    return a;
}

static void open_stack(int which) {
    struct fed_error err = {""};
    struct fed_rng rng;
    ck_assert_msg(fed_model_init(&model, &stacks[which].spec, &err) == FED_OK, "%s: %s", stacks[which].what, err.text);
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    n_inputs = fed_shape_size(model.layers[0].in);
    n_examples = (size_t)ROWS * STEPS;
    params = floats(model.n_params);
    features = floats(n_examples * n_inputs);
    numbers = floats(n_examples * model.n_targets);
    fed_model_initial(params, &model, 5);
    fed_rng_init(&rng, 3, "test", (uint64_t)which, 0);
    for (size_t i = 0; i < model.n_params; i++) { /* biases, too, are something */
        params[i] += 0.1f * (fed_rng_f32(&rng) - 0.5f);
    }
    for (size_t i = 0; i < n_examples * n_inputs; i++) {
        features[i] = 2 * fed_rng_f32(&rng) - 1;
    }
    for (size_t i = 0; i < n_examples * model.n_targets; i++) {
        numbers[i] = model.n_classes > 0 ? (float)fed_rng_below(&rng, model.n_classes) : fed_rng_f32(&rng);
    }
    dparams = doubles(params, model.n_params);
    dfeatures = doubles(features, n_examples * n_inputs);
    dtargets = doubles(numbers, n_examples * model.n_targets);
}

static void close_stack(void) {
    free(params);
    free(features);
    free(numbers);
    free(dparams);
    free(dfeatures);
    free(dtargets);
}

static struct fed_network *new_network(size_t max_batch, enum fed_network_use use, const struct fed_kernels *set) {
    struct fed_network *net;
    ck_assert_int_eq(fed_network_new(&net, &model, max_batch, use, set), FED_OK);
    fed_network_load(net, params);
    return net;
}

static void put(struct fed_network *net, size_t first, size_t rows) {
    const struct fed_batch *batch = fed_network_batch(net);
    for (size_t b = 0; b < rows; b++) {
        memcpy(batch->features + b * batch->stride, features + (first + b) * n_inputs, n_inputs * sizeof *features);
        for (size_t t = 0; t < model.n_targets; t++) {
            float target = numbers[(first + b) * model.n_targets + t];
            if (batch->targets != NULL) {
                batch->targets[b * model.n_targets + t] = target;
            } else {
                batch->labels[b * model.n_targets + t] = (uint32_t)target;
            }
        }
    }
}

static double truth(size_t rows) { return double_loss(&model, dparams, dfeatures, rows, dtargets); }

static void expect_close(const char *what, size_t i, double got, double want, double tolerance) {
    size_t element;
    ck_assert_msg(fabs(got - want) <= tolerance, "%s: %s of parameter %zu (%s): %.9g, not %.9g", what, "change", i,
                  fed_model_locate(&model, i, &element)->name, got, want);
}

START_TEST(the_truth_is_the_finite_difference) {
    const double h = 1e-6;
    open_stack(_i);
    double *gradient = doubles(NULL, model.n_params);
    double_gradient(&model, dparams, dfeatures, ROWS, dtargets, gradient);
    for (size_t i = 0; i < model.n_params; i += 1 + model.n_params / 30) {
        double at = dparams[i];
        dparams[i] = at + h;
        double up = truth(ROWS);
        dparams[i] = at - h;
        double down = truth(ROWS);
        dparams[i] = at;
        expect_close(stacks[_i].what, i, gradient[i], (up - down) / (2 * h) / ROWS, 1e-8);
    }
    free(gradient);
    close_stack();
}
END_TEST

/* With rate 1 the change of a parameter is minus its gradient, up to the rounding of the parameter itself. */
START_TEST(a_step_goes_down_the_gradient) {
    const struct fed_sgd sgd = {.learning_rate = 1};
    open_stack(_i);
    struct fed_network *net = new_network(ROWS, FED_NETWORK_TRAIN, kernels);
    double *gradient = doubles(NULL, model.n_params), most = 0;
    float *after = floats(model.n_params);
    put(net, 0, ROWS);
    ck_assert_double_eq_tol(fed_network_step(net, ROWS, &sgd), truth(ROWS), 1e-5);
    fed_network_store(net, after);
    double_gradient(&model, dparams, dfeatures, ROWS, dtargets, gradient);
    for (size_t i = 0; i < model.n_params; i++) {
        most = fmax(most, fabs(gradient[i]));
        expect_close(stacks[_i].what, i, dparams[i] - (double)after[i], gradient[i], 1e-6);
    }
    ck_assert_double_gt(most, 1e-3);
    fed_network_free(net);
    free(gradient);
    free(after);
    close_stack();
}
END_TEST

START_TEST(load_then_store_gives_the_same_bits) {
    open_stack(_i);
    float *back = floats(model.n_params);
    params[0] = -0.0f;
    params[model.n_params / 2] = NAN;
    struct fed_network *net = new_network(1, FED_NETWORK_EVALUATE, kernels);
    fed_network_store(net, back);
    ck_assert_mem_eq(back, params, model.n_params * sizeof *params);
    fed_network_free(net);
    free(back);
    close_stack();
}
END_TEST

/* Steps with short batches among them; params of the network at the end. */
static double train(struct fed_network *net, float *after, const struct fed_sgd *sgd) {
    double loss = 0;
    for (size_t step = 0; step < STEPS; step++) {
        put(net, step * ROWS, ROWS - step % 2);
        loss += fed_network_step(net, ROWS - step % 2, sgd);
    }
    fed_network_store(net, after);
    return loss;
}

/* As PyTorch's SGD writes it. */
static void train_double(double *w, const struct fed_sgd *sgd) {
    double *gradient = doubles(NULL, model.n_params), *v = doubles(NULL, model.n_params);
    for (size_t step = 0; step < STEPS; step++) {
        double_gradient(&model, w, dfeatures + step * ROWS * n_inputs, ROWS - step % 2,
                        dtargets + step * ROWS * model.n_targets, gradient);
        for (size_t i = 0; i < model.n_params; i++) {
            v[i] = (double)sgd->momentum * v[i] + gradient[i] + (double)sgd->weight_decay * w[i];
            w[i] -= (double)sgd->learning_rate * v[i];
        }
    }
    free(gradient);
    free(v);
}

static const struct fed_sgd recipes[] = {{0.1f, 0, 0}, {0.1f, 0.9f, 0}, {0.1f, 0, 0.05f}, {0.1f, 0.8f, 0.05f}};
#define N_RECIPES (sizeof recipes / sizeof *recipes)

START_TEST(momentum_and_decay_are_those_of_pytorch) {
    open_stack(_i);
    float *after = floats(model.n_params);
    struct fed_network *net = new_network(ROWS, FED_NETWORK_MOMENTUM, kernels),
                       *plain = new_network(ROWS, FED_NETWORK_TRAIN, kernels);
    for (size_t r = model.n_params > 100000 ? N_RECIPES - 1 : 0; r < N_RECIPES; r++) {
        double *w = doubles(params, model.n_params);
        train_double(w, &recipes[r]);
        for (int with_velocity = 0; with_velocity < 2; with_velocity++) {
            struct fed_network *trained = with_velocity != 0 ? net : plain;
            if (with_velocity != 0 || recipes[r].momentum == 0) {
                fed_network_load(trained, params); /* velocities start anew */
                train(trained, after, &recipes[r]);
                for (size_t i = 0; i < model.n_params; i++) {
                    expect_close(stacks[_i].what, i, (double)after[i] - dparams[i], w[i] - dparams[i], 2e-6);
                }
            }
        }
        free(w);
    }
    fed_network_free(net);
    fed_network_free(plain);
    free(after);
    close_stack();
}
END_TEST

START_TEST(all_kernel_sets_train_to_the_same_bits) {
    open_stack(_i);
    float *first = floats(model.n_params), *after = floats(model.n_params);
    double first_loss = 0;
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *set = fed_kernels_by_name(set_names[s]);
        if (set != NULL) {
            struct fed_network *net = new_network(ROWS, FED_NETWORK_MOMENTUM, set);
            double loss = train(net, s == 0 ? first : after, &recipes[3]);
            first_loss = s == 0 ? loss : first_loss;
            ck_assert_msg(s == 0 || memcmp(first, after, model.n_params * sizeof *first) == 0, "%s: %s differs",
                          stacks[_i].what, set->name);
            ck_assert(loss == first_loss);
            fed_network_free(net);
        }
    }
    ck_assert_mem_ne(first, params, model.n_params * sizeof *first);
    free(first);
    free(after);
    close_stack();
}
END_TEST

START_TEST(a_short_batch_is_a_batch_of_its_own) {
    const struct fed_sgd sgd = {.learning_rate = 0.3f};
    open_stack(_i);
    float *a = floats(model.n_params), *b = floats(model.n_params);
    struct fed_network *large = new_network(ROWS + 3, FED_NETWORK_TRAIN, kernels),
                       *small = new_network(2, FED_NETWORK_TRAIN, kernels);
    put(large, 4, ROWS + 3);
    fed_network_step(large, ROWS + 3, &sgd); /* leaves stale rows behind the short batch */
    fed_network_load(large, params);
    put(large, 0, 2);
    put(small, 0, 2);
    ck_assert(fed_network_step(large, 2, &sgd) == fed_network_step(small, 2, &sgd));
    fed_network_store(large, a);
    fed_network_store(small, b);
    ck_assert_mem_eq(a, b, model.n_params * sizeof *a);
    fed_network_free(large);
    fed_network_free(small);
    free(a);
    free(b);
    close_stack();
}
END_TEST

START_TEST(outputs_are_those_of_the_truth_and_need_no_gradients) {
    open_stack(_i);
    struct fed_network *trains = new_network(ROWS, FED_NETWORK_TRAIN, kernels),
                       *evaluates = new_network(ROWS, FED_NETWORK_EVALUATE, kernels);
    struct fed_shape shape = model.layers[model.spec.n_layers - 1].out;
    double *values = doubles(NULL, double_units(&model)), loss = 0;
    size_t stride, other;
    struct fed_hits none = {0};
    put(trains, 0, ROWS);
    put(evaluates, 0, ROWS);
    const float *a = fed_network_outputs(trains, ROWS, &stride), *b = fed_network_outputs(evaluates, ROWS, &other);
    ck_assert_uint_eq(stride, other);
    for (size_t row = 0; row < ROWS; row++) {
        const double *y = double_forward(&model, dparams, dfeatures + row * n_inputs, values);
        for (size_t i = 0; i < fed_shape_size(shape); i++) {
            size_t at = (i / shape.channels * ROWS + row) * stride + i % shape.channels;
            ck_assert_double_eq_tol((double)a[at], y[i], 2e-6);
            ck_assert(a[at] == b[at]);
        }
    }
    fed_network_evaluate(evaluates, ROWS, &loss, &none);
    ck_assert_double_eq_tol(loss, truth(ROWS), 1e-5);
    fed_network_free(trains);
    fed_network_free(evaluates);
    free(values);
    close_stack();
}
END_TEST

START_TEST(what_is_not_needed_takes_no_memory) {
    open_stack(_i);
    size_t evaluate = fed_network_bytes(&model, 100, FED_NETWORK_EVALUATE),
           train_bytes = fed_network_bytes(&model, 100, FED_NETWORK_TRAIN),
           momentum = fed_network_bytes(&model, 100, FED_NETWORK_MOMENTUM);
    ck_assert_uint_ge(momentum, evaluate + model.n_params * sizeof(float)); /* velocities */
    ck_assert_uint_ge(momentum, train_bytes);
    ck_assert_uint_gt(train_bytes, evaluate);
    ck_assert_uint_eq(fed_network_bytes(&model, SIZE_MAX / 4, FED_NETWORK_TRAIN), SIZE_MAX);
    close_stack();
}
END_TEST

/* One image of two channels, (first, second) a pixel, through a filter of 1 that passes on the first channel: what the
 * weight of the second one learns says which pixel the gradient went to. */
static float pixel_that_takes_the_gradient(const float *first, float *pooled) {
    const struct fed_model_spec spec = {
        .input = IMAGE(2, 2, 2),
        .loss = FED_MEAN_SQUARED_ERROR,
        .n_layers = 4,
        .layers = {CONV(1, FED_LINEAR, 1, 1, FED_VALID), POOL(2, 2, FED_VALID), FLATTEN, {1}}};
    const struct fed_sgd sgd = {.learning_rate = 1};
    struct fed_network *net;
    float w[5] = {1, 0, 0, 1, 0}; /* conv (2), its bias, dense, its bias */
    size_t stride;
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    ck_assert_int_eq(fed_network_new(&net, &model, 1, FED_NETWORK_TRAIN, kernels), FED_OK);
    fed_network_load(net, w);
    const struct fed_batch *batch = fed_network_batch(net);
    for (uint32_t p = 0; p < 4; p++) {
        batch->features[2 * p] = first[p];
        batch->features[2 * p + 1] = (float)(p + 1);
    }
    *pooled = fed_network_outputs(net, 1, &stride)[0];
    batch->targets[0] = *pooled - 0.5f; /* gradient 1 */
    fed_network_step(net, 1, &sgd);
    fed_network_store(net, w);
    fed_network_free(net);
    return -w[1];
}

START_TEST(the_first_of_equal_maxima_takes_the_gradient) {
    float pooled;
    ck_assert_float_eq(pixel_that_takes_the_gradient((float[4]){3, 3, 3, 3}, &pooled), 1);
    ck_assert_float_eq(pixel_that_takes_the_gradient((float[4]){1, 3, 3, 2}, &pooled), 2);
    ck_assert_float_eq(pixel_that_takes_the_gradient((float[4]){-2, -1, -1, -1}, &pooled), 2);
    ck_assert_float_eq(pooled, -1);
    ck_assert_float_eq(pixel_that_takes_the_gradient((float[4]){1, 2, 3, 4}, &pooled), 4);
    ck_assert_float_eq(pooled, 4);
}
END_TEST

START_TEST(a_pool_hides_no_nan) {
    for (int p = 0; p < 4; p++) {
        float first[4] = {1, 7, -3, 2}, pooled;
        first[p] = NAN;
        pixel_that_takes_the_gradient(first, &pooled);
        ck_assert(isnan(pooled));
    }
}
END_TEST

/* The same numbers as an image of one channel and as a vector: no column is read otherwise, nothing is learnt otherwise. */
START_TEST(an_image_flattened_at_once_is_a_vector) {
    const struct fed_model_spec specs[] = {{.input = IMAGE(6, 7, 1), .n_layers = 3, .layers = {FLATTEN, {9, FED_TANH}, {3}}},
                                           {.input = {42}, .n_layers = 2, .layers = {{9, FED_TANH}, {3}}}};
    const struct fed_sgd sgd = {.learning_rate = 0.5f};
    float *after[2], x[2 * 42];
    for (size_t i = 0; i < 2 * 42; i++) {
        x[i] = i % 42 % 5 < 2 ? 0.0f : (float)(i * 13 % 17) / 17;
    }
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    for (size_t s = 0; s < 2; s++) {
        struct fed_network *net;
        ck_assert_int_eq(fed_model_init(&model, &specs[s], NULL), FED_OK);
        after[s] = floats(model.n_params);
        fed_model_initial(after[s], &model, 3);
        ck_assert_int_eq(fed_network_new(&net, &model, 2, FED_NETWORK_TRAIN, kernels), FED_OK);
        fed_network_load(net, after[s]);
        const struct fed_batch *batch = fed_network_batch(net);
        for (size_t b = 0; b < 2; b++) {
            memcpy(batch->features + b * batch->stride, x + b * 42, 42 * sizeof *x);
            batch->labels[b] = (uint32_t)b;
        }
        fed_network_step(net, 2, &sgd);
        fed_network_store(net, after[s]);
        fed_network_free(net);
    }
    ck_assert_mem_eq(after[0], after[1], model.n_params * sizeof(float));
    free(after[0]);
    free(after[1]);
}
END_TEST

START_TEST(a_logit_that_is_no_number_hits_nothing) {
    const struct fed_model_spec spec = {.input = {1}, .loss = FED_BINARY_CROSS_ENTROPY, .n_layers = 1, .layers = {{1}}};
    static const float weights[] = {2, -2, 0, NAN};
    static const size_t right[][2] = {{0, 1}, {1, 0}, {1, 0}, {0, 0}}; /* with label 0, with label 1 */
    static const size_t taken[] = {1, 0, 0, 2};
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    for (size_t i = 0; i < 4; i++) {
        for (uint32_t label = 0; label < 2; label++) {
            struct fed_network *net;
            uint64_t confusion[6] = {0}, expected[6] = {0};
            struct fed_hits hits = {.confusion = confusion};
            double loss = 0;
            ck_assert_int_eq(fed_network_new(&net, &model, 1, FED_NETWORK_EVALUATE, kernels), FED_OK);
            fed_network_load(net, (float[2]){weights[i], 0});
            fed_network_batch(net)->features[0] = 1;
            fed_network_batch(net)->labels[0] = label;
            fed_network_evaluate(net, 1, &loss, &hits);
            expected[3 * label + taken[i]] = 1;
            ck_assert_uint_eq(hits.n_correct, right[i][label]);
            ck_assert_mem_eq(confusion, expected, sizeof confusion);
            ck_assert(isnan(weights[i]) == isnan(loss));
            fed_network_free(net);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("layers");
    TCase *all = tcase_create("every stack");
    tcase_add_loop_test(all, the_truth_is_the_finite_difference, 0, N_STACKS);
    tcase_add_loop_test(all, a_step_goes_down_the_gradient, 0, N_STACKS);
    tcase_add_loop_test(all, load_then_store_gives_the_same_bits, 0, N_STACKS);
    tcase_add_loop_test(all, momentum_and_decay_are_those_of_pytorch, 0, N_STACKS);
    tcase_add_loop_test(all, all_kernel_sets_train_to_the_same_bits, 0, N_STACKS);
    tcase_add_loop_test(all, a_short_batch_is_a_batch_of_its_own, 0, N_STACKS);
    tcase_add_loop_test(all, outputs_are_those_of_the_truth_and_need_no_gradients, 0, N_STACKS);
    tcase_add_loop_test(all, what_is_not_needed_takes_no_memory, 0, N_STACKS);
    suite_add_tcase(suite, all);
    TCase *edges = tcase_create("edges");
    tcase_add_test(edges, the_first_of_equal_maxima_takes_the_gradient);
    tcase_add_test(edges, a_pool_hides_no_nan);
    tcase_add_test(edges, an_image_flattened_at_once_is_a_vector);
    tcase_add_test(edges, a_logit_that_is_no_number_hits_nothing);
    suite_add_tcase(suite, edges);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
