/* Who is trained in which attempt, and what is kept of it. */
#include <check.h>
#include <poll.h>
#include <string.h>

#include "client/host.h"
#include "tests/unit/host/fixture.h"

static void expect_trained(uint64_t client) {
    struct fed_host_update update = next_update();
    ck_assert_uint_eq(update.client, client);
    ck_assert_int_eq(update.rc, FED_OK);
    ck_assert_ptr_nonnull(update.delta);
    for (size_t i = 0; i < PARAMS; i += 100) {
        ck_assert_float_eq(update.delta[i], (float)client + fed_host_image(host)->params[i]);
    }
    ck_assert_uint_eq(update.report.n_examples, client);
}

START_TEST(a_repeated_attempt_trains_nobody_twice) {
    open_host(true);
    begin(4, 1);
    want(FIRST);
    want(FIRST + 3);
    expect_trained(FIRST);
    expect_trained(FIRST + 3);
    expect_nothing();
    fed_host_end(host, true);
    expect_nothing();
    begin(4, 1); /* another object, the same model */
    want(FIRST + 3);
    want(FIRST);
    struct fed_host_update update;
    for (int i = 0; i < 2; i++) {
        ck_assert(fed_host_finished(host, &update)); /* at once */
        ck_assert_int_eq(update.rc, FED_OK);
    }
    expect_nothing();
    want(FIRST); /* asked for again within the attempt */
    ck_assert(fed_host_finished(host, &update));
    ck_assert_int_eq(calls(FIRST), 1);
    ck_assert_int_eq(calls(FIRST + 3), 1);
}
END_TEST

static int train_at_once(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                         uint64_t client, const atomic_bool *cancel) {
    (void)params;
    (void)cancel;
    atomic_fetch_add((atomic_int *)context, 1);
    memset(delta, 0, n_params * sizeof *delta);
    *report = (struct fed_sgd_report){.n_examples = client};
    return FED_OK;
}

/* Enough for the index to grow many times, and for a search through a list to be seen in the time. */
START_TEST(thousands_of_clients_are_each_trained_and_reported_once_and_kept) {
    enum { MANY = 20000 };
    static bool seen[MANY];
    atomic_int trained = 0;
    const struct fed_host_hook hook = {&trained, train_at_once};
    struct fed_error err = {""};
    config.n_clients = MANY;
    config.workers = 2;
    task_of(1, 2);
    ck_assert_msg(fed_host_new(&host, &config, &hook, &err) == FED_OK, "%s", err.text);
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, &err), FED_OK);
    for (int attempt = 1; attempt <= 2; attempt++) {
        begin(4, 1);
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < MANY; i++) {
            want(FIRST + i * 7919 % MANY); /* each once, in no order */
        }
        for (int i = 0; i < MANY; i++) {
            struct fed_host_update update = next_update();
            ck_assert_int_eq(update.rc, FED_OK);
            ck_assert_uint_eq(update.report.n_examples, update.client);
            ck_assert(!seen[update.client - FIRST]);
            seen[update.client - FIRST] = true;
        }
        expect_nothing();
        fed_host_end(host, true);
        ck_assert_int_eq(atomic_load(&trained), MANY);
    }
}
END_TEST

START_TEST(another_round_model_or_rate_trains_anew) {
    open_host(true);
    int n = 0;
    begin(4, 1);
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
    begin(5, 1); /* another round */
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
    begin(5, 2); /* another model */
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
    struct fed_image *image = make_image(5, 2);
    fed_host_begin(host, image, 0.125f); /* another rate */
    fed_image_release(image);
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
    fed_host_end(host, false); /* committed: nobody wants it any more */
    image = make_image(5, 2);
    fed_host_begin(host, image, 0.125f);
    fed_image_release(image);
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
}
END_TEST

START_TEST(a_training_under_way_serves_the_next_attempt) {
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    wait_until_begun(FIRST, 1);
    fed_host_end(host, true);
    begin(4, 1);
    want(FIRST);
    atomic_store(&counter.held, false);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), 1);
    ck_assert_int_eq(atomic_load(&counter.cancelled), 0);
}
END_TEST

START_TEST(what_is_not_wanted_any_more_is_cancelled_and_leaves_nothing) {
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    want(FIRST + 1); /* never begun */
    wait_until_begun(FIRST, 1);
    fed_host_end(host, false);
    begin(5, 2);
    want(FIRST + 2);
    wait_until_begun(FIRST + 2, 1); /* the only worker was freed by cancelling */
    atomic_store(&counter.held, false);
    expect_trained(FIRST + 2);
    expect_nothing();
    ck_assert_int_eq(atomic_load(&counter.cancelled), 1);
    ck_assert_int_eq(calls(FIRST + 1), 0);
}
END_TEST

START_TEST(a_failure_after_the_end_is_nobodys) {
    open_host(true);
    atomic_store(&counter.held, true);
    atomic_store(&counter.rc, FED_EFAILED);
    begin(4, 1);
    want(FIRST);
    wait_until_begun(FIRST, 1);
    fed_host_end(host, true);
    atomic_store(&counter.held, false);
    struct pollfd ready = {.fd = fed_host_fd(host), .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, BOUND_MS), 1);
    expect_nothing();
    begin(4, 1);
    want(FIRST);
    struct fed_host_update update = next_update(); /* wanted again: trained again, and told */
    ck_assert_uint_eq(update.client, FIRST);
    ck_assert_int_eq(update.rc, FED_EFAILED);
    ck_assert_int_eq(calls(FIRST), 2);
    expect_nothing();
}
END_TEST

START_TEST(a_released_update_is_trained_again_when_memory_is_short) {
    config.limits.memory_mb = 1;
    open_host(true);
    begin(4, 1);
    for (uint64_t client = FIRST; client < FIRST + 3; client++) {
        want(client);
        expect_trained(client);
        if (client == FIRST + 1) {
            fed_host_release(host, FIRST); /* two updates are less than half of 1 MB: kept */
            want(FIRST);
            expect_trained(FIRST);
            ck_assert_int_eq(calls(FIRST), 1);
        }
    }
    fed_host_release(host, FIRST); /* three are more */
    fed_host_release(host, FIRST + 1);
    fed_host_release(host, FIRST + 77);
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), 2);
    want(FIRST + 1);
    expect_trained(FIRST + 1);
    ck_assert_int_eq(calls(FIRST + 1), 1);
}
END_TEST

START_TEST(a_model_is_held_until_the_next_one) {
    open_host(true);
    ck_assert_ptr_null(fed_host_image(host));
    begin(4, 1);
    const struct fed_image *image = fed_host_image(host);
    fed_host_end(host, false);
    ck_assert_ptr_eq(fed_host_image(host), image);
    ck_assert_uint_eq(image->round, 4);
    begin(5, 2);
    ck_assert_uint_eq(fed_host_image(host)->round, 5);
}
END_TEST

TCase *attempts_cases(void) {
    TCase *cases = host_case("attempts");
    tcase_add_test(cases, a_repeated_attempt_trains_nobody_twice);
    tcase_add_test(cases, thousands_of_clients_are_each_trained_and_reported_once_and_kept);
    tcase_add_test(cases, another_round_model_or_rate_trains_anew);
    tcase_add_test(cases, a_training_under_way_serves_the_next_attempt);
    tcase_add_test(cases, what_is_not_wanted_any_more_is_cancelled_and_leaves_nothing);
    tcase_add_test(cases, a_failure_after_the_end_is_nobodys);
    tcase_add_test(cases, a_released_update_is_trained_again_when_memory_is_short);
    tcase_add_test(cases, a_model_is_held_until_the_next_one);
    return cases;
}
