/* Who is asked. A walk of a permutation that follows from (seed, round, attempt), past those that no node here hosts, until
 * enough are found: so the cohort is the same on every machine that sees the same clients.
 *
 * After a restart the cohort of the attempt that was lost is taken up again under the next attempt number, and where none
 * was recorded, the cohort that would have been drawn with everybody there: both are waited for, rejoin_ms from the start,
 * so that killing the coordinator at any point changes no bit of the result as long as the clients come back. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/walk.h"
#include "coordinator/round/round_internal.h"

#define LOOKED_AT_PER_MS 2000 /* clients, on average, while looks for a cohort fail */

struct demand { /* clients */
    uint64_t population;
    uint64_t goal; /* m */
    uint64_t quorum;
    uint64_t picks; /* no more than these are asked */
};

uint64_t fed_round_cohort_size(double fraction, uint64_t population) {
    long long m = llround(fraction * (double)population);
    return m < 1 ? 1 : (uint64_t)m;
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* The smallest whole number >= part * m, where a part such as 0.8 is not exact in binary and must not cost one more. */
static uint64_t at_least(double part, uint64_t m) {
    double n = ceil(part * (double)m - 1e-9);
    return n < 1 ? 1 : (uint64_t)n;
}

static struct demand demand_of(const struct fed_round *round) {
    const struct fed_round_config *config = &round->config;
    uint64_t most = config->most > 0 ? config->most : UINT64_MAX;
    struct demand demand = {.population = round->world.population(round->world.context)};
    demand.goal = smaller(fed_round_cohort_size(config->fraction, demand.population), most);
    demand.quorum = at_least(config->min_reports, demand.goal);
    demand.picks = smaller(smaller(at_least(config->over_select, demand.goal), most), demand.population);
    return demand;
}

static bool is_eligible(const struct fed_round *round, uint64_t client) {
    return round->world.eligible(round->world.context, client);
}

/* Counted no further than the quorum: one that is complete is found without looking at everybody. */
static uint64_t count_eligible(const struct fed_round *round, const struct demand *demand) {
    const struct fed_round_world *world = &round->world;
    uint64_t n = 0;
    for (uint64_t i = 0; i < demand->population && n < demand->quorum; i++) {
        n += is_eligible(round, world->client(world->context, i));
    }
    return n;
}

/* ids: room for demand->picks. FED_EAGAIN: somebody would be skipped and must not be yet (*skipped). FED_ENOMEM. */
static int walk_cohort(uint64_t *ids, size_t *n, uint64_t *skipped, const struct fed_round *round,
                       const struct demand *demand) {
    const struct fed_round_world *world = &round->world;
    bool patient = round->now_ms < round->settled_ms;
    struct fed_rng rng;
    struct fed_walk walk;
    fed_rng_init(&rng, round->config.seed, FED_RNG_COHORT, round->committed + 1, (uint64_t)round->attempt + 1);
    fed_walk_init(&walk, &rng, (uint32_t)demand->population);
    size_t found = 0;
    uint32_t index;
    int rc = 0;
    while (rc == 0 && found < demand->picks && (rc = fed_walk_next(&index, &walk)) == 0) {
        uint64_t client = world->client(world->context, index);
        if (is_eligible(round, client)) {
            ids[found++] = client;
        } else if (patient) {
            *skipped = client;
            rc = FED_EAGAIN;
        }
    }
    fed_walk_fini(&walk);
    if (rc != 0 && rc != FED_ENOTFOUND) { /* the end of the permutation is no failure */
        return rc;
    }
    *n = found;
    return 0;
}

/* FED_EAGAIN: waits for clients, and has said for whom. FED_ENOMEM. */
static int draw_cohort(struct fed_round *round, const struct demand *demand) {
    uint64_t eligible = count_eligible(round, demand);
    if (eligible < demand->quorum) {
        uint64_t missing = demand->quorum - eligible;
        fed_round_wait_for(round, "waits for %" PRIu64 " more client%s to join", missing, missing == 1 ? "" : "s");
        return FED_EAGAIN;
    }
    uint64_t *ids = calloc(demand->picks, sizeof *ids);
    if (ids == NULL) {
        return FED_ENOMEM;
    }
    uint64_t skipped = 0;
    size_t n = 0;
    int rc = walk_cohort(ids, &n, &skipped, round, demand);
    if (rc != 0) {
        free(ids);
        if (rc == FED_EAGAIN) {
            fed_round_wait_for(round, "waits for client %" PRIu64 " to come back after the restart", skipped);
        }
        return rc;
    }
    return fed_cohort_set(&round->cohort, ids, n);
}

/* 0: the recorded cohort is complete. FED_EAGAIN: waits for its members. FED_ENOTFOUND: it will not do now, draw another; it
 * stays recorded until that succeeds. */
static int take_up_recorded(struct fed_round *round, const struct demand *demand) {
    const struct fed_cohort *cohort = &round->cohort;
    if (cohort->n < demand->quorum) { /* the rules were changed since */
        return FED_ENOTFOUND;
    }
    size_t missing = 0;
    for (size_t i = 0; i < cohort->n; i++) {
        missing += !is_eligible(round, cohort->clients[i]);
    }
    if (missing > 0) {
        fed_round_wait_for(round, "waits for %zu of the %zu clients of the interrupted attempt", missing, cohort->n);
        return round->now_ms < round->settled_ms ? FED_EAGAIN : FED_ENOTFOUND;
    }
    return 0;
}

void fed_round_look_for_cohort(struct fed_round *round) {
    const struct demand demand = demand_of(round);
    assert(demand.population < UINT32_MAX);
    round->look = false;
    int rc = round->recorded ? take_up_recorded(round, &demand) : FED_ENOTFOUND;
    if (rc == FED_ENOTFOUND) {
        rc = draw_cohort(round, &demand);
    }
    if (rc == 0) {
        round->goal = smaller(round->cohort.n, demand.goal);
        round->quorum = demand.quorum;
        fed_round_begin_attempt(round);
    } else if (rc == FED_EAGAIN) {
        uint64_t looked_at = demand.population > round->cohort.n ? demand.population : round->cohort.n;
        round->starved = true;
        round->look_at_ms = fed_round_later(round->now_ms, looked_at / LOOKED_AT_PER_MS);
    } else {
        fed_round_wait_for(round, "waits for memory for the cohort");
        round->retry_at_ms = fed_round_later(round->now_ms, fed_round_back_off(&round->retry_pause_ms, RETRY_MOST_MS));
    }
}
