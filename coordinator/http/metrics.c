#include "coordinator/http/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/seal/digest.h"
#include "coordinator/http/http_api.h"
#include "coordinator/http/process.h"
#include "coordinator/round/round.h"

/* All that is told, as of one moment. */
struct facts {
    struct fed_status_report report;
    struct fed_page_totals totals;
    struct fed_curve_row last;
    bool has_last;
    bool live; /* the three below hold */
    struct fed_board_now now;
    double turned_s; /* ago */
    bool has_process;
    struct fed_process process;
};

/* -- Numbers without labels: NaN where there is none -- */

#define VALUE(name, expression)                                                                                             \
    static double name(const struct facts *f) { return (double)(expression); }
#define LIVE(name, expression) VALUE(name, f->live ? (double)(expression) : (double)NAN)
#define LAST(name, expression) VALUE(name, f->has_last ? (double)(expression) : (double)NAN)
#define PROCESS(name, expression) VALUE(name, f->has_process ? (double)(expression) : (double)NAN)

VALUE(rounds_committed, f->report.round)
VALUE(rounds_planned, f->report.rounds > 0 ? (double)f->report.rounds : (double)NAN)
VALUE(finished, strcmp(f->report.state, "finished") == 0)
VALUE(reproducible, f->report.reproducible)
VALUE(accuracy, f->report.accuracy)
VALUE(loss, f->report.loss)
VALUE(best_accuracy, f->report.best_round > 0 ? f->report.best_accuracy : (double)NAN)
VALUE(best_round, f->report.best_round > 0 ? (double)f->report.best_round : (double)NAN)
VALUE(rollbacks, f->report.n_rollbacks)
VALUE(rollbacks_in_a_row, f->report.rollbacks_in_a_row)
VALUE(quarantines, f->totals.quarantines)
VALUE(sent_bytes, f->totals.rounds.bytes_down)
VALUE(received_bytes, f->totals.rounds.bytes_up)
VALUE(admitted, f->totals.rounds.clients)
VALUE(round_seconds, f->totals.rounds.seconds)
VALUE(training_seconds, f->totals.rounds.train_seconds)
LAST(last_seconds, f->last.round.seconds)
LAST(last_clients, f->last.round.clients)
LAST(last_examples, f->last.round.weight)
LAST(last_commit, floor((double)f->last.round.wall_ms / 1000))
LIVE(attempt, f->now.live.attempt)
LIVE(attempts_failed, f->now.attempts_failed)
LIVE(deadline, f->report.live.deadline_s)
LIVE(population, f->now.clients)
LIVE(nodes, f->now.live.nodes)
LIVE(nodes_online, f->now.live.nodes_online)
LIVE(nodes_quarantined, f->now.quarantined)
LIVE(alarm, f->now.alarm[0] != '\0')
LIVE(alarms, f->now.alarms)
LIVE(store_failing, f->now.store_fails)
LIVE(store_errors, f->now.store_errors)
LIVE(loop_age, f->turned_s)
PROCESS(cpu_seconds, f->process.cpu_seconds)
PROCESS(resident_bytes, f->process.resident_bytes)
PROCESS(virtual_bytes, f->process.virtual_bytes)
PROCESS(open_fds, f->process.descriptors)
PROCESS(max_fds, f->process.descriptors_most)
PROCESS(start_time, f->process.start_seconds)
PROCESS(threads, f->process.threads)

static const char GAUGE[] = "gauge", COUNTER[] = "counter";

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct facts *f);
} numbers[] = {
    {"fedavg_rounds_committed_total", COUNTER, "Rounds that were committed, rollbacks included.", rounds_committed},
    {"fedavg_rounds_planned", GAUGE, "The last round that the task asks for.", rounds_planned},
    {"fedavg_finished", GAUGE, "1 when the run is finished.", finished},
    {"fedavg_reproducible", GAUGE, "1 while another run of the task would end in the same bits.", reproducible},
    {"fedavg_accuracy_ratio", GAUGE, "Accuracy on the test data, of the last evaluation.", accuracy},
    {"fedavg_loss", GAUGE, "Mean loss on the test data, of the last evaluation.", loss},
    {"fedavg_best_accuracy_ratio", GAUGE, "The best accuracy of a round that stands.", best_accuracy},
    {"fedavg_best_round", GAUGE, "The round that it belongs to.", best_round},
    {"fedavg_rollbacks_total", COUNTER, "Committed models that were taken back.", rollbacks},
    {"fedavg_rollbacks_in_a_row", GAUGE, "The last of them, since a better model stood.", rollbacks_in_a_row},
    {"fedavg_quarantines_total", COUNTER, "How often a node was put into quarantine.", quarantines},
    {"fedavg_sent_bytes_total", COUNTER, "Sealed models sent to nodes, in committed rounds.", sent_bytes},
    {"fedavg_received_bytes_total", COUNTER, "Sealed updates received from nodes, in committed rounds.", received_bytes},
    {"fedavg_updates_admitted_total", COUNTER, "Clients whose updates were counted.", admitted},
    {"fedavg_round_seconds_total", COUNTER, "Time of all rounds, from commit to commit.", round_seconds},
    {"fedavg_training_seconds_total", COUNTER, "Time of training that clients stated.", training_seconds},
    {"fedavg_last_round_seconds", GAUGE, "Time of the last round, from commit to commit.", last_seconds},
    {"fedavg_last_round_clients", GAUGE, "Clients in the last round.", last_clients},
    {"fedavg_last_round_examples", GAUGE, "Examples behind the last round.", last_examples},
    {"fedavg_last_commit_timestamp_seconds", GAUGE, "When the last round was committed.", last_commit},
    {"fedavg_attempt", GAUGE, "The attempt at the next round.", attempt},
    {"fedavg_attempts_failed_in_a_row", GAUGE, "Attempts at the next round that were abandoned.", attempts_failed},
    {"fedavg_deadline_seconds", GAUGE, "Time that is left for updates of this attempt.", deadline},
    {"fedavg_clients", GAUGE, "Clients on the roster.", population},
    {"fedavg_nodes", GAUGE, "Nodes on the roster.", nodes},
    {"fedavg_nodes_online", GAUGE, "Nodes that are here.", nodes_online},
    {"fedavg_nodes_quarantined", GAUGE, "Nodes that are given no work now.", nodes_quarantined},
    {"fedavg_alarm", GAUGE, "1 while something has to be mended: the status says what.", alarm},
    {"fedavg_alarms_total", COUNTER, "Alarms since the start.", alarms},
    {"fedavg_store_failing", GAUGE, "1 while writes to the run directory fail.", store_failing},
    {"fedavg_store_errors_total", COUNTER, "Writes to the run directory that failed, since the start.", store_errors},
    {"fedavg_loop_age_seconds", GAUGE, "Time since the loop last turned; it turns every second.", loop_age},
    {"process_cpu_seconds_total", COUNTER, "CPU time in user and system mode.", cpu_seconds},
    {"process_resident_memory_bytes", GAUGE, "Resident memory.", resident_bytes},
    {"process_virtual_memory_bytes", GAUGE, "Virtual memory.", virtual_bytes},
    {"process_open_fds", GAUGE, "Open file descriptors.", open_fds},
    {"process_max_fds", GAUGE, "The limit of open file descriptors.", max_fds},
    {"process_start_time_seconds", GAUGE, "When the process started, since 1970.", start_time},
    {"process_threads", GAUGE, "Threads.", threads},
};

/* -- Text -- */

static void write_head(struct fed_writer *writer, const char *name, const char *type, const char *help) {
    fed_writer_addf(writer, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_numbers(struct fed_writer *writer, const struct facts *facts) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double value = numbers[i].value(facts);
        if (isfinite(value)) {
            write_head(writer, numbers[i].name, numbers[i].type, numbers[i].help);
            fed_writer_addf(writer, "%s ", numbers[i].name);
            fed_writer_number(writer, value);
            fed_writer_add(writer, "\n");
        }
    }
}

/* Names of tasks are [a-z0-9-]+, but a damaged directory may hold anything that is printable. */
static void write_info(struct fed_writer *writer, const struct facts *facts) {
    char id[FED_DIGEST_HEX];
    fed_hex(id, facts->report.run_id, sizeof facts->report.run_id);
    write_head(writer, "fedavg_build_info", GAUGE, "The version of the program.");
    fed_writer_addf(writer, "fedavg_build_info{version=\"%s\"} 1\n", FED_VERSION);
    write_head(writer, "fedavg_run_info", GAUGE, "The run.");
    fed_writer_add(writer, "fedavg_run_info{name=");
    fed_writer_json_text(writer, facts->report.name);
    fed_writer_addf(writer, ",run_id=\"%s\"} 1\n", id);
}

static void write_refusals(struct fed_writer *writer, const struct facts *facts) {
    write_head(writer, "fedavg_refusals_total", COUNTER, "What was refused until the last commit, by reason.");
    for (size_t i = 0; i < FED_REFUSAL_COUNT; i++) {
        fed_writer_addf(writer, "fedavg_refusals_total{reason=\"%s\"} %" PRIu64 "\n",
                        i == FED_REFUSAL_NONE ? "other" : fed_refusal_name((enum fed_refusal)i), facts->totals.refused[i]);
    }
}

static void write_phases(struct fed_writer *writer, const struct facts *facts) {
    write_head(writer, "fedavg_phase", GAUGE, "1 for the phase that the round is in.");
    for (int phase = FED_ROUND_IDLE; phase <= FED_ROUND_STOPPED; phase++) {
        const char *name = fed_round_phase_name((enum fed_round_phase)phase);
        fed_writer_addf(writer, "fedavg_phase{phase=\"%s\"} %d\n", name, strcmp(name, facts->now.live.phase) == 0);
    }
}

static void write_cohort(struct fed_writer *writer, const struct facts *facts) {
    const struct fed_status_live *live = &facts->now.live;
    const struct {
        const char *name;
        uint64_t value;
    } states[] = {{"picked", live->picked},
                  {"admitted", live->admitted},
                  {"outstanding", live->outstanding},
                  {"goal", live->goal},
                  {"quorum", live->quorum}};
    write_head(writer, "fedavg_cohort_clients", GAUGE, "Clients of the attempt at hand.");
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        fed_writer_addf(writer, "fedavg_cohort_clients{state=\"%s\"} %" PRIu64 "\n", states[i].name, states[i].value);
    }
}

static int gather(struct facts *facts, struct fed_page *page, struct fed_error *err) {
    struct fed_board *board = fed_page_board(page);
    int code = fed_page_status(&facts->report, page, err);
    if (code == FED_OK) {
        code = fed_page_totals(&facts->totals, page, err);
    }
    if (code == FED_OK) {
        code = fed_page_last_round(&facts->last, &facts->has_last, page, err);
    }
    if (code == FED_OK && board != NULL) {
        uint64_t turned_ms = 0, now_ms = fed_clock_ms();
        fed_board_get(board, &facts->now, &turned_ms);
        facts->turned_s = now_ms > turned_ms ? (double)(now_ms - turned_ms) / 1000 : 0;
        facts->live = true;
    }
    facts->has_process = fed_process_read(&facts->process) == FED_OK;
    return code;
}

void fed_metrics_answer(struct fed_answer *out, struct fed_page *page, const struct fed_ask *ask) {
    static struct facts facts; /* of the one thread that answers */
    struct fed_writer writer = {0};
    struct fed_error err = {""};
    (void)ask;
    memset(&facts, 0, sizeof facts);
    int code = gather(&facts, page, &err);
    if (code != FED_OK) {
        fed_http_failed(out, code, &err);
        return;
    }
    write_info(&writer, &facts);
    write_numbers(&writer, &facts);
    if (facts.totals.counted) { /* a counter that climbs only because it is being read would look like refusals of now */
        write_refusals(&writer, &facts);
    }
    if (facts.live) {
        write_phases(&writer, &facts);
        write_cohort(&writer, &facts);
    }
    fed_answer_written(out, "text/plain; version=0.0.4; charset=utf-8", &writer);
}
