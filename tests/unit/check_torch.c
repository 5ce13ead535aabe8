/* Rounds of federated averaging against PyTorch (tests/vectors/torch_rounds.py): the same data, initial parameters and
 * minibatch orders, made here from the rules in that script's head; every committed number must be met within 1e-6. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/network.h"
#include "common/numeric/fixed.h"
#include "coordinator/round/aggregate.h"

enum { N_CLIENTS = 4, MAX_ROUNDS = 3, MAX_EXAMPLES = 58 };
static const double TOLERANCE = 1e-6;

static const struct cohort {
    size_t n, clients[N_CLIENTS];
} cohorts[MAX_ROUNDS] = {{4, {0, 1, 2, 3}}, {2, {1, 3}}, {3, {3, 0, 2}}};

/* Shards end in short batches. */
static const struct plan {
    int rounds, epochs;
    size_t batch, examples[N_CLIENTS];
} small = {3, 2, 10, {43, 25, 37, MAX_EXAMPLES}}, large = {2, 1, 4, {5, 2, 3, 6}};

#define DENSE(n, activation)                                                                                                \
    { n, activation, FED_DENSE, 0, 0, 0 }
#define CONV(n, kernel, stride, padding, activation)                                                                        \
    { n, activation, FED_CONV2D, kernel, stride, padding }
#define POOL(kernel, stride, padding)                                                                                       \
    { 0, FED_LINEAR, FED_MAX_POOL, kernel, stride, padding }
#define PLAIN(kind, n)                                                                                                      \
    { n, FED_LINEAR, kind, 0, 0, 0 }

static const struct net {
    const char *name;
    struct fed_model_spec spec; /* no layers: the preset of that name */
    float scale;                /* of initial values */
    struct fed_sgd sgd;
    const struct plan *plan;
    bool costly; /* too many operations for the portable set, a call of fmaf each; the nets before cover its code */
} nets[] = {
    {"gates",
     {.input = {20}, .n_layers = 3, .layers = {DENSE(33, FED_TANH), DENSE(9, FED_SIGMOID), DENSE(4, FED_LINEAR)}},
     1.0f,
     {.learning_rate = 0.5f},
     &small,
     false},
    {"logistic",
     {.input = {50}, .n_layers = 1, .layers = {DENSE(10, FED_LINEAR)}},
     0x1p-3f,
     {.learning_rate = 0.25f},
     &small,
     false},
    {"momentum",
     {.input = {30}, .n_layers = 2, .layers = {DENSE(17, FED_RELU), DENSE(5, FED_LINEAR)}},
     0.5f,
     {.learning_rate = 0x1p-4f, .momentum = 0.875f, .weight_decay = 0x1p-6f},
     &small,
     false},
    {"decay",
     {.input = {30}, .n_layers = 2, .layers = {DENSE(17, FED_RELU), DENSE(5, FED_LINEAR)}},
     0.5f,
     {.learning_rate = 0.25f, .weight_decay = 0x1p-6f},
     &small,
     false},
    {"binary",
     {.input = {12}, .loss = FED_BINARY_CROSS_ENTROPY, .n_layers = 2, .layers = {DENSE(8, FED_TANH), DENSE(1, FED_LINEAR)}},
     1.0f,
     {.learning_rate = 0.5f},
     &small,
     false},
    {"squares",
     {.input = {12}, .loss = FED_MEAN_SQUARED_ERROR, .n_layers = 2, .layers = {DENSE(8, FED_SIGMOID), DENSE(3, FED_LINEAR)}},
     1.0f,
     {.learning_rate = 0.5f},
     &small,
     false},
    {"inside", /* strides and windows that overlap, without padding */
     {.input = {.height = 11, .width = 9, .channels = 2},
      .n_layers = 4,
      .layers = {CONV(5, 3, 2, FED_VALID, FED_TANH), POOL(3, 1, FED_VALID), PLAIN(FED_FLATTEN, 0), DENSE(4, FED_LINEAR)}},
     0.5f,
     {.learning_rate = 0.25f},
     &small,
     false},
    {"around", /* paddings of unequal halves */
     {.input = {.height = 12, .width = 7, .channels = 3},
      .n_layers = 5,
      .layers = {CONV(6, 5, 2, FED_SAME, FED_RELU), POOL(3, 2, FED_SAME), CONV(4, 3, 1, FED_SAME, FED_SIGMOID),
                 PLAIN(FED_FLATTEN, 0), DENSE(5, FED_LINEAR)}},
     0.5f,
     {.learning_rate = 0.25f, .momentum = 0.5f, .weight_decay = 0x1p-8f},
     &small,
     false},
    {"letters",
     {.input = {.steps = 6},
      .n_symbols = 7,
      .symbols = "abcdefg",
      .n_layers = 4,
      .layers = {PLAIN(FED_EMBEDDING, 3), PLAIN(FED_LSTM, 5), PLAIN(FED_LSTM, 4), DENSE(7, FED_LINEAR)}},
     0.25f,
     {.learning_rate = 0.5f},
     &small,
     false},
    {"series", /* a sequence whose steps all go into one prediction */
     {.input = {.steps = 5, .channels = 3},
      .loss = FED_BINARY_CROSS_ENTROPY,
      .n_layers = 3,
      .layers = {PLAIN(FED_LSTM, 6), PLAIN(FED_FLATTEN, 0), DENSE(1, FED_LINEAR)}},
     0.5f,
     {.learning_rate = 0.5f, .weight_decay = 0x1p-7f},
     &small,
     false},
    {"steps", /* a sequence of vectors, numbers to be met at each step */
     {.input = {.steps = 5, .channels = 3},
      .loss = FED_MEAN_SQUARED_ERROR,
      .n_layers = 2,
      .layers = {PLAIN(FED_LSTM, 6), DENSE(2, FED_LINEAR)}},
     1.0f,
     {.learning_rate = 0.25f, .momentum = 0.75f},
     &small,
     false},
    /* the presets, which are large: valgrind, which takes a minute for a second, is spared them */
    {"mnist_2nn", {.n_layers = 0}, 0x1p-4f, {.learning_rate = 0.125f}, &small, false},
    {"mnist_cnn", {.n_layers = 0}, 0x1p-4f, {.learning_rate = 0.125f}, &large, true},
    {"char_lstm", {.n_layers = 0}, 0x1p-4f, {.learning_rate = 1.0f}, &large, true},
};
enum { N_NETS = sizeof nets / sizeof nets[0], N_SMALL = N_NETS - 3 };

static const char *const kernel_sets[] = {"portable", "neon", "avx2", "avx512"};
enum { N_KERNEL_SETS = sizeof kernel_sets / sizeof kernel_sets[0] };

/* -- the rules of the script ------------------------------------------------------------------------------------------- */

static uint32_t draw(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 32);
}

static float draw_number(uint64_t *state) { return (float)((int32_t)(draw(state) >> 9) - (1 << 22)) * 0x1p-22f; }

static float draw_pixel(uint64_t *state) {
    uint32_t d = draw(state);
    return d % 5 == 0 ? (float)(d >> 24) / 255.0f : 0.0f;
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

/* Either features or symbols, either labels or targets: what the model reads. */
struct shard {
    float *features, *targets;
    uint32_t *symbols, *labels;
};

static void *allocate(size_t n) {
    void *words = calloc(n, sizeof(float));
    ck_assert_ptr_nonnull(words);
    return words;
}

static void make_shard(struct shard *shard, const struct fed_model *model, size_t n_examples, uint64_t *state) {
    size_t n_inputs = fed_shape_size(model->spec.input), n_targets = model->n_targets;
    *shard = (struct shard){allocate(n_examples * n_inputs), allocate(n_examples * n_targets),
                            allocate(n_examples * n_inputs), allocate(n_examples * n_targets)};
    for (size_t i = 0; i < n_examples; i++) {
        for (size_t j = i * n_inputs; j < (i + 1) * n_inputs; j++) {
            if (model->spec.n_symbols > 0)
                shard->symbols[j] = draw(state) % model->spec.n_symbols;
            else
                shard->features[j] = draw_pixel(state);
        }
        for (size_t j = i * n_targets; j < (i + 1) * n_targets; j++) {
            if (model->spec.loss == FED_MEAN_SQUARED_ERROR)
                shard->targets[j] = draw_number(state);
            else
                shard->labels[j] = draw(state) % model->n_classes;
        }
    }
}

static void free_shard(struct shard *shard) {
    free(shard->features);
    free(shard->targets);
    free(shard->symbols);
    free(shard->labels);
}

/* -- one federation in the making -------------------------------------------------------------------------------------- */

struct trial {
    const struct net *net;
    const struct plan *plan;
    struct fed_model model;
    struct fed_network *network;
    struct fed_fixed fixed;
    struct fed_aggregate aggregate;
    struct shard shards[N_CLIENTS];
    uint64_t orders; /* generator of the minibatch orders */
    float *params, *delta;
    FILE *vectors;
};

static void make_model(struct fed_model *model, const struct net *net) {
    struct fed_model_spec spec = net->spec;
    if (spec.n_layers == 0)
        ck_assert_int_eq(fed_model_preset(&spec, net->name), 0);
    ck_assert_int_eq(fed_model_init(model, &spec, NULL), 0);
}

static void begin(struct trial *t, const struct net *net, const struct fed_kernels *kernels) {
    uint64_t data = 1, values = 2;
    *t = (struct trial){.net = net, .plan = net->plan, .orders = 3};
    make_model(&t->model, net);
    enum fed_network_use use = net->sgd.momentum > 0.0f ? FED_NETWORK_MOMENTUM : FED_NETWORK_TRAIN;
    ck_assert_int_eq(fed_network_new(&t->network, &t->model, t->plan->batch, use, kernels), 0);
    ck_assert_int_eq(fed_fixed_init(&t->fixed, 64.0, MAX_EXAMPLES, N_CLIENTS, NULL), 0);
    ck_assert_int_eq(fed_aggregate_init(&t->aggregate, &t->fixed, t->model.n_params), 0);
    for (size_t k = 0; k < N_CLIENTS; k++)
        make_shard(&t->shards[k], &t->model, t->plan->examples[k], &data);
    t->params = allocate(t->model.n_params);
    t->delta = allocate(t->model.n_params);
    for (size_t i = 0; i < t->model.n_params; i++)
        t->params[i] = draw_number(&values) * net->scale;
}

static void end(struct trial *t) {
    for (size_t k = 0; k < N_CLIENTS; k++)
        free_shard(&t->shards[k]);
    free(t->params);
    free(t->delta);
    fed_aggregate_fini(&t->aggregate);
    fed_network_free(t->network);
}

/* n words of four bytes each. */
static void copy_row(void *to, size_t to_row, size_t stride, const void *from, size_t from_row, size_t n) {
    memcpy((uint32_t *)to + to_row * stride, (const uint32_t *)from + from_row * n, n * sizeof(uint32_t));
}

static double train_batch(struct trial *t, const struct shard *shard, const size_t *order, size_t rows) {
    const struct fed_batch *batch = fed_network_batch(t->network);
    for (size_t b = 0; b < rows; b++) {
        if (batch->symbols)
            copy_row(batch->symbols, b, batch->n_symbols, shard->symbols, order[b], batch->n_symbols);
        else
            copy_row(batch->features, b, batch->stride, shard->features, order[b], batch->n_features);
        if (batch->targets)
            copy_row(batch->targets, b, batch->n_targets, shard->targets, order[b], batch->n_targets);
        else
            copy_row(batch->labels, b, batch->n_targets, shard->labels, order[b], batch->n_targets);
    }
    return fed_network_step(t->network, rows, &t->net->sgd);
}

/* Leaves the client's update in delta; returns the summed loss. */
static double train_client(struct trial *t, size_t k) {
    double loss = 0;
    size_t order[MAX_EXAMPLES], n = t->plan->examples[k], batch = t->plan->batch;
    fed_network_load(t->network, t->params);
    for (int epoch = 0; epoch < t->plan->epochs; epoch++) {
        draw_order(&t->orders, order, n);
        for (size_t at = 0; at < n; at += batch)
            loss += train_batch(t, &t->shards[k], order + at, n - at < batch ? n - at : batch);
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
        size_t k = cohort->clients[i], n_examples = t->plan->examples[k];
        loss += train_client(t, k);
        seen += (size_t)t->plan->epochs * n_examples;
        ck_assert_uint_eq(fed_fixed_check(&t->fixed, t->delta, n_params), n_params);
        fed_aggregate_add(&t->aggregate, t->delta, 0, n_params, n_examples, 1);
        fed_aggregate_count(&t->aggregate, n_examples, 1);
    }
    ck_assert_uint_eq(fed_aggregate_mean(&t->aggregate, t->params, t->params), n_params);
    return loss / (double)seen;
}

/* -- against the vectors ----------------------------------------------------------------------------------------------- */

static void expect_near(const struct trial *t, const char *what, size_t i, double found, double expected, double tolerance) {
    ck_assert_msg(fabs(found - expected) <= tolerance, "%s, %s %zu: %.9g, PyTorch %.9g", t->net->name, what, i, found,
                  expected);
}

static void expect_loss(const struct trial *t, int round, double loss) {
    int number;
    double expected;
    ck_assert_int_eq(fscanf(t->vectors, " loss %d %lf", &number, &expected), 2);
    ck_assert_int_eq(number, round);
    expect_near(t, "loss of round", (size_t)round, loss, expected, TOLERANCE);
}

/* Sum and norm see every element; the sum's tolerance is that of independent roundings. */
static void expect_tensor(const struct trial *t, const struct fed_tensor *tensor) {
    char name[32];
    size_t count;
    double expected_sum, expected_norm, sum = 0, squares = 0;
    const float *w = t->params + tensor->offset;
    ck_assert_int_eq(fscanf(t->vectors, " tensor %31s %lf %lf %zu", name, &expected_sum, &expected_norm, &count), 4);
    ck_assert_str_eq(name, tensor->name);
    ck_assert_uint_gt(count, 0);
    for (size_t i = 0; i < count; i++) {
        size_t at = i * tensor->count / count;
        double expected;
        ck_assert_int_eq(fscanf(t->vectors, "%lf", &expected), 1);
        expect_near(t, name, at, (double)w[at], expected, TOLERANCE);
    }
    for (size_t i = 0; i < tensor->count; i++) {
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
    }
    expect_near(t, "sum of tensor at", tensor->offset, sum, expected_sum, TOLERANCE * sqrt((double)tensor->count));
    expect_near(t, "norm of tensor at", tensor->offset, sqrt(squares), expected_norm, TOLERANCE);
}

/* The vectors, behind the line that begins the net; it promises as many rounds as the plan has. */
static FILE *open_vectors(const struct net *net) {
    char line[128], expected[128];
    FILE *vectors = fopen(FED_VECTORS "/torch_rounds.txt", "r");
    ck_assert_ptr_nonnull(vectors);
    snprintf(expected, sizeof expected, "net %s %d\n", net->name, net->plan->rounds);
    do
        ck_assert_msg(fgets(line, sizeof line, vectors) != NULL, "%s: not among the vectors", net->name);
    while (strcmp(line, expected) != 0);
    return vectors;
}

static void federate(const struct net *net, const struct fed_kernels *kernels) {
    struct trial t;
    begin(&t, net, kernels);
    t.vectors = open_vectors(net);
    for (int round = 0; round < net->plan->rounds; round++)
        expect_loss(&t, round + 1, run_round(&t, &cohorts[round]));
    for (uint32_t i = 0; i < t.model.n_tensors; i++)
        expect_tensor(&t, &t.model.tensors[i]);
    fclose(t.vectors);
    end(&t);
}

START_TEST(rounds_end_where_pytorch_ends) {
    const struct net *net = &nets[_i / N_KERNEL_SETS];
    const char *name = kernel_sets[_i % N_KERNEL_SETS];
    const struct fed_kernels *kernels = fed_kernels_by_name(name);
    if (kernels == NULL || (net->costly && strcmp(name, "portable") == 0))
        return; /* not runnable on this processor, or within the time of a test */
    federate(net, kernels);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("torch");
    TCase *tests = tcase_create("trajectories"), *presets = tcase_create("presets");
    tcase_set_tags(presets, "native");
    tcase_add_loop_test(tests, rounds_end_where_pytorch_ends, 0, N_SMALL * N_KERNEL_SETS);
    tcase_add_loop_test(presets, rounds_end_where_pytorch_ends, N_SMALL * N_KERNEL_SETS, N_NETS * N_KERNEL_SETS);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, presets);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
