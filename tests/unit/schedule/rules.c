/* Who is given which clients, in which parts. */
#include <check.h>

#include "coordinator/round/schedule.h"
#include "tests/unit/schedule/fixture.h"

START_TEST(a_node_is_given_two_clients_a_worker_and_more_as_it_trains) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 8);
    fed_schedule_node_ready(schedule, 0, 2, false);
    begin(schedule, 6);
    ck_assert_str_eq(all_said(schedule), "0/0.:0 0/1.:1 0/2.:2 0/3.:3");
    ck_assert_str_eq(all_said(schedule), "");
    fed_schedule_progress(schedule, 0, 1);
    ck_assert_str_eq(all_said(schedule), "0/4.:4");
    fed_schedule_progress(schedule, 0, 1); /* said again: nothing new */
    ck_assert_str_eq(all_said(schedule), "");
    fed_schedule_progress(schedule, 0, 4000000000u); /* what it was never given cannot be done */
    ck_assert_str_eq(all_said(schedule), "0/5.:5");
    ck_assert_uint_eq(fed_schedule_parts(schedule, 0), 6);
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(the_longest_shards_go_first_and_to_the_least_loaded_node) {
    struct world world = everybody_hosts_all();
    world.work[0] = 5, world.work[1] = 9, world.work[2] = 9, world.work[3] = 1, world.work[4] = 7;
    struct fed_schedule *schedule = make(&world, 3, 8);
    fed_schedule_node_ready(schedule, 0, 1, false);
    fed_schedule_node_ready(schedule, 2, 2, false);
    begin(schedule, 5);
    /* 1 and 2 tie and keep the order of the cohort; node 2 has two workers: with 9 and 7 it is at 8 a worker, node 0 at 9 */
    ck_assert_str_eq(all_said(schedule), "0/0.:1 2/0.:2 2/1.:4 2/2.:0 0/1.:3");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_partial_sum_grows_in_one_open_part_until_the_last_pick_is_out) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, true);
    fed_schedule_node_ready(schedule, 1, 1, true);
    begin(schedule, 6);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,2 1/0+:1,3");
    fed_schedule_progress(schedule, 0, 1);
    ck_assert_str_eq(all_said(schedule), "0/0+:0,2,4");
    fed_schedule_progress(schedule, 1, 1);
    /* the last one: both parts are complete, that of the node which was given nothing as well */
    ck_assert_str_eq(all_said(schedule), "1/0.:1,3,5 0/0.:0,2,4");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_full_part_is_closed_and_the_next_one_opened) {
    struct world world = everybody_hosts_all();
    struct fed_schedule *schedule = make(&world, 1, 2);
    fed_schedule_node_ready(schedule, 0, 2, true);
    begin(schedule, 5);
    ck_assert_str_eq(all_said(schedule), "0/0.:0,1 0/1.:2,3");
    fed_schedule_progress(schedule, 0, 2);
    ck_assert_str_eq(all_said(schedule), "0/2.:4");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(a_part_closes_when_nothing_is_left_that_its_node_hosts) {
    struct world world = everybody_hosts_all();
    world.ranges[0][0] = (struct range){.first = 0, .count = 1};
    world.ranges[1][0] = (struct range){.first = 1, .count = CLIENTS - 1};
    struct fed_schedule *schedule = make(&world, 2, 8);
    fed_schedule_node_ready(schedule, 0, 1, true);
    fed_schedule_node_ready(schedule, 1, 1, true);
    begin(schedule, 5);
    ck_assert_str_eq(all_said(schedule), "0/0.:0 1/0+:1,2");
    fed_schedule_free(schedule);
}
END_TEST

START_TEST(every_range_of_a_node_counts_and_nothing_outside) {
    struct world world = {.ranges = {{{.first = 1, .count = 1}, {.first = 3, .count = 2}}}};
    struct fed_schedule *schedule = make(&world, 1, 8);
    fed_schedule_node_ready(schedule, 0, 8, true);
    begin(schedule, 7);
    ck_assert_str_eq(all_said(schedule), "0/0.:1,3,4");
    fed_schedule_free(schedule);
}
END_TEST

TCase *rules_cases(void) {
    TCase *cases = tcase_create("rules");
    tcase_add_test(cases, a_node_is_given_two_clients_a_worker_and_more_as_it_trains);
    tcase_add_test(cases, the_longest_shards_go_first_and_to_the_least_loaded_node);
    tcase_add_test(cases, a_partial_sum_grows_in_one_open_part_until_the_last_pick_is_out);
    tcase_add_test(cases, a_full_part_is_closed_and_the_next_one_opened);
    tcase_add_test(cases, a_part_closes_when_nothing_is_left_that_its_node_hosts);
    tcase_add_test(cases, every_range_of_a_node_counts_and_nothing_outside);
    return cases;
}
