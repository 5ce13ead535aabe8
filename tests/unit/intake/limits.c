/* What the rules of a round do to an update: norms, clips, weights, bounds on its values. */
#include <check.h>
#include <math.h>
#include <stdio.h>

#include "common/numeric/norm.h"
#include "coordinator/round/intake.h"
#include "tests/unit/intake/fixture.h"

/* After its header was changed. */
static void seal_anew(struct update *update, const struct rig *rig) {
    fed_seal_pair_free(update->e);
    fed_seal_key_free(update->key);
    seal(update, rig);
}

static double norm_of(const struct update *update) {
    long double squares = 0;
    for (size_t i = 0; i < PARAMS; i++) {
        squares += (long double)update->plain.delta[i] * update->plain.delta[i];
    }
    return (double)sqrtl(squares);
}

/* The one before was admitted with this norm and weight. */
static void check_admitted(const struct rig *rig, double norm, uint32_t weight) {
    check_last(rig, FED_REFUSAL_NONE, "");
    const struct outcome *last = &rig->outcomes[rig->n_outcomes - 1];
    ck_assert_double_le(fabs(last->norm - norm), 1e-13 * norm);
    ck_assert_uint_eq(last->weight, weight);
}

START_TEST(a_norm_is_computed_and_what_was_stated_does_not_matter) {
    struct rig *rig = new_rig();
    enum { UPDATES = 12 }; /* chunks come in other orders each time */
    for (int k = 0; k < UPDATES; k++) {
        struct update *update = single(rig, 0, (uint32_t)k, 10);
        update->header.has_norms = k % 3 > 0;
        update->header.norms[0] = k % 3 == 1 ? 1e-3 : 1e9;
        seal_anew(update, rig);
        rig->attempt.limits.norm_ceiling = 2 * norm_of(update);
        offer(rig, update);
        serve_one(rig, update, (size_t)k + 1);
        check_admitted(rig, norm_of(update), 10);
        ck_assert(rig->outcomes[k].norm == fed_norm(update->plain.delta, PARAMS));
        free_update(update);
    }
    struct update *sum = partial_sum(rig, 1, 0, 3, 10); /* but in a sum it is the node's word */
    sum->header.has_norms = true;
    sum->header.norms[0] = 0.125;
    seal_anew(sum, rig);
    rig->attempt.limits = (struct fed_update_limits){0};
    offer(rig, sum);
    serve_one(rig, sum, UPDATES + 1);
    ck_assert(rig->outcomes[UPDATES].norm == 0.125);
    free_update(sum);
    free_rig(rig);
}
END_TEST

START_TEST(an_update_over_the_ceiling_is_refused_and_leaves_no_trace) {
    struct rig *rig = new_rig();
    struct update *large = single(rig, 0, 0, 10), *honest = single(rig, 1, 0, 10);
    char why[100];
    for (size_t i = 0; i < PARAMS; i++) {
        large->plain.delta[i] *= 100; /* each of them far below max_delta */
    }
    rig->attempt.limits.norm_ceiling = 10 * norm_of(honest);
    offer(rig, large);
    serve_one(rig, large, 1);
    snprintf(why, sizeof why, "its norm is %.6g, but the ceiling of this round is %.6g", norm_of(large),
             10 * norm_of(honest));
    check_last(rig, FED_REFUSAL_NORM, why);
    ck_assert_uint_eq(rig->n_claims, 0);
    check_sum(rig); /* nothing */
    offer(rig, honest);
    serve_one(rig, honest, 2);
    check_admitted(rig, norm_of(honest), 10);
    expect(rig, honest);
    check_sum(rig);
    free_update(large);
    free_update(honest);
    free_rig(rig);
}
END_TEST

/* In memory, and where it is opened twice. */
START_TEST(a_single_update_is_clipped_and_counts_as_far_as_the_cap) {
    struct rig *rig = _i == 0 ? new_rig() : rig_with(1);
    struct update *update = single(rig, 0, 0, 500);
    double norm = norm_of(update);
    rig->attempt.limits = (struct fed_update_limits){.clip = norm / 7, .weight_cap = 123};
    float scale = (float)(rig->attempt.limits.clip / norm);
    scale = (long double)scale * norm > rig->attempt.limits.clip ? nextafterf(scale, 0) : scale;
    offer(rig, update);
    serve_one(rig, update, 1);
    check_admitted(rig, norm, 123);
    for (size_t i = 0; i < PARAMS; i++) {
        volatile float scaled = update->plain.delta[i] * scale;
        rig->expected[i] = llrintl(ldexpl((long double)scaled * 123, rig->fixed.exponent));
    }
    check_sum(rig);
    ck_assert_uint_eq(rig->aggregate.total_weight, 123);
    free_update(update);
    free_rig(rig);
}
END_TEST

static const struct bad {
    float value;
    enum fed_refusal refusal;
    const char *word;
} bad_values[] = {
    {NAN, FED_REFUSAL_NOT_FINITE, "nan"},          {INFINITY, FED_REFUSAL_NOT_FINITE, "inf"},
    {-INFINITY, FED_REFUSAL_NOT_FINITE, "-inf"},   {4.5f, FED_REFUSAL_DELTA_CAP, "4.5"},
    {-1e30f, FED_REFUSAL_DELTA_CAP, "-1.0000000"},
};

static const size_t bad_places[] = {0, 65535, 65536, 131072 + 9, PARAMS - UNITS - 1, PARAMS - 1};

START_TEST(bad_value_in_any_chunk_is_refused_by_name_and_nothing_added) {
    struct rig *rig = _i == 0 ? new_rig() : rig_with(1); /* in memory, and spooled */
    size_t n = 0;
    for (size_t v = 0; v < sizeof bad_values / sizeof *bad_values; v++) {
        for (size_t p = 0; p < sizeof bad_places / sizeof *bad_places; p++) {
            size_t place = bad_places[p], weights = PARAMS - UNITS;
            struct update *update = single(rig, 0, (uint32_t)n, 4);
            char expected[100];
            update->plain.delta[place] = bad_values[v].value;
            offer(rig, update);
            serve_one(rig, update, ++n);
            snprintf(expected, sizeof expected, "out.%s[%zu] is %s", place < weights ? "weight" : "bias",
                     place < weights ? place : place - weights, bad_values[v].word);
            check_last(rig, bad_values[v].refusal, expected);
            free_update(update);
        }
    }
    check_sum(rig);
    free_rig(rig);
}
END_TEST

START_TEST(sum_beyond_its_weights_is_refused_and_nothing_added) {
    struct rig *rig = new_rig();
    int64_t most = (int64_t)3 * 4 * 4 * ((int64_t)1 << rig->fixed.exponent) + 6; /* 3 clients of weight 4, cap 4 */
    const int64_t values[] = {most, most + 1, -most - 1, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct update *update = partial_sum(rig, 0, (uint32_t)i, 3, 4);
        update->plain.sum[150000] = values[i];
        offer(rig, update);
        serve_one(rig, update, i + 1);
        check_last(rig, i == 0 ? FED_REFUSAL_NONE : FED_REFUSAL_SUM_BOUND, i == 0 ? "" : "out.weight[150000]");
        if (i == 0) {
            expect(rig, update);
        }
        check_sum(rig);
        free_update(update);
    }
    free_rig(rig);
}
END_TEST

TCase *limits_cases(void) {
    TCase *cases = tcase_create("limits");
    tcase_add_test(cases, a_norm_is_computed_and_what_was_stated_does_not_matter);
    tcase_add_test(cases, an_update_over_the_ceiling_is_refused_and_leaves_no_trace);
    tcase_add_loop_test(cases, a_single_update_is_clipped_and_counts_as_far_as_the_cap, 0, 2);
    tcase_add_loop_test(cases, bad_value_in_any_chunk_is_refused_by_name_and_nothing_added, 0, 2);
    tcase_add_test(cases, sum_beyond_its_weights_is_refused_and_nothing_added);
    return cases;
}
