/* Runs seeds. simulate [--seeds N] [--seed S] [--calm] [--trace] [--moves]
 *          simulate --no-memory [--victim N --fail K [--for-ever]] [--trace]
 *          simulate --versions
 *
 * Each seed is a task, nodes and faults, played through to the end of the run; every fourth is also played calmly, with and
 * without faults, to the same models. FEDAVG_SEEDS and FEDAVG_SEED say the same as the options. */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/seal/key_file.h"
#include "tests/faults/fail_alloc.h"
#include "tests/simulation/versions.h"
#include "tests/simulation/world.h"

#define CALM_EVERY 4
#define TWICE_EVERY 64 /* seeds that are run once more, to the same trace */
#define LARGE_EVERY 32 /* seeds with a model of several chunks */
#define SETTLES_S 180  /* all that backs off has come back by then */

/* With a test set, which is loaded and never looked at: accuracy is a function of the model's digest here. */
static const char task_text[] =
    "schema: 1\nname: simulated\nseed: 1\nmodel: {input: %d, layers: [{units: %d}]}\n"
    "data: {format: csv, test: %d.csv, label: %d, header: no}\n"
    "algorithm: {kind: fedavg, rounds: 3, fraction: 1, epochs: 1, batch_size: 10, learning_rate: 0.1, max_weight: 1000}\n"
    "server: {control: \"tcp://127.0.0.1:5600\", bulk: \"tcp://127.0.0.1:5601\", roster: roster, key: key}\n";

static struct {
    char dir[64];
    struct fed_task small, large;
    struct fed_client_config client;
    struct fed_identity identities[SIM_NODES], coordinator;
    uint64_t seeds, only;
    bool calm, told, moves, no_memory, for_ever, versions;
    uint64_t victim, fail;
    uint64_t attempts, rounds, simulated_us, refusals[FED_REFUSAL_COUNT];
} all;

/* -- once ----------------------------------------------------------------------------------------------------------- */

static void fail(const char *what, const struct fed_error *err) {
    fprintf(stderr, "simulate: %s: %s\n", what, err->text);
    _Exit(1);
}

static void write_file(char path[96], const char *name, const char *text) {
    snprintf(path, 96, "%s/%s", all.dir, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        _Exit(1);
    }
}

static void load_task(struct fed_task *task, int inputs, int units) {
    char path[96], name[32], text[1024], row[1024];
    struct fed_error err = {""};
    for (int i = 0; i <= inputs; i++) {
        memcpy(row + 2 * i, i < inputs ? "0," : "0\n", 3);
    }
    snprintf(name, sizeof name, "%d.csv", inputs);
    write_file(path, name, row);
    snprintf(text, sizeof text, task_text, inputs, units, inputs, inputs + 1);
    write_file(path, "task.yaml", text);
    if (fed_task_load(task, path, NULL, 0, &err) != FED_OK) {
        fail("task", &err);
    }
}

static void load_client(void) {
    char path[96], text[512], line[FED_PUBLIC_LINE_MAX];
    struct fed_error err = {""};
    fed_public_line(line, &all.identities[0].public_keys);
    snprintf(text, sizeof text,
             "schema: 1\ncoordinator: tcp://127.0.0.1:5600\ncoordinator_key: %s\nkey: key\nstate_dir: none\n"
             "data: {format: csv, train: none.csv, label: 1}\nclients: {first: 1}\n",
             line);
    write_file(path, "client.yaml", text);
    if (fed_client_config_load(&all.client, path, NULL, 0, &err) != FED_OK) {
        fail("client file", &err);
    }
}

static void load_all(void) {
    char path[96];
    struct fed_error err = {""};
    snprintf(all.dir, sizeof all.dir, "%s/fedavg-simulate-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(all.dir) == NULL || fed_seal_setup(&err) != FED_OK) {
        fail("no directory", &err);
    }
    load_task(&all.small, 3, 2);
    load_task(&all.large, 300, 256); /* several chunks */
    for (size_t i = 0; i < SIM_NODES; i++) {
        uint8_t seed[FED_KEY_BYTES] = {(uint8_t)(1 + i)};
        if (fed_identity_from_seed(&all.identities[i], seed) != FED_OK) {
            fail("no memory", &err);
        }
    }
    load_client();
    snprintf(path, sizeof path, "%s/key", all.dir);
    if (fed_identity_create(&all.coordinator, path, NULL, &err) != FED_OK) {
        fail("key", &err);
    }
}

static void free_all(void) {
    static const char *const names[] = {"task.yaml", "3.csv", "300.csv", "client.yaml", "model", "key"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", all.dir, names[i]);
        unlink(path);
    }
    rmdir(all.dir);
    for (size_t i = 0; i < SIM_NODES; i++) {
        fed_identity_fini(&all.identities[i]);
    }
    fed_identity_fini(&all.coordinator);
    fed_task_fini(&all.small);
    fed_task_fini(&all.large);
    fed_client_config_fini(&all.client);
    sim_world_free();
}

/* -- one seed ------------------------------------------------------------------------------------------------------- */

static void make_task(void) {
    static const uint64_t picked[] = {0, 10, 25, 50, 90, 100}, over[] = {100, 100, 110, 130, 200},
                          quorum[] = {1, 29, 55, 70, 80, 100};
    bool large = sim.seed % LARGE_EVERY == 7;
    sim.task = large ? all.large : all.small;
    sim.percent_picked = picked[sim_dice(6)];
    sim.percent_over = sim.calm ? 100 : over[sim_dice(5)];
    sim.percent_quorum = sim.calm ? 100 : quorum[sim_dice(6)];
    sim.task.seed = sim.seed;
    sim.task.algorithm.rounds = 1 + sim_dice(large ? 2 : SIM_ROUNDS / 2);
    sim.task.algorithm.fraction = (double)sim.percent_picked / 100;
    sim.task.algorithm.target_accuracy = 0;
    sim.task.round.over_select = (double)sim.percent_over / 100;
    sim.task.round.min_reports = (double)sim.percent_quorum / 100;
    sim.task.round.deadline_s = sim.calm ? 100000 : 30 + sim_dice(90);
    sim.task.round.rejoin_s = sim.calm ? 60 : sim_dice(30);
    sim.task.round.evaluate_every = 1 + sim_dice(3);
    sim.task.hygiene.quarantine_s = 1 + sim_mixed(sim.seed, 6, 6, 3);
    sim.bad_models = sim_mixed(sim.seed, 5, 5, 3) == 0 ? 20 : 0;
    sim.task.server.partial_sums = sim_dice(4) > 0;
    sim.task.server.staging_mb = sim_dice(8) == 0 ? 0 : 256;
    if (sim_dice(4) == 0) {
        sim.task.data.test = NULL;
    } else {
        sim.task.algorithm.target_accuracy = (double)(sim_dice(2) * sim_dice(1000)) / 1000;
    }
}

static void make_node(size_t i, uint64_t population) {
    static char names[SIM_NODES][32];
    struct sim_node *node = &sim.nodes[i];
    uint64_t share = population / sim.n_nodes, first = SIM_FIRST_ID + i * share;
    *node = (struct sim_node){.config = all.client, .identity = all.identities[i], .listed = true};
    node->config.n_clients = i + 1 < sim.n_nodes ? share : population - i * share;
    node->config.first_client = first;
    if (sim.overlap) {
        node->config.first_client = SIM_FIRST_ID;
        node->config.n_clients = population;
    }
    node->config.data.train = NULL; /* trained by a hook */
    node->config.workers = 1 + (uint32_t)sim_dice(3);
    node->liar = !sim.calm && i == 0 && sim_dice(2) == 0;
    node->entry.keys = node->identity.public_keys;
    node->entry.first_client = node->config.first_client;
    node->entry.n_clients = node->config.n_clients;
    node->entry.partial_sums = sim.overlap || sim_dice(2) == 0;
    snprintf(names[i], sizeof names[i], "node-%zu", i);
    snprintf(node->entry.name, sizeof node->entry.name, "%s", names[i]);
    snprintf(node->config.name, sizeof node->config.name, "%s", names[i]);
}

static void begin(uint64_t seed, bool calm) {
    sim = (struct sim){.seed = seed, .calm = calm, .dir = all.dir};
    sim_world_begin(seed, all.told);
    uint64_t population = 1 + sim_dice(SIM_CLIENTS);
    sim.n_nodes = 1 + sim_dice(SIM_NODES);
    sim.n_nodes = sim.n_nodes < population ? sim.n_nodes : population;
    sim.overlap = sim_dice(2) == 0;
    make_task();
    for (size_t i = 0; i < sim.n_nodes; i++) {
        make_node(i, population);
    }
    sim_disk_wipe();
    sim_disk.attempt = calm; /* then even the first cohort is drawn from everybody */
    sim_ledger_clear();
    sim_note("%zu nodes, %" PRIu64 " clients%s, %" PRIu64 " rounds of %" PRIu64 " %%, over %" PRIu64 " %%, quorum %" PRIu64
             " %%, target %.3f",
             sim.n_nodes, population, sim.overlap ? " hosted by all" : "", sim.task.algorithm.rounds, sim.percent_picked,
             sim.percent_over, sim.percent_quorum, sim.task.algorithm.target_accuracy);
}

static uint64_t bound_us(void) {
    const struct fed_round_rules *rules = &sim.task.round;
    uint64_t deadline_s = sim.calm ? 0 : rules->deadline_s;
    return (SETTLES_S + deadline_s + rules->rejoin_s + 30 * sim.task.algorithm.rounds) * SIM_S;
}

static bool is_over(void) {
    sim_require(sim.trouble || sim.finished || sim_now_us() < sim.quiet_us + bound_us(),
                "the faults ended %" PRIu64 " s ago, and the run does not", (sim_now_us() - sim.quiet_us) / SIM_S);
    return sim.finished;
}

static void end(void) {
    sim.closing = true;
    sim_wake(sim.coordinator);
    for (size_t i = 0; i < sim.n_nodes; i++) {
        sim_wake(sim.nodes[i].process);
    }
    sim_world_run(sim_world_is_empty);
    sim_link_end();
    sim_pools_end();
}

/* Plays the seed; returns the digest of its trace. */
static uint64_t play(uint64_t seed, bool calm, bool trouble) {
    begin(seed, calm);
    uint64_t began_us = sim_now_us();
    sim_people_arrive();
    if (trouble) {
        sim_trouble_begins((calm ? 20 : 5 + sim_dice(60)) * (uint64_t)SIM_S);
    }
    sim.quiet_us = trouble ? 0 : sim_now_us();
    sim_world_run(is_over);
    sim_require(sim_disk.finished && sim_disk.result_round == sim_disk.committed, "the end is not stored");
    end();
    all.simulated_us += sim_now_us() - began_us;
    all.attempts += sim_disk.n_attempts;
    all.rounds += sim_disk.committed;
    for (int i = 0; i < FED_REFUSAL_COUNT; i++) {
        all.refusals[i] += sim_disk.n_refusals[i];
    }
    return sim_world_digest();
}

static void play_calmly(uint64_t seed) {
    uint8_t undisturbed[SIM_ROUNDS + 1][32];
    play(seed, true, false);
    uint64_t n = sim_disk.committed;
    for (uint64_t r = 0; r <= n; r++) {
        memcpy(undisturbed[r], sim_disk.rounds[r].digest, 32);
    }
    play(seed, true, true);
    sim_require(sim_disk.committed == n, "%" PRIu64 " rounds, but %" PRIu64 " without faults", sim_disk.committed, n);
    for (uint64_t r = 0; r <= n; r++) {
        sim_require(memcmp(sim_disk.rounds[r].digest, undisturbed[r], 32) == 0,
                    "the model of round %" PRIu64 " is another one than without faults", r);
    }
}

static void play_twice(uint64_t seed) {
    uint64_t first = play(seed, false, true), second = play(seed, false, true);
    sim_require(first == second, "the same seed gave another run: %016" PRIx64 " and %016" PRIx64, first, second);
}

static void one(uint64_t seed) {
    if (seed % TWICE_EVERY == 1) {
        play_twice(seed);
    } else {
        play(seed, false, true);
    }
    if (seed % CALM_EVERY == 0) {
        play_calmly(seed);
    }
    sim_disk_wipe();
}

static uint64_t number_from(const char *variable, uint64_t otherwise) {
    const char *text = getenv(variable);
    return text == NULL || *text == '\0' ? otherwise : strtoull(text, NULL, 10);
}

/* -- memory that runs out ------------------------------------------------------------------------------------------- */

#define STARVES_S 10 /* then there is memory again, if the process still lives */

/* Two nodes, one of which sends sums, and everybody in every round: whatever is lost on the way, the models are the same. */
static void make_plain_task(uint64_t staging_mb) {
    sim.percent_picked = sim.percent_over = sim.percent_quorum = 100;
    sim.overlap = false;
    sim.n_nodes = 2;
    sim.task = all.small;
    sim.task.seed = sim.seed;
    sim.task.algorithm.rounds = 2;
    sim.task.algorithm.fraction = sim.task.round.over_select = sim.task.round.min_reports = 1;
    sim.task.round.deadline_s = 60;
    sim.task.round.rejoin_s = 10;
    sim.task.server.partial_sums = true;
    sim.task.server.staging_mb = staging_mb;
    make_node(0, 4);
    make_node(1, 4);
    sim.nodes[0].entry.partial_sums = true;
    sim.nodes[1].entry.partial_sums = false;
    sim.nodes[0].liar = false;
}

static bool is_victim(void) { return sim_acting() == sim.victim; }

static void look_after_victim(void *context, uint64_t ticks) {
    (void)context;
    if (ticks >= STARVES_S) {
        fail_alloc_end();
    } else {
        sim_after(SIM_S, look_after_victim, NULL, ticks + (fail_alloc_hits() > 0));
    }
}

/* Returns how many allocations the victim made. */
static uint64_t starve(size_t victim, uint64_t k, bool for_ever, uint64_t staging_mb) {
    char label[96];
    begin(1, false);
    make_plain_task(staging_mb);
    snprintf(label, sizeof label, ", --victim %zu --fail %" PRIu64 "%s", victim, k, for_ever ? " --for-ever" : "");
    sim.starved = label;
    sim_people_arrive();
    sim.victim = victim == 0 ? sim.coordinator : sim.nodes[victim - 1].process;
    sim.quiet_us = sim_now_us();
    fail_alloc_begin(k, for_ever, is_victim);
    look_after_victim(NULL, 0);
    sim_world_run(is_over);
    uint64_t n = fail_alloc_end();
    end();
    sim_require(sim_disk.committed == sim.task.algorithm.rounds, "%" PRIu64 " rounds", sim_disk.committed);
    sim.starved = NULL;
    return n;
}

static void starve_at_all(size_t victim, uint64_t staging_mb, uint64_t stride) {
    uint8_t expected[32];
    uint64_t n = starve(victim, 0, false, staging_mb), runs = 0;
    memcpy(expected, sim_disk.rounds[sim_disk.committed].digest, sizeof expected);
    for (uint64_t k = 1; k <= n; k += stride) {
        for (int for_ever = 0; for_ever < 2; for_ever++, runs++) {
            starve(victim, k, for_ever, staging_mb);
            sim_require(memcmp(sim_disk.rounds[sim_disk.committed].digest, expected, sizeof expected) == 0,
                        "allocation %" PRIu64 " of %s: another model", k, victim == 0 ? "the coordinator" : "a node");
        }
    }
    printf("%s: %" PRIu64 " allocations, %" PRIu64 " runs, always the same model\n",
           victim == 0   ? "coordinator"
           : victim == 1 ? "node that sends sums"
                         : "node that sends single updates",
           n, runs);
}

static void starve_everybody(void) {
    uint64_t stride = number_from("FEDAVG_LONG", 0) == 1 ? 1 : 7;
    for (size_t victim = 0; victim < 3; victim++) {
        starve_at_all(victim, 256, stride);
    }
    starve_at_all(0, 0, stride); /* updates lie in files */
    sim_disk_wipe();
}

/* -- other versions ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *what;
    enum sim_version version;
    bool coordinator;
    uint64_t lasts_s; /* then it is ours again */
    enum fed_refusal counted;
} conversations[] = {
    {"a node of a later minor", SIM_VERSION_LATER, false, 1000, FED_REFUSAL_MALFORMED},
    {"a coordinator of a later minor", SIM_VERSION_LATER, true, 1000, FED_REFUSAL_NONE},
    {"a node of the first minor", SIM_VERSION_FIRST, false, 1000, FED_REFUSAL_NONE},
    {"a coordinator of the first minor", SIM_VERSION_FIRST, true, 1000, FED_REFUSAL_NONE},
    {"a node of another major, until it is upgraded", SIM_VERSION_OTHER_MAJOR, false, 30, FED_REFUSAL_PROTOCOL},
    {"a coordinator of another major, until it is upgraded", SIM_VERSION_OTHER_MAJOR, true, 30, FED_REFUSAL_NONE},
};

static void is_upgraded(void *context, uint64_t number) {
    (void)context;
    (void)number;
    sim_version_speak(SIM_VERSION_OURS, true);
    for (size_t i = 0; i < sim.n_nodes; i++) { /* which takes a restart */
        sim_link_cut(sim.nodes[i].process);
    }
}

static uint64_t converse(size_t i, uint8_t model[32]) {
    begin(1, false);
    make_plain_task(256);
    if (i < sizeof conversations / sizeof *conversations) {
        sim.starved = conversations[i].what;
        sim_version_speak(conversations[i].version, conversations[i].coordinator);
        sim_after(conversations[i].lasts_s * SIM_S, is_upgraded, NULL, 0);
    }
    sim_people_arrive();
    sim.quiet_us = sim_now_us();
    sim_world_run(is_over);
    end();
    sim_version_speak(SIM_VERSION_OURS, true);
    sim.starved = NULL;
    memcpy(model, sim_disk.rounds[sim_disk.committed].digest, 32);
    return i < sizeof conversations / sizeof *conversations ? sim_disk.n_refusals[conversations[i].counted] : 0;
}

/* Everybody is in every round, so that the model is the same whoever had to wait for whom. */
static void converse_with_all(void) {
    uint8_t expected[32], model[32];
    converse(SIZE_MAX, expected);
    for (size_t i = 0; i < sizeof conversations / sizeof *conversations; i++) {
        uint64_t counted = converse(i, model);
        sim_require(memcmp(model, expected, sizeof model) == 0, "%s: another model", conversations[i].what);
        sim_require(conversations[i].counted == FED_REFUSAL_NONE || counted > 0, "%s: never counted as %s",
                    conversations[i].what, fed_refusal_name(conversations[i].counted));
        printf("%s: the same model\n", conversations[i].what);
    }
    sim_disk_wipe();
}

/* -- all seeds ------------------------------------------------------------------------------------------------------ */

static int parse(int argc, char **argv) {
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"calm", no_argument, NULL, 'c'},
                                            {"trace", no_argument, NULL, 't'},
                                            {"moves", no_argument, NULL, 'm'},
                                            {"no-memory", no_argument, NULL, 'o'},
                                            {"versions", no_argument, NULL, 'w'},
                                            {"victim", required_argument, NULL, 'v'},
                                            {"fail", required_argument, NULL, 'k'},
                                            {"for-ever", no_argument, NULL, 'e'},
                                            {NULL, 0, NULL, 0}};
    all.seeds = number_from("FEDAVG_SEEDS", 1000);
    all.only = number_from("FEDAVG_SEED", 0);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n': all.seeds = strtoull(optarg, NULL, 10); break;
        case 's': all.only = strtoull(optarg, NULL, 10); break;
        case 'c': all.calm = true; break;
        case 't': all.told = true; break;
        case 'm': all.moves = true; break;
        case 'o': all.no_memory = true; break;
        case 'w': all.versions = true; break;
        case 'v': all.victim = strtoull(optarg, NULL, 10); break;
        case 'k': all.fail = strtoull(optarg, NULL, 10); break;
        case 'e': all.for_ever = true; break;
        default: return 2;
        }
    }
    return 0;
}

/* Runs that once came to no end, played calmly whatever else is. */
static void play_remembered(void) {
    static const uint64_t seeds[] = {
        18292, /* a lane's first message was lost, and no GET by that lane was answered */
        23632, /* an update of a round that was taken back was counted in the next, which has the same attempt number */
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        play_calmly(seeds[i]);
        sim_disk_wipe();
    }
}

static void play_all(void) {
    size_t before = 0;
    play_remembered();
    for (uint64_t seed = 1; seed <= all.seeds; seed++) {
        one(seed);
        size_t in_use = mallinfo2().uordblks;
        sim.closing = seed < 64; /* the libraries' own tables are made by then */
        before = sim.closing || before == 0 ? in_use : before;
        sim_require(sim.closing || in_use < before + (1 << 20), "%zu bytes more are in use than after seed 64",
                    in_use - before);
    }
}

/* An assertion of what is simulated: told like a broken invariant, with the seed. It is raised by the one thread there is.
 */
static void on_abort(int signal) { sim_require(false, "signal %d: the assertion above", signal); }

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static int summary(void) {
    printf("%" PRIu64 " seeds, %" PRIu64 " rounds in %" PRIu64 " attempts, %.1f hours in %.1f s of CPU time; refused:",
           all.seeds, all.rounds, all.attempts, (double)all.simulated_us / 3.6e9, cpu_seconds());
    for (int i = 1; i < FED_REFUSAL_COUNT; i++) {
        printf(" %s %" PRIu64, fed_refusal_name((enum fed_refusal)i), all.refusals[i]);
    }
    printf("\n");
    if (all.moves) {
        sim_moves_print();
    }
    return all.seeds < 1000 || sim_moves_complete() ? 0 : 1;
}

int main(int argc, char **argv) {
    if (parse(argc, argv) != 0) {
        fprintf(stderr, "usage: simulate [--seeds N] [--seed S] [--calm] [--trace] [--moves]\n"
                        "       simulate --no-memory [--victim N --fail K [--for-ever]] [--trace]\n"
                        "       simulate --versions\n");
        return 2;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGABRT, on_abort);
    load_all();
    int rc = 0;
    if (all.fail > 0) {
        starve(all.victim, all.fail, all.for_ever, 256);
    } else if (all.no_memory) {
        starve_everybody();
    } else if (all.versions) {
        converse_with_all();
    } else if (all.only > 0 && all.calm) {
        play_calmly(all.only);
    } else if (all.only > 0) {
        printf("seed %" PRIu64 ": trace %016" PRIx64 "\n", all.only, play(all.only, false, true));
    } else {
        play_all();
        rc = summary();
    }
    sim_disk_wipe();
    free_all();
    return rc;
}
