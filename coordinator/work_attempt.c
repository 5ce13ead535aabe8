/* What an attempt asks of other threads: the store records it before anybody is told; the model is sealed for it while the
 * sum is cleared; and when the updates are in, their mean is taken. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "coordinator/work_internal.h"

/* -- the attempt is opened ---------------------------------------------------------------------------------------------- */

struct open_work {
    struct fed_work work; /* first */
    uint64_t *cohort;     /* (n_cohort), owned */
    size_t n_cohort;
};

static void run_open(struct fed_job *job) {
    struct open_work *open = (struct open_work *)(void *)job;
    struct fed_work *work = &open->work;
    work->rc = fed_store_open_attempt(work->c->store, work->round, work->attempt, open->cohort, open->n_cohort, &work->err);
}

static void end_open(struct fed_work *work) {
    if (work->rc != FED_OK) {
        fed_work_alarm(work);
    }
    fed_loop_post_kind(work->c, work->rc == FED_OK ? FED_EVENT_OPENED : FED_EVENT_STORE_FAILED);
}

static void fini_open(struct fed_work *work) { free(((struct open_work *)(void *)work)->cohort); }

int fed_work_open(struct fed_coordinator *c) {
    size_t n;
    const uint64_t *cohort = fed_round_cohort(c->round, &n);
    struct open_work *open = fed_work_new(c, sizeof *open, run_open, end_open, fini_open);
    if (open == NULL) {
        return FED_ENOMEM;
    }
    if ((open->cohort = malloc((n + 1) * sizeof *cohort)) == NULL) {
        fed_work_drop(&open->work);
        return FED_ENOMEM;
    }
    memcpy(open->cohort, cohort, n * sizeof *cohort);
    open->n_cohort = n;
    fed_pool_submit(c->store_pool, &open->work.job);
    return FED_OK;
}

/* -- the model is sealed, the sum cleared ------------------------------------------------------------------------------- */

struct seal_work {
    struct fed_work work;    /* first */
    struct fed_image *image; /* held */
    struct fed_terms terms;
    struct fed_attempt sealed; /* out; owned until it is the coordinator's */
};

static void run_seal(struct fed_job *job) {
    struct seal_work *seal = (struct seal_work *)(void *)job;
    struct fed_coordinator *c = seal->work.c;
    fed_aggregate_clear(&c->aggregate);
    seal->work.rc = fed_attempt_init(&seal->sealed, &seal->terms, seal->image, c->model.n_params);
}

static void end_seal(struct fed_work *work) {
    struct seal_work *seal = (struct seal_work *)(void *)work;
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK) {
        fed_loop_fail(c, "to seal the model");
        return;
    }
    c->attempt = seal->sealed;
    seal->sealed = (struct fed_attempt){0};
    c->attempt.limits = fed_hygiene_limits(&c->past, work->round);
    c->has_attempt = true;
    fed_loop_post_kind(c, FED_EVENT_SEALED);
}

static void fini_seal(struct fed_work *work) {
    struct seal_work *seal = (struct seal_work *)(void *)work;
    fed_image_release(seal->image);
    fed_attempt_fini(&seal->sealed);
}

int fed_work_seal(struct fed_coordinator *c) {
    const struct fed_algorithm *algorithm = &c->task->algorithm;
    struct seal_work *seal = fed_work_new(c, sizeof *seal, run_seal, end_seal, fini_seal);
    if (seal == NULL) {
        return FED_ENOMEM;
    }
    seal->image = fed_image_hold(c->image);
    struct fed_terms *terms = &seal->terms;
    memcpy(terms->run_id, c->run_id, sizeof terms->run_id);
    memcpy(terms->task_digest, c->task_digest, sizeof terms->task_digest);
    terms->round = seal->work.round;
    terms->attempt = seal->work.attempt;
    terms->epochs = algorithm->epochs;
    terms->batch_size = algorithm->batch_size;
    terms->learning_rate = fed_task_learning_rate(algorithm->learning_rate, algorithm->learning_rate_decay, terms->round);
    fed_pool_submit(c->model_pool, &seal->work.job);
    return FED_OK;
}

/* -- the mean ----------------------------------------------------------------------------------------------------------- */

struct mean_work {
    struct fed_work work;    /* first */
    struct fed_image *image; /* held: the model it starts from */
    struct fed_image *mean;  /* out; owned until it is the coordinator's */
    size_t not_finite;       /* out: index of the first bad parameter, or n_params */
};

static void run_mean(struct fed_job *job) {
    struct mean_work *mean = (struct mean_work *)(void *)job;
    struct fed_work *work = &mean->work;
    struct fed_coordinator *c = work->c;
    mean->not_finite = c->model.n_params;
    work->rc = fed_image_new(&mean->mean, &c->model, c->run_id, work->round);
    if (work->rc != FED_OK) {
        return;
    }
    mean->not_finite = fed_aggregate_mean(&c->aggregate, mean->mean->params, mean->image->params);
    if (mean->not_finite == c->model.n_params) {
        work->rc = fed_image_finish(mean->mean, &c->model, c->run_id);
    }
}

static void end_mean(struct fed_work *work) {
    struct mean_work *mean = (struct mean_work *)(void *)work;
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK) {
        FED_ERROR("aggregate", "no memory for the mean", FED_U64("round", work->round));
        fed_loop_post_kind(c, FED_EVENT_NO_MEAN);
        return;
    }
    if (mean->not_finite < c->model.n_params) {
        size_t element = 0;
        const struct fed_tensor *tensor = fed_model_locate(&c->model, mean->not_finite, &element);
        FED_ERROR("aggregate", "the mean is not finite", FED_U64("round", work->round), FED_STR("tensor", tensor->name),
                  FED_U64("element", element));
        fed_loop_post_kind(c, FED_EVENT_NO_MEAN);
        return;
    }
    fed_image_release(c->next_image);
    c->next_image = mean->mean;
    mean->mean = NULL;
    fed_loop_post_kind(c, FED_EVENT_AGGREGATED);
}

static void fini_mean(struct fed_work *work) {
    struct mean_work *mean = (struct mean_work *)(void *)work;
    fed_image_release(mean->image);
    fed_image_release(mean->mean);
}

int fed_work_mean(struct fed_coordinator *c) {
    struct mean_work *mean = fed_work_new(c, sizeof *mean, run_mean, end_mean, fini_mean);
    if (mean == NULL) {
        return FED_ENOMEM;
    }
    mean->image = fed_image_hold(c->image);
    fed_pool_submit(c->model_pool, &mean->work.job);
    return FED_OK;
}
