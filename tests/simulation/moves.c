/* What was seen of the state machines over all seeds: the round's phases by event, the coordinator's phases by what it
 * hears, a session's states by what it hears. What is possible and was never met is a hole in the simulation, or in the
 * code. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "client/session_internal.h"
#include "coordinator/round/aggregate.h"
#include "coordinator/round/intake.h"
#include "tests/simulation/sim.h"

enum {
    PHASES = FED_ROUND_STOPPED + 1,
    EVENTS = FED_EVENT_SPOILT + 1,
    KINDS = FED_MSG_END + 1,
    STATES = FED_SESSION_READY + 1
};

static const char *const event_names[EVENTS] = {
    [FED_EVENT_TICK] = "tick",           [FED_EVENT_JOINED] = "joined",       [FED_EVENT_GONE] = "gone",
    [FED_EVENT_DECLINED] = "declined",   [FED_EVENT_ADMITTED] = "admitted",   [FED_EVENT_REFUSED] = "refused",
    [FED_EVENT_OPENED] = "opened",       [FED_EVENT_SEALED] = "sealed",       [FED_EVENT_AGGREGATED] = "mean",
    [FED_EVENT_NO_MEAN] = "no mean",     [FED_EVENT_COMMITTED] = "committed", [FED_EVENT_STORE_FAILED] = "disk fails",
    [FED_EVENT_EVALUATED] = "evaluated", [FED_EVENT_STOP] = "stop",           [FED_EVENT_FINISH] = "finish",
    [FED_EVENT_SPOILT] = "spoilt",
};
static const char *const kind_names[KINDS] = {NULL,      "Hello", "Status",   "Decline", "Offer",
                                              "Welcome", "Round", "Admitted", "Refused", "End"};
static const char *const state_names[STATES] = {"down", "greeting", "ready"};

static uint64_t moves[PHASES][EVENTS][PHASES], heard[KINDS][PHASES], told[KINDS][STATES];
static enum fed_round_phase phase_now;
static size_t counted; /* clients, by the round */
static bool held_back; /* calm: the round would look for a cohort, but not all are here */
static bool damaged;   /* an update of the attempt at hand, on the disk: it stays so until the attempt is over */
static struct fed_round_world world;

static bool all_are_here(void) {
    for (uint64_t i = 0, n = world.population(world.context); i < n; i++) {
        if (!world.eligible(world.context, world.client(world.context, i))) {
            return false;
        }
    }
    return true;
}

int __real_fed_round_new(struct fed_round **out, const struct fed_round_config *config, const struct fed_round_world *asked,
                         uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort, size_t n_cohort,
                         uint64_t now_ms);
int __wrap_fed_round_new(struct fed_round **out, const struct fed_round_config *config, const struct fed_round_world *asked,
                         uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort, size_t n_cohort,
                         uint64_t now_ms);
int __wrap_fed_round_new(struct fed_round **out, const struct fed_round_config *config, const struct fed_round_world *asked,
                         uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort, size_t n_cohort,
                         uint64_t now_ms) {
    world = *asked;
    phase_now = FED_ROUND_IDLE;
    return __real_fed_round_new(out, config, asked, committed, accuracy, attempt, cohort, n_cohort, now_ms);
}

uint64_t __real_fed_round_wakeup(const struct fed_round *round);
size_t __real_fed_round_handle(struct fed_round *round, const struct fed_round_event *event, uint64_t now_ms,
                               struct fed_round_action *actions);
size_t __wrap_fed_round_handle(struct fed_round *round, const struct fed_round_event *event, uint64_t now_ms,
                               struct fed_round_action *actions);
size_t __wrap_fed_round_handle(struct fed_round *round, const struct fed_round_event *event, uint64_t now_ms,
                               struct fed_round_action *actions) {
    enum fed_round_phase before = fed_round_phase(round);
    bool looks = event->kind == FED_EVENT_TICK || event->kind == FED_EVENT_JOINED;
    held_back = sim.calm && before == FED_ROUND_IDLE && looks && fed_round_number(round) <= sim.task.algorithm.rounds &&
                !all_are_here();
    if (held_back) {
        return 0; /* the next tick will do: who is here when a cohort is drawn is no fault's business */
    }
    size_t n = __real_fed_round_handle(round, event, now_ms, actions);
    phase_now = fed_round_phase(round);
    counted = fed_round_admitted(round);
    damaged = damaged && (phase_now == FED_ROUND_COLLECT || phase_now == FED_ROUND_AGGREGATE);
    moves[before][event->kind][phase_now]++;
    if (event->kind != FED_EVENT_TICK || before != phase_now) {
        sim_note("round: %s, %s %" PRIu64 " -> %s", fed_round_phase_name(before), event_names[event->kind], event->client,
                 fed_round_phase_name(phase_now));
    }
    if (before != phase_now) {
        sim_phase_begins(phase_now);
    }
    if (before == FED_ROUND_IDLE && phase_now == FED_ROUND_PICK) {
        sim.drawn_from = sim.population;
    }
    size_t cohort;
    fed_round_cohort(round, &cohort);
    sim_require(fed_round_admitted(round) <= cohort && fed_round_outstanding(round) <= cohort,
                "more clients than were picked");
    sim_require(__real_fed_round_wakeup(round) != UINT64_MAX || phase_now != FED_ROUND_COLLECT, "the deadline has no alarm");
    return n;
}

uint64_t __wrap_fed_round_wakeup(const struct fed_round *round);
uint64_t __wrap_fed_round_wakeup(const struct fed_round *round) {
    return held_back ? UINT64_MAX : __real_fed_round_wakeup(round);
}

void sim_moves_heard(const struct fed_message *message) { heard[message->kind][phase_now]++; }

void __real_fed_session_hear_control(struct fed_session *s, const struct fed_frame *frame);
void __wrap_fed_session_hear_control(struct fed_session *s, const struct fed_frame *frame);
void __wrap_fed_session_hear_control(struct fed_session *s, const struct fed_frame *frame) {
    static struct fed_message message;
    enum fed_session_state state = s->state;
    if (sim_decode(&message, frame->bytes, frame->n) == FED_OK) {
        told[message.kind][state]++;
    }
    __real_fed_session_hear_control(s, frame);
}

/* A mean that is not finite: no honest sum comes to one, so now and then this says that it did. */
size_t __real_fed_aggregate_mean(const struct fed_aggregate *aggregate, float *out, const float *w);
size_t __wrap_fed_aggregate_mean(const struct fed_aggregate *aggregate, float *out, const float *w);
size_t __wrap_fed_aggregate_mean(const struct fed_aggregate *aggregate, float *out, const float *w) {
    sim_require(aggregate->n_updates == counted, "the sum holds %" PRIu64 " clients, the round counts %zu",
                aggregate->n_updates, counted);
    size_t n = __real_fed_aggregate_mean(aggregate, out, w);
    return sim.trouble && sim_chance(sim.bad_means) ? 0 : n;
}

/* An update that lay in a file and came back from the disk as something else. */
bool __real_fed_intake_spoilt(const struct fed_intake *intake);
bool __wrap_fed_intake_spoilt(const struct fed_intake *intake);
bool __wrap_fed_intake_spoilt(const struct fed_intake *intake) {
    damaged = damaged || (sim.trouble && sim.bad_means > 0 && sim_dice(500) == 0);
    return damaged || __real_fed_intake_spoilt(intake);
}

/* -- tables --------------------------------------------------------------------------------------------------------- */

static uint64_t moves_of(int before, int event) {
    uint64_t n = 0;
    for (int after = 0; after < PHASES; after++) {
        n += moves[before][event][after];
    }
    return n;
}

void sim_moves_print(void) {
    printf("%-11s", "");
    for (int event = 0; event < EVENTS; event++) {
        printf(" %10s", event_names[event]);
    }
    for (int before = 0; before < PHASES; before++) {
        printf("\n%-11s", fed_round_phase_name((enum fed_round_phase)before));
        for (int event = 0; event < EVENTS; event++) {
            printf(" %10" PRIu64, moves_of(before, event));
        }
    }
    printf("\n\nmoves:\n");
    for (int before = 0; before < PHASES; before++) {
        for (int after = 0; after < PHASES; after++) {
            for (int event = 0; event < EVENTS; event++) {
                if (before != after && moves[before][event][after] > 0) {
                    printf("  %s -> %s by %s: %" PRIu64 "\n", fed_round_phase_name((enum fed_round_phase)before),
                           fed_round_phase_name((enum fed_round_phase)after), event_names[event],
                           moves[before][event][after]);
                }
            }
        }
    }
    printf("\nthe coordinator hears, by phase:\n");
    for (int kind = FED_MSG_HELLO; kind <= FED_MSG_END; kind++) {
        printf("%-10s", kind_names[kind]);
        for (int phase = 0; phase < PHASES; phase++) {
            printf(" %s %" PRIu64, fed_round_phase_name((enum fed_round_phase)phase), heard[kind][phase]);
        }
        printf("\n");
    }
    printf("\na node hears, by state:\n");
    for (int kind = FED_MSG_HELLO; kind <= FED_MSG_END; kind++) {
        printf("%-10s", kind_names[kind]);
        for (int state = 0; state < STATES; state++) {
            printf(" %s %" PRIu64, state_names[state], told[kind][state]);
        }
        printf("\n");
    }
}

/* Of each phase, by event: x is met in a thousand seeds, r is possible but rare, a dot cannot be. Why not: only COLLECT
 * takes declines and refusals (but a quarantine begins at any time), and only it and what follows from it admissions; an
 * answer comes in the phase that asked, or after the target was reached behind its back; nothing is handled once the round
 * has stopped. */
static const char *const possible[PHASES] = {
    /*                        tjgdarosmncdesfb */
    [FED_ROUND_IDLE] = "xxxrrr......xxxr",      [FED_ROUND_PICK] = "xxx.rrx....xxxx.",
    [FED_ROUND_BROADCAST] = "xxx.rr.x....xxx.", [FED_ROUND_COLLECT] = "xxxxxx......xxxx",
    [FED_ROUND_AGGREGATE] = "xxxrxr..xx..rxxr", [FED_ROUND_COMMIT] = "xxx..r....xxxxx.",
    [FED_ROUND_ROLLBACK] = "xrr.rr....xx.rr.",  [FED_ROUND_FINISHED] = "xxx.rrrrrr.r..rr",
    [FED_ROUND_STOPPED] = "................",
};

static bool events_complete(void) {
    bool complete = true;
    for (int before = 0; before < PHASES; before++) {
        for (int event = 0; event < EVENTS; event++) {
            bool met = moves_of(before, event) > 0;
            char claim = possible[before][event];
            if (claim == 'r' || met == (claim == 'x')) {
                continue;
            }
            printf("%s: %s in phase %s\n", met ? "was met and is not thought possible" : "was never met", event_names[event],
                   fed_round_phase_name((enum fed_round_phase)before));
            complete = false;
        }
    }
    return complete;
}

static bool messages_complete(void) {
    bool complete = true;
    for (int phase = FED_ROUND_IDLE; phase <= FED_ROUND_FINISHED; phase++) {
        for (int kind = FED_MSG_HELLO; kind <= FED_MSG_OFFER; kind++) {
            bool rare = (kind == FED_MSG_DECLINE && phase != FED_ROUND_COLLECT) || phase == FED_ROUND_ROLLBACK;
            if (heard[kind][phase] == 0 && !rare) {
                printf("was never met: the coordinator hears %s in phase %s\n", kind_names[kind],
                       fed_round_phase_name((enum fed_round_phase)phase));
                complete = false;
            }
        }
    }
    for (int kind = FED_MSG_WELCOME; kind <= FED_MSG_END; kind++) {
        for (int state = FED_SESSION_GREETING; state <= FED_SESSION_READY; state++) {
            bool rare = kind == FED_MSG_ADMITTED && state == FED_SESSION_GREETING;
            if (told[kind][state] == 0 && !rare) {
                printf("was never met: a node that is %s hears %s\n", state_names[state], kind_names[kind]);
                complete = false;
            }
        }
    }
    return complete;
}

bool sim_moves_complete(void) {
    bool events = events_complete(), messages = messages_complete();
    return events && messages;
}
