/* The round: a pure state machine. Events in, actions out; no socket, no clock, no file. Its picture stands in round.c.
 *
 * It knows clients, not nodes: who hosts whom, and which node trains what, is the schedule's business. Every event carries
 * the time. The caller performs the actions in order and reports back with events. */
#ifndef FED_COORDINATOR_ROUND_ROUND_H
#define FED_COORDINATOR_ROUND_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum fed_round_phase {
    FED_ROUND_IDLE,      /* nothing is going on: waiting for enough eligible clients, or for a pause to end */
    FED_ROUND_PICK,      /* the attempt and its cohort are being stored; nothing was sent yet */
    FED_ROUND_BROADCAST, /* sealing the model for the attempt */
    FED_ROUND_COLLECT,   /* updates come in */
    FED_ROUND_AGGREGATE, /* the mean is being taken */
    FED_ROUND_COMMIT,    /* the new model is being stored, or waits for the evaluation of the last one */
    FED_ROUND_ROLLBACK,  /* the last model falls: the last good one is being stored as the next round */
    FED_ROUND_FINISHED,  /* the last round is committed and evaluated, or the target was reached */
    FED_ROUND_STOPPED,   /* asked to stop */
};
const char *fed_round_phase_name(enum fed_round_phase phase);

struct fed_round_config {
    uint64_t seed;
    uint64_t rounds; /* the last round */
    double fraction; /* C */
    uint64_t most;   /* clients in one cohort, however the population grows: what the exact sum has room for. 0 = any */
    double over_select, min_reports;
    uint64_t deadline_ms, rejoin_ms;
    uint64_t evaluate_every;
    double target_accuracy; /* 0 = none */
    bool evaluates;         /* there is test data; without it no round is evaluated and no target is known */
};

/* What the machine may ask about the world while it picks. Pure functions of the caller's tables. */
struct fed_round_world {
    void *context;
    uint64_t (*population)(void *context);            /* K */
    uint64_t (*client)(void *context, uint64_t i);    /* the i-th client id, i < K */
    bool (*eligible)(void *context, uint64_t client); /* some node that is connected, ready and not quarantined hosts it */
};

enum fed_event_kind {
    FED_EVENT_TICK,     /* time passed, or the set of eligible clients changed */
    FED_EVENT_JOINED,   /* client: a cohort member is reachable again */
    FED_EVENT_GONE,     /* client: a cohort member is not reachable any more */
    FED_EVENT_DECLINED, /* client: will not take part in this attempt */
    FED_EVENT_ADMITTED, /* client: its update is in the sum (once for each client of a partial sum, also after AGGREGATE) */
    FED_EVENT_REFUSED,  /* client: its update was refused for good in this attempt */
    FED_EVENT_OPENED,   /* the attempt is stored (answers FED_ACTION_OPEN) */
    FED_EVENT_SEALED,   /* the model is ready to go out (answers FED_ACTION_BROADCAST) */
    FED_EVENT_AGGREGATED,   /* the mean is taken (answers FED_ACTION_AGGREGATE) */
    FED_EVENT_NO_MEAN,      /* not finite, or no memory for it: refuse the attempt (answers FED_ACTION_AGGREGATE) */
    FED_EVENT_COMMITTED,    /* the new model is stored (answers FED_ACTION_COMMIT or ROLL_BACK) */
    FED_EVENT_STORE_FAILED, /* answers OPEN, COMMIT or ROLL_BACK: nothing was lost, try again after a pause */
    FED_EVENT_EVALUATED,    /* of round `round`, with accuracy and falls (answers FED_ACTION_EVALUATE) */
    FED_EVENT_STOP,         /* stop at once */
    FED_EVENT_FINISH,       /* stop after the round at hand is committed */
    FED_EVENT_SPOILT,       /* the sum of this attempt is damaged: the disk gave back other bytes than were written */
};
struct fed_round_event {
    enum fed_event_kind kind;
    uint64_t client;  /* client events; one that is not in the cohort is ignored */
    uint64_t round;   /* EVALUATED, client events */
    uint32_t attempt; /* client events: of which attempt of that round; another one's is ignored */
    double accuracy;  /* EVALUATED */
    bool falls;       /* EVALUATED: the model is no good and is to be taken back */
};

enum fed_action_kind {
    FED_ACTION_OPEN,      /* store attempt and cohort (fed_round_cohort), then OPENED. Only a TICK or JOINED leads to it */
    FED_ACTION_BROADCAST, /* seal the model for the attempt, then SEALED */
    FED_ACTION_INVITE,    /* send ROUND to the cohort: hand the picks out */
    FED_ACTION_AGGREGATE, /* admit no more; take the mean, then AGGREGATED or NO_MEAN */
    FED_ACTION_COMMIT,    /* store the new model as round `round`, then COMMITTED */
    FED_ACTION_EVALUATE,  /* evaluate the model of round `round` beside what follows, then EVALUATED */
    FED_ACTION_ROLL_BACK, /* store the model of the last good round again, as round `round`, then COMMITTED */
    FED_ACTION_END_COMMITTED, /* tell the cohort: committed. The model is now the one of round `round` */
    FED_ACTION_END_ABANDONED, /* tell the cohort: abandoned; why says in a few words */
    FED_ACTION_FINISHED,      /* the run is over: `round` is the round whose model is the result */
    FED_ACTION_STOPPED,
};
struct fed_round_action {
    enum fed_action_kind kind;
    uint64_t round;
    uint32_t attempt;
    const char *why; /* END_ABANDONED: static text */
};
#define FED_ROUND_ACTIONS_MAX 8

struct fed_round;

/* Starts after `committed` rounds (0 = initial model), the last of which was evaluated as accuracy (NaN = not known: it is
 * evaluated first if the rules want it; the initial model never is). attempt: the last attempt opened for round
 * committed + 1 (0 = none); its recorded cohort (n_cohort distinct ids, may be 0) is waited for rejoin_ms before a new one
 * is drawn. After a restart (committed or attempt above 0) that has no cohort to wait for, a new one is drawn with nobody
 * skipped, or after rejoin_ms. Nothing is done before the first event. FED_ENOMEM. */
int fed_round_new(struct fed_round **out, const struct fed_round_config *config, const struct fed_round_world *world,
                  uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort, size_t n_cohort,
                  uint64_t now_ms) FED_MUST_CHECK;
void fed_round_free(struct fed_round *round);
/* Right after fed_round_new: the last committed round was judged before this start. It falls, and a rollback comes first; or
 * it stands, and is not evaluated again whatever its accuracy (a rollback never is). */
void fed_round_judged(struct fed_round *round, bool falls);

/* Handles one event. actions: room for FED_ROUND_ACTIONS_MAX. Returns how many were written. */
size_t fed_round_handle(struct fed_round *round, const struct fed_round_event *event, uint64_t now_ms,
                        struct fed_round_action *actions);

/* When the next TICK is needed: milliseconds since boot, which may have passed already; UINT64_MAX = only on change. */
uint64_t fed_round_wakeup(const struct fed_round *round);

enum fed_round_phase fed_round_phase(const struct fed_round *round);
uint64_t fed_round_number(const struct fed_round *round); /* the round being worked on: committed + 1 */
uint32_t fed_round_attempt(const struct fed_round *round);
/* The cohort of the attempt, in order of the walk. Borrowed until the next event. */
const uint64_t *fed_round_cohort(const struct fed_round *round, size_t *n);
bool fed_round_in_cohort(const struct fed_round *round, uint64_t client);
bool fed_round_counted(const struct fed_round *round, uint64_t client);   /* its update is in the sum */
bool fed_round_evaluates(const struct fed_round *round, uint64_t number); /* round `number` will be, once it is committed */
size_t fed_round_goal(const struct fed_round *round);                     /* m, or all that were picked if fewer */
size_t fed_round_quorum(const struct fed_round *round);                   /* 0 before the first attempt */
size_t fed_round_admitted(const struct fed_round *round);
size_t fed_round_outstanding(const struct fed_round *round);
/* Attempts that were abandoned one after the other: since the last commit, or since the start. */
uint32_t fed_round_failed(const struct fed_round *round);
/* Why nothing happens, for people: "waits for 2 more clients to join", or NULL. Static or owned by round. */
const char *fed_round_waits_for(const struct fed_round *round);

/* m = max(llround(C * K), 1). */
uint64_t fed_round_cohort_size(double fraction, uint64_t population);

#endif
