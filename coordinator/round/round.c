/* The round, as a machine without a world: events and the time go in, actions come out.
 *
 *              TICK: a cohort was drawn, or the recorded one is complete
 *      +------+                 +------+  OPENED   +-----------+  SEALED
 *      | IDLE |---------------->| PICK |---------->| BROADCAST |---------+
 *      +------+      OPEN       +------+ BROADCAST +-----------+  INVITE |
 *       |  ^  ^                                                          v
 *       |  |  |  quorum out of reach, or deadline below it          +---------+
 *       |  |  +-----------------------------------------------------| COLLECT |
 *       |  |     END_ABANDONED: same round, next attempt, a pause   +---------+
 *       |  |                                    ^                        | goal reached; or, with the quorum,
 *       |  |     the same, when NOT_FINITE      |                        | nobody outstanding or deadline
 *       |  |                                    |                        v AGGREGATE
 *       |  |  COMMITTED    +--------+           |   AGGREGATED     +-----------+
 *       |  +---------------| COMMIT |<----------|------------------| AGGREGATE |
 *       |   END_COMMITTED, +--------+  COMMIT,  +------------------+-----------+
 *       |   EVALUATE, next round       once the evaluation of the last round is known
 *       v
 *   ROLLBACK   The evaluation says that the last model falls: from any phase, once nothing is asked of others any more. What
 *              is at hand is abandoned (END_ABANDONED); ROLL_BACK stores the last good model as a round of its own, without
 *              attempt, clients or evaluation; COMMITTED leads back to IDLE and the round after it, after a pause.
 *
 *   FINISHED   The last round is evaluated, or one reached the target (then from any phase: what is at hand is abandoned).
 *
 *   STOPPED    STOP, from any phase; FINISH, from IDLE after the round at hand.
 *
 * What holds in each phase:
 *   IDLE       No attempt is open; attempt is the last one opened for this round (0 = none). A new cohort is taken by a
 *              TICK or JOINED only, so that the cohort an END speaks of is still there while that END is carried out.
 *   PICK       attempt and cohort will not change any more; nobody was told. Every member is outstanding, but for those
 *              whose node was quarantined since: they are out.
 *   BROADCAST  attempt and cohort are stored. Nobody was told.
 *   COLLECT    n_admitted < goal. Each member is in exactly one of: present, absent (for less than rejoin_ms), lost, out,
 *              counted; admitted + outstanding >= quorum, and outstanding = present + absent > 0.
 *   AGGREGATE  n_admitted >= quorum. A client that still comes in belongs to a partial sum that was added before: counted.
 *   COMMIT     The mean is taken and is kept until it is stored, however often the store fails.
 *   ROLLBACK   falls. No attempt is open. What was recorded for the round that the rollback becomes is void: which attempt
 *              was at hand is a matter of timing, and must not show in what follows.
 *   FINISHED, STOPPED  Every event is ignored.
 *
 * Between COMMITTED and the next COMMIT the evaluation of the committed model runs beside everything else. At most one
 * OPEN, COMMIT or ROLL_BACK is in flight (asked), and at most one EVALUATE.
 *
 * After a restart the cohort of the attempt that was lost is taken up again under the next attempt number, and where none
 * was recorded, the cohort that would have been drawn with everybody there: both are waited for, rejoin_ms from the start,
 * so that killing the coordinator at any point changes no bit of the result as long as the clients come back.
 *
 * Costs: O(log cohort) an event; a look for a cohort O(cohort) while most clients are eligible, else O(population), and
 * then so seldom that looking takes a small part of the time. Memory grows with the cohort only. */
#include "coordinator/round/round.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/walk.h"

#define RETRY_FIRST_MS 250 /* after an attempt that was abandoned */
#define RETRY_MOST_MS 30000
#define SETBACK_FIRST_MS 250 /* after a rollback; doubles until a model stands */
#define STORE_FIRST_MS 1000  /* after a write that failed */
#define STORE_MOST_MS 60000
#define LOOKED_AT_PER_MS 2000 /* clients, on average, while looks for a cohort fail */
#define NEVER UINT64_MAX
#define NOBODY UINT32_MAX

enum member_state {
    MEMBER_PRESENT,
    MEMBER_ABSENT, /* not reachable, but not for long yet: still outstanding */
    MEMBER_LOST,   /* absent for rejoin_ms; outstanding again if it comes back */
    MEMBER_OUT,    /* declined or refused in this attempt */
    MEMBER_COUNTED,
};

struct member {
    uint64_t since_ms;       /* ABSENT */
    uint32_t earlier, later; /* ABSENT: neighbours in the queue of the absent */
    enum member_state state;
};

struct place { /* where a client stands in the cohort */
    uint64_t client;
    uint32_t member;
};

enum evaluation { EVALUATION_SETTLED, EVALUATION_WANTED, EVALUATION_ASKED };

struct fed_round {
    struct fed_round_config config;
    struct fed_round_world world;
    enum fed_round_phase phase;
    uint64_t now_ms;
    uint64_t committed;
    uint32_t attempt;
    bool finishing;

    enum evaluation evaluation; /* of the committed round */
    bool falls;                 /* the committed round was judged and has to be taken back */
    double accuracy;            /* of the committed round; NaN = not known */

    uint64_t *cohort;       /* (n_cohort) in order of the walk; owned, as the two below */
    struct place *places;   /* (n_cohort) by client */
    struct member *members; /* (n_cohort) as cohort */
    size_t n_cohort, goal, quorum;
    size_t n_admitted, n_present, n_absent;
    uint32_t absent_first, absent_last; /* longest absent first: all may stay away equally long */
    uint64_t deadline_at_ms;            /* COLLECT */

    bool recorded;       /* IDLE: the cohort is one of the store's, to be taken up again */
    uint64_t settled_ms; /* until then nobody is skipped: clients are still coming back to a restarted coordinator */
    bool look;           /* IDLE: something changed since the last look for a cohort */
    bool starved;        /* IDLE: the last look found too few; only a change helps */
    uint64_t look_at_ms, retry_at_ms, retry_pause_ms, setback_pause_ms;
    uint32_t n_failed; /* attempts abandoned in a row */
    char waits_for[160];

    bool asked; /* PICK, COMMIT, ROLLBACK: the store is at it */
    uint64_t store_at_ms, store_pause_ms;
};

struct outbox {
    struct fed_round_action *actions;
    size_t n;
};

const char *fed_round_phase_name(enum fed_round_phase phase) {
    switch (phase) {
    case FED_ROUND_IDLE: return "idle";
    case FED_ROUND_PICK: return "pick";
    case FED_ROUND_BROADCAST: return "broadcast";
    case FED_ROUND_COLLECT: return "collect";
    case FED_ROUND_AGGREGATE: return "aggregate";
    case FED_ROUND_COMMIT: return "commit";
    case FED_ROUND_ROLLBACK: return "rollback";
    case FED_ROUND_FINISHED: return "finished";
    case FED_ROUND_STOPPED: return "stopped";
    }
    return "unknown";
}

uint64_t fed_round_cohort_size(double fraction, uint64_t population) {
    long long m = llround(fraction * (double)population);
    return m < 1 ? 1 : (uint64_t)m;
}

/* The smallest whole number >= part * m, where a part such as 0.8 is not exact in binary and must not cost one more. */
static uint64_t at_least(double part, uint64_t m) {
    double n = ceil(part * (double)m - 1e-9);
    return n < 1 ? 1 : (uint64_t)n;
}

static uint64_t later(uint64_t now_ms, uint64_t pause_ms) { return pause_ms > NEVER - now_ms ? NEVER : now_ms + pause_ms; }

static uint64_t doubled(uint64_t pause_ms, uint64_t most_ms) { return 2 * pause_ms < most_ms ? 2 * pause_ms : most_ms; }

FED_PRINTF(2, 3) static void wait_for(struct fed_round *round, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(round->waits_for, sizeof round->waits_for, format, args);
    va_end(args);
}

static void emit(struct outbox *out, enum fed_action_kind kind, uint64_t number, uint32_t attempt, const char *why) {
    assert(out->n < FED_ROUND_ACTIONS_MAX);
    out->actions[out->n++] = (struct fed_round_action){.kind = kind, .round = number, .attempt = attempt, .why = why};
}

static void emit_of_attempt(struct outbox *out, const struct fed_round *round, enum fed_action_kind kind) {
    emit(out, kind, round->committed + 1, round->attempt, NULL);
}

/* --- The cohort --------------------------------------------------------------------------------------------------- */

static int by_client(const void *a, const void *b) {
    uint64_t x = ((const struct place *)a)->client, y = ((const struct place *)b)->client;
    return (x > y) - (x < y);
}

static void drop_cohort(struct fed_round *round) {
    free(round->cohort);
    free(round->places);
    free(round->members);
    round->cohort = NULL;
    round->places = NULL;
    round->members = NULL;
    round->n_cohort = 0;
}

/* Consumes ids (n >= 1, distinct). On FED_ENOMEM they are freed and the old cohort stands. */
static int set_cohort(struct fed_round *round, uint64_t *ids, size_t n) {
    struct place *places = calloc(n, sizeof *places);
    struct member *members = calloc(n, sizeof *members);
    if (places == NULL || members == NULL) {
        free(ids);
        free(places);
        free(members);
        return FED_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        places[i] = (struct place){.client = ids[i], .member = (uint32_t)i};
    }
    qsort(places, n, sizeof *places, by_client);
    drop_cohort(round);
    round->cohort = ids;
    round->places = places;
    round->members = members;
    round->n_cohort = n;
    return 0;
}

/* The member, or NOBODY. */
static uint32_t find_member(const struct fed_round *round, uint64_t client) {
    struct place key = {.client = client};
    const struct place *place =
        round->n_cohort == 0 ? NULL : bsearch(&key, round->places, round->n_cohort, sizeof key, by_client);
    return place == NULL ? NOBODY : place->member;
}

static void absent_push(struct fed_round *round, uint32_t index) {
    struct member *member = &round->members[index];
    member->since_ms = round->now_ms;
    member->earlier = round->absent_last;
    member->later = NOBODY;
    if (round->absent_last == NOBODY) {
        round->absent_first = index;
    } else {
        round->members[round->absent_last].later = index;
    }
    round->absent_last = index;
    round->n_absent++;
}

static void absent_remove(struct fed_round *round, uint32_t index) {
    const struct member *member = &round->members[index];
    if (member->earlier == NOBODY) {
        round->absent_first = member->later;
    } else {
        round->members[member->earlier].later = member->later;
    }
    if (member->later == NOBODY) {
        round->absent_last = member->earlier;
    } else {
        round->members[member->later].earlier = member->earlier;
    }
    round->n_absent--;
}

static void move_member(struct fed_round *round, uint32_t index, enum member_state to) {
    enum member_state from = round->members[index].state;
    assert(from != to && from != MEMBER_COUNTED);
    if (from == MEMBER_ABSENT) {
        absent_remove(round, index);
    }
    round->n_present -= from == MEMBER_PRESENT;
    round->n_present += to == MEMBER_PRESENT;
    round->n_admitted += to == MEMBER_COUNTED;
    if (to == MEMBER_ABSENT) {
        absent_push(round, index);
    }
    round->members[index].state = to;
}

/* --- IDLE: looking for a cohort, or for the end of the run -------------------------------------------------------- */

static void begin_attempt(struct fed_round *round) {
    memset(round->members, 0, round->n_cohort * sizeof *round->members);
    round->n_present = round->n_cohort;
    round->n_admitted = round->n_absent = 0;
    round->absent_first = round->absent_last = NOBODY;
    round->attempt++;
    round->recorded = false;
    round->settled_ms = 0;
    round->phase = FED_ROUND_PICK;
    round->asked = false;
    round->store_at_ms = round->now_ms;
}

/* Eligible clients, counted no further than most. */
static uint64_t count_eligible(const struct fed_round *round, uint64_t population, uint64_t most) {
    const struct fed_round_world *world = &round->world;
    uint64_t n = 0;
    for (uint64_t i = 0; i < population && n < most; i++) {
        n += world->eligible(world->context, world->client(world->context, i));
    }
    return n;
}

/* Walks the permutation of (seed, round, attempt) for up to most eligible clients. FED_EAGAIN: somebody would be skipped and
 * must not be (*skipped). FED_ENOMEM. */
static int walk_cohort(uint64_t *ids, size_t *n, uint64_t *skipped, const struct fed_round *round, uint64_t population,
                       uint64_t most, bool patient) {
    const struct fed_round_world *world = &round->world;
    struct fed_rng rng;
    struct fed_walk walk;
    fed_rng_init(&rng, round->config.seed, FED_RNG_COHORT, round->committed + 1, (uint64_t)round->attempt + 1);
    fed_walk_init(&walk, &rng, (uint32_t)population);
    size_t found = 0;
    uint32_t index;
    int rc = 0;
    while (rc == 0 && found < most && (rc = fed_walk_next(&index, &walk)) == 0) {
        uint64_t client = world->client(world->context, index);
        if (world->eligible(world->context, client)) {
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

static uint64_t within(uint64_t n, uint64_t most) { return most > 0 && n > most ? most : n; }

static uint64_t reports_wanted(const struct fed_round *round, uint64_t population) {
    return within(fed_round_cohort_size(round->config.fraction, population), round->config.most);
}

/* FED_EAGAIN: waits for clients, and has said for whom. FED_ENOMEM. */
static int draw_cohort(struct fed_round *round, uint64_t population) {
    uint64_t m = reports_wanted(round, population);
    uint64_t quorum = at_least(round->config.min_reports, m);
    uint64_t most = within(at_least(round->config.over_select, m), round->config.most);
    most = most < population ? most : population;
    uint64_t eligible = count_eligible(round, population, quorum);
    if (eligible < quorum) {
        wait_for(round, "waits for %" PRIu64 " more client%s to join", quorum - eligible, quorum - eligible == 1 ? "" : "s");
        return FED_EAGAIN;
    }
    uint64_t *ids = calloc(most, sizeof *ids);
    if (ids == NULL) {
        return FED_ENOMEM;
    }
    uint64_t skipped = 0;
    size_t n = 0;
    int rc = walk_cohort(ids, &n, &skipped, round, population, most, round->now_ms < round->settled_ms);
    if (rc != 0) {
        wait_for(round, "waits for client %" PRIu64 " to come back after the restart", skipped);
        free(ids);
        return rc;
    }
    rc = set_cohort(round, ids, n);
    if (rc == 0) {
        round->goal = n < m ? n : m;
        round->quorum = quorum;
    }
    return rc;
}

/* 0: the recorded cohort is complete. FED_EAGAIN: waits for its members. FED_ENOTFOUND: it will not do now, draw another; it
 * stays recorded until that succeeds. */
static int take_up_recorded(struct fed_round *round, uint64_t population) {
    uint64_t m = reports_wanted(round, population);
    uint64_t quorum = at_least(round->config.min_reports, m);
    if (round->n_cohort < quorum) { /* the rules were changed since */
        return FED_ENOTFOUND;
    }
    size_t missing = 0;
    for (size_t i = 0; i < round->n_cohort; i++) {
        missing += !round->world.eligible(round->world.context, round->cohort[i]);
    }
    if (missing > 0) {
        wait_for(round, "waits for %zu of the %zu clients of the interrupted attempt", missing, round->n_cohort);
        return round->now_ms < round->settled_ms ? FED_EAGAIN : FED_ENOTFOUND;
    }
    round->goal = round->n_cohort < m ? round->n_cohort : m;
    round->quorum = quorum;
    return 0;
}

static void look_for_cohort(struct fed_round *round) {
    uint64_t population = round->world.population(round->world.context);
    assert(population < UINT32_MAX);
    round->look = false;
    int rc = FED_ENOTFOUND;
    if (round->recorded) {
        rc = take_up_recorded(round, population);
    }
    if (rc == FED_ENOTFOUND) {
        rc = draw_cohort(round, population);
    }
    if (rc == 0) {
        begin_attempt(round);
    } else if (rc == FED_EAGAIN) {
        uint64_t looked_at = population > round->n_cohort ? population : round->n_cohort;
        round->starved = true;
        round->look_at_ms = later(round->now_ms, looked_at / LOOKED_AT_PER_MS);
    } else {
        wait_for(round, "waits for memory for the cohort");
        round->retry_at_ms = later(round->now_ms, round->retry_pause_ms);
        round->retry_pause_ms = doubled(round->retry_pause_ms, RETRY_MOST_MS);
    }
}

static bool target_reached(const struct fed_round *round) {
    return round->config.target_accuracy > 0 && round->accuracy >= round->config.target_accuracy; /* NaN: no */
}

/* No further round is to begin. */
static bool ends(const struct fed_round *round) {
    return round->finishing || round->committed >= round->config.rounds || target_reached(round);
}

static void conclude(struct fed_round *round, struct outbox *out) {
    if (round->evaluation != EVALUATION_SETTLED) {
        wait_for(round, "waits for the evaluation of round %" PRIu64, round->committed);
    } else if (round->committed >= round->config.rounds || target_reached(round)) {
        round->phase = FED_ROUND_FINISHED;
        emit(out, FED_ACTION_FINISHED, round->committed, 0, NULL);
    } else {
        round->phase = FED_ROUND_STOPPED;
        emit(out, FED_ACTION_STOPPED, round->committed, 0, NULL);
    }
}

static void advance_idle(struct fed_round *round, struct outbox *out) {
    if (ends(round)) {
        conclude(round, out);
    } else if (round->look && round->now_ms >= round->retry_at_ms && round->now_ms >= round->look_at_ms) {
        look_for_cohort(round);
    }
}

/* Back to IDLE; the cohort stays readable until the next look. */
static void end_attempt(struct fed_round *round, uint64_t pause_ms) {
    round->phase = FED_ROUND_IDLE;
    round->look = false;
    round->starved = false;
    round->look_at_ms = round->now_ms;
    round->retry_at_ms = later(round->now_ms, pause_ms);
    round->waits_for[0] = '\0';
}

static void abandon(struct fed_round *round, struct outbox *out, const char *why) {
    emit(out, FED_ACTION_END_ABANDONED, round->committed + 1, round->attempt, why);
    round->n_failed++;
    end_attempt(round, round->retry_pause_ms);
    wait_for(round, "pauses before the next attempt: %s", why);
    round->retry_pause_ms = doubled(round->retry_pause_ms, RETRY_MOST_MS);
}

/* --- The other phases --------------------------------------------------------------------------------------------- */

/* In these something is to be written, and a write that fails is tried again. */
static bool stores(enum fed_round_phase phase) {
    return phase == FED_ROUND_PICK || phase == FED_ROUND_COMMIT || phase == FED_ROUND_ROLLBACK;
}

static void ask_store(struct fed_round *round, struct outbox *out, enum fed_action_kind kind) {
    if (!round->asked && round->now_ms >= round->store_at_ms) {
        round->asked = true;
        emit_of_attempt(out, round, kind);
    }
}

static void expire_absent(struct fed_round *round) {
    while (round->absent_first != NOBODY &&
           round->now_ms - round->members[round->absent_first].since_ms >= round->config.rejoin_ms) {
        move_member(round, round->absent_first, MEMBER_LOST);
    }
}

static void advance_collect(struct fed_round *round, struct outbox *out) {
    expire_absent(round);
    size_t outstanding = round->n_present + round->n_absent;
    bool enough = round->n_admitted >= round->quorum;
    bool late = round->now_ms >= round->deadline_at_ms;
    if (round->n_admitted >= round->goal || (enough && (late || outstanding == 0))) {
        round->phase = FED_ROUND_AGGREGATE;
        emit_of_attempt(out, round, FED_ACTION_AGGREGATE);
    } else if (late) {
        abandon(round, out, "the deadline passed below the quorum");
    } else if (round->n_admitted + outstanding < round->quorum) {
        abandon(round, out, "too few clients are left for the quorum");
    }
}

/* Somebody else is at the attempt, and the answer is still to come. */
static bool awaits_answer(const struct fed_round *round) {
    return round->phase == FED_ROUND_BROADCAST || round->phase == FED_ROUND_AGGREGATE ||
           (stores(round->phase) && round->asked);
}

static void roll_back(struct fed_round *round, struct outbox *out) {
    if (round->phase != FED_ROUND_IDLE) {
        emit(out, FED_ACTION_END_ABANDONED, round->committed + 1, round->attempt, "the last model is taken back");
    }
    round->phase = FED_ROUND_ROLLBACK;
    round->recorded = false;
    round->attempt = 0;
    round->asked = false;
    round->store_at_ms = round->now_ms;
}

/* What follows from where the machine stands and what time it is. */
static void advance(struct fed_round *round, struct outbox *out) {
    if (round->evaluation == EVALUATION_WANTED) {
        round->evaluation = EVALUATION_ASKED;
        emit(out, FED_ACTION_EVALUATE, round->committed, 0, NULL);
    }
    if (round->falls && round->phase != FED_ROUND_ROLLBACK && !awaits_answer(round)) {
        roll_back(round, out);
    }
    if (round->phase == FED_ROUND_COLLECT) {
        advance_collect(round, out);
    }
    if (round->phase == FED_ROUND_IDLE) {
        advance_idle(round, out);
    }
    if (round->phase == FED_ROUND_PICK) {
        ask_store(round, out, FED_ACTION_OPEN);
    } else if (round->phase == FED_ROUND_ROLLBACK) {
        ask_store(round, out, FED_ACTION_ROLL_BACK);
    } else if (round->phase == FED_ROUND_COMMIT && round->evaluation == EVALUATION_SETTLED) {
        ask_store(round, out, FED_ACTION_COMMIT);
    }
}

/* Round 0 is nobody's work: it is not evaluated. */
static bool evaluation_wanted(const struct fed_round_config *config, uint64_t number) {
    return config->evaluates && number > 0 &&
           (number % config->evaluate_every == 0 || number == config->rounds || config->target_accuracy > 0);
}

/* The last good model is round committed + 1 now: it was judged when it was new. */
static void on_rolled_back(struct fed_round *round) {
    round->committed++;
    round->falls = false;
    round->n_failed = 0;
    round->retry_pause_ms = RETRY_FIRST_MS;
    round->store_pause_ms = STORE_FIRST_MS;
    end_attempt(round, round->setback_pause_ms);
    wait_for(round, "pauses after a rollback");
    round->setback_pause_ms = doubled(round->setback_pause_ms, RETRY_MOST_MS);
}

static void on_committed(struct fed_round *round, struct outbox *out) {
    emit_of_attempt(out, round, FED_ACTION_END_COMMITTED);
    round->committed++;
    round->attempt = 0;
    round->n_failed = 0;
    round->accuracy = NAN;
    round->evaluation = evaluation_wanted(&round->config, round->committed) ? EVALUATION_WANTED : EVALUATION_SETTLED;
    round->retry_pause_ms = RETRY_FIRST_MS;
    round->store_pause_ms = STORE_FIRST_MS;
    end_attempt(round, 0);
}

static void on_evaluated(struct fed_round *round, const struct fed_round_event *event, struct outbox *out) {
    if (round->evaluation != EVALUATION_ASKED || event->round != round->committed) {
        return;
    }
    round->evaluation = EVALUATION_SETTLED;
    round->falls = event->falls;
    if (round->falls) {
        return;
    }
    round->accuracy = event->accuracy;
    round->setback_pause_ms = SETBACK_FIRST_MS;
    if (target_reached(round) && round->phase != FED_ROUND_IDLE) {
        abandon(round, out, "the target was reached");
    }
}

static void on_store_answer(struct fed_round *round, const struct fed_round_event *event, struct outbox *out) {
    bool answers = event->kind == FED_EVENT_OPENED      ? round->phase == FED_ROUND_PICK
                   : event->kind == FED_EVENT_COMMITTED ? stores(round->phase) && round->phase != FED_ROUND_PICK
                                                        : stores(round->phase);
    if (!answers || !round->asked) {
        return;
    }
    round->asked = false;
    if (event->kind == FED_EVENT_STORE_FAILED) {
        round->store_at_ms = later(round->now_ms, round->store_pause_ms);
        round->store_pause_ms = doubled(round->store_pause_ms, STORE_MOST_MS);
    } else if (event->kind == FED_EVENT_COMMITTED && round->phase == FED_ROUND_ROLLBACK) {
        on_rolled_back(round);
    } else if (event->kind == FED_EVENT_COMMITTED) {
        on_committed(round, out);
    } else if (!round->falls) {
        round->store_pause_ms = STORE_FIRST_MS;
        round->phase = FED_ROUND_BROADCAST;
        emit_of_attempt(out, round, FED_ACTION_BROADCAST);
    }
}

static void on_sealed(struct fed_round *round, struct outbox *out) {
    if (round->phase != FED_ROUND_BROADCAST) {
        return;
    }
    round->phase = FED_ROUND_COLLECT;
    round->deadline_at_ms = later(round->now_ms, round->config.deadline_ms);
    if (!round->falls) {
        emit_of_attempt(out, round, FED_ACTION_INVITE);
    }
}

static void on_aggregate_answer(struct fed_round *round, enum fed_event_kind kind, struct outbox *out) {
    if (round->phase != FED_ROUND_AGGREGATE) {
        return;
    }
    if (kind == FED_EVENT_NOT_FINITE && !round->falls) {
        abandon(round, out, "the mean is not finite");
    } else { /* where the last model falls, this one is not stored, whatever it is */
        round->phase = FED_ROUND_COMMIT;
        round->asked = false;
        round->store_at_ms = round->now_ms;
    }
}

static void on_spoilt(struct fed_round *round, struct outbox *out) {
    if (round->phase == FED_ROUND_COLLECT || (round->phase == FED_ROUND_AGGREGATE && !round->falls)) {
        abandon(round, out, "an update was damaged on the coordinator's disk");
    } else {
        on_aggregate_answer(round, FED_EVENT_NOT_FINITE, out);
    }
}

static void on_client(struct fed_round *round, const struct fed_round_event *event) {
    bool open = round->phase >= FED_ROUND_PICK && round->phase <= FED_ROUND_COLLECT;
    bool adding = event->kind == FED_EVENT_ADMITTED && round->phase == FED_ROUND_AGGREGATE;
    uint32_t index = find_member(round, event->client);
    /* Attempts alone do not tell: after a rollback the next round begins at 1 while an update of the last one, which was
     * abandoned, may still be being added. */
    bool of_this = event->round == round->committed + 1 && event->attempt == round->attempt;
    if ((!open && !adding) || !of_this || index == NOBODY) {
        return;
    }
    enum member_state state = round->members[index].state;
    if (state == MEMBER_COUNTED) {
        return;
    }
    if (event->kind == FED_EVENT_ADMITTED) { /* it is in the sum, whatever was thought of the client before */
        move_member(round, index, MEMBER_COUNTED);
    } else if (state == MEMBER_OUT) {
        return;
    } else if (event->kind == FED_EVENT_DECLINED || event->kind == FED_EVENT_REFUSED) {
        move_member(round, index, MEMBER_OUT);
    } else if (event->kind == FED_EVENT_GONE && state == MEMBER_PRESENT) {
        move_member(round, index, MEMBER_ABSENT);
    } else if (event->kind == FED_EVENT_JOINED && state != MEMBER_PRESENT) {
        move_member(round, index, MEMBER_PRESENT);
    }
}

static void on_stop(struct fed_round *round, struct outbox *out) {
    round->phase = FED_ROUND_STOPPED;
    emit(out, FED_ACTION_STOPPED, round->committed, 0, NULL);
}

size_t fed_round_handle(struct fed_round *round, const struct fed_round_event *event, uint64_t now_ms,
                        struct fed_round_action *actions) {
    assert(now_ms >= round->now_ms);
    struct outbox out = {.actions = actions};
    round->now_ms = now_ms;
    if (round->phase == FED_ROUND_FINISHED || round->phase == FED_ROUND_STOPPED) {
        return 0;
    }
    if (round->phase == FED_ROUND_IDLE && (event->kind == FED_EVENT_TICK || event->kind == FED_EVENT_JOINED)) {
        round->look = true;
    }
    switch (event->kind) {
    case FED_EVENT_TICK: break;
    case FED_EVENT_JOINED:
    case FED_EVENT_GONE:
    case FED_EVENT_DECLINED:
    case FED_EVENT_ADMITTED:
    case FED_EVENT_REFUSED: on_client(round, event); break;
    case FED_EVENT_OPENED:
    case FED_EVENT_COMMITTED:
    case FED_EVENT_STORE_FAILED: on_store_answer(round, event, &out); break;
    case FED_EVENT_SEALED: on_sealed(round, &out); break;
    case FED_EVENT_AGGREGATED:
    case FED_EVENT_NOT_FINITE: on_aggregate_answer(round, event->kind, &out); break;
    case FED_EVENT_EVALUATED: on_evaluated(round, event, &out); break;
    case FED_EVENT_STOP: on_stop(round, &out); return out.n;
    case FED_EVENT_FINISH: round->finishing = true; break;
    case FED_EVENT_SPOILT: on_spoilt(round, &out); break;
    }
    advance(round, &out);
    return out.n;
}

/* --- From outside ------------------------------------------------------------------------------------------------- */

static uint64_t wakeup_idle(const struct fed_round *round) {
    if (round->evaluation == EVALUATION_ASKED && ends(round)) {
        return NEVER;
    }
    if (round->evaluation == EVALUATION_WANTED || round->falls ||
        ends(round)) { /* just made: the first event sets it going */
        return round->now_ms;
    }
    if (!round->starved || round->look) {
        return round->retry_at_ms > round->look_at_ms ? round->retry_at_ms : round->look_at_ms;
    }
    return round->settled_ms > round->now_ms ? round->settled_ms : NEVER;
}

static uint64_t wakeup_collect(const struct fed_round *round) {
    if (round->absent_first == NOBODY) {
        return round->deadline_at_ms;
    }
    uint64_t lost_ms = later(round->members[round->absent_first].since_ms, round->config.rejoin_ms);
    return lost_ms < round->deadline_at_ms ? lost_ms : round->deadline_at_ms;
}

uint64_t fed_round_wakeup(const struct fed_round *round) {
    switch (round->phase) {
    case FED_ROUND_IDLE: return wakeup_idle(round);
    case FED_ROUND_PICK:
    case FED_ROUND_ROLLBACK: return round->asked ? NEVER : round->store_at_ms;
    case FED_ROUND_COLLECT: return wakeup_collect(round);
    case FED_ROUND_COMMIT: return round->asked || round->evaluation != EVALUATION_SETTLED ? NEVER : round->store_at_ms;
    default: return NEVER;
    }
}

const char *fed_round_waits_for(const struct fed_round *round) {
    if (round->phase == FED_ROUND_IDLE && round->waits_for[0] != '\0') {
        return round->waits_for;
    }
    if (round->phase == FED_ROUND_COMMIT && round->evaluation != EVALUATION_SETTLED) {
        return "waits for the evaluation of the last round before it commits";
    }
    if (stores(round->phase) && !round->asked) {
        return "pauses after a failed write before it stores again";
    }
    return NULL;
}

int fed_round_new(struct fed_round **out, const struct fed_round_config *config, const struct fed_round_world *world,
                  uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort, size_t n_cohort,
                  uint64_t now_ms) {
    assert(config->evaluate_every >= 1 && n_cohort < NOBODY);
    struct fed_round *round = calloc(1, sizeof *round);
    if (round == NULL) {
        return FED_ENOMEM;
    }
    round->config = *config;
    round->world = *world;
    round->committed = committed;
    round->attempt = attempt;
    round->accuracy = accuracy;
    bool evaluate = isnan(accuracy) && evaluation_wanted(config, committed);
    round->evaluation = evaluate ? EVALUATION_WANTED : EVALUATION_SETTLED;
    round->now_ms = round->look_at_ms = round->retry_at_ms = now_ms;
    round->retry_pause_ms = RETRY_FIRST_MS;
    round->setback_pause_ms = SETBACK_FIRST_MS;
    round->store_pause_ms = STORE_FIRST_MS;
    round->absent_first = round->absent_last = NOBODY;
    bool restarted = committed > 0 || attempt > 0;
    round->settled_ms = restarted ? later(now_ms, config->rejoin_ms) : 0;
    if (n_cohort > 0) {
        uint64_t *ids = calloc(n_cohort, sizeof *ids);
        if (ids == NULL) {
            fed_round_free(round);
            return FED_ENOMEM;
        }
        memcpy(ids, cohort, n_cohort * sizeof *ids);
        if (set_cohort(round, ids, n_cohort) != 0) {
            fed_round_free(round);
            return FED_ENOMEM;
        }
        round->recorded = true;
    }
    *out = round;
    return 0;
}

void fed_round_judged(struct fed_round *round, bool falls) {
    round->evaluation = EVALUATION_SETTLED;
    round->falls = falls;
    round->accuracy = falls ? (double)NAN : round->accuracy;
}

void fed_round_free(struct fed_round *round) {
    if (round != NULL) {
        drop_cohort(round);
        free(round);
    }
}

enum fed_round_phase fed_round_phase(const struct fed_round *round) { return round->phase; }
uint64_t fed_round_number(const struct fed_round *round) { return round->committed + 1; }
uint32_t fed_round_attempt(const struct fed_round *round) { return round->attempt; }

const uint64_t *fed_round_cohort(const struct fed_round *round, size_t *n) {
    *n = round->n_cohort;
    return round->cohort;
}

bool fed_round_in_cohort(const struct fed_round *round, uint64_t client) { return find_member(round, client) != NOBODY; }

bool fed_round_counted(const struct fed_round *round, uint64_t client) {
    uint32_t index = find_member(round, client);
    return index != NOBODY && round->members[index].state == MEMBER_COUNTED;
}

size_t fed_round_goal(const struct fed_round *round) { return round->goal; }
size_t fed_round_quorum(const struct fed_round *round) { return round->quorum; }
size_t fed_round_admitted(const struct fed_round *round) { return round->n_admitted; }
size_t fed_round_outstanding(const struct fed_round *round) { return round->n_present + round->n_absent; }
uint32_t fed_round_failed(const struct fed_round *round) { return round->n_failed; }
bool fed_round_evaluates(const struct fed_round *round, uint64_t number) {
    return evaluation_wanted(&round->config, number);
}
