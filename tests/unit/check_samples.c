/* Curves in bounded memory: what is kept, what is totalled, what is taken out. */
#include "coordinator/http/samples.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static struct fed_samples samples;
static void start(void) { ck_assert_int_eq(fed_samples_init(&samples), FED_OK); }
static void stop(void) { fed_samples_fini(&samples); }

static void add(uint64_t number) {
    fed_samples_add(&samples, &(struct fed_store_round){.round = number,
                                                        .accuracy = (double)NAN,
                                                        .loss = (double)NAN,
                                                        .seconds = 0.5,
                                                        .train_seconds = number == 3 ? (double)NAN : 0.25,
                                                        .bytes_down = 3,
                                                        .bytes_up = 2,
                                                        .clients = 4});
}

START_TEST(every_round_is_kept_while_there_is_room) {
    static struct fed_curve_row rows[FED_SAMPLES_ROOM];
    for (uint64_t r = 0; r < FED_SAMPLES_ROOM; r++) {
        add(r);
    }
    ck_assert_uint_eq(samples.stride, 1);
    ck_assert_uint_eq(fed_samples_take(rows, FED_SAMPLES_ROOM, &samples, 0, UINT64_MAX), FED_SAMPLES_ROOM);
    for (uint64_t r = 0; r < FED_SAMPLES_ROOM; r++) {
        ck_assert_uint_eq(rows[r].round.round, r);
        ck_assert(rows[r].seconds_total == 0.5 * (double)(r + 1));
        ck_assert_uint_eq(rows[r].bytes_total, 5 * (r + 1));
    }
}
END_TEST

/* Ten times the room: a power of two divides what is kept, the last is there, and totals count what is not kept. */
START_TEST(a_long_run_is_thinned_and_its_totals_are_not) {
    enum { ROUNDS = 10 * 8192 + 3 };
    static struct fed_curve_row rows[FED_SAMPLES_ROOM + 1];
    for (uint64_t r = 0; r <= ROUNDS; r++) {
        add(r);
    }
    ck_assert_uint_eq(samples.stride, 16);
    ck_assert_uint_le(samples.n, FED_SAMPLES_ROOM);
    ck_assert_uint_gt(samples.n, FED_SAMPLES_ROOM / 2);
    size_t n = fed_samples_take(rows, FED_SAMPLES_ROOM + 1, &samples, 0, UINT64_MAX);
    ck_assert_uint_eq(n, samples.n + 1);
    for (size_t i = 0; i + 1 < n; i++) {
        ck_assert_uint_eq(rows[i].round.round, 16 * i);
        ck_assert_uint_eq(rows[i].bytes_total, 5 * (16 * i + 1));
    }
    ck_assert_uint_eq(rows[n - 1].round.round, ROUNDS);
    ck_assert_uint_eq(samples.totals.clients, 4 * (ROUNDS + 1));
    ck_assert(samples.totals.train_seconds == 0.25 * ROUNDS); /* one round had none to tell */
}
END_TEST

START_TEST(last_round_anew_takes_the_place_of_the_first_word_of_it) {
    struct fed_curve_row rows[8];
    for (uint64_t r = 0; r <= 4; r++) {
        add(r);
    }
    struct fed_store_round again = samples.last.round;
    again.accuracy = 0.5;
    again.seconds = 2.5;
    fed_samples_add(&samples, &again);
    ck_assert_uint_eq(fed_samples_take(rows, 8, &samples, 0, 100), 5);
    ck_assert(rows[4].round.accuracy == 0.5 && isnan(rows[3].round.accuracy));
    ck_assert(rows[4].seconds_total == 4.5);
    add(5);
    ck_assert(samples.last.seconds_total == 5.0 && samples.last.bytes_total == 30);
}
END_TEST

START_TEST(a_part_has_its_ends_and_what_lies_evenly_between) {
    struct fed_curve_row rows[5];
    for (uint64_t r = 0; r <= 100; r++) {
        add(r);
    }
    ck_assert_uint_eq(fed_samples_take(rows, 5, &samples, 20, 60), 5);
    for (uint64_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(rows[i].round.round, 20 + 10 * i);
    }
    ck_assert_uint_eq(fed_samples_take(rows, 5, &samples, 99, 200), 2);
    ck_assert_uint_eq(rows[1].round.round, 100);
    ck_assert_uint_eq(fed_samples_take(rows, 5, &samples, 7, 7), 1);
    ck_assert_uint_eq(fed_samples_take(rows, 5, &samples, 101, 200), 0);
    ck_assert_uint_eq(fed_samples_take(rows, 5, &samples, 9, 7), 0);
}
END_TEST

START_TEST(nothing_is_taken_of_nothing) {
    struct fed_curve_row rows[2];
    ck_assert_uint_eq(fed_samples_take(rows, 2, &samples, 0, UINT64_MAX), 0);
    ck_assert_ptr_null(fed_samples_at(&samples, UINT64_MAX));
}
END_TEST

START_TEST(newest_at_a_round_is_found) {
    for (uint64_t r = 5; r <= 9; r++) {
        add(r);
    }
    ck_assert_ptr_null(fed_samples_at(&samples, 4));
    ck_assert_uint_eq(fed_samples_at(&samples, 7)->round.round, 7);
    ck_assert_uint_eq(fed_samples_at(&samples, 1000)->round.round, 9);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, start, stop);
    tcase_add_test(core, every_round_is_kept_while_there_is_room);
    tcase_add_test(core, a_long_run_is_thinned_and_its_totals_are_not);
    tcase_add_test(core, last_round_anew_takes_the_place_of_the_first_word_of_it);
    tcase_add_test(core, a_part_has_its_ends_and_what_lies_evenly_between);
    tcase_add_test(core, nothing_is_taken_of_nothing);
    tcase_add_test(core, newest_at_a_round_is_found);
    Suite *suite = suite_create("samples");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
