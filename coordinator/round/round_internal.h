/* What the files of the round share. round.c: its picture, its events and where they lead. round_attempt.c: one attempt,
 * from its cohort to its mean. round_draw.c: who is asked. round_model.c: what becomes of models, stored, evaluated, taken
 * back. round_view.c: how it looks from outside. cohort.h: the clients of the attempt.
 *
 * What holds in each phase:
 *   IDLE       No attempt is open; attempt is the last one opened for this round (0 = none). A new cohort is taken by a
 *              TICK or JOINED only, so that the cohort an END speaks of is still there while that END is carried out.
 *   PICK       attempt and cohort will not change any more; nobody was told. Every member is outstanding, but for those
 *              whose node was quarantined since: they are out.
 *   BROADCAST  attempt and cohort are stored. Nobody was told.
 *   COLLECT    counted < goal. Each member is in exactly one of: present, absent (for less than rejoin_ms), lost, out,
 *              counted; counted + outstanding >= quorum, and outstanding = present + absent > 0.
 *   AGGREGATE  counted >= quorum. A client that still comes in belongs to a partial sum that was added before: counted.
 *   COMMIT     The mean is taken and is kept until it is stored, however often the store fails.
 *   ROLLBACK   falls. No attempt is open. What was recorded for the round that the rollback becomes is void: which attempt
 *              was at hand is a matter of timing, and must not show in what follows.
 *   FINISHED, STOPPED  Every event is ignored.
 *
 * Between COMMITTED and the next COMMIT the evaluation of the committed model runs beside everything else. At most one
 * OPEN, COMMIT or ROLL_BACK is in flight (asked), and at most one EVALUATE. */
#ifndef FED_COORDINATOR_ROUND_ROUND_INTERNAL_H
#define FED_COORDINATOR_ROUND_ROUND_INTERNAL_H

#include "coordinator/round/cohort.h"
#include "coordinator/round/round.h"

#define NEVER UINT64_MAX
#define RETRY_FIRST_MS 250 /* after an attempt that was abandoned */
#define RETRY_MOST_MS 30000
#define SETBACK_FIRST_MS 250 /* after a rollback; doubles until a model stands */
#define STORE_FIRST_MS 1000  /* after a write that failed */
#define STORE_MOST_MS 60000

enum fed_round_evaluation { EVALUATION_SETTLED, EVALUATION_WANTED, EVALUATION_ASKED };

struct fed_round {
    struct fed_round_config config;
    struct fed_round_world world;
    enum fed_round_phase phase;
    uint64_t now_ms;
    uint64_t committed;
    uint32_t attempt;
    bool finishing;

    enum fed_round_evaluation evaluation; /* of the committed round */
    bool falls;                           /* the committed round was judged and has to be taken back */
    double accuracy;                      /* of the committed round; NaN = not known */

    struct fed_cohort cohort;
    size_t goal, quorum;
    uint64_t deadline_at_ms; /* COLLECT */

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

struct fed_round_outbox {
    struct fed_round_action *actions; /* (FED_ROUND_ACTIONS_MAX) */
    size_t n;
};

static inline uint64_t fed_round_later(uint64_t now_ms, uint64_t pause_ms) {
    return pause_ms > NEVER - now_ms ? NEVER : now_ms + pause_ms;
}

/* How long to pause this time. The next pause will be twice as long, up to most_ms. */
static inline uint64_t fed_round_back_off(uint64_t *pause_ms, uint64_t most_ms) {
    uint64_t now = *pause_ms;
    *pause_ms = 2 * now < most_ms ? 2 * now : most_ms;
    return now;
}

/* In these something is to be written, and a write that fails is tried again. */
static inline bool fed_round_stores(enum fed_round_phase phase) {
    return phase == FED_ROUND_PICK || phase == FED_ROUND_COMMIT || phase == FED_ROUND_ROLLBACK;
}

/* -- round.c ------------------------------------------------------------------------------------------------------------ */

void fed_round_emit(struct fed_round_outbox *out, enum fed_action_kind kind, uint64_t number, uint32_t attempt,
                    const char *why);
/* About the attempt at hand. */
void fed_round_emit_of_attempt(struct fed_round_outbox *out, const struct fed_round *round, enum fed_action_kind kind);
/* What a person is told it waits for, while IDLE. */
FED_PRINTF(2, 3) void fed_round_wait_for(struct fed_round *round, const char *format, ...);

/* -- round_draw.c ------------------------------------------------------------------------------------------------------- */

/* IDLE: begins an attempt with the recorded cohort or a new one; or says whom it waits for, and when to look again. */
void fed_round_look_for_cohort(struct fed_round *round);

/* -- round_attempt.c ---------------------------------------------------------------------------------------------------- */

/* With the cohort, goal and quorum as they are: on to PICK. */
void fed_round_begin_attempt(struct fed_round *round);
/* Back to IDLE, for pause_ms at least; the cohort stays readable until the next look. */
void fed_round_end_attempt(struct fed_round *round, uint64_t pause_ms);
/* why: static text. */
void fed_round_abandon(struct fed_round *round, struct fed_round_outbox *out, const char *why);
/* COLLECT: on to AGGREGATE, or abandoned, if it is time for either. */
void fed_round_advance_collect(struct fed_round *round, struct fed_round_outbox *out);
void fed_round_on_client(struct fed_round *round, const struct fed_round_event *event);
void fed_round_on_sealed(struct fed_round *round, struct fed_round_outbox *out);
void fed_round_on_aggregate_answer(struct fed_round *round, enum fed_event_kind kind, struct fed_round_outbox *out);
void fed_round_on_spoilt(struct fed_round *round, struct fed_round_outbox *out);

/* -- round_model.c ------------------------------------------------------------------------------------------------------ */

/* On to a phase that stores; fed_round_ask_store will ask for it as soon as it may. */
void fed_round_begin_storing(struct fed_round *round, enum fed_round_phase phase);
void fed_round_ask_store(struct fed_round *round, struct fed_round_outbox *out, enum fed_action_kind kind);
void fed_round_on_store_answer(struct fed_round *round, const struct fed_round_event *event, struct fed_round_outbox *out);
void fed_round_on_evaluated(struct fed_round *round, const struct fed_round_event *event, struct fed_round_outbox *out);
void fed_round_take_back(struct fed_round *round, struct fed_round_outbox *out);
/* The last round is committed, or one reached the target. */
bool fed_round_complete(const struct fed_round *round);
/* No further round is to begin. */
bool fed_round_ends(const struct fed_round *round);

#endif
