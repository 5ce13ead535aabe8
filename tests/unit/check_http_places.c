/* Who has to go where the places run out. */
#include "coordinator/http/http_places.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct fed_places places;
static struct fed_place *held[FED_PLACES_ROOM];

static void start(void) { memset(&places, 0, sizeof places); }

static struct fed_place *take(int fd, struct fed_place **leaves) {
    struct fed_place *place = fed_places_take(&places, fd, leaves);
    ck_assert_ptr_nonnull(place);
    ck_assert_int_eq(place->fd, fd);
    return place;
}

static void fill(void) {
    struct fed_place *leaves;
    for (int i = 0; i < (int)FED_PLACES; i++) {
        held[i] = take(i, &leaves);
        ck_assert_ptr_null(leaves);
    }
}

START_TEST(nobody_goes_while_there_is_a_place) {
    struct fed_place *leaves;
    fill();
    fed_places_free(&places, held[7]);
    take(100, &leaves);
    ck_assert_ptr_null(leaves);
}
END_TEST

START_TEST(who_waited_longest_goes_first) {
    struct fed_place *leaves;
    fill();
    for (int i = 0; i < (int)FED_PLACES; i++) {
        take(100 + i, &leaves);
        ck_assert_ptr_eq(leaves, held[i]);
        fed_places_free(&places, leaves);
    }
    take(200, &leaves);
    ck_assert_int_eq(leaves->fd, 100);
}
END_TEST

START_TEST(who_is_answered_stays_while_others_have_asked_nothing) {
    struct fed_place *leaves;
    fill();
    for (size_t i = 0; i < FED_PLACES - 1; i++) {
        fed_places_change(&places, held[i], FED_PLACE_ANSWERED);
    }
    take(100, &leaves);
    ck_assert_ptr_eq(leaves, held[FED_PLACES - 1]);
}
END_TEST

START_TEST(an_answer_that_ended_is_a_wait_that_begins) {
    struct fed_place *leaves;
    fill();
    fed_places_change(&places, held[0], FED_PLACE_ANSWERED);
    fed_places_change(&places, held[0], FED_PLACE_WAITS);
    take(100, &leaves);
    ck_assert_ptr_eq(leaves, held[1]);
}
END_TEST

START_TEST(where_all_are_answered_the_answer_that_began_first_goes) {
    struct fed_place *leaves;
    fill();
    for (size_t i = FED_PLACES; i-- > 0;) {
        fed_places_change(&places, held[i], FED_PLACE_ANSWERED);
    }
    take(100, &leaves);
    ck_assert_ptr_eq(leaves, held[FED_PLACES - 1]);
}
END_TEST

START_TEST(who_reads_the_stream_is_never_sent_away) {
    struct fed_place *leaves;
    fill();
    for (size_t i = 0; i < FED_PLACES; i++) {
        fed_places_change(&places, held[i], i < 16 ? FED_PLACE_STAYS : FED_PLACE_ANSWERED);
    }
    for (size_t i = 16; i < FED_PLACES; i++) {
        struct fed_place *place = take(100, &leaves);
        ck_assert_ptr_eq(leaves, held[i]);
        fed_places_free(&places, leaves);
        fed_places_change(&places, place, FED_PLACE_ANSWERED);
    }
    for (size_t i = 0; i < 16; i++) {
        ck_assert_int_eq(held[i]->state, FED_PLACE_STAYS);
    }
}
END_TEST

START_TEST(who_was_sent_away_is_not_sent_twice_and_counts_no_more) {
    struct fed_place *leaves;
    fill();
    for (size_t i = 0; i < FED_PLACES_LEAVING; i++) {
        take(100, &leaves);
        ck_assert_ptr_eq(leaves, held[i]);
        fed_places_change(&places, leaves, FED_PLACE_ANSWERED); /* an answer on its way */
        ck_assert_int_eq(leaves->state, FED_PLACE_LEAVING);
    }
    ck_assert_ptr_null(fed_places_take(&places, 101, &leaves));
    ck_assert_ptr_null(leaves);
    fed_places_free(&places, held[0]);
    take(101, &leaves);
    ck_assert_ptr_eq(leaves, held[FED_PLACES_LEAVING]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_places");
    TCase *tcase = tcase_create("http_places");
    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(tcase, start, NULL);
    tcase_add_test(tcase, nobody_goes_while_there_is_a_place);
    tcase_add_test(tcase, who_waited_longest_goes_first);
    tcase_add_test(tcase, who_is_answered_stays_while_others_have_asked_nothing);
    tcase_add_test(tcase, an_answer_that_ended_is_a_wait_that_begins);
    tcase_add_test(tcase, where_all_are_answered_the_answer_that_began_first_goes);
    tcase_add_test(tcase, who_reads_the_stream_is_never_sent_away);
    tcase_add_test(tcase, who_was_sent_away_is_not_sent_twice_and_counts_no_more);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
