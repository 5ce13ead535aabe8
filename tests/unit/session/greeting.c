/* How a node greets, and what a check of its connection finds. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client/session.h"
#include "common/base/clock.h"
#include "proto/wire.h"
#include "tests/unit/session/fixture.h"

START_TEST(hello_says_who_we_are) {
    const struct fed_kernels *kernels;
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    start_node(false);
    struct fed_message *message = await(FED_MSG_HELLO);
    const struct fed_msg_hello *hello = &message->as.hello;
    ck_assert_uint_eq(hello->protocol_minor, FED_PROTOCOL_MINOR);
    ck_assert_str_eq(hello->build, "fedavg " FED_VERSION);
    ck_assert_str_eq(hello->kernel_family, ""); /* the task will tell */
    ck_assert_str_eq(hello->kernels, kernels->name);
    ck_assert_uint_eq(hello->workers, 2);
    ck_assert_uint_eq(hello->n_hosted, 1);
    ck_assert_uint_eq(hello->hosted[0].first, FIRST);
    ck_assert_uint_eq(hello->hosted[0].count, COUNT);
    ck_assert(!hello->has_partition && !hello->has_model);
    free(message);
    message = await(FED_MSG_HELLO); /* until it is answered */
    welcome();
    free(message);
    message = await(FED_MSG_STATUS); /* and then a sign of life, though nothing is to be done */
    ck_assert_int_eq(message->as.status.phase, FED_PHASE_IDLE);
    free(message);
}
END_TEST

START_TEST(with_a_task_for_openblas_the_node_says_what_it_trains_in) {
    struct fed_message *message;
    bool told = false;
    ck_assert_int_eq(setenv("FEDAVG_BLAS", "/nowhere/libopenblas.so.0", 1), 0);
    w.task.math = FED_MATH_BLAS;
    start_node(false);
    greet();
    while (!told) { /* the first greeting may have been repeated */
        message = await(FED_MSG_HELLO);
        told = strcmp(message->as.hello.kernel_family, "exact") == 0;
        ck_assert(told || message->as.hello.kernel_family[0] == '\0');
        free(message);
    }
}
END_TEST

START_TEST(a_stranger_to_the_coordinator_greets_again) {
    start_node(false);
    greet();
    free(await(FED_MSG_STATUS));
    struct fed_message refused = {.kind = FED_MSG_REFUSED, .as.refused = {.code = FED_REFUSAL_ROUND, .retry_after_ms = 1}};
    tell(&refused);
    greet();
    free(await(FED_MSG_STATUS));
}
END_TEST

static void expect_check(int rc, const char *words) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    for (bool over = false; !over;) {
        ck_assert_msg(fed_clock_ms() < end, "the check does not end");
        if (w.control != NULL) {
            turn();
        }
        for (size_t i = 0; i < w.n_queue; i++) {
            if (w.queue[i]->kind == FED_MSG_HELLO && rc == FED_OK) {
                welcome();
            }
        }
        forget_messages();
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec = soon.tv_nsec < 990000000 ? soon.tv_nsec + 10000000 : soon.tv_nsec;
        over = pthread_timedjoin_np(w.thread, NULL, &soon) == 0;
    }
    w.running = false;
    ck_assert_int_eq(w.rc, rc);
    ck_assert_msg(strstr(w.err.text, words) != NULL, "\"%s\" is not in: %s", words, w.err.text);
}

START_TEST(check_is_welcomed) {
    start_node(true);
    expect_check(FED_OK, "");
}
END_TEST

START_TEST(a_check_after_the_coordinator_has_gone_does_not_find_its_old_welcome) {
    char line[128] = "welcomed";
    start_node(true);
    expect_check(FED_OK, "");
    close_lanes();
    fed_session_set_check(w.session, false);
    for (uint64_t end = fed_clock_ms() + BOUND_MS; strstr(line, "welcomed") != NULL;) {
        ck_assert_msg(fed_clock_ms() < end, "the node does not see that the coordinator has gone");
        ck_assert_int_eq(fed_link_poll(w.link, NULL, 0, 0), FED_OK); /* lets go of the connection */
        ck_assert_int_eq(fed_session_step(w.session, 100, NULL), FED_EAGAIN);
        fed_session_standing(w.session, line, sizeof line);
    }
    fed_session_set_check(w.session, true);
    ck_assert_int_eq(fed_session_run(w.session, &w.err), FED_EPEER);
    ck_assert_ptr_nonnull(strstr(w.err.text, "cannot be reached"));
}
END_TEST

START_TEST(check_says_that_the_key_is_not_on_the_roster) {
    w.enrolled = false;
    start_node(true);
    expect_check(FED_EPEER, "this node's key is not on the coordinator's roster");
    ck_assert_ptr_nonnull(strstr(w.err.text, "ward-7.key"));
}
END_TEST

START_TEST(check_says_that_the_coordinators_key_is_another) {
    w.config.coordinator_key.curve[0] ^= 1;
    start_node(true);
    expect_check(FED_EPEER, "does not hold the key that coordinator_key names in client.yaml");
}
END_TEST

START_TEST(check_says_that_nobody_is_there) {
    close_lanes();
    start_node(true);
    expect_check(FED_EPEER, "cannot be reached");
}
END_TEST

START_TEST(check_says_why_hello_was_refused) {
    start_node(true);
    free(await(FED_MSG_HELLO));
    struct fed_message refused = {.kind = FED_MSG_REFUSED, .as.refused = {.code = FED_REFUSAL_PARTITION}};
    tell(&refused);
    expect_check(FED_EPEER, "its data or its split is not the task's");
}
END_TEST

TCase *greeting_cases(void) {
    TCase *cases = session_case("greeting");
    tcase_add_test(cases, hello_says_who_we_are);
    tcase_add_test(cases, with_a_task_for_openblas_the_node_says_what_it_trains_in);
    tcase_add_test(cases, a_stranger_to_the_coordinator_greets_again);
    tcase_add_test(cases, check_is_welcomed);
    tcase_add_test(cases, a_check_after_the_coordinator_has_gone_does_not_find_its_old_welcome);
    tcase_add_test(cases, check_says_that_the_key_is_not_on_the_roster);
    tcase_add_test(cases, check_says_that_the_coordinators_key_is_another);
    tcase_add_test(cases, check_says_that_nobody_is_there);
    tcase_add_test(cases, check_says_why_hello_was_refused);
    return cases;
}
