/* The way in: a row for every reason to refuse, on a real round and a real schedule in COLLECT. */
#include "coordinator/round/admit.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/seal/seal.h"

enum { POPULATION = 12, COHORT = 6, SUMS = 0, SINGLES = 1, WIDE = 2, NODES = 3, PARAMS = 1000, MAX_WEIGHT = 600 };

/* Twelve clients, six of them picked. Node SUMS may send partial sums and has the first two of the cohort in its part 0;
 * node SINGLES has the next two in parts 0 and 1; node WIDE, with sums, has one client in a closed part. */
struct world {
    struct fed_fixed fixed;
    struct fed_terms terms;
    struct fed_round *round;
    struct fed_schedule *schedule;
    uint64_t cohort[COHORT];
    uint64_t stranger; /* of the population, not picked */
    struct fed_update_limits limits;
    struct fed_admit_rules rules;
};

static uint64_t population(void *context) {
    (void)context;
    return POPULATION;
}
static uint64_t nth_client(void *context, uint64_t i) {
    (void)context;
    return 100 + i;
}
static bool everybody(void *context, uint64_t client) {
    (void)context;
    return client < 100 + POPULATION;
}

static const size_t first_of_node[NODES] = {0, 2, 4}, count_of_node[NODES] = {2, 2, 1};

static bool range(void *context, size_t node, size_t i, uint64_t *first, uint64_t *count) {
    const struct world *world = context;
    if (i >= count_of_node[node]) {
        return false;
    }
    *first = world->cohort[first_of_node[node] + i];
    *count = 1;
    return true;
}
static uint64_t work(void *context, uint64_t client) {
    (void)context;
    (void)client;
    return 1;
}

static void say(struct world *world, enum fed_event_kind kind, uint64_t client) {
    struct fed_round_action actions[FED_ROUND_ACTIONS_MAX];
    struct fed_round_event event = {
        .kind = kind, .client = client, .round = fed_round_number(world->round), .attempt = fed_round_attempt(world->round)};
    fed_round_handle(world->round, &event, 1000, actions);
}

static void draw_cohort(struct world *world) {
    struct fed_round_config config = {.seed = 5,
                                      .rounds = 9,
                                      .fraction = 0.5,
                                      .over_select = 1,
                                      .min_reports = 1,
                                      .deadline_ms = 60000,
                                      .rejoin_ms = 1000,
                                      .evaluate_every = 1};
    struct fed_round_world door = {world, population, nth_client, everybody};
    ck_assert_int_eq(fed_round_new(&world->round, &config, &door, 0, NAN, 0, NULL, 0, 1000), FED_OK);
    say(world, FED_EVENT_TICK, 0);
    say(world, FED_EVENT_OPENED, 0);
    say(world, FED_EVENT_SEALED, 0);
    ck_assert_int_eq(fed_round_phase(world->round), FED_ROUND_COLLECT);
    size_t n;
    const uint64_t *cohort = fed_round_cohort(world->round, &n);
    ck_assert_uint_eq(n, COHORT);
    memcpy(world->cohort, cohort, sizeof world->cohort);
    for (world->stranger = 100; fed_round_in_cohort(world->round, world->stranger); world->stranger++) {
    }
}

/* The last client of the cohort is hosted by nobody: the parts of SUMS and WIDE are closed all the same, as no pick is left
 * that they could get. */
static void hand_out(struct world *world) {
    struct fed_schedule_world door = {world, range, work};
    struct fed_assignment part;
    ck_assert_int_eq(fed_schedule_new(&world->schedule, &door, NODES, FED_CLIENTS_MAX), FED_OK);
    ck_assert_int_eq(fed_schedule_begin(world->schedule, world->cohort, COHORT), FED_OK);
    for (size_t node = 0; node < NODES; node++) {
        fed_schedule_node_ready(world->schedule, node, 2, node != SINGLES);
    }
    while (fed_schedule_next(&part, world->schedule) == FED_OK) {
    }
}

static struct world *new_world(void) {
    struct world *world = calloc(1, sizeof *world);
    ck_assert_ptr_nonnull(world);
    ck_assert_int_eq(fed_fixed_init(&world->fixed, 4, MAX_WEIGHT, 2048, NULL), FED_OK);
    draw_cohort(world);
    hand_out(world);
    world->terms.round = fed_round_number(world->round);
    world->terms.attempt = fed_round_attempt(world->round);
    world->terms.n_params = PARAMS;
    world->rules = (struct fed_admit_rules){&world->terms, &world->fixed, world->round, world->schedule, &world->limits};
    return world;
}

static void free_world(struct world *world) {
    fed_schedule_free(world->schedule);
    fed_round_free(world->round);
    free(world);
}

/* What an honest node says of the part. */
struct try {
    size_t node;
    struct fed_msg_offer offer;
    struct fed_update_header header;
    size_t cut; /* bytes missing at the end of the header */
};

static struct try *honest(const struct world *world, size_t node, uint32_t number) {
    struct try *try = calloc(1, sizeof *try);
    struct fed_assignment part;
    ck_assert_ptr_nonnull(try);
    ck_assert_int_eq(fed_schedule_part(&part, world->schedule, node, number), FED_OK);
    ck_assert(part.closed);
    try->node = node;
    try->offer = (struct fed_msg_offer){.round = world->terms.round, .attempt = world->terms.attempt, .part = number};
    struct fed_update_header *header = &try->header;
    header->suite = FED_SUITE_1;
    header->encoding = part.sums ? FED_ENCODING_I64 : FED_ENCODING_F32;
    header->n_bytes = PARAMS * (part.sums ? sizeof(int64_t) : sizeof(float));
    header->n_chunks = fed_chunk_count(header->n_bytes);
    header->n_clients = (uint32_t)part.n_clients;
    for (size_t i = 0; i < part.n_clients; i++) {
        header->clients[i] = part.clients[i];
        header->weights[i] = MAX_WEIGHT;
    }
    if (part.n_clients == 2 && header->clients[0] > header->clients[1]) {
        header->clients[0] = part.clients[1];
        header->clients[1] = part.clients[0];
    }
    return try;
}

static enum fed_refusal judge(const struct world *world, struct try *try) {
    static struct fed_update_header out;
    ck_assert_int_eq(fed_update_header_encode(try->offer.header, &try->offer.n_header, &try->header), FED_OK);
    try->offer.n_header -= try->cut;
    memset(&out, 0, sizeof out);
    enum fed_refusal refusal = fed_admit_offer(&out, &world->rules, try->node, &try->offer);
    if (refusal == FED_REFUSAL_NONE) {
        ck_assert_uint_eq(out.n_clients, try->header.n_clients);
        ck_assert_mem_eq(out.clients, try->header.clients, out.n_clients * sizeof *out.clients);
        ck_assert_uint_eq(out.n_bytes, try->header.n_bytes);
    }
    return refusal;
}

/* -- the rows ----------------------------------------------------------------------------------------------------------- */

static void nothing(struct try *try, struct world *world) {
    (void)try;
    (void)world;
}
static void least_weight(struct try *try, struct world *world) {
    (void)world;
    try->header.weights[0] = 1;
}
static void earlier_round(struct try *try, struct world *world) {
    (void)world;
    try->offer.round--;
}
static void later_round(struct try *try, struct world *world) {
    (void)world;
    try->offer.round++;
}
static void other_attempt(struct try *try, struct world *world) {
    (void)world;
    try->offer.attempt++;
}
static void cut_header(struct try *try, struct world *world) {
    (void)world;
    try->cut = 1;
}
static void unknown_part(struct try *try, struct world *world) {
    (void)world;
    try->offer.part = 77;
}
static void clients_of_its_other_part(struct try *try, struct world *world) {
    (void)world;
    try->offer.part = 1;
}
static void client_of_another_node(struct try *try, struct world *world) {
    try->header.clients[0] = world->cohort[first_of_node[WIDE]];
}
static void client_of_nobody(struct try *try, struct world *world) { try->header.clients[0] = world->cohort[COHORT - 1]; }
static void fewer_clients(struct try *try, struct world *world) {
    (void)world;
    try->header.n_clients = 1;
}
static void given_back(struct try *try, struct world *world) {
    fed_schedule_give_back(world->schedule, try->node, try->header.clients[0]);
}
static void node_lost(struct try *try, struct world *world) { fed_schedule_node_lost(world->schedule, try->node); }
static void not_picked(struct try *try, struct world *world) {
    try->header.n_clients = 1;
    try->header.clients[0] = world->stranger;
}
static void not_in_the_population(struct try *try, struct world *world) {
    (void)world;
    try->header.clients[try->header.n_clients - 1] = UINT64_MAX;
}
static void counted(struct try *try, struct world *world) { say(world, FED_EVENT_ADMITTED, try->header.clients[0]); }
static void one_of_them_counted(struct try *try, struct world *world) {
    say(world, FED_EVENT_ADMITTED, try->header.clients[1]);
}
static void other_suite(struct try *try, struct world *world) {
    (void)world;
    try->header.suite = 2;
}
static void sum_without_the_right(struct try *try, struct world *world) {
    (void)world;
    try->header.encoding = FED_ENCODING_I64;
    try->header.n_bytes = PARAMS * sizeof(int64_t);
}
static void single_where_a_sum_was_asked_for(struct try *try, struct world *world) {
    (void)world;
    try->header.encoding = FED_ENCODING_F32;
    try->header.n_bytes = PARAMS * sizeof(float);
}
static void one_parameter_less(struct try *try, struct world *world) {
    (void)world;
    try->header.n_bytes -= try->header.n_bytes / PARAMS;
}
static void one_parameter_more(struct try *try, struct world *world) {
    (void)world;
    try->header.n_bytes += try->header.n_bytes / PARAMS;
}
static void weight_zero(struct try *try, struct world *world) {
    (void)world;
    try->header.weights[try->header.n_clients - 1] = 0;
}
static void weight_over_the_cap(struct try *try, struct world *world) {
    (void)world;
    try->header.weights[try->header.n_clients - 1] = MAX_WEIGHT + 1;
}

static void over_the_ceiling(struct try *try, struct world *world) {
    world->limits.norm_ceiling = 3;
    try->header.has_norms = true;
    try->header.norms[try->header.n_clients - 1] = 3.0000001;
}
static void at_the_ceiling(struct try *try, struct world *world) {
    over_the_ceiling(try, world);
    try->header.norms[try->header.n_clients - 1] = 3;
}
static void norms_unsaid(struct try *try, struct world *world) {
    over_the_ceiling(try, world);
    try->header.has_norms = false;
}
static void over_the_share(struct try *try, struct world *world) {
    world->limits.weight_cap = 50;
    memset(try->header.weights, 0, sizeof try->header.weights);
    for (uint32_t i = 0; i < try->header.n_clients; i++) {
        try->header.weights[i] = i + 1 == try->header.n_clients ? 51 : 50;
    }
}
static void at_the_share(struct try *try, struct world *world) {
    over_the_share(try, world);
    try->header.weights[try->header.n_clients - 1] = 50;
}

static const struct row {
    const char *name;
    void (*spoil)(struct try *try, struct world *world);
    size_t node;
    enum fed_refusal expected;
} rows[] = {
    {"a sum", nothing, SUMS, FED_REFUSAL_NONE},
    {"a single update", nothing, SINGLES, FED_REFUSAL_NONE},
    {"a sum of one", nothing, WIDE, FED_REFUSAL_NONE},
    {"the least weight", least_weight, SINGLES, FED_REFUSAL_NONE},
    {"an earlier round", earlier_round, SINGLES, FED_REFUSAL_ROUND},
    {"a later round", later_round, SUMS, FED_REFUSAL_ROUND},
    {"another attempt", other_attempt, SINGLES, FED_REFUSAL_ATTEMPT},
    {"a header cut short", cut_header, SUMS, FED_REFUSAL_MALFORMED},
    {"a part that was never given", unknown_part, SINGLES, FED_REFUSAL_PART},
    {"clients of its other part", clients_of_its_other_part, SINGLES, FED_REFUSAL_PART},
    {"a client of another node", client_of_another_node, SINGLES, FED_REFUSAL_PART},
    {"a client that nobody was given", client_of_nobody, WIDE, FED_REFUSAL_PART},
    {"fewer clients than the part has", fewer_clients, SUMS, FED_REFUSAL_PART},
    {"a client that it gave back", given_back, SUMS, FED_REFUSAL_PART},
    {"a part from before it was lost", node_lost, SINGLES, FED_REFUSAL_PART},
    {"a client that was not picked", not_picked, SINGLES, FED_REFUSAL_NOT_PICKED},
    {"a client that does not exist", not_in_the_population, SUMS, FED_REFUSAL_NOT_PICKED},
    {"a client counted before", counted, SINGLES, FED_REFUSAL_COUNTED},
    {"a sum with one counted before", one_of_them_counted, SUMS, FED_REFUSAL_COUNTED},
    {"another suite", other_suite, SINGLES, FED_REFUSAL_SUITE},
    {"a sum without the right", sum_without_the_right, SINGLES, FED_REFUSAL_ENCODING},
    {"a single update where a sum is due", single_where_a_sum_was_asked_for, WIDE, FED_REFUSAL_ENCODING},
    {"a parameter less", one_parameter_less, SINGLES, FED_REFUSAL_LENGTH},
    {"a parameter more", one_parameter_more, SUMS, FED_REFUSAL_LENGTH},
    {"weight zero", weight_zero, SUMS, FED_REFUSAL_WEIGHT_ZERO},
    {"weight over the cap", weight_over_the_cap, SINGLES, FED_REFUSAL_WEIGHT_CAP},
    {"a norm over the ceiling in a sum", over_the_ceiling, SUMS, FED_REFUSAL_NORM},
    {"a norm at the ceiling in a sum", at_the_ceiling, SUMS, FED_REFUSAL_NONE},
    {"a sum without norms, as of minor 0", norms_unsaid, SUMS, FED_REFUSAL_NONE},
    {"a norm stated of a single update, which will be computed", over_the_ceiling, SINGLES, FED_REFUSAL_NONE},
    {"a weight over the share in a sum", over_the_share, SUMS, FED_REFUSAL_WEIGHT_CAP},
    {"weights at the share in a sum", at_the_share, SUMS, FED_REFUSAL_NONE},
    {"a weight over the share alone, which will be capped", over_the_share, SINGLES, FED_REFUSAL_NONE},
};

START_TEST(every_offer_is_let_in_or_refused_by_name) {
    const struct row *row = &rows[_i];
    struct world *world = new_world();
    struct try *try = honest(world, row->node, 0);
    row->spoil(try, world);
    enum fed_refusal refusal = judge(world, try);
    ck_assert_msg(refusal == row->expected, "%s: %s, not %s", row->name, fed_refusal_name(refusal),
                  fed_refusal_name(row->expected));
    free(try);
    free_world(world);
}
END_TEST

static bool all_clients(void *context, size_t node, size_t i, uint64_t *first, uint64_t *count) {
    (void)context;
    (void)node;
    *first = 0;
    *count = UINT32_MAX;
    return i == 0;
}

START_TEST(part_that_may_still_grow_cannot_be_offered) {
    struct world *world = new_world();
    struct try *try = honest(world, SUMS, 0);
    struct fed_schedule_world door = {world, all_clients, work};
    struct fed_assignment part;
    fed_schedule_free(world->schedule);
    ck_assert_int_eq(fed_schedule_new(&world->schedule, &door, NODES, FED_CLIENTS_MAX), FED_OK);
    ck_assert_int_eq(fed_schedule_begin(world->schedule, world->cohort, COHORT), FED_OK);
    fed_schedule_node_ready(world->schedule, SUMS, 1, true); /* two clients ahead: four wait */
    ck_assert_int_eq(fed_schedule_next(&part, world->schedule), FED_OK);
    ck_assert(!part.closed && part.n_clients == 2);
    bool ascending = part.clients[0] < part.clients[1];
    try->header.clients[0] = part.clients[!ascending];
    try->header.clients[1] = part.clients[ascending];
    world->rules.schedule = world->schedule;
    ck_assert_int_eq(judge(world, try), FED_REFUSAL_PART);
    free(try);
    free_world(world);
}
END_TEST

START_TEST(clients_are_judged_once_more_before_they_are_added) {
    struct world *world = new_world();
    struct try *try = honest(world, SUMS, 0);
    ck_assert_int_eq(judge(world, try), FED_REFUSAL_NONE);
    ck_assert_int_eq(fed_admit_clients(&world->rules, SUMS, 0, &try->header), FED_REFUSAL_NONE);
    fed_schedule_give_back(world->schedule, SUMS, try->header.clients[1]);
    ck_assert_int_eq(fed_admit_clients(&world->rules, SUMS, 0, &try->header), FED_REFUSAL_PART);
    free(try);
    try = honest(world, SINGLES, 0);
    say(world, FED_EVENT_ADMITTED, try->header.clients[0]);
    ck_assert_int_eq(fed_admit_clients(&world->rules, SINGLES, 0, &try->header), FED_REFUSAL_COUNTED);
    fed_schedule_node_lost(world->schedule, SINGLES);
    ck_assert_int_eq(fed_admit_clients(&world->rules, SINGLES, 1, &try->header), FED_REFUSAL_PART);
    free(try);
    free_world(world);
}
END_TEST

/* -- values ------------------------------------------------------------------------------------------------------------- */

static const struct value {
    float value;
    enum fed_refusal expected;
} values[] = {
    {0.0f, FED_REFUSAL_NONE},
    {-0.0f, FED_REFUSAL_NONE},
    {-FLT_TRUE_MIN, FED_REFUSAL_NONE},
    {4.0f, FED_REFUSAL_NONE},
    {-4.0f, FED_REFUSAL_NONE},
    {FLT_TRUE_MIN, FED_REFUSAL_NONE},
    {0x1.000002p2f, FED_REFUSAL_DELTA_CAP},
    {-0x1.000002p2f, FED_REFUSAL_DELTA_CAP},
    {FLT_MAX, FED_REFUSAL_DELTA_CAP},
    {NAN, FED_REFUSAL_NOT_FINITE},
    {-NAN, FED_REFUSAL_NOT_FINITE},
    {INFINITY, FED_REFUSAL_NOT_FINITE},
    {-INFINITY, FED_REFUSAL_NOT_FINITE},
};

START_TEST(every_float_is_within_the_cap_or_refused_by_name) {
    const struct value *row = &values[_i];
    struct world *world = new_world();
    struct try *try = honest(world, SINGLES, 0);
    static const size_t places[] = {0, 1, 999, PARAMS - 1};
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        float delta[PARAMS] = {0};
        size_t bad = SIZE_MAX;
        double squares;
        delta[places[p]] = row->value;
        ck_assert_int_eq(fed_admit_floats(&bad, &squares, &world->fixed, delta, PARAMS), row->expected);
        if (row->expected == FED_REFUSAL_NONE) {
            ck_assert(squares == (double)row->value * (double)row->value);
        } else {
            ck_assert_uint_eq(bad, places[p]);
        }
    }
    free(try);
    free_world(world);
}
END_TEST

/* The norm of the chunk is far over the cap of one value. */
START_TEST(many_values_near_the_cap_are_judged_one_by_one) {
    struct world *world = new_world();
    float delta[PARAMS];
    double squares;
    size_t bad;
    for (size_t i = 0; i < PARAMS; i++) {
        delta[i] = i % 2 == 0 ? 4.0f : -3.5f;
    }
    ck_assert_int_eq(fed_admit_floats(&bad, &squares, &world->fixed, delta, PARAMS), FED_REFUSAL_NONE);
    ck_assert(squares == PARAMS / 2 * (16.0 + 12.25));
    delta[77] = 4.5f;
    ck_assert_int_eq(fed_admit_floats(&bad, &squares, &world->fixed, delta, PARAMS), FED_REFUSAL_DELTA_CAP);
    ck_assert_uint_eq(bad, 77);
    free_world(world);
}
END_TEST

START_TEST(sums_are_bounded_by_their_weights) {
    struct world *world = new_world();
    struct try *try = honest(world, SUMS, 0);
    try->header.weights[0] = 3;
    try->header.weights[1] = 7;
    ck_assert_uint_eq(fed_admit_total_weight(&try->header), 10);
    /* ten examples at the cap, each rounded up by half a quantum */
    int64_t most = (int64_t)10 * 4 * ((int64_t)1 << world->fixed.exponent) + 5;
    const struct {
        int64_t value;
        enum fed_refusal expected;
    } sums[] = {{most, FED_REFUSAL_NONE},           {-most, FED_REFUSAL_NONE},          {most + 1, FED_REFUSAL_SUM_BOUND},
                {-most - 1, FED_REFUSAL_SUM_BOUND}, {INT64_MAX, FED_REFUSAL_SUM_BOUND}, {INT64_MIN, FED_REFUSAL_SUM_BOUND}};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        int64_t part[PARAMS] = {0};
        size_t bad = SIZE_MAX;
        part[500] = sums[i].value;
        ck_assert_int_eq(fed_admit_sums(&bad, &world->fixed, &world->limits, &try->header, part, PARAMS), sums[i].expected);
        ck_assert(sums[i].expected == FED_REFUSAL_NONE || bad == 500);
    }
    free(try);
    free_world(world);
}
END_TEST

/* No element is larger than the norm of its update, nor, once that is clipped, than the clip. */
START_TEST(sums_are_bounded_by_ceiling_and_clip_too) {
    struct world *world = new_world();
    struct try *try = honest(world, SUMS, 0);
    static const struct {
        struct fed_update_limits limits;
        double most;
    } tight[] = {{{.norm_ceiling = 0.5}, 0.5},
                 {{.norm_ceiling = 100}, 4},
                 {{.clip = 0.25}, 0.25},
                 {{.norm_ceiling = 2, .clip = 0.5}, 0.5},
                 {{.norm_ceiling = 0.5, .clip = 2}, 0.5}};
    try->header.weights[0] = 3;
    try->header.weights[1] = 7;
    for (size_t r = 0; r < sizeof tight / sizeof *tight; r++) {
        int64_t part[PARAMS] = {0};
        size_t bad;
        part[500] = (int64_t)(10 * tight[r].most * (double)((int64_t)1 << world->fixed.exponent)) + 5;
        world->limits = tight[r].limits;
        ck_assert_int_eq(fed_admit_sums(&bad, &world->fixed, &world->limits, &try->header, part, PARAMS), FED_REFUSAL_NONE);
        part[500] += part[500] / 1000000; /* far less than a clip is rounded */
        ck_assert_int_eq(fed_admit_sums(&bad, &world->fixed, &world->limits, &try->header, part, PARAMS),
                         FED_REFUSAL_SUM_BOUND);
        ck_assert_uint_eq(bad, 500);
    }
    free(try);
    free_world(world);
}
END_TEST

START_TEST(norm_is_refused_from_the_next_number_above_the_ceiling_on) {
    const struct fed_update_limits limits = {.norm_ceiling = 2.5}, none = {0};
    struct fed_error why;
    ck_assert_int_eq(fed_admit_norm(&limits, 2.5), FED_REFUSAL_NONE);
    ck_assert_int_eq(fed_admit_norm(&limits, nextafter(2.5, 3)), FED_REFUSAL_NORM);
    ck_assert_int_eq(fed_admit_norm(&none, 1e300), FED_REFUSAL_NONE);
    fed_admit_describe_norm(&why, &limits, 1234567.8);
    ck_assert_str_eq(why.text, "its norm is 1.23457e+06, but the ceiling of this round is 2.5");
}
END_TEST

/* -- sentences ---------------------------------------------------------------------------------------------------------- */

START_TEST(sentence_for_an_offer_names_the_client_and_what_it_states) {
    struct world *world = new_world();
    struct fed_update_header header = {.n_clients = 2, .clients = {7, 8}, .weights = {MAX_WEIGHT, MAX_WEIGHT + 1}};
    struct fed_error why;
    fed_admit_describe_offer(&why, FED_REFUSAL_WEIGHT_CAP, &header, &world->rules);
    ck_assert_str_eq(why.text, "client 8 counts 601 examples, but algorithm.max_weight allows 600");
    world->limits.weight_cap = 50;
    header.weights[1] = 51;
    header.weights[0] = 50;
    fed_admit_describe_offer(&why, FED_REFUSAL_WEIGHT_CAP, &header, &world->rules);
    ck_assert_str_eq(why.text, "client 8 counts 51 examples, but algorithm.max_share in this round allows 50");
    fed_admit_describe_offer(&why, FED_REFUSAL_SUITE, &header, &world->rules);
    ck_assert_str_eq(why.text, "an offer");
    free_world(world);
}
END_TEST

START_TEST(sentence_names_tensor_index_value_and_cap) {
    struct fed_model_spec spec;
    struct fed_model model;
    struct fed_fixed fixed;
    struct fed_error why;
    struct fed_update_limits none = {0};
    ck_assert_int_eq(fed_model_preset(&spec, "mnist_2nn"), FED_OK);
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_int_eq(fed_fixed_init(&fixed, 64, 600, 2048, NULL), FED_OK);
    fed_admit_describe(&why, FED_REFUSAL_DELTA_CAP, &model, &fixed, &none, 17, 65.5);
    ck_assert_str_eq(why.text, "fc1.weight[17] is 65.5, but |delta| may be at most 64");
    fed_admit_describe(&why, FED_REFUSAL_NOT_FINITE, &model, &fixed, &none, 784 * 200 + 3, (double)NAN);
    ck_assert_str_eq(why.text, "fc1.bias[3] is nan, but |delta| may be at most 64");
    fed_admit_describe(&why, FED_REFUSAL_NOT_FINITE, &model, &fixed, &none, model.n_params - 1, -(double)INFINITY);
    ck_assert_str_eq(why.text, "out.bias[9] is -inf, but |delta| may be at most 64");
    fed_admit_describe(&why, FED_REFUSAL_SUM_BOUND, &model, &fixed, &none, 784 * 200, 0x1p40 + 1);
    char expect[200];
    snprintf(expect, sizeof expect,
             "fc1.bias[0] of the partial sum is 1099511627777 quanta of 2^-%d, beyond its weights times 64", fixed.exponent);
    ck_assert_str_eq(why.text, expect);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("admit");
    TCase *tcase = tcase_create("admit");
    tcase_add_loop_test(tcase, every_offer_is_let_in_or_refused_by_name, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_test(tcase, part_that_may_still_grow_cannot_be_offered);
    tcase_add_test(tcase, clients_are_judged_once_more_before_they_are_added);
    tcase_add_loop_test(tcase, every_float_is_within_the_cap_or_refused_by_name, 0, (int)(sizeof values / sizeof *values));
    tcase_add_test(tcase, many_values_near_the_cap_are_judged_one_by_one);
    tcase_add_test(tcase, sums_are_bounded_by_their_weights);
    tcase_add_test(tcase, sums_are_bounded_by_ceiling_and_clip_too);
    tcase_add_test(tcase, norm_is_refused_from_the_next_number_above_the_ceiling_on);
    tcase_add_test(tcase, sentence_for_an_offer_names_the_client_and_what_it_states);
    tcase_add_test(tcase, sentence_names_tensor_index_value_and_cap);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
