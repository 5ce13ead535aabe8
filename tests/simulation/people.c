/* The programs as their owners run them, and all that happens to them: kills, stops, cuts, rosters that change, disks that
 * refuse. What a fault is and when it comes is a function of the seed. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/host.h"
#include "client/session.h"
#include "tests/faults/fail_alloc.h"
#include "tests/simulation/base.h"
#include "tests/simulation/world.h"

struct sim sim;

static uint64_t trouble_until_us;

struct sim_node *sim_node_of(const struct sim_process *process) {
    for (size_t i = 0; i < sim.n_nodes; i++) {
        if (sim.nodes[i].process == process) {
            return &sim.nodes[i];
        }
    }
    return NULL;
}

/* -- the coordinator ------------------------------------------------------------------------------------------------ */

static void forget_signals(void) {
    const struct timespec now = {0, 0};
    sigset_t all;
    sigfillset(&all);
    while (sigtimedwait(&all, NULL, &now) > 0) {
    }
}

static int run_coordinator_once(struct fed_error *err) {
    struct fed_coordinator *coordinator;
    struct fed_coordinator_options options = {.run_dir = sim.dir};
    int rc = fed_coordinator_new(&coordinator, &sim.task, &options, err);
    if (rc == FED_OK) {
        rc = fed_coordinator_run(coordinator, err);
        fed_coordinator_free(coordinator);
    }
    return rc;
}

/* Whoever has no memory may stop, with a sentence. */
static bool has_starved(struct sim_process *process, const struct fed_error *err) {
    bool starved = sim.starved != NULL && process == sim.victim && fail_alloc_hits() > 0 && err->text[0] != '\0';
    if (starved) {
        fail_alloc_end(); /* the next process has memory */
    }
    return starved;
}

static bool is_expected_end(int rc, const struct fed_error *err) {
    return rc == FED_OK || rc == FED_EINTERRUPTED || rc == FED_EIO || has_starved(sim.coordinator, err);
}

static void run_coordinator(void *context) {
    (void)context;
    while (!sim.closing && !sim.finished) {
        struct fed_error err = {""};
        sim.up = true;
        sim_note("coordinator starts");
        int rc = run_coordinator_once(&err);
        bool killed = sim_dying(sim_self());
        sim.up = false;
        sim_link_cut(sim.coordinator);
        forget_signals();
        sim_note("coordinator ends: %s", killed ? "killed" : rc == FED_OK ? "finished" : err.text);
        sim_require(killed || is_expected_end(rc, &err), "the coordinator gave up: %s", err.text);
        sim.finished = !killed && rc == FED_OK;
        sim_reborn(sim_self());
        if (!sim.finished && !sim.closing) {
            sim_sleep(10 * SIM_MS + sim_dice(sim.trouble ? 4 * SIM_S : SIM_S));
        }
    }
}

/* -- the nodes ------------------------------------------------------------------------------------------------------ */

static int train(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                 uint64_t client, const atomic_bool *cancel) {
    const struct sim_node *node = context;
    if (atomic_load(cancel)) {
        return FED_EINTERRUPTED;
    }
    if (sim.trouble && node->refuses == client) {
        return FED_EFAILED;
    }
    for (size_t i = 0; i < n_params; i++) {
        delta[i] = sim_delta(client, params, n_params, i);
    }
    *report = (struct fed_sgd_report){.n_examples = sim_weight(client), .n_steps = 1, .mean_loss = 0.5};
    return FED_OK;
}

static int run_node_once(struct sim_node *node, struct fed_error *err) {
    struct fed_host_hook hook = {node, train};
    struct fed_session_options options = {.stop_fd = SIM_FD_STOP + (int)(node - sim.nodes)};
    struct fed_host *host = NULL;
    struct fed_link *link = NULL;
    struct fed_session *session = NULL;
    int rc = fed_host_new(&host, &node->config, &hook, err);
    if (rc == FED_OK) {
        rc = fed_link_new(&link, 1, 16, NULL, err);
    }
    if (rc == FED_OK) {
        rc = fed_session_new(&session, link, host, &node->identity, &node->config, &options, err);
    }
    if (rc == FED_OK) {
        rc = fed_session_run(session, err);
    }
    fed_session_free(session);
    fed_host_free(host);
    fed_link_free(link);
    return rc;
}

static void run_node(void *context) {
    struct sim_node *node = context;
    sim_sleep(sim_dice(3 * SIM_S));
    while (!sim.closing && !node->gone) {
        struct fed_error err = {""};
        node->up = true;
        node->stops = false;
        sim_note("%s starts", node->config.name);
        int rc = run_node_once(node, &err);
        bool killed = sim_dying(sim_self());
        node->up = false;
        sim_link_cut(node->process);
        sim_note("%s ends: %s", node->config.name, killed ? "killed" : err.text);
        sim_require(killed || rc == FED_EINTERRUPTED || has_starved(node->process, &err), "%s gave up: %s",
                    node->config.name, err.text);
        sim_reborn(sim_self());
        if (!sim.closing && !node->gone) {
            sim_sleep(10 * SIM_MS + sim_dice(sim.trouble && !sim.calm ? 40 * SIM_S : 3 * SIM_S));
        }
    }
}

/* -- the roster file ------------------------------------------------------------------------------------------------ */

static uint64_t population_of(const struct fed_roster_file *file) {
    uint64_t n = 0;
    for (uint64_t client = SIM_FIRST_ID; client < SIM_FIRST_ID + 8 * SIM_CLIENTS; client++) {
        bool hosted = false;
        for (size_t i = 0; i < file->n_entries; i++) {
            const struct fed_roster_entry *entry = &file->entries[i];
            hosted = hosted || (client >= entry->first_client && client - entry->first_client < entry->n_clients);
        }
        n += hosted;
    }
    return n;
}

int __wrap_fed_roster_file_load(struct fed_roster_file *out, const char *path, struct fed_error *err);
int __wrap_fed_roster_file_load(struct fed_roster_file *out, const char *path, struct fed_error *err) {
    (void)path;
    struct fed_roster_file file = {.entries = calloc(SIM_NODES, sizeof *file.entries)};
    if (file.entries == NULL) {
        return fed_error_set(err, FED_ENOMEM, "no memory");
    }
    for (size_t i = 0; i < sim.n_nodes; i++) {
        if (sim.nodes[i].listed) {
            file.entries[file.n_entries++] = sim.nodes[i].entry;
        }
    }
    sim.population = population_of(&file);
    *out = file;
    return FED_OK;
}

static void tell_coordinator(int signal) {
    if (sim.up && !sim_dying(sim.coordinator)) {
        raise(signal);
        sim_wake(sim.coordinator);
    }
}

/* An entry goes and comes back; at least one stays. */
static void edit_roster(struct sim_node *node) {
    size_t n_listed = 0;
    for (size_t i = 0; i < sim.n_nodes; i++) {
        n_listed += sim.nodes[i].listed;
    }
    if (sim_dice(3) == 0) { /* where entries overlap all are of one operator and may send sums */
        node->entry.partial_sums = sim.overlap || !node->entry.partial_sums;
    } else if (!node->listed || n_listed > 1) {
        node->listed = !node->listed;
    }
    sim_note("the roster changes: %s %s%s", node->config.name, node->listed ? "is on it" : "is off it",
             node->entry.partial_sums ? ", may send sums" : "");
    tell_coordinator(SIGHUP);
}

/* -- faults --------------------------------------------------------------------------------------------------------- */

/* How bad things are for a while. */
static void draw_weather(void) {
    static const unsigned loss[] = {0, 0, 2, 10, 30}, few[] = {0, 0, 5, 20}, deaths[] = {0, 0, 2, 10},
                          writes[] = {0, 0, 20, 60};
    bool calm = sim.calm;
    sim.loss = calm ? sim_dice(3) : loss[sim_dice(5)];
    sim.twice = few[sim_dice(4)];
    sim.late = calm ? 0 : few[sim_dice(4)];
    sim.old = calm ? 0 : few[sim_dice(4)] / 2;
    sim.full = few[sim_dice(4)];
    sim.deaths = calm ? 0 : deaths[sim_dice(4)];
    sim.bad_writes = writes[sim_dice(4)];
    sim.bad_means = calm ? 0 : few[sim_dice(4)];
    sim.write_ms = sim_dice(4) == 0 ? 3000 : 30;
    sim.job_ms = sim_dice(4) == 0 ? 1500 : 5;
    sim_note("weather: %u %% lost, %u doubled, %u late, %u old; %u %% of writes fail", sim.loss, sim.twice, sim.late,
             sim.old, sim.bad_writes);
}

static void comes_back(void *context, uint64_t number) {
    (void)number;
    struct sim_node *node = context;
    sim_link_hide(node->process, false);
}

static void cut_off(struct sim_node *node, uint64_t us) {
    sim_link_hide(node->process, true);
    sim_after(us, comes_back, node, 0);
}

static void stop_node(struct sim_node *node) {
    node->stops = true;
    sim_wake(node->process);
}

static void kill_node(struct sim_node *node) {
    if (node->up) {
        sim_kill(node->process);
    }
}

/* Others host its clients too: nobody waits for it. */
static void lose_for_good(struct sim_node *node) {
    if (node->up && sim.overlap && !sim.lost_one && sim.n_nodes > 1) {
        sim_note("%s is lost for good", node->config.name);
        sim.lost_one = node->gone = true;
        sim_kill(node->process);
    }
}

static void calm_fault(struct sim_node *node) {
    switch (sim_dice(7)) {
    case 0:
        if (sim.up) {
            sim_kill(sim.coordinator);
        }
        break;
    case 1: kill_node(node); break;
    case 2: stop_node(node); break;
    case 3: sim_link_cut(node->process); break;
    case 4: cut_off(node, sim_dice(4 * SIM_S)); break;
    case 5: lose_for_good(node); break;
    default: draw_weather(); break;
    }
}

static void fault(struct sim_node *node) {
    switch (sim_dice(11)) {
    case 0:
    case 1: calm_fault(node); break;
    case 2: draw_weather(); break;
    case 3: kill_node(node); break;
    case 4: cut_off(node, sim_dice(60 * SIM_S)); break;
    case 5: edit_roster(node); break;
    case 6: tell_coordinator(sim_dice(2) == 0 ? SIGTERM : SIGUSR1); break;
    case 7: node->refuses = node->config.first_client + sim_dice(node->config.n_clients); break;
    case 8: node->refuses = 0; break;
    case 9: sim_link_cut(sim_dice(3) == 0 ? sim.coordinator : node->process); break;
    default: edit_roster(&sim.nodes[sim_dice(sim.n_nodes)]); break;
    }
}

static void strike(void *context, uint64_t what) {
    (void)context;
    struct sim_node *node = &sim.nodes[sim_dice(sim.n_nodes)];
    if (!sim.trouble || sim.finished) {
        return;
    }
    switch (what) {
    case 0: tell_coordinator(SIGTERM); break;
    case 1: tell_coordinator(SIGUSR1); break;
    case 2: sim_link_cut(node->process); break;
    default: kill_node(node); break;
    }
}

void sim_phase_begins(enum fed_round_phase phase) {
    if (sim.trouble && !sim.calm && phase != FED_ROUND_IDLE && sim_dice(25) == 0) {
        sim_after(sim_dice(sim.job_ms * SIM_MS), strike, NULL, sim_dice(4));
    }
}

static void something_happens(void *context, uint64_t number) {
    (void)context;
    if (!sim.trouble || sim.finished) {
        return;
    }
    if (sim_now_us() >= trouble_until_us) {
        sim_trouble_ends();
        return;
    }
    struct sim_node *node = &sim.nodes[sim_dice(sim.n_nodes)];
    if (sim.calm) {
        calm_fault(node);
    } else {
        fault(node);
    }
    sim_after(50 * SIM_MS + sim_dice(number), something_happens, NULL, number);
}

void sim_trouble_begins(uint64_t us) {
    static const uint64_t pause_s[] = {2, 6, 15};
    sim.trouble = true;
    trouble_until_us = sim_now_us() + us;
    draw_weather();
    sim_after(sim_dice(3 * SIM_S), something_happens, NULL, pause_s[sim.calm ? 2 : sim_dice(3)] * SIM_S);
}

void sim_trouble_ends(void) {
    sim.trouble = false;
    sim.quiet_us = sim_now_us();
    sim_note("all faults end");
    for (size_t i = 0; i < sim.n_nodes; i++) {
        sim.nodes[i].listed = true;
        sim_link_hide(sim.nodes[i].process, false);
        if (sim.nodes[i].liar) { /* what it said of itself last may be a lie: it begins anew */
            sim_link_cut(sim.nodes[i].process);
        }
    }
    tell_coordinator(SIGHUP);
}

void sim_people_arrive(void) {
    sim.coordinator = sim_process_new("coordinator", run_coordinator, NULL);
    for (size_t i = 0; i < sim.n_nodes; i++) {
        sim.nodes[i].process = sim_process_new(sim.nodes[i].config.name, run_node, &sim.nodes[i]);
    }
}
