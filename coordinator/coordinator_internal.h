/* The coordinator's state, shared by the files that make up its loop and by nobody else:
 *
 *     coordinator.c  start and end           gate.c      who is let in
 *     start_*.c      steps of a start        presence.c  who is here; the roster, live
 *     loop.c         poll, events, actions   control.c   what nodes say
 *     work*.c        jobs for other threads: say.c       what nodes are told
 *                    store, seal, mean,      bulk.c      model chunks out, update chunks in
 *                    evaluate                tally.c     what was refused
 *     enrol.c        tokens are taken        meter.c     what a peer may cost
 *     publish.c      what HTTP may tell      standing.c  where it stands, in a line
 *
 * All of it belongs to the loop's thread; a job borrows what its comment says until it comes back. */
#ifndef FED_COORDINATOR_COORDINATOR_INTERNAL_H
#define FED_COORDINATOR_COORDINATOR_INTERNAL_H

#include "common/base/clock.h"
#include "common/base/pool.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/link/link.h"
#include "common/model/image.h"
#include "coordinator/coordinator.h"
#include "coordinator/http/board.h"
#include "coordinator/http/http.h"
#include "coordinator/http/news.h"
#include "coordinator/http/page.h"
#include "coordinator/nodes/descriptors.h"
#include "coordinator/nodes/nodes.h"
#include "coordinator/nodes/refusals.h"
#include "coordinator/nodes/roster_live.h"
#include "coordinator/report.h"
#include "coordinator/round/attempt.h"
#include "coordinator/round/evaluator.h"
#include "coordinator/round/hygiene.h"
#include "coordinator/round/intake.h"
#include "coordinator/round/round.h"
#include "coordinator/round/schedule.h"
#include "coordinator/round/verdict.h"
#include "coordinator/store/store.h"

#define FED_PING_MS 5000u
#define FED_SILENCE_MS (3 * FED_PING_MS) /* a node not heard of for this long, on either lane, is gone */
#define FED_REPEAT_MS 2000u              /* ROUND is said again to a node that gave no sign of having it */
#define FED_REMIND_MS 10000u             /* and to any that owes something: one of several, or an answer, may be lost */

/* The enrolment lane. */
struct fed_enrol {
    struct fed_lane *lane; /* NULL: not wanted, or closed for a moment */
    char endpoint[320];    /* where it is opened again; "" = it is not wanted */
    uint64_t open_ms;
    unsigned let_in; /* since it was opened, the first at since_ms */
    uint64_t since_ms;
    struct fed_limit handshakes, messages;
    struct fed_limit said, alarms; /* lines of the log */
    struct fed_route route;        /* whose entry is being added, and what is added */
    uint8_t digest[32];
    char name[FED_NAME_MAX];
};

struct fed_coordinator {
    const struct fed_task *task;
    struct fed_coordinator_options options;

    /* fixed from start-up */
    const struct fed_kernels *kernels; /* of evaluation */
    struct fed_model model;
    struct fed_fixed fixed;
    char *terms_text; /* canonical JSON of what defines the result */
    uint8_t task_digest[32];
    uint8_t run_id[16];
    bool has_partition;
    char *partition_text; /* for whoever looks at the run, until it is stored; or NULL */
    struct fed_partition partition;
    bool has_test;
    struct fed_dataset test;
    struct fed_identity identity;

    struct fed_store *store; /* used by one job at a time, on the store thread */
    struct fed_link *link;
    struct fed_lane *control, *bulk;
    struct fed_enrol enrol;
    struct fed_roster_live *roster_live;
    struct fed_http *http; /* NULL: not wanted, and so are the three below: what it tells */
    struct fed_page *page;
    struct fed_board *board;
    struct fed_news *news;
    struct fed_shown { /* what the board shows, as far as a glance tells */
        uint64_t phase, round, attempt, picked, admitted, outstanding, online, waiting, news;
    } shown;
    uint64_t shown_ms;
    uint64_t n_online, n_quarantined; /* nodes */
    uint64_t n_evaluated, n_store_errors, n_alarms;
    char alarm[256];                          /* the last write that failed, until one succeeds */
    struct fed_pool *store_pool, *model_pool; /* one thread each */
    struct fed_evaluator *evaluator;          /* NULL: there is no test data */
    uint64_t evaluated_round;                 /* what the evaluator is at */
    struct fed_store_rollback fallen; /* the last committed model falls: why. The rounds are filled in when it does */
    struct fed_work *works;           /* jobs out there, owned by work.c */
    bool finish_stored;               /* the end of the run is; it is said when nothing else waits to be */
    uint64_t finish_round;            /* whose model is the result */
    int signal_fd;

    /* the round */
    struct fed_round *round;
    struct fed_round_event *events; /* (events_room) posted and not yet handled; grows with the cohort */
    size_t n_events, events_room;
    bool broadcast_waits, aggregate_waits; /* until the intake is idle */
    struct fed_nodes nodes;
    struct fed_schedule *schedule;
    struct fed_hygiene_past past; /* of the rounds committed so far */
    bool other_math;              /* some node trains in other arithmetic than the task asks for */
    bool collecting;              /* INVITE was performed and the attempt has not ended */
    bool handing_out;
    bool bulk_waits; /* some node has asked for model chunks that its connection had no room for */
    struct fed_aggregate aggregate;
    struct fed_intake *intake;
    struct fed_attempt attempt;
    bool has_attempt, attempt_over; /* its secrets go as soon as nothing is opened with them any more */
    uint64_t attempt_end_ms;
    uint64_t seq;

    /* what the attempt has so far */
    struct fed_store_update *updates; /* (room), admitted set */
    size_t n_updates, updates_room;
    uint64_t bytes_down, bytes_up;
    double train_seconds;
    bool quarantine_due; /* some node was refused once too often, and still works */
    struct fed_refusals *refusals;
    uint64_t said_ms; /* when ROUND was last said */

    char doors_alarm[160];                  /* "" = they are open */
    bool doors_shut;                        /* for want of descriptors */
    struct fed_descriptors_reserve reserve; /* for what goes on behind shut doors */
    uint64_t doors_look_ms;                 /* when to look again */

    /* what peers cost */
    struct fed_meter nobody; /* whose names are not known, or not any more */
    bool cut;                /* the message at hand was one too many: its connection is to end */
    struct fed_flood {
        unsigned drops;
        size_t bytes;
        uint64_t since_ms, paused_until_ms;
    } floods[FED_LANES];

    float *initial;               /* (n_params) of model.initial, only while a new run is made; NULL: the seed's */
    struct fed_image *image;      /* the committed model */
    struct fed_image *next_image; /* the mean of the attempt, not yet committed */
    uint64_t commit_began_us;     /* of the last commit; seconds of a round run from there to its own */
    uint64_t started_ms;

    struct fed_report report;
    char waits_for[192]; /* what nothing moves without, "" = it moves */
    uint64_t waits_since_ms;
    bool said_waiting;
    bool announced; /* the self-test is over: strangers are strangers now */
    bool over;      /* the run was finished before: there is only its result to say */
    bool finished, stopped;
    struct fed_error failure; /* why it stopped, if not by a signal */
    int failure_code;
};

/* By which roster entries are judged; since 1970. */
static inline int64_t fed_wall_seconds(void) { return fed_clock_wall_ms() / 1000; }

/* As far as arithmetic goes: would another run of this task end in the same bits? */
static inline bool fed_coordinator_reproducible(const struct fed_coordinator *c) {
    return c->task->algorithm.math == FED_MATH_EXACT && !c->other_math;
}

/* loop.c */
void fed_loop_post(struct fed_coordinator *c, const struct fed_round_event *event);
void fed_loop_post_kind(struct fed_coordinator *c, enum fed_event_kind kind);

/* Without memory to go on: the run stops, and goes on when it is started again. */
void fed_loop_fail(struct fed_coordinator *c, const char *what);

/* gate.c */
bool fed_gate_curve(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]);
bool fed_gate_plain(void *context, const char *handle, const char *capability, char user[FED_USER_MAX]);

/* Shuts the doors while descriptors are short, and opens them again. Returns after how many milliseconds to call it again.
 */
uint64_t fed_gate_tick(struct fed_coordinator *c);
bool fed_gate_enrol(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]); /* in enrol.c */

/* enrol.c: all but the first and the gate do nothing where no tokens are taken */
int fed_enrol_open(struct fed_coordinator *c, struct fed_error *err) FED_MUST_CHECK;
void fed_enrol_tick(struct fed_coordinator *c, uint64_t now_ms);
/* The lane is open and may be read now. */
bool fed_enrol_listens(const struct fed_coordinator *c, uint64_t now_ms);
void fed_enrol_receive(struct fed_coordinator *c);
/* What became of the entry that was given to roster_live. */
void fed_enrol_added(struct fed_coordinator *c, int rc, const char *why);

/* tally.c */
void fed_tally_refusal(struct fed_coordinator *c, size_t node, enum fed_refusal refusal, const char *why);
/* Says what was left out of the log. */
void fed_tally_tick(struct fed_coordinator *c, uint64_t now_ms);

/* meter.c: each of these is asked once for what is about to happen; false: it must not. */

/* A message that was not asked for, and as many bytes. False: it was counted as dropped. */
bool fed_meter_take(struct fed_coordinator *c, size_t node, enum fed_lane_kind lane, size_t bytes);
/* Behind each message: ends the connection it came by if that is what its node has earned. */
void fed_meter_cut(struct fed_coordinator *c, const struct fed_incoming *in);
/* The node was cut off a moment ago. */
bool fed_meter_is_out(const struct fed_coordinator *c, size_t node);
/* The node was told of a part, in which it now has n_clients: it has something to say of each. */
void fed_meter_asked(struct fed_coordinator *c, size_t node, uint32_t part, size_t n_clients);
/* A new connection of a node. */
bool fed_meter_connection(struct fed_coordinator *c, size_t node, enum fed_lane_kind lane);
/* A stranger's handshake. */
bool fed_meter_handshake(struct fed_coordinator *c, enum fed_lane_kind lane);
/* An answer to somebody who is over a limit, or is nobody. */
bool fed_meter_answer(struct fed_coordinator *c, size_t node);
/* A line in the log about what a node says. */
bool fed_meter_line(struct fed_coordinator *c, size_t node);
/* Until then the lane is not to be read. */
uint64_t fed_meter_paused_until(const struct fed_coordinator *c, enum fed_lane_kind lane);

/* The same for what says nothing against the node. */
void fed_tally_note(struct fed_coordinator *c, size_t node, enum fed_refusal refusal, const char *why);
struct fed_quarantine_rules fed_tally_rules(const struct fed_coordinator *c);

/* say.c: nothing here fails; what does not arrive is said again */
void fed_say_refused(struct fed_coordinator *c, const struct fed_route *route, const struct fed_msg_refused *refused);
void fed_say_refused_to_node(struct fed_coordinator *c, size_t node, const struct fed_msg_refused *refused);
/* kept: the node is the one that was here, and what it was given holds. */
void fed_say_welcome(struct fed_coordinator *c, size_t node, bool kept);
void fed_say_admitted(struct fed_coordinator *c, size_t node, uint64_t round, uint32_t attempt, uint32_t part);
/* ROUND to whoever the schedule has something for. */
void fed_say_rounds(struct fed_coordinator *c);
/* ROUND again, with all that this node has not delivered. */
void fed_say_round_again(struct fed_coordinator *c, size_t node);
/* The same to every node that was not heard of since, had no room for it, or speaks of another attempt. */
void fed_say_rounds_again(struct fed_coordinator *c);
void fed_say_end(struct fed_coordinator *c, bool committed, bool finished);
/* The last END, to a node that comes when the others have heard it. */
void fed_say_finished(struct fed_coordinator *c, size_t node);

/* presence.c */
void fed_presence_joined(struct fed_coordinator *c, size_t node, const struct fed_route *route,
                         const struct fed_msg_hello *hello);
void fed_presence_lost(struct fed_coordinator *c, size_t node, const char *why);
/* How far apart a node without work may be heard of: the more nodes there are, the further. */
uint32_t fed_presence_idle_ms(const struct fed_coordinator *c);
/* What was said to it did not find its connection any more. */
void fed_presence_unreachable(struct fed_coordinator *c, size_t node);
void fed_presence_tick(struct fed_coordinator *c, uint64_t now_ms);
/* Quarantine for those that are due, at a time when nobody is in the middle of their work; and its end. */
void fed_presence_quarantine(struct fed_coordinator *c, uint64_t now_ms);
/* Those that were in quarantine when the last process ended. */
int fed_presence_restore_quarantines(struct fed_coordinator *c, struct fed_error *err) FED_MUST_CHECK;
/* How many are in quarantine now. */
size_t fed_presence_quarantined(const struct fed_coordinator *c);
/* Says so when the roster has outgrown what the run's exact sums have room for. */
void fed_presence_check_cohort(const struct fed_coordinator *c);
/* Takes up what roster_live has read or written. */
void fed_presence_roster(struct fed_coordinator *c);

/* control.c: the lane, and what the intake found */
void fed_control_receive(struct fed_coordinator *c);
enum fed_refusal fed_control_claim(void *context, size_t node, uint32_t part, const struct fed_update_header *header);
void fed_control_admitted(void *context, size_t node, uint32_t part, const struct fed_update_header *header);
void fed_control_refused(void *context, size_t node, uint32_t part, enum fed_refusal refusal,
                         const struct fed_update_header *header, const char *why);

/* bulk.c */
void fed_bulk_receive(struct fed_coordinator *c);
/* Hands waiting model chunks to the lane, where there are any; true when some still wait. */
bool fed_bulk_serve(struct fed_coordinator *c);
int fed_bulk_get(void *context, size_t node, uint32_t part, uint64_t first, uint32_t count);
void fed_bulk_broken(void *context, size_t node, uint32_t part);

/* publish.c: what HTTP may tell; all of them do nothing where there is none */
/* Opens the page where the task wants one. */
int fed_publish_open(struct fed_coordinator *c, struct fed_error *err) FED_MUST_CHECK;
void fed_publish_now(struct fed_coordinator *c, uint64_t now_ms);
/* Wakes who follows the run; returns when to call again at the latest. */
uint64_t fed_publish_poke(struct fed_coordinator *c, uint64_t now_ms);
/* Another roster. FED_ENOMEM: as before. */
int fed_publish_roster(struct fed_coordinator *c) FED_MUST_CHECK;
/* The node came, left, or is in quarantine. */
void fed_publish_node(struct fed_coordinator *c, size_t node);
/* Updates of so many of its clients were admitted, which took it so long. */
void fed_publish_trained(struct fed_coordinator *c, size_t node, uint64_t clients, double seconds);
/* What somebody has to look at. */
void fed_publish_alarm(struct fed_coordinator *c, const char *format, ...) FED_PRINTF(2, 3);
/* When they all were last heard of: now and then. */
void fed_publish_heard(struct fed_coordinator *c);

/* standing.c */
/* Where the run stands, to the service manager. */
void fed_standing_tell(struct fed_coordinator *c);

/* work*.c: start a job; its end posts the event that answers the action */
int fed_work_open(struct fed_coordinator *c) FED_MUST_CHECK;
int fed_work_seal(struct fed_coordinator *c) FED_MUST_CHECK;
int fed_work_mean(struct fed_coordinator *c) FED_MUST_CHECK;
int fed_work_commit(struct fed_coordinator *c) FED_MUST_CHECK;
/* Commits the last good model again, as the round at hand, in place of the one that c->fallen speaks of. */
int fed_work_roll_back(struct fed_coordinator *c) FED_MUST_CHECK;
/* For the record; nobody waits for it. */
void fed_work_quarantine(struct fed_coordinator *c, size_t node);
/* Marks the run finished in the store, behind everything that is still being written; then the loop ends. */
int fed_work_finish(struct fed_coordinator *c, uint64_t round) FED_MUST_CHECK;
/* Evaluates the committed model, which is that of the round. */
void fed_work_evaluate(struct fed_coordinator *c, uint64_t round);
/* What is thought of a model, from its loss and the rows of the rounds before it: out->reason says why it falls, or is NULL.
 * The rounds of *out are left out. Knows nothing but what is fixed, so that any thread may ask that has the store. */
int fed_work_verdict(struct fed_store_rollback *out, const struct fed_coordinator *c, uint64_t round, double loss,
                     struct fed_error *err) FED_MUST_CHECK;
void fed_work_collect(struct fed_coordinator *c);
/* Writes that failed and are not the round's to repeat are tried again when their pause is over. */
void fed_work_tick(struct fed_coordinator *c, uint64_t now_ms);
/* Jobs that will never come back, once their pools are gone. */
void fed_work_free(struct fed_coordinator *c);

#endif
