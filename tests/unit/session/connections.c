/* What happens to a round when its connection breaks, and to a connection when rounds overlap. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "proto/wire.h"
#include "tests/unit/session/fixture.h"

/* As a restart of the coordinator does, and whatever else takes the lanes away for a moment. */
static void break_connections(void) {
    close_lanes();
    open_lanes();
}

START_TEST(a_restarted_coordinator_is_greeted_and_gets_what_was_trained) {
    struct attempt a, b;
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
    free(await_offer(&a, 0));
    break_connections();
    struct fed_message *hello = await(FED_MSG_HELLO);
    ck_assert(hello->as.hello.has_model);
    ck_assert_mem_eq(hello->as.hello.model_digest, a.image->digest, 32);
    free(hello);
    welcome();
    w.serve_model = false;
    open_attempt(&b, 5, 2);
    say_round(&b, 0, FED_ENCODING_I64, true, IDS(11, 12));
    brings(&b, 0, IDS(11, 12));
    ck_assert_int_eq(calls(11), 1);
    close_attempt(&a);
    close_attempt(&b);
}
END_TEST

/* The coordinator lives and goes on with the attempt: it gave the old parts to nobody in particular, and gives this node new
 * ones with a new pass. */
START_TEST(a_lost_connection_is_made_good_within_the_attempt) {
    struct attempt a;
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
    free(await_offer(&a, 0));
    break_connections();
    greet();
    give_pass(&a); /* the old one is not let in any more */
    say_round(&a, 1, FED_ENCODING_I64, true, IDS(12));
    struct fed_message *status = await(FED_MSG_STATUS);
    while (status->as.status.total == 0) {
        free(status);
        status = await(FED_MSG_STATUS);
    }
    ck_assert_uint_eq(status->as.status.total, 1); /* nothing of the void part */
    free(status);
    brings(&a, 1, IDS(12));
    ck_assert_int_eq(calls(12), 1);
    close_attempt(&a);
}
END_TEST

/* The coordinator was not away for long and still knows this program: the offer stands, and so does the pass. */
START_TEST(who_is_kept_goes_on_where_the_connection_broke) {
    struct attempt a;
    start_node(false);
    struct fed_message *hello = await(FED_MSG_HELLO);
    uint64_t instance = hello->as.hello.instance;
    ck_assert_uint_ne(instance, 0);
    free(hello);
    welcome();
    open_attempt(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
    struct fed_message *offer = await_offer(&a, 0), *again;
    fetch(&a, 0, 1);
    break_connections();
    hello = await(FED_MSG_HELLO);
    ck_assert_uint_eq(hello->as.hello.instance, instance);
    free(hello);
    welcome_back(true);
    again = await_offer(&a, 0); /* not sealed anew: what was fetched before is of the same update */
    ck_assert_mem_eq(again->as.offer.e_pk, offer->as.offer.e_pk, sizeof offer->as.offer.e_pk);
    fetch_and_open(&a, again, IDS(11, 12));
    ck_assert_int_eq(calls(11), 1);
    free(offer);
    free(again);
    close_attempt(&a);
}
END_TEST

static void play_round_after_restart(uint64_t round, uint32_t attempt) {
    struct attempt a;
    break_connections();
    greet();
    open_attempt(&a, round, attempt);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(13));
    brings(&a, 0, IDS(13));
    close_attempt(&a);
}

START_TEST(a_restored_or_new_run_may_be_in_an_earlier_round) {
    struct attempt a;
    begin(&a, 5, 2);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_offer(&a, 0));
    play_round_after_restart(3, 1); /* restored from a backup */
    play_round_after_restart(3, 1); /* and once more: the same numbers with other secrets */
    ck_assert_int_eq(calls(13), 1);
    w.run_id[0] ^= 1;
    play_round_after_restart(1, 1); /* another run at the same address */
    ck_assert_int_eq(calls(13), 2);
    close_attempt(&a);
}
END_TEST

START_TEST(rounds_go_up_while_a_connection_lasts) {
    struct attempt a, old;
    begin(&old, 4, 1);
    open_attempt(&a, 5, 2);
    memcpy(old.handle, a.handle, sizeof a.handle);
    memcpy(old.capability, a.capability, sizeof a.capability);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    say_round(&old, 0, FED_ENCODING_I64, true, IDS(13));
    struct fed_message *offer = await(FED_MSG_OFFER);
    ck_assert_uint_eq(offer->as.offer.round, 5);
    fetch_and_open(&a, offer, IDS(11));
    ck_assert_int_eq(calls(13), 0);
    free(offer);
    close_attempt(&old);
    close_attempt(&a);
}
END_TEST

/* After a rollback attempts begin at 1 again, and parts at 0: what is said late of the round that was given up, by its own
 * numbers, ends nothing of the next. */
START_TEST(late_answers_of_the_round_before_end_nothing_of_this_one) {
    struct attempt before, a;
    begin(&before, 5, 1);
    say_round(&before, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_offer(&before, 0));
    say_end(&before, false);
    open_attempt(&a, 6, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(12));
    free(await_offer(&a, 0));
    struct fed_message refused = {.kind = FED_MSG_REFUSED,
                                  .as.refused = {.code = FED_REFUSAL_LATE, .round = 5, .attempt = 1}};
    tell(&refused);
    say_admitted(&before, 0);
    say_end(&before, true);
    brings(&a, 0, IDS(12)); /* still waiting for its own answer */
    close_attempt(&before);
    close_attempt(&a);
}
END_TEST

START_TEST(a_node_that_is_struck_off_while_it_trains_comes_back_later) {
    struct attempt a, b;
    atomic_store(&w.counter.held, true);
    begin(&a, 5, 1);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12, 13, 14, 15, 16, 99));
    uint64_t end = fed_clock_ms() + BOUND_MS;
    while (calls(11) == 0) {
        ck_assert_msg(fed_clock_ms() < end, "nothing is trained");
        turn();
    }
    w.enrolled = false;
    break_connections();
    while (w.refused < 2) { /* its socket was closed in between */
        ck_assert_msg(fed_clock_ms() < end, "it did not try again");
        turn();
    }
    atomic_store(&w.counter.held, false); /* now it has results and nobody to tell them to */
    while (calls(16) == 0) {
        ck_assert_msg(fed_clock_ms() < end, "it does not train on");
        turn();
    }
    w.enrolled = true;
    greet();
    open_attempt(&b, 5, 2);
    say_round(&b, 0, FED_ENCODING_I64, true, IDS(11, 16));
    brings(&b, 0, IDS(11, 16));
    ck_assert_int_eq(calls(11), 1);
    close_attempt(&a);
    close_attempt(&b);
}
END_TEST

TCase *connections_cases(void) {
    TCase *cases = session_case("connections");
    tcase_add_test(cases, a_restarted_coordinator_is_greeted_and_gets_what_was_trained);
    tcase_add_test(cases, a_lost_connection_is_made_good_within_the_attempt);
    tcase_add_test(cases, who_is_kept_goes_on_where_the_connection_broke);
    tcase_add_test(cases, a_restored_or_new_run_may_be_in_an_earlier_round);
    tcase_add_test(cases, rounds_go_up_while_a_connection_lasts);
    tcase_add_test(cases, late_answers_of_the_round_before_end_nothing_of_this_one);
    tcase_add_test(cases, a_node_that_is_struck_off_while_it_trains_comes_back_later);
    return cases;
}
