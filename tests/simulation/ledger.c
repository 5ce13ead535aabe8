/* What must hold, whatever happens: judged at every write, and at every word of the coordinator before the network can lose
 * it. The sums are made anew here, from whole numbers: a client's update is in steps of 2^-10 and its weight is known, so
 * that one that is lost or counted twice shows in the model. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/nodes/roster.h"
#include "tests/simulation/sim.h"

#define STEPS 1024 /* of an update's values in [-1, 1) */
#define ACKS 4096

struct ack { /* ADMITTED was said of this part */
    uint64_t round;
    uint32_t attempt, part;
    const struct sim_node *node;
};

static struct {
    struct ack acks[ACKS];
    size_t n_acks;
    uint8_t secrets[ACKS][32]; /* public keys of the attempts so far */
    uint64_t secret_round[ACKS];
    uint32_t secret_attempt[ACKS];
    size_t n_secrets;
} ledger;

void sim_ledger_clear(void) { ledger.n_acks = ledger.n_secrets = 0; }

/* -- clients -------------------------------------------------------------------------------------------------------- */

static int64_t steps_of(uint64_t client, uint64_t model, size_t i) {
    return (int64_t)sim_mixed(client, model, i, 2 * STEPS) - STEPS;
}

static uint64_t model_of(const float *params, size_t n_params) {
    uint32_t bits[2];
    memcpy(&bits[0], &params[0], sizeof bits[0]);
    memcpy(&bits[1], &params[n_params - 1], sizeof bits[1]);
    return sim_mixed(bits[0], bits[1], n_params, UINT64_MAX);
}

float sim_delta(uint64_t client, const float *params, size_t n_params, size_t i) {
    return (float)steps_of(client, model_of(params, n_params), i) / STEPS;
}

uint32_t sim_weight(uint64_t client) { return 1 + (uint32_t)sim_mixed(client, 7, sim.seed, 600); }

/* -- the cohort ----------------------------------------------------------------------------------------------------- */

/* m, halves away from zero, without floating point. */
static uint64_t wanted(void) {
    uint64_t m = (2 * sim.percent_picked * sim.drawn_from + 100) / 200;
    return m == 0 ? 1 : m;
}

static uint64_t rounded_up(uint64_t percent, uint64_t m) { return (percent * m + 99) / 100; }

void sim_ledger_opened(uint64_t round, uint32_t attempt, const uint64_t *cohort, size_t n) {
    sim_require(sim_disk.has_model && round == sim_disk.committed + 1,
                "an attempt of round %" PRIu64 " after round %" PRIu64, round, sim_disk.committed);
    sim_require(attempt == sim_disk.attempt + 1, "attempt %" PRIu32 " after attempt %" PRIu32, attempt, sim_disk.attempt);
    sim_require(n >= 1 && n <= SIM_CLIENTS, "a cohort of %zu", n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            sim_require(cohort[i] != cohort[k], "client %" PRIu64 " is picked twice", cohort[i]);
        }
    }
}

/* -- a commit ------------------------------------------------------------------------------------------------------- */

static bool in_cohort(uint64_t client) {
    for (size_t i = 0; i < sim_disk.n_cohort; i++) {
        if (sim_disk.cohort[i] == client) {
            return true;
        }
    }
    return false;
}

static void check_admitted_set(const struct fed_store_commit *commit) {
    for (size_t i = 0; i < commit->n_updates; i++) {
        const struct fed_store_update *update = &commit->updates[i];
        sim_require(in_cohort(update->client), "client %" PRIu64 " was not picked and is counted", update->client);
        sim_require(update->weight == sim_weight(update->client), "client %" PRIu64 " is counted with weight %" PRIu64,
                    update->client, update->weight);
        for (size_t k = 0; k < i; k++) {
            sim_require(commit->updates[k].client != update->client, "client %" PRIu64 " is counted twice", update->client);
        }
    }
}

static void check_acknowledged(const struct fed_store_commit *commit) {
    for (size_t a = 0; a < ledger.n_acks; a++) {
        const struct ack *ack = &ledger.acks[a];
        bool counted = ack->round != commit->round || ack->attempt != commit->attempt;
        for (size_t i = 0; i < commit->n_updates && !counted; i++) {
            counted = commit->updates[i].part == ack->part && strcmp(commit->updates[i].node, ack->node->entry.name) == 0;
        }
        sim_require(counted, "part %" PRIu32 " of %s was acknowledged and is not counted", ack->part, ack->node->entry.name);
    }
}

/* w' = fl32(w + sum / N), bit for bit. */
static void check_mean(const struct fed_store_commit *commit) {
    const struct sim_round *last = &sim_disk.rounds[sim_disk.committed];
    const float *params = commit->params;
    size_t n = last->n_params;
    uint64_t model = model_of(last->params, n), total = 0;
    sim_require(commit->n_params_bytes == n * sizeof(float), "the model has another size");
    for (size_t i = 0; i < commit->n_updates; i++) {
        total += commit->updates[i].weight;
    }
    for (size_t p = 0; p < n; p++) {
        int64_t sum = 0;
        for (size_t i = 0; i < commit->n_updates; i++) {
            sum += steps_of(commit->updates[i].client, model, p) * (int64_t)commit->updates[i].weight;
        }
        double mean = (double)sum / ((double)total * STEPS);
        float expected = sum == 0 ? last->params[p] : (float)((double)last->params[p] + mean);
        sim_require(memcmp(&expected, &params[p], sizeof expected) == 0,
                    "parameter %zu is %.9g, but the admitted updates make it %.9g", p, (double)params[p], (double)expected);
    }
}

static bool evaluated_by_rule(uint64_t round) {
    return sim.task.data.test != NULL && round > 0 && !sim_disk.rounds[round].rolled_back &&
           (round % sim.task.round.evaluate_every == 0 || round == sim.task.algorithm.rounds ||
            sim.task.algorithm.target_accuracy > 0);
}

/* Its loss alone says so: that of a good model is 1. */
static bool falls(uint64_t round) { return evaluated_by_rule(round) && sim_loss(round) > 1; }

static bool reached_target(uint64_t round) {
    return sim.task.algorithm.target_accuracy > 0 && evaluated_by_rule(round) && !falls(round) &&
           sim_accuracy(sim_disk.rounds[round].digest) >= sim.task.algorithm.target_accuracy;
}

/* The newest model that was judged and stands, bit for bit, and nobody's updates. */
static void check_rollback(const struct fed_store_commit *commit) {
    uint64_t good = sim_disk.committed;
    while (good > 0 && (falls(good) || !sim_disk.rounds[good].evaluated || !sim_disk_stands(good))) {
        good--;
    }
    const struct sim_round *round = &sim_disk.rounds[good];
    sim_require(falls(sim_disk.committed), "round %" PRIu64 " is taken back and was good", sim_disk.committed);
    sim_require(commit->rollback->round == commit->round && commit->rollback->to_round == good,
                "back to round %" PRIu64 ", but the last good one is %" PRIu64, commit->rollback->to_round, good);
    sim_require(commit->n_updates == 0 && commit->attempt == 0, "a rollback counts updates");
    sim_require(commit->n_params_bytes == round->n_params * sizeof(float) &&
                    memcmp(commit->params, round->params, commit->n_params_bytes) == 0 &&
                    memcmp(commit->model_digest, round->digest, sizeof round->digest) == 0,
                "the rollback is not the model of round %" PRIu64, good);
}

void sim_ledger_committed(const struct fed_store_commit *commit) {
    if (!sim_disk.has_model) {
        sim_require(commit->round == 0 && commit->n_updates == 0, "the first model is not that of round 0");
        return;
    }
    sim_require(commit->round == sim_disk.committed + 1, "round %" PRIu64 " after round %" PRIu64, commit->round,
                sim_disk.committed);
    if (commit->rollback != NULL) {
        check_rollback(commit);
        return;
    }
    sim_require(!falls(sim_disk.committed), "round %" PRIu64 " follows a model that is no good", commit->round);
    sim_require(commit->round <= sim.task.algorithm.rounds, "a round too many");
    sim_require(!reached_target(sim_disk.committed), "a round behind the one that reached the target");
    sim_require(commit->attempt == sim_disk.attempt && sim_disk.n_cohort > 0, "the attempt was not stored");
    check_admitted_set(commit);
    uint64_t quorum = rounded_up(sim.percent_quorum, wanted());
    sim_require(commit->n_updates >= quorum, "%zu clients, but the quorum is %" PRIu64, commit->n_updates, quorum);
    check_acknowledged(commit);
    check_mean(commit);
}

void sim_ledger_finished(uint64_t result_round) {
    sim_require(result_round == sim_disk.committed, "the result is not the last round");
    sim_require(!falls(result_round), "the result is no good");
    sim_require(result_round >= sim.task.algorithm.rounds || reached_target(result_round),
                "the run ends with round %" PRIu64 ", which is not the last and did not reach the target", result_round);
}

/* -- words ---------------------------------------------------------------------------------------------------------- */

static void said_round(const struct sim_node *node, const struct fed_msg_round *round) {
    const struct fed_terms *terms = &round->terms;
    sim_require(terms->round == sim_disk.committed + 1 && terms->attempt == sim_disk.attempt && sim_disk.n_cohort > 0,
                "ROUND of attempt %" PRIu32 " of round %" PRIu64 ", which was not stored", terms->attempt, terms->round);
    sim_require(memcmp(terms->model_digest, sim_disk.rounds[sim_disk.committed].digest, 32) == 0,
                "ROUND names another model than the committed one");
    for (uint32_t i = 0; i < round->n_clients; i++) {
        uint64_t client = round->clients[i];
        sim_require(in_cohort(client), "client %" PRIu64 " was not picked and is asked for", client);
        sim_require(client >= node->config.first_client && client - node->config.first_client < node->config.n_clients,
                    "%s does not host client %" PRIu64, node->config.name, client);
    }
    for (size_t i = 0; i < ledger.n_secrets; i++) {
        bool same_key = memcmp(ledger.secrets[i], terms->r_pk, 32) == 0;
        bool same_attempt = ledger.secret_round[i] == terms->round && ledger.secret_attempt[i] == terms->attempt;
        sim_require(same_key == same_attempt, same_key ? "a key is used for two attempts" : "an attempt has two keys");
        if (same_attempt) {
            return;
        }
    }
    if (ledger.n_secrets < ACKS) {
        memcpy(ledger.secrets[ledger.n_secrets], terms->r_pk, 32);
        ledger.secret_round[ledger.n_secrets] = terms->round;
        ledger.secret_attempt[ledger.n_secrets++] = terms->attempt;
    }
}

static bool was_counted(const struct sim_node *node, const struct fed_msg_admitted *admitted) {
    const struct sim_round *round = &sim_disk.rounds[admitted->round];
    for (size_t i = 0; i < round->n_updates; i++) {
        if (round->attempt == admitted->attempt && round->updates[i].part == admitted->part &&
            strcmp(round->updates[i].node, node->entry.name) == 0) {
            return true;
        }
    }
    return false;
}

static void said_admitted(const struct sim_node *node, const struct fed_msg_admitted *admitted) {
    if (admitted->round <= sim_disk.committed && sim_disk.rounds[admitted->round].rolled_back) {
        return; /* of the attempt that the rollback ended: acknowledged late, as below */
    }
    if (admitted->round <= sim_disk.committed) {
        sim_require(was_counted(node, admitted), "ADMITTED of a part that is not counted");
        return;
    }
    /* An earlier attempt: what was being added when it ended is acknowledged late, and to nobody's harm. */
    sim_require(admitted->round == sim_disk.committed + 1 && admitted->attempt <= sim_disk.attempt,
                "ADMITTED in an attempt that was never opened");
    if (ledger.n_acks < ACKS) {
        ledger.acks[ledger.n_acks++] = (struct ack){admitted->round, admitted->attempt, admitted->part, node};
    }
}

void sim_ledger_said(const struct sim_node *node, const struct fed_message *message) {
    const struct fed_msg_end *end = &message->as.end;
    switch (message->kind) {
    case FED_MSG_ROUND: said_round(node, &message->as.round); break;
    case FED_MSG_ADMITTED: said_admitted(node, &message->as.admitted); break;
    case FED_MSG_END:
        sim_require(!end->committed || end->round <= sim_disk.committed, "END says committed, but nothing is stored");
        break;
    default: break;
    }
}
