/* What is added is added exactly, by whatever way it comes in. */
#include <check.h>

#include "coordinator/round/intake.h"
#include "tests/unit/intake/fixture.h"

START_TEST(whole_updates_are_added_exactly) {
    struct rig *rig = new_rig();
    struct update *updates[] = {single(rig, 0, 0, 1), single(rig, 0, 1, MAX_WEIGHT), partial_sum(rig, 1, 0, 5, 77)};
    for (size_t i = 0; i < 3; i++) {
        offer(rig, updates[i]);
        serve(rig, &updates[i], 1, i + 1, NULL, NULL);
        check_last(rig, FED_REFUSAL_NONE, "");
        expect(rig, updates[i]);
        check_sum(rig);
        free_update(updates[i]);
    }
    ck_assert_uint_eq(rig->aggregate.total_weight, 1 + MAX_WEIGHT + 5 * 77);
    ck_assert_uint_eq(rig->aggregate.n_updates, 7);
    free_rig(rig);
}
END_TEST

START_TEST(many_nodes_at_once_come_in_through_few_slots_and_one_window) {
    struct rig *rig = new_rig();
    struct update *updates[3 * NODES];
    size_t n = 0;
    for (size_t node = 0; node < NODES; node++) {
        for (uint32_t part = 0; part < 3; part++) {
            updates[n++] = part == 1 ? partial_sum(rig, node, part, 4, 50) : single(rig, node, part, 3 + part);
        }
    }
    for (size_t i = 0; i < n; i++) {
        offer(rig, updates[i]);
        expect(rig, updates[i]);
    }
    serve(rig, updates, n, n, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_NONE);
    }
    check_sum(rig);
    ck_assert_uint_le(rig->most_in_flight, FED_INTAKE_WINDOW);
    ck_assert_uint_gt(rig->most_in_flight, FED_INTAKE_WINDOW / SLOTS);     /* they did come in at once */
    ck_assert_uint_eq(rig->n_asks, 2 * NODES * FLOATS + NODES * INTEGERS); /* every chunk once */
    free_updates(updates, n);
    free_rig(rig);
}
END_TEST

static void add_three(struct rig *rig) {
    struct update *updates[] = {single(rig, 0, 0, 11), partial_sum(rig, 1, 0, 3, 9), single(rig, 2, 0, 13)};
    for (size_t i = 0; i < 3; i++) {
        offer(rig, updates[i]);
        expect(rig, updates[i]);
    }
    serve(rig, updates, 3, 3, NULL, NULL);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_NONE);
        free_update(updates[i]);
    }
}

START_TEST(staging_area_of_any_size_gives_the_same_sum) {
    static const uint64_t sizes[] = {1, PARAMS * sizeof(float), PARAMS * sizeof(int64_t) + 1000, (uint64_t)4 << 20};
    struct rig *rig = rig_with(sizes[_i]);
    add_three(rig);
    check_sum(rig);
    free_rig(rig);
}
END_TEST

START_TEST(update_without_room_on_disk_is_put_off) {
    struct rig *rig = rig_of(1, "/nonexistent", STALL_MS);
    struct update *update = single(rig, 0, 0, 1);
    offer(rig, update);
    check_last(rig, FED_REFUSAL_BUSY, "no room");
    check_sum(rig);
    free_update(update);
    free_rig(rig);
}
END_TEST

START_TEST(damage_on_disk_between_check_and_sum_spoils_the_attempt) {
    struct rig *rig = rig_with(1);
    struct update *update = single(rig, 0, 0, 1);
    rig->spoil = true;
    offer(rig, update);
    give_chunks(rig, update, 0, FLOATS);
    while (!fed_intake_spoilt(rig->intake)) {
        wait_for_pool(rig);
    }
    wait_until_idle(rig);
    ck_assert_uint_eq(rig->n_outcomes, 0); /* it was not admitted */
    fed_intake_end(rig->intake);
    rig->spoil = false;
    fed_aggregate_clear(&rig->aggregate);
    fed_intake_begin(rig->intake, &rig->attempt);
    ck_assert(!fed_intake_spoilt(rig->intake));
    free_update(update);
    free_rig(rig);
}
END_TEST

START_TEST(claim_is_the_last_word_before_the_sum) {
    struct rig *rig = new_rig();
    struct update *first = single(rig, 0, 0, 5), *second = single(rig, 1, 0, 6);
    rig->claim_answer = FED_REFUSAL_COUNTED;
    offer(rig, first);
    serve_one(rig, first, 1);
    check_last(rig, FED_REFUSAL_COUNTED, "another node");
    check_sum(rig);
    rig->claim_answer = FED_REFUSAL_NONE;
    offer(rig, second);
    serve_one(rig, second, 2);
    expect(rig, second);
    check_sum(rig);
    ck_assert_uint_eq(rig->n_claims, 2);
    free_update(first);
    free_update(second);
    free_rig(rig);
}
END_TEST

TCase *sums_cases(void) {
    TCase *cases = tcase_create("sums");
    tcase_add_test(cases, whole_updates_are_added_exactly);
    tcase_add_test(cases, many_nodes_at_once_come_in_through_few_slots_and_one_window);
    tcase_add_loop_test(cases, staging_area_of_any_size_gives_the_same_sum, 0, 4);
    tcase_add_test(cases, update_without_room_on_disk_is_put_off);
    tcase_add_test(cases, damage_on_disk_between_check_and_sum_spoils_the_attempt);
    tcase_add_test(cases, claim_is_the_last_word_before_the_sum);
    return cases;
}
