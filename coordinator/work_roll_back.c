/* The last committed model is taken back: the last good one is stored again, as a round of its own, and what is remembered
 * of the rounds before is read anew, so that a rollback leaves the same memory as a restart after it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "coordinator/store/hygiene_store.h"
#include "coordinator/work_internal.h"

struct roll_back_work {
    struct fed_work work;    /* first */
    struct fed_image *image; /* out: the good model under the number of this round; owned */
    struct fed_work_refusals refusals;
    struct fed_store_rollback rollback;
    uint64_t began_us;
    double seconds;
    struct fed_hygiene_past past;     /* out: of the rounds that stand */
    int reread;                       /* out: how reading that went */
    uint32_t in_a_row;                /* out: rollbacks that no better model came between */
    struct fed_evaluation evaluation; /* out: that the good model had; NaN = not known */
};

/* -- on the store's thread ---------------------------------------------------------------------------------------------- */

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

static int copy_image(struct roll_back_work *back, const struct fed_image *old) {
    struct fed_work *work = &back->work;
    const struct fed_coordinator *c = work->c;
    int rc = fed_image_new(&back->image, &c->model, c->run_id, work->round);
    if (rc == FED_OK) {
        memcpy(back->image->params, old->params, c->model.n_params * sizeof(float));
        rc = fed_image_finish(back->image, &c->model, c->run_id);
    }
    return rc == FED_OK ? rc : fed_error_set(&work->err, rc, "the last good model is not copied: %s", fed_status_text(rc));
}

/* The model of the last good round, under the number of this one. */
static int copy_good_model(struct roll_back_work *back) {
    struct fed_work *work = &back->work;
    struct fed_coordinator *c = work->c;
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
        rc = copy_image(back, old);
    }
    back->rollback.round = work->round;
    back->rollback.to_round = good.round;
    fed_image_release(old);
    free(path);
    return rc;
}

static int store_rollback(struct roll_back_work *back) {
    struct fed_work *work = &back->work;
    struct fed_coordinator *c = work->c;
    struct fed_store_commit stored = {.round = work->round,
                                      .header = back->image->bytes,
                                      .n_header = back->image->n_header,
                                      .params = back->image->params,
                                      .n_params_bytes = c->model.n_params * sizeof(float),
                                      .refusals = back->refusals.rows,
                                      .n_refusals = back->refusals.n_rows,
                                      .bytes_down = c->bytes_down,
                                      .bytes_up = c->bytes_up,
                                      .seconds = back->seconds,
                                      .rollback = &back->rollback,
                                      .keep_good = true};
    memcpy(stored.model_digest, back->image->digest, sizeof stored.model_digest);
    return fed_store_commit(c->store, &stored, c->task->server.keep_last, &work->err);
}

/* It is stored: what goes wrong here must not try that again. What only the report tells may stay unknown. */
static void read_anew(struct roll_back_work *back) {
    struct fed_store *store = back->work.c->store;
    struct fed_store_state state = {0};
    struct fed_store_setbacks setbacks = {0};
    back->reread = fed_hygiene_read(&back->past, &back->past.config, store, &back->work.err);
    bool known = fed_store_setbacks(&setbacks, store, NULL) == FED_OK && fed_store_state(&state, store, NULL) == FED_OK;
    back->in_a_row = setbacks.in_a_row;
    back->evaluation.loss = known && state.evaluated ? state.loss : NAN;
    back->evaluation.accuracy = known && state.evaluated ? state.accuracy : NAN;
    free(state.cohort);
}

static void run_roll_back(struct fed_job *job) {
    struct roll_back_work *back = (struct roll_back_work *)(void *)job;
    struct fed_work *work = &back->work;
    work->rc = copy_good_model(back);
    if (work->rc == FED_OK) {
        work->rc = store_rollback(back);
    }
    if (work->rc == FED_OK) {
        read_anew(back);
    }
}

/* -- on the loop -------------------------------------------------------------------------------------------------------- */

static void report(struct fed_coordinator *c, const struct roll_back_work *back) {
    fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_ROLLBACK, "round %llu is the model of round %llu again (%s)",
                 (unsigned long long)back->work.round, (unsigned long long)back->rollback.to_round, back->rollback.reason);
    if (back->in_a_row >= FED_REPORT_SETBACKS) {
        fed_publish_alarm(c, "%lu rollbacks in a row", (unsigned long)back->in_a_row);
    }
    fed_report_rollback(&c->report, &back->rollback, back->in_a_row, back->evaluation.loss, back->evaluation.accuracy,
                        c->image->digest);
}

/* Not stored: it is tried again, unless that would not bring the good model back. */
static void not_rolled_back(struct fed_work *work) {
    struct fed_coordinator *c = work->c;
    if (work->rc == FED_EDATA || work->rc == FED_ENOTFOUND) {
        unsigned long long round = work->round - 1;
        c->failure_code =
            fed_error_set(&c->failure, FED_EDATA,
                          "round %llu has to be taken back, but the last good model is not there: %s; bring it "
                          "back, or set hygiene.rollback_factor: 0 to go on from round %llu",
                          round, work->err.text, round);
        c->stopped = true;
        return;
    }
    fed_work_alarm(work);
    fed_loop_post_kind(c, FED_EVENT_STORE_FAILED);
}

static void end_roll_back(struct fed_work *work) {
    struct roll_back_work *back = (struct roll_back_work *)(void *)work;
    struct fed_coordinator *c = work->c;
    if (work->rc != FED_OK) {
        not_rolled_back(work);
        return;
    }
    if (back->reread != FED_OK) { /* the next round could not be judged as it is after a restart */
        c->failure = work->err;
        c->failure_code = back->reread;
        c->stopped = true;
        return;
    }
    c->past = back->past;
    fed_refusals_stored(c->refusals, back->refusals.counted, back->refusals.n_counted);
    c->bytes_down = c->bytes_up = 0;
    fed_work_install(c, back->image, back->began_us); /* drops the mean that was to follow the model that fell */
    report(c, back);
    fed_loop_post_kind(c, FED_EVENT_COMMITTED);
}

static void fini_roll_back(struct fed_work *work) {
    struct roll_back_work *back = (struct roll_back_work *)(void *)work;
    fed_image_release(back->image);
    fed_work_refusals_free(&back->refusals);
}

int fed_work_roll_back(struct fed_coordinator *c) {
    struct roll_back_work *back = fed_work_new(c, sizeof *back, run_roll_back, end_roll_back, fini_roll_back);
    if (back == NULL) {
        return FED_ENOMEM;
    }
    if (fed_work_refusals_take(&back->refusals, c) != FED_OK) {
        fed_work_drop(&back->work);
        return FED_ENOMEM;
    }
    back->rollback = c->fallen;
    back->past.config = c->past.config;
    back->began_us = fed_clock_us();
    back->seconds = fed_work_round_seconds(c, back->began_us);
    fed_pool_submit(c->store_pool, &back->work.job);
    return FED_OK;
}
