/* A committed model is evaluated beside everything else, and judged. Verdict and row belong together: what is judged later
 * is judged from the rows, so the round commits nothing more before the row is stored. */
#include <math.h>

#include "coordinator/work_internal.h"

struct judge_work {
    struct fed_work work; /* first */
    struct fed_evaluation result;
    bool target_reached;               /* out */
    struct fed_store_rollback verdict; /* out: why the model falls (reason), or NULL */
};

int fed_work_verdict(struct fed_store_rollback *out, const struct fed_coordinator *c, uint64_t round, double loss,
                     struct fed_error *err) {
    double stored = NAN;
    int rc = fed_store_reference(&stored, c->store, round, FED_VERDICT_WINDOW, err);
    if (rc != FED_OK) {
        return rc;
    }
    double reference = fed_verdict_reference(&c->model, stored);
    enum fed_verdict verdict = fed_verdict_on(loss, reference, c->task->hygiene.rollback_factor);
    const char *reason = verdict == FED_VERDICT_STANDS ? NULL : fed_verdict_name(verdict);
    *out = (struct fed_store_rollback){.reason = reason, .loss = loss, .reference = reference};
    return FED_OK;
}

static void run_judge(struct fed_job *job) {
    struct judge_work *judge = (struct judge_work *)(void *)job;
    struct fed_work *work = &judge->work;
    const struct fed_coordinator *c = work->c;
    const struct fed_evaluation *result = &judge->result;
    double target = c->task->algorithm.target_accuracy;
    work->rc = fed_work_verdict(&judge->verdict, c, work->round, result->loss, &work->err);
    if (work->rc == FED_OK) {
        judge->target_reached = judge->verdict.reason == NULL && target > 0 && result->accuracy >= target;
        work->rc =
            fed_store_evaluation(c->store, work->round, result->loss, result->accuracy, judge->target_reached, &work->err);
    }
}

static void end_judge(struct fed_work *work) {
    const struct judge_work *judge = (const struct judge_work *)(const void *)work;
    struct fed_coordinator *c = work->c;
    const struct fed_evaluation *result = &judge->result;
    if (work->rc != FED_OK) {
        fed_work_try_again(work);
        return;
    }
    c->fallen = judge->verdict;
    c->n_evaluated++;
    fed_report_evaluated(&c->report, work->round, result->loss, result->accuracy, judge->target_reached);
    fed_loop_post(c, &(struct fed_round_event){.kind = FED_EVENT_EVALUATED,
                                               .round = work->round,
                                               .accuracy = result->accuracy,
                                               .falls = judge->verdict.reason != NULL});
}

void fed_work_evaluated(struct fed_coordinator *c, const struct fed_evaluation *result) {
    if (fed_dataset_check_unchanged(&c->test, &c->failure) != FED_OK) { /* a number of nobody knows what decides nothing */
        c->failure_code = FED_EDATA;
        c->stopped = true;
        return;
    }
    struct judge_work *judge = fed_work_new(c, sizeof *judge, run_judge, end_judge, NULL);
    if (judge == NULL) {
        fed_loop_fail(c, "to judge a model");
        return;
    }
    judge->work.round = c->evaluated_round;
    judge->result = *result;
    fed_pool_submit(c->store_pool, &judge->work.job);
}

void fed_work_evaluate(struct fed_coordinator *c, uint64_t round) {
    c->evaluated_round = round;
    fed_evaluator_start(c->evaluator, c->image);
}
