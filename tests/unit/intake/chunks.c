/* What is asked for, how often, and what nobody asked for. */
#include <check.h>

#include "coordinator/round/intake.h"
#include "tests/unit/intake/fixture.h"

START_TEST(chunks_that_were_not_asked_for_change_nothing) {
    static struct sealed sealed, again;
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4), *other = single(rig, 1, 0, 4);
    seal_chunk(&sealed, update, 0);
    ck_assert_int_eq(give(rig, update, 0, &sealed), FED_EWIRE); /* not even offered */
    offer(rig, update);
    seal_chunk(&again, other, 0);
    ck_assert_int_eq(give(rig, other, 0, &again), FED_EWIRE); /* of a node that has offered nothing */
    ck_assert_int_eq(give(rig, update, FLOATS, &sealed), FED_EWIRE);
    ck_assert_int_eq(give(rig, update, UINT64_MAX, &sealed), FED_EWIRE);
    for (size_t n = 0; n < sealed.n; n += n < 32 ? 1 : 40001) { /* short */
        again = sealed;
        again.n = n;
        ck_assert_int_eq(give(rig, update, 0, &again), FED_EWIRE);
    }
    again = sealed;
    again.n = sealed.n - 1;
    ck_assert_int_eq(give(rig, update, 0, &again), FED_EWIRE);
    ck_assert_int_eq(give(rig, update, FLOATS - 1, &sealed), FED_EWIRE); /* longer than the last one */
    ck_assert_int_eq(give(rig, update, 0, &sealed), FED_OK);
    ck_assert_int_eq(give(rig, update, 0, &sealed), FED_EWIRE); /* twice */
    give_chunks(rig, update, 1, FLOATS);
    wait_for_outcomes(rig, 1);
    ck_assert_int_eq(give(rig, update, 0, &sealed), FED_EWIRE); /* late */
    expect(rig, update);
    check_sum(rig);
    ck_assert_uint_eq(rig->n_outcomes, 1);
    free_update(update);
    free_update(other);
    free_rig(rig);
}
END_TEST

START_TEST(part_that_is_offered_again_is_fetched_once) {
    struct rig *rig = new_rig();
    struct update *updates[SLOTS + 1];
    for (size_t i = 0; i <= SLOTS; i++) { /* the last of them waits for a slot */
        updates[i] = single(rig, i, 0, 4);
        offer(rig, updates[i]);
    }
    for (size_t i = 0; i <= SLOTS; i++) {
        offer(rig, updates[i]);
        expect(rig, updates[i]);
    }
    serve(rig, updates, SLOTS + 1, SLOTS + 1, NULL, NULL);
    work(rig);
    ck_assert(fed_intake_idle(rig->intake));
    ck_assert_uint_eq(rig->n_outcomes, SLOTS + 1);
    ck_assert_uint_eq(rig->n_asks, (SLOTS + 1) * FLOATS);
    check_sum(rig);
    free_updates(updates, SLOTS + 1);
    free_rig(rig);
}
END_TEST

/* A node that was told to begin anew seals anew: what was sealed before will never be whole. */
START_TEST(part_that_was_sealed_anew_takes_the_place_of_the_old_one) {
    struct rig *rig = new_rig();
    struct update *old[SLOTS + 1], *fresh[SLOTS + 1];
    for (size_t i = 0; i <= SLOTS; i++) { /* the last of them waits for a slot */
        old[i] = single(rig, i, 0, 4);
        offer(rig, old[i]);
    }
    give_all_but_last(rig, old[0]);
    for (size_t i = 0; i <= SLOTS; i++) {
        broken(rig, i, 0); /* what was asked of the old one is never answered */
        fresh[i] = single(rig, i, 0, 4);
        offer(rig, fresh[i]);
        expect(rig, fresh[i]);
    }
    serve(rig, fresh, SLOTS + 1, SLOTS + 1, NULL, NULL);
    for (size_t i = 0; i <= SLOTS; i++) {
        ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_NONE);
        free_update(old[i]);
        free_update(fresh[i]);
    }
    check_sum(rig);
    free_rig(rig);
}
END_TEST

START_TEST(lost_node_leaves_nothing_behind) {
    static struct sealed sealed;
    struct rig *rig = new_rig();
    struct update *lost[SLOTS], *other = single(rig, 1, 0, 5);
    for (uint32_t part = 0; part < SLOTS; part++) { /* the last one waits for a slot */
        lost[part] = single(rig, 0, part, 4);
        offer(rig, lost[part]);
    }
    give_all_but_last(rig, lost[0]);
    fed_intake_node_lost(rig->intake, 0);
    seal_chunk(&sealed, lost[0], FLOATS - 1);
    ck_assert_int_eq(give(rig, lost[0], FLOATS - 1, &sealed), FED_EWIRE);
    rig->next_ask = rig->n_asks;
    offer(rig, other);
    serve_one(rig, other, 1); /* nothing else is asked for */
    expect(rig, other);
    check_sum(rig);
    offer(rig, lost[0]); /* back again, and from the start */
    serve_one(rig, lost[0], 2);
    expect(rig, lost[0]);
    check_sum(rig);
    free_updates(lost, SLOTS);
    free_update(other);
    free_rig(rig);
}
END_TEST

/* In a slot, half fetched, and in the queue. */
START_TEST(what_was_declined_holds_no_slot_and_is_not_fetched) {
    struct rig *rig = new_rig();
    struct update *parts[SLOTS], *other = single(rig, 1, 0, 5);
    uint64_t nobodys = 77;
    for (uint32_t part = 0; part < SLOTS; part++) { /* the last one waits for a slot */
        parts[part] = single(rig, 0, part, 4);
        offer(rig, parts[part]);
    }
    give_all_but_last(rig, parts[0]);
    fed_intake_declined(rig->intake, 0, 0, NULL, 0);
    fed_intake_declined(rig->intake, 0, 1, &nobodys, 1); /* clients that its update does not count */
    fed_intake_declined(rig->intake, 0, 2, parts[2]->header.clients, 1);
    fed_intake_declined(rig->intake, 1, 1, NULL, 0); /* another node's part of that number */
    wait_until_idle(rig);
    offer(rig, other);
    ck_assert_uint_eq(rig->n_asks, SLOTS * FLOATS); /* parts 0 and 1 and the other's, of part 2 nothing */
    rig->next_ask = FLOATS;
    serve(rig, (struct update *[]){parts[1], other}, 2, 2, NULL, NULL);
    expect(rig, parts[1]);
    expect(rig, other);
    check_sum(rig);
    offer(rig, parts[2]); /* the list is as whole as before */
    serve_one(rig, parts[2], 3);
    expect(rig, parts[2]);
    check_sum(rig);
    free_updates(parts, SLOTS);
    free_update(other);
    free_rig(rig);
}
END_TEST

START_TEST(another_connection_is_asked_for_what_the_last_one_did_not_bring) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    offer(rig, update);
    ck_assert_uint_eq(rig->n_asks, FLOATS);
    give_chunk(rig, update, 2);
    wait_for_pool(rig);
    rig->now_ms += STALL_MS / 2 - 1;
    work(rig);
    ck_assert_uint_eq(rig->n_asks, FLOATS); /* a slow line is not filled with the same again */
    rig->next_ask = rig->n_asks;
    fed_intake_lane_anew(rig->intake, 1); /* somebody else's */
    work(rig);
    ck_assert_uint_eq(rig->n_asks, FLOATS);
    fed_intake_lane_anew(rig->intake, 0);
    work(rig);
    ck_assert_uint_eq(rig->n_asks, 2 * FLOATS - 1); /* the three that are missing */
    serve_one(rig, update, 1);
    ends_admitted(rig, update);
}
END_TEST

START_TEST(what_does_not_come_is_asked_for_once_more_on_the_same_connection) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    offer(rig, update);
    give_chunk(rig, update, 2);
    wait_for_pool(rig);
    ck_assert_uint_eq(fed_intake_wakeup(rig->intake), rig->now_ms + STALL_MS / 2);
    rig->now_ms += STALL_MS / 2;
    work(rig);
    ck_assert_uint_eq(rig->n_asks, 2 * FLOATS - 1);
    ck_assert_uint_eq(fed_intake_wakeup(rig->intake), rig->now_ms + STALL_MS / 2);
    rig->now_ms += STALL_MS / 2 - 1;
    work(rig);
    ck_assert_uint_eq(rig->n_asks, 2 * FLOATS - 1);
    rig->next_ask = FLOATS;
    serve_one(rig, update, 1);
    ends_admitted(rig, update);
}
END_TEST

START_TEST(lane_that_is_full_is_tried_again) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    rig->get_answer = FED_EAGAIN;
    offer(rig, update);
    for (int i = 0; i < 5; i++) {
        unsigned tried = rig->n_gets;
        ck_assert_uint_gt(fed_intake_wakeup(rig->intake), rig->now_ms);
        ck_assert_uint_lt(fed_intake_wakeup(rig->intake), rig->now_ms + STALL_MS);
        rig->now_ms = fed_intake_wakeup(rig->intake);
        work(rig);
        ck_assert_uint_gt(rig->n_gets, tried);
    }
    ck_assert_uint_eq(rig->n_outcomes, 0);
    rig->get_answer = FED_OK;
    rig->now_ms = fed_intake_wakeup(rig->intake);
    work(rig);
    serve_one(rig, update, 1);
    ends_admitted(rig, update);
}
END_TEST

START_TEST(node_without_a_lane_is_asked_when_it_has_one) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4);
    rig->get_answer = FED_EGONE;
    offer(rig, update);
    ck_assert_uint_ge(fed_intake_wakeup(rig->intake), rig->now_ms + STALL_MS / 2); /* and nobody wakes for it until then */
    rig->get_answer = FED_OK;
    fed_intake_lane_anew(rig->intake, 0);
    work(rig);
    serve_one(rig, update, 1);
    ends_admitted(rig, update);
}
END_TEST

TCase *chunks_cases(void) {
    TCase *cases = tcase_create("chunks");
    tcase_add_test(cases, chunks_that_were_not_asked_for_change_nothing);
    tcase_add_test(cases, part_that_is_offered_again_is_fetched_once);
    tcase_add_test(cases, part_that_was_sealed_anew_takes_the_place_of_the_old_one);
    tcase_add_test(cases, lost_node_leaves_nothing_behind);
    tcase_add_test(cases, what_was_declined_holds_no_slot_and_is_not_fetched);
    tcase_add_test(cases, another_connection_is_asked_for_what_the_last_one_did_not_bring);
    tcase_add_test(cases, what_does_not_come_is_asked_for_once_more_on_the_same_connection);
    tcase_add_test(cases, lane_that_is_full_is_tried_again);
    tcase_add_test(cases, node_without_a_lane_is_asked_when_it_has_one);
    return cases;
}
