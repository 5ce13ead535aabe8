/* The report as one line of JSON: null where something is not known. */
#include <assert.h>
#include <jansson.h>
#include <math.h>

#include "common/seal/digest.h"
#include "coordinator/store/status_report_internal.h"

static json_t *number_json(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* 0 = none. */
static json_t *round_json(uint64_t round) { return round > 0 ? json_integer((json_int_t)round) : json_null(); }

static json_t *hex_json(const uint8_t *bytes, size_t n) {
    char hex[FED_DIGEST_HEX];
    assert(n <= FED_DIGEST_BYTES);
    fed_hex(hex, bytes, n);
    return json_string(hex);
}

static json_t *recent_json(const struct fed_store_round *r) {
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "round", (json_int_t)r->round,
                     "attempt", (json_int_t)r->attempt, "clients", (json_int_t)r->clients, "weight", (json_int_t)r->weight,
                     "loss", number_json(r->loss), "accuracy", number_json(r->accuracy), "seconds", number_json(r->seconds),
                     "train_seconds", number_json(r->train_seconds), "bytes_down", (json_int_t)r->bytes_down, "bytes_up",
                     (json_int_t)r->bytes_up, "model", hex_json(r->model_digest, sizeof r->model_digest), "norm_ceiling",
                     number_json(r->norm_ceiling), "clip", number_json(r->clip), "weight_cap", round_json(r->weight_cap));
}

static json_t *refusals_json(const struct fed_status_report *report) {
    json_t *object = json_object();
    for (size_t i = 0; i < report->n_refusals; i++) {
        if (json_object_set_new(object, report->refusals[i].reason, json_integer((json_int_t)report->refusals[i].count)) !=
            0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *recents_json(const struct fed_status_report *report) {
    json_t *array = json_array();
    for (size_t i = 0; i < report->n_recent; i++) {
        if (json_array_append_new(array, recent_json(&report->recent[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* Paths in it are the operator's, and may hold what is not printable. */
static json_t *alarm_json(const char *alarm) {
    char text[sizeof((struct fed_status_report *)0)->alarm];
    fed_status_report_take(text, sizeof text, alarm);
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *rollbacks_json(const struct fed_status_report *r) {
    json_t *last = r->n_rollbacks == 0
                       ? json_null()
                       : json_pack("{s:I, s:I, s:s, s:o, s:o}", "round", (json_int_t)r->last_rollback.round, "to_round",
                                   (json_int_t)r->last_rollback.to_round, "reason", r->last_rollback.reason, "loss",
                                   number_json(r->last_rollback.loss), "reference", number_json(r->last_rollback.reference));
    return json_pack("{s:I, s:I, s:o}", "count", (json_int_t)r->n_rollbacks, "in_a_row", (json_int_t)r->rollbacks_in_a_row,
                     "last", last);
}

static json_t *quarantined_json(const struct fed_status_report *report) {
    json_t *array = json_array();
    for (size_t i = 0; i < report->n_quarantined; i++) {
        const struct fed_status_quarantine *row = &report->quarantined[i];
        if (json_array_append_new(array, json_pack("{s:s, s:I, s:s}", "node", row->node, "until",
                                                   (json_int_t)(row->until_ms / 1000), "reason", row->reason)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *live_json(const struct fed_status_report *report) {
    const struct fed_status_live *live = &report->live;
    return !report->has_live
               ? json_null()
               : json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:s?}", "phase", live->phase, "round",
                           (json_int_t)live->round, "attempt", (json_int_t)live->attempt, "picked", (json_int_t)live->picked,
                           "admitted", (json_int_t)live->admitted, "outstanding", (json_int_t)live->outstanding, "goal",
                           (json_int_t)live->goal, "quorum", (json_int_t)live->quorum, "deadline_s",
                           number_json(live->deadline_s), "nodes_online", (json_int_t)live->nodes_online, "nodes",
                           (json_int_t)live->nodes, "waits_for", live->waits_for[0] != '\0' ? live->waits_for : NULL);
}

int fed_status_report_encode(char **out, const struct fed_status_report *report) {
    json_t *root = json_pack(
        "{s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:b, s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}",
        "name", report->name, "run_id", hex_json(report->run_id, sizeof report->run_id), "state", report->state, "round",
        (json_int_t)report->round, "rounds", (json_int_t)report->rounds, "attempt", (json_int_t)report->attempt, "clients",
        (json_int_t)report->clients, "reproducible", (int)report->reproducible, "accuracy", number_json(report->accuracy),
        "loss", number_json(report->loss), "best", "round", round_json(report->best_round), "accuracy",
        number_json(report->best_round > 0 ? report->best_accuracy : (double)NAN), "target_round",
        round_json(report->target_round), "model",
        report->has_model ? hex_json(report->model, sizeof report->model) : json_null(), "refusals", refusals_json(report),
        "attempts_failed", (json_int_t)report->attempts_failed, "rollbacks", rollbacks_json(report), "quarantined",
        quarantined_json(report), "recent", recents_json(report), "alarm", alarm_json(report->alarm), "live",
        live_json(report));
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL) {
        return FED_ENOMEM;
    }
    *out = text;
    return FED_OK;
}
