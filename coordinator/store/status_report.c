/* Reading, writing and checking of one JSON object; its keys are listed in the header. */
#include "coordinator/store/status_report.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/seal/digest.h"

/* -- From a run directory -- */

/* A database that was damaged may hold any bytes; what is told is printable. Cuts what is too long. */
static void take_text(char *out, size_t n, const char *text) {
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
    take_text(reason, sizeof reason, refusal->reason);
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
    take_text(report->name, sizeof report->name, name != NULL ? name : "");
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
        take_text(report->last_rollback.reason, sizeof report->last_rollback.reason, setbacks.reason);
    }
    return code;
}

static void add_quarantine(void *context, const struct fed_store_quarantine *quarantine) {
    struct fed_status_report *report = context;
    if (report->n_quarantined < FED_STATUS_QUARANTINED) {
        struct fed_status_quarantine *row = &report->quarantined[report->n_quarantined++];
        take_text(row->node, sizeof row->node, quarantine->node);
        take_text(row->reason, sizeof row->reason, quarantine->reason);
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

/* -- JSON -- */

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
    take_text(text, sizeof text, alarm);
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

/* -- Back from JSON: each reader fails on a missing key or another type -- */

static bool get_u64(uint64_t *out, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool get_u32(uint32_t *out, const json_t *object, const char *key) {
    uint64_t value;
    if (!get_u64(&value, object, key) || value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool get_round(uint64_t *out, const json_t *object, const char *key) {
    *out = 0;
    return json_is_null(json_object_get(object, key)) || get_u64(out, object, key);
}

static bool get_bool(bool *out, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    *out = json_is_true(value);
    return json_is_boolean(value);
}

static bool get_f64(double *out, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    *out = json_is_number(value) ? json_number_value(value) : (double)NAN;
    return json_is_number(value) || json_is_null(value);
}

/* Nothing that a terminal would obey. */
static bool is_printable(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool copy_text(char *out, size_t n, const char *text) {
    if (text == NULL || strlen(text) >= n || !is_printable(text)) {
        return false;
    }
    strcpy(out, text);
    return true;
}

static bool get_text(char *out, size_t n, const json_t *object, const char *key) {
    return copy_text(out, n, json_string_value(json_object_get(object, key)));
}

/* Coordinators of before did not tell. */
static bool get_alarm(char *out, size_t n, const json_t *object) {
    const json_t *value = json_object_get(object, "alarm");
    *out = '\0';
    return value == NULL || json_is_null(value) || copy_text(out, n, json_string_value(value));
}

static bool get_hex(uint8_t *out, size_t n, const json_t *object, const char *key) {
    static const char digits[] = "0123456789abcdef";
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strlen(text) != 2 * n || strspn(text, digits) != 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 | (strchr(digits, text[2 * i + 1]) - digits));
    }
    return true;
}

static bool get_refusals(struct fed_status_report *report, json_t *object) {
    const char *reason;
    json_t *count;
    if (!json_is_object(object) || json_object_size(object) > FED_STATUS_REFUSALS) {
        return false;
    }
    json_object_foreach(object, reason, count) {
        struct fed_status_refusals *row = &report->refusals[report->n_refusals++];
        if (!copy_text(row->reason, sizeof row->reason, reason) || !get_u64(&row->count, object, reason)) {
            return false;
        }
    }
    return true;
}

/* What follows came with later versions: an older coordinator says nothing of it. */

static bool get_rollbacks(struct fed_status_report *r, const json_t *object) {
    const json_t *last = json_object_get(object, "last");
    if (object == NULL) {
        return true;
    }
    return get_u64(&r->n_rollbacks, object, "count") && get_u32(&r->rollbacks_in_a_row, object, "in_a_row") &&
           (r->n_rollbacks == 0 ||
            (get_u64(&r->last_rollback.round, last, "round") && get_u64(&r->last_rollback.to_round, last, "to_round") &&
             get_text(r->last_rollback.reason, sizeof r->last_rollback.reason, last, "reason") &&
             get_f64(&r->last_rollback.loss, last, "loss") && get_f64(&r->last_rollback.reference, last, "reference")));
}

static bool get_quarantined(struct fed_status_report *report, const json_t *array) {
    if (array == NULL) {
        return true;
    }
    if (!json_is_array(array) || json_array_size(array) > FED_STATUS_QUARANTINED) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *row = json_array_get(array, i);
        struct fed_status_quarantine *q = &report->quarantined[report->n_quarantined++];
        uint64_t until;
        if (!get_text(q->node, sizeof q->node, row, "node") || !get_text(q->reason, sizeof q->reason, row, "reason") ||
            !get_u64(&until, row, "until") || until > (uint64_t)INT64_MAX / 1000) {
            return false;
        }
        q->until_ms = (int64_t)until * 1000;
    }
    return true;
}

static bool get_attempts_failed(struct fed_status_report *report, const json_t *root) {
    return json_object_get(root, "attempts_failed") == NULL || get_u32(&report->attempts_failed, root, "attempts_failed");
}

static bool get_limits(struct fed_store_round *r, const json_t *row) {
    r->norm_ceiling = r->clip = (double)NAN;
    return (json_object_get(row, "norm_ceiling") == NULL || get_f64(&r->norm_ceiling, row, "norm_ceiling")) &&
           (json_object_get(row, "clip") == NULL || get_f64(&r->clip, row, "clip")) &&
           (json_object_get(row, "weight_cap") == NULL || get_round(&r->weight_cap, row, "weight_cap"));
}

static bool get_recent(struct fed_status_report *report, const json_t *array) {
    if (!json_is_array(array) || json_array_size(array) > FED_STATUS_RECENT) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *row = json_array_get(array, i);
        struct fed_store_round *r = &report->recent[report->n_recent++];
        if (!get_u64(&r->round, row, "round") || !get_u32(&r->attempt, row, "attempt") ||
            !get_u64(&r->clients, row, "clients") || !get_u64(&r->weight, row, "weight") ||
            !get_f64(&r->loss, row, "loss") || !get_f64(&r->accuracy, row, "accuracy") ||
            !get_f64(&r->seconds, row, "seconds") || !get_f64(&r->train_seconds, row, "train_seconds") ||
            !get_u64(&r->bytes_down, row, "bytes_down") || !get_u64(&r->bytes_up, row, "bytes_up") ||
            !get_hex(r->model_digest, sizeof r->model_digest, row, "model") || !get_limits(r, row)) {
            return false;
        }
    }
    return true;
}

/* A coordinator of an older version says nothing of it. */
static bool get_waits_for(struct fed_status_live *live, const json_t *object) {
    const json_t *text = json_object_get(object, "waits_for");
    return text == NULL || json_is_null(text) || get_text(live->waits_for, sizeof live->waits_for, object, "waits_for");
}

/* Nor of that. */
static bool get_live(struct fed_status_report *report, const json_t *root) {
    const json_t *object = json_object_get(root, "live");
    struct fed_status_live *live = &report->live;
    report->has_live = object != NULL && !json_is_null(object);
    return !report->has_live ||
           (get_text(live->phase, sizeof live->phase, object, "phase") && get_u64(&live->round, object, "round") &&
            get_u32(&live->attempt, object, "attempt") && get_u64(&live->picked, object, "picked") &&
            get_u64(&live->admitted, object, "admitted") && get_u64(&live->outstanding, object, "outstanding") &&
            get_u64(&live->goal, object, "goal") && get_u64(&live->quorum, object, "quorum") &&
            get_f64(&live->deadline_s, object, "deadline_s") && get_u64(&live->nodes_online, object, "nodes_online") &&
            get_u64(&live->nodes, object, "nodes") && get_waits_for(live, object));
}

static bool get_report(struct fed_status_report *r, const json_t *root) {
    const json_t *best = json_object_get(root, "best");
    r->has_model = !json_is_null(json_object_get(root, "model"));
    return get_text(r->name, sizeof r->name, root, "name") && get_hex(r->run_id, sizeof r->run_id, root, "run_id") &&
           get_text(r->state, sizeof r->state, root, "state") && get_u64(&r->round, root, "round") &&
           get_u64(&r->rounds, root, "rounds") && get_u32(&r->attempt, root, "attempt") &&
           get_u64(&r->clients, root, "clients") && get_bool(&r->reproducible, root, "reproducible") &&
           get_f64(&r->accuracy, root, "accuracy") && get_f64(&r->loss, root, "loss") &&
           get_round(&r->best_round, best, "round") && get_f64(&r->best_accuracy, best, "accuracy") &&
           get_round(&r->target_round, root, "target_round") &&
           (!r->has_model || get_hex(r->model, sizeof r->model, root, "model")) &&
           get_refusals(r, json_object_get(root, "refusals")) && get_attempts_failed(r, root) &&
           get_rollbacks(r, json_object_get(root, "rollbacks")) &&
           get_quarantined(r, json_object_get(root, "quarantined")) && get_recent(r, json_object_get(root, "recent")) &&
           get_alarm(r->alarm, sizeof r->alarm, root) && get_live(r, root);
}

int fed_status_report_decode(struct fed_status_report *out, const char *text, size_t n, struct fed_error *err) {
    struct fed_status_report report = {0};
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    bool good = get_report(&report, root);
    json_decref(root);
    if (!good) {
        return fed_error_set(err, FED_EDATA, "the answer is not the status of a fedavg run");
    }
    *out = report;
    return FED_OK;
}
