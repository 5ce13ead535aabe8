/* Nodes that are slow, silent, dead or greedy do not keep others out. */
#include <check.h>

#include "coordinator/round/intake.h"
#include "tests/unit/intake/fixture.h"

/* Slow updates are waited for. */
static struct rig *patient_rig(uint64_t staging_bytes) { return rig_of(staging_bytes, NULL, LONG_STALL_MS); }

START_TEST(slow_update_is_waited_for_while_it_moves_and_refused_when_it_does_not) {
    struct rig *rig = new_rig();
    struct update *slow = single(rig, 0, 0, 4), *behind = single(rig, 0, 1, 5);
    offer(rig, slow);
    offer(rig, behind); /* by the same connection, so its chunks come after those of the first */
    ck_assert(!fed_intake_holds(rig->intake, 0));
    for (uint64_t i = 0; i + 1 < FLOATS; i++) {
        rig->now_ms += STALL_MS - 1;
        work(rig);
        ck_assert_uint_eq(rig->n_outcomes, 0);
        give_chunk(rig, slow, i);
        wait_for_pool(rig);
        ck_assert(fed_intake_holds(rig->intake, 0));
    }
    rig->now_ms += STALL_MS;
    work(rig);
    ck_assert_uint_eq(rig->n_outcomes, 2);
    check_last(rig, FED_REFUSAL_RATE, "stalled");
    ck_assert(!fed_intake_holds(rig->intake, 0));
    check_sum(rig); /* nothing was added */
    free_update(slow);
    free_update(behind);
    free_rig(rig);
}
END_TEST

START_TEST(node_that_sends_nothing_does_not_keep_its_slot_from_others) {
    struct rig *rig = new_rig();
    struct update *silent[SLOTS], *honest = single(rig, NODES - 1, 0, 7);
    for (size_t i = 0; i < SLOTS; i++) {
        silent[i] = single(rig, i, 0, 4);
        offer(rig, silent[i]);
    }
    offer(rig, honest);
    ck_assert_uint_eq(rig->n_asks, SLOTS * FLOATS); /* it waits */
    rig->next_ask = rig->n_asks;
    rig->now_ms = fed_intake_wakeup(rig->intake); /* long before they would be refused */
    work(rig);
    ck_assert_uint_eq(rig->n_outcomes, 0);
    while (rig->asks[rig->next_ask].node != NODES - 1) { /* the silent are asked as well, and stay silent */
        rig->next_ask++;
        ck_assert_uint_lt(rig->next_ask, rig->n_asks);
    }
    rig->n_asks = rig->next_ask + FLOATS;
    serve_one(rig, honest, 1);
    expect(rig, honest);
    check_sum(rig);
    free_updates(silent, SLOTS);
    free_update(honest);
    free_rig(rig);
}
END_TEST

/* Several dead nodes with several updates each and a live one that offers again and again: there is always somebody who
 * waits, and yet the dead are waited for no longer than stall_ms in a slot. */
START_TEST(node_that_died_is_given_up_however_many_wait_and_however_often_it_gave_way) {
    enum { DEAD = 2, PARTS = 3 };
    struct rig *rig = patient_rig(AMPLE);
    struct update *dead[DEAD * PARTS];
    for (size_t i = 0; i < DEAD * PARTS; i++) {
        dead[i] = single(rig, i / PARTS, (uint32_t)(i % PARTS), 4);
        offer(rig, dead[i]);
    }
    give_chunk(rig, dead[0], 0);
    wait_for_pool(rig);
    ck_assert(fed_intake_holds(rig->intake, 0));
    uint64_t began_ms = rig->now_ms;
    for (int i = 0; i < 1000 && rig->n_outcomes < DEAD * PARTS; i++) {
        uint64_t at = fed_intake_wakeup(rig->intake);
        rig->now_ms = at > rig->now_ms ? at : rig->now_ms + 1;
        rig->next_ask = rig->n_asks = 0; /* nobody answers */
        work(rig);
    }
    ck_assert_uint_eq(rig->n_outcomes, DEAD * PARTS);
    for (size_t i = 0; i < rig->n_outcomes; i++) {
        ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_RATE);
    }
    ck_assert_uint_lt(rig->now_ms - began_ms, 3 * (uint64_t)LONG_STALL_MS);
    ck_assert(!fed_intake_holds(rig->intake, 0));
    free_updates(dead, DEAD * PARTS);
    free_rig(rig);
}
END_TEST

START_TEST(own_updates_that_wait_take_no_slot_from_each_other) {
    struct rig *rig = new_rig();
    struct update *updates[SLOTS];
    for (uint32_t i = 0; i < SLOTS; i++) { /* no node holds every slot: the last one waits */
        updates[i] = single(rig, 0, i, 4);
        offer(rig, updates[i]);
    }
    rig->now_ms += STALL_MS / 2 - 1;
    work(rig);
    ck_assert_uint_eq(rig->n_asks, (SLOTS - 1) * FLOATS); /* nothing is asked for a second time */
    free_updates(updates, SLOTS);
    free_rig(rig);
}
END_TEST

static size_t asks_for(const struct rig *rig, size_t node, uint64_t chunk) {
    size_t n = 0;
    for (size_t i = 0; i < rig->n_asks; i++) {
        n += rig->asks[i].node == node && rig->asks[i].chunk == chunk;
    }
    return n;
}

/* Every slot to a node whose only chunk took so long that it is seen to be slow a millisecond from now: 13 KB/s. */
static void fill_slots_slowly(struct rig *rig, struct update *slow[SLOTS]) {
    for (size_t i = 0; i < SLOTS; i++) {
        slow[i] = single(rig, i, 0, 4);
        offer(rig, slow[i]);
    }
    rig->now_ms += PACE_MS - 1;
    for (size_t i = 0; i < SLOTS; i++) {
        give_chunk(rig, slow[i], 0);
        wait_for_pool(rig);
    }
}

/* The chunks from first on; it is the nth update that is admitted. */
static void bring_the_rest(struct rig *rig, const struct update *update, uint64_t first, size_t nth) {
    give_chunks(rig, update, first, FLOATS);
    wait_for_outcomes(rig, nth);
    check_last(rig, FED_REFUSAL_NONE, "");
    ck_assert_uint_eq(rig->outcomes[nth - 1].node, update->node);
    expect(rig, update);
}

/* A quick update comes in between slow ones, and the first of those after it. memory: for how many updates beside those of
 * the slots. Returns how often the first chunk of the slow one was asked for. */
static size_t make_room(unsigned memory) {
    struct rig *rig = patient_rig((SLOTS + memory) * fed_sealed_bytes(PARAMS * sizeof(int64_t)));
    struct update *slow[SLOTS], *quick = single(rig, NODES - 1, 0, 7);
    fill_slots_slowly(rig, slow);
    offer(rig, quick);
    ck_assert_uint_eq(asks_for(rig, NODES - 1, 0), 0); /* it waits, until the slow are seen to be slow */
    ck_assert_uint_le(fed_intake_wakeup(rig->intake), ++rig->now_ms);
    wait_until_idle(rig);
    work(rig);
    ck_assert_uint_eq(asks_for(rig, NODES - 1, 0), 1);
    if (memory > 0) {
        give_chunk(rig, slow[0], 1); /* it was on its way: nothing is sent twice */
        ck_assert(fed_intake_holds(rig->intake, 0));
    }
    bring_the_rest(rig, quick, 0, 1);
    bring_the_rest(rig, slow[0], memory > 0 ? 2 : 0, 2);
    check_sum(rig);
    size_t asks = asks_for(rig, 0, 0);
    free_updates(slow, SLOTS);
    free_update(quick);
    free_rig(rig);
    return asks;
}

START_TEST(slow_update_makes_room_for_another_and_goes_on_where_it_was) { ck_assert_uint_eq(make_room(SLOTS), 1); }
END_TEST

START_TEST(slow_update_makes_room_where_there_is_no_memory_to_keep_it_and_begins_anew) {
    ck_assert_uint_eq(make_room(0), 2);
}
END_TEST

/* One chunk in 20 s from each node: the first one in flight. */
static void trickle(struct rig *rig, struct update *const *updates, size_t n) {
    static struct sealed sealed;
    rig->now_ms += PACE_MS - 1;
    for (size_t i = 0; i < n; i++) {
        int rc = FED_EWIRE;
        for (uint64_t chunk = 0; chunk < FLOATS && rc != FED_OK; chunk++) {
            seal_chunk(&sealed, updates[i], chunk);
            rc = give(rig, updates[i], chunk, &sealed);
        }
    }
    wait_until_idle(rig);
    rig->now_ms += 1;
    work(rig);
}

START_TEST(slow_updates_without_memory_to_keep_them_come_in_all_the_same) {
    struct rig *rig = patient_rig(SLOTS * fed_sealed_bytes(PARAMS * sizeof(int64_t)));
    struct update *slow[SLOTS + 1];
    for (size_t i = 0; i < SLOTS + 1; i++) {
        slow[i] = single(rig, i, 0, 4);
        offer(rig, slow[i]);
        expect(rig, slow[i]);
    }
    for (int i = 0; i < 40 && rig->n_outcomes < SLOTS + 1; i++) {
        trickle(rig, slow, SLOTS + 1);
    }
    ck_assert_uint_eq(rig->n_outcomes, SLOTS + 1);
    check_sum(rig);
    free_updates(slow, SLOTS + 1);
    free_rig(rig);
}
END_TEST

START_TEST(slow_update_that_nobody_waits_for_keeps_its_slot) {
    struct rig *rig = patient_rig(AMPLE);
    struct update *slow = single(rig, 0, 0, 4);
    offer(rig, slow);
    for (uint64_t i = 0; i < FLOATS; i++) {
        rig->now_ms += PACE_MS + 1;
        work(rig);
        ck_assert_uint_eq(asks_for(rig, 0, i), 1);
        give_chunk(rig, slow, i);
        wait_for_pool(rig);
    }
    wait_for_outcomes(rig, 1);
    ends_admitted(rig, slow);
}
END_TEST

START_TEST(one_node_cannot_hold_every_slot) {
    struct rig *rig = new_rig();
    struct update *greedy[SLOTS + 2], *other = single(rig, 1, 0, 7);
    for (uint32_t i = 0; i < SLOTS + 2; i++) {
        greedy[i] = single(rig, 0, i, 4);
        offer(rig, greedy[i]);
    }
    ck_assert_uint_eq(rig->n_asks, (SLOTS - 1) * FLOATS);
    rig->next_ask = rig->n_asks;
    offer(rig, other);
    serve_one(rig, other, 1);
    ck_assert_uint_eq(rig->outcomes[0].node, 1);
    expect(rig, other);
    check_sum(rig);
    free_updates(greedy, SLOTS + 2);
    free_update(other);
    free_rig(rig);
}
END_TEST

TCase *slots_cases(void) {
    TCase *cases = tcase_create("slots");
    tcase_add_test(cases, slow_update_is_waited_for_while_it_moves_and_refused_when_it_does_not);
    tcase_add_test(cases, node_that_sends_nothing_does_not_keep_its_slot_from_others);
    tcase_add_test(cases, node_that_died_is_given_up_however_many_wait_and_however_often_it_gave_way);
    tcase_add_test(cases, own_updates_that_wait_take_no_slot_from_each_other);
    tcase_add_test(cases, slow_update_makes_room_for_another_and_goes_on_where_it_was);
    tcase_add_test(cases, slow_update_makes_room_where_there_is_no_memory_to_keep_it_and_begins_anew);
    tcase_add_test(cases, slow_updates_without_memory_to_keep_them_come_in_all_the_same);
    tcase_add_test(cases, slow_update_that_nobody_waits_for_keeps_its_slot);
    tcase_add_test(cases, one_node_cannot_hold_every_slot);
    return cases;
}
