#include "coordinator/coordinator.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/base/busy.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/roster_file.h"
#include "common/numeric/blas.h"
#include "common/numeric/kernels.h"
#include "common/seal/digest.h"
#include "common/seal/key_file.h"
#include "coordinator/coordinator_internal.h"
#include "coordinator/http/partition_file.h"
#include "coordinator/initial.h"
#include "coordinator/round/hygiene_rules.h"
#include "coordinator/store/hygiene_store.h"
#include "coordinator/store/store_builds.h"
#include "coordinator/terms.h"

#define IO_THREADS 1
#define INTAKE_THREADS 2
#define EVALUATE_THREADS_MOST 4
#define LARGE_MODEL ((size_t)16 << 20) /* parameters */
#define BULK_FRAME_MAX (FED_CHUNK_BYTES + FED_TAG_BYTES + 256)

/* -- data --------------------------------------------------------------------------------------------------------------- */

/* columns: zeros, or those of the training data. */
static int load_partition(struct fed_coordinator *c, uint8_t columns[32], struct fed_error *err) {
    const struct fed_task *task = c->task;
    if (task->partition.kind == FED_PARTITION_NONE || !fed_data_source_has_train(&task->data)) {
        return FED_OK;
    }
    struct fed_dataset train = {0};
    struct fed_busy *busy = fed_busy_log("data", "reading and splitting %s", fed_data_source_train_path(&task->data));
    int rc = fed_dataset_load(&train, &task->data, FED_DATA_TRAIN, err);
    if (rc == FED_OK) {
        rc = fed_dataset_fit(&train, &c->model, err);
    }
    if (rc == FED_OK) {
        rc = fed_partition_make(&c->partition, &train, &task->partition, task->seed, err);
    }
    fed_busy_end(busy);
    if (rc == FED_OK && (train.n_dropped > 0 || train.n_too_short > 0)) {
        FED_INFO("data", "left out", FED_U64("characters", train.n_dropped), FED_U64("roles_too_short", train.n_too_short));
    }
    c->has_partition = rc == FED_OK;
    if (rc == FED_OK && fed_partition_text(&c->partition_text, &train, &c->partition) == FED_ENOMEM) {
        rc = fed_error_set(err, FED_ENOMEM, "not enough memory for the partition");
    }
    memcpy(columns, train.columns, sizeof train.columns);
    fed_dataset_fini(&train);
    return rc;
}

static int load_test(struct fed_coordinator *c, const uint8_t columns[32], struct fed_error *err) {
    const struct fed_task *task = c->task;
    if (!fed_data_source_has_test(&task->data)) {
        return task->algorithm.target_accuracy > 0
                   ? fed_error_set(err, FED_ECONFIG, "%s: algorithm.target_accuracy needs data.test to be measured on",
                                   task->path)
                   : FED_OK;
    }
    struct fed_busy *busy = fed_busy_log("data", "reading %s", fed_data_source_test_path(&task->data));
    int rc = fed_dataset_load(&c->test, &task->data, FED_DATA_TEST, err);
    if (rc == FED_OK) {
        rc = fed_dataset_check_columns(&c->test, columns, fed_data_source_train_path(&task->data), err);
    }
    if (rc == FED_OK) {
        rc = fed_dataset_fit(&c->test, &c->model, err);
    }
    fed_busy_end(busy);
    c->has_test = rc == FED_OK;
    return rc;
}

/* -- identity and roster ------------------------------------------------------------------------------------------------ */

static int load_roster(struct fed_coordinator *c, struct fed_error *err) {
    const struct fed_server *server = &c->task->server;
    struct fed_roster_file file = {0};
    struct fed_roster *roster = NULL;
    int rc =
        fed_roster_live_new(&c->roster_live, server->roster, server->has_enrolment_key ? server->enrolment_key : NULL, err);
    if (rc == FED_OK) {
        rc = fed_roster_live_load(&file, c->roster_live, err);
    }
    if (rc != FED_OK) {
        return rc;
    }
    if (fed_roster_new(&roster, &file) != FED_OK || fed_nodes_init(&c->nodes, &roster) != FED_OK) {
        rc = fed_error_set(err, FED_ENOMEM, "not enough memory for the roster");
    }
    fed_roster_free(roster);
    fed_roster_file_fini(&file);
    if (rc == FED_OK && fed_refusals_new(&c->refusals, c->nodes.n_nodes) != FED_OK) {
        rc = fed_error_set(err, FED_ENOMEM, "not enough memory for the roster");
    }
    return rc;
}

/* -- the run ------------------------------------------------------------------------------------------------------------ */

/* False: a new run, or one that opening it for good will speak about. */
static bool terms_of_run(struct fed_task_terms *out, const struct fed_coordinator *c) {
    struct fed_store *store = NULL;
    if (fed_store_open_readonly(&store, c->options.run_dir, NULL) != FED_OK) {
        return false;
    }
    const char *text = fed_store_task_terms(store);
    bool found = fed_task_terms_decode(out, text, strlen(text), NULL) == FED_OK;
    fed_store_close(store);
    return found;
}

static int make_terms(struct fed_coordinator *c, struct fed_task_terms *terms, struct fed_error *err) {
    uint64_t largest = c->has_partition ? fed_partition_largest(&c->partition) : 0;
    uint64_t population = fed_roster_population(c->nodes.roster);
    fed_terms_from_task(terms, c->task, c->has_partition ? c->partition.digest : NULL, largest, population);
    if (c->has_partition) {
        terms->partition.clients = c->partition.n_clients; /* which the task may have left to the data */
    }
    int rc = fed_terms_check_weights(c->task, largest, err);
    if (rc != FED_OK) {
        return rc;
    }
    struct fed_task_terms run;
    bool goes_on = terms_of_run(&run, c);
    if (goes_on) { /* a roster may have outgrown the bound, which is part of the exact sum: cohorts are kept within it */
        terms->max_updates = run.max_updates;
    }
    rc = fed_initial_read(&c->initial, terms, goes_on ? &run : NULL, c->task, &c->model, err);
    if (rc != FED_OK) {
        return rc;
    }
    rc = fed_fixed_init(&c->fixed, terms->max_delta, terms->max_weight, terms->max_updates, err);
    if (rc != FED_OK) {
        return fed_error_prefix(err, rc, "%s", c->task->path);
    }
    double quantum = ldexp(1.0, -c->fixed.exponent);
    /* 0: the weights are the owners', and nobody can say */
    double smallest = c->has_partition ? (double)fed_partition_smallest(&c->partition) : 0;
    if (largest > 0 && quantum > 1e-9 * smallest) {
        FED_WARN("fixed", "coarse quantum", FED_F64("quantum", quantum), FED_F64("smallest_weight", smallest),
                 FED_STR("remedy", "set algorithm.max_weight to the largest shard, or lower algorithm.max_delta"));
    }
    if (fed_task_terms_encode(&c->terms_text, terms) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for the task");
    }
    fed_digest(c->task_digest, c->terms_text, strlen(c->terms_text));
    return FED_OK;
}

static int commit_initial_model(struct fed_coordinator *c, struct fed_error *err) {
    if (c->task->initial != NULL && c->initial == NULL) {
        return fed_error_set(err, FED_EDATA, "%s: no such file, and the run has no model yet: put it back",
                             c->task->initial);
    }
    int rc = fed_image_new(&c->image, &c->model, c->run_id, 0);
    if (rc == FED_OK && c->initial != NULL) {
        memcpy(c->image->params, c->initial, c->model.n_params * sizeof *c->initial);
    } else if (rc == FED_OK) {
        fed_model_initial(c->image->params, &c->model, c->task->seed);
    }
    if (rc == FED_OK) {
        rc = fed_image_finish(c->image, &c->model, c->run_id);
    }
    if (rc != FED_OK) {
        return fed_error_set(err, rc, "not enough memory for a model of %zu parameters", c->model.n_params);
    }
    struct fed_store_commit commit = {.header = c->image->bytes,
                                      .n_header = c->image->n_header,
                                      .params = c->image->params,
                                      .n_params_bytes = c->model.n_params * sizeof(float),
                                      .keep_good = true};
    memcpy(commit.model_digest, c->image->digest, sizeof commit.model_digest);
    return fed_store_commit(c->store, &commit, c->task->server.keep_last, err);
}

static int load_committed_model(struct fed_coordinator *c, const struct fed_store_state *state, struct fed_error *err) {
    char *path = NULL;
    int rc = fed_store_model_path(&path, c->store, state->round);
    if (rc != FED_OK) {
        return fed_error_set(err, rc, "not enough memory");
    }
    rc = fed_image_read(&c->image, path, &c->model, state->model_digest, err);
    free(path);
    return rc;
}

/* For the page alone, so it may fail. */
static void keep_partition(struct fed_coordinator *c) {
    struct fed_error why = {""};
    if (c->partition_text != NULL && fed_partition_file_write(c->options.run_dir, c->partition_text, &why) != FED_OK) {
        FED_WARN("store", "the page will not show the partition", FED_STR("why", why.text));
    }
    free(c->partition_text);
    c->partition_text = NULL;
}

static int open_store(struct fed_coordinator *c, struct fed_store_state *state, struct fed_error *err) {
    char *rest = NULL;
    if (fed_terms_rest(&rest, c->task) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for the task");
    }
    int rc = fed_store_open(&c->store, c->options.run_dir, c->terms_text, rest, err);
    free(rest);
    if (rc != FED_OK) {
        return rc;
    }
    memcpy(c->run_id, fed_store_run_id(c->store), sizeof c->run_id);
    keep_partition(c);
    rc = fed_store_state(state, c->store, err);
    if (rc != FED_OK) {
        return rc;
    }
    if (!state->has_model) {
        rc = commit_initial_model(c, err);
        state->loss = state->accuracy = NAN;
        return rc;
    }
    return load_committed_model(c, state, err);
}

/* The world as the round sees it. */
static uint64_t world_population(void *context) {
    return fed_roster_population(((struct fed_coordinator *)context)->nodes.roster);
}
static uint64_t world_client(void *context, uint64_t i) {
    return fed_roster_client(((struct fed_coordinator *)context)->nodes.roster, i);
}
static bool world_eligible(void *context, uint64_t client) {
    return fed_nodes_eligible(&((struct fed_coordinator *)context)->nodes, client);
}

static bool world_range(void *context, size_t node, size_t i, uint64_t *first, uint64_t *count) {
    const struct fed_node *n = &((struct fed_coordinator *)context)->nodes.nodes[node];
    if (i >= n->n_hosted) {
        return false;
    }
    *first = n->hosted[i].first;
    *count = n->hosted[i].count;
    return true;
}
static uint64_t world_work(void *context, uint64_t client) {
    const struct fed_coordinator *c = context;
    if (!c->has_partition || client >= c->partition.n_clients) {
        return 1;
    }
    return fed_partition_size(&c->partition, (uint32_t)client);
}

/* The evaluation was stored, but maybe not what followed from it. */
static int judge_last_round(bool *falls, struct fed_coordinator *c, const struct fed_store_state *state,
                            struct fed_error *err) {
    double stored = NAN;
    if (!state->evaluated || state->rolled_back) {
        return FED_OK;
    }
    int rc = fed_store_reference(&stored, c->store, state->round, FED_VERDICT_WINDOW, err);
    if (rc != FED_OK) {
        return rc;
    }
    double reference = fed_verdict_reference(&c->model, stored);
    enum fed_verdict verdict = fed_verdict_on(state->loss, reference, c->task->hygiene.rollback_factor);
    c->fallen =
        (struct fed_store_rollback){.reason = fed_verdict_name(verdict), .loss = state->loss, .reference = reference};
    *falls = verdict != FED_VERDICT_STANDS;
    return FED_OK;
}

static int make_round(struct fed_coordinator *c, const struct fed_store_state *state, struct fed_error *err) {
    const struct fed_task *task = c->task;
    struct fed_round_config config = {
        .seed = task->seed,
        .rounds = task->algorithm.rounds,
        .fraction = task->algorithm.fraction,
        .most = c->fixed.max_updates,
        .over_select = task->round.over_select,
        .min_reports = task->round.min_reports,
        .deadline_ms = task->round.deadline_s * 1000,
        .rejoin_ms = task->round.rejoin_s * 1000,
        .evaluate_every = task->round.evaluate_every,
        .target_accuracy = task->algorithm.target_accuracy,
        .evaluates = c->has_test,
    };
    struct fed_round_world world = {c, world_population, world_client, world_eligible};
    bool falls = false;
    int rc = judge_last_round(&falls, c, state, err);
    if (rc != FED_OK) {
        return rc;
    }
    rc = fed_round_new(&c->round, &config, &world, state->round, state->accuracy, state->attempt, state->cohort,
                       state->n_cohort, fed_clock_ms());
    if (rc == FED_OK && (state->evaluated || state->rolled_back)) {
        fed_round_judged(c->round, falls);
    }
    if (rc == FED_OK) {
        struct fed_schedule_world nodes = {c, world_range, world_work};
        rc = fed_schedule_new(&c->schedule, &nodes, c->nodes.n_nodes, FED_CLIENTS_MAX);
    }
    return rc == FED_OK ? FED_OK : fed_error_set(err, rc, "not enough memory for the round");
}

/* -- lanes and threads -------------------------------------------------------------------------------------------------- */

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

/* A thread a core, but few, and one for a model of which copies would count. */
static int start_evaluator(struct fed_coordinator *c, struct fed_error *err) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = cores < 1 ? 1 : cores > EVALUATE_THREADS_MOST ? EVALUATE_THREADS_MOST : (unsigned)cores;
    if (!c->has_test) {
        return FED_OK;
    }
    if (c->model.n_params > LARGE_MODEL) {
        threads = 1;
    }
    return fed_evaluator_new(&c->evaluator, &c->model, &c->test, threads, c->kernels, err);
}

static int start_threads(struct fed_coordinator *c, struct fed_error *err) {
    struct fed_intake_config intake = {
        .model = &c->model,
        .fixed = &c->fixed,
        .aggregate = &c->aggregate,
        .threads = INTAKE_THREADS,
        .uploads = c->task->limits.uploads,
        .uploads_per_node = c->task->limits.uploads_per_node,
        .least_bytes_per_s = c->task->limits.upload_bytes_per_s,
        .staging_bytes = c->task->server.staging_mb << 20,
        .spool_dir = c->options.run_dir,
        .stall_ms = c->task->round.stall_s * 1000,
        .context = c,
        .get = fed_bulk_get,
        .broken = fed_bulk_broken,
        .claim = fed_control_claim,
        .admitted = fed_control_admitted,
        .refused = fed_control_refused,
    };
    if (fed_aggregate_init(&c->aggregate, &c->fixed, c->model.n_params) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for a sum of %zu parameters", c->model.n_params);
    }
    int rc = fed_intake_new(&c->intake, &intake, err);
    if (rc == FED_OK) {
        rc = fed_pool_new(&c->store_pool, "fed-store", 1, err);
    }
    if (rc == FED_OK) {
        rc = fed_pool_new(&c->model_pool, "fed-model", 1, err);
    }
    if (rc == FED_OK) {
        rc = start_evaluator(c, err);
    }
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

/* -- start and end ------------------------------------------------------------------------------------------------------ */

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

/* A finished run that is started again only says its result, unless the task now asks for more. */
static bool is_over(const struct fed_coordinator *c, const struct fed_store_state *state) {
    const struct fed_algorithm *algorithm = &c->task->algorithm;
    bool reached = algorithm->target_accuracy > 0 && state->accuracy >= algorithm->target_accuracy;
    return state->finished && (!c->has_test || state->evaluated || state->rolled_back) &&
           (state->round >= algorithm->rounds || reached);
}

static int record_build(const struct fed_coordinator *c, const struct fed_store_state *state, struct fed_error *err) {
    struct fed_store_build build = {.round = state->has_model ? state->round + 1 : 0};
    struct utsname system;
    uname(&system);
    snprintf(build.fedavg, sizeof build.fedavg, "%s", FED_VERSION);
    snprintf(build.kernels, sizeof build.kernels, "%s", c->kernels->name);
    snprintf(build.cpu, sizeof build.cpu, "%.31s", system.machine);
    return fed_store_record_build(c->store, &build, err);
}

/* Without test data there is nothing to compute here, and OpenBLAS is wanted on the nodes alone. */
static int choose_kernels(struct fed_coordinator *c, struct fed_error *err) {
    if (c->task->algorithm.math == FED_MATH_EXACT || !fed_data_source_has_test(&c->task->data)) {
        return fed_kernels_choose(&c->kernels, err);
    }
    int rc = fed_blas_kernels(&c->kernels, err);
    if (rc == FED_OK) {
        FED_INFO("evaluator", "evaluates with OpenBLAS", FED_STR("core", fed_blas_core()));
    }
    return rc;
}

/* What can be checked without touching the run directory comes before it. */
static int prepare(struct fed_coordinator *c, struct fed_error *err) {
    uint8_t columns[32] = {0};
    int rc = choose_kernels(c, err);
    if (rc == FED_OK) {
        rc = fed_model_init(&c->model, &c->task->model, err);
    }
    if (rc == FED_OK) {
        rc = fed_identity_unlock(&c->identity, c->task->server.key, c->options.passphrase_file, err);
    }
    if (rc == FED_OK) {
        struct fed_busy *busy = fed_busy_log("roster", "reading and verifying %s", c->task->server.roster);
        rc = load_roster(c, err);
        fed_busy_end(busy);
    }
    if (rc == FED_OK) {
        rc = load_partition(c, columns, err);
    }
    return rc == FED_OK ? load_test(c, columns, err) : rc;
}

int fed_coordinator_new(struct fed_coordinator **out, const struct fed_task *task,
                        const struct fed_coordinator_options *options, struct fed_error *err) {
    struct fed_coordinator *c = calloc(1, sizeof *c);
    struct fed_store_state state = {0};
    struct fed_task_terms terms;
    if (c == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    c->task = task;
    c->options = *options;
    c->signal_fd = -1;
    c->started_ms = fed_clock_ms();
    c->commit_began_us = fed_clock_us();
    fed_report_init(&c->report, options->json);
    int rc = prepare(c, err);
    if (rc == FED_OK) {
        rc = make_terms(c, &terms, err);
    }
    if (rc == FED_OK) {
        struct fed_busy *busy = fed_busy_log("store", "opening %s and its model", c->options.run_dir);
        rc = open_store(c, &state, err);
        fed_busy_end(busy);
        free(c->initial);
        c->initial = NULL;
    }
    if (rc == FED_OK && !is_over(c, &state)) {
        rc = record_build(c, &state, err);
    }
    if (rc == FED_OK) {
        struct fed_hygiene_config hygiene =
            fed_hygiene_rules(&terms, c->has_partition ? &c->partition : NULL, &c->task->hygiene);
        rc = fed_hygiene_read(&c->past, &hygiene, c->store, err);
    }
    if (rc == FED_OK) {
        rc = fed_presence_restore_quarantines(c, err);
    }
    if (rc == FED_OK) {
        report_start(c, &state);
        fed_presence_check_cohort(c);
        rc = start_threads(c, err);
    }
    if (rc == FED_OK) {
        rc = make_round(c, &state, err);
    }
    if (rc == FED_OK) {
        rc = open_signals(c, err);
    }
    c->over = rc == FED_OK && is_over(c, &state);
    if (rc == FED_OK && !c->over) {
        rc = open_lanes(c, err);
    }
    if (rc == FED_OK && !c->over) {
        rc = fed_publish_open(c, err);
    }
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
