/* Embeddings and LSTMs against finite differences of a second implementation, in double and one example at a time. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/network.h"

static const char *const set_names[] = {"portable", "neon", "avx2", "avx512"};
#define N_SETS (sizeof set_names / sizeof *set_names)

/* -- models and batches ------------------------------------------------------------------------------------------------ */

enum { MAX_STEPS = 8, MAX_CHANNELS = 40 };

struct shape {
    uint32_t n_symbols; /* 0: sequences of numbers */
    uint32_t inputs;    /* numbers of a step, or units of the embedding */
    uint32_t steps, lstm[2], classes;
    bool whole; /* all steps go into one prediction */
};

static const struct shape shapes[] = {
    {11, 3, 5, {7, 6}, 4},   /* text, stacked */
    {0, 5, 4, {8}, 3},       /* numbers */
    {0, 3, 4, {5}, 3, true}, /* numbers, one label for all of them */
    {0, 2, 1, {7, 5}, 3},    /* a sequence of length 1 */
    {6, 4, 1, {3}, 2},       /* a text of length 1 */
    {5, 5, 3, {33}, 9},      /* gates that leave most of their last panel empty */
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, N_SMALL_SHAPES = N_SHAPES - 1 };

static struct fed_model build(const struct shape *shape) {
    struct fed_model_spec spec = {.input = {.steps = shape->steps}, .n_symbols = shape->n_symbols};
    struct fed_model model;
    struct fed_error err;
    if (shape->n_symbols > 0) {
        spec.layers[spec.n_layers++] = (struct fed_layer_spec){shape->inputs, .kind = FED_EMBEDDING};
    } else {
        spec.input.channels = shape->inputs;
    }
    for (size_t i = 0; i < 2 && shape->lstm[i] > 0; i++) {
        spec.layers[spec.n_layers++] = (struct fed_layer_spec){shape->lstm[i], .kind = FED_LSTM};
    }
    if (shape->whole) {
        spec.layers[spec.n_layers++] = (struct fed_layer_spec){.kind = FED_FLATTEN};
    }
    spec.layers[spec.n_layers++] = (struct fed_layer_spec){shape->classes};
    ck_assert_msg(fed_model_init(&model, &spec, &err) == FED_OK, "%s", err.text);
    return model;
}

static uint32_t state = 1;

static float next_float(void) {
    state = state * 1664525u + 1013904223u;
    return (float)((int32_t)(state >> 8) - (1 << 23)) * 0x1p-23f;
}

static uint32_t next_below(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static float *new_floats(size_t n) {
    float *a = calloc(n, sizeof *a);
    ck_assert_ptr_nonnull(a);
    return a;
}

static float *random_params(const struct fed_model *model, float size) {
    float *params = new_floats(model->n_params);
    for (size_t i = 0; i < model->n_params; i++) {
        params[i] = size * next_float();
    }
    return params;
}

static struct fed_network *new_network(const struct fed_model *model, size_t max_batch, enum fed_network_use use,
                                       const char *set) {
    struct fed_network *net;
    ck_assert_int_eq(fed_network_new(&net, model, max_batch, use, fed_kernels_by_name(set)), FED_OK);
    return net;
}

/* Fills all rows. Few symbols and few steps make symbols come more than once. */
static void fill_batch(struct fed_network *net, const struct fed_model *model) {
    const struct fed_batch *batch = fed_network_batch(net);
    for (size_t b = 0; b < batch->max_rows; b++) {
        for (size_t t = 0; t < batch->n_symbols; t++) {
            batch->symbols[b * batch->n_symbols + t] = next_below(model->spec.n_symbols);
        }
        for (size_t k = 0; k < batch->n_features; k++) {
            batch->features[b * batch->stride + k] = next_float();
        }
        for (size_t t = 0; t < batch->n_targets; t++) {
            batch->labels[b * batch->n_targets + t] = next_below(model->n_classes);
        }
    }
}

static void copy_batch(struct fed_network *to, struct fed_network *from, size_t rows) {
    const struct fed_batch *out = fed_network_batch(to), *in = fed_network_batch(from);
    if (in->symbols != NULL) {
        memcpy(out->symbols, in->symbols, rows * in->n_symbols * sizeof *in->symbols);
    } else {
        memcpy(out->features, in->features, rows * in->stride * sizeof *in->features);
    }
    memcpy(out->labels, in->labels, rows * in->n_targets * sizeof *in->labels);
}

/* -- the second implementation ----------------------------------------------------------------------------------------- */

typedef double sequence[MAX_STEPS][MAX_CHANNELS];

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }

/* w (out, in) row-major times x. */
static double product(const double *w, size_t row, size_t n, const double *x) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        sum += w[row * n + k] * x[k];
    }
    return sum;
}

static void double_lstm(sequence y, sequence x, const double *ih, const double *hh, const double *bias, size_t steps,
                        size_t n, size_t units) {
    double h[MAX_CHANNELS] = {0}, c[MAX_CHANNELS] = {0};
    for (size_t t = 0; t < steps; t++) {
        for (size_t u = 0; u < units; u++) {
            double z[4];
            for (size_t gate = 0; gate < 4; gate++) {
                size_t row = gate * units + u;
                z[gate] = product(ih, row, n, x[t]) + product(hh, row, units, h) + bias[row];
            }
            c[u] = sigmoid(z[1]) * c[u] + sigmoid(z[0]) * tanh(z[2]);
            y[t][u] = sigmoid(z[3]) * tanh(c[u]);
        }
        memcpy(h, y[t], sizeof h);
    }
}

static void double_dense(sequence y, sequence x, const double *w, const double *bias, size_t steps, size_t n, size_t units) {
    for (size_t t = 0; t < steps; t++) {
        for (size_t u = 0; u < units; u++) {
            y[t][u] = product(w, u, n, x[t]) + bias[u];
        }
    }
}

static void double_flatten(sequence y, sequence x, size_t steps, size_t n) {
    for (size_t i = 0; i < steps * n; i++) {
        y[0][i] = x[i / n][i % n];
    }
}

static void double_input(sequence x, const struct fed_model *model, const struct fed_batch *batch, size_t b,
                         const double *embedding) {
    struct fed_shape in = model->layers[0].in;
    size_t units = model->layers[0].out.channels;
    for (size_t t = 0; t < in.steps; t++) {
        for (size_t k = 0; embedding != NULL && k < units; k++) {
            x[t][k] = embedding[batch->symbols[b * in.steps + t] * units + k];
        }
        for (size_t k = 0; embedding == NULL && k < in.channels; k++) {
            x[t][k] = (double)batch->features[b * batch->stride + t * in.channels + k];
        }
    }
}

/* The loss of one example: mean over its steps. */
static double double_row_loss(const struct fed_model *model, const double *params, const struct fed_batch *batch, size_t b) {
    static sequence values[2];
    size_t steps = 0, at = 0;
    bool text = model->spec.layers[0].kind == FED_EMBEDDING;
    double sum = 0;
    memset(values, 0, sizeof values);
    double_input(values[0], model, batch, b, text ? params : NULL);
    for (uint32_t l = text; l < model->spec.n_layers; l++, at = !at) {
        const struct fed_model_layer *layer = &model->layers[l];
        const struct fed_tensor *t = &model->tensors[layer->first_tensor];
        steps = layer->in.steps;
        if (model->spec.layers[l].kind == FED_LSTM) {
            double_lstm(values[!at], values[at], params + t[0].offset, params + t[1].offset, params + t[2].offset, steps,
                        layer->in.channels, layer->out.channels);
        } else if (model->spec.layers[l].kind == FED_FLATTEN) {
            double_flatten(values[!at], values[at], steps, layer->in.channels);
        } else {
            double_dense(values[!at], values[at], params + t[0].offset, params + t[1].offset, steps, layer->in.channels,
                         layer->out.channels);
        }
    }
    for (size_t t = 0; t < steps; t++) {
        const double *logits = values[at][t], own = logits[batch->labels[b * steps + t]];
        double total = 0;
        for (size_t j = 0; j < model->n_classes; j++) {
            total += exp(logits[j] - own);
        }
        sum += log(total);
    }
    return sum / (double)steps;
}

static double double_loss(const struct fed_model *model, const double *params, const struct fed_batch *batch, size_t rows) {
    double sum = 0;
    for (size_t b = 0; b < rows; b++) {
        sum += double_row_loss(model, params, batch, b);
    }
    return sum;
}

static double *to_double(const float *a, size_t n) {
    double *d = calloc(n, sizeof *d);
    ck_assert_ptr_nonnull(d);
    for (size_t i = 0; i < n; i++) {
        d[i] = (double)a[i];
    }
    return d;
}

/* Of the mean loss over rows. */
static double *finite_differences(const struct fed_model *model, double *params, const struct fed_batch *batch,
                                  size_t rows) {
    const double h = 1e-5;
    double *gradient = calloc(model->n_params, sizeof *gradient);
    ck_assert_ptr_nonnull(gradient);
    for (size_t i = 0; i < model->n_params; i++) {
        double at = params[i];
        params[i] = at + h;
        double up = double_loss(model, params, batch, rows);
        params[i] = at - h;
        double down = double_loss(model, params, batch, rows);
        params[i] = at;
        gradient[i] = (up - down) / (2 * h) / (double)rows;
    }
    return gradient;
}

/* -- truth ------------------------------------------------------------------------------------------------------------- */

static void assert_close(const struct fed_model *model, const float *found, const double *expected) {
    for (size_t i = 0; i < model->n_params; i++) {
        size_t element;
        double error = fabs((double)found[i] - expected[i]);
        ck_assert_msg(error < 1e-6, "%s[%zu] is %.9g, expected %.9g", fed_model_locate(model, i, &element)->name, element,
                      (double)found[i], expected[i]);
    }
}

START_TEST(every_gradient_is_the_finite_difference) {
    enum { ROWS = 4 };
    struct fed_model model = build(&shapes[_i]);
    float *params = random_params(&model, 0.7f), *after = new_floats(model.n_params);
    struct fed_network *net = new_network(&model, ROWS, FED_NETWORK_TRAIN, "portable");
    struct fed_sgd sgd = {.learning_rate = 1};
    fed_network_load(net, params);
    fill_batch(net, &model);
    double *expected = to_double(params, model.n_params);
    double *gradient = finite_differences(&model, expected, fed_network_batch(net), ROWS);
    double loss = fed_network_step(net, ROWS, &sgd);
    ck_assert_double_eq_tol(loss, double_loss(&model, expected, fed_network_batch(net), ROWS), 1e-5);
    fed_network_store(net, after);
    for (size_t i = 0; i < model.n_params; i++) {
        expected[i] -= gradient[i];
    }
    assert_close(&model, after, expected);
    fed_network_free(net);
    free(params);
    free(after);
    free(expected);
    free(gradient);
}
END_TEST

START_TEST(momentum_and_decay_go_with_every_tensor) {
    enum { ROWS = 3 };
    struct fed_model model = build(&shapes[_i]);
    float *params = random_params(&model, 0.7f), *after = new_floats(model.n_params);
    struct fed_network *net = new_network(&model, ROWS, FED_NETWORK_MOMENTUM, "portable");
    struct fed_sgd sgd = {.learning_rate = 0.5f, .momentum = 0.75f, .weight_decay = 0.125f};
    double *expected = to_double(params, model.n_params), *velocity = calloc(model.n_params, sizeof *velocity);
    fed_network_load(net, params);
    for (int step = 0; step < 3; step++) {
        fill_batch(net, &model);
        double *gradient = finite_differences(&model, expected, fed_network_batch(net), ROWS);
        fed_network_step(net, ROWS, &sgd);
        for (size_t i = 0; i < model.n_params; i++) {
            velocity[i] = 0.75 * velocity[i] + gradient[i] + 0.125 * expected[i];
            expected[i] -= 0.5 * velocity[i];
        }
        free(gradient);
    }
    fed_network_store(net, after);
    assert_close(&model, after, expected);
    fed_network_free(net);
    free(params);
    free(after);
    free(expected);
    free(velocity);
}
END_TEST

/* Two rows of two steps of one symbol, an embedding of one unit, and two logits that are equal: each of four gradients is
 * 2^-25, half of what could change a weight of 1. */
START_TEST(what_is_too_small_to_change_a_weight_adds_up) {
    const float sum = 0x1p-23f, expected[] = {1 + sum, 0.25f, 1 + sum, -sum, sum, 1 - sum};
    float params[] = {1, 0.25f, 1, 0, 0, 1}; /* of two symbols; weights and biases of the logits */
    struct fed_model model = build(&(struct shape){.n_symbols = 2, .inputs = 1, .steps = 2, .classes = 2});
    struct fed_network *net = new_network(&model, 2, FED_NETWORK_TRAIN, "portable");
    const struct fed_batch *batch = fed_network_batch(net);
    struct fed_sgd sgd = {.learning_rate = 0x1p-22f};
    fed_network_load(net, params);
    memset(batch->symbols, 0, 4 * sizeof *batch->symbols);
    memset(batch->labels, 0, 4 * sizeof *batch->labels);
    fed_network_step(net, 2, &sgd);
    fed_network_store(net, params);
    ck_assert_mem_eq(params, expected, sizeof params);
    fed_network_free(net);
}
END_TEST

/* -- bits -------------------------------------------------------------------------------------------------------------- */

START_TEST(load_then_store_gives_the_same_bits) {
    struct fed_model model = build(&shapes[_i]);
    float *params = random_params(&model, 1), *back = new_floats(model.n_params);
    params[0] = -0.0f;
    params[model.n_params - 1] = NAN;
    struct fed_network *net = new_network(&model, 3, FED_NETWORK_TRAIN, "portable");
    fed_network_load(net, params);
    fed_network_store(net, back);
    ck_assert_mem_eq(back, params, model.n_params * sizeof *params);
    fed_network_free(net);
    free(params);
    free(back);
}
END_TEST

/* Batches of every length; with momentum, so that the order of the folds shows too. */
static double train(struct fed_network *net, const struct fed_model *model, size_t rows, const float *params, float *after) {
    struct fed_sgd sgd = {.learning_rate = 0.3f, .momentum = 0.5f, .weight_decay = 0.01f};
    double loss = 0;
    state = 7;
    fed_network_load(net, params);
    for (size_t step = 0; step < rows; step++) {
        fill_batch(net, model);
        loss += fed_network_step(net, rows - step, &sgd);
    }
    fed_network_store(net, after);
    return loss;
}

START_TEST(all_kernel_sets_train_to_the_same_bits) {
    enum { ROWS = 13 };
    struct fed_model model = build(&shapes[_i]);
    float *params = random_params(&model, 0.4f);
    float *first = new_floats(model.n_params), *after = new_floats(model.n_params);
    struct fed_network *net = new_network(&model, ROWS, FED_NETWORK_MOMENTUM, "portable");
    double first_loss = train(net, &model, ROWS, params, first);
    fed_network_free(net);
    ck_assert_mem_ne(first, params, model.n_params * sizeof *first);
    for (size_t s = 1; s < N_SETS; s++) {
        if (fed_kernels_by_name(set_names[s]) != NULL) {
            net = new_network(&model, ROWS, FED_NETWORK_MOMENTUM, set_names[s]);
            double loss = train(net, &model, ROWS, params, after);
            ck_assert_msg(memcmp(first, after, model.n_params * sizeof *first) == 0, "%s differs", set_names[s]);
            ck_assert(loss == first_loss);
            fed_network_free(net);
        }
    }
    free(params);
    free(first);
    free(after);
}
END_TEST

START_TEST(a_short_batch_is_a_batch_of_its_own) {
    struct fed_model model = build(&shapes[_i]);
    float *params = random_params(&model, 0.7f), *a = new_floats(model.n_params), *b = new_floats(model.n_params);
    struct fed_network *large = new_network(&model, 8, FED_NETWORK_TRAIN, "portable");
    struct fed_network *small = new_network(&model, 3, FED_NETWORK_TRAIN, "portable");
    struct fed_sgd sgd = {.learning_rate = 1};
    fed_network_load(large, params);
    fill_batch(large, &model);
    fed_network_step(large, 8, &sgd); /* leaves its traces in the rows that the next one does not use */
    fed_network_load(large, params);
    fed_network_load(small, params);
    fill_batch(large, &model);
    copy_batch(small, large, 3);
    ck_assert(fed_network_step(large, 3, &sgd) == fed_network_step(small, 3, &sgd));
    fed_network_store(large, a);
    fed_network_store(small, b);
    ck_assert_mem_eq(a, b, model.n_params * sizeof *a);
    fed_network_free(large);
    fed_network_free(small);
    free(params);
    free(a);
    free(b);
}
END_TEST

START_TEST(an_evaluation_computes_what_a_step_computes) {
    enum { ROWS = 5 };
    struct fed_model model = build(&shapes[_i]);
    float *params = random_params(&model, 0.7f);
    struct fed_network *step = new_network(&model, ROWS, FED_NETWORK_TRAIN, "portable");
    struct fed_network *evaluation = new_network(&model, ROWS, FED_NETWORK_EVALUATE, "portable");
    struct fed_sgd sgd = {.learning_rate = 1};
    fed_network_load(step, params);
    fed_network_load(evaluation, params);
    for (int repeat = 0; repeat < 2; repeat++) { /* the second starts from zeros as the first did */
        double loss = 0;
        size_t strides[2];
        struct fed_hits hits = {0};
        fill_batch(step, &model);
        copy_batch(evaluation, step, ROWS);
        fed_network_evaluate(evaluation, ROWS, &loss, &hits);
        const float *outputs = fed_network_outputs(step, ROWS, &strides[0]);
        const float *others = fed_network_outputs(evaluation, ROWS, &strides[1]);
        ck_assert_uint_eq(strides[0], strides[1]);
        ck_assert_mem_eq(outputs, others, model.n_targets * ROWS * strides[0] * sizeof *outputs);
        ck_assert(loss == fed_network_step(step, ROWS, &sgd));
        fed_network_load(step, params);
    }
    fed_network_free(step);
    fed_network_free(evaluation);
    free(params);
}
END_TEST

START_TEST(an_evaluation_does_not_keep_the_gates_of_all_steps) {
    struct fed_model_spec spec;
    struct fed_model model;
    ck_assert_int_eq(fed_model_preset(&spec, "char_lstm"), FED_OK);
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    size_t gates = (size_t)2 * 80 * 4 * 256 * sizeof(float), rows = 100;
    size_t weights = fed_network_bytes(&model, 1, FED_NETWORK_EVALUATE);
    ck_assert_uint_lt(fed_network_bytes(&model, rows, FED_NETWORK_EVALUATE), weights + rows * gates / 2);
    ck_assert_uint_gt(fed_network_bytes(&model, rows, FED_NETWORK_TRAIN), weights + rows * gates);
}
END_TEST

START_TEST(an_absurd_batch_is_refused_not_wrapped) {
    struct fed_model model = build(&shapes[_i]);
    struct fed_network *net = NULL;
    const struct fed_kernels *kernels = fed_kernels_by_name("portable");
    ck_assert_int_eq(fed_network_new(&net, &model, SIZE_MAX / 64, FED_NETWORK_TRAIN, kernels), FED_ENOMEM);
    ck_assert_int_eq(fed_network_new(&net, &model, SIZE_MAX, FED_NETWORK_EVALUATE, kernels), FED_ENOMEM);
    ck_assert_ptr_null(net);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lstm");
    TCase *truth = tcase_create("truth");
    tcase_add_loop_test(truth, every_gradient_is_the_finite_difference, 0, N_SHAPES);
    tcase_add_loop_test(truth, momentum_and_decay_go_with_every_tensor, 0, N_SMALL_SHAPES);
    tcase_add_test(truth, what_is_too_small_to_change_a_weight_adds_up);
    suite_add_tcase(suite, truth);
    TCase *bits = tcase_create("bits");
    tcase_add_loop_test(bits, load_then_store_gives_the_same_bits, 0, N_SHAPES);
    tcase_add_loop_test(bits, all_kernel_sets_train_to_the_same_bits, 0, N_SHAPES);
    tcase_add_loop_test(bits, a_short_batch_is_a_batch_of_its_own, 0, N_SHAPES);
    tcase_add_loop_test(bits, an_evaluation_computes_what_a_step_computes, 0, N_SHAPES);
    suite_add_tcase(suite, bits);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, an_evaluation_does_not_keep_the_gates_of_all_steps);
    tcase_add_loop_test(memory, an_absurd_batch_is_refused_not_wrapped, 0, N_SHAPES);
    suite_add_tcase(suite, memory);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
