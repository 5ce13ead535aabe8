/* Three rounds of federated averaging against PyTorch (tests/vectors/torch_2nn.py): the same data, initial parameters and
 * minibatch orders, made here from the rules in that script's head; every committed number must be met within 1e-6. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/network.h"
#include "common/numeric/fixed.h"
#include "coordinator/aggregate.h"

enum { BATCH = 10, EPOCHS = 2, N_CLIENTS = 4, N_ROUNDS = 3, MAX_EXAMPLES = 58 };
static const double TOLERANCE = 1e-6;

static const size_t examples_of[N_CLIENTS] = {43, 25, 37, MAX_EXAMPLES};
static const struct cohort {
    size_t n, clients[N_CLIENTS];
} cohorts[N_ROUNDS] = {{4, {0, 1, 2, 3}}, {2, {1, 3}}, {3, {3, 0, 2}}};

static const struct net {
    const char *name;
    struct fed_model_spec spec;
    float scale, learning_rate;
} nets[] = {
    {"mnist_2nn",
     {.input = {784}, .n_layers = 3, .layers = {{200, FED_RELU}, {200, FED_RELU}, {10, FED_LINEAR}}},
     0x1p-4f,
     0.1f},
    {"gates", {.input = {20}, .n_layers = 3, .layers = {{33, FED_TANH}, {9, FED_SIGMOID}, {4, FED_LINEAR}}}, 1.0f, 0.5f},
    {"logistic", {.input = {50}, .n_layers = 1, .layers = {{10, FED_LINEAR}}}, 0x1p-3f, 0.2f},
};
enum { N_NETS = sizeof nets / sizeof nets[0] };

static const char *const kernel_sets[] = {"portable", "avx2", "avx512"};
enum { N_KERNEL_SETS = sizeof kernel_sets / sizeof kernel_sets[0] };

static uint32_t draw(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 32);
}

static void draw_order(uint64_t *state, size_t *order, size_t n) {
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = draw(state) % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

struct shard {
    float *x; /* (n_k, inputs) */
    uint32_t y[MAX_EXAMPLES];
};

static void make_shards(struct shard shards[N_CLIENTS], const struct fed_model *model) {
    uint64_t state = 1;
    size_t inputs = model->spec.input.channels;
    for (size_t k = 0; k < N_CLIENTS; k++) {
        shards[k].x = malloc(examples_of[k] * inputs * sizeof(float));
        ck_assert_ptr_nonnull(shards[k].x);
        for (size_t i = 0; i < examples_of[k]; i++) {
            for (size_t j = 0; j < inputs; j++) {
                uint32_t d = draw(&state);
                shards[k].x[i * inputs + j] = d % 5 == 0 ? (float)(d >> 24) / 255.0f : 0.0f;
            }
            shards[k].y[i] = draw(&state) % model->n_classes;
        }
    }
}

static void make_parameters(float *params, size_t n, float scale) {
    uint64_t state = 2;
    for (size_t i = 0; i < n; i++)
        params[i] = (float)((int32_t)(draw(&state) >> 9) - (1 << 22)) * 0x1p-22f * scale;
}

/* One federation in the making. */
struct trial {
    const struct net *net;
    struct fed_model model;
    struct fed_network *network;
    struct fed_fixed fixed;
    struct fed_aggregate aggregate;
    struct shard shards[N_CLIENTS];
    uint64_t orders; /* generator of the minibatch orders */
    float *params, *delta;
    FILE *vectors;
};

static void begin(struct trial *t, const struct net *net, const struct fed_kernels *kernels) {
    *t = (struct trial){.net = net, .orders = 3};
    ck_assert_int_eq(fed_model_init(&t->model, &net->spec, NULL), 0);
    ck_assert_int_eq(fed_network_new(&t->network, &t->model, BATCH, FED_NETWORK_TRAIN, kernels), 0);
    ck_assert_int_eq(fed_fixed_init(&t->fixed, 64.0, MAX_EXAMPLES, N_CLIENTS, NULL), 0);
    ck_assert_int_eq(fed_aggregate_init(&t->aggregate, &t->fixed, t->model.n_params), 0);
    make_shards(t->shards, &t->model);
    t->params = malloc(t->model.n_params * sizeof(float));
    t->delta = malloc(t->model.n_params * sizeof(float));
    ck_assert(t->params && t->delta);
    make_parameters(t->params, t->model.n_params, net->scale);
}

static void end(struct trial *t) {
    for (size_t k = 0; k < N_CLIENTS; k++)
        free(t->shards[k].x);
    free(t->params);
    free(t->delta);
    fed_aggregate_fini(&t->aggregate);
    fed_network_free(t->network);
}

static double train_batch(struct trial *t, const struct shard *shard, const size_t *order, size_t rows) {
    size_t stride, inputs = t->model.spec.input.channels;
    float *x = fed_network_input(t->network, &stride);
    uint32_t y[BATCH];
    for (size_t b = 0; b < rows; b++) {
        memcpy(x + b * stride, shard->x + order[b] * inputs, inputs * sizeof(float));
        y[b] = shard->y[order[b]];
    }
    return fed_network_step(t->network, y, rows, t->net->learning_rate);
}

/* Leaves the client's update in delta; returns the summed loss. */
static double train_client(struct trial *t, size_t k) {
    double loss = 0;
    fed_network_load(t->network, t->params);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        size_t order[MAX_EXAMPLES], n = examples_of[k];
        draw_order(&t->orders, order, n);
        for (size_t at = 0; at < n; at += BATCH)
            loss += train_batch(t, &t->shards[k], order + at, n - at < BATCH ? n - at : BATCH);
    }
    fed_network_store(t->network, t->delta);
    for (size_t i = 0; i < t->model.n_params; i++)
        t->delta[i] -= t->params[i];
    return loss;
}

/* Trains the cohort and moves params to the round's model; returns the mean loss. */
static double run_round(struct trial *t, const struct cohort *cohort) {
    double loss = 0;
    size_t n_params = t->model.n_params, seen = 0;
    fed_aggregate_clear(&t->aggregate);
    for (size_t i = 0; i < cohort->n; i++) {
        size_t k = cohort->clients[i];
        loss += train_client(t, k);
        seen += EPOCHS * examples_of[k];
        ck_assert_uint_eq(fed_fixed_check(&t->fixed, t->delta, n_params), n_params);
        fed_aggregate_add(&t->aggregate, t->delta, 0, n_params, examples_of[k]);
        fed_aggregate_count(&t->aggregate, examples_of[k], 1);
    }
    ck_assert_uint_eq(fed_aggregate_mean(&t->aggregate, t->params, t->params), n_params);
    return loss / (double)seen;
}

static void expect_near(double found, double expected, double tolerance, const struct trial *t, int round,
                        const char *what) {
    ck_assert_msg(fabs(found - expected) <= tolerance, "%s, round %d, %s: %.9g, PyTorch %.9g", t->net->name, round, what,
                  found, expected);
}

/* Sums and norms see every element; their tolerances are those of independent roundings. */
static void expect_tensors(const struct trial *t, int round) {
    for (uint32_t i = 0; i < t->model.n_tensors; i++) {
        const struct fed_tensor *tensor = &t->model.tensors[i];
        char name[32];
        double expected_sum, expected_norm, sum = 0, squares = 0;
        ck_assert_int_eq(fscanf(t->vectors, " tensor %31s %lf %lf", name, &expected_sum, &expected_norm), 3);
        ck_assert_str_eq(name, tensor->name);
        for (size_t j = tensor->offset; j < tensor->offset + tensor->count; j++) {
            sum += t->params[j];
            squares += (double)t->params[j] * t->params[j];
        }
        expect_near(sum, expected_sum, TOLERANCE * sqrt((double)tensor->count), t, round, tensor->name);
        expect_near(sqrt(squares), expected_norm, TOLERANCE, t, round, tensor->name);
    }
}

static void expect_values(const struct trial *t, int round) {
    size_t n, stride;
    ck_assert_int_eq(fscanf(t->vectors, " values %zu %zu", &n, &stride), 2);
    ck_assert_uint_eq(n, (t->model.n_params + stride - 1) / stride);
    for (size_t i = 0; i < n; i++) {
        char what[32];
        double expected;
        ck_assert_int_eq(fscanf(t->vectors, "%lf", &expected), 1);
        snprintf(what, sizeof what, "parameter %zu", i * stride);
        expect_near(t->params[i * stride], expected, TOLERANCE, t, round, what);
    }
}

static void expect_round(struct trial *t, int round, double loss) {
    char name[32];
    int number;
    double expected_loss;
    ck_assert_int_eq(fscanf(t->vectors, " round %31s %d %lf", name, &number, &expected_loss), 3);
    ck_assert_str_eq(name, t->net->name);
    ck_assert_int_eq(number, round);
    expect_near(loss, expected_loss, TOLERANCE, t, round, "loss");
    expect_tensors(t, round);
    expect_values(t, round);
}

START_TEST(three_rounds_end_where_pytorch_ends) {
    const struct fed_kernels *kernels = fed_kernels_by_name(kernel_sets[_i]);
    if (!kernels)
        return; /* not runnable on this processor */
    FILE *vectors = fopen(FED_VECTORS "/torch_2nn.txt", "r");
    ck_assert_ptr_nonnull(vectors);
    ck_assert_int_eq(fscanf(vectors, "#%*[^\n]"), 0);
    for (size_t i = 0; i < N_NETS; i++) {
        struct trial t;
        begin(&t, &nets[i], kernels);
        t.vectors = vectors;
        for (int round = 0; round < N_ROUNDS; round++)
            expect_round(&t, round + 1, run_round(&t, &cohorts[round]));
        end(&t);
    }
    fclose(vectors);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("torch");
    TCase *tests = tcase_create("trajectories");
    tcase_add_loop_test(tests, three_rounds_end_where_pytorch_ends, 0, N_KERNEL_SETS);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
