/* Networks against finite differences, a second implementation in double, and OpenBLAS. */
#include <cblas.h>
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/network.h"
#include "tests/unit/double_network.h"

static const char *const set_names[] = {"portable", "neon", "avx2", "avx512"};
#define N_SETS (sizeof set_names / sizeof *set_names)

static uint32_t state = 1;

static float next_float(void) {
    state = state * 1664525u + 1013904223u;
    return (float)((int32_t)(state >> 8) - (1 << 23)) * 0x1p-23f;
}

static struct fed_model build(uint32_t inputs, uint32_t n_layers, const uint32_t *units, enum fed_activation hidden) {
    struct fed_model_spec spec = {.input = {inputs}, .n_layers = n_layers};
    struct fed_model model;
    for (uint32_t l = 0; l < n_layers; l++) {
        spec.layers[l] = (struct fed_layer_spec){units[l], l + 1 < n_layers ? hidden : FED_LINEAR};
    }
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    return model;
}

static float *random_params(const struct fed_model *model, float size) {
    float *params = malloc(model->n_params * sizeof *params);
    ck_assert_ptr_nonnull(params);
    for (size_t i = 0; i < model->n_params; i++) {
        params[i] = size * next_float();
    }
    return params;
}

static double *to_double(const float *a, size_t n) {
    double *d = malloc(n * sizeof *d);
    ck_assert_ptr_nonnull(d);
    for (size_t i = 0; i < n; i++) {
        d[i] = (double)a[i];
    }
    return d;
}

static double *labels_to_double(const uint32_t *labels, size_t n) {
    double *d = malloc(n * sizeof *d);
    ck_assert_ptr_nonnull(d);
    for (size_t i = 0; i < n; i++) {
        d[i] = labels[i];
    }
    return d;
}

static const struct fed_kernels *best_kernels(void) {
    const struct fed_kernels *kernels;
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    return kernels;
}

static struct fed_network *new_network(const struct fed_model *model, size_t max_batch, const struct fed_kernels *kernels) {
    struct fed_network *net;
    ck_assert_int_eq(fed_network_new(&net, model, max_batch, FED_NETWORK_TRAIN, kernels), FED_OK);
    return net;
}

/* Fills rows of the batch from x (rows, inputs) and labels (rows). */
static void put(struct fed_network *net, const float *x, const uint32_t *labels, size_t rows, size_t inputs) {
    const struct fed_batch *batch = fed_network_batch(net);
    for (size_t b = 0; b < rows; b++) {
        memcpy(batch->features + b * batch->stride, x + b * inputs, inputs * sizeof *x);
        batch->labels[b] = labels[b];
    }
}

static double step(struct fed_network *net, size_t rows, float rate) {
    return fed_network_step(net, rows, &(struct fed_sgd){.learning_rate = rate});
}

/* x (rows, inputs) with about every third column zero in all rows. */
static float *random_input(size_t rows, size_t inputs) {
    float *x = calloc(rows * inputs, sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (size_t k = 0; k < inputs; k++) {
        float lives = next_float();
        for (size_t b = 0; b < rows; b++) {
            x[b * inputs + k] = lives > -0.3f ? next_float() : 0.0f;
        }
    }
    return x;
}

START_TEST(load_then_store_gives_the_same_bits) {
    static const uint32_t shapes[][3] = {{5, 7, 3}, {33, 64, 31}, {100, 65, 10}, {1, 1, 2}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        struct fed_model model = build(shapes[s][0], 2, &shapes[s][1], FED_RELU);
        float *params = random_params(&model, 1), *back = calloc(model.n_params, sizeof *back);
        params[0] = -0.0f;
        params[model.n_params - 1] = NAN;
        struct fed_network *net = new_network(&model, 3, best_kernels());
        fed_network_load(net, params);
        fed_network_store(net, back);
        ck_assert_mem_eq(back, params, model.n_params * sizeof *params);
        fed_network_free(net);
        free(params);
        free(back);
    }
}
END_TEST

/* With rate 1 the change of a parameter is minus its gradient, up to the rounding of the parameter itself. */
static void check_gradient(enum fed_activation activation) {
    static const uint32_t units[] = {7, 6, 4};
    static const uint32_t labels[] = {1, 3, 0, 2, 1};
    const double h = 1e-5;
    enum { ROWS = 5, INPUTS = 6 };
    struct fed_model model = build(INPUTS, 3, units, activation);
    float *params = random_params(&model, 0.8f), *after = calloc(model.n_params, sizeof *after);
    float *x = random_input(ROWS, INPUTS);
    double *dp = to_double(params, model.n_params), *dx = to_double(x, ROWS * INPUTS), *dy = labels_to_double(labels, ROWS);
    struct fed_network *net = new_network(&model, ROWS, best_kernels());
    fed_network_load(net, params);
    put(net, x, labels, ROWS, INPUTS);
    double loss = step(net, ROWS, 1.0f);
    fed_network_store(net, after);
    ck_assert_double_eq_tol(loss, double_loss(&model, dp, dx, ROWS, dy), 1e-5);
    for (size_t i = 0; i < model.n_params; i++) {
        double at = dp[i];
        dp[i] = at + h;
        double up = double_loss(&model, dp, dx, ROWS, dy);
        dp[i] = at - h;
        double down = double_loss(&model, dp, dx, ROWS, dy);
        dp[i] = at;
        ck_assert_double_eq_tol((double)params[i] - (double)after[i], (up - down) / (2 * h) / ROWS, 1e-6);
    }
    fed_network_free(net);
    free(params);
    free(after);
    free(x);
    free(dp);
    free(dx);
    free(dy);
}

START_TEST(every_gradient_is_the_finite_difference) { check_gradient((enum fed_activation)_i); }
END_TEST

/* One step by OpenBLAS over matrices in the canonical layout, unfused: forward, gradients, then params -= rate * them. */
static void blas_step(const struct fed_model *model, float *params, const float *x, const uint32_t *labels, int rows,
                      float rate) {
    float *act[FED_MAX_LAYERS + 1] = {(float *)x}, *gradient = calloc(model->n_params, sizeof *gradient), *above = NULL;
    uint32_t last = model->spec.n_layers;
    for (uint32_t l = 0; l < last; l++) {
        int n_out = (int)model->spec.layers[l].units,
            n_in = l > 0 ? (int)model->spec.layers[l - 1].units : (int)model->spec.input.channels;
        act[l + 1] = calloc((size_t)rows * (size_t)n_out, sizeof(float));
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, n_out, n_in, 1, act[l], n_in,
                    params + model->tensors[2 * l].offset, n_in, 0, act[l + 1], n_out);
        for (int i = 0; i < rows * n_out; i++) {
            float z = act[l + 1][i] + params[model->tensors[2 * l + 1].offset + (size_t)(i % n_out)];
            act[l + 1][i] = (float)double_activate((double)z, model->spec.layers[l].activation);
        }
    }
    int classes = (int)model->n_classes;
    above = calloc((size_t)(rows * classes), sizeof *above);
    for (int i = 0; i < rows * classes; i++) {
        double sum = 0;
        for (int j = 0; j < classes; j++) {
            sum += exp((double)act[last][i / classes * classes + j] - (double)act[last][i]);
        }
        above[i] = (float)((1 / sum - (i % classes == (int)labels[i / classes])) / rows);
    }
    for (uint32_t l = last; l-- > 0;) {
        int n_out = (int)model->spec.layers[l].units,
            n_in = l > 0 ? (int)model->spec.layers[l - 1].units : (int)model->spec.input.channels;
        float *below = calloc((size_t)(rows * n_in), sizeof *below);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n_out, n_in, rows, 1, above, n_out, act[l], n_in, 0,
                    gradient + model->tensors[2 * l].offset, n_in);
        for (int i = 0; i < rows * n_out; i++) {
            gradient[model->tensors[2 * l + 1].offset + (size_t)(i % n_out)] += above[i];
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, n_in, n_out, 1, above, n_out,
                    params + model->tensors[2 * l].offset, n_in, 0, below, n_in);
        for (int i = 0; l > 0 && i < rows * n_in; i++) {
            below[i] *= (float)double_derivative((double)act[l][i], model->spec.layers[l - 1].activation);
        }
        free(above);
        free(act[l + 1]);
        above = below;
    }
    cblas_saxpy((int)model->n_params, -rate, gradient, 1, params, 1);
    free(above);
    free(gradient);
}

START_TEST(a_step_of_the_2nn_agrees_with_openblas) {
    enum { ROWS = 10 };
    const float rate = 0.5f;
    struct fed_model_spec spec;
    struct fed_model model;
    uint32_t labels[ROWS];
    ck_assert_int_eq(fed_model_preset(&spec, "mnist_2nn"), FED_OK);
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    float *before = random_params(&model, 0.07f), *want = malloc(model.n_params * sizeof *want);
    float *got = malloc(model.n_params * sizeof *got), *x = random_input(ROWS, 784);
    memcpy(want, before, model.n_params * sizeof *want);
    for (uint32_t b = 0; b < ROWS; b++) {
        labels[b] = b * 3 % 10;
    }
    blas_step(&model, want, x, labels, ROWS, rate);
    struct fed_network *net = new_network(&model, ROWS, best_kernels());
    fed_network_load(net, before);
    put(net, x, labels, ROWS, 784);
    step(net, ROWS, rate);
    fed_network_store(net, got);
    for (uint32_t t = 0; t < model.n_tensors; t++) {
        double difference = 0, change = 0;
        for (size_t i = model.tensors[t].offset; i < model.tensors[t].offset + model.tensors[t].count; i++) {
            difference = fmax(difference, fabs((double)got[i] - (double)want[i]));
            change = fmax(change, fabs((double)want[i] - (double)before[i]));
        }
        ck_assert_double_gt(change, 0);
        ck_assert_double_le(difference, 1e-5 * change + 0x1p-26);
    }
    fed_network_free(net);
    free(before);
    free(want);
    free(got);
    free(x);
}
END_TEST

START_TEST(a_short_batch_is_a_batch_of_its_own) {
    static const uint32_t units[] = {40, 5}, labels[] = {4, 0, 2, 1, 3, 3, 0, 1};
    struct fed_model model = build(50, 2, units, FED_TANH);
    float *params = random_params(&model, 0.3f), *x = random_input(8, 50);
    float *a = calloc(model.n_params, sizeof *a), *b = calloc(model.n_params, sizeof *b);
    struct fed_network *large = new_network(&model, 8, best_kernels()), *small = new_network(&model, 3, best_kernels());
    fed_network_load(large, params);
    put(large, x, labels, 8, 50);
    step(large, 8, 0.1f); /* leaves five stale rows behind the short batch */
    fed_network_load(large, params);
    put(large, x, labels, 3, 50);
    double loss = step(large, 3, 0.1f);
    fed_network_load(small, params);
    put(small, x, labels, 3, 50);
    ck_assert(loss == step(small, 3, 0.1f));
    fed_network_store(large, a);
    fed_network_store(small, b);
    ck_assert_mem_eq(a, b, model.n_params * sizeof *a);
    double *dp = to_double(params, model.n_params), *dx = to_double(x, 3 * 50), *dy = labels_to_double(labels, 3);
    double_step(&model, dp, dx, 3, dy, (double)0.1f);
    for (size_t i = 0; i < model.n_params; i++) {
        ck_assert_double_eq_tol((double)a[i], dp[i], 1e-6); /* the mean over three rows, not eight */
    }
    fed_network_free(large);
    fed_network_free(small);
    free(params);
    free(x);
    free(a);
    free(b);
    free(dp);
    free(dx);
    free(dy);
}
END_TEST

START_TEST(all_kernel_sets_train_to_the_same_bits) {
    static const uint32_t units[] = {70, 45, 10};
    enum { ROWS = 13, STEPS = 20 };
    struct fed_model model = build(90, 3, units, (enum fed_activation)_i);
    float *params = random_params(&model, 0.2f), *first = calloc(model.n_params, sizeof *first);
    float *after = calloc(model.n_params, sizeof *after), *x = random_input(ROWS * STEPS, 90);
    uint32_t labels[ROWS];
    double first_loss = 0;
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        if (kernels == NULL) {
            continue;
        }
        struct fed_network *net = new_network(&model, ROWS, kernels);
        double loss = 0;
        fed_network_load(net, params);
        for (size_t i = 0; i < STEPS; i++) {
            for (size_t b = 0; b < ROWS; b++) {
                labels[b] = (uint32_t)((b + i) * 7 % 10);
            }
            put(net, x + i * ROWS * 90, labels, ROWS, 90);
            loss += step(net, 1 + i % ROWS, 0.1f);
        }
        fed_network_store(net, s == 0 ? first : after);
        fed_network_free(net);
        if (s == 0) {
            first_loss = loss;
        } else {
            ck_assert_msg(memcmp(first, after, model.n_params * sizeof *first) == 0, "%s differs", kernels->name);
            ck_assert(loss == first_loss);
        }
    }
    ck_assert_mem_ne(first, params, model.n_params * sizeof *first);
    free(params);
    free(first);
    free(after);
    free(x);
}
END_TEST

START_TEST(relu_passes_nothing_at_exactly_zero) {
    static const uint32_t units[] = {9, 3}, labels[] = {2, 0};
    struct fed_model model = build(4, 2, units, FED_RELU);
    float *params = random_params(&model, 1), *after = calloc(model.n_params, sizeof *after);
    memset(params, 0, model.tensors[2].offset * sizeof *params); /* first layer: every unit stands at 0 */
    float x[2 * 4] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct fed_network *net = new_network(&model, 2, best_kernels());
    fed_network_load(net, params);
    put(net, x, labels, 2, 4);
    step(net, 2, 1.0f);
    fed_network_store(net, after);
    ck_assert_mem_eq(after, params, model.tensors[3].offset * sizeof *params);
    ck_assert_mem_ne(after + model.tensors[3].offset, params + model.tensors[3].offset, 3 * sizeof *params);
    fed_network_free(net);
    free(params);
    free(after);
}
END_TEST

START_TEST(evaluation_gives_the_loss_and_counts_the_first_of_equals) {
    static const uint32_t units[] = {3}, labels[] = {0, 1, 2};
    struct fed_model model = build(2, 1, units, FED_LINEAR);
    float params[] = {1, 0, 1, 0, 0, 1, 0, 0, 0}; /* logits (x0, x0, x1) */
    float x[] = {2, 1, 2, 1, 0, 3};
    double *dp = to_double(params, 9), *dx = to_double(x, 6), *dy = labels_to_double(labels, 3), loss = 10;
    size_t stride;
    uint64_t confusion[12] = {[4] = 5};
    struct fed_hits hits = {100, confusion};
    struct fed_network *net = new_network(&model, 3, best_kernels());
    fed_network_load(net, params);
    put(net, x, labels, 3, 2);
    fed_network_evaluate(net, 3, &loss, &hits);
    ck_assert_uint_eq(hits.n_correct, 102); /* rows 0 and 2; row 1 ties with class 0, which comes first */
    ck_assert_mem_eq(confusion, ((uint64_t[12]){1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 1, 0}), sizeof confusion);
    ck_assert_double_eq_tol(loss - 10, double_loss(&model, dp, dx, 3, dy), 1e-6);
    const float *logits = fed_network_outputs(net, 3, &stride);
    ck_assert(logits[0] == 2 && logits[1] == 2 && logits[2] == 1 && logits[2 * stride + 2] == 3);
    fed_network_free(net);
    free(dp);
    free(dx);
    free(dy);
}
END_TEST

START_TEST(confident_mistakes_have_a_finite_loss_and_a_diverged_model_shows) {
    static const uint32_t units[] = {8, 2}, labels[] = {1};
    struct fed_model model = build(1, 2, units, FED_RELU);
    float *params = calloc(model.n_params, sizeof *params), x = 1;
    struct fed_network *net = new_network(&model, 1, best_kernels());
    params[model.tensors[3].offset] = 500; /* e^-500 is 0 in float: the loss must not be log 0 */
    fed_network_load(net, params);
    put(net, &x, labels, 1, 1);
    ck_assert_double_eq_tol(step(net, 1, 0.0f), 500, 1e-3);
    params[0] = NAN;
    fed_network_load(net, params);
    ck_assert(isnan(step(net, 1, 0.0f)));
    params[0] = 0;
    fed_network_load(net, params);
    ck_assert_double_eq_tol(step(net, 1, 0.0f), 500, 1e-3);
    fed_network_free(net);
    free(params);
}
END_TEST

START_TEST(an_absurd_batch_is_refused_not_wrapped) {
    static const uint32_t units[] = {3};
    struct fed_model model = build(2, 1, units, FED_LINEAR);
    struct fed_network *net = NULL;
    ck_assert_int_eq(fed_network_new(&net, &model, SIZE_MAX / 64, FED_NETWORK_TRAIN, best_kernels()), FED_ENOMEM);
    ck_assert_int_eq(fed_network_new(&net, &model, SIZE_MAX, FED_NETWORK_TRAIN, best_kernels()), FED_ENOMEM);
    ck_assert_ptr_null(net);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("network");
    TCase *truth = tcase_create("truth");
    tcase_add_loop_test(truth, every_gradient_is_the_finite_difference, FED_LINEAR, FED_SIGMOID + 1);
    tcase_add_test(truth, a_step_of_the_2nn_agrees_with_openblas);
    tcase_add_test(truth, a_short_batch_is_a_batch_of_its_own);
    tcase_add_test(truth, relu_passes_nothing_at_exactly_zero);
    tcase_add_test(truth, evaluation_gives_the_loss_and_counts_the_first_of_equals);
    tcase_add_test(truth, confident_mistakes_have_a_finite_loss_and_a_diverged_model_shows);
    suite_add_tcase(suite, truth);
    TCase *bits = tcase_create("bits");
    tcase_add_test(bits, load_then_store_gives_the_same_bits);
    tcase_add_loop_test(bits, all_kernel_sets_train_to_the_same_bits, FED_LINEAR, FED_SIGMOID + 1);
    tcase_add_test(bits, an_absurd_batch_is_refused_not_wrapped);
    suite_add_tcase(suite, bits);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
