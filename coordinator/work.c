/* Jobs of other threads: the store, sealing, the mean; and what evaluation brings. Each job owns or borrows what it needs,
 * runs without looking at the coordinator's changing state, and its end posts the event that answers the round's action. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/model/safetensors.h"
#include "coordinator/coordinator_internal.h"
#include "coordinator/store/hygiene_store.h"

struct work {
    struct fed_job job;         /* first */
    struct work *older, *newer; /* of c->works */
    struct fed_coordinator *c;
    void (*end)(struct work *work); /* on the loop */
    int rc;
    struct fed_error err;
    uint64_t round;
    uint32_t attempt;
    uint64_t *cohort; /* OPEN, owned */
    size_t n_cohort;
    uint64_t *counted; /* COMMIT, owned: the refusal counters as they were */
    size_t n_counted;
    struct fed_store_refusal *refusals; /* COMMIT, owned */
    size_t n_refusals;
    struct fed_image *image;            /* held */
    struct fed_terms terms;             /* SEAL */
    struct fed_attempt sealed;          /* SEAL, out; owned until it is the coordinator's */
    size_t not_finite;                  /* MEAN, out: index of the first bad parameter, or n_params */
    uint64_t began_us;                  /* COMMIT */
    double seconds;                     /* COMMIT */
    struct fed_update_limits limits;    /* COMMIT: that held in the round */
    double *norms;                      /* COMMIT: (n_updates), owned */
    struct fed_evaluation result;       /* of an evaluation, to be stored; or of the round that a rollback leads to, out */
    bool target_reached;                /* out */
    struct fed_store_rollback rollback; /* out of an evaluation: why its model falls (reason), or NULL; ROLL_BACK */
    struct fed_hygiene_past past;       /* ROLL_BACK, out: what is remembered of the rounds that stand, read anew */
    int reread;                         /* ROLL_BACK, out: how that went */
    uint32_t in_a_row;                  /* ROLL_BACK, out: rollbacks that no better model came between */
    struct fed_store_quarantine quarantine; /* for the record */
    uint64_t retry_ms, pause_ms; /* a write that failed: when it is tried again (0: it is not waiting), and the pause */
};

static struct work *new_work(struct fed_coordinator *c, void (*run)(struct fed_job *), void (*end)(struct work *)) {
    struct work *work = calloc(1, sizeof *work);
    if (work != NULL) {
        work->c = c;
        work->job.run = run;
        work->end = end;
        work->round = fed_round_number(c->round);
        work->attempt = fed_round_attempt(c->round);
        work->older = c->works;
        if (c->works != NULL) {
            c->works->newer = work;
        }
        c->works = work;
    }
    return work;
}

static void free_work(struct work *work) {
    *(work->newer != NULL ? &work->newer->older : &work->c->works) = work->older;
    if (work->older != NULL) {
        work->older->newer = work->newer;
    }
    free(work->cohort);
    free(work->counted);
    free(work->refusals);
    free(work->norms);
    fed_image_release(work->image);
    fed_attempt_fini(&work->sealed);
    free(work);
}

#define RETRY_FIRST_MS 1000 /* after a write that failed */
#define RETRY_MOST_MS 60000

static void storage_alarm(const struct work *work) {
    struct fed_coordinator *c = work->c;
    c->n_store_errors++;
    if (c->alarm[0] == '\0') {
        fed_publish_alarm(c, "a write failed: %s", work->err.text);
    }
    snprintf(c->alarm, sizeof c->alarm, "%.*s", (int)sizeof c->alarm - 1, work->err.text);
    FED_ERROR("store", "write failed", FED_STR("why", work->err.text), FED_STR("next", "nothing is lost; trying again"));
}

/* For a write that the round does not wait for, and so does not repeat. */
static void try_again_later(struct work *work) {
    storage_alarm(work);
    work->pause_ms = work->pause_ms == 0 ? RETRY_FIRST_MS : 2 * work->pause_ms;
    work->pause_ms = work->pause_ms > RETRY_MOST_MS ? RETRY_MOST_MS : work->pause_ms;
    work->retry_ms = fed_clock_ms() + work->pause_ms;
}

bool fed_work_reproducible(const struct fed_coordinator *c) {
    return c->task->algorithm.math == FED_MATH_EXACT && !c->other_math;
}

/* -- the attempt is opened ---------------------------------------------------------------------------------------------- */

static void run_open(struct fed_job *job) {
    struct work *work = (struct work *)(void *)job;
    work->rc = fed_store_open_attempt(work->c->store, work->round, work->attempt, work->cohort, work->n_cohort, &work->err);
}

static void end_open(struct work *work) {
    if (work->rc != FED_OK) {
        storage_alarm(work);
    }
    fed_loop_post_kind(work->c, work->rc == FED_OK ? FED_EVENT_OPENED : FED_EVENT_STORE_FAILED);
}

int fed_work_open(struct fed_coordinator *c) {
    size_t n;
    const uint64_t *cohort = fed_round_cohort(c->round, &n);
    struct work *work = new_work(c, run_open, end_open);
    if (work == NULL) {
        return FED_ENOMEM;
    }
    if ((work->cohort = malloc((n + 1) * sizeof *cohort)) == NULL) {
        free_work(work);
        return FED_ENOMEM;
    }
    memcpy(work->cohort, cohort, n * sizeof *cohort);
    work->n_cohort = n;
    fed_pool_submit(c->store_pool, &work->job);
    return FED_OK;
}

/* -- the model is sealed, the sum cleared ------------------------------------------------------------------------------- */

static void run_seal(struct fed_job *job) {
    struct work *work = (struct work *)(void *)job;
    fed_aggregate_clear(&work->c->aggregate);
    work->rc = fed_attempt_init(&work->sealed, &work->terms, work->image, work->c->model.n_params);
}

static void end_seal(struct work *work) {
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK) {
        fed_loop_fail(c, "to seal the model");
        return;
    }
    c->attempt = work->sealed;
    work->sealed = (struct fed_attempt){0};
    c->attempt.limits = fed_hygiene_limits(&c->past, work->round);
    c->has_attempt = true;
    fed_loop_post_kind(c, FED_EVENT_SEALED);
}

int fed_work_seal(struct fed_coordinator *c) {
    struct work *work = new_work(c, run_seal, end_seal);
    if (work == NULL) {
        return FED_ENOMEM;
    }
    work->image = fed_image_hold(c->image);
    struct fed_terms *terms = &work->terms;
    memcpy(terms->run_id, c->run_id, sizeof terms->run_id);
    memcpy(terms->task_digest, c->task_digest, sizeof terms->task_digest);
    terms->round = work->round;
    terms->attempt = work->attempt;
    terms->epochs = c->task->algorithm.epochs;
    terms->batch_size = c->task->algorithm.batch_size;
    terms->learning_rate =
        fed_task_learning_rate(c->task->algorithm.learning_rate, c->task->algorithm.learning_rate_decay, work->round);
    fed_pool_submit(c->model_pool, &work->job);
    return FED_OK;
}

/* -- the mean ----------------------------------------------------------------------------------------------------------- */

static void run_mean(struct fed_job *job) {
    struct work *work = (struct work *)(void *)job;
    struct fed_coordinator *c = work->c;
    struct fed_image *next = NULL;
    work->not_finite = c->model.n_params;
    work->rc = fed_image_new(&next, &c->model, c->run_id, work->round);
    if (work->rc != FED_OK) {
        return;
    }
    work->not_finite = fed_aggregate_mean(&c->aggregate, next->params, work->image->params);
    if (work->not_finite == c->model.n_params) {
        work->rc = fed_image_finish(next, &c->model, c->run_id);
    }
    fed_image_release(work->image);
    work->image = next;
}

static void end_mean(struct work *work) {
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK || work->not_finite < c->model.n_params) {
        size_t element = 0;
        const struct fed_tensor *tensor = fed_model_locate(&c->model, work->not_finite % c->model.n_params, &element);
        FED_ERROR("aggregate", work->rc != FED_OK ? "no memory for the mean" : "the mean is not finite",
                  FED_U64("round", work->round), FED_STR("tensor", tensor->name), FED_U64("element", element));
        fed_loop_post_kind(c, FED_EVENT_NOT_FINITE);
        return;
    }
    fed_image_release(c->next_image);
    c->next_image = work->image;
    work->image = NULL;
    fed_loop_post_kind(c, FED_EVENT_AGGREGATED);
}

int fed_work_mean(struct fed_coordinator *c) {
    struct work *work = new_work(c, run_mean, end_mean);
    if (work == NULL) {
        return FED_ENOMEM;
    }
    work->image = fed_image_hold(c->image);
    fed_pool_submit(c->model_pool, &work->job);
    return FED_OK;
}

/* -- the commit --------------------------------------------------------------------------------------------------------- */

/* A run that judges its models keeps the one that it would go back to. */
static bool keeps_good(const struct fed_coordinator *c) { return c->has_test && c->task->hygiene.rollback_factor > 0; }

static void run_commit(struct fed_job *job) {
    struct work *work = (struct work *)(void *)job;
    struct fed_coordinator *c = work->c;
    const struct fed_image *image = work->image;
    /* The admitted set does not change between AGGREGATE and the end of the commit: the intake is closed. */
    struct fed_store_commit commit = {
        .round = work->round,
        .attempt = work->attempt,
        .header = image->bytes,
        .n_header = image->n_header,
        .params = image->params,
        .n_params_bytes = c->model.n_params * sizeof(float),
        .updates = c->updates,
        .n_updates = c->n_updates,
        .refusals = work->refusals,
        .n_refusals = work->n_refusals,
        .bytes_down = c->bytes_down,
        .bytes_up = c->bytes_up,
        .seconds = work->seconds,
        .train_seconds = c->train_seconds,
        .norm_ceiling = work->limits.norm_ceiling,
        .clip = work->limits.clip,
        .weight_cap = work->limits.weight_cap,
        .keep_good = keeps_good(c),
    };
    memcpy(commit.model_digest, image->digest, sizeof commit.model_digest);
    work->rc = fed_store_commit(c->store, &commit, c->task->server.keep_last, &work->err);
}

static void end_commit(struct work *work) {
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK) {
        storage_alarm(work);
        fed_loop_post_kind(c, FED_EVENT_STORE_FAILED);
        return;
    }
    fed_refusals_stored(c->refusals, work->counted, work->n_counted);
    struct fed_report_round line = {.round = work->round,
                                    .attempt = work->attempt,
                                    .clients = c->n_updates,
                                    .weight = c->aggregate.total_weight,
                                    .loss = NAN,
                                    .accuracy = NAN,
                                    .seconds = work->seconds,
                                    .train_seconds = c->train_seconds,
                                    .bytes_down = c->bytes_down,
                                    .bytes_up = c->bytes_up};
    memcpy(line.model, work->image->digest, sizeof line.model);
    fed_hygiene_committed(&c->past, &(struct fed_hygiene_round){.round = work->round,
                                                                .norms = work->norms,
                                                                .n = c->n_updates,
                                                                .weight = c->aggregate.total_weight,
                                                                .clip = work->limits.clip,
                                                                .weight_cap = work->limits.weight_cap});
    bool evaluated_later = fed_round_evaluates(c->round, work->round);
    c->commit_began_us = work->began_us;
    fed_image_release(c->image);
    c->image = fed_image_hold(work->image);
    fed_image_release(c->next_image);
    c->next_image = NULL;
    fed_report_round(&c->report, &line, evaluated_later);
    fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_COMMITTED, "round %llu: %zu clients",
                 (unsigned long long)work->round, c->n_updates);
    fed_loop_post_kind(c, FED_EVENT_COMMITTED);
}

/* A snapshot of the counters, and one row for each that is not zero. */
static int collect_refusals(struct work *work, const struct fed_coordinator *c) {
    size_t n = fed_refusals_cells(c->refusals);
    work->counted = malloc(n * sizeof *work->counted);
    work->refusals = calloc(n, sizeof *work->refusals);
    if (work->counted == NULL || work->refusals == NULL) {
        return FED_ENOMEM;
    }
    fed_refusals_snapshot(c->refusals, work->counted);
    work->n_counted = n;
    for (size_t i = 0; i < n; i++) {
        if (work->counted[i] == 0) {
            continue;
        }
        struct fed_store_refusal *refusal = &work->refusals[work->n_refusals++];
        size_t row = i / FED_REFUSAL_COUNT;
        if (row > 0) {
            memcpy(refusal->node, fed_roster_entry(c->nodes.roster, row - 1)->name, sizeof refusal->node);
        }
        refusal->reason = fed_refusal_name((enum fed_refusal)(i % FED_REFUSAL_COUNT));
        refusal->count = work->counted[i];
    }
    return FED_OK;
}

static int copy_norms(struct work *work, const struct fed_coordinator *c) {
    work->norms = calloc(c->n_updates + 1, sizeof *work->norms);
    for (size_t i = 0; work->norms != NULL && i < c->n_updates; i++) {
        work->norms[i] = c->updates[i].norm;
    }
    return work->norms != NULL ? FED_OK : FED_ENOMEM;
}

int fed_work_commit(struct fed_coordinator *c) {
    struct work *work = new_work(c, run_commit, end_commit);
    if (work == NULL) {
        return FED_ENOMEM;
    }
    if (collect_refusals(work, c) != FED_OK || copy_norms(work, c) != FED_OK) {
        free_work(work);
        return FED_ENOMEM;
    }
    work->image = fed_image_hold(c->next_image);
    work->limits = fed_hygiene_limits(&c->past, work->round);
    work->began_us = fed_clock_us();
    work->seconds = (double)(work->began_us - c->commit_began_us) / 1e6;
    fed_pool_submit(c->store_pool, &work->job);
    return FED_OK;
}

/* -- evaluation, its row in the store, and what is thought of the model ------------------------------------------------- */

/* Verdict and row belong together: what is judged later is judged from the rows. */
static void run_store_evaluation(struct fed_job *job) {
    struct work *work = (struct work *)(void *)job;
    const struct fed_task *task = work->c->task;
    const struct fed_evaluation *result = &work->result;
    double stored = NAN;
    work->rc = fed_store_reference(&stored, work->c->store, work->round, FED_VERDICT_WINDOW, &work->err);
    if (work->rc == FED_OK) {
        double reference = fed_verdict_reference(&work->c->model, stored), target = task->algorithm.target_accuracy;
        enum fed_verdict verdict = fed_verdict_on(result->loss, reference, task->hygiene.rollback_factor);
        work->rollback.reason = verdict != FED_VERDICT_STANDS ? fed_verdict_name(verdict) : NULL;
        work->rollback.loss = result->loss;
        work->rollback.reference = reference;
        work->target_reached = verdict == FED_VERDICT_STANDS && target > 0 && result->accuracy >= target;
        work->rc = fed_store_evaluation(work->c->store, work->round, result->loss, result->accuracy, work->target_reached,
                                        &work->err);
    }
}

static void end_store_evaluation(struct work *work) {
    struct fed_coordinator *c = work->c;
    const struct fed_evaluation *result = &work->result;
    if (work->rc != FED_OK) { /* the next commit waits for it: what is judged later is judged from the rows */
        try_again_later(work);
        return;
    }
    bool falls = work->rollback.reason != NULL;
    c->fallen = work->rollback;
    c->n_evaluated++;
    fed_report_evaluated(&c->report, work->round, result->loss, result->accuracy, work->target_reached);
    fed_loop_post(c, &(struct fed_round_event){
                         .kind = FED_EVENT_EVALUATED, .round = work->round, .accuracy = result->accuracy, .falls = falls});
}

static void evaluated(struct fed_coordinator *c, const struct fed_evaluation *result) {
    if (fed_dataset_check_unchanged(&c->test, &c->failure) != FED_OK) { /* a number of nobody knows what decides nothing */
        c->failure_code = FED_EDATA;
        c->stopped = true;
        return;
    }
    struct work *work = new_work(c, run_store_evaluation, end_store_evaluation);
    if (work == NULL) {
        fed_loop_fail(c, "to judge a model");
        return;
    }
    work->round = c->evaluated_round;
    work->result = *result;
    fed_pool_submit(c->store_pool, &work->job);
}

void fed_work_evaluate(struct fed_coordinator *c, uint64_t round) {
    c->evaluated_round = round;
    fed_evaluator_start(c->evaluator, c->image);
}

/* -- a rollback --------------------------------------------------------------------------------------------------------- */

struct good_model {
    uint64_t round;
    bool found;
    uint8_t digest[32];
};

static void take_digest(void *context, const struct fed_store_round *round) {
    struct good_model *good = context;
    if (round->round == good->round) {
        memcpy(good->digest, round->model_digest, sizeof good->digest);
        good->found = true;
    }
}

static int copy_image(struct work *work, const struct fed_image *old) {
    const struct fed_coordinator *c = work->c;
    int rc = fed_image_new(&work->image, &c->model, c->run_id, work->round);
    if (rc == FED_OK) {
        memcpy(work->image->params, old->params, c->model.n_params * sizeof(float));
        rc = fed_image_finish(work->image, &c->model, c->run_id);
    }
    return rc == FED_OK ? rc : fed_error_set(&work->err, rc, "the last good model is not copied: %s", fed_status_text(rc));
}

/* The model of the last good round, under the number of this one. */
static int copy_good_model(struct work *work) {
    struct fed_coordinator *c = work->c;
    struct fed_store_rollback *rollback = &work->rollback;
    struct good_model good = {0};
    struct fed_image *old = NULL;
    char *path = NULL;
    int rc = fed_store_last_good(&good.round, c->store, work->round - 1, &work->err);
    if (rc == FED_OK) {
        rc = fed_store_rounds(c->store, good.round, take_digest, &good, &work->err);
    }
    if (rc == FED_OK && fed_store_model_path(&path, c->store, good.round) != FED_OK) {
        rc = fed_error_set(&work->err, FED_ENOMEM, "not enough memory for a rollback");
    }
    if (rc == FED_OK) {
        rc = fed_image_read(&old, path, &c->model, good.found ? good.digest : NULL, &work->err);
    }
    if (rc == FED_OK) {
        rc = copy_image(work, old);
    }
    rollback->round = work->round;
    rollback->to_round = good.round;
    fed_image_release(old);
    free(path);
    return rc;
}

static void run_roll_back(struct fed_job *job) {
    struct work *work = (struct work *)(void *)job;
    struct fed_coordinator *c = work->c;
    struct fed_store_state state = {0};
    struct fed_store_setbacks setbacks = {0};
    work->rc = copy_good_model(work);
    if (work->rc == FED_OK) {
        struct fed_store_commit commit = {.round = work->round,
                                          .header = work->image->bytes,
                                          .n_header = work->image->n_header,
                                          .params = work->image->params,
                                          .n_params_bytes = c->model.n_params * sizeof(float),
                                          .refusals = work->refusals,
                                          .n_refusals = work->n_refusals,
                                          .bytes_down = c->bytes_down,
                                          .bytes_up = c->bytes_up,
                                          .seconds = work->seconds,
                                          .rollback = &work->rollback,
                                          .keep_good = true};
        memcpy(commit.model_digest, work->image->digest, sizeof commit.model_digest);
        work->rc = fed_store_commit(c->store, &commit, c->task->server.keep_last, &work->err);
    }
    if (work->rc == FED_OK) { /* it is stored: what goes wrong from here on must not try that again */
        work->reread = fed_hygiene_read(&work->past, &work->past.config, c->store, &work->err);
        bool known =
            fed_store_setbacks(&setbacks, c->store, NULL) == FED_OK && fed_store_state(&state, c->store, NULL) == FED_OK;
        work->in_a_row = setbacks.in_a_row;
        work->result.loss = known && state.evaluated ? state.loss : NAN;
        work->result.accuracy = known && state.evaluated ? state.accuracy : NAN;
        free(state.cohort);
    }
}

static void end_roll_back(struct work *work) {
    struct fed_coordinator *c = work->c;
    if (work->rc == FED_EDATA || work->rc == FED_ENOTFOUND) { /* trying again would not bring it back */
        c->failure_code =
            fed_error_set(&c->failure, FED_EDATA,
                          "round %llu has to be taken back, but the last good model is not there: %s; bring it "
                          "back, or set hygiene.rollback_factor: 0 to go on from round %llu",
                          (unsigned long long)work->round - 1, work->err.text, (unsigned long long)work->round - 1);
        c->stopped = true;
        return;
    }
    if (work->rc != FED_OK) {
        storage_alarm(work);
        fed_loop_post_kind(c, FED_EVENT_STORE_FAILED);
        return;
    }
    if (work->reread != FED_OK) { /* the next round could not be judged as it is after a restart */
        c->failure = work->err;
        c->failure_code = work->reread;
        c->stopped = true;
        return;
    }
    c->past = work->past;
    fed_refusals_stored(c->refusals, work->counted, work->n_counted);
    c->bytes_down = c->bytes_up = 0;
    c->commit_began_us = work->began_us;
    fed_image_release(c->image);
    c->image = fed_image_hold(work->image);
    fed_image_release(c->next_image); /* the mean that was to follow the model that fell */
    c->next_image = NULL;
    fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_ROLLBACK, "round %llu is the model of round %llu again (%s)",
                 (unsigned long long)work->round, (unsigned long long)work->rollback.to_round, work->rollback.reason);
    if (work->in_a_row >= FED_REPORT_SETBACKS) {
        fed_publish_alarm(c, "%lu rollbacks in a row", (unsigned long)work->in_a_row);
    }
    fed_report_rollback(&c->report, &work->rollback, work->in_a_row, work->result.loss, work->result.accuracy,
                        c->image->digest);
    fed_loop_post_kind(c, FED_EVENT_COMMITTED);
}

int fed_work_roll_back(struct fed_coordinator *c) {
    struct work *work = new_work(c, run_roll_back, end_roll_back);
    if (work == NULL) {
        return FED_ENOMEM;
    }
    if (collect_refusals(work, c) != FED_OK) {
        free_work(work);
        return FED_ENOMEM;
    }
    work->rollback = c->fallen;
    work->past.config = c->past.config;
    work->began_us = fed_clock_us();
    work->seconds = (double)(work->began_us - c->commit_began_us) / 1e6;
    fed_pool_submit(c->store_pool, &work->job);
    return FED_OK;
}

/* -- a quarantine, on record ----------------------------------------------------------------------------------------------
 */

static void run_quarantine(struct fed_job *job) {
    struct work *work = (struct work *)(void *)job;
    work->rc = fed_store_quarantine(work->c->store, &work->quarantine, &work->err);
}

static void end_quarantine(struct work *work) {
    if (work->rc != FED_OK) {
        try_again_later(work);
    }
}

void fed_work_quarantine(struct fed_coordinator *c, size_t node) {
    const struct fed_quarantine *q = &c->nodes.nodes[node].quarantine;
    struct work *work = new_work(c, run_quarantine, end_quarantine);
    if (work == NULL) { /* it holds all the same, but a restart will not know */
        FED_ERROR("quarantine", "no memory to record it", FED_STR("node", fed_nodes_name(&c->nodes, node)));
        return;
    }
    work->quarantine.since_ms = fed_clock_wall_ms();
    work->quarantine.until_ms = work->quarantine.since_ms + (int64_t)q->last_ms;
    work->quarantine.reason = fed_refusal_name(q->reason);
    work->quarantine.refusals = q->counted;
    snprintf(work->quarantine.node, sizeof work->quarantine.node, "%s", fed_nodes_name(&c->nodes, node));
    fed_pool_submit(c->store_pool, &work->job);
}

/* -- the end of the run ----------------------------------------------------------------------------------------------- */

static void run_finish(struct fed_job *job) {
    struct work *work = (struct work *)(void *)job;
    work->rc = fed_store_finish(work->c->store, work->round, &work->err);
}

static void end_finish(struct work *work) {
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK) {
        try_again_later(work);
        return;
    }
    c->finish_stored = true;
    c->finish_round = work->round;
}

/* The last word: evaluations whose rows could not be written come before it. */
static void say_done(struct fed_coordinator *c) {
    if (c->finish_stored && c->works == NULL) {
        fed_report_done(&c->report, c->finish_round, (double)(fed_clock_ms() - c->started_ms) / 1000.0, c->image->digest);
        fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_FINISHED, "the run is finished: its result is round %llu",
                     (unsigned long long)c->finish_round);
        c->finished = true;
    }
}

int fed_work_finish(struct fed_coordinator *c, uint64_t round) {
    struct work *work = new_work(c, run_finish, end_finish);
    if (work == NULL) {
        return FED_ENOMEM;
    }
    work->round = round;
    fed_pool_submit(c->store_pool, &work->job);
    return FED_OK;
}

void fed_work_free(struct fed_coordinator *c) {
    for (struct work *work = c->works, *older; work != NULL; work = older) {
        older = work->older;
        free_work(work);
    }
}

void fed_work_collect(struct fed_coordinator *c) {
    struct fed_pool *pools[] = {c->store_pool, c->model_pool};
    struct fed_evaluation result;
    if (c->evaluator != NULL && fed_evaluator_finished(c->evaluator, &result)) {
        evaluated(c, &result);
    }
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        for (struct fed_job *job; (job = fed_pool_finished(pools[i])) != NULL;) {
            struct work *work = (struct work *)(void *)job;
            if (pools[i] == c->store_pool && work->rc == FED_OK) {
                c->alarm[0] = '\0';
            }
            work->end(work);
            if (work->retry_ms == 0) {
                free_work(work);
            }
        }
    }
    say_done(c);
}

void fed_work_tick(struct fed_coordinator *c, uint64_t now_ms) {
    for (struct work *work = c->works; work != NULL; work = work->older) {
        if (work->retry_ms > 0 && now_ms >= work->retry_ms) {
            work->retry_ms = 0;
            fed_pool_submit(c->store_pool, &work->job);
        }
    }
}
