/* The curve of a run: running totals, which rounds stand, and CSV that reads back as the same numbers. */
#include "coordinator/store/curve.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 32 };

static char dir[] = "/tmp/check_curve.XXXXXX";
static struct fed_store *store;

static void open_run(void) {
    struct fed_error err = {""};
    strcpy(dir + sizeof dir - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_msg(fed_store_open(&store, dir, "{\"name\":\"ward\"}", "{}", &err) == FED_OK, "%s", err.text);
}

static void remove_run(void) {
    static const char *const names[] = {"run.db", "run.db-wal", "run.db-shm", "run.lock"};
    char path[128];
    fed_store_close(store);
    for (int round = 0; round < MOST; round++) {
        snprintf(path, sizeof path, "%s/model-%d.safetensors", dir, round);
        unlink(path);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(dir), 0);
}

/* back_to: -1 for an ordinary round. */
static void commit(uint64_t round, double seconds, uint64_t down, uint64_t up, int back_to) {
    const struct fed_store_rollback back = {.round = round, .to_round = (uint64_t)back_to, .reason = "loss"};
    const struct fed_store_update update = {"node-1", 0, 3, 600, 0.5, 1.5};
    bool plain = back_to < 0;
    struct fed_store_commit commit = {.round = round,
                                      .attempt = plain && round > 0,
                                      .header = "h",
                                      .n_header = 1,
                                      .params = "p",
                                      .n_params_bytes = 1,
                                      .model_digest = {(uint8_t)round, 0xab},
                                      .updates = &update,
                                      .n_updates = plain && round > 0,
                                      .seconds = seconds,
                                      .train_seconds = seconds,
                                      .bytes_down = down,
                                      .bytes_up = up,
                                      .rollback = plain ? NULL : &back};
    ck_assert_int_eq(fed_store_commit(store, &commit, 100, NULL), FED_OK);
}

struct rows {
    struct fed_curve_row row[MOST];
    size_t n;
};
static void take_row(void *context, const struct fed_curve_row *row) {
    struct rows *rows = context;
    ck_assert_uint_lt(rows->n, MOST);
    rows->row[rows->n++] = *row;
}

static struct rows read_all(void) {
    struct rows rows = {.n = 0};
    struct fed_error err = {""};
    ck_assert_msg(fed_curve_read(store, take_row, &rows, &err) == FED_OK, "%s", err.text);
    return rows;
}

START_TEST(totals_run_over_all_rounds) {
    for (uint64_t round = 0; round <= 4; round++) {
        commit(round, 0.25 * (double)round, 10 * round, round, -1);
    }
    struct rows rows = read_all();
    ck_assert_uint_eq(rows.n, 5);
    uint64_t bytes = 0;
    double seconds = 0;
    for (uint64_t round = 0; round <= 4; round++) {
        bytes += 11 * round;
        seconds += 0.25 * (double)round;
        ck_assert_uint_eq(rows.row[round].round.round, round);
        ck_assert_uint_eq(rows.row[round].bytes_total, bytes);
        ck_assert(rows.row[round].seconds_total == seconds);
        ck_assert(!rows.row[round].rolled_back && !rows.row[round].is_rollback);
    }
}
END_TEST

/* 0 1 2 3 4 5->2 6 7->5 8 9 10->1 11: what stands is 0, 1, 10 (the model of 1) and 11. */
START_TEST(what_a_later_round_took_back_does_not_stand) {
    static const int back_to[] = {-1, -1, -1, -1, -1, 2, -1, 5, -1, -1, 1, -1};
    static const bool stands[] = {1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
    enum { N = sizeof back_to / sizeof *back_to };
    for (uint64_t round = 0; round < N; round++) {
        commit(round, 1, 0, 0, back_to[round]);
    }
    struct rows rows = read_all();
    ck_assert_uint_eq(rows.n, N);
    for (size_t i = 0; i < N; i++) {
        ck_assert_msg(rows.row[i].rolled_back != stands[i], "round %zu", i);
        ck_assert_msg(rows.row[i].is_rollback == (back_to[i] >= 0), "round %zu", i);
        ck_assert(back_to[i] < 0 || rows.row[i].rollback_to == (uint64_t)back_to[i]);
    }
}
END_TEST

/* 0 1 2 3->1 4 5 6->4: rounds before the first rollback, between two, and after the last. */
START_TEST(rollbacks_apart_take_back_no_more_than_their_own) {
    static const int back_to[] = {-1, -1, -1, 1, -1, -1, 4, -1};
    static const bool stands[] = {1, 1, 0, 1, 1, 0, 1, 1};
    enum { N = sizeof back_to / sizeof *back_to };
    for (uint64_t round = 0; round < N; round++) {
        commit(round, 1, 0, 0, back_to[round]);
    }
    struct rows rows = read_all();
    for (size_t i = 0; i < N; i++) {
        ck_assert_msg(rows.row[i].rolled_back != stands[i], "round %zu", i);
    }
}
END_TEST

START_TEST(rows_of_a_run_that_was_never_evaluated_have_no_accuracy) {
    commit(0, (double)NAN, 0, 0, -1);
    struct rows rows = read_all();
    ck_assert(isnan(rows.row[0].round.accuracy) && isnan(rows.row[0].round.loss));
    ck_assert(rows.row[0].seconds_total == 0);
}
END_TEST

static unsigned count(const char *text, char c) {
    unsigned n = 0;
    for (; *text != '\0'; text++) {
        n += *text == c;
    }
    return n;
}

START_TEST(csv_line_has_a_field_for_each_name) {
    struct fed_curve_row row = {.round = {.round = 7,
                                          .attempt = 2,
                                          .clients = 10,
                                          .weight = 6000,
                                          .accuracy = 0.9713,
                                          .loss = (double)NAN,
                                          .seconds = 0.1,
                                          .train_seconds = 1.0 / 3,
                                          .bytes_down = 100,
                                          .bytes_up = 200,
                                          .model_digest = {0xab},
                                          .wall_ms = INT64_C(1700000000123)},
                                .seconds_total = 12.5,
                                .bytes_total = 4200,
                                .is_rollback = true,
                                .rollback_to = 3};
    char line[FED_CURVE_CSV_MAX];
    size_t n = fed_curve_csv_row(line, &row);
    ck_assert_uint_eq(n, strlen(line));
    ck_assert_str_eq(line, "7,2,0.9713,,0.1,0.33333333333333331,100,200,10,6000,12.5,4200,0,3,2023-11-14T22:13:20.123Z,"
                           "ab00000000000000000000000000000000000000000000000000000000000000\n");
    ck_assert_uint_eq(count(line, ','), count(fed_curve_csv_head(), ','));
    ck_assert_uint_eq(count(fed_curve_csv_head(), '\n'), 1);
}
END_TEST

START_TEST(longest_csv_line_has_room) {
    const double longest = -1.7976931348623157e308;
    struct fed_curve_row row = {.round = {.round = UINT64_MAX,
                                          .attempt = UINT32_MAX,
                                          .clients = UINT64_MAX,
                                          .weight = UINT64_MAX,
                                          .accuracy = longest,
                                          .loss = longest,
                                          .seconds = longest,
                                          .train_seconds = longest,
                                          .bytes_down = UINT64_MAX,
                                          .bytes_up = UINT64_MAX,
                                          .wall_ms = INT64_MAX},
                                .seconds_total = longest,
                                .bytes_total = UINT64_MAX,
                                .is_rollback = true,
                                .rollback_to = UINT64_MAX};
    char line[FED_CURVE_CSV_MAX];
    ck_assert_uint_lt(fed_curve_csv_row(line, &row), sizeof line);
    ck_assert_int_eq(line[strlen(line) - 1], '\n');
}
END_TEST

START_TEST(numbers_read_back_as_the_same) {
    static const double values[] = {0, 0.1, 1.0 / 3, 0.97130000000000005, 1e-300, 5e-324, 123456789012345678.0, -2.5};
    char text[FED_CURVE_NUMBER_MAX];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        fed_curve_number(text, values[i]);
        ck_assert_msg(strtod(text, NULL) == values[i], "%s", text);
    }
    fed_curve_number(text, 0.1);
    ck_assert_str_eq(text, "0.1");
}
END_TEST

int main(void) {
    Suite *s = suite_create("curve");
    TCase *t = tcase_create("run");
    tcase_add_checked_fixture(t, open_run, remove_run);
    tcase_add_test(t, totals_run_over_all_rounds);
    tcase_add_test(t, what_a_later_round_took_back_does_not_stand);
    tcase_add_test(t, rollbacks_apart_take_back_no_more_than_their_own);
    tcase_add_test(t, rows_of_a_run_that_was_never_evaluated_have_no_accuracy);
    suite_add_tcase(s, t);
    t = tcase_create("csv");
    tcase_add_test(t, csv_line_has_a_field_for_each_name);
    tcase_add_test(t, longest_csv_line_has_room);
    tcase_add_test(t, numbers_read_back_as_the_same);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
