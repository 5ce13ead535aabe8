/* The report back from JSON that anybody may have sent: each reader fails on a missing key, another type, or what has no
 * room. Unknown keys are ignored; a key that came with a later version may be missing, for an older coordinator says nothing
 * of it. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "common/seal/digest.h"
#include "coordinator/store/status_report.h"

/* -- Values -- */

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

static bool get_alarm(char *out, size_t n, const json_t *object) {
    const json_t *value = json_object_get(object, "alarm");
    *out = '\0';
    return value == NULL || json_is_null(value) || copy_text(out, n, json_string_value(value));
}

static bool get_hex(uint8_t *out, size_t n, const json_t *object, const char *key) {
    return fed_unhex(out, n, json_string_value(json_object_get(object, key)));
}

/* -- The parts of a report -- */

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

static bool get_waits_for(struct fed_status_live *live, const json_t *object) {
    const json_t *text = json_object_get(object, "waits_for");
    return text == NULL || json_is_null(text) || get_text(live->waits_for, sizeof live->waits_for, object, "waits_for");
}

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
