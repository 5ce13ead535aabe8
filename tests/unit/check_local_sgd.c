/* ClientUpdate against one step in double, against the algorithm spelled out over network and rng, and against itself on
 * other instruction sets. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/local_sgd.h"
#include "common/base/rng.h"
#include "tests/unit/double_network.h"

enum { EXAMPLES = 60, INPUTS = 45, CLASSES = 5, SHARD = 37 };

static const char *const set_names[] = {"portable", "neon", "avx2", "avx512"};
#define N_SETS (sizeof set_names / sizeof *set_names)

static struct fed_model model;
static float *params;
static struct fed_dataset dataset;
static uint8_t features[EXAMPLES * INPUTS], labels[EXAMPLES];
static uint32_t shard[SHARD]; /* every other example from the back, as a partition might deal them */
static const struct fed_kernels *kernels;

static void setup(void) {
    struct fed_model_spec spec = {
        .input = {INPUTS}, .n_layers = 3, .layers = {{34, FED_RELU}, {19, FED_TANH}, {CLASSES, FED_LINEAR}}};
    struct fed_rng rng;
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    params = malloc(model.n_params * sizeof *params);
    ck_assert_ptr_nonnull(params);
    fed_model_initial(params, &model, 7);
    fed_rng_init(&rng, 3, "test", 0, 0);
    for (size_t i = 0; i < sizeof features; i++) {
        features[i] =
            i % INPUTS % 4 == 1 ? 0 : (uint8_t)(fed_rng_u32(&rng) >> (i % 3 == 0 ? 24 : 31)); /* some zero columns */
    }
    for (size_t i = 0; i < EXAMPLES; i++) {
        labels[i] = (uint8_t)fed_rng_below(&rng, CLASSES);
    }
    for (size_t i = 0; i < SHARD; i++) {
        shard[i] = (uint32_t)((EXAMPLES - 1 + EXAMPLES * 2 - i * 2 + i / 30) % EXAMPLES);
    }
    ck_assert_int_eq(fed_dataset_from_bytes(&dataset, EXAMPLES, INPUTS, features, labels), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&dataset, &model, NULL), FED_OK);
}

static void teardown(void) {
    free(params);
    fed_dataset_fini(&dataset);
}

static struct fed_sgd_terms terms_of(uint32_t epochs, uint32_t batch_size) {
    return (struct fed_sgd_terms){
        .seed = 11, .round = 4, .client = 9, .epochs = epochs, .batch_size = batch_size, .sgd = {.learning_rate = 0.25f}};
}

/* delta: the caller frees it. */
static float *train(const struct fed_kernels *set, const struct fed_sgd_terms *terms, struct fed_sgd_report *report) {
    struct fed_trainer *trainer;
    float *delta = malloc(model.n_params * sizeof *delta);
    ck_assert_ptr_nonnull(delta);
    ck_assert_int_eq(
        fed_trainer_new(&trainer, &model, set, fed_local_sgd_rows(terms->batch_size, SHARD), SHARD, terms->sgd.momentum > 0),
        FED_OK);
    ck_assert_int_eq(fed_local_sgd(trainer, delta, report, params, &dataset, shard, SHARD, terms, NULL), FED_OK);
    fed_trainer_free(trainer);
    return delta;
}

static bool same(const float *a, const float *b) { return memcmp(a, b, model.n_params * sizeof *a) == 0; }

START_TEST(one_full_batch_is_one_plain_step) {
    struct fed_sgd_terms terms = terms_of(1, 0);
    struct fed_sgd_report report;
    float *delta = train(kernels, &terms, &report);
    double *w = malloc(model.n_params * sizeof *w), *x = malloc(SHARD * INPUTS * sizeof *x);
    double y[SHARD];
    for (size_t i = 0; i < model.n_params; i++) {
        w[i] = (double)params[i];
    }
    for (size_t i = 0; i < SHARD; i++) {
        y[i] = labels[shard[i]];
        for (size_t k = 0; k < INPUTS; k++) {
            x[i * INPUTS + k] = features[shard[i] * INPUTS + k] / 255.0;
        }
    }
    ck_assert_double_eq_tol(report.mean_loss, double_loss(&model, w, x, SHARD, y) / SHARD, 1e-6);
    double_step(&model, w, x, SHARD, y, 0.25);
    double change = 0;
    for (size_t i = 0; i < model.n_params; i++) {
        change = fmax(change, fabs((double)delta[i]));
        ck_assert_double_eq_tol((double)delta[i], w[i] - (double)params[i], 1e-6);
    }
    ck_assert_double_gt(change, 1e-3);
    ck_assert_uint_eq(report.n_steps, 1);
    ck_assert_uint_eq(report.n_examples, SHARD);
    free(delta);
    free(w);
    free(x);
}
END_TEST

/* The algorithm in its own words: one stream, a fresh shuffle of the shard for each epoch, batches in order, a short last
 * one. */
static float *spell_out(const struct fed_sgd_terms *terms, double *mean_loss, uint64_t *n_steps) {
    struct fed_network *net;
    struct fed_rng rng;
    float *delta = malloc(model.n_params * sizeof *delta);
    uint32_t order[SHARD];
    ck_assert_int_eq(
        fed_network_new(&net, &model, SHARD, terms->sgd.momentum > 0 ? FED_NETWORK_MOMENTUM : FED_NETWORK_TRAIN, kernels),
        FED_OK);
    const struct fed_batch *batch = fed_network_batch(net);
    fed_rng_init(&rng, terms->seed, "train", terms->round, terms->client);
    fed_network_load(net, params);
    *mean_loss = 0;
    *n_steps = 0;
    for (uint32_t epoch = 0; epoch < terms->epochs; epoch++) {
        for (uint32_t i = 0; i < SHARD; i++) {
            order[i] = i;
        }
        for (uint32_t i = SHARD - 1; i > 0; i--) {
            uint32_t j = fed_rng_below(&rng, i + 1), swap = order[i];
            order[i] = order[j];
            order[j] = swap;
        }
        size_t rows = 0;
        for (size_t i = 0; i < SHARD; i++) {
            const uint8_t *example = features + shard[order[i]] * INPUTS;
            for (size_t k = 0; k < INPUTS; k++) {
                batch->features[rows * batch->stride + k] = (float)example[k] / 255.0f;
            }
            batch->labels[rows++] = labels[shard[order[i]]];
            if (rows == terms->batch_size || i == SHARD - 1) {
                *mean_loss += fed_network_step(net, rows, &terms->sgd) / (SHARD * terms->epochs);
                ++*n_steps;
                rows = 0;
            }
        }
    }
    fed_network_store(net, delta);
    for (size_t i = 0; i < model.n_params; i++) {
        delta[i] = delta[i] - params[i];
    }
    fed_network_free(net);
    return delta;
}

START_TEST(epochs_shuffle_afresh_from_one_stream_and_keep_the_short_batch) {
    static const uint32_t batch_sizes[] = {1, 5, 10, 36, 0};
    for (size_t i = 0; i < sizeof batch_sizes / sizeof *batch_sizes; i++) {
        struct fed_sgd_terms terms = terms_of(3, batch_sizes[i]);
        struct fed_sgd_report report;
        double mean_loss;
        uint64_t n_steps;
        float *got = train(kernels, &terms, &report), *want = spell_out(&terms, &mean_loss, &n_steps);
        ck_assert_msg(same(got, want), "batch size %u", batch_sizes[i]);
        ck_assert_uint_eq(report.n_steps, n_steps);
        ck_assert_double_eq_tol(report.mean_loss, mean_loss, 1e-12);
        free(got);
        free(want);
    }
}
END_TEST

START_TEST(momentum_and_decay_come_with_the_terms) {
    struct fed_sgd_terms plain = terms_of(2, 10), terms = plain;
    struct fed_sgd_report report;
    double mean_loss;
    uint64_t n_steps;
    terms.sgd.momentum = 0.9f;
    terms.sgd.weight_decay = 0.01f;
    float *got = train(kernels, &terms, &report), *want = spell_out(&terms, &mean_loss, &n_steps);
    float *without = train(kernels, &plain, &report);
    ck_assert(same(got, want));
    ck_assert(!same(got, without));
    free(got);
    free(want);
    free(without);
}
END_TEST

START_TEST(a_batch_larger_than_the_shard_is_the_whole_shard) {
    struct fed_sgd_terms whole = terms_of(2, 0), large = terms_of(2, SHARD + 100);
    struct fed_sgd_report a_report, b_report;
    float *a = train(kernels, &whole, &a_report), *b = train(kernels, &large, &b_report);
    ck_assert(same(a, b));
    ck_assert_uint_eq(fed_local_sgd_rows(0, 600), 600);
    ck_assert_uint_eq(fed_local_sgd_rows(10, 600), 10);
    ck_assert_uint_eq(fed_local_sgd_rows(1000, 600), 600);
    free(a);
    free(b);
}
END_TEST

START_TEST(a_trainer_remembers_nothing) {
    struct fed_sgd_terms terms = terms_of(2, 10), other = terms_of(1, 7);
    terms.sgd.momentum = other.sgd.momentum = _i > 0 ? 0.5f : 0; /* velocities start anew with each client */
    struct fed_sgd_report report;
    struct fed_trainer *trainer;
    float *fresh = train(kernels, &terms, &report), *again = malloc(model.n_params * sizeof *again);
    ck_assert_int_eq(fed_trainer_new(&trainer, &model, kernels, 10, SHARD, _i > 0), FED_OK);
    other.client = 1;
    ck_assert_int_eq(fed_local_sgd(trainer, again, &report, params, &dataset, shard + 9, 20, &other, NULL), FED_OK);
    ck_assert(!same(fresh, again));
    ck_assert_int_eq(fed_local_sgd(trainer, again, &report, params, &dataset, shard, SHARD, &terms, NULL), FED_OK);
    ck_assert(same(fresh, again));
    fed_trainer_free(trainer);
    free(fresh);
    free(again);
}
END_TEST

START_TEST(all_kernel_sets_train_a_client_to_the_same_bits) {
    struct fed_sgd_terms terms = terms_of(5, 8); /* 8 does not divide 37 */
    struct fed_sgd_report first_report, report;
    float *first = train(fed_kernels_by_name("portable"), &terms, &first_report);
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *set = fed_kernels_by_name(set_names[s]);
        if (set != NULL) {
            float *delta = train(set, &terms, &report);
            ck_assert_msg(same(first, delta), "%s differs", set->name);
            ck_assert(report.mean_loss == first_report.mean_loss);
            free(delta);
        }
    }
    free(first);
}
END_TEST

START_TEST(seed_round_and_client_each_give_another_order) {
    struct fed_sgd_terms terms = terms_of(1, 10);
    struct fed_sgd_report report;
    float *base = train(kernels, &terms, &report);
    uint64_t *const fields[] = {&terms.seed, &terms.round, &terms.client};
    for (size_t i = 0; i < 3; i++) {
        ++*fields[i];
        float *other = train(kernels, &terms, &report);
        ck_assert(!same(base, other));
        --*fields[i];
        free(other);
    }
    free(base);
}
END_TEST

START_TEST(training_lowers_the_loss) {
    struct fed_sgd_terms once = terms_of(1, 10), often = terms_of(100, 10);
    struct fed_sgd_report before, after;
    free(train(kernels, &once, &before));
    free(train(kernels, &often, &after));
    ck_assert_double_lt(after.mean_loss, 0.5 * before.mean_loss);
}
END_TEST

START_TEST(cancel_interrupts_and_leaves_the_report) {
    struct fed_sgd_terms terms = terms_of(1, 10);
    struct fed_sgd_report report = {.n_steps = 77};
    struct fed_trainer *trainer;
    atomic_bool cancel = true;
    float *delta = malloc(model.n_params * sizeof *delta);
    ck_assert_int_eq(fed_trainer_new(&trainer, &model, kernels, 10, SHARD, false), FED_OK);
    int status = fed_local_sgd(trainer, delta, &report, params, &dataset, shard, SHARD, &terms, &cancel);
    ck_assert_int_eq(status, FED_EINTERRUPTED);
    ck_assert_uint_eq(report.n_steps, 77);
    atomic_store(&cancel, false);
    ck_assert_int_eq(fed_local_sgd(trainer, delta, &report, params, &dataset, shard, SHARD, &terms, &cancel), FED_OK);
    ck_assert_uint_eq(report.n_steps, 4);
    fed_trainer_free(trainer);
    fed_trainer_free(NULL);
    free(delta);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("local_sgd");
    TCase *algorithm = tcase_create("algorithm");
    tcase_add_checked_fixture(algorithm, setup, teardown);
    tcase_add_test(algorithm, one_full_batch_is_one_plain_step);
    tcase_add_test(algorithm, epochs_shuffle_afresh_from_one_stream_and_keep_the_short_batch);
    tcase_add_test(algorithm, momentum_and_decay_come_with_the_terms);
    tcase_add_test(algorithm, a_batch_larger_than_the_shard_is_the_whole_shard);
    tcase_add_test(algorithm, training_lowers_the_loss);
    tcase_add_test(algorithm, cancel_interrupts_and_leaves_the_report);
    suite_add_tcase(suite, algorithm);
    TCase *bits = tcase_create("bits");
    tcase_add_checked_fixture(bits, setup, teardown);
    tcase_add_loop_test(bits, a_trainer_remembers_nothing, 0, 2);
    tcase_add_test(bits, all_kernel_sets_train_a_client_to_the_same_bits);
    tcase_add_test(bits, seed_round_and_client_each_give_another_order);
    suite_add_tcase(suite, bits);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
