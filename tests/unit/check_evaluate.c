/* Evaluation against the same numbers in double, and against the definition of its sums. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "tests/unit/double_network.h"
#include "tests/unit/evaluate_all.h"

enum { EXAMPLES = 257, INPUTS = 40, CLASSES = 7 }; /* two whole chunks and a short one */

static struct fed_model model;
static float *params;
static struct fed_dataset dataset;
static uint8_t features[EXAMPLES * INPUTS], labels[EXAMPLES];
static const struct fed_kernels *kernels;

static void setup(void) {
    struct fed_model_spec spec = {.input = {INPUTS}, .n_layers = 2, .layers = {{50, FED_SIGMOID}, {CLASSES, FED_LINEAR}}};
    struct fed_rng rng;
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    params = malloc(model.n_params * sizeof *params);
    ck_assert_ptr_nonnull(params);
    fed_model_initial(params, &model, 5);
    fed_rng_init(&rng, 2, "test", 0, 0);
    for (size_t i = 0; i < sizeof features; i++) {
        features[i] = i % INPUTS < 10 ? 0 : (uint8_t)(fed_rng_u32(&rng) >> 24);
    }
    for (size_t i = 0; i < EXAMPLES; i++) {
        labels[i] = (uint8_t)fed_rng_below(&rng, CLASSES);
    }
    ck_assert_int_eq(fed_dataset_from_bytes(&dataset, EXAMPLES, INPUTS, features, labels), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&dataset, &model, NULL), FED_OK);
}

static void teardown(void) {
    free(params);
    fed_dataset_fini(&dataset);
}

static struct fed_network *new_network(size_t max_batch, const struct fed_kernels *set) {
    struct fed_network *net;
    ck_assert_int_eq(fed_network_new(&net, &model, max_batch, FED_NETWORK_EVALUATE, set), FED_OK);
    return net;
}

START_TEST(loss_and_accuracy_are_those_of_the_model_in_double) {
    struct fed_network *net = new_network(FED_EVALUATE_CHUNK, kernels);
    struct fed_evaluation got;
    double *w = malloc(model.n_params * sizeof *w), *values = malloc(double_units(&model) * sizeof *values), loss = 0;
    size_t n_correct = 0;
    got = evaluate_all(net, &model, params, &dataset);
    for (size_t i = 0; i < model.n_params; i++) {
        w[i] = (double)params[i];
    }
    for (size_t i = 0; i < EXAMPLES; i++) {
        double x[INPUTS];
        for (size_t k = 0; k < INPUTS; k++) {
            x[k] = features[i * INPUTS + k] / 255.0;
        }
        const double *logits = double_forward(&model, w, x, values);
        size_t best = 0;
        for (size_t j = 1; j < CLASSES; j++) {
            best = logits[j] > logits[best] ? j : best;
        }
        n_correct += best == labels[i];
        loss += double_example_loss(&model, logits, &(double){labels[i]}, NULL);
    }
    ck_assert_double_eq_tol(got.loss, loss / EXAMPLES, 1e-6);
    ck_assert_double_eq(got.accuracy, (double)n_correct / EXAMPLES);
    ck_assert_uint_gt(n_correct, 0);
    fed_network_free(net);
    free(w);
    free(values);
}
END_TEST

/* The definition: chunks of 100 rows, `rows` of them at a time. The network has room for as many, and its parameters. */
static double defined_loss(struct fed_network *net, size_t rows) {
    const struct fed_batch *batch = fed_network_batch(net);
    struct fed_hits hits = {0};
    double loss = 0;
    for (size_t first = 0; first < EXAMPLES; first += 100) {
        double chunk = 0;
        for (size_t at = first, n; at < first + 100 && at < EXAMPLES; at += n) {
            for (n = 0; n < rows && at + n < EXAMPLES; n++) {
                for (size_t k = 0; k < INPUTS; k++) {
                    batch->features[n * batch->stride + k] = (float)features[(at + n) * INPUTS + k] / 255.0f;
                }
                batch->labels[n] = labels[at + n];
            }
            fed_network_evaluate(net, n, &chunk, &hits);
        }
        loss += chunk;
    }
    return loss / EXAMPLES;
}

START_TEST(the_sum_goes_over_fixed_chunks_whatever_the_network_holds) {
    struct fed_network *small = new_network(FED_EVALUATE_CHUNK, kernels), *large = new_network(300, kernels);
    struct fed_evaluation a, b;
    a = evaluate_all(small, &model, params, &dataset);
    b = evaluate_all(large, &model, params, &dataset);
    ck_assert(a.loss == b.loss && a.accuracy == b.accuracy);
    ck_assert(a.loss == defined_loss(large, FED_EVALUATE_CHUNK));
    fed_network_free(small);
    fed_network_free(large);
}
END_TEST

START_TEST(a_smaller_network_groups_the_sum_and_changes_no_hit) {
    struct fed_network *whole = new_network(FED_EVALUATE_CHUNK, kernels), *part = new_network(FED_EVALUATE_ROWS, kernels);
    struct fed_evaluation a, b;
    a = evaluate_all(whole, &model, params, &dataset);
    b = evaluate_all(part, &model, params, &dataset);
    ck_assert(a.accuracy == b.accuracy);
    ck_assert(b.loss == defined_loss(whole, FED_EVALUATE_ROWS));
    ck_assert_double_eq_tol(a.loss, b.loss, 1e-12);
    fed_network_free(whole);
    fed_network_free(part);
}
END_TEST

START_TEST(all_kernel_sets_evaluate_to_the_same_bits) {
    static const char *const names[] = {"portable", "neon", "avx2", "avx512"};
    struct fed_evaluation first, other;
    struct fed_network *net = new_network(FED_EVALUATE_CHUNK, fed_kernels_by_name("portable"));
    first = evaluate_all(net, &model, params, &dataset);
    fed_network_free(net);
    for (size_t s = 0; s < sizeof names / sizeof *names; s++) {
        if (fed_kernels_by_name(names[s]) != NULL) {
            net = new_network(FED_EVALUATE_CHUNK, fed_kernels_by_name(names[s]));
            other = evaluate_all(net, &model, params, &dataset);
            ck_assert(other.loss == first.loss && other.accuracy == first.accuracy);
            fed_network_free(net);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("evaluate");
    TCase *tcase = tcase_create("evaluate");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, loss_and_accuracy_are_those_of_the_model_in_double);
    tcase_add_test(tcase, the_sum_goes_over_fixed_chunks_whatever_the_network_holds);
    tcase_add_test(tcase, a_smaller_network_groups_the_sum_and_changes_no_hit);
    tcase_add_test(tcase, all_kernel_sets_evaluate_to_the_same_bits);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
