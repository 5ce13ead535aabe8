/* Workers, the limits of the owner, and tasks that ask for something else. */
#include <check.h>
#include <stdlib.h>

#include "client/host.h"
#include "tests/unit/host/fixture.h"

START_TEST(workers_train_at_once_and_each_client_once) {
    config.workers = 3;
    open_host(true);
    atomic_store(&counter.gather, 3);
    begin(4, 1);
    bool seen[COUNT] = {false};
    for (uint64_t i = 0; i < COUNT; i++) {
        want(FIRST + i);
        want(FIRST + i);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        struct fed_host_update update = next_update();
        ck_assert_int_eq(update.rc, FED_OK);
        ck_assert(!seen[update.client - FIRST]);
        seen[update.client - FIRST] = true;
        ck_assert_float_eq(update.delta[7], (float)update.client + fed_host_image(host)->params[7]);
        ck_assert_int_eq(calls(update.client), 1);
    }
    expect_nothing();
    ck_assert_int_eq(atomic_load(&counter.most_inside), 3);
}
END_TEST

START_TEST(clients_of_others_are_not_trained) {
    open_host(true);
    begin(4, 1);
    ck_assert_int_eq(fed_host_train(host, FIRST - 1), FED_ENOTFOUND);
    ck_assert_int_eq(fed_host_train(host, FIRST + COUNT), FED_ENOTFOUND);
    ck_assert_int_eq(fed_host_train(host, 0), FED_ENOTFOUND);
    ck_assert_int_eq(fed_host_train(host, UINT64_MAX), FED_ENOTFOUND);
    expect_nothing();
}
END_TEST

START_TEST(training_beyond_max_train_s_is_stopped_and_told) {
    config.limits.max_train_s = 0; /* as if the time were over as soon as somebody looks */
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    struct fed_host_update update = next_update();
    ck_assert_uint_eq(update.client, FIRST);
    ck_assert_int_eq(update.rc, FED_EINTERRUPTED);
    ck_assert_int_eq(atomic_load(&counter.cancelled), 1);
    expect_nothing();
}
END_TEST

START_TEST(limits_of_the_owner_hold) {
    config.limits = (struct fed_limits){.max_model_mb = 1, .max_epochs = 3, .max_train_s = 3600, .memory_mb = 6};
    open_host(true);
    terms.epochs = 4;
    expect_refused(FED_ECONFIG, FED_LIMIT_EPOCHS, "limits.max_epochs: 3");
    terms.epochs = 3;
    terms.model.input.channels = (1 << 20) / 4 / UNITS - 1; /* with the biases 1 MB */
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK);
    terms.model.input.channels++;
    expect_refused(FED_ECONFIG, FED_LIMIT_MODEL, "limits.max_model_mb: 1");
    config.limits.max_model_mb = 4096;
    terms.model.input.channels = 2 << 15;
    expect_refused(FED_ECONFIG, FED_LIMIT_MEMORY, "limits.memory_mb: 6");
    terms.model =
        (struct fed_model_spec){.input = {1 << 20}, .n_layers = 2, .layers = {{1 << 14, FED_RELU}, {2, FED_LINEAR}}};
    expect_refused(FED_ECONFIG, FED_LIMIT_MODEL, "limits.max_model_mb: 4096"); /* 2^34 parameters: nothing wraps */
    terms.model.layers[0].units = 1 << 12;
    config.limits.max_model_mb = 1 << 20;
    expect_refused(FED_ECONFIG, FED_LIMIT_MEMORY, "limits.memory_mb: 6");
}
END_TEST

START_TEST(a_task_may_ask_for_openblas) {
    terms.math = FED_MATH_BLAS;
    open_host(true);
    ck_assert_str_eq(fed_host_family(host), "blas");
    ck_assert_str_eq(fed_host_kernels(host), "blas");
    terms.math = FED_MATH_EXACT;
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK);
    ck_assert_str_eq(fed_host_family(host), "exact");
    ck_assert_str_ne(fed_host_kernels(host), "blas");
}
END_TEST

START_TEST(without_openblas_a_task_for_it_is_trained_in_exact_arithmetic) {
    const struct fed_host_hook hook = {&counter, count_training};
    ck_assert_int_eq(setenv("FEDAVG_BLAS", "/nowhere/libopenblas.so.0", 1), 0);
    ck_assert_int_eq(fed_host_new(&host, &config, &hook, NULL), FED_OK);
    ck_assert_str_eq(fed_host_family(host), ""); /* the task will tell */
    terms.math = FED_MATH_BLAS;
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK);
    ck_assert_str_eq(fed_host_family(host), "exact");
}
END_TEST

START_TEST(another_task_brings_another_model) {
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    wait_until_begun(FIRST, 1);
    task_of(30, 3);
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK); /* stops what is under way and waits for it */
    ck_assert_int_eq(atomic_load(&counter.cancelled), 1);
    ck_assert_ptr_null(fed_host_image(host));
    ck_assert_uint_eq(fed_host_model(host)->n_params, 93);
    atomic_store(&counter.held, false);
    begin(4, 1);
    want(FIRST);
    struct fed_host_update update = next_update();
    ck_assert_int_eq(update.rc, FED_OK);
    ck_assert_float_eq(update.delta[92], (float)FIRST + fed_host_image(host)->params[92]);
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK); /* the same again changes nothing */
    ck_assert_ptr_nonnull(fed_host_image(host));
}
END_TEST

START_TEST(a_host_may_go_while_it_trains) {
    config.workers = 2;
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    want(FIRST + 1);
    want(FIRST + 2);
    wait_until_begun(FIRST, 1);
    wait_until_begun(FIRST + 1, 1);
    fed_host_free(host);
    host = NULL;
    ck_assert_int_eq(atomic_load(&counter.cancelled), 2);
}
END_TEST

TCase *limits_cases(void) {
    TCase *cases = host_case("limits");
    tcase_add_test(cases, workers_train_at_once_and_each_client_once);
    tcase_add_test(cases, clients_of_others_are_not_trained);
    tcase_add_test(cases, training_beyond_max_train_s_is_stopped_and_told);
    tcase_add_test(cases, limits_of_the_owner_hold);
    tcase_add_test(cases, a_task_may_ask_for_openblas);
    tcase_add_test(cases, without_openblas_a_task_for_it_is_trained_in_exact_arithmetic);
    tcase_add_test(cases, another_task_brings_another_model);
    tcase_add_test(cases, a_host_may_go_while_it_trains);
    return cases;
}
