/* The cohort of an attempt: who was picked, and where each of them stands. Pure.
 *
 * Once begun, a member is in exactly one state, and changes it until it is COUNTED, which is for good. The counters follow
 * from the states; those who are absent stand in a queue, so that finding the next to give up costs nothing. */
#ifndef FED_COORDINATOR_ROUND_COHORT_H
#define FED_COORDINATOR_ROUND_COHORT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_COHORT_NOBODY UINT32_MAX

enum fed_member_state {
    FED_MEMBER_PRESENT,
    FED_MEMBER_ABSENT, /* not reachable, but not for long yet: still outstanding */
    FED_MEMBER_LOST,   /* absent for too long; outstanding again if it comes back */
    FED_MEMBER_OUT,    /* declined or refused in this attempt */
    FED_MEMBER_COUNTED,
};

struct fed_member {
    uint64_t since_ms;       /* ABSENT */
    uint32_t earlier, later; /* ABSENT: neighbours in the queue of the absent */
    enum fed_member_state state;
};

/* All zero = nobody. */
struct fed_cohort {
    uint64_t *clients;               /* (n) in order of the walk; owned, as the two below */
    struct fed_member *members;      /* (n) as clients */
    struct fed_cohort_place *places; /* (n) by client: where it stands in the others */
    size_t n;
    size_t n_present, n_absent, n_counted;
    uint32_t absent_first, absent_last; /* n_absent > 0. Longest absent first: all may stay away equally long */
};

/* Replaces the cohort. Consumes clients (n >= 1, distinct, below FED_COHORT_NOBODY), on failure too; the old cohort stands
 * then. FED_ENOMEM. */
int fed_cohort_set(struct fed_cohort *cohort, uint64_t *clients, size_t n) FED_MUST_CHECK;
void fed_cohort_free(struct fed_cohort *cohort);

/* A new attempt: all are present. */
void fed_cohort_begin(struct fed_cohort *cohort);
/* The member's index, or FED_COHORT_NOBODY. */
uint32_t fed_cohort_find(const struct fed_cohort *cohort, uint64_t client);
/* To another state; from COUNTED there is no way. */
void fed_cohort_move(struct fed_cohort *cohort, uint32_t index, enum fed_member_state to, uint64_t now_ms);
/* Those who are absent for patience_ms are lost. */
void fed_cohort_expire(struct fed_cohort *cohort, uint64_t now_ms, uint64_t patience_ms);
/* Since when the one is absent that is so for longest; n_absent > 0. */
uint64_t fed_cohort_absent_since(const struct fed_cohort *cohort);

static inline size_t fed_cohort_outstanding(const struct fed_cohort *cohort) { return cohort->n_present + cohort->n_absent; }

#endif
