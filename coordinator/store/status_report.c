/* Where a run stands, as its directory knows it. A database that was damaged may hold any bytes; what is told is short and
 * printable all the same. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "coordinator/store/status_report_internal.h"

void fed_status_report_take(char *out, size_t n, const char *text) {
    size_t i = 0;
    for (; i + 1 < n && text[i] != '\0'; i++) {
        out[i] = (char)(text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?');
    }
    out[i] = '\0';
}

/* Counts by reason what the store counts by node and reason. */
static void add_refusal(void *context, const struct fed_store_refusal *refusal) {
    struct fed_status_report *report = context;
    char reason[sizeof report->refusals[0].reason];
    size_t i = 0;
    fed_status_report_take(reason, sizeof reason, refusal->reason);
    while (i < report->n_refusals && strcmp(report->refusals[i].reason, reason) != 0) {
        i++;
    }
    if (i == FED_STATUS_REFUSALS) {
        return;
    }
    if (i == report->n_refusals) {
        report->n_refusals++;
        strcpy(report->refusals[i].reason, reason);
    }
    report->refusals[i].count += refusal->count;
}

static void add_recent(void *context, const struct fed_store_round *round) {
    struct fed_status_report *report = context;
    if (report->n_recent < FED_STATUS_RECENT) {
        report->recent[report->n_recent++] = *round;
        report->clients = round->clients;
    }
}

/* name, arithmetic and rounds stand in the two texts of the task; a run that says nothing has no name and is exact. */
static void read_task(struct fed_status_report *report, const struct fed_store *store) {
    json_t *terms = json_loads(fed_store_task_terms(store), 0, NULL);
    json_t *rest = json_loads(fed_store_task_rest(store), 0, NULL);
    const char *name = json_string_value(json_object_get(terms, "name"));
    const char *math = json_string_value(json_object_get(json_object_get(terms, "algorithm"), "math"));
    json_int_t rounds = json_integer_value(json_object_get(rest, "rounds"));
    fed_status_report_take(report->name, sizeof report->name, name != NULL ? name : "");
    report->rounds = rounds > 0 ? (uint64_t)rounds : 0;
    report->reproducible = math == NULL || strcmp(math, "exact") == 0;
    json_decref(terms);
    json_decref(rest);
}

static void take_state(struct fed_status_report *report, const struct fed_store_state *state) {
    const char *name = !state->has_model ? "new" : state->finished ? "finished" : "unfinished";
    snprintf(report->state, sizeof report->state, "%s", name);
    report->has_model = state->has_model;
    memcpy(report->model, state->model_digest, sizeof report->model);
    report->round = state->round;
    report->attempt = state->attempt;
    report->target_round = state->target_round;
}

static int read_setbacks(struct fed_status_report *report, struct fed_store *store, struct fed_error *err) {
    struct fed_store_setbacks setbacks;
    int code = fed_store_setbacks(&setbacks, store, err);
    if (code == FED_OK && setbacks.n > 0) {
        report->n_rollbacks = setbacks.n;
        report->rollbacks_in_a_row = setbacks.in_a_row;
        report->last_rollback.round = setbacks.last.round;
        report->last_rollback.to_round = setbacks.last.to_round;
        report->last_rollback.loss = setbacks.last.loss;
        report->last_rollback.reference = setbacks.last.reference;
        fed_status_report_take(report->last_rollback.reason, sizeof report->last_rollback.reason, setbacks.reason);
    }
    return code;
}

static void add_quarantine(void *context, const struct fed_store_quarantine *quarantine) {
    struct fed_status_report *report = context;
    if (report->n_quarantined < FED_STATUS_QUARANTINED) {
        struct fed_status_quarantine *row = &report->quarantined[report->n_quarantined++];
        fed_status_report_take(row->node, sizeof row->node, quarantine->node);
        fed_status_report_take(row->reason, sizeof row->reason, quarantine->reason);
        row->until_ms = quarantine->until_ms;
    }
}

static int unless_missing(int code) { return code == FED_ENOTFOUND ? FED_OK : code; }

int fed_status_report_read_rounds(struct fed_status_report *out, struct fed_store *store, struct fed_error *err) {
    struct fed_status_report report = {.loss = (double)NAN, .accuracy = (double)NAN, .best_accuracy = (double)NAN};
    struct fed_store_state state;
    uint64_t evaluated;
    int code = fed_store_state(&state, store, err);
    if (code != FED_OK) {
        return code;
    }
    take_state(&report, &state);
    free(state.cohort);
    read_task(&report, store);
    memcpy(report.run_id, fed_store_run_id(store), sizeof report.run_id);
    code = unless_missing(fed_store_best(&report.best_round, &report.best_accuracy, store, err));
    if (code == FED_OK) {
        code = unless_missing(fed_store_last_evaluated(&evaluated, &report.loss, &report.accuracy, store, err));
    }
    if (code == FED_OK) {
        uint64_t from = report.round >= FED_STATUS_RECENT ? report.round - FED_STATUS_RECENT + 1 : 0;
        code = fed_store_rounds(store, from, add_recent, &report, err);
    }
    if (code == FED_OK) {
        code = read_setbacks(&report, store, err);
    }
    if (code == FED_OK) {
        code = fed_store_quarantines(store, fed_clock_wall_ms(), add_quarantine, &report, err);
    }
    if (code == FED_OK) {
        *out = report;
    }
    return code;
}

int fed_status_report_read(struct fed_status_report *out, struct fed_store *store, struct fed_error *err) {
    struct fed_status_report report;
    int code = fed_status_report_read_rounds(&report, store, err);
    if (code == FED_OK) {
        code = fed_store_refusals(store, add_refusal, &report, err);
    }
    if (code == FED_OK) {
        *out = report;
    }
    return code;
}

void fed_status_report_refused(struct fed_status_report *report, const char *reason, uint64_t count) {
    add_refusal(report, &(struct fed_store_refusal){.reason = reason, .count = count});
}

void fed_status_report_expire(struct fed_status_report *report, int64_t wall_ms) {
    size_t n = 0;
    for (size_t i = 0; i < report->n_quarantined; i++) {
        if (report->quarantined[i].until_ms > wall_ms) {
            report->quarantined[n++] = report->quarantined[i];
        }
    }
    report->n_quarantined = n;
}
