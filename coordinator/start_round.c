/* Who computes beside the loop, and the round where the run stands, with the world as round and schedule see it. */
#include <unistd.h>

#include "coordinator/start_internal.h"

#define INTAKE_THREADS 2
#define EVALUATE_THREADS_MOST 4
#define LARGE_MODEL ((size_t)16 << 20) /* parameters */

/* -- threads ------------------------------------------------------------------------------------------------------------ */

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

int fed_start_threads(struct fed_coordinator *c, struct fed_error *err) {
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

/* -- the world as round and schedule see it ----------------------------------------------------------------------------- */

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

/* -- the round ---------------------------------------------------------------------------------------------------------- */

/* The evaluation was stored, but maybe not what followed from it. */
static int judge_last_round(struct fed_coordinator *c, const struct fed_store_state *state, struct fed_error *err) {
    return state->evaluated && !state->rolled_back ? fed_work_verdict(&c->fallen, c, state->round, state->loss, err)
                                                   : FED_OK;
}

int fed_start_round(struct fed_coordinator *c, const struct fed_store_state *state, struct fed_error *err) {
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
    int rc = judge_last_round(c, state, err);
    if (rc != FED_OK) {
        return rc;
    }
    rc = fed_round_new(&c->round, &config, &world, state->round, state->accuracy, state->attempt, state->cohort,
                       state->n_cohort, fed_clock_ms());
    if (rc == FED_OK && (state->evaluated || state->rolled_back)) {
        fed_round_judged(c->round, c->fallen.reason != NULL);
    }
    if (rc == FED_OK) {
        struct fed_schedule_world nodes = {c, world_range, world_work};
        rc = fed_schedule_new(&c->schedule, &nodes, c->nodes.n_nodes, FED_CLIENTS_MAX);
    }
    return rc == FED_OK ? FED_OK : fed_error_set(err, rc, "not enough memory for the round");
}
