/* Whole runs of the round, the schedule and the roster together, under everything that can happen to them: nodes that come
 * and go, clients that decline, updates that are refused, duplicates, stale events, a store that fails, evaluations that
 * take their time, clocks that jump, and a coordinator that is killed at any point and starts again from what was stored.
 *
 * A run is a function of its seed. FEDAVG_SEEDS=100000 runs more of them; FEDAVG_SEED=17 runs that one alone. */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/roster.h"
#include "coordinator/round.h"
#include "coordinator/schedule.h"

enum { NODES = 6, CLIENTS = 40, ROUNDS = 5, MOST_STEPS = 50000, FIRST_ID = 500, STRIDE = 50 };

struct cohort {
    uint64_t clients[CLIENTS];
    size_t n;
};

struct run {
    uint64_t seed, state; /* of the dice */
    bool calm;            /* nothing happens that may change a cohort */
    int faults;           /* left */
    uint64_t trace;       /* of all that was done */

    /* the task */
    struct fed_round_config config;
    uint64_t percent_picked, percent_over, percent_quorum, m, quorum;
    bool overlap; /* every node hosts all clients */
    struct fed_roster *roster;

    /* the machines at work */
    struct fed_round *round;
    struct fed_schedule *schedule;
    uint64_t now_ms;
    bool online[NODES];
    uint64_t away_since_ms[NODES];
    uint32_t trained[NODES];
    size_t n_nodes;
    bool opening, sealing, collecting, aggregating, committing, finished, stopped;
    uint64_t evaluating;   /* 0 = nothing */
    struct cohort resumed; /* a restart has to take this one up, if it can */
    struct cohort counted;

    /* what was stored */
    uint64_t committed;
    double accuracy;
    uint32_t attempt;
    struct cohort cohort;
    struct cohort of_round[ROUNDS + 1]; /* cohorts of the committed rounds */
};

#define require(run, condition, ...)                                                                                        \
    do {                                                                                                                    \
        if (!(condition)) {                                                                                                 \
            char text_[160];                                                                                                \
            snprintf(text_, sizeof text_, __VA_ARGS__);                                                                     \
            ck_abort_msg("FEDAVG_SEED=%" PRIu64 ": %s", (run)->seed, text_);                                                \
        }                                                                                                                   \
    } while (0)

static uint64_t mix(uint64_t x) { /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t dice(struct run *run, uint64_t sides) { return mix(run->state += UINT64_C(0x9e3779b97f4a7c15)) % sides; }

/* How good the model of a round is: a fact of the task, whatever happens on the way. */
static double accuracy_of(const struct run *run, uint64_t number) {
    return (double)(mix(run->config.seed * 1000 + number) % 1000) / 1000;
}

static bool evaluation_wanted(const struct run *run, uint64_t number) {
    const struct fed_round_config *config = &run->config;
    return config->evaluates && number > 0 &&
           (config->target_accuracy > 0 || number == config->rounds || number % config->evaluate_every == 0);
}

static uint64_t expected_result(const struct run *run) {
    for (uint64_t r = 1; run->config.evaluates && run->config.target_accuracy > 0 && r <= run->config.rounds; r++) {
        if (accuracy_of(run, r) >= run->config.target_accuracy) {
            return r;
        }
    }
    return run->config.rounds;
}

/* --- The world the machines ask ----------------------------------------------------------------------------------- */

static bool reachable(const struct run *run, uint64_t client) {
    for (size_t node = 0; node < run->n_nodes; node++) {
        if (run->online[node] && fed_roster_hosts(run->roster, node, client)) {
            return true;
        }
    }
    return false;
}

static uint64_t world_population(void *context) { return fed_roster_population(((struct run *)context)->roster); }
static uint64_t world_client(void *context, uint64_t i) { return fed_roster_client(((struct run *)context)->roster, i); }
static bool world_eligible(void *context, uint64_t client) { return reachable(context, client); }
static uint64_t world_work(void *context, uint64_t client) { return mix(((struct run *)context)->seed + client) % 4; }
static bool world_range(void *context, size_t node, size_t i, uint64_t *first, uint64_t *count) {
    const struct fed_roster_entry *entry = fed_roster_entry(((struct run *)context)->roster, node);
    *first = entry->first_client;
    *count = entry->n_clients;
    return i == 0;
}

static bool in(const struct cohort *cohort, uint64_t client) {
    for (size_t i = 0; i < cohort->n; i++) {
        if (cohort->clients[i] == client) {
            return true;
        }
    }
    return false;
}

static bool same(const struct cohort *a, const struct cohort *b) {
    return a->n == b->n && memcmp(a->clients, b->clients, a->n * sizeof a->clients[0]) == 0;
}

static struct cohort cohort_now(const struct run *run) {
    struct cohort cohort = {0};
    const uint64_t *clients = fed_round_cohort(run->round, &cohort.n);
    require(run, cohort.n <= CLIENTS, "a cohort of %zu", cohort.n);
    if (cohort.n > 0) {
        memcpy(cohort.clients, clients, cohort.n * sizeof *clients);
    }
    return cohort;
}

/* --- Doing what the round says ------------------------------------------------------------------------------------ */

static void check_open(struct run *run, const struct fed_round_action *action) {
    struct cohort cohort = cohort_now(run);
    require(run, action->round == run->committed + 1 && action->attempt == run->attempt + 1, "opens the wrong attempt");
    require(run, cohort.n >= run->quorum, "opens below the quorum");
    require(run, cohort.n <= (run->percent_over * run->m + 99) / 100, "picks too many");
    bool all_back = true;
    for (size_t i = 0; i < run->resumed.n; i++) {
        all_back &= reachable(run, run->resumed.clients[i]);
    }
    require(run, run->resumed.n == 0 || !all_back || same(&cohort, &run->resumed), "a restart changed the cohort");
    run->resumed.n = 0;
    for (size_t i = 0; i < cohort.n; i++) {
        for (size_t k = 0; k < i; k++) {
            require(run, cohort.clients[k] != cohort.clients[i], "a client is picked twice");
        }
    }
}

static void say_rounds(struct run *run) {
    struct fed_assignment said;
    while (fed_schedule_next(&said, run->schedule) == 0) {
        require(run, run->online[said.node], "a part for a node that is away");
        for (size_t i = 0; i < said.n_clients; i++) {
            require(run, fed_round_in_cohort(run->round, said.clients[i]), "a part with a stranger");
            require(run, fed_roster_hosts(run->roster, said.node, said.clients[i]), "a part for another node");
        }
    }
}

static void invite(struct run *run) {
    struct cohort cohort = cohort_now(run);
    ck_assert_int_eq(fed_schedule_begin(run->schedule, cohort.clients, cohort.n), 0);
    memset(run->trained, 0, sizeof run->trained);
    run->counted.n = 0;
    run->collecting = true;
}

static void check_commit(struct run *run, const struct fed_round_action *action) {
    require(run, action->round == run->committed + 1, "commits round %" PRIu64 " after %" PRIu64, action->round,
            run->committed);
    require(run, !evaluation_wanted(run, run->committed) || !isnan(run->accuracy), "commits before the evaluation is known");
    require(run, run->config.target_accuracy == 0 || !(run->accuracy >= run->config.target_accuracy),
            "commits behind the target");
}

static void perform(struct run *run, const struct fed_round_action *action) {
    require(run, !run->finished && !run->stopped, "goes on after the end");
    run->trace = mix(run->trace ^ ((uint64_t)action->kind << 32 | action->round << 16 | action->attempt));
    switch (action->kind) {
    case FED_ACTION_OPEN:
        check_open(run, action);
        run->opening = true;
        break;
    case FED_ACTION_BROADCAST: run->sealing = true; break;
    case FED_ACTION_INVITE: invite(run); break;
    case FED_ACTION_AGGREGATE:
        require(run, run->collecting && run->counted.n >= run->quorum, "takes the mean of %zu", run->counted.n);
        run->aggregating = true;
        break;
    case FED_ACTION_COMMIT:
        check_commit(run, action);
        run->committing = true;
        break;
    case FED_ACTION_EVALUATE:
        require(run, run->evaluating == 0 && action->round == run->committed, "evaluates out of turn");
        require(run, evaluation_wanted(run, action->round), "evaluates what nobody wants");
        run->evaluating = action->round;
        break;
    case FED_ACTION_END_COMMITTED:
    case FED_ACTION_END_ABANDONED:
        require(run, action->kind == FED_ACTION_END_ABANDONED || action->round == run->committed, "ends another round");
        fed_schedule_end(run->schedule);
        run->opening = run->sealing = run->collecting = run->aggregating = run->committing = false;
        break;
    case FED_ACTION_FINISHED:
        require(run, action->round == expected_result(run) && action->round == run->committed,
                "the result is round %" PRIu64 ", not %" PRIu64, action->round, expected_result(run));
        run->finished = true;
        break;
    case FED_ACTION_STOPPED: run->stopped = true; break;
    }
}

static void check_sums(const struct run *run) {
    enum fed_round_phase phase = fed_round_phase(run->round);
    if (run->collecting && (phase == FED_ROUND_COLLECT || phase == FED_ROUND_AGGREGATE)) {
        size_t cohort;
        fed_round_cohort(run->round, &cohort);
        require(run, fed_round_admitted(run->round) == run->counted.n, "counts %zu of %zu", fed_round_admitted(run->round),
                run->counted.n);
        require(run, fed_round_admitted(run->round) + fed_round_outstanding(run->round) <= cohort, "more than were picked");
    }
}

static void handle(struct run *run, struct fed_round_event event) {
    struct fed_round_action actions[FED_ROUND_ACTIONS_MAX];
    size_t n = fed_round_handle(run->round, &event, run->now_ms, actions);
    for (size_t i = 0; i < n; i++) {
        perform(run, &actions[i]);
    }
    check_sums(run);
}

static void happens(struct run *run, enum fed_event_kind kind) { handle(run, (struct fed_round_event){.kind = kind}); }

static void of_client(struct run *run, enum fed_event_kind kind, uint64_t client) {
    uint32_t attempt = fed_round_attempt(run->round);
    handle(run, (struct fed_round_event){.kind = kind, .client = client, .attempt = attempt});
}

/* --- Starting, stopping, nodes ------------------------------------------------------------------------------------ */

/* Tells the round which members of the cohort came within reach or left it, and that something changed. */
static void tell_reach(struct run *run, const bool *before, const struct cohort *cohort) {
    for (size_t i = 0; i < cohort->n; i++) {
        bool now = reachable(run, cohort->clients[i]);
        if (now != before[i]) {
            of_client(run, now ? FED_EVENT_JOINED : FED_EVENT_GONE, cohort->clients[i]);
        }
    }
    happens(run, FED_EVENT_TICK);
    say_rounds(run);
}

static void set_online(struct run *run, size_t node, bool online) {
    struct cohort cohort = cohort_now(run);
    bool before[CLIENTS];
    for (size_t i = 0; i < cohort.n; i++) {
        before[i] = reachable(run, cohort.clients[i]);
    }
    run->online[node] = online;
    run->trained[node] = 0;
    if (online) {
        fed_schedule_node_ready(run->schedule, node, 1 + (uint32_t)dice(run, 3), dice(run, 2) == 0);
    } else {
        run->away_since_ms[node] = run->now_ms;
        fed_schedule_node_lost(run->schedule, node);
    }
    tell_reach(run, before, &cohort);
}

static void all_online(struct run *run) {
    for (size_t node = 0; node < run->n_nodes; node++) {
        if (!run->online[node]) {
            set_online(run, node, true);
        }
    }
}

static void start(struct run *run) {
    const struct fed_round_world world = {
        .context = run, .population = world_population, .client = world_client, .eligible = world_eligible};
    const struct fed_schedule_world schedule = {.context = run, .range = world_range, .work = world_work};
    ck_assert_int_eq(fed_round_new(&run->round, &run->config, &world, run->committed, run->accuracy, run->attempt,
                                   run->cohort.clients, run->cohort.n, run->now_ms),
                     0);
    ck_assert_int_eq(fed_schedule_new(&run->schedule, &schedule, run->n_nodes, 1 + dice(run, 20)), 0);
    run->resumed = run->cohort;
    bool fresh = run->committed == 0 && run->attempt == 0; /* then the first to come are the first to be picked */
    for (size_t node = 0; node < run->n_nodes; node++) {
        run->online[node] = fresh && run->calm;
        run->away_since_ms[node] = run->now_ms;
        if (run->online[node]) {
            fed_schedule_node_ready(run->schedule, node, 1, true);
        }
    }
}

static void stop(struct run *run) {
    fed_round_free(run->round);
    fed_schedule_free(run->schedule);
    run->round = NULL;
    run->schedule = NULL;
}

static void store_attempt(struct run *run) {
    run->attempt = fed_round_attempt(run->round);
    run->cohort = cohort_now(run);
}

static void store_round(struct run *run) {
    run->committed++;
    run->of_round[run->committed] = cohort_now(run);
    run->attempt = 0;
    run->cohort.n = 0;
    run->accuracy = NAN;
}

/* kill -9: what the store was doing was done, or not. */
static void crash(struct run *run) {
    if (run->opening && dice(run, 2) == 0) {
        store_attempt(run);
    }
    if (run->committing && dice(run, 2) == 0) {
        store_round(run);
    }
    stop(run);
    run->opening = run->sealing = run->collecting = run->aggregating = run->committing = run->stopped = false;
    run->evaluating = 0;
    start(run);
}

/* --- Steps that lead on ------------------------------------------------------------------------------------------- */

static void answer_store(struct run *run) {
    if (run->opening) {
        run->opening = false;
        store_attempt(run);
        happens(run, FED_EVENT_OPENED);
    } else if (run->committing) {
        if (run->calm) { /* the next cohort is drawn from everybody, as in a run without trouble */
            all_online(run);
        }
        run->committing = false;
        store_round(run);
        happens(run, FED_EVENT_COMMITTED);
    }
}

static void answer_work(struct run *run) {
    if (run->sealing) {
        run->sealing = false;
        happens(run, FED_EVENT_SEALED);
        say_rounds(run);
    } else if (run->aggregating) {
        run->aggregating = run->collecting = false;
        fed_schedule_end(run->schedule);
        happens(run, FED_EVENT_AGGREGATED);
    }
}

static void answer_evaluation(struct run *run) {
    uint64_t number = run->evaluating;
    if (number > 0) {
        run->evaluating = 0;
        run->accuracy = accuracy_of(run, number);
        handle(run, (struct fed_round_event){.kind = FED_EVENT_EVALUATED, .round = number, .accuracy = run->accuracy});
    }
}

static void train(struct run *run, size_t node) {
    if (run->online[node] && run->collecting) {
        fed_schedule_progress(run->schedule, node, ++run->trained[node]);
        say_rounds(run);
    }
}

/* The node offers one of its parts; it is admitted if the coordinator would. */
static void offer(struct run *run, size_t node) {
    uint32_t n_parts = fed_schedule_parts(run->schedule, node);
    struct fed_assignment said;
    if (!run->online[node] || fed_round_phase(run->round) != FED_ROUND_COLLECT || n_parts == 0) {
        return;
    }
    uint32_t part = (uint32_t)dice(run, n_parts);
    if (fed_schedule_part(&said, run->schedule, node, part) != 0 || !said.closed) {
        return;
    }
    struct cohort clients = {.n = said.n_clients};
    memcpy(clients.clients, said.clients, said.n_clients * sizeof said.clients[0]);
    for (size_t i = 0; i < clients.n; i++) {
        if (fed_round_counted(run->round, clients.clients[i])) {
            return; /* the same answer again */
        }
    }
    fed_schedule_delivered(run->schedule, node, part);
    for (size_t i = 0; i < clients.n; i++) {
        run->counted.clients[run->counted.n++] = clients.clients[i];
        of_client(run, FED_EVENT_ADMITTED, clients.clients[i]);
    }
    say_rounds(run);
}

static void pass_time(struct run *run, uint64_t ms) {
    for (size_t node = 0; run->calm && node < run->n_nodes; node++) {
        if (!run->online[node] && run->now_ms + ms - run->away_since_ms[node] > run->config.rejoin_ms / 4) {
            set_online(run, node, true);
        }
    }
    run->now_ms += ms;
    if (fed_round_wakeup(run->round) <= run->now_ms) {
        happens(run, FED_EVENT_TICK);
    }
}

/* Sleeps until something is due, unless that would be the deadline. */
static void sleep_on(struct run *run) {
    enum fed_round_phase phase = fed_round_phase(run->round);
    uint64_t wakeup = fed_round_wakeup(run->round);
    bool somebody_away = false;
    for (size_t node = 0; node < run->n_nodes; node++) {
        somebody_away |= !run->online[node];
    }
    if (wakeup != UINT64_MAX && phase != FED_ROUND_COLLECT && !somebody_away) {
        pass_time(run, wakeup > run->now_ms ? wakeup - run->now_ms : 0);
    }
}

/* --- Steps that do not -------------------------------------------------------------------------------------------- */

static void stale(struct run *run) {
    uint32_t attempt = fed_round_attempt(run->round);
    struct cohort cohort = cohort_now(run);
    uint64_t client = cohort.n == 0 ? FIRST_ID : cohort.clients[dice(run, cohort.n)];
    enum fed_event_kind kind = FED_EVENT_JOINED + (enum fed_event_kind)dice(run, 5);
    switch (dice(run, 4)) {
    case 0: handle(run, (struct fed_round_event){.kind = kind, .client = client, .attempt = attempt + 1}); break;
    case 1: handle(run, (struct fed_round_event){.kind = kind, .client = FIRST_ID - 1, .attempt = attempt}); break;
    case 2:
        if (run->counted.n > 0 && in(&cohort, run->counted.clients[0]) && run->collecting) {
            of_client(run, kind, run->counted.clients[0]); /* counted: whatever is said of it now */
        }
        break;
    default:
        if (!run->opening && !run->committing) {
            happens(run, dice(run, 2) == 0 ? FED_EVENT_OPENED : FED_EVENT_COMMITTED);
            happens(run, FED_EVENT_STORE_FAILED);
        }
        break;
    }
}

static void fail_store(struct run *run) {
    if (run->opening || run->committing) {
        run->opening = run->committing = false;
        happens(run, FED_EVENT_STORE_FAILED);
    }
}

static void give_back(struct run *run, size_t node) {
    uint32_t n_parts = fed_schedule_parts(run->schedule, node);
    struct fed_assignment said;
    if (!run->collecting || n_parts == 0 ||
        fed_schedule_part(&said, run->schedule, node, (uint32_t)dice(run, n_parts)) != 0) {
        return;
    }
    uint64_t client = said.clients[dice(run, said.n_clients)];
    if (!fed_schedule_give_back(run->schedule, node, client)) {
        of_client(run, dice(run, 2) == 0 ? FED_EVENT_DECLINED : FED_EVENT_REFUSED, client);
    }
    say_rounds(run);
}

static void fault(struct run *run, size_t node) {
    run->faults--;
    switch (dice(run, run->calm ? 6 : 12)) {
    case 0: crash(run); break;
    case 1: stale(run); break;
    case 2: stale(run); break;
    case 3: fail_store(run); break;
    case 4: fail_store(run); break;
    case 5:
        if (run->online[node] && (!run->calm || fed_round_phase(run->round) == FED_ROUND_COLLECT)) {
            set_online(run, node, false);
        }
        break;
    case 6: set_online(run, node, !run->online[node]); break;
    case 7: give_back(run, node); break;
    case 8: give_back(run, node); break;
    case 9: pass_time(run, dice(run, 5) * 3600 * 1000 + dice(run, 60000)); break;
    case 10:
        if (run->aggregating) {
            run->aggregating = false;
            happens(run, FED_EVENT_NOT_FINITE);
        }
        break;
    default: happens(run, dice(run, 2) == 0 ? FED_EVENT_FINISH : FED_EVENT_STOP); break;
    }
}

static void step(struct run *run) {
    size_t node = dice(run, run->n_nodes);
    switch (dice(run, 12)) {
    case 0: pass_time(run, dice(run, 1000)); break;
    case 1: sleep_on(run); break;
    case 2: answer_store(run); break;
    case 3: answer_work(run); break;
    case 4: answer_evaluation(run); break;
    case 5:
        if (!run->online[node]) {
            set_online(run, node, true);
        }
        break;
    case 6:
    case 7: train(run, node); break;
    case 8:
    case 9: offer(run, node); break;
    default:
        if (run->faults > 0) {
            fault(run, node);
        }
        break;
    }
    if (run->stopped) { /* the operator starts it again */
        crash(run);
    }
}

/* --- Runs --------------------------------------------------------------------------------------------------------- */

static void make_roster(struct run *run, uint64_t population) {
    struct fed_roster_file file = {.entries = calloc(run->n_nodes, sizeof *file.entries), .n_entries = run->n_nodes};
    ck_assert_ptr_nonnull(file.entries);
    for (size_t node = 0; node < run->n_nodes; node++) {
        struct fed_roster_entry *entry = &file.entries[node];
        snprintf(entry->name, sizeof entry->name, "n%zu", node);
        uint64_t share = population / run->n_nodes + (node < population % run->n_nodes);
        entry->first_client = FIRST_ID + (run->overlap ? 0 : STRIDE * node);
        entry->n_clients = run->overlap ? population : share;
        entry->partial_sums = true;
    }
    ck_assert_int_eq(fed_roster_new(&run->roster, &file), 0);
    ck_assert_uint_eq(fed_roster_population(run->roster), population);
}

static void make_task(struct run *run) {
    static const uint64_t picked[] = {0, 10, 25, 50, 90, 100}, over[] = {100, 100, 110, 130, 200},
                          quorum[] = {1, 29, 55, 70, 80, 100};
    uint64_t population = 1 + dice(run, CLIENTS);
    run->percent_picked = picked[dice(run, 6)];
    run->percent_over = run->calm ? 100 : over[dice(run, 5)];
    run->percent_quorum = run->calm ? 100 : quorum[dice(run, 6)];
    run->m = (2 * run->percent_picked * population + 100) / 200; /* halves away from zero, without floating point */
    run->m = run->m == 0 ? 1 : run->m;
    run->quorum = (run->percent_quorum * run->m + 99) / 100;
    run->n_nodes = 1 + dice(run, NODES);
    run->n_nodes = run->n_nodes < population ? run->n_nodes : population;
    run->overlap = dice(run, 2) == 0;
    make_roster(run, population);
    run->config = (struct fed_round_config){.seed = run->seed,
                                            .rounds = 1 + dice(run, ROUNDS),
                                            .fraction = (double)run->percent_picked / 100,
                                            .over_select = (double)run->percent_over / 100,
                                            .min_reports = (double)run->percent_quorum / 100,
                                            .deadline_ms = run->calm ? UINT64_MAX : 600000,
                                            .rejoin_ms = 30000,
                                            .evaluate_every = 1 + dice(run, 3),
                                            .target_accuracy = dice(run, 2) * (double)dice(run, 1000) / 1000,
                                            .evaluates = dice(run, 4) > 0};
}

/* Runs to the end, whatever happens. The caller frees *run with free(). */
static struct run *run_to_the_end(uint64_t seed, bool calm, bool trouble) {
    struct run *run = calloc(1, sizeof *run);
    ck_assert_ptr_nonnull(run);
    run->seed = run->state = seed;
    run->calm = calm;
    run->accuracy = NAN;
    make_task(run);
    run->now_ms = dice(run, 1000000);
    run->faults = trouble ? (int)dice(run, 80) : 0;
    start(run);
    int steps = 0;
    while (!run->finished) {
        require(run, ++steps < MOST_STEPS, "stuck in %s: %s", fed_round_phase_name(fed_round_phase(run->round)),
                fed_round_waits_for(run->round) == NULL ? "waits for nothing" : fed_round_waits_for(run->round));
        step(run);
    }
    stop(run);
    fed_roster_free(run->roster);
    return run;
}

static uint64_t number_from(const char *variable, uint64_t otherwise) {
    const char *text = getenv(variable);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* Calls one for each seed that is wanted. */
static void for_seeds(void (*one)(uint64_t seed), uint64_t n) {
    uint64_t only = number_from("FEDAVG_SEED", 0), last = number_from("FEDAVG_SEEDS", n);
    for (uint64_t seed = only > 0 ? only : 1; seed <= (only > 0 ? only : last); seed++) {
        one(seed);
    }
}

static void one_under_trouble(uint64_t seed) { free(run_to_the_end(seed, false, true)); }

START_TEST(a_run_ends_with_the_right_round_whatever_happens) { for_seeds(one_under_trouble, 1000); }
END_TEST

static void one_calm(uint64_t seed) {
    struct run *undisturbed = run_to_the_end(seed, true, false), *disturbed = run_to_the_end(seed, true, true);
    require(disturbed, disturbed->committed == undisturbed->committed, "another number of rounds");
    for (uint64_t r = 1; r <= disturbed->committed; r++) {
        require(disturbed, same(&disturbed->of_round[r], &undisturbed->of_round[r]), "another cohort in round %" PRIu64, r);
    }
    free(undisturbed);
    free(disturbed);
}

/* Nodes that come back in time, a store that fails, a coordinator that is killed: with over_select and min_reports at 1.0
 * the same clients make the same rounds. */
START_TEST(crashes_and_short_absences_change_no_cohort) { for_seeds(one_calm, 1000); }
END_TEST

static void one_twice(uint64_t seed) {
    struct run *first = run_to_the_end(seed, false, true), *second = run_to_the_end(seed, false, true);
    require(first, first->trace == second->trace, "the same seed gave another run");
    free(first);
    free(second);
}

START_TEST(a_seed_replays_exactly) { for_seeds(one_twice, 20); }
END_TEST

int main(void) {
    Suite *suite = suite_create("simulated rounds");
    TCase *tcase = tcase_create("runs");
    tcase_set_timeout(tcase, 0); /* FEDAVG_SEEDS may ask for hours */
    tcase_add_test(tcase, a_run_ends_with_the_right_round_whatever_happens);
    tcase_add_test(tcase, crashes_and_short_absences_change_no_cohort);
    tcase_add_test(tcase, a_seed_replays_exactly);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
