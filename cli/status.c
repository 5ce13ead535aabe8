/* fedavg status: where a run stands, from its directory or from the page of a live coordinator. Both become the same
 * report first, so that what is printed, and the JSON, never differ. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/fetch.h"
#include "common/seal/digest.h"
#include "coordinator/store/curve.h"
#include "coordinator/store/status_report.h"

static const char usage[] = "fedavg status RUN|URL [--json]\n"
                            "       fedavg status RUN --csv\n"
                            "       fedavg status URL --live|--ready\n"
                            "  RUN  directory of a run, as in runs/mnist\n"
                            "  URL  of a live coordinator (server.http), as in http://127.0.0.1:5680\n";

/* -- From a live coordinator -- */

static int report_from_url(struct fed_status_report *out, const char *base, struct fed_error *err) {
    char *bytes;
    size_t n;
    int code = fed_fetch(&bytes, &n, base, "/api/v1/status", err);
    if (code != FED_OK) {
        return code;
    }
    code = fed_status_report_decode(out, bytes, n, err);
    free(bytes);
    return code == FED_OK ? code : fed_error_prefix(err, code, "%s", base);
}

/* For whoever asks every few seconds: path is /healthz or /readyz. Whatever else is served at the address is not healthy. */
static int print_health(const char *base, const char *path, struct fed_error *err) {
    static const char fine[] = "ok\n";
    char *bytes;
    size_t n;
    int code = fed_fetch(&bytes, &n, base, path, err);
    if (code != FED_OK) {
        return code;
    }
    if (n != strlen(fine) || memcmp(bytes, fine, n) != 0) {
        code = fed_error_set(err, FED_EADDRESS, "%s%s: the answer is not that of a coordinator", base, path);
    } else {
        fputs(fine, stdout);
    }
    free(bytes);
    return code;
}

/* -- From a directory -- */

static int open_run(struct fed_store **out, const char *dir, struct fed_error *err) {
    int code = fed_store_open_readonly(out, dir, err);
    return code == FED_ENOTFOUND ? FED_ECONFIG : code; /* the argument named no run */
}

static int report_from_directory(struct fed_status_report *out, const char *dir, struct fed_error *err) {
    struct fed_store *store = NULL;
    int code = open_run(&store, dir, err);
    if (code == FED_OK) {
        code = fed_status_report_read(out, store, err);
    }
    fed_store_close(store);
    return code;
}

static void print_csv_row(void *context, const struct fed_curve_row *row) {
    char line[FED_CURVE_CSV_MAX];
    (void)context;
    size_t n = fed_curve_csv_row(line, row);
    fwrite(line, 1, n, stdout);
}

static int print_csv(const char *dir, struct fed_error *err) {
    struct fed_store *store = NULL;
    int code = open_run(&store, dir, err);
    if (code == FED_OK) {
        fputs(fed_curve_csv_head(), stdout);
        code = fed_curve_read(store, print_csv_row, NULL, err);
    }
    fed_store_close(store);
    return code;
}

/* -- Printing -- */

static void print_number(const char *format, int width, double value) {
    if (isnan(value)) {
        printf("  %*s", width, "-");
    } else {
        printf(format, width, value);
    }
}

static void print_recent(const struct fed_status_report *report) {
    printf("\n%10s %8s %8s  %9s  %9s  %9s %12s %12s\n", "round", "attempt", "clients", "accuracy", "loss", "seconds",
           "bytes down", "bytes up");
    for (size_t i = 0; i < report->n_recent; i++) {
        const struct fed_store_round *r = &report->recent[i];
        printf("%10" PRIu64 " %8" PRIu32 " %8" PRIu64, r->round, r->attempt, r->clients);
        print_number("  %*.4f", 9, r->accuracy);
        print_number("  %*.4g", 9, r->loss);
        print_number("  %*.3f", 9, r->seconds);
        printf(" %12" PRIu64 " %12" PRIu64 "\n", r->bytes_down, r->bytes_up);
    }
}

/* A model without classes has a loss alone. */
static void print_result(const struct fed_status_report *report) {
    if (!isnan(report->accuracy)) {
        printf("accuracy   %.4f, loss %.4f at the last evaluation\n", report->accuracy, report->loss);
    } else if (!isnan(report->loss)) {
        printf("loss       %.6g at the last evaluation\n", report->loss);
    } else {
        printf("accuracy   not evaluated yet\n");
    }
    if (report->best_round > 0 && !isnan(report->best_accuracy)) {
        printf("best       %.4f in round %" PRIu64 "\n", report->best_accuracy, report->best_round);
    } else if (report->best_round > 0) {
        printf("best       the least loss, in round %" PRIu64 "\n", report->best_round);
    }
    if (report->target_round > 0) {
        printf("target     reached in round %" PRIu64 "\n", report->target_round);
    }
}

/* Of a coordinator at work: who is here, and why nothing happens if nothing does. */
static void print_live(const struct fed_status_live *live) {
    printf("nodes      %" PRIu64 " of %" PRIu64 " online\n", live->nodes_online, live->nodes);
    if (live->waits_for[0] != '\0') {
        printf("now        %s\n", live->waits_for);
    } else if (live->outstanding > 0) {
        printf("now        %" PRIu64 " of %" PRIu64 " clients have answered in round %" PRIu64 "\n", live->admitted,
               live->picked, live->round);
    }
}

/* What somebody should look at. */
static void print_troubles(const struct fed_status_report *report) {
    if (report->attempts_failed > 0) {
        printf("failed     the last %" PRIu32 " attempts\n", report->attempts_failed);
    }
    if (report->n_rollbacks > 0) {
        printf("rollbacks  %" PRIu64 ", the last to round %" PRIu64 " as round %" PRIu64 " (%s)", report->n_rollbacks,
               report->last_rollback.to_round, report->last_rollback.round, report->last_rollback.reason);
        if (report->rollbacks_in_a_row > 1) {
            printf(", %" PRIu32 " in a row", report->rollbacks_in_a_row);
        }
        printf("\n");
    }
    for (size_t i = 0; i < report->n_quarantined; i++) {
        const struct fed_status_quarantine *row = &report->quarantined[i];
        time_t until = (time_t)(row->until_ms / 1000);
        struct tm local;
        char text[32] = "?";
        if (localtime_r(&until, &local) != NULL) {
            strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
        }
        printf("%-10s %s until %s (%s)\n", i == 0 ? "quarantine" : "", row->node, text, row->reason);
    }
}

static void print_report(const struct fed_status_report *report) {
    char hex[FED_DIGEST_HEX];
    fed_hex(hex, report->run_id, sizeof report->run_id);
    printf("%s: %s\nrun        %s\nround      %" PRIu64, report->name[0] != '\0' ? report->name : "(no name)", report->state,
           hex, report->round);
    if (report->rounds > 0) {
        printf(" of %" PRIu64, report->rounds);
    }
    if (report->attempt > 0) {
        printf(", attempt %" PRIu32 " at the next", report->attempt);
    }
    printf("\nclients    %" PRIu64 " in that round\n", report->clients);
    if (report->has_live) {
        print_live(&report->live);
    }
    if (report->alarm[0] != '\0') {
        printf("ALARM      %s\n", report->alarm);
    }
    print_result(report);
    if (!report->reproducible) {
        printf("arithmetic not exact: no other run need end in the same bits\n");
    }
    if (report->has_model) {
        fed_hex(hex, report->model, sizeof report->model);
        printf("model      %s\n", hex);
    }
    for (size_t i = 0; i < report->n_refusals; i++) {
        printf("%-10s %" PRIu64 " %s\n", i == 0 ? "refused" : "", report->refusals[i].count, report->refusals[i].reason);
    }
    print_troubles(report);
    if (report->n_recent > 0) {
        print_recent(report);
    }
}

static int print_json(const struct fed_status_report *report, struct fed_error *err) {
    char *text = NULL;
    if (fed_status_report_encode(&text, report) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    json_t *root = json_pack("{s:s}", "event", "status"), *body = json_loads(text, 0, NULL);
    if (json_object_update(root, body) != 0) {
        json_decref(root);
        root = NULL;
    }
    json_decref(body);
    free(text);
    return fed_cli_print_json(root, err);
}

static bool is_url(const char *text) {
    return strncasecmp(text, "http://", strlen("http://")) == 0 || strncasecmp(text, "https://", strlen("https://")) == 0;
}

static int print_as_wanted(const char *target, bool json, struct fed_error *err) {
    struct fed_status_report report;
    int code = is_url(target) ? report_from_url(&report, target, err) : report_from_directory(&report, target, err);
    if (code == FED_OK && json) {
        code = print_json(&report, err);
    } else if (code == FED_OK) {
        print_report(&report);
    }
    return code;
}

int fed_cli_status(int argc, char **argv) {
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"csv", no_argument, NULL, 'c'},
                                            {"live", no_argument, NULL, 'l'}, {"ready", no_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'}, {0}};
    struct fed_error err = {.text = ""};
    bool json = false, csv = false;
    const char *health = NULL;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'j': json = true; break;
        case 'c': csv = true; break;
        case 'l': health = "/healthz"; break;
        case 'r': health = "/readyz"; break;
        case 'h': return fed_cli_help(usage);
        default: return fed_cli_misused(usage);
        }
    }
    if (fed_cli_wrong_words(argc, argv, 1, 1, "RUN")) {
        return fed_cli_misused(usage);
    }
    const char *target = argv[optind];
    if ((csv && is_url(target)) || (health != NULL && !is_url(target))) {
        fed_error_set(&err, FED_ECONFIG, "%s: %s", target,
                      csv ? "--csv goes with the directory of a run"
                          : "--live and --ready go with the URL of a coordinator");
        return fed_cli_fail(argv[0], FED_ECONFIG, &err);
    }
    if (csv + json + (health != NULL) > 1) {
        fed_error_set(&err, FED_ECONFIG, "only one of --json, --csv, --live and --ready at once");
        return fed_cli_fail(argv[0], FED_ECONFIG, &err);
    }
    int code = health != NULL ? print_health(target, health, &err)
               : csv          ? print_csv(target, &err)
                              : print_as_wanted(target, json, &err);
    return code == FED_OK ? 0 : fed_cli_fail(argv[0], code, &err);
}
