#include "coordinator/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "common/base/log.h"
#include "common/link/link.h"
#include "common/seal/digest.h"
#include "common/seal/keys.h"

/* One object, one line, at once: the reader on the other end of the pipe waits for it. */
static void print_line(const struct fed_report *report, json_t *object) {
    if (report->json && object != NULL) {
        char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(10));
        if (text != NULL) {
            printf("%s\n", text);
            fflush(stdout);
            free(text);
        }
    }
    json_decref(object);
}

static json_t *number_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *hex_string(const uint8_t *bytes, size_t n) {
    char hex[FED_DIGEST_HEX];
    fed_hex(hex, bytes, n);
    return json_string(hex);
}

void fed_report_init(struct fed_report *report, bool json) {
    *report = (struct fed_report){.json = json, .last = {.loss = NAN, .accuracy = NAN}};
}

void fed_report_start(struct fed_report *report, const struct fed_report_start *start) {
    struct utsname system;
    uname(&system);
    char libraries[128], digest[FED_DIGEST_HEX];
    snprintf(libraries, sizeof libraries, "libzmq %s, libsodium %s", fed_link_version(), fed_seal_library_version());
    fed_hex(digest, start->task_digest, 32);
    FED_INFO("report", start->resumed ? "resume" : "start", FED_STR("name", start->name), FED_STR("run_dir", start->run_dir),
             FED_U64("round", start->round), FED_U64("rounds", start->rounds), FED_U64("clients", start->clients),
             FED_STR("kernels", start->kernels), FED_STR("reproducible", start->reproducible ? "yes" : "no"),
             FED_F64("quantum", start->quantum), FED_STR("task", digest));
    print_line(report, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:f, s:s}", "event",
                                 start->resumed ? "resume" : "start", "name", start->name, "build", FED_VERSION, "libraries",
                                 libraries, "kernels", start->kernels, "reproducible", (int)start->reproducible, "cpu",
                                 system.machine, "run_id", hex_string(start->run_id, 16), "task_digest",
                                 hex_string(start->task_digest, 32), "round", (json_int_t)start->round, "rounds",
                                 (json_int_t)start->rounds, "clients", (json_int_t)start->clients, "parameters",
                                 (json_int_t)start->parameters, "quantum", start->quantum, "run_dir", start->run_dir));
}

void fed_report_page(struct fed_report *report, const char *url) {
    FED_INFO("report", "page", FED_STR("url", url));
    print_line(report, json_pack("{s:s, s:s}", "event", "page", "url", url));
}

static void say_round(struct fed_report *report, const struct fed_report_round *r) {
    char model[FED_DIGEST_HEX];
    fed_hex(model, r->model, sizeof r->model);
    report->last = *r;
    FED_INFO("report", "round", FED_U64("round", r->round), FED_U64("attempt", r->attempt), FED_U64("clients", r->clients),
             FED_F64("loss", r->loss), FED_F64("accuracy", r->accuracy), FED_F64("seconds", r->seconds),
             FED_STR("model", model));
    print_line(report, json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:f, s:o, s:I, s:I, s:s}", "event", "round", "round",
                                 (json_int_t)r->round, "attempt", (json_int_t)r->attempt, "clients", (json_int_t)r->clients,
                                 "loss", number_or_null(r->loss), "accuracy", number_or_null(r->accuracy), "seconds",
                                 r->seconds, "train_seconds", number_or_null(r->train_seconds), "bytes_down",
                                 (json_int_t)r->bytes_down, "bytes_up", (json_int_t)r->bytes_up, "model", model));
}

void fed_report_round(struct fed_report *report, const struct fed_report_round *round, bool evaluated_later) {
    if (evaluated_later) {
        report->held = *round;
        report->holds = true;
    } else {
        say_round(report, round);
    }
}

void fed_report_evaluated(struct fed_report *report, uint64_t round, double loss, double accuracy, bool target_reached) {
    if (target_reached && report->target_round == 0) {
        report->target_round = round;
    }
    if (report->holds && report->held.round == round) {
        report->held.loss = loss;
        report->held.accuracy = accuracy;
        report->holds = false;
        say_round(report, &report->held);
        return;
    }
    /* The round was committed by an earlier process, or is the initial model. */
    report->last.loss = loss;
    report->last.accuracy = accuracy;
    FED_INFO("report", "evaluated", FED_U64("round", round), FED_F64("loss", loss), FED_F64("accuracy", accuracy));
    print_line(report, json_pack("{s:s, s:I, s:o, s:o}", "event", "evaluated", "round", (json_int_t)round, "loss",
                                 number_or_null(loss), "accuracy", number_or_null(accuracy)));
}

void fed_report_waiting(struct fed_report *report, uint64_t round, const char *why) {
    FED_INFO("report", "waiting", FED_U64("round", round), FED_STR("for", why));
    print_line(report, json_pack("{s:s, s:I, s:s}", "event", "waiting", "round", (json_int_t)round, "for", why));
}

void fed_report_abandoned(struct fed_report *report, uint64_t round, uint32_t attempt, const char *why) {
    FED_WARN("report", "abandoned", FED_U64("round", round), FED_U64("attempt", attempt), FED_STR("why", why));
    print_line(report, json_pack("{s:s, s:I, s:I, s:s}", "event", "abandoned", "round", (json_int_t)round, "attempt",
                                 (json_int_t)attempt, "why", why));
}

void fed_report_rollback(struct fed_report *report, const struct fed_store_rollback *rollback, uint32_t in_a_row,
                         double loss, double accuracy, const uint8_t model[32]) {
    char hex[FED_DIGEST_HEX];
    fed_hex(hex, model, 32);
    report->last.round = rollback->round;
    report->last.loss = loss;
    report->last.accuracy = accuracy;
    FED_WARN("report", "rolled back", FED_U64("round", rollback->round), FED_U64("to_round", rollback->to_round),
             FED_STR("why", rollback->reason), FED_F64("loss", rollback->loss), FED_F64("reference", rollback->reference),
             FED_STR("model", hex));
    if (in_a_row >= FED_REPORT_SETBACKS) {
        FED_ERROR("report", "rolled back again and again", FED_U64("in_a_row", in_a_row),
                  FED_STR("next", "see which nodes were in the rounds that fell (run.db: updates, rollbacks)"));
    }
    print_line(report, json_pack("{s:s, s:I, s:I, s:s, s:o, s:o, s:I, s:s}", "event", "rollback", "round",
                                 (json_int_t)rollback->round, "to_round", (json_int_t)rollback->to_round, "reason",
                                 rollback->reason, "loss", number_or_null(rollback->loss), "reference",
                                 number_or_null(rollback->reference), "in_a_row", (json_int_t)in_a_row, "model", hex));
}

/* The last field of a line: without a key, which ends the list, where no target was reached. */
static struct fed_field target_field(uint64_t round) {
    return round > 0 ? FED_U64("target_round", round) : (struct fed_field){.key = NULL};
}

void fed_report_done(struct fed_report *report, uint64_t rounds, double seconds, const uint8_t model[32]) {
    double loss = report->last.loss, accuracy = report->last.accuracy;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double rss_mb = (double)usage.ru_maxrss / 1024.0;
    char hex[FED_DIGEST_HEX];
    fed_hex(hex, model, 32);
    FED_INFO("report", "done", FED_U64("rounds", rounds), FED_F64("accuracy", accuracy), FED_F64("loss", loss),
             FED_F64("seconds", seconds), FED_STR("model", hex), FED_F64("peak_rss_mb", rss_mb),
             target_field(report->target_round));
    json_t *target = report->target_round > 0 ? json_integer((json_int_t)report->target_round) : json_null();
    print_line(report, json_pack("{s:s, s:I, s:o, s:o, s:o, s:f, s:s, s:f}", "event", "done", "rounds", (json_int_t)rounds,
                                 "accuracy", number_or_null(accuracy), "loss", number_or_null(loss), "target_round", target,
                                 "seconds", seconds, "model", hex, "peak_rss_mb", rss_mb));
}
