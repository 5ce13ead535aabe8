/* The end of an attempt, at any moment. */
#include <check.h>
#include <string.h>

#include "common/base/rng.h"
#include "coordinator/round/intake.h"
#include "tests/unit/intake/fixture.h"

START_TEST(end_finishes_what_is_being_added_and_drops_the_rest) {
    static struct sealed sealed;
    struct rig *rig = new_rig();
    struct update *adding = partial_sum(rig, 0, 0, 4, 4), *fetching = single(rig, 1, 0, 5);
    offer(rig, adding);
    offer(rig, fetching);
    give_all_but_last(rig, fetching);
    give_chunks(rig, adding, 0, INTEGERS);
    while (rig->n_claims == 0) {
        wait_for_pool(rig);
    }
    if (_i == 1) {
        fed_intake_node_lost(rig->intake, 0);
    }
    fed_intake_end(rig->intake);
    wait_until_idle(rig);
    ck_assert_uint_eq(rig->n_outcomes, 1);
    check_last(rig, FED_REFUSAL_NONE, "");
    ck_assert_uint_eq(rig->outcomes[0].node, 0);
    expect(rig, adding);
    check_sum(rig);
    seal_chunk(&sealed, fetching, FLOATS - 1);
    ck_assert_int_eq(give(rig, fetching, FLOATS - 1, &sealed), FED_EWIRE);
    offer(rig, fetching); /* nothing may come in any more */
    ck_assert(fed_intake_idle(rig->intake));
    free_update(adding);
    free_update(fetching);
    free_rig(rig);
}
END_TEST

START_TEST(attempts_that_end_anywhere_leave_no_trace) {
    struct rig *rig = new_rig();
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "attempts", 0, 0);
    for (uint32_t attempt = 2; attempt < 42; attempt++) {
        struct update *updates[6];
        for (size_t i = 0; i < 6; i++) {
            updates[i] = i % 2 == 0 ? single(rig, i, 0, 4) : partial_sum(rig, i, 0, 2, 4);
            offer(rig, updates[i]);
        }
        size_t before = rig->n_outcomes;
        serve(rig, updates, 6, before + fed_rng_below(&rng, 5), NULL, NULL);
        if (fed_rng_below(&rng, 2) == 0) {
            fed_intake_node_lost(rig->intake, fed_rng_below(&rng, 6));
        }
        fed_intake_end(rig->intake);
        while (!fed_intake_idle(rig->intake)) {
            wait_for_pool(rig);
        }
        memset(rig->expected, 0, PARAMS * sizeof *rig->expected);
        for (size_t i = before; i < rig->n_outcomes; i++) {
            ck_assert_int_eq(rig->outcomes[i].refusal, FED_REFUSAL_NONE);
            expect(rig, updates[rig->outcomes[i].node]);
        }
        check_sum(rig); /* exactly what was reported */
        for (size_t i = 0; i < 6; i++) {
            free_update(updates[i]);
        }
        rig->n_asks = rig->next_ask = 0;
        fed_aggregate_clear(&rig->aggregate);
        begin_attempt(rig, attempt);
    }
    free_rig(rig);
}
END_TEST

START_TEST(intake_can_be_freed_at_any_moment) {
    struct rig *rig = new_rig();
    struct update *update = single(rig, 0, 0, 4), *waiting = single(rig, 0, 1, 4);
    offer(rig, update);
    offer(rig, waiting);
    give_all_but_last(rig, update);
    fed_intake_free(rig->intake); /* with chunks being opened */
    struct fed_intake_config config = {.threads = 1, .uploads = 1, .uploads_per_node = 1, .aggregate = &rig->aggregate};
    ck_assert_int_eq(fed_intake_new(&rig->intake, &config, NULL), FED_OK);
    free_update(update);
    free_update(waiting);
    free_rig(rig);
}
END_TEST

TCase *ends_cases(void) {
    TCase *cases = tcase_create("ends");
    tcase_add_loop_test(cases, end_finishes_what_is_being_added_and_drops_the_rest, 0, 2);
    tcase_add_test(cases, attempts_that_end_anywhere_leave_no_trace);
    tcase_add_test(cases, intake_can_be_freed_at_any_moment);
    return cases;
}
