/* A round with the world around it: clients of a population, events, and what the round then wants done, as words. */
#ifndef FED_TESTS_UNIT_ROUND_FIXTURE_H
#define FED_TESTS_UNIT_ROUND_FIXTURE_H

#include <check.h>

#include "coordinator/round/round.h"

enum { MOST = 200, FIRST_ID = 1000 };

struct rig {
    bool eligible[MOST];
    uint64_t population;
    struct fed_round_config config;
    struct fed_round *round;
    uint64_t now_ms;
    struct fed_round_action actions[FED_ROUND_ACTIONS_MAX];
    size_t n;
};

/* K clients, all eligible; C = 0.5, everybody must report; 10 rounds, each evaluated. */
struct rig *rig_new(uint64_t population);
void start_after(struct rig *rig, uint64_t committed, double accuracy, uint32_t attempt, const uint64_t *cohort,
                 size_t n_cohort);
void start(struct rig *rig);
void rig_free(struct rig *rig);

/* Sends the event and gives what is to be done, as words: "OPEN 1/1" is of round 1, attempt 1. */
const char *handle(struct rig *rig, struct fed_round_event event);
const char *say(struct rig *rig, enum fed_event_kind kind);
const char *tell(struct rig *rig, enum fed_event_kind kind, uint64_t client);
const char *evaluated(struct rig *rig, uint64_t number, double accuracy);
uint64_t member(const struct rig *rig, size_t i);
size_t cohort_size(const struct rig *rig);
void collect(struct rig *rig);
void admit(struct rig *rig, size_t from, size_t to);

/* From IDLE through COMMITTED. */
const char *commit_one(struct rig *rig);

/* The second implementation: the whole permutation at once. */
void permutation(uint32_t *out, uint32_t n, uint64_t seed, uint64_t number, uint64_t attempt);
void fails_for_long(struct rig *rig, const char *again);

/* The cases of the room, a file each. */
TCase *picks_cases(void);
TCase *way_cases(void);
TCase *attempts_cases(void);
TCase *evaluations_cases(void);
TCase *stops_cases(void);
TCase *restarts_cases(void);

#endif
