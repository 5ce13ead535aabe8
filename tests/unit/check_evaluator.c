/* Evaluation shared out among threads is the evaluation. */
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "coordinator/round/evaluator.h"
#include "tests/unit/evaluate_all.h"

#define EXAMPLES 1234 /* twelve chunks and a short one */
#define FEATURES 20

static uint8_t features[EXAMPLES * FEATURES], labels[EXAMPLES];
static struct fed_dataset test;
static struct fed_model model;
static struct fed_image *image;
static const struct fed_kernels *kernels;
static struct fed_evaluation expected;

static void set_up(void) {
    const struct fed_model_spec spec = {.input = {FEATURES}, .n_layers = 2, .layers = {{16, FED_RELU}, {5, FED_LINEAR}}};
    struct fed_network *net = NULL;
    struct fed_rng rng;
    const uint8_t run_id[16] = {1};
    fed_rng_init(&rng, 7, "test", 0, 0);
    for (size_t i = 0; i < sizeof features; i++) {
        features[i] = (uint8_t)fed_rng_below(&rng, 256);
    }
    for (size_t i = 0; i < EXAMPLES; i++) {
        labels[i] = (uint8_t)fed_rng_below(&rng, 5);
    }
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_int_eq(fed_dataset_from_bytes(&test, EXAMPLES, FEATURES, features, labels), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&test, &model, NULL), FED_OK);
    ck_assert_int_eq(fed_image_new(&image, &model, run_id, 3), FED_OK);
    fed_model_initial(image->params, &model, 11);
    ck_assert_int_eq(fed_image_finish(image, &model, run_id), FED_OK);
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    ck_assert_int_eq(fed_network_new(&net, &model, FED_EVALUATE_ROWS, FED_NETWORK_EVALUATE, kernels), FED_OK);
    expected = evaluate_all(net, &model, image->params, &test);
    fed_network_free(net);
}

static void tear_down(void) {
    fed_image_release(image);
    fed_dataset_fini(&test);
}

static struct fed_evaluation wait_for(struct fed_evaluator *evaluator) {
    struct fed_evaluation result;
    while (!fed_evaluator_finished(evaluator, &result)) {
        struct pollfd ready = {.fd = fed_evaluator_fd(evaluator), .events = POLLIN};
        ck_assert_int_ge(poll(&ready, 1, 60000), 1);
    }
    return result;
}

START_TEST(any_number_of_threads_gives_the_same_bits_again_and_again) {
    struct fed_evaluator *evaluator = NULL;
    ck_assert_int_eq(fed_evaluator_new(&evaluator, &model, &test, (unsigned)_i, kernels, NULL), FED_OK);
    for (int i = 0; i < 20; i++) {
        fed_evaluator_start(evaluator, image);
        struct fed_evaluation result = wait_for(evaluator);
        ck_assert_int_eq(memcmp(&result, &expected, sizeof result), 0);
        ck_assert_uint_eq(atomic_load(&image->references), 1); /* nothing is held between two of them */
    }
    ck_assert(expected.accuracy > 0 && expected.accuracy < 1 && expected.loss > 0);
    fed_evaluator_free(evaluator);
}
END_TEST

START_TEST(an_evaluator_can_be_freed_at_any_moment) {
    for (int i = 0; i < 20; i++) {
        struct fed_evaluator *evaluator = NULL;
        ck_assert_int_eq(fed_evaluator_new(&evaluator, &model, &test, 3, kernels, NULL), FED_OK);
        fed_evaluator_start(evaluator, image);
        fed_evaluator_free(evaluator);
        ck_assert_uint_eq(atomic_load(&image->references), 1);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("evaluator");
    TCase *tcase = tcase_create("threads");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, any_number_of_threads_gives_the_same_bits_again_and_again, 1, 6);
    tcase_add_test(tcase, an_evaluator_can_be_freed_at_any_moment);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
