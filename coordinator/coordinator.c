/* A coordinator from its start to its end. The steps of a start are in start_world.c, start_run.c and start_round.c; what
 * happens in between is the loop's. */
#include "coordinator/coordinator.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "coordinator/start_internal.h"

#define IO_THREADS 1
#define BULK_FRAME_MAX (FED_CHUNK_BYTES + FED_TAG_BYTES + 256)

static int open_lanes(struct fed_coordinator *c, struct fed_error *err) {
    const struct fed_server *server = &c->task->server;
    struct fed_gate gate = {c, fed_gate_curve, fed_gate_plain, fed_gate_enrol};
    int rc = fed_link_new(&c->link, IO_THREADS, (int)c->nodes.n_nodes + FED_SPARE_PEERS, &gate, err);
    if (rc == FED_OK) {
        rc = fed_lane_bind_control(&c->control, c->link, server->control, &c->identity, FED_CONTROL_MAX, err);
    }
    if (rc == FED_OK) {
        rc = fed_lane_bind_bulk(&c->bulk, c->link, server->bulk, BULK_FRAME_MAX, err);
    }
    if (rc == FED_OK) {
        rc = fed_link_self_test(c->link, c->control, &c->identity, err);
    }
    if (rc == FED_OK) {
        rc = fed_enrol_open(c, err);
    }
    c->announced = rc == FED_OK;
    return rc;
}

static int open_signals(struct fed_coordinator *c, struct fed_error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    c->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return c->signal_fd >= 0 ? FED_OK : fed_error_set(err, FED_EFAILED, "signalfd: %s", strerror(errno));
}

static void report_start(struct fed_coordinator *c, const struct fed_store_state *state) {
    fed_report_start(&c->report, &(struct fed_report_start){
                                     .resumed = state->has_model,
                                     .reproducible = fed_coordinator_reproducible(c),
                                     .name = c->task->name,
                                     .kernels = c->kernels->name,
                                     .run_id = c->run_id,
                                     .task_digest = c->task_digest,
                                     .round = state->round,
                                     .rounds = c->task->algorithm.rounds,
                                     .clients = fed_roster_population(c->nodes.roster),
                                     .parameters = c->model.n_params,
                                     .quantum = ldexp(1.0, -c->fixed.exponent),
                                     .run_dir = c->options.run_dir,
                                 });
    c->report.target_round = state->target_round;
    c->report.last.loss = state->loss;
    c->report.last.accuracy = state->accuracy;
}

/* The lanes open last, when nothing can be wrong any more. */
static int begin(struct fed_coordinator *c, struct fed_store_state *state, struct fed_error *err) {
    int rc = fed_start_world(c, err);
    if (rc == FED_OK) {
        rc = fed_start_run(c, state, err);
    }
    if (rc == FED_OK) {
        report_start(c, state);
        fed_presence_check_cohort(c);
        rc = fed_start_threads(c, err);
    }
    if (rc == FED_OK) {
        rc = fed_start_round(c, state, err);
    }
    if (rc == FED_OK) {
        rc = open_signals(c, err);
    }
    if (rc == FED_OK && !c->over) {
        rc = open_lanes(c, err);
    }
    if (rc == FED_OK && !c->over) {
        rc = fed_publish_open(c, err);
    }
    return rc;
}

int fed_coordinator_new(struct fed_coordinator **out, const struct fed_task *task,
                        const struct fed_coordinator_options *options, struct fed_error *err) {
    struct fed_coordinator *c = calloc(1, sizeof *c);
    struct fed_store_state state = {0};
    if (c == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    c->task = task;
    c->options = *options;
    c->signal_fd = -1;
    c->started_ms = fed_clock_ms();
    c->commit_began_us = fed_clock_us();
    fed_report_init(&c->report, options->json);
    int rc = begin(c, &state, err);
    free(state.cohort);
    if (rc != FED_OK) {
        fed_coordinator_free(c);
        return rc;
    }
    *out = c;
    return FED_OK;
}

void fed_coordinator_free(struct fed_coordinator *c) {
    if (c == NULL) {
        return;
    }
    fed_publish_now(c, fed_clock_ms()); /* how it ends */
    fed_pool_free(c->store_pool);       /* waits for the write at hand */
    fed_pool_free(c->model_pool);
    fed_evaluator_free(c->evaluator);
    fed_work_free(c);
    fed_intake_free(c->intake);
    fed_http_free(c->http);
    fed_page_free(c->page);
    fed_board_free(c->board);
    fed_news_free(c->news);
    fed_lane_close(c->control);
    fed_lane_close(c->bulk);
    fed_lane_close(c->enrol.lane);
    fed_roster_live_free(c->roster_live);
    fed_link_free(c->link);
    fed_store_close(c->store);
    fed_attempt_fini(&c->attempt);
    fed_round_free(c->round);
    fed_schedule_free(c->schedule);
    fed_aggregate_fini(&c->aggregate);
    fed_nodes_fini(&c->nodes);
    fed_image_release(c->image);
    fed_image_release(c->next_image);
    fed_identity_fini(&c->identity);
    fed_partition_fini(&c->partition);
    fed_dataset_fini(&c->test);
    fed_descriptors_release(&c->reserve);
    free(c->events);
    free(c->updates);
    fed_refusals_free(c->refusals);
    free(c->terms_text);
    free(c->partition_text);
    free(c->initial);
    if (c->signal_fd >= 0) {
        close(c->signal_fd);
    }
    free(c);
}
