/* Evaluation and reports, made up. The accuracy of a model is a function of its digest. */
#include "coordinator/round/evaluator.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/report.h"
#include "tests/simulation/base.h"

struct fed_evaluator {
    struct fed_image *image; /* held while it is at work */
    bool done;
};

static struct fed_evaluator *at_work; /* the one of the coordinator that lives */
static uint64_t started;              /* counts, so that the alarm of a dead one is nobody's */

double sim_accuracy(const uint8_t digest[32]) {
    uint64_t bits;
    memcpy(&bits, digest, sizeof bits);
    return (double)sim_mixed(bits, 1, 1, 1000) / 1000;
}

double sim_loss(uint64_t round) { return sim_mixed(round, 3, sim.seed, 100) < sim.bad_models ? 1e9 : 1.0; }

int fed_evaluator_new(struct fed_evaluator **out, const struct fed_model *model, const struct fed_dataset *test,
                      unsigned threads, const struct fed_kernels *kernels, struct fed_error *err) {
    (void)model;
    (void)test;
    (void)threads;
    (void)kernels;
    struct fed_evaluator *evaluator = calloc(1, sizeof *evaluator);
    if (evaluator == NULL) {
        return fed_error_set(err, FED_ENOMEM, "no memory");
    }
    at_work = *out = evaluator;
    return FED_OK;
}

void fed_evaluator_free(struct fed_evaluator *evaluator) {
    if (evaluator != NULL) {
        fed_image_release(evaluator->image);
        at_work = NULL;
        started++;
        free(evaluator);
    }
}

static void evaluation_ends(void *context, uint64_t number) {
    (void)context;
    if (at_work != NULL && number == started) {
        at_work->done = true;
        sim_wake(sim.coordinator);
    }
}

void fed_evaluator_start(struct fed_evaluator *evaluator, struct fed_image *image) {
    sim_require(evaluator->image == NULL, "two evaluations at once");
    evaluator->image = fed_image_hold(image);
    sim_after(1 + sim_dice((sim.trouble ? 5000 : 100) * (uint64_t)SIM_MS), evaluation_ends, NULL, ++started);
}

int fed_evaluator_fd(const struct fed_evaluator *evaluator) {
    (void)evaluator;
    return SIM_FD_EVALUATOR;
}

bool sim_evaluator_done(void) { return at_work != NULL && at_work->done; }

bool fed_evaluator_finished(struct fed_evaluator *evaluator, struct fed_evaluation *out) {
    if (!evaluator->done) {
        return false;
    }
    evaluator->done = false;
    *out = (struct fed_evaluation){.loss = sim_loss(evaluator->image->round),
                                   .accuracy = sim_accuracy(evaluator->image->digest)};
    fed_image_release(evaluator->image);
    evaluator->image = NULL;
    return true;
}

/* -- reports: the trace has them all -------------------------------------------------------------------------------- */

void fed_report_init(struct fed_report *report, bool json) { *report = (struct fed_report){.json = json}; }

void fed_report_start(struct fed_report *report, const struct fed_report_start *start) {
    (void)report;
    sim_note("coordinator: %s at round %" PRIu64 " of %" PRIu64, start->resumed ? "goes on" : "begins", start->round,
             start->rounds);
}

void fed_report_page(struct fed_report *report, const char *url) {
    (void)report;
    (void)url;
}

void fed_report_round(struct fed_report *report, const struct fed_report_round *round, bool evaluated_later) {
    (void)report;
    sim_note("reported: round %" PRIu64 ", weight %" PRIu64 "%s", round->round, round->weight,
             evaluated_later ? ", to be evaluated" : "");
}

void fed_report_evaluated(struct fed_report *report, uint64_t round, double loss, double accuracy, bool target_reached) {
    (void)report;
    (void)loss;
    sim_note("reported: round %" PRIu64 " has accuracy %.3f%s", round, accuracy, target_reached ? ", the target" : "");
}

void fed_report_waiting(struct fed_report *report, uint64_t round, const char *why) {
    (void)report;
    sim_note("reported: round %" PRIu64 " %s", round, why);
}

void fed_report_abandoned(struct fed_report *report, uint64_t round, uint32_t attempt, const char *why) {
    (void)report;
    sim_note("reported: attempt %" PRIu32 " of round %" PRIu64 " is abandoned, %s", attempt, round, why);
}

void fed_report_rollback(struct fed_report *report, const struct fed_store_rollback *rollback, uint32_t in_a_row,
                         double loss, double accuracy, const uint8_t model[32]) {
    (void)report;
    (void)loss;
    (void)accuracy;
    (void)model;
    sim_note("reported: round %" PRIu64 " is round %" PRIu64 " again, %" PRIu32 " in a row", rollback->round,
             rollback->to_round, in_a_row);
}

void fed_report_done(struct fed_report *report, uint64_t rounds, double seconds, const uint8_t model[32]) {
    (void)report;
    (void)seconds;
    (void)model;
    sim_note("reported: done with round %" PRIu64, rounds);
}
