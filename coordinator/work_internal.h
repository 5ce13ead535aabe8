/* Jobs of other threads, and what becomes of them. A job owns or borrows what it needs and runs without looking at the
 * coordinator's changing state; its end, on the loop, posts the event that answers the round's action.
 *
 * work.c: every job's life. work_attempt.c: an attempt opened, the model sealed, the mean. work_commit.c: a round stored.
 * work_evaluate.c: an evaluation stored and judged. work_roll_back.c: a model taken back. work_record.c: what nobody waits
 * for, and the end of the run. */
#ifndef FED_COORDINATOR_WORK_INTERNAL_H
#define FED_COORDINATOR_WORK_INTERNAL_H

#include "coordinator/coordinator_internal.h"

/* What every job has; first in the struct of each kind. */
struct fed_work {
    struct fed_job job;             /* first */
    struct fed_work *older, *newer; /* of c->works */
    struct fed_coordinator *c;
    void (*end)(struct fed_work *work);  /* on the loop */
    void (*fini)(struct fed_work *work); /* frees what the kind owns; or NULL */
    int rc;
    struct fed_error err;
    uint64_t round;
    uint32_t attempt;
    uint64_t retry_ms, pause_ms; /* a write that failed: when it is tried again (0: it is not waiting), and the pause */
};

/* What was refused, as it was when a commit began. */
struct fed_work_refusals {
    uint64_t *counted; /* (n_counted) the counters; owned */
    size_t n_counted;
    struct fed_store_refusal *rows; /* (n_rows) of those that are not zero; owned */
    size_t n_rows;
};

/* -- work.c ------------------------------------------------------------------------------------------------------------- */

/* A job of `size` bytes, zero beside its struct fed_work, for the round at hand. NULL: no memory. Once it is submitted it
 * goes by itself, after its end. */
void *fed_work_new(struct fed_coordinator *c, size_t size, void (*run)(struct fed_job *), void (*end)(struct fed_work *),
                   void (*fini)(struct fed_work *));
/* One that is not submitted. */
void fed_work_drop(struct fed_work *work);
/* A write failed: says so. */
void fed_work_alarm(const struct fed_work *work);
/* The same, from the end of a write that the round does not wait for, and so does not repeat. */
void fed_work_try_again(struct fed_work *work);

/* -- work_commit.c ------------------------------------------------------------------------------------------------------ */

/* FED_ENOMEM: free it all the same. */
int fed_work_refusals_take(struct fed_work_refusals *out, const struct fed_coordinator *c) FED_MUST_CHECK;
void fed_work_refusals_free(struct fed_work_refusals *refusals);
/* The seconds of a round run from the last commit to its own. */
double fed_work_round_seconds(const struct fed_coordinator *c, uint64_t began_us);
/* The image is the committed model from now on, and no mean waits to be. */
void fed_work_install(struct fed_coordinator *c, struct fed_image *image, uint64_t began_us);

/* -- work_evaluate.c ---------------------------------------------------------------------------------------------------- */

/* The evaluator is done with c->evaluated_round. */
void fed_work_evaluated(struct fed_coordinator *c, const struct fed_evaluation *result);

/* -- work_record.c ------------------------------------------------------------------------------------------------------ */

/* The last word of a run that is finished: evaluations whose rows could not be written come before it. */
void fed_work_say_done(struct fed_coordinator *c);

#endif
