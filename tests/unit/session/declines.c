/* What a node declines, and why. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/numeric/norm.h"
#include "proto/wire.h"
#include "tests/unit/session/fixture.h"

static struct fed_message *await_decline(uint64_t round, uint32_t attempt, uint32_t part, enum fed_decline_reason reason) {
    struct fed_message *decline = await(FED_MSG_DECLINE);
    ck_assert_uint_eq(decline->as.decline.round, round);
    ck_assert_uint_eq(decline->as.decline.attempt, attempt);
    ck_assert_uint_eq(decline->as.decline.part, part);
    ck_assert_int_eq(decline->as.decline.reason, reason);
    return decline;
}

START_TEST(a_client_over_the_norm_ceiling_is_left_out_of_the_sum) {
    struct attempt a;
    begin(&a, 5, 1);
    double norms[2];
    for (uint64_t k = 0; k < 2; k++) {
        float *delta = malloc(w.model.n_params * sizeof *delta);
        for (size_t i = 0; i < w.model.n_params; i++) {
            delta[i] = delta_of(11 + k, i);
        }
        norms[k] = fed_norm(delta, w.model.n_params);
        free(delta);
    }
    ck_assert(norms[0] != norms[1]);
    uint64_t large = norms[0] > norms[1] ? 11 : 12, small = 23 - large;
    a.limits.norm_ceiling = (norms[0] + norms[1]) / 2;
    say_round(&a, 4, FED_ENCODING_I64, true, IDS(11, 12));
    struct fed_message *decline = await_decline(5, 1, 4, FED_DECLINE_NORM);
    ck_assert_uint_eq(decline->as.decline.n_clients, 1);
    ck_assert_uint_eq(decline->as.decline.clients[0], large);
    free(decline);
    brings(&a, 4, IDS(small));
    close_attempt(&a);
}
END_TEST

START_TEST(a_round_that_is_not_the_tasks_is_declined) {
    struct attempt a;
    begin(&a, 5, 1);
    a.terms.epochs = 3;
    say_round(&a, 4, FED_ENCODING_I64, true, IDS(11));
    struct fed_message *decline = await_decline(5, 1, 4, FED_DECLINE_FAILED);
    ck_assert_uint_eq(decline->as.decline.n_clients, 0);
    free(decline);
    a.terms.epochs = 2;
    a.terms.n_params++;
    a.terms.attempt = 2;
    say_round(&a, 4, FED_ENCODING_I64, true, IDS(11));
    free(await_decline(5, 2, 4, FED_DECLINE_FAILED));
    a.terms.n_params--;
    say_round(&a, 5, FED_ENCODING_I64, true, IDS(11)); /* and the right one is done */
    brings(&a, 5, IDS(11));
    close_attempt(&a);
}
END_TEST

START_TEST(a_task_beyond_the_owners_limits_is_declined_by_name) {
    struct attempt a;
    w.config.limits.max_epochs = 1;
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_decline(5, 1, 0, FED_DECLINE_EPOCHS));
    ck_assert_int_eq(calls(11), 0);
    ck_assert_uint_eq(w.model_gets, 0);
    close_attempt(&a);
}
END_TEST

START_TEST(who_cannot_be_delivered_is_declined_and_the_others_come) {
    struct attempt a;
    atomic_store(&w.counter.poisoned, 12);
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(12, 11, 99));
    bool seen[2] = {false};
    for (int i = 0; i < 2; i++) {
        struct fed_message *decline = await(FED_MSG_DECLINE);
        ck_assert_uint_eq(decline->as.decline.n_clients, 1);
        bool not_hosted = decline->as.decline.clients[0] == 99;
        ck_assert(not_hosted || decline->as.decline.clients[0] == 12);
        ck_assert_int_eq(decline->as.decline.reason, not_hosted ? FED_DECLINE_NO_DATA : FED_DECLINE_FAILED);
        seen[not_hosted] = true;
        free(decline);
    }
    ck_assert(seen[0] && seen[1]);
    brings(&a, 0, IDS(11));
    close_attempt(&a);
}
END_TEST

START_TEST(a_part_that_was_declined_is_declined_again_when_it_is_asked_for_again) {
    struct attempt a;
    begin(&a, 5, 1);
    memset(a.terms.r_pk, 0, sizeof a.terms.r_pk); /* no key: nothing can be sealed for it */
    for (int i = 0; i < 2; i++) {                 /* as if the first answer had been lost */
        say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
        struct fed_message *decline = await_decline(5, 1, 0, FED_DECLINE_FAILED);
        ck_assert_uint_eq(decline->as.decline.n_clients, 0);
        free(decline);
    }
    ck_assert_int_eq(calls(11), 1);
    close_attempt(&a);
}
END_TEST

START_TEST(a_model_that_is_not_the_terms_is_declined) {
    struct attempt a;
    begin(&a, 5, 1);
    a.terms.model_digest[3] ^= 1;
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_decline(5, 1, 0, FED_DECLINE_FAILED));
    memcpy(a.terms.model_digest, a.image->digest, 32);
    a.terms.round = 6; /* the file is of round 4 */
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_decline(6, 1, 0, FED_DECLINE_FAILED));
    ck_assert_int_eq(calls(11), 0);
    close_attempt(&a);
}
END_TEST

TCase *declines_cases(void) {
    TCase *cases = session_case("declines");
    tcase_add_test(cases, a_client_over_the_norm_ceiling_is_left_out_of_the_sum);
    tcase_add_test(cases, a_round_that_is_not_the_tasks_is_declined);
    tcase_add_test(cases, a_task_beyond_the_owners_limits_is_declined_by_name);
    tcase_add_test(cases, who_cannot_be_delivered_is_declined_and_the_others_come);
    tcase_add_test(cases, a_part_that_was_declined_is_declined_again_when_it_is_asked_for_again);
    tcase_add_test(cases, a_model_that_is_not_the_terms_is_declined);
    return cases;
}
