/* A disk that refuses, and a coordinator that is killed. */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "coordinator/store/store.h"
#include "tests/unit/store/fixture.h"

START_TEST(model_that_cannot_be_written_leaves_the_run_as_it_was) {
    struct fed_error err = {""};
    struct fed_store *store = run_up_to(0);
    limit_files(100);
    ck_assert_int_eq(try_commit(store, 1, 3, &err), FED_EIO);
    ck_assert_msg(strstr(err.text, "model-1.safetensors") != NULL, "%s", err.text);
    limit_files(RLIM_INFINITY);
    ck_assert_uint_eq(state_of(store).round, 0);
    check_sound(store);
    commit(store, 1, 3);
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(row_that_cannot_be_written_leaves_the_run_as_it_was) {
    struct stat st;
    struct fed_error err = {""};
    const uint64_t cohort[] = {1, 2, 3};
    struct fed_store *store = run_up_to(0);
    ck_assert_int_eq(stat(path_in("run.db-wal"), &st), 0);
    ck_assert_int_gt(st.st_size, 8 + 4 * N_PARAMS); /* so that the model file itself fits */
    limit_files((rlim_t)st.st_size);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, cohort, 3, &err), FED_EIO);
    ck_assert_msg(strstr(err.text, "run.db") != NULL, "%s", err.text);
    ck_assert_int_eq(try_commit(store, 1, 3, &err), FED_EIO);
    ck_assert_msg(strstr(err.text, "run.db") != NULL, "%s", err.text);
    ck_assert_int_eq(fed_store_evaluation(store, 0, 1, 0.5, false, &err), FED_EIO);
    ck_assert_int_eq(fed_store_finish(store, 0, &err), FED_EIO);
    limit_files(RLIM_INFINITY);
    struct fed_store_state state = state_of(store);
    ck_assert(state.round == 0 && state.attempt == 0 && isnan(state.accuracy) && !state.finished);
    check_sound(store);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, cohort, 3, NULL), FED_OK);
    commit(store, 1, 3);
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(run_that_cannot_be_created_can_be_later) {
    struct fed_error err = {""};
    limit_files(10000);
    ck_assert_int_eq(open_fails(&err), FED_EIO);
    limit_files(RLIM_INFINITY);
    struct fed_store *store = open_run();
    ck_assert(fed_store_is_new(store));
    fed_store_close(store);
}
END_TEST

/* Runs rounds for ever, saying which one is committed. */
static void run_rounds(int report) {
    struct fed_store *store;
    struct fed_store_state state;
    if (fed_store_open(&store, dir, TERMS, REST, NULL) != FED_OK || fed_store_state(&state, store, NULL) != FED_OK) {
        _exit(1);
    }
    uint64_t round = state.has_model ? state.round + 1 : 0;
    uint32_t attempt = state.attempt + 1;
    for (;; round++, attempt = 1) {
        if (fed_store_open_attempt(store, round, attempt, &round, 1, NULL) != FED_OK ||
            try_commit(store, round, 1, NULL) != FED_OK || write(report, &round, sizeof round) != sizeof round) {
            _exit(1);
        }
    }
}

static void spin_us(uint64_t us) {
    for (uint64_t end = fed_clock_us() + us; fed_clock_us() < end;) {
    }
}

START_TEST(killed_at_any_moment_the_run_stands_at_a_committed_round) {
    uint64_t reached = 0;
    for (unsigned kill_number = 0; kill_number < 40; kill_number++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            close(ends[0]);
            run_rounds(ends[1]);
        }
        close(ends[1]);
        for (unsigned i = 0; i <= kill_number % 3; i++) {
            ck_assert_msg(read(ends[0], &reached, sizeof reached) == sizeof reached, "the child failed");
        }
        spin_us(kill_number * 97 % 40 * 100); /* somewhere within the next round */
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        while (read(ends[0], &reached, sizeof reached) == sizeof reached) {
        }
        close(ends[0]);

        struct fed_store *store = open_run();
        struct fed_store_state state = state_of(store);
        ck_assert_uint_ge(state.round, reached);
        ck_assert(!has_model(state.round + 1));
        free(state.cohort);
        check_sound(store);
        fed_store_close(store);
        char names[4096];
        list_run(names, sizeof names);
        ck_assert_msg(strstr(names, ".tmp") == NULL, "%s", names);
    }
    ck_assert_uint_ge(reached, 40);
}
END_TEST

TCase *faults_cases(void) {
    TCase *cases = store_case("faults");
    tcase_add_test(cases, model_that_cannot_be_written_leaves_the_run_as_it_was);
    tcase_add_test(cases, row_that_cannot_be_written_leaves_the_run_as_it_was);
    tcase_add_test(cases, run_that_cannot_be_created_can_be_later);
    tcase_add_test(cases, killed_at_any_moment_the_run_stands_at_a_committed_round);
    return cases;
}
