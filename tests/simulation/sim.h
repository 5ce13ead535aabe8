/* The house in a bottle: the real coordinator and real nodes in one thread, on a clock, network, store and threads that this
 * folder makes up from a seed. One seed is one run, and the same seed is the same run, event by event.
 *
 *     world.c    dice, time, events, processes (coroutines), the trace       link.c    the lanes, and what a network does
 *     base.c     clock, threads, random bytes, log                           store.c   what would be on the disk
 *     evaluator.c  accuracy, reports                                          ledger.c  what must hold, and sums made anew
 *     people.c   the processes and what their owners do to them               lies.c    a node that lies
 *     versions.c peers of other versions
 *     moves.c    which (phase, event) pairs of the round were seen            simulate.c  seeds, tasks, the end
 *
 * Each file defines functions of rooms by their own names, so that the linker takes them and not the rooms. */
#ifndef FED_TESTS_SIMULATION_SIM_H
#define FED_TESTS_SIMULATION_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/client_config.h"
#include "common/config/roster_file.h"
#include "common/config/task.h"
#include "common/link/link.h"
#include "coordinator/coordinator.h"
#include "coordinator/round/round.h"
#include "coordinator/store/store.h"
#include "proto/wire.h"

enum { SIM_NODES = 6, SIM_CLIENTS = 16, SIM_ROUNDS = 8, SIM_FIRST_ID = 3, SIM_QUARANTINES = 64 };
#define SIM_MS 1000u
#define SIM_S 1000000u

/* -- world.c -------------------------------------------------------------------------------------------------------- */

struct sim_process; /* a coordinator or a node: alive, dead, or dying: then nothing it does has any effect */

typedef void sim_happen(void *context, uint64_t number);

uint64_t sim_now_us(void);
uint64_t sim_dice(uint64_t n); /* 0 .. n - 1 */
bool sim_chance(uint64_t percent);
/* A number in [0, n) that is a function of the arguments alone. */
uint64_t sim_mixed(uint64_t a, uint64_t b, uint64_t c, uint64_t n);

void sim_after(uint64_t us, sim_happen *happen, void *context, uint64_t number);
/* What happened, for the digest of the run and, where it is wanted, for people. */
void sim_note(const char *format, ...) FED_PRINTF(1, 2);
bool sim_told(void); /* people read along */
/* Ends the program with the seed and the last events, unless the claim holds. */
void sim_require(bool holds, const char *format, ...) FED_PRINTF(2, 3);

struct sim_process *sim_process_new(const char *name, void (*main)(void *context), void *context);
struct sim_process *sim_self(void);
/* Whose memory is used: the same, but for jobs and gates, which run while nobody else does. Returns who it was before. */
struct sim_process *sim_acting(void);
struct sim_process *sim_act_for(struct sim_process *process);
/* A message as the simulation itself reads it. */
int sim_decode(struct fed_message *out, const void *bytes, size_t n) FED_MUST_CHECK;
/* n zeros, of memory that never runs out. free() */
void *sim_new(size_t n);
const char *sim_process_name(const struct sim_process *process);
void sim_wake(struct sim_process *process);
/* Until woken, or until us have passed. Only on a process. */
void sim_sleep(uint64_t us);
/* kill -9: whatever it does from now on has no effect, and its next wait tells it to return. */
void sim_kill(struct sim_process *process);
bool sim_dying(const struct sim_process *process);
void sim_reborn(struct sim_process *process);
/* At every effect of a process: it may die here. True if it is dead. */
bool sim_dies_here(struct sim_process *process);

/* -- link.c, base.c: what a process leaves behind ------------------------------------------------------------------- */

void sim_link_cut(struct sim_process *process);     /* its connections break */
void sim_link_hide(struct sim_process *node, bool); /* nothing reaches the coordinator */
void sim_pools_stop(struct sim_process *process);
/* The next connection that takes a message of this node to the coordinator. */
void sim_link_forge(struct sim_process *node, const void *bytes, size_t n);

/* -- people.c ------------------------------------------------------------------------------------------------------- */

struct sim_node {
    struct sim_process *process;
    struct fed_client_config config;
    struct fed_identity identity;
    struct fed_roster_entry entry; /* as it is when nobody meddles */
    bool listed;                   /* in the roster file now */
    bool up, liar, stops;          /* stops: its owner wants it to leave */
    bool gone;                     /* for good */
    uint64_t refuses;              /* the client that it cannot train, or 0 */
};

struct sim {
    uint64_t seed;
    bool overlap; /* all nodes host all clients */
    bool calm;    /* faults that must not change a bit of the result */
    bool trouble; /* there are faults now */
    bool closing; /* everybody goes home */
    struct fed_task task;
    uint64_t percent_picked, percent_over, percent_quorum; /* what the task says as parts of one */
    const char *dir;                                       /* for the one file that a restart reads */
    struct sim_node nodes[SIM_NODES];
    size_t n_nodes;
    struct sim_process *coordinator;
    bool up;       /* the coordinator runs */
    bool finished; /* the run is */
    bool lost_one; /* a node, for good */
    struct sim_process *victim;
    const char *starved;                   /* who has no memory, and from when on; NULL: nobody */
    uint64_t quiet_us;                     /* when the faults ended */
    uint64_t population;                   /* of the roster that the coordinator has read */
    uint64_t drawn_from;                   /* the population when the cohort at hand was drawn */
    unsigned loss, twice, late, old, full; /* percent of messages */
    unsigned deaths;                       /* per mille of effects that are the last */
    unsigned bad_writes, bad_means;        /* percent */
    unsigned bad_models;                   /* percent of rounds whose model is no good, whatever happens on the way */
    uint64_t write_ms, job_ms;             /* how long a write may take, and sealing, opening, adding, the mean */
};
extern struct sim sim;

void sim_people_arrive(void);
void sim_trouble_begins(uint64_t us);
void sim_trouble_ends(void);
/* The round has entered this phase: faults like to strike where a phase is short. */
void sim_phase_begins(enum fed_round_phase phase);
struct sim_node *sim_node_of(const struct sim_process *process);

/* -- store.c, ledger.c ---------------------------------------------------------------------------------------------- */

struct sim_round {
    uint32_t attempt;
    uint8_t digest[32];
    float *params;
    uint8_t *header;
    size_t n_header, n_params;
    struct fed_store_update *updates;
    size_t n_updates;
    bool evaluated;
    double accuracy, loss;
    bool rolled_back; /* a rollback, to round to_round */
    uint64_t to_round;
    double fallen_loss;
};
struct sim_disk { /* what a restart finds */
    bool has_model;
    uint64_t committed;
    struct sim_round rounds[SIM_ROUNDS + 1];
    uint32_t attempt; /* the last one opened for round committed + 1 */
    uint64_t cohort[SIM_CLIENTS];
    size_t n_cohort;
    bool finished;
    uint64_t result_round, target_round;
    uint64_t n_refusals[FED_REFUSAL_COUNT];
    uint64_t n_attempts;
    struct fed_store_quarantine quarantines[SIM_QUARANTINES];
    size_t n_quarantines;
};
extern struct sim_disk sim_disk;
void sim_disk_wipe(void);
/* Neither it nor a round before it that it goes back to was taken back. */
bool sim_disk_stands(uint64_t round);

float sim_delta(uint64_t client, const float *params, size_t n_params, size_t i);
uint32_t sim_weight(uint64_t client);
double sim_accuracy(const uint8_t digest[32]);
double sim_loss(uint64_t round);

void sim_ledger_clear(void);
void sim_ledger_opened(uint64_t round, uint32_t attempt, const uint64_t *cohort, size_t n);
void sim_ledger_committed(const struct fed_store_commit *commit);
void sim_ledger_finished(uint64_t result_round);
/* The coordinator says this to the node. */
void sim_ledger_said(const struct sim_node *node, const struct fed_message *message);

/* -- lies.c --------------------------------------------------------------------------------------------------------- */

/* A message of a liar goes out: others go with it. */
void sim_lie(struct sim_node *node, const uint8_t *bytes, size_t n);

/* -- moves.c: what was seen of the state machines, over all seeds --------------------------------------------------- */

void sim_moves_heard(const struct fed_message *message); /* by the coordinator */
void sim_moves_print(void);
/* False, and says which, when something that can happen was never met. */
bool sim_moves_complete(void);

#endif
