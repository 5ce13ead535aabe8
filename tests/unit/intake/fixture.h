/* An intake and the nodes before it, without a socket: what it asks for is written down and answered as a test likes, with
 * chunks that the node's side of the seal made; what its sum must be is added up here. */
#ifndef FED_TESTS_UNIT_INTAKE_FIXTURE_H
#define FED_TESTS_UNIT_INTAKE_FIXTURE_H

#include <check.h>

#include "coordinator/round/intake.h"

/* 200,010 parameters: four chunks of floats, seven of integers, the last of each a short one. */
enum { INPUTS = 20000, UNITS = 10, PARAMS = (INPUTS + 1) * UNITS, NODES = 8, MAX_WEIGHT = 600, STALL_MS = 1000 };
enum { FLOATS = 4, INTEGERS = 7 };
enum { SLOTS = 3, LEAST_RATE = 16384, PACE_MS = 20000 };
enum { PATIENCE_MS = 60000, LONG_STALL_MS = 120000, AMPLE = 64 << 20 };

struct ask {
    size_t node;
    uint32_t part;
    uint64_t chunk;
};

struct outcome {
    size_t node;
    uint32_t part;
    enum fed_refusal refusal; /* NONE: admitted */
    char why[200];
    double norm; /* admitted: of the first client, NaN = not said */
    uint32_t weight;
};

struct rig {
    struct fed_model model;
    struct fed_fixed fixed;
    struct fed_aggregate aggregate;
    struct fed_attempt attempt;
    struct fed_intake *intake;
    struct fed_identity nodes[NODES];
    char dir[64];
    uint64_t now_ms;
    struct ask asks[4096]; /* what was asked for, and from next_ask on not yet answered */
    size_t n_asks, next_ask, most_in_flight;
    int get_answer;
    unsigned n_gets;
    struct outcome outcomes[256];
    size_t n_outcomes;
    enum fed_refusal claim_answer;
    unsigned n_claims, n_broken;
    bool spoil; /* the next update that is about to be added is damaged on disk */
    int64_t *expected;
};

/* With the connection goes what was in flight on it. */
void broken(void *context, size_t node, uint32_t part);

/* spool_dir: NULL is a directory of its own. */
struct rig *rig_of(uint64_t staging_bytes, const char *spool_dir, uint64_t stall_ms);

/* What does not fit into staging_bytes is spooled, to a directory of the rig. */
struct rig *rig_with(uint64_t staging_bytes);
struct rig *new_rig(void);
void work(struct rig *rig);

/* Until the pool has finished something, and hands it over. */
void wait_for_pool(struct rig *rig);

/* After another one, of which nothing is under way any more. */
void begin_attempt(struct rig *rig, uint32_t number);
void wait_until_idle(struct rig *rig);
void wait_for_outcomes(struct rig *rig, size_t n);
void free_rig(struct rig *rig);

struct update {
    size_t node;
    struct fed_update_header header;
    struct fed_msg_offer offer;
    struct fed_seal_pair *e;
    struct fed_seal_key *key;
    union {
        float *delta;
        int64_t *sum;
        uint8_t *bytes;
    } plain;
};

void seal(struct update *update, const struct rig *rig);
struct update *single(const struct rig *rig, size_t node, uint32_t part, uint32_t weight);
struct update *partial_sum(const struct rig *rig, size_t node, uint32_t part, uint32_t n_clients, uint32_t weight);
void free_update(struct update *update);
void free_updates(struct update *const *updates, size_t n);

/* What the sum must be with this update: every term rounded once to a multiple of the quantum, to nearest even. */
void expect(struct rig *rig, const struct update *update);
void check_sum(const struct rig *rig);
void offer(struct rig *rig, const struct update *update);

struct sealed {
    uint8_t bytes[FED_CHUNK_BYTES + FED_TAG_BYTES];
    size_t n;
};

void seal_chunk(struct sealed *out, const struct update *update, uint64_t i);
int give(struct rig *rig, const struct update *update, uint64_t i, const struct sealed *sealed);

/* Answers everything that was asked for, in a random order where there is a choice, until n outcomes are known. spoil: what
 * to do to a chunk on its way; NULL = nothing. */
void serve(struct rig *rig, struct update *const *updates, size_t n_updates, size_t n_outcomes,
           void (*spoil)(struct sealed *sealed, uint64_t chunk, const void *context), const void *context);
void serve_one(struct rig *rig, struct update *update, size_t n_outcomes);
void give_chunk(struct rig *rig, const struct update *update, uint64_t i);

/* The chunks from first on that come before the one numbered end. */
void give_chunks(struct rig *rig, const struct update *update, uint64_t first, uint64_t end);
void give_all_but_last(struct rig *rig, const struct update *update);
void check_last(const struct rig *rig, enum fed_refusal refusal, const char *why);

/* It was admitted as it was made, and the sum is what it must be: the end of a test. */
void ends_admitted(struct rig *rig, struct update *update);

/* The cases of the room, a file each. */
TCase *sums_cases(void);
TCase *limits_cases(void);
TCase *seals_cases(void);
TCase *chunks_cases(void);
TCase *slots_cases(void);
TCase *ends_cases(void);

#endif
