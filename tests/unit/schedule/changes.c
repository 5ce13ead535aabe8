/* Nodes that are lost and come back, clients that are given back, and attempts that end. */
#include <check.h>

#include "coordinator/round/schedule.h"
#include "tests/unit/schedule/fixture.h"

static const char *part_text(const struct fed_schedule *schedule, size_t node, uint32_t part) {
    static char text[1024];
    struct fed_assignment said;
    if (fed_schedule_part(&said, schedule, node, part) != 0) {
        return "none";
    }
    describe(text, sizeof text, &said);
    return text;
}

START_TEST(what_a_lost_node_had_not_delivered_goes_to_a_survivor) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, false);
    fed_schedule_node_ready(schedule, 1, 1, true);
    begin(schedule, 4);
    ck_assert_str_eq(all_said(schedule), "0/0.:0 1/0.:1,3 0/1.:2");
    fed_schedule_delivered(schedule, 0, 0);
    fed_schedule_node_lost(schedule, 0);
    ck_assert_str_eq(part_text(schedule, 0, 0), "0/0.:0"); /* delivered stays delivered */
    ck_assert_str_eq(part_text(schedule, 0, 1), "none");
    ck_assert_str_eq(all_said(schedule), ""); /* the survivor has no room yet */
    fed_schedule_progress(schedule, 1, 1);
    ck_assert_str_eq(all_said(schedule), "1/1.:2"); /* its first part was final: a new one */
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_node_that_comes_back_is_told_anew_under_new_numbers) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 8);
    fed_schedule_node_ready(schedule, 0, 1, true);
    begin(schedule, 3);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,1");
    fed_schedule_node_lost(schedule, 0);
    ck_assert_str_eq(all_said(schedule), "");
    fed_schedule_delivered(schedule, 0, 0); /* too late */
    fed_schedule_node_ready(schedule, 0, 1, true);
    ck_assert_str_eq(all_said(schedule), "0/1+:0,1");
    ck_assert_uint_eq(fed_schedule_parts(schedule, 0), 2);
    ck_assert_str_eq(part_text(schedule, 0, 0), "none");
    fed_schedule_node_ready(schedule, 0, 2, true); /* back before its loss was noticed */
    ck_assert_str_eq(all_said(schedule), "0/2.:0,1,2");
    fed_schedule_free(schedule);
}
END_TEST

/* A process that was started again counts from zero: measured against what it delivered before, it would never have room
 * for more, and its open part would never close. */
START_TEST(what_a_node_has_done_counts_from_when_it_came_back) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 3);
    fed_schedule_node_ready(schedule, 0, 1, true);
    begin(schedule, 9);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,1");
    fed_schedule_progress(schedule, 0, 1);
    ck_assert_str_eq(all_said(schedule), "0/0.:0,1,2");
    fed_schedule_progress(schedule, 0, 3);
    fed_schedule_delivered(schedule, 0, 0);
    ck_assert_str_eq(all_said(schedule), "0/1+:3,4");
    fed_schedule_node_ready(schedule, 0, 1, true);
    ck_assert_str_eq(all_said(schedule), "0/2+:3,4");
    fed_schedule_progress(schedule, 0, 1);
    ck_assert_str_eq(all_said(schedule), "0/2.:3,4,5");
    fed_schedule_progress(schedule, 0, UINT32_MAX);
    ck_assert_str_eq(all_said(schedule), "0/3+:6,7");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_client_given_back_goes_to_another_node_and_never_back) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 2, true);
    begin(schedule, 3);
    ck_assert_str_eq(all_said(schedule), "0/0.:0,1,2");
    ck_assert(!fed_schedule_give_back(schedule, 0, 1)); /* nobody else is there */
    ck_assert_str_eq(all_said(schedule), "0/0.:0,2");
    fed_schedule_node_ready(schedule, 1, 1, false);
    ck_assert_str_eq(all_said(schedule), ""); /* lost to the attempt is lost */
    ck_assert(fed_schedule_give_back(schedule, 0, 2));
    ck_assert_str_eq(all_said(schedule), "0/0.:0 1/0.:2");
    ck_assert(fed_schedule_give_back(schedule, 0, 2)); /* not its own any more */
    ck_assert(fed_schedule_give_back(schedule, 0, 77));
    ck_assert(!fed_schedule_give_back(schedule, 1, 2)); /* both have refused it */
    ck_assert_str_eq(all_said(schedule), "");
    ck_assert_str_eq(part_text(schedule, 1, 0), "none");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_refusal_holds_across_a_reconnection_but_not_across_attempts) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, false);
    begin(schedule, 1);
    ck_assert_str_eq(all_said(schedule), "0/0.:0");
    fed_schedule_node_ready(schedule, 1, 1, false);
    ck_assert(fed_schedule_give_back(schedule, 0, 0));
    fed_schedule_node_lost(schedule, 1);
    fed_schedule_node_ready(schedule, 0, 1, false);
    ck_assert_str_eq(all_said(schedule), "");
    begin(schedule, 1);
    ck_assert_str_eq(all_said(schedule), "0/0.:0");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_client_given_back_from_an_open_part_makes_the_rest_final) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, true);
    begin(schedule, 4);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,1");
    fed_schedule_node_ready(schedule, 1, 1, false);
    ck_assert(fed_schedule_give_back(schedule, 0, 0));
    ck_assert_str_eq(all_said(schedule), "0/0.:1 1/0.:0 0/1.:2 1/1.:3");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(without_an_attempt_nothing_is_handed_out) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 8);
    ck_assert_int_eq(fed_schedule_grow(schedule, 2), 0);
    ck_assert_int_eq(fed_schedule_grow(schedule, 1), 0); /* a roster that lost entries takes no room away */
    fed_schedule_node_ready(schedule, 1, 1, false);
    ck_assert_str_eq(all_said(schedule), "");
    begin(schedule, 4);
    fed_schedule_end(schedule);
    ck_assert_str_eq(all_said(schedule), "");
    ck_assert_uint_eq(fed_schedule_parts(schedule, 1), 0);
    fed_schedule_progress(schedule, 1, 1);
    fed_schedule_delivered(schedule, 1, 0);
    ck_assert(fed_schedule_give_back(schedule, 1, 0));
    begin(schedule, 2); /* ready is still ready */
    ck_assert_str_eq(all_said(schedule), "1/0.:0 1/1.:1");
    fed_schedule_free(schedule);
}
END_TEST

TCase *changes_cases(void) {
    TCase *cases = tcase_create("changes");
    tcase_add_test(cases, what_a_lost_node_had_not_delivered_goes_to_a_survivor);
    tcase_add_test(cases, a_node_that_comes_back_is_told_anew_under_new_numbers);
    tcase_add_test(cases, what_a_node_has_done_counts_from_when_it_came_back);
    tcase_add_test(cases, a_client_given_back_goes_to_another_node_and_never_back);
    tcase_add_test(cases, a_refusal_holds_across_a_reconnection_but_not_across_attempts);
    tcase_add_test(cases, a_client_given_back_from_an_open_part_makes_the_rest_final);
    tcase_add_test(cases, without_an_attempt_nothing_is_handed_out);
    return cases;
}
