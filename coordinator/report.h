/* What the coordinator tells people and programs while it runs: one JSON object a line on stdout (--json), a log line each.
 * A round's line is held until its evaluation is known, so that lines come in order and whole. */
#ifndef FED_COORDINATOR_REPORT_H
#define FED_COORDINATOR_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/store/store.h"

#define FED_REPORT_SETBACKS 3 /* rollbacks in a row that are an alarm */

struct fed_report_round {
    uint64_t round;
    uint32_t attempt;
    uint64_t clients, weight;
    double loss, accuracy;         /* NaN = not evaluated, or none (a model without classes) */
    double seconds, train_seconds; /* commit to commit; of all clients together */
    uint64_t bytes_down, bytes_up;
    uint8_t model[32];
};

struct fed_report {
    bool json;
    bool holds; /* `held` waits for its evaluation */
    struct fed_report_round held, last;
    uint64_t target_round;
};

struct fed_report_start {
    bool resumed, reproducible;
    const char *name, *kernels;
    const uint8_t *run_id, *task_digest; /* 16, 32 bytes */
    uint64_t round, rounds, clients, parameters;
    double quantum; /* of the exact sum */
    const char *run_dir;
};

void fed_report_init(struct fed_report *report, bool json);
void fed_report_start(struct fed_report *report, const struct fed_report_start *start);
/* Where the page of the run is served. */
void fed_report_page(struct fed_report *report, const char *url);
/* A committed round. With evaluated_later its line waits for fed_report_evaluated. */
void fed_report_round(struct fed_report *report, const struct fed_report_round *round, bool evaluated_later);
void fed_report_evaluated(struct fed_report *report, uint64_t round, double loss, double accuracy, bool target_reached);
/* Why nothing has moved for a while ("waits for 2 more clients"). */
void fed_report_waiting(struct fed_report *report, uint64_t round, const char *why);
void fed_report_abandoned(struct fed_report *report, uint64_t round, uint32_t attempt, const char *why);
/* A committed model was taken back: round rollback->round is the model of to_round again, with its loss and accuracy (NaN as
 * above). in_a_row: rollbacks so far that no better model came between; from the third on it is an alarm. */
void fed_report_rollback(struct fed_report *report, const struct fed_store_rollback *rollback, uint32_t in_a_row,
                         double loss, double accuracy, const uint8_t model[32]);
/* With the loss and accuracy of the last round. */
void fed_report_done(struct fed_report *report, uint64_t rounds, double seconds, const uint8_t model[32]);

#endif
