/* Where a run stands, for people and programs: one plain struct and one JSON object, the same from a run directory and
 * from a live coordinator:
 *
 *     {"name":..,"run_id":"<32 hex>","state":..,"round":..,"rounds":..,"attempt":..,"clients":..,"reproducible":..,
 *      "accuracy":..,"loss":..,"best":{"round":..,"accuracy":..},"target_round":..,"model":"<64 hex>",
 *      "refusals":{"<reason>":n,..},"attempts_failed":..,
 *      "rollbacks":{"count":..,"in_a_row":..,"last":{"round":..,"to_round":..,"reason":..,"loss":..,"reference":..}},
 *      "quarantined":[{"node":..,"until":<seconds since 1970>,"reason":..},..],
 *      "recent":[{"round":..,"attempt":..,"clients":..,"weight":..,"loss":..,"accuracy":..,"seconds":..,
 *                 "train_seconds":..,"bytes_down":..,"bytes_up":..,"model":..,
 *                 "norm_ceiling":..,"clip":..,"weight_cap":..},..],"alarm":..,
 *      "live":{"phase":..,"round":..,"attempt":..,"picked":..,"admitted":..,"outstanding":..,"goal":..,"quorum":..,
 *              "deadline_s":..,"nodes_online":..,"nodes":..,"waits_for":..}}
 *
 * null = not known: not evaluated, no target reached, no model yet; live: from a directory; waits_for: for nothing. */
#ifndef FED_COORDINATOR_STORE_STATUS_REPORT_H
#define FED_COORDINATOR_STORE_STATUS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/store/store.h"

#define FED_STATUS_RECENT 10      /* rounds told one by one */
#define FED_STATUS_QUARANTINED 16 /* nodes told one by one */
#define FED_STATUS_REFUSALS 32    /* reasons told one by one; rarer ones than these are left out */

struct fed_status_refusals {
    char reason[48];
    uint64_t count;
};

struct fed_status_quarantine {
    char node[64], reason[24];
    int64_t until_ms; /* wall clock */
};

/* What only a coordinator at work knows: the round and attempt at hand. */
struct fed_status_live {
    char phase[24]; /* fed_round_phase_name */
    uint32_t attempt;
    uint64_t round;
    uint64_t picked, admitted, outstanding, goal, quorum; /* clients */
    uint64_t nodes_online, nodes;
    double deadline_s;   /* left; NaN = nobody is waited for */
    char waits_for[192]; /* why nothing happens: "waits for 2 more clients to join"; "" = for nothing */
};

struct fed_status_report {
    char name[64];
    char state[24]; /* a phase of the live round (fed_round_phase_name), or of a directory: new, unfinished, finished */
    uint8_t run_id[16];
    bool has_model;
    uint8_t model[32];     /* of `round` */
    uint64_t round;        /* last committed */
    uint64_t rounds;       /* of the task; 0 = not known */
    uint32_t attempt;      /* at round + 1; 0 = none yet */
    uint64_t clients;      /* whose updates are in `round` */
    bool reproducible;     /* the task's arithmetic is exact, and so is that of all nodes heard since the start */
    double loss, accuracy; /* of the last round that was evaluated; NaN = none */
    uint64_t best_round;   /* 0 = none */
    double best_accuracy;
    uint64_t target_round; /* 0 = none */
    struct fed_status_refusals refusals[FED_STATUS_REFUSALS];
    size_t n_refusals;
    uint32_t attempts_failed; /* one after the other, of the live round; a directory does not know */
    uint64_t n_rollbacks;
    uint32_t rollbacks_in_a_row; /* the last ones, as long as nothing better came since */
    struct {
        uint64_t round, to_round;
        char reason[24];
        double loss, reference;
    } last_rollback; /* if n_rollbacks > 0 */
    struct fed_status_quarantine quarantined[FED_STATUS_QUARANTINED];
    size_t n_quarantined;
    struct fed_store_round recent[FED_STATUS_RECENT]; /* ascending */
    size_t n_recent;
    char alarm[256]; /* what somebody has to mend, for example the disk; "" = nothing */
    bool has_live;
    struct fed_status_live live;
};

/* What the run directory knows. */
int fed_status_report_read(struct fed_status_report *out, struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;
/* The same without what was refused: a few rows, whatever the length of the run. For who has counted that already, and says
 * so by the second function, reason by reason. */
int fed_status_report_read_rounds(struct fed_status_report *out, struct fed_store *store,
                                  struct fed_error *err) FED_MUST_CHECK;
void fed_status_report_refused(struct fed_status_report *report, const char *reason, uint64_t count);

/* Quarantines that are over by now are left out from here on. */
void fed_status_report_expire(struct fed_status_report *report, int64_t wall_ms);

/* One line of JSON; the caller owns *out. FED_ENOMEM. */
int fed_status_report_encode(char **out, const struct fed_status_report *report) FED_MUST_CHECK;

/* From bytes that anybody may have sent: every text in *out is short and printable. Unknown keys are ignored. FED_EDATA. */
int fed_status_report_decode(struct fed_status_report *out, const char *text, size_t n,
                             struct fed_error *err) FED_MUST_CHECK;

#endif
