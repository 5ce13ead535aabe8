/* The loop: waits for lanes, finished jobs, signals and time; turns them into events of the round; performs its actions. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/coordinator_internal.h"

#define TICK_MS 1000
#define ATTEMPTS_ALARM 5 /* that failed one after the other */
#define FAREWELL_MS 3000
#define SERVE_AGAIN_MS 5 /* a node's connection had no room for a model chunk */

void fed_loop_fail(struct fed_coordinator *c, const char *what) {
    c->failure_code = FED_EFAILED;
    fed_error_set(&c->failure, FED_ENOMEM, "not enough memory %s; start the same command again to go on", what);
    c->stopped = true;
}

void fed_loop_post(struct fed_coordinator *c, const struct fed_round_event *event) {
    if (c->n_events == c->events_room) {
        size_t room = c->events_room > 0 ? 2 * c->events_room : 256;
        struct fed_round_event *events = realloc(c->events, room * sizeof *events);
        if (events == NULL) {
            fed_loop_fail(c, "for the events of a round");
            return;
        }
        c->events = events;
        c->events_room = room;
    }
    c->events[c->n_events++] = *event;
}

void fed_loop_post_kind(struct fed_coordinator *c, enum fed_event_kind kind) {
    fed_loop_post(c, &(struct fed_round_event){.kind = kind});
}

/* -- actions ------------------------------------------------------------------------------------------------------------ */

/* A store job that could not even be made is answered like a write that failed: the round tries again after a pause.
 * Without memory for anything else there is no round: every stop is a crash that was announced. */
static void start(struct fed_coordinator *c, int rc, bool stores) {
    if (rc != FED_OK && stores) {
        FED_ERROR("loop", "out of memory, trying again", FED_U64("round", fed_round_number(c->round)));
        fed_loop_post_kind(c, FED_EVENT_STORE_FAILED);
    } else if (rc != FED_OK) {
        fed_loop_fail(c, "to go on with the round");
    }
}

static void retire_attempt(struct fed_coordinator *c) {
    if (c->attempt_over && fed_intake_idle(c->intake)) {
        fed_attempt_fini(&c->attempt);
        c->has_attempt = c->attempt_over = false;
    }
}

static void broadcast(struct fed_coordinator *c) {
    retire_attempt(c);
    c->broadcast_waits = c->has_attempt; /* an update of the last attempt is still being added */
    if (c->broadcast_waits) {
        return;
    }
    c->n_updates = 0;
    c->train_seconds = 0;
    start(c, fed_work_seal(c), false);
}

static void invite(struct fed_coordinator *c) {
    size_t n;
    const uint64_t *cohort = fed_round_cohort(c->round, &n);
    uint64_t now = fed_clock_ms();
    if (fed_schedule_begin(c->schedule, cohort, n) != FED_OK) {
        fed_loop_fail(c, "for the cohort");
        return;
    }
    fed_intake_begin(c->intake, &c->attempt);
    fed_nodes_begin(&c->nodes);
    c->collecting = true;
    c->said_ms = now;
    c->attempt_end_ms = now + c->task->round.deadline_s * 1000;
    fed_say_rounds(c);
}

/* As soon as it is known: waiting for more would be waiting for nothing. */
static bool is_spoilt(struct fed_coordinator *c) {
    if (!fed_intake_spoilt(c->intake)) {
        return false;
    }
    FED_ERROR("intake", "spool file damaged", FED_STR("dir", c->options.run_dir),
              FED_STR("next", "the attempt is abandoned; check the disk"));
    fed_loop_post_kind(c, FED_EVENT_SPOILT);
    return true;
}

static void aggregate(struct fed_coordinator *c) {
    c->collecting = false;
    fed_schedule_end(c->schedule);
    fed_intake_end(c->intake);
    c->aggregate_waits = !fed_intake_idle(c->intake);
    if (c->aggregate_waits) {
        return;
    }
    if (is_spoilt(c)) {
        return;
    }
    start(c, fed_work_mean(c), false);
}

/* A round that fails again and again is an alarm, and where the task says so the end of the run. */
static void give_up(struct fed_coordinator *c) {
    uint32_t failed = fed_round_failed(c->round);
    uint64_t most = c->task->round.max_attempts;
    if (failed < ATTEMPTS_ALARM && (most == 0 || failed < most)) {
        return;
    }
    fed_publish_alarm(c, "%lu attempts at round %llu failed one after the other", (unsigned long)failed,
                      (unsigned long long)fed_round_number(c->round));
    FED_ERROR("loop", "attempts fail one after the other", FED_U64("round", fed_round_number(c->round)),
              FED_U64("attempts_failed", failed));
    if (most > 0 && failed >= most) {
        c->failure_code = fed_error_set(&c->failure, FED_EGIVENUP,
                                        "%u attempts at round %llu failed one after the other (round.max_attempts); the log "
                                        "says why; start the same command again to go on from the last committed model",
                                        failed, (unsigned long long)fed_round_number(c->round));
        c->stopped = true;
    }
}

static void end_attempt(struct fed_coordinator *c, const struct fed_round_action *action) {
    bool committed = action->kind == FED_ACTION_END_COMMITTED;
    if (!committed && fed_round_phase(c->round) != FED_ROUND_FINISHED) { /* not when it was only training ahead of the end */
        fed_report_abandoned(&c->report, action->round, action->attempt, action->why);
        fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_ABANDONED, "attempt %lu at round %llu: %s",
                     (unsigned long)action->attempt, (unsigned long long)action->round, action->why);
    }
    c->collecting = false;
    c->aggregate_waits = c->broadcast_waits = false; /* what waited for this attempt's updates waits no more */
    fed_schedule_end(c->schedule);
    fed_intake_end(c->intake);
    fed_say_end(c, committed, false);
    c->attempt_over = c->has_attempt;
    if (committed) {
        c->bytes_down = c->bytes_up = 0;
    }
    retire_attempt(c);
    if (fed_round_phase(c->round) == FED_ROUND_IDLE) { /* else it was only ahead of the end, or of a rollback */
        give_up(c);
    }
}

static void perform(struct fed_coordinator *c, const struct fed_round_action *action) {
    switch (action->kind) {
    case FED_ACTION_OPEN: start(c, fed_work_open(c), true); break;
    case FED_ACTION_BROADCAST: broadcast(c); break;
    case FED_ACTION_INVITE: invite(c); break;
    case FED_ACTION_AGGREGATE: aggregate(c); break;
    case FED_ACTION_COMMIT: start(c, fed_work_commit(c), true); break;
    case FED_ACTION_ROLL_BACK: start(c, fed_work_roll_back(c), true); break;
    case FED_ACTION_EVALUATE: fed_work_evaluate(c, action->round); break;
    case FED_ACTION_END_COMMITTED:
    case FED_ACTION_END_ABANDONED: end_attempt(c, action); break;
    case FED_ACTION_FINISHED:
        fed_say_end(c, true, true);
        start(c, fed_work_finish(c, action->round), false);
        break;
    case FED_ACTION_STOPPED: c->stopped = true; break;
    }
}

static void handle_events(struct fed_coordinator *c) {
    for (size_t i = 0; i < c->n_events && !c->finished && !c->stopped; i++) { /* performing may post more */
        struct fed_round_event event = c->events[i];
        struct fed_round_action actions[FED_ROUND_ACTIONS_MAX];
        size_t n = fed_round_handle(c->round, &event, fed_clock_ms(), actions);
        for (size_t a = 0; a < n && !c->stopped; a++) {
            perform(c, &actions[a]);
        }
    }
    c->n_events = 0;
}

/* -- waiting ------------------------------------------------------------------------------------------------------------ */

static void hear_signal(struct fed_coordinator *c) {
    struct signalfd_siginfo info;
    while (read(c->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP:
            fed_notify_reloading(c->options.notify);
            fed_roster_live_reload(c->roster_live);
            break;
        case SIGUSR1: fed_loop_post_kind(c, FED_EVENT_FINISH); break;
        default:
            FED_INFO("loop", "stopping", FED_U64("signal", info.ssi_signo));
            fed_loop_post_kind(c, FED_EVENT_STOP);
            /* The round is past stopping then, but a disk that refuses the last row must not hold the operator up. */
            c->stopped = fed_round_phase(c->round) == FED_ROUND_FINISHED;
            break;
        }
    }
}

/* Said once a change, and only when it lasts: between two rounds something is always waited for, for milliseconds. */
static void say_what_it_waits_for(struct fed_coordinator *c) {
    char waits[sizeof c->waits_for] = "";
    const char *round_waits = fed_round_waits_for(c->round);
    size_t quarantined = round_waits != NULL ? fed_presence_quarantined(c) : 0;
    uint64_t now = fed_clock_ms();
    if (quarantined > 0) {
        snprintf(waits, sizeof waits, "%s; %zu node%s in quarantine", round_waits, quarantined,
                 quarantined == 1 ? " is" : "s are");
    } else if (round_waits != NULL) {
        snprintf(waits, sizeof waits, "%s", round_waits);
    }
    if (strcmp(waits, c->waits_for) != 0) {
        snprintf(c->waits_for, sizeof c->waits_for, "%s", waits);
        c->waits_since_ms = now;
        c->said_waiting = false;
    }
    if (waits[0] != '\0' && !c->said_waiting && now >= c->waits_since_ms + TICK_MS) {
        fed_report_waiting(&c->report, fed_round_number(c->round), waits);
        c->said_waiting = true;
    }
}

static int64_t timeout_ms(const struct fed_coordinator *c, bool serving, uint64_t now) {
    uint64_t at = now + TICK_MS, next = fed_round_wakeup(c->round);
    if (next < at) {
        at = next;
    }
    if (c->doors_look_ms < at) {
        at = c->doors_look_ms;
    }
    if ((next = fed_intake_wakeup(c->intake)) < at) {
        at = next;
    }
    for (int lane = 0; lane < FED_LANES; lane++) {
        next = fed_meter_paused_until(c, (enum fed_lane_kind)lane);
        at = next > now && next < at ? next : at;
    }
    if (serving && now + SERVE_AGAIN_MS < at) {
        at = now + SERVE_AGAIN_MS;
    }
    return at > now ? (int64_t)(at - now) : 0;
}

static void resume_waiting_actions(struct fed_coordinator *c) {
    if (!fed_intake_idle(c->intake)) {
        return;
    }
    retire_attempt(c);
    if (c->aggregate_waits) {
        aggregate(c);
    }
    if (c->broadcast_waits) {
        broadcast(c);
    }
}

/* A lane that is flooded is left unread for a moment. */
static struct fed_poll_item listen_to(const struct fed_coordinator *c, struct fed_lane *lane, enum fed_lane_kind kind,
                                      uint64_t now_ms) {
    return now_ms < fed_meter_paused_until(c, kind) ? (struct fed_poll_item){.fd = c->signal_fd}
                                                    : (struct fed_poll_item){.lane = lane};
}

static int wait_and_serve(struct fed_coordinator *c, bool *serving, uint64_t *next_tick) {
    uint64_t before = fed_clock_ms();
    struct fed_poll_item items[] = {
        listen_to(c, c->control, FED_LANE_CONTROL, before),
        listen_to(c, c->bulk, FED_LANE_BULK, before),
        {.fd = fed_intake_fd(c->intake)},
        {.fd = fed_pool_fd(c->store_pool)},
        {.fd = fed_pool_fd(c->model_pool)},
        {.fd = c->signal_fd},
        {.fd = fed_roster_live_fd(c->roster_live)},
        {.lane = fed_enrol_listens(c, before) ? c->enrol.lane : NULL, .fd = c->signal_fd},
        {.fd = c->evaluator != NULL ? fed_evaluator_fd(c->evaluator) : c->signal_fd},
    };
    int64_t patience_ms = timeout_ms(c, *serving, before);
    fed_publish_now(c, before);
    uint64_t poke_ms = fed_publish_poke(c, before);
    if (poke_ms < before + (uint64_t)patience_ms) {
        patience_ms = poke_ms > before ? (int64_t)(poke_ms - before) : 0;
    }
    int rc = fed_link_poll(c->link, items, sizeof items / sizeof *items, patience_ms);
    if (rc != FED_OK) {
        return rc;
    }
    hear_signal(c);
    fed_control_receive(c);
    fed_bulk_receive(c);
    fed_enrol_receive(c);
    fed_presence_roster(c);
    fed_work_collect(c);
    uint64_t now = fed_clock_ms();
    fed_intake_work(c->intake, now);
    if (c->quarantine_due) {
        fed_presence_quarantine(c, now);
    }
    if (c->collecting) {
        (void)is_spoilt(c);
    }
    resume_waiting_actions(c);
    *serving = fed_bulk_serve(c);
    if (now >= c->doors_look_ms) {
        c->doors_look_ms = now + fed_gate_tick(c);
    }
    if (now >= *next_tick || now >= fed_round_wakeup(c->round)) {
        fed_presence_tick(c, now);
        fed_presence_quarantine(c, now);
        fed_enrol_tick(c, now);
        fed_tally_tick(c, now);
        fed_work_tick(c, now);
        fed_standing_tell(c);
        fed_loop_post_kind(c, FED_EVENT_TICK);
        *next_tick = now + TICK_MS;
    }
    return FED_OK;
}

static bool anybody_parts(const struct fed_coordinator *c) {
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        if (c->nodes.nodes[i].online && c->nodes.nodes[i].parting) {
            return true;
        }
    }
    return false;
}

/* What a node has not read when its connection ends is lost to it, and nobody will say again that the run is over: so the
 * lane stands until every node has answered, and whoever comes meanwhile is told too. */
static int take_leave(struct fed_coordinator *c) {
    uint64_t end = fed_clock_ms() + FAREWELL_MS, now;
    while (anybody_parts(c) && (now = fed_clock_ms()) < end) {
        struct fed_poll_item items[] = {{.lane = c->control}, {.fd = c->signal_fd}};
        int rc = fed_link_poll(c->link, items, 2, (int64_t)(end - now));
        if (rc != FED_OK || items[1].readable) {
            return rc;
        }
        fed_control_receive(c);
        handle_events(c); /* of a run that is over: they are forgotten */
    }
    return FED_OK;
}

static int turn_until_the_end(struct fed_coordinator *c) {
    bool serving = false;
    uint64_t next_tick = 0;
    fed_loop_post_kind(c, FED_EVENT_TICK);
    for (;;) {
        handle_events(c);
        say_what_it_waits_for(c);
        fed_notify_turn(c->options.notify, fed_clock_ms());
        if (c->finished || c->stopped) {
            return FED_OK;
        }
        int rc = wait_and_serve(c, &serving, &next_tick);
        if (rc != FED_OK) {
            return rc;
        }
    }
}

int fed_coordinator_run(struct fed_coordinator *c, struct fed_error *err) {
    fed_notify_ready(c->options.notify);
    if (c->over) {
        fed_notify_status(c->options.notify, "the run was finished before, in round %llu",
                          (unsigned long long)c->image->round);
        fed_notify_turn(c->options.notify, fed_clock_ms()); /* a service that ends without having been ready has failed */
        fed_report_done(&c->report, c->image->round, 0.0, c->image->digest);
        return FED_OK;
    }
    int rc = turn_until_the_end(c);
    fed_notify_stopping(c->options.notify);
    if (rc != FED_OK) {
        return fed_error_set(err, FED_EFAILED, "waiting for messages failed: %s", fed_status_text(rc));
    }
    if (c->finished) {
        if (take_leave(c) != FED_OK) {
            FED_WARN("loop", "not every node was told that the run is over");
        }
        return FED_OK;
    }
    if (c->failure.text[0] != '\0') {
        return fed_error_set(err, c->failure_code, "%s", c->failure.text);
    }
    return fed_error_set(err, FED_EINTERRUPTED,
                         "stopped in round %llu; start the same command again to go on from the last committed model",
                         (unsigned long long)fed_round_number(c->round));
}
